//! Memory under servers that send without end: the bound is stated and measured.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::peer::{JOINED, Peer, Rules};
use super::raw::{Hostile, PING, acknowledge, frame, header, text};
use super::{SLACK, alone, until};

type Counter = Arc<AtomicU64>;

/// How much the memory of this process grew at most.
pub struct Growth {
    resident: u64,
    reserved: u64,
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

impl Growth {
    pub fn begin() -> Self {
        // Makes the peak start anew from what is resident now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self {
            resident: status("VmRSS:"),
            reserved: status("VmPeak:"),
        }
    }

    /// What was reserved and never used counts, too.
    pub fn reserved_below(&self, bound: u64, what: &str) {
        let grown = status("VmPeak:").saturating_sub(self.reserved);
        assert!(grown < bound, "{what}: reserved memory grew by {grown} bytes");
    }

    pub fn below(&self, bound: u64, what: &str) {
        let grown = status("VmHWM:").saturating_sub(self.resident);
        println!(
            "{what}: resident memory grew by {} KiB at most, the bound is {} KiB",
            grown >> 10,
            bound >> 10
        );
        assert!(grown < bound, "{what}: resident memory grew by {grown} bytes");
    }
}

/// Memory is measured in a process of its own, where no earlier test has left any: true in that process, false when it has done
/// the work.
pub fn isolated(module: &str, test: &str) -> bool {
    let name = format!("faults::{module}::{test}");
    if std::env::var("POND_FAULTS_ISOLATED").is_ok_and(|isolated| isolated == name) {
        return true;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env("POND_FAULTS_ISOLATED", &name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{told}");
    assert!(text.contains("1 passed"), "{text}");
    text.lines()
        .filter(|line| line.contains("resident memory"))
        .for_each(|line| println!("{line}"));
    false
}

/// A server that greets, acknowledges, and then writes `piece` over and over, `limit` bytes at most.
fn flood(piece: Vec<u8>, limit: u64) -> (Hostile, Counter) {
    let written = Counter::default();
    let count = Arc::clone(&written);
    let hostile = Hostile::new(move |conn, number| {
        if number > 0 {
            return super::handshake::behave(conn);
        }
        conn.greet()?;
        let join = conn.text()?;
        conn.write(&text(&acknowledge(&join)))?;
        while count.load(Ordering::Relaxed) < limit {
            conn.socket.write_all(&piece)?;
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        conn.read_out();
        Ok(())
    });
    (hostile, written)
}

fn still(written: &AtomicU64) {
    let mut last = 0;
    until("the server is stopped", Duration::from_secs(20), || {
        let before = std::mem::replace(&mut last, written.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(300));
        before > 0 && before == last
    });
}

#[test]
fn a_program_that_does_not_read_stops_the_server() {
    let _alone = alone();
    if !isolated("memory", "a_program_that_does_not_read_stops_the_server") {
        return;
    }
    let pad = "x".repeat(1_000);
    let message = format!(
        r#"{{"action":"BROADCAST","event":"e","channelName":"/room","requestId":"r","payload":{{"p":"{pad}"}}}}"#
    );
    const LIMIT: u64 = 1 << 28;
    let (hostile, written) = flood(text(&message).repeat(50), LIMIT);
    let growth = Growth::begin();
    let rules = Rules {
        inbound: (100_000, 4 << 20),
        // Until the pause a busy machine must answer in time; the pause is longer.
        pong_ms: 2_000,
        ..Rules::default()
    };
    let mut peer = Peer::new(&hostile.url(), &rules);
    peer.connect();
    peer.channel("/room");
    still(&written);
    // In a pause no pong is missed.
    std::thread::sleep(Duration::from_millis(u64::from(rules.ping_ms + 2 * rules.pong_ms)));
    assert!(written.load(Ordering::Relaxed) < LIMIT, "TCP pushes back");
    let stats = peer.stats();
    assert!(stats.inbound_bytes >= 4 << 20, "{} bytes wait", stats.inbound_bytes);
    assert!(
        stats.inbound_bytes < (4 << 20) + (1 << 20),
        "{} bytes wait: the bound and one batch",
        stats.inbound_bytes
    );
    // The bound in bytes, its events around it, and one batch.
    growth.below(32 << 20, "an unread flood, inbound limit 4 MiB");
    assert_eq!(peer.oracle.losses, 0);
    // It is a pause, not a loss: reading again goes on, on the same connection.
    let before = written.load(Ordering::Relaxed);
    until("the server may write again", SLACK, || {
        peer.pump(Duration::from_millis(1));
        peer.seen.clear();
        written.load(Ordering::Relaxed) > before
    });
    assert_eq!(peer.oracle.losses, 0);
}

#[test]
fn undecodable_frames_are_bounded_like_messages() {
    let _alone = alone();
    if !isolated("memory", "undecodable_frames_are_bounded_like_messages") {
        return;
    }
    // Each becomes an error event.
    let (hostile, written) = flood(text("{").repeat(1_000), 1 << 28);
    let growth = Growth::begin();
    let rules = Rules {
        inbound: (5_000, 4 << 20),
        ..Rules::default()
    };
    let peer = Peer::new(&hostile.url(), &rules);
    peer.connect();
    peer.channel("/room");
    still(&written);
    let stats = peer.stats();
    assert!(
        (5_000..6_000).contains(&stats.inbound_events),
        "{} events wait",
        stats.inbound_events
    );
    growth.below(32 << 20, "unread error events, inbound limit 5,000 events");
}

#[test]
fn pings_whose_answers_nobody_reads_stop_the_server() {
    let _alone = alone();
    if !isolated("memory", "pings_whose_answers_nobody_reads_stop_the_server") {
        return;
    }
    const PINGS: u64 = 200_000;
    let (written, reads, answers) = (Counter::default(), Arc::new(AtomicBool::new(false)), Counter::default());
    let (count, read, answered) = (Arc::clone(&written), Arc::clone(&reads), Arc::clone(&answers));
    let hostile = Hostile::new(move |conn, _| {
        conn.greet()?;
        let join = conn.text()?;
        conn.write(&text(&acknowledge(&join)))?;
        let mut socket = conn.socket.try_clone()?;
        let (read, answered) = (Arc::clone(&read), Arc::clone(&answered));
        std::thread::spawn(move || {
            until("the server reads", Duration::from_secs(30), || {
                read.load(Ordering::Relaxed)
            });
            let mut buf = [0; 16 * 1024];
            while let Ok(count @ 1..) = socket.read(&mut buf) {
                answered.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
        let piece = frame(PING, &[b'p'; 125]).repeat(100);
        for _ in 0..PINGS / 100 {
            conn.write(&piece)?;
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        // The reader sees the end.
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    let growth = Growth::begin();
    let rules = Rules {
        pong_ms: 60_000,
        ..Rules::default()
    };
    let mut peer = Peer::new(&hostile.url(), &rules);
    peer.connect();
    let channel = peer.channel("/room");
    still(&written);
    assert!(written.load(Ordering::Relaxed) < PINGS * 127, "TCP pushes back");
    growth.below(16 << 20, "pings without end, answers unread");
    // It reads at last: each ping has its answer, on the same connection.
    reads.store(true, Ordering::Relaxed);
    until("all pings are answered", Duration::from_secs(60), || {
        peer.pump(Duration::from_millis(5));
        answers.load(Ordering::Relaxed) >= PINGS * 131
    });
    assert_eq!(pondsocket::ffi::channel::pond_channel_state(channel), JOINED);
    assert_eq!(peer.oracle.losses, 0);
    growth.below(16 << 20, "200,000 pings, all answered");
}

#[test]
fn fragments_without_end_stop_at_the_limit() {
    let _alone = alone();
    if !isolated("memory", "fragments_without_end_stop_at_the_limit") {
        return;
    }
    let hostile = Hostile::new(|conn, number| {
        if number > 0 {
            return super::handshake::behave(conn);
        }
        conn.greet()?;
        conn.text()?;
        conn.write(&frame(0x01, &[b'x'; 1024]))?;
        let many = frame(0x00, &[b'x'; 1024]).repeat(64);
        loop {
            conn.write(&many)?;
        }
    });
    let growth = Growth::begin();
    let mut peer = Peer::new(&hostile.url(), &Rules::default());
    peer.connect();
    peer.channel("/room");
    peer.wait_joined("/room", Duration::from_secs(20));
    growth.below(16 << 20, "endless fragments, message limit 1 MiB");
}

#[test]
fn an_announced_length_takes_no_memory() {
    let _alone = alone();
    if !isolated("memory", "an_announced_length_takes_no_memory") {
        return;
    }
    // 512 MiB are announced and allowed, and never come.
    let hostile = Hostile::new(|conn, _| {
        conn.greet()?;
        let join = conn.text()?;
        conn.write(&text(&acknowledge(&join)))?;
        conn.write(&header(0x81, 512 << 20))?;
        conn.write(&[b'x'; 1000])?;
        conn.read_out();
        Ok(())
    });
    let growth = Growth::begin();
    let rules = Rules {
        max_in: 1 << 30,
        pong_ms: 500,
        ..Rules::default()
    };
    let mut peer = Peer::new(&hostile.url(), &rules);
    peer.connect();
    peer.channel("/room");
    // No pong can come in the midst of a frame: a server that never goes on is dead.
    peer.wait("the dead link", SLACK, |ev| {
        ev.kind == super::peer::CLIENT_STATE && ev.previous == 3
    });
    growth.below(16 << 20, "a frame of 512 MiB that is only announced");
    // Stacks and heaps of threads are reserved, too.
    growth.reserved_below(384 << 20, "a frame of 512 MiB that is only announced");
}
