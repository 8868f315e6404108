//! Blocks: what stands in them, who may change them, and how they are used again.

use super::*;
use crate::session::spare::{Spares, USUAL};

#[test]
fn a_spare_block_is_of_the_size_that_its_text_was_chosen_for() {
    // With the count, the length, and the eight bytes that an allocator needs.
    #[cfg(target_pointer_width = "64")]
    assert!(size_of::<Head>() + USUAL + 24 <= 512);
}

#[test]
fn parts_are_found_in_the_copy_or_appended() {
    let text = r#"{"event":"e","payload":{"a":1},"channelName":"\/c"}"#;
    let payload = &text[text.find("{\"a").unwrap()..][..7];
    let parts = [
        (Field::Name, Some(&text[10..11])),
        (Field::Payload, Some(payload)),
        (Field::ChannelName, Some("/c")),
        (Field::RequestId, Some("")),
        (Field::Users, None),
    ];
    let event = EventMut::from_frame(EventKind::Message, text, &parts, &mut Spares::new()).freeze();
    assert_eq!(event.text(Field::Name), Some("e"));
    assert_eq!(event.bytes_with_nul(Field::Payload), Some(&b"{\"a\":1}\0"[..]));
    assert_eq!(event.bytes_with_nul(Field::ChannelName), Some(&b"/c\0"[..]));
    assert_eq!(event.text(Field::RequestId), None);
    assert_eq!(event.text(Field::Users), None);
    assert_eq!(
        event.block_len(),
        text.len() + 3,
        "one copy of the frame, and what was decoded"
    );
    assert_eq!(event.frame_bytes as usize, text.len());
}

#[test]
fn a_part_without_a_delimiter_behind_it_is_copied() {
    let text = "ab";
    let event = EventMut::from_frame(
        EventKind::Message,
        text,
        &[(Field::Name, Some(&text[1..]))],
        &mut Spares::new(),
    )
    .freeze();
    assert_eq!(event.bytes_with_nul(Field::Name), Some(&b"b\0"[..]));
}

/// A message whose parts are these.
fn message(payload: &str, request_id: &str, spares: &mut Spares) -> (String, Event) {
    let frame = format!(
        r#"{{"action":"BROADCAST","event":"e","channelName":"/c","requestId":"{request_id}","payload":{{"a":"{payload}"}}}}"#
    );
    let usual = crate::protocol::parse_frame(&frame).next_usual().unwrap();
    let event = EventMut::message(&frame, &usual, 7, spares).freeze();
    assert_eq!(event.text(Field::Payload), Some(&*format!(r#"{{"a":"{payload}"}}"#)));
    assert_eq!(event.text(Field::RequestId), Some(request_id));
    assert_eq!(
        (event.text(Field::Name), event.text(Field::ChannelName)),
        (Some("e"), Some("/c"))
    );
    assert_eq!(
        (event.block_len(), event.frame_bytes as usize),
        (frame.len(), frame.len())
    );
    (frame, event)
}

#[test]
fn a_block_that_is_used_again_shows_nothing_of_what_it_held() {
    let mut spares = Spares::new();
    let (_, first) = message(&"secret ".repeat(30), "first", &mut spares);
    let block = first.as_thin().as_ptr();
    spares.keep(first);
    let (frame, second) = message("b", "second", &mut spares);
    assert_eq!(second.as_thin().as_ptr(), block);
    assert!(spares.is_empty());
    let fields = [
        Field::Changed,
        Field::Users,
        Field::Message,
        Field::ErrorCode,
        Field::Details,
    ];
    for field in fields {
        assert_eq!(second.bytes_with_nul(field), None);
    }
    for field in [Field::Name, Field::Payload, Field::ChannelName, Field::RequestId] {
        let shown = second.bytes_with_nul(field).unwrap();
        assert!(frame.contains(std::str::from_utf8(shown.split_last().unwrap().1).unwrap()));
    }
    let fresh = message("b", "second", &mut spares).1;
    assert_eq!(
        format!("{second:?}"),
        format!("{fresh:?}"),
        "the numbers are new as well"
    );
}

struct Tied;
impl Attached for Tied {}

#[test]
fn only_the_last_holder_makes_a_block_a_spare_one() {
    let mut spares = Spares::new();
    let (_, first) = message("a", "id", &mut spares);
    spares.keep(first.clone());
    assert!(spares.is_empty(), "somebody else holds it");
    let mut first = first;
    assert!(first.edit(|head| head.attachment = Some(Box::new(Tied))));
    spares.keep(first.clone());
    assert!(spares.is_empty());
    assert!(
        first.attachment.is_some(),
        "what is tied to it stays with those who hold it"
    );
    spares.keep(first);
    let spare = spares.take(1).unwrap();
    assert!(spare.0.header.header.attachment.is_none(), "it goes with the last one");
    spares.keep(EventMut::new(EventKind::Dropped).freeze());
    assert!(spares.is_empty(), "it has no room for text");
}

#[test]
fn a_large_block_is_used_again_for_what_fills_half_of_it() {
    let mut spares = Spares::new();
    let (_, first) = message(&"secret ".repeat(200), "id", &mut spares);
    let (block, size) = (first.as_thin().as_ptr(), first.block_len());
    spares.keep(first);
    assert_eq!((spares.len(), spares.large_text()), (1, size));
    let (_, small) = message("a", "id", &mut spares);
    assert_eq!(spares.len(), 1, "it is for large ones");
    let (_, second) = message(&"b".repeat(1000), "id", &mut spares);
    assert_eq!(second.as_thin().as_ptr(), block);
    assert_eq!((spares.len(), spares.large_text()), (0, 0));
    for payload in [400, 2000] {
        let (_, other) = message(&"c".repeat(1000), "id", &mut spares);
        spares.keep(other);
        let (_, fresh) = message(&"d".repeat(payload), "id", &mut spares);
        assert!(spares.is_empty(), "one that does not fit goes");
        assert_eq!(fresh.capacity(), fresh.block_len());
    }
    drop((small, second));
}

#[test]
fn what_is_kept_of_large_blocks_is_bounded() {
    let (mut kept, mut more) = (Spares::new(), Spares::new());
    for _ in 0..100 {
        for _ in 0..4 {
            let (_, event) = message(&"x".repeat(50_000), "id", &mut Spares::new());
            more.keep(event);
        }
        kept.append(&mut more);
        more.clear();
        assert_eq!(more.large_text(), 0);
    }
    assert!((1 << 20..2 << 20).contains(&kept.large_text()), "{}", kept.large_text());
    let (_, event) = message(&"x".repeat(300_000), "id", &mut Spares::new());
    let before = kept.len();
    kept.keep(event);
    assert_eq!(kept.len(), before, "it is too large");
}

#[test]
fn only_the_one_holder_of_an_event_can_change_it() {
    let mut event = EventMut::new(EventKind::Dropped).freeze();
    assert!(event.edit(|head| head.count = 3));
    let other = event.clone();
    assert!(!event.edit(|head| head.count = 4));
    assert_eq!((event.count, other.count), (3, 3));
}
