//! TLS records as they come: in pieces, many at once, broken, and the end of them.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{HandshakeKind, ServerConfig, SupportedProtocolVersion};
use tokio::io::{DuplexStream, duplex, split};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::secured::{Authority, parts};
use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

fn acceptor(authority: &Authority, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
    let (chain, key) = parts(&authority.issue("localhost"));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// What lies between a server and its socket.
struct Wire {
    /// So many bytes are written at once.
    piece: usize,
    /// From now on everything is.
    broken: tokio::sync::watch::Receiver<bool>,
}

/// Carries what a server writes to the client as the wire says.
async fn carry(socket: TcpStream, inner: DuplexStream, wire: Wire) {
    socket.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = socket.into_split();
    let (mut from_server, mut to_server) = split(inner);
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut piece = vec![0; wire.piece];
    while let Ok(count @ 1..) = from_server.read(&mut piece).await {
        if *wire.broken.borrow() {
            piece[count - 1] ^= 1;
        }
        if to_client.write_all(&piece[..count]).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// A link, its server, and the switch that breaks what the server sends.
async fn pair(
    version: &'static SupportedProtocolVersion,
    piece: usize,
    first: &[u8],
) -> (Link, TlsStream<DuplexStream>, tokio::sync::watch::Sender<bool>) {
    let authority = Authority::new();
    let acceptor = acceptor(&authority, version);
    let (listener, port) = listen().await;
    let (breaks, broken) = tokio::sync::watch::channel(false);
    let server = async {
        let (near, far) = duplex(1 << 20);
        let socket = listener.accept().await.unwrap().0;
        tokio::spawn(carry(socket, far, Wire { piece, broken }));
        let mut stream = acceptor.accept(near).await.unwrap();
        let request = read_request(&mut stream).await;
        let answer = [accept_text(&request).as_bytes(), first].concat();
        stream.write_all(&answer).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let request = secure("localhost", port, &authority.trusted());
    let (link, server) = within(async { tokio::join!(dial(request), server) }).await;
    (link.unwrap(), server, breaks)
}

async fn read_texts(link: &mut Link, count: usize) -> Vec<Got> {
    let mut got = Vec::new();
    while got.len() < count {
        got.extend(read_some(link, 64).await.unwrap());
    }
    got
}

#[tokio::test]
async fn records_that_come_in_pieces_are_put_together() {
    for version in VERSIONS {
        for piece in [1, 6, 1_000] {
            let long = "y".repeat(20_000);
            let (mut link, mut server, _breaks) = pair(version, piece, &[]).await;
            let writes = async {
                for text in ["one", &long, "two"] {
                    server.write_all(&frame(0x81, text.as_bytes())).await.unwrap();
                    server.flush().await.unwrap();
                }
            };
            let (got, ()) = within(async { tokio::join!(read_texts(&mut link, 3), writes) }).await;
            assert_eq!(got, [text("one"), text(&long), text("two")], "{piece} bytes at once");
        }
    }
}

#[tokio::test]
async fn what_comes_along_with_the_answer_to_the_upgrade_is_not_lost() {
    for version in VERSIONS {
        let long = "z".repeat(60_000);
        let first = [
            frame(0x81, b"first"),
            frame(0x81, long.as_bytes()),
            frame(0x81, b"last"),
        ]
        .concat();
        let (mut link, _server, _breaks) = pair(version, 1 << 20, &first).await;
        let got = read_texts(&mut link, 3).await;
        assert_eq!(got, [text("first"), text(&long), text("last")]);
    }
}

#[tokio::test]
async fn many_records_are_read_at_once_and_in_order() {
    for version in VERSIONS {
        let (mut link, mut server, _breaks) = pair(version, 1 << 20, &[]).await;
        let all: Vec<String> = (0..3_000).map(|n| format!("{n} {}", "m".repeat(n % 300))).collect();
        let writes = async {
            for text in &all {
                server.write_all(&frame(0x81, text.as_bytes())).await.unwrap();
            }
            server.flush().await.unwrap();
        };
        let (got, ()) = within(async { tokio::join!(read_texts(&mut link, all.len()), writes) }).await;
        assert!(
            got == all.iter().map(|one| text(one)).collect::<Vec<_>>(),
            "lost or reordered"
        );
    }
}

#[tokio::test]
async fn keys_change_under_way_in_both_directions() {
    let (mut link, mut server, _breaks) = pair(&rustls::version::TLS13, 5, &[]).await;
    for round in 0..3 {
        // The client has to answer with new keys of its own.
        server.get_mut().1.refresh_traffic_keys().unwrap();
        let told = format!("round {round}");
        server.write_all(&frame(0x81, told.as_bytes())).await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(read_texts(&mut link, 1).await, [text(&told)]);
        link.push_text(told.as_bytes()).unwrap();
        flush(&mut link).await.unwrap();
        assert_eq!(
            within(read_frame(&mut server)).await.unwrap(),
            (0x81, told.into_bytes())
        );
    }
}

#[tokio::test]
async fn a_broken_record_ends_the_link_and_the_server_is_told() {
    for version in VERSIONS {
        let (mut link, mut server, breaks) = pair(version, 1 << 20, &[]).await;
        server.write_all(&frame(0x81, b"whole")).await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(read_texts(&mut link, 1).await, [text("whole")]);
        breaks.send(true).unwrap();
        server.write_all(&frame(0x81, b"broken")).await.unwrap();
        server.flush().await.unwrap();
        let (rest, end) = read_all(&mut link).await;
        assert_eq!(rest, [], "nothing that was changed on the way may be read");
        let LinkEnd::Lost(message) = end else {
            panic!("{end:?}");
        };
        assert!(message.contains("decrypt"), "{message}");
        assert!(link.push_text(b"more").is_err());
        let told = within(server.read(&mut [0; 9])).await.unwrap_err();
        assert!(told.to_string().contains("BadRecordMac"), "{told}");
    }
}

#[tokio::test]
async fn the_end_is_seen_behind_what_came_before_it() {
    for version in VERSIONS {
        for says_so in [true, false] {
            let (mut link, mut server, _breaks) = pair(version, 3, &[]).await;
            server.write_all(&frame(0x81, b"good-bye")).await.unwrap();
            server.flush().await.unwrap();
            if says_so {
                server.shutdown().await.unwrap();
            }
            drop(server);
            let (got, end) = read_all(&mut link).await;
            assert_eq!(got, [text("good-bye")]);
            let LinkEnd::Lost(message) = end else {
                panic!("{end:?}");
            };
            let expected = if says_so {
                "without a Close frame"
            } else {
                "close_notify"
            };
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[tokio::test]
async fn a_server_knows_a_client_again_by_equal_options_only() {
    for version in VERSIONS {
        let authority = Authority::new();
        let acceptor = acceptor(&authority, version);
        let (listener, port) = listen().await;
        let trust = Trust::default();
        let insecure = TlsOptions {
            insecure_skip_verify: true,
            ..authority.trusted()
        };
        let tries = [
            (authority.trusted(), HandshakeKind::Full),
            (authority.trusted(), HandshakeKind::Resumed),
            (insecure.clone(), HandshakeKind::Full),
            (insecure, HandshakeKind::Resumed),
        ];
        // As long as there is a client with them.
        let mut kept = Vec::new();
        for (options, expected) in tries {
            let tls = trust.get(&options, Instant::now()).unwrap();
            let request = DialRequest {
                tls: Some(Arc::clone(tls.config())),
                ..secure("localhost", port, &options)
            };
            kept.push(tls);
            let server = async {
                let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
                let mut stream = accept_raw(stream).await;
                // Whoever has read this has read the tickets before it.
                stream.write_all(&frame(0x81, b"hello")).await.unwrap();
                stream.flush().await.unwrap();
                stream
            };
            let (link, server) = within(async { tokio::join!(dial(request), server) }).await;
            assert_eq!(read_texts(&mut link.unwrap(), 1).await, [text("hello")]);
            assert_eq!(server.get_ref().1.handshake_kind(), Some(expected), "{options:?}");
        }
    }
}
