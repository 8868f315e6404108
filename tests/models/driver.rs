//! The driver against those who give it work: whoever sends, asks or waits for a flush is never forgotten, whether the driver sleeps,
//! streams, lingers for more questions, or is about to do one of them.

use std::sync::Arc;

use crate::client::Client;
use crate::client::core::{Setup, Tie};
use crate::client::library::Library;
use crate::client::queue::EventQueue;
use crate::client::sync::Patience;
use crate::client::target::Target;
use crate::session::{ChannelId, ChannelState, Config, EventKind, status};
use crate::support::{Got, check, pull, spawn};

const TAG: u64 = 99;
const FOREVER: u32 = u32::MAX;

struct World {
    library: Arc<Library>,
    queue: Arc<EventQueue>,
    client: Arc<Client>,
    channel: ChannelId,
}

fn joined() -> World {
    let library = Library::driving();
    let queue = EventQueue::new(Arc::clone(library.pool()), false);
    let client = Client::new(
        Arc::clone(&library),
        Setup {
            config: Config::default(),
            target: Target::new("ws://127.0.0.1:1/"),
            queue: Some(Arc::clone(&queue)),
            // So wide that no call has to have more read than otherwise, and the driver woken behind it.
            inbound_events: 10_000,
            inbound_bytes: 1_000_000,
        },
    );
    let mut channel = None;
    let opened = client.channel("/room", "{}", |new| {
        channel = Some(new);
        Ok(TAG)
    });
    opened.unwrap();
    let channel = channel.unwrap();
    client.connect().unwrap();
    client.on_session(|session, now| session.join(channel, now)).unwrap();
    let waited = client.wait_channel_state(channel, TAG, ChannelState::Joined, FOREVER);
    assert_eq!(waited.status, status::OK);
    World {
        library,
        queue,
        client,
        channel,
    }
}

impl World {
    fn end(self) {
        assert_eq!(self.client.flush(FOREVER).status, status::OK);
        self.client.free(Patience::Forever);
        self.library.rest();
        self.queue.close(Patience::Forever);
    }

    /// Once these threads are done.
    fn end_behind<const N: usize>(self, threads: [std::thread::JoinHandle<()>; N]) {
        for thread in threads {
            thread.join().unwrap();
        }
        self.end();
    }

    /// Messages of that name on a thread of their own.
    fn send(&self, name: &'static str, count: u32) -> std::thread::JoinHandle<()> {
        let (client, channel) = (Arc::clone(&self.client), self.channel);
        spawn(move || {
            for n in 1..=count {
                client.send(channel, name, &format!("{{\"n\":{n}}}")).unwrap();
            }
        })
    }

    fn call(&self, name: &'static str, count: u32) -> std::thread::JoinHandle<()> {
        let (client, channel) = (Arc::clone(&self.client), self.channel);
        let first = name.len() as u64 * 100;
        spawn(move || {
            for n in 1..=count {
                let payload = format!("{{\"n\":{n}}}");
                let reply = client
                    .call(channel, name, &payload, None, first + u64::from(n))
                    .unwrap();
                assert_eq!(reply.event().status, status::OK);
            }
        })
    }
}

#[test]
fn what_is_sent_to_a_driver_that_is_streamed_to_leaves() {
    check(|| {
        let world = joined();
        // More than a turn takes for a stream, and then a few, which may come when the driver stops looking.
        let sender = world.send("many", 80);
        assert_eq!(world.client.flush(FOREVER).status, status::OK);
        sender.join().unwrap();
        let (one, two) = (world.send("few", 3), world.send("others", 2));
        one.join().unwrap();
        two.join().unwrap();
        world.end();
    });
}

#[test]
fn calls_are_answered_whoever_else_writes() {
    check(|| {
        let world = joined();
        let threads = [world.call("ask", 2), world.call("ask-too", 2), world.send("sent", 3)];
        world.end_behind(threads);
    });
}

#[test]
fn what_is_sent_while_another_thread_writes_leaves_after_it() {
    check(|| {
        let world = joined();
        let threads = [world.call("ask", 1), world.send("sent", 1)];
        world.end_behind(threads);
    });
}

#[test]
fn questions_are_answered_while_the_driver_lingers() {
    check(|| {
        let world = joined();
        let ask = |ticket: u64| {
            let tie = Tie {
                attachment: None,
                user_data: 0,
            };
            let payload = format!("{{\"n\":{ticket}}}");
            world
                .client
                .request(world.channel, "ask", &payload, None, ticket, tie)
                .unwrap();
        };
        for ticket in 1..=3 {
            ask(ticket);
        }
        let (mut asked, mut answered) = (3, 0);
        while answered < 6 {
            let Got::Events(events) = pull(&world.queue, FOREVER, 10) else {
                panic!("the queue is open");
            };
            for event in events {
                if event.event().kind == EventKind::Reply {
                    assert_eq!(event.event().status, status::OK);
                    answered += 1;
                    if asked < 6 {
                        asked += 1;
                        ask(asked);
                    }
                }
            }
        }
        world.end();
    });
}
