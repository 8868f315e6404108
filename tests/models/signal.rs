//! The descriptor of a queue: readable while something waits, never forgotten, and quiet once nothing does.

use std::sync::Arc;
use std::time::Duration;

use crate::client::announce::News;
use crate::client::handlers::Selector;
use crate::client::queue::EventQueue;
use crate::client::signal::set_maker;
use crate::client::sync::Patience;
use crate::stand_in::fs;
use crate::support::{Got, Pulls, Seen, To, WIDE, check, handler, message, pool, pull, push, sorted, spawn};

fn polled() -> (Arc<EventQueue>, i32) {
    set_maker(fs::descriptor);
    let queue = EventQueue::new(pool(), false);
    let fd = queue.fd().unwrap();
    (queue, fd)
}

/// A poll that waits: without a wake-up it never ends, and the model runs out of steps.
fn poll(fd: i32) {
    while !fs::is_readable(fd) {
        std::thread::yield_now();
    }
}

/// Two threads push: one message by message, one as the driver does, who tells of two batches at once.
fn push_four(queue: &Arc<EventQueue>, source: usize) -> [std::thread::JoinHandle<()>; 2] {
    let (one, two) = (Arc::clone(queue), Arc::clone(queue));
    [
        spawn(move || {
            push(&one, source, [message(1)]);
            push(&one, source, [message(2)]);
        }),
        spawn(move || {
            let mut news = News::default();
            for number in [3, 4] {
                news.add(two.push(source, &mut vec![message(number)]));
            }
            two.announce(news);
        }),
    ]
}

#[test]
fn who_only_pulls_when_the_descriptor_is_readable_misses_nothing() {
    check(|| {
        let (queue, fd) = polled();
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pushers = push_four(&queue, source);
        let mut numbers = Vec::new();
        // At first without looking: what is taken may be told only then.
        let mut unasked = 3;
        while numbers.len() < 4 {
            if unasked == 0 {
                poll(fd);
            }
            unasked = u32::saturating_sub(unasked, 1);
            // One only: what is left must keep it readable.
            match pull(&queue, 0, 1) {
                Got::Events(events) => numbers.push(events[0].event().ticket),
                _ => std::thread::yield_now(),
            }
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(sorted(numbers), [1, 2, 3, 4]);
        assert!(!fs::is_readable(fd), "readable, and nothing waits");
    });
}

#[test]
fn who_only_dispatches_when_the_descriptor_is_readable_misses_nothing() {
    check(|| {
        let (queue, fd) = polled();
        let seen = Arc::new(Seen::default());
        let registration = handler(Selector::Message, &seen, |_| {});
        let source = queue.attach(Arc::new(To(Arc::clone(&registration))), WIDE);
        let pushers = push_four(&queue, source);
        let mut taken = 0;
        while taken < 4 {
            poll(fd);
            taken += queue.dispatch(2, Duration::ZERO);
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(sorted(seen.numbers()), [1, 2, 3, 4]);
        assert!(!fs::is_readable(fd), "readable, and nothing waits");
        registration.cancel(Patience::Forever);
        seen.destroyed_once();
    });
}

#[test]
fn an_interrupt_is_to_be_seen_until_it_is_taken() {
    check(|| {
        let (queue, fd) = polled();
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pushers = push_four(&queue, source);
        let interrupter = spawn({
            let queue = Arc::clone(&queue);
            move || queue.interrupt()
        });
        let (mut taken, mut interrupts) = (0, 0);
        while taken < 4 || interrupts < 1 {
            poll(fd);
            match pull(&queue, 0, 4) {
                Got::Events(events) => taken += events.len(),
                Got::Interrupted => interrupts += 1,
                Got::Empty => {}
                other => panic!("{other:?}"),
            }
        }
        for thread in pushers.into_iter().chain([interrupter]) {
            thread.join().unwrap();
        }
        assert_eq!((taken, interrupts), (4, 1));
        assert!(!fs::is_readable(fd), "readable, and nothing waits");
    });
}
