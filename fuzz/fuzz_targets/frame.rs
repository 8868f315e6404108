//! What a server may send: every frame is read to its end, what is told of it lies inside it, all levels of the
//! structural scan agree, and the strict reading takes the same envelopes up to a payload that is no JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pondsocket::protocol::{
    Level, Reading, connection_id, eviction_reason, is_error_event, is_eviction, parse_frame, parse_frame_as, presence_kind, presence_parts, server_error,
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

    let usual: Vec<_> = parse_frame(frame).collect();
    for level in Level::all() {
        let read: Vec<_> = parse_frame_as(frame, Reading::Structural(level)).collect();
        assert_eq!(read, usual);
    }
    let strict: Vec<_> = parse_frame_as(frame, Reading::Strict).collect();
    match usual.iter().zip(&strict).find(|(ours, theirs)| ours != theirs) {
        None => assert_eq!(usual.len(), strict.len()),
        // Only a strict fault may be overlooked, and only inside an envelope with a payload.
        Some((_, theirs)) => {
            assert!(theirs.is_err(), "the strict reading takes no more");
            assert!(frame.contains("pay") || frame.contains('\\'));
        }
    }
    for envelope in usual.iter().flatten() {
        assert_eq!(envelope.presence_parts(), envelope.payload.map(presence_parts).unwrap_or_default());
    }
});
