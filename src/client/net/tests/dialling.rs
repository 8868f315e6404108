use std::collections::HashSet;

use super::super::dial::handshake_key;
use super::super::{DialErrorKind, check_header};
use super::*;

/// Answers one connection with these bytes and holds it open; answers the port.
async fn answers(bytes: &[u8]) -> u16 {
    let (listener, port) = listen().await;
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(&bytes).await.unwrap();
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    });
    port
}

async fn refused(bytes: &[u8]) -> (u16, Option<u64>, String) {
    let port = answers(bytes).await;
    let error = dial_fails(plain(port)).await;
    let prefix = format!("127.0.0.1:{port}: the server refused the upgrade: ");
    let message = error
        .message
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("{error}"))
        .to_owned();
    match error.kind {
        DialErrorKind::Http { status, retry_after_ms } => (status, retry_after_ms, message),
        other => panic!("{other:?}"),
    }
}

fn same(got: (u16, Option<u64>, String), status: u16, retry_after_ms: Option<u64>, message: &str) {
    assert_eq!(got, (status, retry_after_ms, message.to_owned()));
}

#[test]
fn handshake_keys_are_sixteen_bytes_in_base64_and_differ() {
    let keys: HashSet<String> = (0..1000).map(|_| handshake_key()).collect();
    assert_eq!(keys.len(), 1000);
    for key in keys {
        let digits = key.strip_suffix("==").unwrap();
        assert_eq!(digits.len(), 22, "{key}");
        assert!(
            digits
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/'),
            "{key}"
        );
        // Two bits of the last digit count, the others are to be nought.
        assert!(digits.ends_with(['A', 'Q', 'g', 'w']), "{key}");
    }
}

#[tokio::test]
async fn an_echo_server_of_another_make_is_reached() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        use futures_util::{SinkExt, StreamExt};
        let stream = listener.accept().await.unwrap().0;
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let mut link = within(dial(plain(port))).await.unwrap();
    link.push_text("grüß".as_bytes()).unwrap();
    flush(&mut link).await.unwrap();
    assert_eq!(read_some(&mut link, 8).await.unwrap(), [text("grüß")]);
    link.push_close(1000).unwrap();
    flush(&mut link).await.unwrap();
    let closed = LinkEnd::Closed {
        code: Some(1000),
        reason: String::new(),
    };
    assert_eq!(read_all(&mut link).await, (Vec::new(), closed));
}

