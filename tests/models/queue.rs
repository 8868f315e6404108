//! Push against pull, interrupt, close; dispatch against close and detach.

use std::sync::Arc;
use std::time::Duration;

use crate::client::delivered::Delivered;
use crate::client::handlers::Selector;
use crate::client::queue::{Bounds, EventQueue};
use crate::client::sync::Patience;
use crate::session::{EventKind, EventMut, status};
use crate::support::{Got, Pulls, Seen, To, WIDE, check, handler, message, pool, pull, push, sorted, spawn, waiting};

const FOREVER: u32 = u32::MAX;

fn one(pulled: Got) -> u64 {
    match pulled {
        Got::Events(events) if events.len() == 1 => events[0].event().ticket,
        other => panic!("one event expected: {other:?}"),
    }
}

#[test]
fn every_event_wakes_the_puller_that_waits_for_it() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        // As many waits as events: one lost wake-up leaves one of them waiting.
        let pullers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(move || one(pull(&queue, FOREVER, 1)))
            })
            .collect();
        let pusher = spawn({
            let queue = Arc::clone(&queue);
            move || push(&queue, source, [message(1), message(2)])
        });
        push(&queue, source, [message(3)]);
        push(&queue, source, [message(4)]);
        pusher.join().unwrap();
        let numbers = pullers.into_iter().map(|puller| puller.join().unwrap()).collect();
        assert_eq!(sorted(numbers), [1, 2, 3, 4]);
    });
}

#[test]
fn waits_that_end_in_time_lose_nothing_and_keep_the_order() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pusher = spawn({
            let queue = Arc::clone(&queue);
            move || {
                push(&queue, source, [message(1)]);
                push(&queue, source, [message(2), message(3)]);
            }
        });
        let pull_thrice = |queue: Arc<EventQueue>| {
            let mut numbers = Vec::new();
            for _ in 0..3 {
                match pull(&queue, 10, 2) {
                    Got::Events(events) => numbers.extend(events.iter().map(|event| event.event().ticket)),
                    Got::TimedOut => {}
                    Got::Closed => break,
                    other => panic!("{other:?}"),
                }
            }
            numbers
        };
        let puller = spawn({
            let queue = Arc::clone(&queue);
            move || pull_thrice(queue)
        });
        pusher.join().unwrap();
        // Everything is there: whatever the other one leaves is found without waiting.
        let mut numbers = Vec::new();
        while let Got::Events(events) = pull(&queue, 0, 1) {
            numbers.push(events[0].event().ticket);
        }
        // It may still wait for the end of its time: nothing else ends that.
        queue.close(Patience::Forever);
        let others = puller.join().unwrap();
        for numbers in [&numbers, &others] {
            assert_eq!(*numbers, sorted(numbers.clone()), "out of order");
        }
        numbers.extend(others);
        assert_eq!(sorted(numbers), [1, 2, 3]);
    });
}

#[test]
fn a_full_queue_has_its_reader_go_on_once_there_is_room() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let sink = Arc::new(Pulls::default());
        let bounds = Bounds { events: 2, ..WIDE };
        let source = queue.attach(sink.clone(), bounds);
        let reader = spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut resumed = 0;
                for number in 1..=5 {
                    while queue.room(source, 1) == 0 {
                        resumed = sink.resumed.reaches(resumed + 1);
                    }
                    push(&queue, source, [message(number)]);
                    assert!(queue.backlog(source).events <= 2, "beyond the bound");
                }
            }
        });
        for number in 1..=5 {
            assert_eq!(one(pull(&queue, FOREVER, 1)), number);
        }
        reader.join().unwrap();
        assert_eq!(queue.backlog(source).events, 0);
    });
}

#[test]
fn an_interrupt_ends_one_pull_waiting_or_next() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pullers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(move || matches!(pull(&queue, FOREVER, 1), Got::Interrupted))
            })
            .collect();
        let interrupter = spawn({
            let queue = Arc::clone(&queue);
            move || queue.interrupt()
        });
        push(&queue, source, [message(1)]);
        interrupter.join().unwrap();
        let interrupted = pullers.into_iter().map(|puller| puller.join().unwrap());
        assert_eq!(interrupted.filter(|interrupted| *interrupted).count(), 1);
        assert!(matches!(pull(&queue, 0, 1), Got::Empty));
    });
}

