//! Name lookup that fails, takes too long, finds nothing, or finds addresses of which some are dead.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use pondsocket::inject::{Lookup, resolve_with};
use pondsocket::session::status;

use super::peer::{CLIENT_ERROR, Ev, Peer, Rules};
use super::server::Server;
use super::{SLACK, alone};

/// Asks the system again, however the test ends.
struct Resolver;

impl Resolver {
    fn new(answer: Result<Vec<SocketAddr>, String>) -> Self {
        Self::set(Duration::ZERO, answer);
        Self
    }

    fn set(after: Duration, answer: Result<Vec<SocketAddr>, String>) {
        resolve_with(Some(Lookup { after, answer }));
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        resolve_with(None);
    }
}

const URL: &str = "ws://name.test/script";

fn dialling(rules: &Rules) -> Peer {
    let peer = Peer::new(URL, rules);
    peer.connect();
    peer.channel("/room");
    peer
}

fn failed(peer: &mut Peer, limit: Duration) -> Ev {
    peer.wait("a failed dial", limit, |ev| ev.kind == CLIENT_ERROR)
}

/// A port at which nobody listens.
fn refused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_failed_lookup_is_told_and_tried_again() {
    let _alone = alone();
    let server = Server::start();
    let _resolver = Resolver::new(Err("no such name".to_owned()));
    let rules = Rules::default();
    let mut peer = dialling(&rules);
    for _ in 0..3 {
        let error = failed(&mut peer, SLACK);
        assert_eq!(error.status, status::CONNECT, "{}", error.message);
        assert!(
            error.message.contains("lookup failed: no such name"),
            "{}",
            error.message
        );
        assert!(error.retry_ms <= rules.backoff.1);
    }
    Resolver::set(Duration::ZERO, Ok(vec![server.addr]));
    peer.wait_joined("/room", rules.healed_within() + SLACK);
}

#[test]
fn a_lookup_without_an_address_is_told_and_tried_again() {
    let _alone = alone();
    let server = Server::start();
    let _resolver = Resolver::new(Ok(Vec::new()));
    let rules = Rules::default();
    let mut peer = dialling(&rules);
    for _ in 0..3 {
        let error = failed(&mut peer, SLACK);
        assert_eq!(error.status, status::CONNECT, "{}", error.message);
        assert!(error.message.contains("no address"), "{}", error.message);
    }
    Resolver::set(Duration::ZERO, Ok(vec![server.addr]));
    peer.wait_joined("/room", rules.healed_within() + SLACK);
}

#[test]
fn a_lookup_longer_than_the_connect_timeout_ends_with_it() {
    let _alone = alone();
    let server = Server::start();
    let _resolver = Resolver::new(Ok(Vec::new()));
    Resolver::set(Duration::from_secs(3_600), Ok(vec![server.addr]));
    let rules = Rules {
        connect_ms: 200,
        ..Rules::default()
    };
    let mut peer = dialling(&rules);
    for _ in 0..2 {
        let error = failed(&mut peer, SLACK);
        assert_eq!(error.status, status::ERROR_TIMEOUT, "{}", error.message);
    }
    Resolver::set(Duration::from_millis(50), Ok(vec![server.addr]));
    // A busy machine may need more than 200 ms for a dial: then it is one of the next.
    peer.wait_joined("/room", 4 * SLACK);
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let _alone = alone();
    let server = Server::start();
    let (dead, deader) = (refused(), refused());
    let _resolver = Resolver::new(Ok(vec![dead, deader, server.addr]));
    let mut peer = dialling(&Rules::default());
    peer.wait_joined("/room", Rules::default().healed_within() + SLACK);
    assert_eq!(peer.stats().dials, 1, "all addresses belong to one dial");

    Resolver::set(Duration::ZERO, Ok(vec![dead, deader]));
    let mut peer = dialling(&Rules::default());
    let error = failed(&mut peer, SLACK);
    assert_eq!(error.status, status::CONNECT, "{}", error.message);
    assert!(error.message.contains("refused"), "{}", error.message);
}

/// A listener whose queue is full: further connections are neither accepted nor refused.
#[cfg(target_os = "linux")]
fn deaf() -> (TcpListener, Vec<TcpStream>) {
    use std::os::fd::AsRawFd;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // SAFETY: a listening socket; listening again only changes the length of its queue.
    #[allow(unsafe_code)]
    let shortened = unsafe { libc::listen(listener.as_raw_fd(), 1) };
    assert_eq!(shortened, 0);
    let mut waiting = Vec::new();
    while let Ok(socket) = TcpStream::connect_timeout(&addr, Duration::from_millis(500)) {
        waiting.push(socket);
        assert!(waiting.len() < 100, "the queue never fills");
    }
    (listener, waiting)
}

#[test]
#[cfg(target_os = "linux")]
fn the_next_address_is_tried_when_one_is_deaf() {
    let _alone = alone();
    let server = Server::start();
    let (listener, _waiting) = deaf();
    let _resolver = Resolver::new(Ok(vec![listener.local_addr().unwrap(), server.addr]));
    let rules = Rules {
        connect_ms: 30_000,
        ..Rules::default()
    };
    let began = Instant::now();
    let mut peer = dialling(&rules);
    peer.wait_joined("/room", Duration::from_secs(20));
    assert_eq!(peer.stats().dials, 1, "all addresses belong to one dial");
    println!("JOINED by the second address after {:?}", began.elapsed());
}
