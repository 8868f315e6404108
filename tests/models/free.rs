//! The end of a whole client against delivery, requests, cancels and calls that wait.

use std::sync::Arc;

use crate::client::Client;
use crate::client::core::{Setup, Tie};
use crate::client::handlers::{Registration, Selector};
use crate::client::library::Library;
use crate::client::queue::EventQueue;
use crate::client::sync::Patience;
use crate::client::target::Target;
use crate::session::{Attachment, ChannelId, ClientState, Config, EventKind, status};
use crate::support::{Got, Seen, check, handler, only_data, pull, spawn, waiting};

const TAG: u64 = 99;

fn client(library: &Arc<Library>, queue: Option<Arc<EventQueue>>) -> Arc<Client> {
    Client::new(
        Arc::clone(library),
        Setup {
            config: Config::default(),
            target: Target::new("ws://127.0.0.1:1/"),
            queue,
            inbound_events: 10,
            inbound_bytes: 1_000,
        },
    )
}

/// A channel whose requests wait for the first connection; `None`: the client is freed.
fn channel(client: &Client) -> Option<ChannelId> {
    let mut id = None;
    let opened = client.channel("/room", "{}", |new| {
        id = Some(new);
        Ok(TAG)
    });
    opened.ok()?;
    let id = id.unwrap();
    client.on_session(|session, now| session.join(id, now)).ok()?;
    Some(id)
}

fn ask(client: &Arc<Client>, id: ChannelId, ticket: u64, attachment: Attachment) -> bool {
    let tie = Tie {
        attachment: Some(attachment),
        user_data: 0,
    };
    client.request(id, "ask", "{}", None, ticket, tie).is_ok()
}

fn listen(client: &Client, target: u64, id: u64, selector: Selector, seen: &Arc<Seen>) -> Arc<Registration> {
    let registration = handler(selector, seen, |_| {});
    assert!(client.handlers().add(target, id, &registration));
    registration
}

/// Events: the client changes its state, as often as it still may.
fn stir(client: &Arc<Client>) -> std::thread::JoinHandle<()> {
    let client = Arc::clone(client);
    spawn(move || {
        let _ = client.connect();
        let _ = client.suspend();
        let _ = client.resume();
    })
}

#[test]
fn after_a_free_nothing_runs_and_every_request_has_ended_once() {
    check(|| {
        let library = Arc::new(Library::default());
        let client = client(&library, None);
        let state = Arc::new(Seen::default());
        listen(&client, 0, 1, Selector::ClientState, &state);
        let stirrer = stir(&client);
        let requests = [Arc::new(Seen::default()), Arc::new(Seen::default())];
        let asker = spawn({
            let (client, requests) = (Arc::clone(&client), requests.clone());
            move || {
                let id = channel(&client);
                let accepted = [0, 1].map(|index: usize| {
                    let attachment = waiting(&requests[index]);
                    id.is_some_and(|id| ask(&client, id, 1 + index as u64, attachment))
                });
                (id, accepted)
            }
        });
        client.free(Patience::Forever);
        state.has_ended();
        let (_, accepted) = asker.join().unwrap();
        for (accepted, seen) in accepted.into_iter().zip(&requests) {
            // Accepted before the free, so answered by it.
            let expected: &[u64] = if accepted { &[seen.numbers()[0]] } else { &[] };
            assert_eq!(seen.numbers(), expected);
            seen.has_ended();
            seen.destroyed_once();
        }
        stirrer.join().unwrap();
        state.destroyed_once();
        assert!(library.pool().stop(None));
        state.no_faults();
    });
}

#[test]
fn replies_to_be_pulled_outlive_their_client() {
    check(|| {
        let library = Arc::new(Library::default());
        let queue = EventQueue::new(Arc::clone(library.pool()), false);
        let client = client(&library, Some(Arc::clone(&queue)));
        let seen = [Arc::new(Seen::default()), Arc::new(Seen::default())];
        let asker = spawn({
            let (client, seen) = (Arc::clone(&client), seen.clone());
            move || {
                let Some(id) = channel(&client) else { return 0 };
                let first = u32::from(ask(&client, id, 1, only_data(&seen[0])));
                // This one ends with its channel, perhaps while the client is freed.
                client.close_channel(id, TAG);
                first + u32::from(channel(&client).is_some_and(|id| ask(&client, id, 2, only_data(&seen[1]))))
            }
        });
        let puller = spawn({
            let queue = Arc::clone(&queue);
            move || match pull(&queue, 0, 3) {
                Got::Events(events) => events,
                _ => Vec::new(),
            }
        });
        client.free(Patience::Forever);
        let accepted = asker.join().unwrap();
        let mut events = puller.join().unwrap();
        while let Got::Events(more) = pull(&queue, 0, 1) {
            events.extend(more);
        }
        let replies = events
            .iter()
            .filter(|event| event.event().kind == EventKind::Reply)
            .count();
        assert_eq!(replies as u32, accepted, "replies");
        drop(events);
        for (index, seen) in seen.iter().enumerate() {
            assert_eq!(seen.numbers(), [0_u64; 0], "there is nothing to call");
            if index < accepted as usize {
                seen.has_ended();
                seen.destroyed_once();
            }
        }
        assert!(queue.close(Patience::Forever), "no client uses it any more");
    });
}

