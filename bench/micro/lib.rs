//! Only a place for the benches.
