//! What a program may give as a payload: our check and serde_json are of one mind, and what is accepted survives the way
//! through a frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pondsocket::protocol::check::{name, object, text};
use pondsocket::protocol::{ClientAction, client_frame, parse_frame};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = text(bytes, "payload") else {
        assert!(std::str::from_utf8(bytes).is_err());
        return;
    };
    let event = json.split('\n').next().unwrap_or_default();
    if object(json, "payload").is_err() || name(event, "event").is_err() {
        return;
    }
    let frame = client_frame(ClientAction::Broadcast, event, "/room", "id", json);
    let frame = std::str::from_utf8(&frame).expect("a frame is text");
    let mut envelopes = parse_frame(frame);
    // Its action is a client's: as an envelope of a server it may be unknown, but it must be one JSON value.
    let first = envelopes.next().expect("one envelope");
    assert!(envelopes.next().is_none(), "a payload cannot become a second envelope");
    if let Ok(envelope) = first {
        assert_eq!(envelope.event, event);
        assert_eq!(envelope.payload.map(str::trim), Some(json.trim()));
    }
});
