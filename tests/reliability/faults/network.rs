//! Each fault of a network by itself, between the client and the real server.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pondsocket::session::status;

use super::peer::{CLIENT_ERROR, CLIENT_STATE, DISCONNECTED, Peer, REPLY, Rules};
use super::proxy::{Cut, Fault, Proxy, Way};
use super::raw::{CLOSE, Hostile, acknowledge, frame};
use super::server::Server;
use super::{SLACK, alone};

const MS: Duration = Duration::from_millis(1);

fn through(proxy: &Proxy, rules: &Rules) -> Peer {
    let peer = Peer::new(&format!("ws://{}/script", proxy.addr), rules);
    peer.connect();
    peer
}

#[test]
fn a_bad_but_living_network_loses_nothing() {
    let _alone = alone();
    let server = Server::start();
    let ways: [(&str, Way); 4] = [
        (
            "latency",
            Way {
                latency: 40 * MS,
                ..Way::default()
            },
        ),
        (
            "jitter",
            Way {
                jitter: 60 * MS,
                ..Way::default()
            },
        ),
        (
            "bandwidth",
            Way {
                bandwidth: Some(100_000),
                ..Way::default()
            },
        ),
        (
            "bytewise",
            Way {
                bytewise: true,
                ..Way::default()
            },
        ),
    ];
    for (name, way) in ways {
        let fault = Fault {
            up: way.clone(),
            down: way,
            silent: false,
        };
        let proxy = Proxy::new(server.addr, move |_| fault.clone());
        let rules = Rules {
            // Only slow, also on a busy machine.
            pong_ms: 30_000,
            response_ms: 30_000,
            ..Rules::default()
        };
        let mut peer = through(&proxy, &rules);
        let channel_name = format!("/{name}");
        let channel = peer.channel(&channel_name);
        for n in 0..200 {
            let payload = format!("{{\"n\":{n}}}");
            if n % 10 == 0 {
                peer.request(channel, "reply", &payload).unwrap();
            } else {
                assert_eq!(peer.send(channel, "note", &payload), status::OK);
                peer.oracle.accepted.insert((channel_name.clone(), n));
            }
        }
        for _ in 0..20 {
            let reply = peer.wait("a reply", 2 * SLACK, |ev| ev.kind == REPLY);
            assert_eq!(reply.status, status::OK, "{name}: {}", reply.message);
        }
        assert!(peer.flushed(2 * SLACK));
        // The log is whole when the last message is in it, and that went before the last reply was asked for or is flushed.
        let payload = "{\"n\":200}";
        peer.request(channel, "reply", payload).unwrap();
        peer.wait("the last reply", SLACK, |ev| ev.kind == REPLY);
        assert_eq!(peer.oracle.account(name, &server.arrived()), 0);
        assert_eq!(peer.oracle.losses, 0, "{name}: a slow link is no dead link");
    }
}

#[test]
fn a_cut_at_each_byte_of_the_handshake_is_an_ordinary_failure() {
    let _alone = alone();
    let server = Server::start();
    // The request head, and the answer with the CONNECTION frame behind it.
    const UP: u64 = 240;
    const DOWN: u64 = 330;
    for cut in [Cut::Rst, Cut::Fin] {
        let proxy = Proxy::new(server.addr, move |number| {
            let mut fault = Fault::default();
            if number < UP {
                fault.up.cut_after = Some((number, cut));
            } else if number < UP + DOWN {
                fault.down.cut_after = Some((number - UP, cut));
            }
            fault
        });
        let rules = Rules {
            backoff: (1, 2),
            ..Rules::default()
        };
        let mut peer = through(&proxy, &rules);
        peer.channel("/room");
        peer.wait_joined("/room", Duration::from_secs(40));
        let dials = peer.stats().dials;
        assert_eq!(proxy.accepted(), dials, "one connection per dial");
        assert_eq!(peer.oracle.in_doubt, 0);
        // Only what the cut left whole may have succeeded: the request has fewer than UP bytes, the rest was a failure.
        let request = proxy.record().last().map_or(0, |bytes| {
            bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() as u64 + 4
        });
        assert!((100..UP).contains(&request), "the request head has {request} bytes");
        assert!(dials > request + 129, "{dials} dials");
        println!(
            "{cut:?}: {dials} dials, {} ended behind the upgrade",
            peer.oracle.losses
        );
    }
}

#[test]
fn each_failed_dial_says_what_failed() {
    let _alone = alone();
    let server = Server::start();
    let proxy = Proxy::clean(server.addr);
    proxy.refuse(true);
    super::until("the port is closed", SLACK, || {
        std::net::TcpStream::connect(proxy.addr).is_err()
    });
    let rules = Rules::default();
    let mut peer = through(&proxy, &rules);
    peer.channel("/room");
    for _ in 0..3 {
        let refused = peer.wait("a refused dial", SLACK, |ev| ev.kind == CLIENT_ERROR);
        assert_eq!(refused.status, status::CONNECT, "{}", refused.message);
        assert!(refused.message.contains("refused"), "{}", refused.message);
        assert!(refused.retry_ms <= rules.backoff.1);
    }
    proxy.plan(|_| Fault {
        silent: true,
        ..Fault::default()
    });
    proxy.refuse(false);
    let silent = peer.wait("an unanswered dial", rules.healed_within() + SLACK, |ev| {
        ev.kind == CLIENT_ERROR && ev.status != status::CONNECT
    });
    assert_eq!(silent.status, status::ERROR_TIMEOUT, "{}", silent.message);
    proxy.plan(|_| Fault::default());
    peer.wait_joined("/room", rules.healed_within() + SLACK);

    let mut nowhere = Peer::new("ws://no-such-host.invalid/", &Rules::default());
    nowhere.connect();
    let failed = nowhere.wait("a failed lookup", SLACK, |ev| ev.kind == CLIENT_ERROR);
    assert!(
        matches!(failed.status, status::CONNECT | status::ERROR_TIMEOUT),
        "{failed:?}"
    );
}

