//! The C face.
#![allow(unsafe_code)]