#[test]
fn a_close_ends_every_pull() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pullers: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(move || {
                    let mut taken = 0;
                    loop {
                        match pull(&queue, FOREVER, 2) {
                            Got::Events(events) => taken += events.len(),
                            Got::Closed => return taken,
                            other => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        let pusher = spawn({
            let queue = Arc::clone(&queue);
            move || push(&queue, source, [message(1), message(2)])
        });
        assert!(!queue.close(Patience::Forever), "a client uses it");
        let taken: usize = pullers.into_iter().map(|puller| puller.join().unwrap()).sum();
        pusher.join().unwrap();
        assert!(taken <= 2);
        assert_eq!(queue.detach(source, Patience::Forever).len(), 0);
    });
}

#[test]
fn one_thread_at_a_time_dispatches_and_none_after_the_detach() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let seen = Arc::new(Seen::default());
        let registration = handler(Selector::Message, &seen, {
            let (queue, seen) = (Arc::downgrade(&queue), Arc::downgrade(&seen));
            move |_| {
                let again = queue.upgrade().unwrap().dispatch(1, Duration::ZERO);
                if again != status::WOULD_DEADLOCK {
                    seen.upgrade().unwrap().fault("dispatched inside a dispatch");
                }
            }
        });
        let source = queue.attach(Arc::new(To(Arc::clone(&registration))), WIDE);
        push(&queue, source, [message(1)]);
        let dispatchers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(move || {
                    let mut taken = 0;
                    for _ in 0..2 {
                        match queue.dispatch(0, Duration::ZERO) {
                            status::BUSY => {}
                            count if count >= 0 => taken += count,
                            other => panic!("status {other}"),
                        }
                    }
                    taken
                })
            })
            .collect();
        let pusher = spawn({
            let queue = Arc::clone(&queue);
            move || {
                push(&queue, source, [message(2), message(3)]);
                push(&queue, source, [message(4)]);
            }
        });
        let closer = spawn({
            let queue = Arc::clone(&queue);
            move || queue.close(Patience::Forever)
        });
        queue.detach(source, Patience::Forever);
        // Without the cancel of a whole client: the detach alone keeps the promise.
        let called = seen.numbers();
        assert!(registration.cancel(Patience::None), "the detach has not waited");
        seen.has_ended();
        closer.join().unwrap();
        pusher.join().unwrap();
        let taken: i32 = dispatchers.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(seen.numbers(), called, "called after the detach");
        assert_eq!(called, (1..=called.len() as u64).collect::<Vec<_>>(), "out of order");
        assert!(taken as usize >= called.len());
        seen.destroyed_once();
    });
}

#[test]
fn what_a_dispatch_has_taken_and_not_delivered_is_still_the_next_for_who_pulls() {
    check(|| {
        let queue = EventQueue::new(pool(), false);
        let seen = Arc::new(Seen::default());
        let pulled = Arc::new(real_std::sync::Mutex::new(Vec::new()));
        let registration = handler(Selector::Message, &seen, {
            let (queue, pulled) = (Arc::downgrade(&queue), Arc::clone(&pulled));
            move |event| {
                if event.event().ticket % 2 == 1
                    && let Got::Events(events) = pull(&queue.upgrade().unwrap(), 0, 1)
                {
                    pulled.lock().unwrap().push(events[0].event().ticket);
                }
            }
        });
        let source = queue.attach(Arc::new(To(Arc::clone(&registration))), WIDE);
        let dispatch = || while queue.dispatch(3, Duration::ZERO) > 0 {};
        // Inside of a handler: what follows its event.
        push(&queue, source, (1..=6).map(message));
        dispatch();
        assert_eq!(
            (seen.numbers(), pulled.lock().unwrap().clone()),
            (vec![1, 3, 5], vec![2, 4, 6])
        );
        // On another thread: whatever is next, so that everybody sees a part, in order.
        push(&queue, source, (7..=12).map(message));
        let puller = spawn({
            let queue = Arc::clone(&queue);
            move || match pull(&queue, 0, 2) {
                Got::Events(events) => events.iter().map(|event| event.event().ticket).collect(),
                _ => Vec::new(),
            }
        });
        dispatch();
        let parts = [puller.join().unwrap(), seen.numbers(), pulled.lock().unwrap().clone()];
        for numbers in &parts {
            assert_eq!(*numbers, sorted(numbers.clone()), "out of order");
        }
        assert_eq!(sorted(parts.concat()), (1..=12).collect::<Vec<_>>());
        assert_eq!(queue.backlog(source).events, 0);
        registration.cancel(Patience::Forever);
        seen.destroyed_once();
    });
}

#[test]
fn a_detach_inside_a_handler_leaves_nothing_to_deliver() {
    check(|| {
        let pool = pool();
        let queue = EventQueue::new(Arc::clone(&pool), true);
        let (seen, reply) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let place = Arc::new(real_std::sync::OnceLock::new());
        let registration = handler(Selector::Message, &seen, {
            let (queue, place, seen) = (Arc::downgrade(&queue), Arc::clone(&place), Arc::downgrade(&seen));
            move |event| {
                if event.event().ticket == 2 {
                    let replies = queue
                        .upgrade()
                        .unwrap()
                        .detach(*place.get().unwrap(), Patience::Forever);
                    if replies.len() != 1 {
                        seen.upgrade()
                            .unwrap()
                            .fault("a reply that waits is not answered by who detaches");
                    }
                }
            }
        });
        let source = queue.attach(Arc::new(To(Arc::clone(&registration))), WIDE);
        place.set(source).unwrap();
        let mut answer = EventMut::new(EventKind::Reply);
        answer.attachment = Some(waiting(&reply));
        push(
            &queue,
            source,
            [message(1), message(2), message(3), Delivered::new(answer.freeze())],
        );
        seen.called.reaches(2);
        assert!(pool.stop(None));
        registration.cancel(Patience::Forever);
        assert_eq!(seen.numbers(), [1, 2]);
        seen.destroyed_once();
        assert_eq!(reply.numbers(), [0_u64; 0], "answered by who took it out");
        reply.destroyed_once();
    });
}