#[test]
fn a_black_hole_is_noticed_and_left() {
    let _alone = alone();
    let server = Server::start();
    let hole = Way {
        hole_after: Some(2_500),
        ..Way::default()
    };
    let clear = Way::default();
    for (up, down) in [(&hole, &clear), (&clear, &hole), (&hole, &hole)] {
        let first = Fault {
            up: up.clone(),
            down: down.clone(),
            silent: false,
        };
        let proxy = Proxy::new(
            server.addr,
            move |number| if number == 0 { first.clone() } else { Fault::default() },
        );
        let rules = Rules::default();
        let mut peer = through(&proxy, &rules);
        let channel = peer.channel("/room");
        peer.wait_joined("/room", SLACK);
        for n in 0..40 {
            peer.request(channel, "reply", &format!("{{\"n\":{n}}}")).unwrap();
        }
        let began = Instant::now();
        let lost = peer.wait("the dead link", rules.healed_within() + SLACK, |ev| {
            ev.kind == CLIENT_STATE && ev.state == DISCONNECTED
        });
        assert_eq!(lost.status, status::CONNECTION_LOST);
        assert!(lost.message.contains("pong"), "{}", lost.message);
        assert!(lost.in_doubt > 0, "what fell into the hole is in doubt");
        let noticed = began.elapsed();
        let bound = Duration::from_millis(u64::from(rules.ping_ms + 3 * rules.pong_ms));
        assert!(noticed < bound + SLACK, "noticed after {noticed:?}");
        peer.wait_joined("/room", rules.healed_within() + SLACK);
        super::until("each request ends", SLACK, || {
            peer.pump(MS);
            peer.oracle.pending() == 0
        });
    }
}

#[test]
fn a_killed_server_that_comes_back_is_joined_again() {
    let _alone = alone();
    let mut server = Server::start();
    let rules = Rules::default();
    let mut peer = Peer::new(&format!("ws://{}/script", server.addr), &rules);
    peer.connect();
    let channel = peer.channel("/room");
    for round in 0..5 {
        peer.wait_joined("/room", rules.healed_within() + SLACK);
        let ticket = peer.request(channel, "reply", &format!("{{\"n\":{round}}}")).unwrap();
        let reply = peer.wait("a reply", SLACK, |ev| ev.kind == REPLY && ev.ticket == ticket);
        assert_eq!(reply.status, status::OK);
        let unanswered = peer.request(channel, "silent", "{\"n\":99}").unwrap();
        assert!(peer.flushed(SLACK));
        let port = server.addr.port();
        server.kill();
        let reply = peer.wait("the end of a request", SLACK, |ev| {
            ev.kind == REPLY && ev.ticket == unanswered
        });
        assert_eq!(reply.status, status::CONNECTION_LOST, "at once, not by timeout");
        server = Server::start_on(port);
    }
    peer.wait_joined("/room", rules.healed_within() + SLACK);
}

/// Codes, as the program hears them: those that must not be sent, too, are told as they came.
const CLOSES: [(Option<u16>, i32); 27] = [
    (None, 1005),
    (Some(1000), 1000),
    (Some(1001), 1001),
    (Some(1002), 1002),
    (Some(1003), 1003),
    (Some(1007), 1007),
    (Some(1008), 1008),
    (Some(1009), 1009),
    (Some(1010), 1010),
    (Some(1011), 1011),
    (Some(1012), 1012),
    (Some(1013), 1013),
    (Some(1014), 1014),
    (Some(3000), 3000),
    (Some(3999), 3999),
    (Some(4000), 4000),
    (Some(4999), 4999),
    (Some(0), 0),
    (Some(999), 999),
    (Some(1004), 1004),
    (Some(1005), 1005),
    (Some(1006), 1006),
    (Some(1015), 1015),
    (Some(1016), 1016),
    (Some(2999), 2999),
    (Some(5000), 5000),
    (Some(65535), 65535),
];

#[test]
fn each_close_code_ends_the_connection_and_not_the_client() {
    let _alone = alone();
    let served = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&served);
    let hostile = Hostile::new(move |conn, number| {
        conn.greet()?;
        let join = conn.text()?;
        conn.write(&super::raw::text(&acknowledge(&join)))?;
        if let Some((code, _)) = CLOSES.get(number as usize) {
            conn.text()?;
            log.lock().unwrap().push(*code);
            let body = code
                .map(|code| [&code.to_be_bytes()[..], b"bye"].concat())
                .unwrap_or_default();
            conn.write(&frame(CLOSE, &body))?;
        }
        conn.read_out();
        Ok(())
    });
    let mut peer = Peer::new(&hostile.url(), &Rules::default());
    peer.connect();
    let channel = peer.channel("/room");
    for (code, heard) in CLOSES {
        peer.wait_joined("/room", SLACK);
        assert_eq!(peer.send(channel, "note", "{}"), status::OK);
        let lost = peer.wait("the Close", SLACK, |ev| {
            ev.kind == CLIENT_STATE && ev.state == DISCONNECTED
        });
        assert_eq!(lost.status, status::CONNECTION_LOST, "{code:?}: {}", lost.message);
        assert_eq!(lost.close_code, heard, "Close {code:?}: {}", lost.message);
    }
    peer.wait_joined("/room", SLACK);
    assert_eq!(served.lock().unwrap().len(), CLOSES.len());
}
