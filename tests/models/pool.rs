//! The dispatch threads: submit, idle, stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::handlers::Selector;
use crate::client::queue::EventQueue;
use crate::support::{Counter, Seen, To, WIDE, check, handler, message, pool, push, sorted, spawn};

#[test]
fn a_handler_that_blocks_delays_no_other_queue() {
    check(|| {
        let pool = pool();
        let entered = [Arc::new(Counter::default()), Arc::new(Counter::default())];
        let seen = Arc::new(Seen::default());
        let over = Arc::new(Counter::default());
        let queues: Vec<_> = (0..2)
            .map(|index: usize| {
                let (own, other) = (Arc::clone(&entered[index]), Arc::clone(&entered[1 - index]));
                let over = Arc::clone(&over);
                let seen = if index == 0 { Arc::clone(&seen) } else { Arc::default() };
                let registration = handler(Selector::Message, &seen, move |event| {
                    own.add();
                    other.reaches(event.event().ticket as u32);
                    over.add();
                });
                let queue = EventQueue::new(Arc::clone(&pool), true);
                let source = queue.attach(Arc::new(To(registration)), WIDE);
                (queue, source)
            })
            .collect();
        // The second time with threads that wait for work, or are just giving that up.
        for round in 1..=2 {
            for (queue, source) in &queues {
                push(queue, *source, [message(round)]);
            }
            over.reaches(2 * round as u32);
        }
        assert!(pool.stop(None));
        assert_eq!(seen.numbers(), [1, 2]);
        seen.no_faults();
    });
}

#[test]
fn a_queue_is_delivered_in_order_by_one_thread_at_a_time() {
    check(|| {
        let pool = pool();
        let seen = Arc::new(Seen::default());
        let queue = EventQueue::new(Arc::clone(&pool), true);
        let source = queue.attach(Arc::new(To(handler(Selector::Message, &seen, |_| {}))), WIDE);
        let pushers = [vec![1, 2, 3], vec![11, 12]].map(|numbers| {
            let queue = Arc::clone(&queue);
            spawn(move || {
                for number in numbers {
                    push(&queue, source, [message(number)]);
                }
            })
        });
        for pusher in pushers {
            pusher.join().unwrap();
        }
        // What was submitted is done before the threads end.
        assert!(pool.stop(None));
        let (high, low): (Vec<_>, Vec<_>) = seen.numbers().into_iter().partition(|number| *number > 10);
        assert_eq!((low, high), (vec![1, 2, 3], vec![11, 12]));
        seen.no_faults();
    });
}

#[test]
fn a_stop_that_ran_out_of_time_can_be_repeated_and_work_goes_on_after_it() {
    check(|| {
        let pool = pool();
        let seen = Arc::new(Seen::default());
        let queue = EventQueue::new(Arc::clone(&pool), true);
        let source = queue.attach(Arc::new(To(handler(Selector::Message, &seen, |_| {}))), WIDE);
        let pusher = spawn({
            let queue = Arc::clone(&queue);
            move || push(&queue, source, [message(1), message(2)])
        });
        let stopper = spawn({
            let pool = Arc::clone(&pool);
            move || pool.stop(None)
        });
        while !pool.stop(Some(Instant::now() + Duration::from_millis(5))) {}
        assert!(stopper.join().unwrap());
        pusher.join().unwrap();
        push(&queue, source, [message(3)]);
        assert!(pool.stop(None));
        assert_eq!(sorted(seen.numbers()), [1, 2, 3]);
        seen.no_faults();
    });
}
