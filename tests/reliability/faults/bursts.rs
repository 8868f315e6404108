//! Bursts that end where a read does: who waits is told, although nothing follows.

use std::sync::{Mutex, mpsc};
use std::time::Instant;

use super::peer::{Peer, Rules};
use super::raw::{Hostile, acknowledge, text};
use super::{SLACK, alone, until};

/// What the client reads at once, and a frame of which it takes a whole number.
const READ: usize = 128 * 1024;
const FRAME: usize = 4096;
/// The most events that may wait: with so many the client does not read.
const BOUND: u32 = 40;

/// A frame of that many bytes.
fn message(size: usize) -> Vec<u8> {
    let envelope = |pad: &str| {
        text(&format!(
            r#"{{"action":"BROADCAST","event":"e","channelName":"/room","requestId":"r","payload":{{"p":"{pad}"}}}}"#
        ))
    };
    // Header and envelope, with a length of two bytes.
    let around = envelope(&"x".repeat(200)).len() - 200;
    envelope(&"x".repeat(size - around))
}

#[test]
fn the_last_read_of_a_burst_is_told_although_it_was_full() {
    let _alone = alone();
    let (ask, asked) = mpsc::channel::<Vec<u8>>();
    let (wrote, written) = mpsc::channel();
    let (asked, wrote) = (Mutex::new(asked), Mutex::new(wrote));
    let hostile = Hostile::new(move |conn, _| {
        conn.greet()?;
        let join = conn.text()?;
        conn.write(&text(&acknowledge(&join)))?;
        for bytes in asked.lock().unwrap().iter() {
            conn.write(&bytes)?;
            let _ = wrote.lock().unwrap().send(());
        }
        Ok(())
    });
    let rules = Rules {
        inbound: (BOUND, 4 << 20),
        ping_ms: 60_000,
        ..Rules::default()
    };
    let mut peer = Peer::new(&hostile.url(), &rules);
    peer.connect();
    peer.channel("/room");
    peer.wait_joined("/room", SLACK);
    let full = message(FRAME);
    assert_eq!(full.len(), FRAME);
    for round in 0..40 {
        let send = |bytes| {
            ask.send(bytes).unwrap();
            written.recv().unwrap();
        };
        send(message(300).repeat(BOUND as usize));
        until("the client does not read", SLACK, || {
            peer.stats().inbound_events == u64::from(BOUND)
        });
        let reads = 1 + round % 3;
        send(full.repeat(reads * READ / FRAME));
        let (started, mut left) = (Instant::now(), BOUND as usize + reads * READ / FRAME);
        while left > 0 {
            left -= peer.pump(2 * SLACK);
            assert!(
                started.elapsed() < SLACK,
                "round {round}: {left} messages were not told"
            );
        }
        peer.seen.clear();
    }
    assert_eq!(peer.oracle.losses, 0);
    drop(ask);
}
