use super::view::{pond_event_read, pond_event_view};
use super::*;
use crate::client::{Callback, Completion};
use crate::session::{EventKind, EventMut};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

type Getter = unsafe extern "C" fn(*const pond_event, *mut usize) -> *const c_char;
type Number = unsafe extern "C" fn(*const pond_event) -> i32;
type Count = unsafe extern "C" fn(*const pond_event) -> u32;
type ByName = unsafe extern "C" fn(*const pond_event, *const c_char, *mut usize) -> *const c_char;

const TEXTS: [(Getter, Field, &str); 9] = [
    (pond_event_name, Field::Name, ""),
    (pond_event_payload, Field::Payload, "{}"),
    (pond_event_changed, Field::Changed, "{}"),
    (pond_event_users, Field::Users, "[]"),
    (pond_event_message, Field::Message, ""),
    (pond_event_error_code, Field::ErrorCode, ""),
    (pond_event_details, Field::Details, "null"),
    (pond_event_channel_name, Field::ChannelName, ""),
    (pond_event_request_id, Field::RequestId, ""),
];

/// Reads a text both ways: by length, and by its NUL.
fn copied(pointer: *const c_char, len: usize) -> String {
    // SAFETY: the texts of events have `len` bytes and a NUL.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len + 1) };
    assert_eq!(bytes[len], 0, "no NUL after the text");
    String::from_utf8(bytes[..len].to_vec()).unwrap()
}

fn read(getter: Getter, event: *const pond_event) -> String {
    let mut len = usize::MAX;
    // SAFETY: `event` is NULL or live, `len` is NULL or writable.
    let pointer = unsafe { getter(event, &mut len) };
    // SAFETY: likewise.
    assert_eq!(unsafe { getter(event, null_mut()) }, pointer, "`len` may be NULL");
    copied(pointer, len)
}

fn by_name(getter: ByName, event: *const pond_event, name: &CStr) -> Option<String> {
    let mut len = usize::MAX;
    // SAFETY: `event` is NULL or live, the others are valid.
    let pointer = unsafe { getter(event, name.as_ptr(), &mut len) };
    if pointer.is_null() {
        assert_eq!(len, 0);
        return None;
    }
    Some(copied(pointer, len))
}

