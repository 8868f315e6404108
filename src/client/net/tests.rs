//! Tests of the connection floor, over loopback.
