//! What a server may send: every frame is read to its end, and what is told of it lies inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pondsocket::protocol::{
    connection_id, eviction_reason, is_error_event, is_eviction, parse_frame, presence_kind, presence_parts, server_error,
};

fuzz_target!(|frame: &str| {
    let mut answers = 0;
    for parsed in parse_frame(frame) {
        answers += 1;
        match parsed {
            Ok(envelope) => {
                assert!(frame.contains(envelope.text), "the envelope is a part of the frame");
                let payload = envelope.payload.unwrap_or("{}");
                assert!(payload == "{}" || envelope.text.contains(payload), "the payload is byte for byte the sender's");
                let parts = presence_parts(payload);
                for part in [parts.changed, parts.users].into_iter().flatten() {
                    assert!(payload.contains(part));
                }
                let _ = (connection_id(payload), eviction_reason(payload), presence_kind(&envelope.event));
                let _ = (is_error_event(&envelope.event), is_eviction(&envelope.event));
                let _ = server_error(&envelope.event, envelope.payload);
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(frame.get(error.excerpt.clone()).is_some(), "the excerpt lies inside the frame");
            }
        }
        assert!(answers <= frame.len() + 1, "each answer costs at least one byte");
    }
    assert!(answers > 0, "no frame goes by without a word");
});
