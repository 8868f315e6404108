//! Cancel against a running handler.

use std::sync::Arc;

use crate::client::handlers::Selector;
use crate::client::sync::Patience;
use crate::support::{Seen, check, handler, message, shared_handler, spawn};

#[test]
fn cancel_waits_for_the_last_call_and_destroy() {
    check(|| {
        let seen = Arc::new(Seen::default());
        let registration = shared_handler(&seen);
        let runners: Vec<_> = (1..=2)
            .map(|number| {
                let registration = Arc::clone(&registration);
                spawn(move || registration.run(&Arc::new(message(number))))
            })
            .collect();
        let cancellers: Vec<_> = (0..2)
            .map(|_| {
                let (registration, seen) = (Arc::clone(&registration), Arc::clone(&seen));
                spawn(move || {
                    assert!(registration.cancel(Patience::Forever));
                    seen.has_ended();
                })
            })
            .collect();
        drop(registration);
        for thread in runners.into_iter().chain(cancellers) {
            thread.join().unwrap();
        }
        seen.destroyed_once();
    });
}

#[test]
fn cancel_inside_its_own_handler_does_not_wait() {
    check(|| {
        let seen = Arc::new(Seen::default());
        let own = Arc::new(real_std::sync::OnceLock::<real_std::sync::Weak<_>>::new());
        let registration = handler(Selector::Message, &seen, {
            let (own, seen) = (Arc::clone(&own), Arc::clone(&seen));
            move |_| {
                let registration: Arc<crate::client::handlers::Registration> = own.get().unwrap().upgrade().unwrap();
                if registration.cancel(Patience::Forever) {
                    seen.fault("destroyed while it runs");
                }
            }
        });
        own.set(Arc::downgrade(&registration)).unwrap();
        let runner = spawn({
            let registration = Arc::clone(&registration);
            move || {
                registration.run(&Arc::new(message(1)));
                registration.run(&Arc::new(message(2)));
            }
        });
        let canceller = spawn({
            let (registration, seen) = (Arc::clone(&registration), Arc::clone(&seen));
            move || {
                assert!(registration.cancel(Patience::Forever));
                seen.has_ended();
            }
        });
        runner.join().unwrap();
        canceller.join().unwrap();
        assert!(seen.numbers().len() <= 1, "called again after it cancelled itself");
        drop(registration);
        seen.destroyed_once();
    });
}

#[test]
fn handlers_that_cancel_each_other_do_not_wait_for_each_other() {
    check(|| {
        let seen = [Arc::new(Seen::default()), Arc::new(Seen::default())];
        let others = Arc::new(real_std::sync::Mutex::new(Vec::new()));
        let registrations: Vec<_> = (0..2)
            .map(|index: usize| {
                let others = Arc::clone(&others);
                handler(Selector::Message, &seen[index], move |_| {
                    let other: Option<Arc<crate::client::handlers::Registration>> =
                        others.lock().unwrap().get(1 - index).cloned();
                    other.unwrap().cancel(Patience::Forever);
                })
            })
            .collect();
        *others.lock().unwrap() = registrations.clone();
        let runners: Vec<_> = registrations
            .iter()
            .map(|registration| {
                let registration = Arc::clone(registration);
                spawn(move || registration.run(&Arc::new(message(1))))
            })
            .collect();
        for thread in runners {
            thread.join().unwrap();
        }
        for (registration, seen) in registrations.iter().zip(&seen) {
            assert!(registration.cancel(Patience::Forever));
            seen.has_ended();
            seen.destroyed_once();
        }
        others.lock().unwrap().clear();
    });
}
