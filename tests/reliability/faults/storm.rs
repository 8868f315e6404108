//! Random faults under random use, then a healed network, then the account. A seed replays the faults and calls.

use std::time::{Duration, Instant};

use super::oracle::TICKS;
use super::peer::{JOINED, Peer, REPLY, Rules};
use super::proxy::{Cut, Fault, Proxy, Way};
use super::raw::client_texts;
use super::server::{Server, numbered};
use super::{Chance, SLACK, alone, long, until};

fn way(chance: &mut Chance) -> Way {
    let mut way = Way::default();
    let ms = |chance: &mut Chance, limit| Duration::from_millis(chance.below(limit));
    match chance.below(9) {
        0 => way.latency = ms(chance, 60),
        1 => way.jitter = ms(chance, 40) + Duration::from_millis(1),
        2 => way.bandwidth = Some(4_000 + chance.below(60_000) as u32),
        3 => way.bytewise = true,
        4 => way.hole_after = Some(chance.below(4_000)),
        5 => way.cut_after = Some((chance.below(4_000), Cut::Rst)),
        6 => way.cut_after = Some((chance.below(4_000), Cut::Fin)),
        _ => {}
    }
    way
}

fn fault(chance: &mut Chance) -> Fault {
    Fault {
        up: way(chance),
        down: way(chance),
        silent: chance.below(25) == 0,
    }
}

struct Tally {
    losses: u64,
    accepted: usize,
    missing: u64,
    dropped: u64,
    in_doubt: u64,
    requests: u64,
    ticks: u64,
    healed: Duration,
    kills: u32,
}

fn storm(seed: u64, kills: bool) -> Tally {
    let mut chance = Chance(seed);
    let mut server = Server::start();
    let port = server.addr.port();
    let proxy = Proxy::clean(server.addr);
    let rules = Rules {
        // A third of the storms have queues that overflow.
        queue_limit: if chance.below(3) == 0 { 5 } else { 10_000 },
        overflow: 1 + chance.below(3) as i32,
        ..Rules::default()
    };
    let mut peer = Peer::new(&format!("ws://{}/script", proxy.addr), &rules);
    peer.connect();
    let names = ["/a", "/b"];
    let channels = names.map(|name| peer.channel(name));
    let mut next = [0_u64; 2];
    let mut killed = 0;
    let mut plan = chance.clone();
    proxy.plan(move |number| {
        if number == 0 {
            Fault::default()
        } else {
            fault(&mut plan)
        }
    });
    for _ in 0..80 {
        for _ in 0..chance.below(6) {
            let at = chance.below(2) as usize;
            let n = next[at];
            let pad = "x".repeat(chance.below(300) as usize);
            let accepted = match chance.below(8) {
                0 => peer.request(channels[at], "reply", &format!("{{\"n\":{n}}}")).is_ok(),
                1 => {
                    let tick = format!(
                        r#"{{\"action\":\"BROADCAST\",\"event\":\"tick\",\"channelName\":\"$CHANNEL\",\"requestId\":\"t\",\"payload\":{{\"r\":{n},\"i\":$I}}}}"#
                    );
                    let payload = format!("{{\"n\":{n},\"frames\":[\"{tick}\"],\"count\":{TICKS}}}");
                    let accepted = peer.send(channels[at], "raw", &payload) == 0;
                    if accepted {
                        peer.oracle.accepted.insert((names[at].to_owned(), n));
                    }
                    accepted
                }
                _ => {
                    let accepted = peer.send(channels[at], "note", &format!("{{\"n\":{n},\"pad\":\"{pad}\"}}")) == 0;
                    if accepted {
                        peer.oracle.accepted.insert((names[at].to_owned(), n));
                    }
                    accepted
                }
            };
            if accepted {
                next[at] += 1;
            }
        }
        match chance.below(20) {
            0 => proxy.cut(Cut::Rst),
            1 => proxy.cut(Cut::Fin),
            2 => proxy.refuse(true),
            3 if kills => {
                server.kill();
                peer.pump_for(Duration::from_millis(chance.below(100)));
                server = Server::start_on(port);
                killed += 1;
            }
            _ => proxy.refuse(false),
        }
        peer.pump_for(Duration::from_millis(chance.below(15)));
    }
    // Healed: what is dialled from now on is carried faithfully.
    proxy.refuse(false);
    proxy.plan(|_| Fault::default());
    let healed = Instant::now();
    let mut proved = [false; 2];
    while proved != [true; 2] {
        assert!(
            healed.elapsed() < rules.healed_within() + SLACK,
            "not whole {:?} after healing, the bound is {:?}",
            healed.elapsed(),
            rules.healed_within()
        );
        for at in 0..2 {
            if proved[at] || pondsocket::ffi::channel::pond_channel_state(channels[at]) != JOINED {
                continue;
            }
            // JOINED may be told of a link that is dead: an answer proves it.
            let n = next[at];
            let Ok(ticket) = peer.request(channels[at], "reply", &format!("{{\"n\":{n}}}")) else {
                continue;
            };
            next[at] += 1;
            let reply = peer.wait("the end of a request", Duration::from_secs(3) + SLACK, |ev| {
                ev.kind == REPLY && ev.ticket == ticket
            });
            proved[at] = reply.status == 0;
        }
        peer.pump(Duration::from_millis(5));
    }
    let healed = healed.elapsed();
    assert!(peer.flushed(SLACK), "nothing may be left unwritten on a healthy link");
    until("every request ends", Duration::from_secs(3) + SLACK, || {
        peer.pump(Duration::from_millis(5));
        peer.oracle.pending() == 0
    });
    let wire: Vec<Vec<(String, u64)>> = proxy
        .record()
        .iter()
        .map(|bytes| client_texts(bytes).iter().filter_map(|text| numbered(text)).collect())
        .collect();
    let mut missing = peer.oracle.account("the wire", &wire);
    if killed == 0 {
        missing = peer.oracle.account("the server", &server.arrived());
    }
    Tally {
        losses: peer.oracle.losses,
        accepted: peer.oracle.accepted.len(),
        missing,
        dropped: peer.oracle.dropped,
        in_doubt: peer.oracle.in_doubt,
        requests: peer.oracle.outcomes.values().sum(),
        ticks: peer.oracle.ticks_seen,
        healed,
        kills: killed,
    }
}

fn storms(kills: bool, short: u64, many: u64) {
    let _alone = alone();
    let wanted = std::env::var("POND_FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = wanted.unwrap_or(if kills { 1_000 } else { 1 });
    let count = match wanted {
        Some(_) => 1,
        None if long() => many,
        None => short,
    };
    let mut lost = 0;
    for seed in first..first + count {
        println!("POND_FAULT_SEED={seed}");
        let tally = storm(seed, kills);
        lost += tally.losses;
        println!(
            "  {} links lost, {} server kills; {} accepted, {} missing = {} dropped + at most {} in doubt; {} requests; \
             {} ticks; healed in {:?}",
            tally.losses,
            tally.kills,
            tally.accepted,
            tally.missing,
            tally.dropped,
            tally.in_doubt,
            tally.requests,
            tally.ticks,
            tally.healed
        );
    }
    assert!(
        lost > 0 || wanted.is_some(),
        "a storm in which no link is lost shows nothing"
    );
}

#[test]
fn storms_of_faults_lose_nothing_silently() {
    storms(false, 8, 200);
}

#[test]
fn storms_that_kill_the_server_lose_nothing_silently() {
    storms(true, 4, 100);
}
