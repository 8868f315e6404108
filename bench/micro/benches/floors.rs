//! What the floors do for each message, function by function.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use pondsocket::client::handlers::Found;
use pondsocket::client::pool::Pool;
use pondsocket::client::queue::{Bounds, Sink};
use pondsocket::client::{Delivered, EventQueue, Pulled};
use pondsocket::ffi::queue::{pond_queue_free, pond_queue_interrupt, pond_queue_new};
use pondsocket::ffi::types::pond_queue;
use pondsocket::protocol::{ClientAction, check, client_frame, parse_frame, presence_parts};
use pondsocket::session::{EventKind, EventMut, Field};

fn main() {
    divan::main();
}

const ORDERS: [&str; 3] = ["js", "python", "rust"];

fn envelope(order: &str, payload: &str) -> String {
    const ID: &str = "5f0c2a34-9d1e-4b7a-8c55-0123456789ab";
    match order {
        "js" => format!(
            r#"{{"event":"message","payload":{payload},"action":"BROADCAST","requestId":"{ID}","channelName":"/room/00"}}"#
        ),
        "python" => format!(
            r#"{{"action":"BROADCAST","event":"message","channelName":"/room/00","requestId":"{ID}","payload":{payload}}}"#
        ),
        _ => format!(
            r#"{{"action":"BROADCAST","channelName":"/room/00","requestId":"{ID}","payload":{payload},"event":"message"}}"#
        ),
    }
}

fn dense() -> String {
    let items: Vec<String> = (0..60)
        .map(|at| {
            format!(
                r#"{{"id":{at},"x":{},"y":{}.5,"on":true,"tag":"t{at}","at":[{at},-1,null]}}"#,
                at * 37,
                at * 91
            )
        })
        .collect();
    format!(r#"{{"x":[{}]}}"#, items.join(","))
}

fn text() -> String {
    format!(r#"{{"x":"{}"}}"#, "日本語の文章".repeat(215))
}

fn presence() -> String {
    let users: Vec<String> = (0..1000)
        .map(|user| {
            format!(r#"{{"id":"user-{user:04}","name":"Name of user {user:04}","status":"online","typing":false}}"#)
        })
        .collect();
    format!(r#"{{"changed":{{"id":"user-0007"}},"presence":[{}]}}"#, users.join(","))
}

fn parse(bencher: Bencher<'_, '_>, frame: &str) {
    bencher
        .counter(BytesCount::of_str(frame))
        .bench(|| parse_frame(divan::black_box(frame)).filter(Result::is_ok).count());
}

/// A small envelope: nearly all of it is keys.
#[divan::bench(args = ORDERS)]
fn envelope_parse(bencher: Bencher<'_, '_>, order: &str) {
    parse(
        bencher,
        &envelope(
            order,
            r#"{"n":"00000000","x":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
        ),
    );
}

/// Large payloads: nearly all of it is the scan for their end.
#[divan::bench(args = ["dense", "text", "presence"])]
fn payload_scan(bencher: Bencher<'_, '_>, kind: &str) {
    let payload = match kind {
        "dense" => dense(),
        "text" => text(),
        _ => presence(),
    };
    parse(bencher, &envelope("python", &payload));
}

#[divan::bench]
fn presence_members(bencher: Bencher<'_, '_>) {
    let payload = presence();
    bencher
        .counter(BytesCount::of_str(&payload))
        .bench(|| presence_parts(divan::black_box(&payload)).users.map(str::len));
}

#[divan::bench]
fn frame_build(bencher: Bencher<'_, '_>) {
    let payload = format!(r#"{{"n":"00000000","x":"{}"}}"#, "a".repeat(76));
    bencher.bench(|| {
        client_frame(
            ClientAction::Broadcast,
            "put",
            "/room/00",
            "5f0c2a34-9d1e-4b7a-8c55-0123456789ab",
            &payload,
        )
    });
}

#[divan::bench]
fn payload_check(bencher: Bencher<'_, '_>) {
    let payload = format!(r#"{{"n":"00000000","x":"{}"}}"#, "a".repeat(76));
    bencher
        .counter(BytesCount::of_str(&payload))
        .bench(|| check::object(divan::black_box(&payload), "payload").is_ok());
}

struct Nobody;

impl Sink for Nobody {
    fn deliver(&self, _event: &Delivered, _found: &mut Found) {}
    fn resume_reading(&self) {}
}

/// One batch in and out again, in events of one batch.
#[divan::bench(args = [1, 64])]
fn queue_push_pop(bencher: Bencher<'_, '_>, batch: u32) {
    let queue = EventQueue::new(Arc::new(Pool::default()), false);
    let bounds = Bounds {
        events: 10_000,
        bytes: 16 << 20,
        dropped: 100,
    };
    let source = queue.attach(Arc::new(Nobody), bounds);
    let events = || -> Vec<Delivered> {
        (0..batch)
            .map(|_| {
                let fields = [(Field::Name, "message"), (Field::Payload, "{}")];
                Delivered::new(EventMut::with_text(EventKind::Message, &fields).freeze())
            })
            .collect()
    };
    bencher.counter(batch).with_inputs(events).bench_values(|mut events| {
        let news = queue.push(source, &mut events);
        queue.announce(news);
        let pulled = queue.pull(0, batch, &mut |event| events.push(event));
        assert_eq!(pulled, Pulled::Events(batch), "they are there");
        events
    });
}

/// An exported function that does next to nothing: guard, registry, and the way there.
#[divan::bench]
fn handle_lookup(bencher: Bencher<'_, '_>) {
    let mut queue: *mut pond_queue = std::ptr::null_mut();
    // SAFETY: the place for the handle is a local variable.
    let status = unsafe { pond_queue_new(&raw mut queue) };
    assert_eq!(status, 0, "a queue is made");
    bencher.bench_local(|| pond_queue_interrupt(divan::black_box(queue)));
    pond_queue_free(queue);
}

/// The same with a handle that was freed.
#[divan::bench]
fn stale_handle(bencher: Bencher<'_, '_>) {
    let mut queue: *mut pond_queue = std::ptr::null_mut();
    // SAFETY: the place for the handle is a local variable.
    let status = unsafe { pond_queue_new(&raw mut queue) };
    assert_eq!(status, 0, "a queue is made");
    pond_queue_free(queue);
    bencher.bench_local(|| pond_queue_interrupt(divan::black_box(queue)));
}