#[tokio::test]
async fn the_request_is_exactly_as_asked_for() {
    let (listener, port) = listen().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await;
        stream.write_all(accept_text(&request).as_bytes()).await.unwrap();
        request
    };
    let headers = vec![
        ("Authorization".to_owned(), "Bearer x".to_owned()),
        ("Cookie".to_owned(), "ü=1".to_owned()),
    ];
    let (link, request) = tokio::join!(dial(super::DialRequest { headers, ..plain(port) }), server);
    link.unwrap();
    let mut lines: Vec<&str> = request.trim_end().lines().collect();
    let key = lines.remove(5);
    assert_eq!(key.len(), "Sec-WebSocket-Key: ".len() + 24);
    let user_agent = format!("User-Agent: libpondsocket/{}", env!("CARGO_PKG_VERSION"));
    let host = format!("Host: 127.0.0.1:{port}");
    let expected = [
        "GET /socket?token=hidden HTTP/1.1",
        &host,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        &user_agent,
        "Authorization: Bearer x",
        "Cookie: ü=1",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_user_agent_of_the_program_replaces_ours() {
    let (listener, port) = listen().await;
    let server = async { read_request(&mut listener.accept().await.unwrap().0).await };
    let headers = vec![("user-agent".to_owned(), "game/1".to_owned())];
    let (link, request) = tokio::join!(dial(super::DialRequest { headers, ..plain(port) }), server);
    assert_eq!(link.unwrap_err().kind, DialErrorKind::Connect);
    assert_eq!(request.to_ascii_lowercase().matches("user-agent:").count(), 1);
}

#[tokio::test]
async fn a_closed_port_is_a_connect_error() {
    // Bound but not listening: nobody else can get the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let error = dial_fails(plain(port)).await;
    assert_eq!(error.kind, DialErrorKind::Connect);
    assert_eq!(error.message, format!("127.0.0.1:{port}: connection refused"));
}

#[tokio::test]
async fn an_unknown_host_is_a_connect_error() {
    // Reserved never to exist.
    let endpoint = Endpoint::parse("ws://nowhere.invalid/?token=hidden", None).unwrap();
    let error = dial_fails(super::DialRequest { endpoint, ..plain(1) }).await;
    assert_eq!(error.kind, DialErrorKind::Connect);
    assert!(
        error.message.starts_with("nowhere.invalid:80: name lookup failed"),
        "{error}"
    );
}

#[tokio::test]
async fn refusals_carry_status_and_reason() {
    same(
        refused(b"HTTP/1.1 401 Unauthorized\r\n\r\n").await,
        401,
        None,
        "401 Unauthorized",
    );
    same(
        refused("HTTP/1.1 401 Zugang für 中 verweigert\r\n\r\n".as_bytes()).await,
        401,
        None,
        "401 Zugang für 中 verweigert",
    );
    same(
        refused(b"HTTP/1.1 401 caf\xe9\r\n\r\n").await,
        401,
        None,
        "401 caf\u{e9}",
    );
    same(refused(b"HTTP/1.1 401 one\nx two\r\n\r\n").await, 401, None, "401 one");
    same(
        refused(b"HTTP/1.1 401 a\x1b[31mb\r\n\r\n").await,
        401,
        None,
        "401 a [31mb",
    );
    same(refused(b"HTTP/1.1 404\r\n\r\n").await, 404, None, "404");
    same(refused(b"HTTP/1.1 404 \r\n\r\n").await, 404, None, "404");
    same(
        refused(b"HTTP/1.0 502 Bad Gateway\r\n\r\n").await,
        502,
        None,
        "502 Bad Gateway",
    );
    same(refused(b"HTTP/1.1 999 Odd\r\n\r\n").await, 999, None, "999 Odd");
    same(
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await,
        200,
        None,
        "200 OK",
    );
    same(
        refused(b"HTTP/1.1 302 Found\r\nLocation: /hidden\r\n\r\n").await,
        302,
        None,
        "302 Found",
    );
    same(
        refused(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 403 No\r\n\r\n").await,
        403,
        None,
        "403 No",
    );
}

#[tokio::test]
async fn short_text_bodies_are_shown() {
    let go =
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\r\nno entry\nX";
    same(refused(go).await, 403, None, "403 Forbidden: no entry");
    let repeated = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nForbidden";
    same(refused(repeated).await, 403, None, "403 Forbidden");
    let html = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<b>";
    same(refused(html).await, 403, None, "403 Forbidden");
    let long = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 201\r\n\r\n{}",
        "x".repeat(201)
    );
    same(refused(long.as_bytes()).await, 403, None, "403 Forbidden");
    // A body that never comes delays the refusal but does not hide it.
    let missing = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nno";
    same(refused(missing).await, 403, None, "403 Forbidden");
}

#[tokio::test]
async fn retry_after_is_read() {
    same(
        refused(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n").await,
        503,
        Some(7000),
        "503 Busy",
    );
    same(
        refused(b"HTTP/1.1 503 Busy\r\nretry-after:0\r\n\r\n").await,
        503,
        Some(0),
        "503 Busy",
    );
    same(
        refused(b"HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n\r\n").await,
        503,
        None,
        "503 Busy",
    );
    same(
        refused(b"HTTP/1.1 503 Busy\r\nRetry-After: -1\r\n\r\n").await,
        503,
        None,
        "503 Busy",
    );
    let endless = b"HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999999\r\n\r\n";
    same(refused(endless).await, 503, Some(u64::MAX), "503 Busy");
    let date = b"HTTP/1.1 503 Busy\r\nDate: Wed, 28 Feb 2024 23:59:50 GMT\r\nRetry-After: Fri, 01 Mar 2024 00:00:00 GMT\r\n\r\n";
    same(refused(date).await, 503, Some((86_400 + 10) * 1000), "503 Busy");
    let past = b"HTTP/1.1 503 Busy\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
    same(refused(past).await, 503, Some(0), "503 Busy");
}

#[tokio::test]
async fn answers_that_are_no_handshake_are_protocol_errors() {
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\n";
    let cases = [
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        "\r\n".to_owned(),
        "{\"hello\":\"world\"}".to_owned(),
        "HTTP/2 200\r\n\r\n".to_owned(),
        "HTTP/1.1 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 99999 Odd\r\n\r\n".to_owned(),
        "HTTP/1.1 099 Odd\r\n\r\n".to_owned(),
        format!("{upgrade}\r\n"),
        format!("{upgrade}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        format!("{upgrade}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"),
        format!("{upgrade}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        format!("{upgrade}{}", "X-Header: value\r\n".repeat(5000)),
    ];
    for case in cases {
        let error = dial_fails(plain(answers(case.as_bytes()).await)).await;
        assert_eq!(error.kind, DialErrorKind::Protocol, "{case:.60}: {error}");
    }
}

/// Dials a server whose answer is made from the right one.
async fn handshake(change: impl FnOnce(String) -> String) -> Result<Link, DialError> {
    let (listener, port) = listen().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await;
        stream
            .write_all(change(accept_text(&request)).as_bytes())
            .await
            .unwrap();
        stream
    };
    within(async { tokio::join!(dial(plain(port)), server) }).await.0
}

#[tokio::test]
async fn what_was_not_offered_is_not_accepted() {
    handshake(|text| text).await.unwrap();
    for extra in [
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Protocol: chat",
    ] {
        let error = handshake(|text| text.replace("\r\n\r\n", &format!("\r\n{extra}\r\n\r\n")))
            .await
            .unwrap_err();
        assert_eq!(error.kind, DialErrorKind::Protocol, "{extra}");
    }
    let error = handshake(|text| text.replace("HTTP/1.1", "HTTP/1.0"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DialErrorKind::Protocol);
}

#[tokio::test]
async fn spelling_of_the_upgrade_does_not_matter() {
    handshake(|text| text.replace("Connection: Upgrade", "CONNECTION:keep-alive, upgrade"))
        .await
        .unwrap();
    handshake(|text| text.replace("Upgrade: websocket", "upgrade:   WebSocket  "))
        .await
        .unwrap();
    handshake(|text| text.replace("\r\n", "\n")).await.unwrap();
    handshake(|text| format!("HTTP/1.1 100 Continue\r\n\r\n{text}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn frames_right_behind_the_handshake_are_not_lost() {
    let (listener, port) = listen().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let mut answer = accept_text(&read_request(&mut stream).await).into_bytes();
        answer.extend(frame(0x81, b"early"));
        answer.extend(&frame(0x81, b"split")[..3]);
        stream.write_all(&answer).await.unwrap();
        stream
    };
    let (link, mut stream) = within(async { tokio::join!(dial(plain(port)), server) }).await;
    let mut link = link.unwrap();
    assert_eq!(read_some(&mut link, 8).await.unwrap(), [text("early")]);
    stream.write_all(&frame(0x81, b"split")[3..]).await.unwrap();
    assert_eq!(read_some(&mut link, 8).await.unwrap(), [text("split")]);
    assert_eq!(link.bytes_in(), 14);
}

#[tokio::test]
async fn a_server_that_closes_within_its_answer_is_an_error_at_each_byte() {
    let (listener, port) = listen().await;
    let mut length = 1;
    let mut cut = 0;
    while cut < length {
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let answer = accept_text(&read_request(&mut stream).await);
            stream.write_all(&answer.as_bytes()[..cut]).await.unwrap();
            answer.len()
        };
        let (result, whole) = within(async { tokio::join!(dial(plain(port)), server) }).await;
        let error = result.expect_err("the answer was cut");
        assert_eq!(error.kind, DialErrorKind::Connect, "cut at {cut}: {error}");
        length = whole;
        cut += 1;
    }
    assert!(length > 100);
}

#[tokio::test]
async fn a_refusal_cut_behind_its_status_line_is_still_a_refusal() {
    for cut in [
        "HTTP/1.1 401 Nope\r\n",
        "HTTP/1.1 401 Nope\r\nContent-Le",
        "HTTP/1.1 401 Nope\r\nX: y\r\n",
    ] {
        let (listener, port) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            read_request(&mut stream).await;
            stream.write_all(cut.as_bytes()).await.unwrap();
        };
        let (result, ()) = within(async { tokio::join!(dial(plain(port)), server) }).await;
        let kind = result.unwrap_err().kind;
        assert_eq!(
            kind,
            DialErrorKind::Http {
                status: 401,
                retry_after_ms: None
            },
            "{cut}"
        );
    }
}

#[tokio::test]
async fn an_answer_in_single_bytes_is_read() {
    let (listener, port) = listen().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        stream.set_nodelay(true).unwrap();
        for byte in accept_text(&read_request(&mut stream).await).bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream
    };
    within(async { tokio::join!(dial(plain(port)), server) })
        .await
        .0
        .unwrap();
}

#[tokio::test]
async fn a_dropped_dial_closes_its_socket() {
    let (listener, port) = listen().await;
    let attempt = tokio::spawn(dial(plain(port)));
    let mut stream = within(listener.accept()).await.unwrap().0;
    read_request(&mut stream).await;
    attempt.abort();
    assert_eq!(within(stream.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn headers_cannot_inject() {
    let bad = [
        ("X", "a\r\nY: b"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X", "a\x7fb"),
        ("X: Y", "a"),
        ("X\r\nY", "a"),
        ("", "a"),
        ("X Y", "a"),
        ("Ü", "a"),
        ("Host", "a"),
        ("UPGRADE", "a"),
        ("connection", "a"),
        ("Sec-WebSocket-Key", "a"),
        ("sec-websocket-protocol", "a"),
        ("Sec-WebSocket-Extensions", "a"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
    ];
    for (name, value) in bad {
        assert!(check_header(name, value).is_err(), "{name:?}: {value:?}");
        // Nobody listens there: the header is refused before anything is dialled.
        let headers = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(
            dial_fails(super::DialRequest { headers, ..plain(1) }).await.kind,
            DialErrorKind::Protocol
        );
    }
    let secret = check_header("Authorization", "secret\r\n").unwrap_err();
    assert!(!secret.contains("secret"));
    for (name, value) in [
        ("Origin", "https://x"),
        ("Authorization", "Bearer a.b=="),
        ("X-", ""),
        ("A", "\tü"),
    ] {
        check_header(name, value).unwrap();
    }
}

#[test]
fn a_dial_and_its_link_may_move_between_threads() {
    fn sendable<T: Send>(_: Option<T>) {}
    sendable(Some(dial(plain(1))));
    sendable(None::<Link>);
}

#[test]
fn dates_count_from_1970() {
    let seconds = super::super::http::parse_date;
    assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    assert_eq!(seconds("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
    let bad = [
        "",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Non 1994 08:49:37 GMT",
    ];
    let worse = [
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 99999 08:49:37 GMT",
    ];
    for text in bad.into_iter().chain(worse) {
        assert_eq!(seconds(text), None, "{text}");
    }
}
