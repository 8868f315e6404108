//! The words: what goes over the wire. Pure functions, no state.