/// A full event: every number is another one, every text says which it is.
fn full() -> Event {
    let text = [
        (Field::Name, "user/7?x=1&y=%C3%A4"),
        (Field::Payload, r#"{"a": 1}"#),
        (Field::Changed, r#"{"b":2}"#),
        (Field::Users, r#"[{"c":3}]"#),
        (Field::Message, "with a\0nul"),
        (Field::ErrorCode, "NOT_FOUND"),
        (Field::Details, r#"{"d":4}"#),
        (Field::ChannelName, "/chat/1"),
        (Field::RequestId, "id-1"),
    ];
    let mut event = EventMut::with_text(EventKind::Reply, &text);
    event.status = -42;
    event.state = 13;
    event.previous_state = 12;
    event.presence_kind = 2;
    event.http_status = 404;
    event.close_code = 1006;
    event.level = 3;
    event.attempt = 5;
    event.retry_ms = u32::MAX;
    event.connect_count = 6;
    event.in_doubt = 7;
    event.count = 8;
    event.ticket = (1 << 53) - 1;
    event.client = 0x1001;
    event.channel = 0x1003;
    event.freeze()
}

/// The user data of a request: counts its end, or dies of it.
struct UserData {
    ended: &'static AtomicUsize,
    panics: bool,
}

impl Callback for UserData {
    fn call(&self, _: &Event) {}

    fn destroy(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "on purpose");
    }

    fn is_callable(&self) -> bool {
        false
    }
}

fn reply(event: Event, ended: &'static AtomicUsize, panics: bool) -> Delivered {
    let mut event = event;
    event.edit(|head| {
        head.user_data = 0x77;
        head.attachment = Some(Box::new(Completion::new(UserData { ended, panics })));
    });
    Delivered::new(event)
}

fn owned(event: Event) -> *mut pond_event {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    into_raw(reply(event, &ENDED, false))
}

fn blank_view() -> pond_event_view {
    // SAFETY: numbers and raw pointers may be all zero.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn free(event: *mut pond_event) {
    // SAFETY: called once per reference by the tests.
    unsafe { pond_event_free(event) };
}

#[test]
fn accessors_tell_what_the_event_holds() {
    let source = full();
    let event = owned(full());
    for (getter, field, _) in TEXTS {
        assert_eq!(read(getter, event), source.text(field).unwrap(), "{field:?}");
    }
    let numbers: [(Number, i32); 8] = [
        (pond_event_kind, 15),
        (pond_event_status, -42),
        (pond_event_state, 13),
        (pond_event_previous_state, 12),
        (pond_event_presence_kind, 2),
        (pond_event_http_status, 404),
        (pond_event_close_code, 1006),
        (pond_event_level, 3),
    ];
    for (getter, expected) in numbers {
        // SAFETY: the event is live.
        assert_eq!(unsafe { getter(event) }, expected);
    }
    let counts: [(Count, u32); 5] = [
        (pond_event_attempt, 5),
        (pond_event_retry_ms, u32::MAX),
        (pond_event_connect_count, 6),
        (pond_event_in_doubt, 7),
        (pond_event_count, 8),
    ];
    for (getter, expected) in counts {
        // SAFETY: the event is live.
        assert_eq!(unsafe { getter(event) }, expected);
    }
    // SAFETY: the event is live.
    unsafe {
        assert_eq!(pond_event_ticket(event), (1 << 53) - 1);
        assert_eq!(pond_event_client(event).addr(), 0x1001);
        assert_eq!(pond_event_channel(event).addr(), 0x1003);
        assert_eq!(pond_event_user_data(event).addr(), 0x77);
    }
    free(event);
}

#[test]
fn absent_fields_and_null_read_as_empty() {
    let event = into_raw(Delivered::new(EventMut::new(EventKind::Wake).freeze()));
    for event in [event.cast_const(), null()] {
        for (getter, field, absent) in TEXTS {
            assert_eq!(read(getter, event), absent, "{field:?}");
        }
        let numbers: [Number; 7] = [
            pond_event_status,
            pond_event_state,
            pond_event_previous_state,
            pond_event_presence_kind,
            pond_event_http_status,
            pond_event_close_code,
            pond_event_level,
        ];
        for getter in numbers {
            // SAFETY: NULL or live.
            assert_eq!(unsafe { getter(event) }, 0);
        }
        let counts: [Count; 5] = [
            pond_event_attempt,
            pond_event_retry_ms,
            pond_event_connect_count,
            pond_event_in_doubt,
            pond_event_count,
        ];
        for getter in counts {
            // SAFETY: NULL or live.
            assert_eq!(unsafe { getter(event) }, 0);
        }
        // SAFETY: NULL or live.
        unsafe {
            assert_eq!(pond_event_ticket(event), 0);
            assert!(pond_event_client(event).is_null());
            assert!(pond_event_channel(event).is_null());
            assert!(pond_event_user_data(event).is_null());
        }
        assert_eq!(by_name(pond_event_param, event, c"id"), None);
        assert_eq!(by_name(pond_event_query, event, c"x"), None);
    }
    // SAFETY: NULL or live.
    unsafe {
        assert_eq!(pond_event_kind(event), 91);
        assert_eq!(pond_event_kind(null()), 0);
        assert!(pond_event_retain(null()).is_null());
        pond_event_free(null_mut());
    }
    free(event);
}

#[test]
fn a_match_answers_for_params_and_query() {
    let event = owned(full());
    let mut out = null_mut();
    // SAFETY: all pointers are valid.
    let status = unsafe { pond_event_match(event, c"user/:id".as_ptr(), &mut out) };
    assert_eq!(status, status::OK);
    // The match holds the event itself.
    free(event);
    assert_eq!(by_name(pond_event_param, out, c"id").as_deref(), Some("7"));
    assert_eq!(by_name(pond_event_param, out, c"x"), None);
    assert_eq!(by_name(pond_event_query, out, c"x").as_deref(), Some("1"));
    assert_eq!(by_name(pond_event_query, out, c"y").as_deref(), Some("ä"));
    assert_eq!(by_name(pond_event_query, out, c"id"), None);
    assert_eq!(read(pond_event_payload, out), r#"{"a": 1}"#);
    // SAFETY: `out` is live; NULL is allowed, and so is a name that is not UTF-8.
    unsafe {
        assert_eq!(pond_event_user_data(out).addr(), 0x77);
        assert!(pond_event_param(out, null(), null_mut()).is_null());
        assert!(pond_event_query(out, null(), null_mut()).is_null());
        assert!(pond_event_param(out, c"\xff".as_ptr(), null_mut()).is_null());
        assert!(!pond_event_param(out, c"id".as_ptr(), null_mut()).is_null());
    }
    free(out);
}

#[test]
fn what_does_not_match_is_empty_and_what_cannot_is_refused() {
    let event = owned(full());
    let nameless = into_raw(Delivered::new(EventMut::new(EventKind::Writable).freeze()));
    let cases: [(*const pond_event, *const c_char, i32); 8] = [
        (event, c"user".as_ptr(), status::EMPTY),
        (event, c"".as_ptr(), status::INVALID_ARGUMENT),
        (event, c"a/*/b/*".as_ptr(), status::INVALID_ARGUMENT),
        (event, c"\xff".as_ptr(), status::INVALID_UTF8),
        (event, null(), status::INVALID_ARGUMENT),
        (nameless, c"*".as_ptr(), status::EMPTY),
        (null(), c"*".as_ptr(), status::EMPTY),
        (null(), c"".as_ptr(), status::INVALID_ARGUMENT),
    ];
    for (index, (event, pattern, expected)) in cases.into_iter().enumerate() {
        let mut out = std::ptr::dangling_mut();
        // SAFETY: every pointer is NULL or valid.
        let status = unsafe { pond_event_match(event, pattern, &mut out) };
        assert_eq!(status, expected, "case {index}");
        assert!(out.is_null(), "case {index}: the output is zeroed");
    }
    // SAFETY: every pointer is NULL or valid.
    let status = unsafe { pond_event_match(event, c"*".as_ptr(), null_mut()) };
    assert_eq!(status, status::INVALID_ARGUMENT);
    free(event);
    free(nameless);
}

#[test]
fn the_last_reference_lets_go() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    let arc = reply(full(), &ENDED, false);
    let borrowed = borrow(arc.as_event());
    // SAFETY: `arc` keeps the event alive.
    let kept = unsafe { pond_event_retain(borrowed) };
    assert_eq!(kept.cast_const(), borrowed, "the same event");
    drop(arc);
    let mut matched = null_mut();
    // SAFETY: `kept` is live, the others are valid.
    let status = unsafe { pond_event_match(kept, c"*".as_ptr(), &mut matched) };
    assert_eq!(status, status::OK);
    free(kept);
    assert_eq!(ENDED.load(Ordering::SeqCst), 0);
    free(matched);
    assert_eq!(ENDED.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_of_what_a_free_sets_off_stays_inside() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    free(into_raw(reply(full(), &ENDED, true)));
    assert_eq!(ENDED.load(Ordering::SeqCst), 1);
}

#[test]
fn a_view_reads_as_the_accessors_do() {
    let event = owned(full());
    for event in [event.cast_const(), null()] {
        let mut view = blank_view();
        // SAFETY: all pointers are valid.
        let status = unsafe { pond_event_read(event, &mut view, size_of::<pond_event_view>()) };
        assert_eq!(status, status::OK);
        let texts: [(Getter, *const c_char, usize); 9] = [
            (pond_event_name, view.name, view.name_len),
            (pond_event_payload, view.payload, view.payload_len),
            (pond_event_changed, view.changed, view.changed_len),
            (pond_event_users, view.users, view.users_len),
            (pond_event_message, view.message, view.message_len),
            (pond_event_error_code, view.error_code, view.error_code_len),
            (pond_event_details, view.details, view.details_len),
            (pond_event_channel_name, view.channel_name, view.channel_name_len),
            (pond_event_request_id, view.request_id, view.request_id_len),
        ];
        for (getter, pointer, len) in texts {
            assert_eq!(copied(pointer, len), read(getter, event));
        }
        // SAFETY: NULL or live.
        unsafe {
            assert_eq!(view.kind, pond_event_kind(event));
            assert_eq!(view.status, pond_event_status(event));
            assert_eq!(view.state, pond_event_state(event));
            assert_eq!(view.previous_state, pond_event_previous_state(event));
            assert_eq!(view.presence_kind, pond_event_presence_kind(event));
            assert_eq!(view.http_status, pond_event_http_status(event));
            assert_eq!(view.attempt, pond_event_attempt(event));
            assert_eq!(view.retry_ms, pond_event_retry_ms(event));
            assert_eq!(view.connect_count, pond_event_connect_count(event));
            assert_eq!(view.count, pond_event_count(event));
            assert_eq!(view.ticket, pond_event_ticket(event));
            assert_eq!(view.client, pond_event_client(event));
            assert_eq!(view.channel, pond_event_channel(event));
            assert_eq!(view.user_data, pond_event_user_data(event));
        }
    }
    free(event);
}

#[test]
fn a_view_of_another_size_is_filled_up_to_it() {
    let event = owned(full());
    let mut whole = blank_view();
    let size = size_of::<pond_event_view>();
    // SAFETY: all pointers are valid.
    assert_eq!(unsafe { pond_event_read(event, &mut whole, size) }, status::OK);
    // SAFETY: the struct has no padding between 32 bit pairs and pointers, so that all its bytes are written.
    let whole = unsafe { std::slice::from_raw_parts((&raw const whole).cast::<u8>(), size) }.to_vec();
    for asked in [1, 4, 24, 41, size - 1, size, size + 32] {
        let mut bytes = vec![0xAA_u8; size + 64];
        // SAFETY: `bytes` has more than `asked` bytes; the callee writes bytes, so that no alignment is needed.
        let status = unsafe { pond_event_read(event, bytes.as_mut_ptr().cast(), asked) };
        assert_eq!(status, status::OK);
        let known = asked.min(size);
        assert_eq!(bytes[..known], whole[..known], "size {asked}");
        assert!(bytes[known..asked].iter().all(|byte| *byte == 0), "size {asked}");
        assert!(bytes[asked..].iter().all(|byte| *byte == 0xAA), "size {asked}");
    }
    let mut view = blank_view();
    // SAFETY: NULL or valid.
    unsafe {
        assert_eq!(pond_event_read(event, null_mut(), size), status::INVALID_ARGUMENT);
        assert_eq!(pond_event_read(event, &mut view, 0), status::INVALID_ARGUMENT);
    }
    free(event);
}
