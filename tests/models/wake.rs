//! The wake function: once per empty -> not empty, never lost, never two at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::client::handlers::Selector;
use crate::client::pool::Pool;
use crate::client::queue::EventQueue;
use crate::support::{Got, Pulls, Seen, To, WIDE, check, handler, message, pool, pull, push, sorted, spawn};

fn waking(pool: &Arc<Pool>) -> (Arc<EventQueue>, Arc<Seen>) {
    let queue = EventQueue::new(Arc::clone(pool), false);
    let seen = Arc::new(Seen::default());
    queue.set_wake(Some(handler(Selector::Wake, &seen, |_| {})));
    (queue, seen)
}

fn push_three(queue: &Arc<EventQueue>, source: usize) -> [std::thread::JoinHandle<()>; 2] {
    let pusher = |queue: Arc<EventQueue>, numbers: Vec<u64>| {
        spawn(move || {
            for number in numbers {
                push(&queue, source, [message(number)]);
            }
        })
    };
    [
        pusher(Arc::clone(queue), vec![1, 2]),
        pusher(Arc::clone(queue), vec![3]),
    ]
}

fn wakes(seen: &Seen) -> u32 {
    seen.calls.load(real_std::sync::atomic::Ordering::SeqCst)
}

#[test]
fn who_only_pulls_when_woken_misses_nothing() {
    check(|| {
        let pool = pool();
        let (queue, woken) = waking(&pool);
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pushers = push_three(&queue, source);
        let (mut numbers, mut empties, mut seen) = (Vec::new(), 0, 0);
        while numbers.len() < 3 {
            seen = woken.called.reaches(seen + 1);
            loop {
                match pull(&queue, 0, 1) {
                    Got::Events(events) => numbers.push(events[0].event().ticket),
                    Got::Empty => break,
                    other => panic!("{other:?}"),
                }
            }
            empties += 1;
        }
        assert_eq!(sorted(numbers), [1, 2, 3]);
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert!(pool.stop(None));
        assert!(wakes(&woken) <= empties, "woken again before the queue was found empty");
        queue.set_wake(None);
        woken.has_ended();
        woken.destroyed_once();
    });
}

#[test]
fn who_only_dispatches_when_woken_misses_nothing() {
    check(|| {
        let pool = pool();
        let (queue, woken) = waking(&pool);
        let seen = Arc::new(Seen::default());
        let source = queue.attach(Arc::new(To(handler(Selector::Message, &seen, |_| {}))), WIDE);
        let pushers = push_three(&queue, source);
        let (mut taken, mut dispatches, mut last) = (0, 0, 0);
        while taken < 3 {
            last = woken.called.reaches(last + 1);
            // One only: what is left must wake again.
            taken += queue.dispatch(1, Duration::ZERO);
            dispatches += 1;
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert!(pool.stop(None));
        assert!(wakes(&woken) <= dispatches + 1);
        assert_eq!(sorted(seen.numbers()), [1, 2, 3]);
        seen.no_faults();
        queue.set_wake(None);
        woken.has_ended();
        woken.destroyed_once();
    });
}

#[test]
fn a_wake_function_that_is_replaced_is_over_and_the_next_one_takes_its_place() {
    check(|| {
        let pool = pool();
        let (queue, first) = waking(&pool);
        let source = queue.attach(Arc::new(Pulls::default()), WIDE);
        let pushers = push_three(&queue, source);
        let second = Arc::new(Seen::default());
        queue.set_wake(Some(handler(Selector::Wake, &second, |_| {})));
        first.has_ended();
        // Nobody pulls: it is told of what was already there, too.
        second.called.reaches(1);
        for pusher in pushers {
            pusher.join().unwrap();
        }
        queue.close(crate::client::sync::Patience::Forever);
        second.has_ended();
        assert!(pool.stop(None));
        // A wake that was on its way to the first one may reach the second: then it is the one.
        assert!(wakes(&second) <= 1, "woken again before the queue was found empty");
        first.destroyed_once();
        second.destroyed_once();
    });
}