#[test]
fn a_free_waits_for_the_dispatch_of_its_client() {
    check(|| {
        let library = Arc::new(Library::default());
        let queue = EventQueue::new(Arc::clone(library.pool()), false);
        let client = client(&library, Some(Arc::clone(&queue)));
        let (state, reply) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        listen(&client, 0, 1, Selector::ClientState, &state);
        let id = channel(&client).unwrap();
        assert!(ask(&client, id, 1, waiting(&reply)));
        let stirrer = stir(&client);
        let dispatcher = spawn({
            let queue = Arc::clone(&queue);
            move || {
                (
                    queue.dispatch(1, std::time::Duration::ZERO),
                    queue.dispatch(0, std::time::Duration::ZERO),
                )
            }
        });
        let closer = spawn({
            let queue = Arc::clone(&queue);
            move || queue.close(Patience::Forever)
        });
        client.free(Patience::Forever);
        state.has_ended();
        reply.has_ended();
        assert_eq!(reply.numbers(), [1]);
        stirrer.join().unwrap();
        dispatcher.join().unwrap();
        closer.join().unwrap();
        state.destroyed_once();
        reply.destroyed_once();
    });
}

#[test]
fn callbacks_that_free_each_others_client_do_not_wait_for_each_other() {
    check(|| {
        let library = Arc::new(Library::default());
        let clients = [client(&library, None), client(&library, None)];
        let seen = [Arc::new(Seen::default()), Arc::new(Seen::default())];
        for index in 0..2 {
            let other = Arc::downgrade(&clients[1 - index]);
            let registration = handler(Selector::ClientState, &seen[index], move |_| {
                if let Some(other) = other.upgrade() {
                    other.free(Patience::Forever);
                }
            });
            assert!(clients[index].handlers().add(0, 1, &registration));
        }
        let threads = clients.each_ref().map(stir);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(library.pool().stop(None));
        for client in &clients {
            client.free(Patience::Forever);
        }
        for seen in &seen {
            seen.has_ended();
            seen.destroyed_once();
        }
    });
}

#[test]
fn a_cancel_a_closed_channel_and_a_free_end_the_same_handler_once() {
    check(|| {
        let library = Arc::new(Library::default());
        let client = client(&library, None);
        let (state, room) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let subscription = listen(&client, 0, 1, Selector::ClientState, &state);
        let id = channel(&client).unwrap();
        listen(&client, TAG, 2, Selector::ChannelState, &room);
        // Its subscription is held, as a handle does: it goes by the free alone.
        let other = Arc::new(Seen::default());
        let held = listen(&client, 0, 3, Selector::ClientState, &other);
        let stirrer = stir(&client);
        let canceller = spawn({
            let (client, state) = (Arc::clone(&client), Arc::clone(&state));
            move || {
                // As pond_subscription_cancel does it.
                assert!(subscription.cancel(Patience::Forever));
                client.handlers().remove(0, 1);
                state.has_ended();
            }
        });
        let leaver = spawn({
            let client = Arc::clone(&client);
            move || client.close_channel(id, TAG)
        });
        client.free(Patience::Forever);
        for seen in [&state, &room, &other] {
            seen.has_ended();
        }
        for thread in [stirrer, canceller, leaver] {
            thread.join().unwrap();
        }
        drop(held);
        for seen in [&state, &room, &other] {
            seen.has_ended();
            seen.destroyed_once();
        }
        assert!(library.pool().stop(None));
        state.no_faults();
        room.no_faults();
        other.no_faults();
    });
}

#[test]
fn a_free_ends_every_call_that_waits() {
    check(|| {
        let library = Arc::new(Library::default());
        let client = client(&library, None);
        let id = channel(&client).unwrap();
        let caller = spawn({
            let client = Arc::clone(&client);
            move || client.call(id, "ask", "{}", None, 1).map(|_| ()).unwrap_err().status
        });
        let waiter = spawn({
            let client = Arc::clone(&client);
            move || client.wait_state(ClientState::Connected, u32::MAX).status
        });
        client.free(Patience::Forever);
        assert_eq!(caller.join().unwrap(), status::CLOSED);
        assert_eq!(waiter.join().unwrap(), status::CLOSED);
        assert!(library.pool().stop(None));
    });
}
