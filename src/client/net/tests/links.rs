use std::task::Poll;
use std::time::Instant;

use super::super::wire::{Socket, Transport};
use super::*;

fn closed(code: Option<u16>, reason: &str) -> LinkEnd {
    LinkEnd::Closed {
        code,
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn reads_in_batches_of_at_most_max() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let many: Vec<u8> = (0..100)
        .flat_map(|n: u32| frame(0x81, n.to_string().as_bytes()))
        .collect();
    server.write_all(&many).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 100 {
        let some = read_some(&mut link, 7).await.unwrap();
        assert!((1..=7).contains(&some.len()));
        got.extend(some);
    }
    assert_eq!(got, (0..100).map(|n| text(&n.to_string())).collect::<Vec<_>>());
    assert_eq!(link.bytes_in(), many.len() as u64);
}

#[tokio::test]
async fn fragments_with_a_ping_between_are_one_message() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let mut bytes = frame(0x01, "gr\u{fc}".as_bytes().split_at(3).0);
    bytes.extend(frame(0x89, b"?"));
    bytes.extend(frame(0x00, "gr\u{fc}".as_bytes().split_at(3).1));
    bytes.extend(frame(0x80, b"n"));
    bytes.extend(frame(0x82, b"\x00\xff"));
    server.write_all(&bytes).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(read_some(&mut link, 8).await.unwrap());
    }
    assert_eq!(got, [Got::Ping, text("gr\u{fc}n"), Got::Binary(b"\x00\xff".to_vec())]);
    // The pong went out although nothing was written or flushed by the caller.
    assert_eq!(within(read_frame(&mut server)).await.unwrap(), (0x8a, b"?".to_vec()));
}

#[tokio::test]
async fn a_ping_in_the_last_place_of_a_batch_is_answered() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    server.write_all(&frame(0x89, b"now")).await.unwrap();
    assert_eq!(read_some(&mut link, 1).await.unwrap(), [Got::Ping]);
    assert_eq!(within(read_frame(&mut server)).await.unwrap(), (0x8a, b"now".to_vec()));
    // The pong is no message of the caller's and does not hide one that waits.
    assert_eq!((link.handed_over(), link.buffered()), (0, 0));
    link.push_text(b"waits").unwrap();
    assert_eq!((link.handed_over(), link.buffered()), (0, 11));
}

#[tokio::test]
async fn pings_of_ours_are_answered_with_pongs() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    link.push_ping(b"7").unwrap();
    assert!(link.push_ping(&[0; 126]).is_err());
    flush(&mut link).await.unwrap();
    assert_eq!(within(read_frame(&mut server)).await.unwrap(), (0x89, b"7".to_vec()));
    server.write_all(&frame(0x8a, b"7")).await.unwrap();
    assert_eq!(read_some(&mut link, 8).await.unwrap(), [Got::Pong(b"7".to_vec())]);
    assert_eq!((link.handed_over(), link.buffered()), (0, 0));
}

#[tokio::test]
async fn pushed_frames_go_out_together() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let mut encoded = 0;
    for n in 0..1000 {
        link.push_text(format!("message {n}").as_bytes()).unwrap();
        encoded += format!("message {n}").len() + 6;
    }
    // Nothing has been written so far, so nothing was written frame by frame.
    assert_eq!((link.bytes_out(), link.buffered(), link.handed_over()), (0, encoded, 0));
    flush(&mut link).await.unwrap();
    assert_eq!(
        (link.bytes_out(), link.buffered(), link.handed_over()),
        (encoded as u64, 0, 1000)
    );
    for n in 0..1000 {
        let (first, payload) = within(read_frame(&mut server)).await.unwrap();
        assert_eq!((first, payload), (0x81, format!("message {n}").into_bytes()));
    }
}

#[tokio::test]
async fn each_length_encoding_is_counted() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    for length in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let before = (link.bytes_out(), link.handed_over());
        link.push_text(&vec![b'x'; length]).unwrap();
        let (flushed, got) = within(async { tokio::join!(flush(&mut link), read_frame(&mut server)) }).await;
        flushed.unwrap();
        assert_eq!(got.unwrap().1.len(), length);
        let header = if length < 126 {
            6
        } else if length < 65_536 {
            8
        } else {
            14
        };
        assert_eq!(
            (link.bytes_out() - before.0, link.handed_over() - before.1),
            ((length + header) as u64, 1)
        );
        assert_eq!(link.buffered(), 0);
    }
}

/// Pushes numbered frames of 1 KiB until the system takes no more, then some; answers how many were pushed.
pub(super) async fn fill(link: &mut Link) -> u64 {
    let mut pushed = 0;
    let mut stuck_since: Option<(Instant, u64)> = None;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if link.buffered() < 200_000 {
            link.push_text(format!("{pushed:01024}").as_bytes()).unwrap();
            pushed += 1;
            continue;
        }
        let flushed = poll_fn(|cx| std::task::Poll::Ready(link.poll_flush(cx))).await;
        let over = link.handed_over();
        match stuck_since {
            Some((since, before)) if flushed.is_pending() && over == before => {
                // The kernel moves bytes between its own buffers for a moment.
                if since.elapsed() > Duration::from_millis(200) {
                    return pushed;
                }
            }
            _ => stuck_since = Some((Instant::now(), over)),
        }
        assert!(Instant::now() < deadline, "the system takes everything");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn exactly_the_frames_handed_over_arrive() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let pushed = fill(&mut link).await;
    let over = link.handed_over();
    assert!(0 < over && over < pushed);
    // The system still delivers what it took.
    drop(link);
    for n in 0..over {
        let (first, payload) = within(read_frame(&mut server)).await.unwrap();
        assert_eq!((first, payload), (0x81, format!("{n:01024}").into_bytes()));
    }
    assert_eq!(within(read_frame(&mut server)).await, None);
}

#[tokio::test]
async fn after_a_reset_the_count_covers_all_that_arrived() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let pushed = fill(&mut link).await;
    let mut arrived = 0;
    while arrived < 50 {
        within(read_frame(&mut server)).await.unwrap();
        arrived += 1;
    }
    server.set_zero_linger().unwrap();
    drop(server);
    let end = flush(&mut link).await.unwrap_err();
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
    let over = link.handed_over();
    assert!(arrived <= over && over < pushed, "{arrived} {over} {pushed}");
    // The count stands, and nothing is taken any more.
    assert_eq!(link.push_text(b"late"), Err(end.clone()));
    assert_eq!(flush(&mut link).await, Err(end));
    assert_eq!(link.handed_over(), over);
    assert!(matches!(read_all(&mut link).await.1, LinkEnd::Lost(_)));
}

#[tokio::test]
async fn what_came_before_a_reset_of_our_writing_is_still_read() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    server.write_all(&frame(0x81, b"last words")).await.unwrap();
    server.write_all(&frame(0x88, b"\x03\xe9going")).await.unwrap();
    // Unread data makes the server's system answer with a reset, which fails our next write.
    link.push_text(b"unread").unwrap();
    flush(&mut link).await.unwrap();
    within(server.readable()).await.unwrap();
    within(link_readable(&mut link)).await;
    drop(server);
    assert_eq!(read_all(&mut link).await, (Vec::new(), closed(Some(1001), "going")));
}

#[tokio::test]
async fn a_failed_write_ends_the_link_once_everything_readable_was_read() {
    let (listener, port) = listen().await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut server = listener.accept().await.unwrap().0;
    stream.shutdown().await.unwrap();
    let mut link = Link::new(Transport::Plain(Socket::new(stream)), Vec::new(), 1000);
    server.write_all(&frame(0x81, b"last words")).await.unwrap();
    link.push_text(b"too late").unwrap();
    let end = flush(&mut link).await.unwrap_err();
    assert_eq!(end, LinkEnd::Lost("broken pipe".to_owned()));
    // The server's side is still open, so only the failed write can end the reading.
    assert_eq!(read_all(&mut link).await, (vec![text("last words")], end));
    assert_eq!((link.handed_over(), link.buffered()), (0, 14));
}

/// Waits until the first message was read.
async fn link_readable(link: &mut Link) {
    assert_eq!(read_some(link, 1).await.unwrap(), [text("last words")]);
}

#[tokio::test]
async fn what_another_thread_could_not_write_goes_first() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let mut writer = link.writer().unwrap();
    assert!(link.lets_write());
    writer.push_text(b"first");
    assert!(writer.write());
    assert_eq!((writer.handed_over(), writer.bytes_out()), (1, 11));
    let big = vec![b'x'; 64 * 1024];
    let mut pushed = 1;
    loop {
        writer.push_text(&big);
        pushed += 1;
        if !std::thread::scope(|scope| scope.spawn(|| writer.write()).join().unwrap()) {
            break;
        }
    }
    // What the driver pushes while another thread writes waits until that has come to its end.
    link.hold(true);
    link.push_text(b"meanwhile").unwrap();
    let held = std::future::poll_fn(|cx| Poll::Ready(link.poll_flush(cx).is_pending())).await;
    assert!(held && link.handed_over() == 0);
    link.hold(false);
    link.take_over(&mut writer);
    assert!(!link.lets_write());
    link.push_text(b"last").unwrap();
    let reader = async {
        let mut got = Vec::new();
        for _ in 0..=pushed + 1 {
            got.push(read_frame(&mut server).await.unwrap().1);
        }
        got
    };
    let (flushed, mut got) = within(async { tokio::join!(flush(&mut link), reader) }).await;
    flushed.unwrap();
    let behind = got.split_off(got.len() - 2);
    assert_eq!(
        (&got[0][..], behind),
        (&b"first"[..], vec![b"meanwhile".to_vec(), b"last".to_vec()])
    );
    assert!(got[1..].iter().all(|frame| *frame == big));
    assert_eq!(writer.handed_over() + link.handed_over(), pushed + 2);
    assert!(link.lets_write());
}

#[tokio::test]
async fn another_thread_does_not_keep_a_connection_open() {
    let (link, mut server) = raw_pair(1 << 20).await;
    let mut writer = link.writer().unwrap();
    drop(link);
    assert!(within(read_frame(&mut server)).await.is_none());
    writer.push_text(b"too late");
    assert!(!writer.write());
    assert_eq!(writer.handed_over(), 0);
}

#[tokio::test]
async fn a_blocked_writer_is_woken() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let pushed = fill(&mut link).await;
    let reader = async {
        for _ in 0..pushed {
            read_frame(&mut server).await.unwrap();
        }
    };
    let (flushed, ()) = within(async { tokio::join!(flush(&mut link), reader) }).await;
    flushed.unwrap();
    assert_eq!((link.handed_over(), link.buffered()), (pushed, 0));
}

#[tokio::test]
async fn a_pong_blocked_behind_a_full_buffer_goes_out_later() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    let pushed = fill(&mut link).await;
    server.write_all(&frame(0x89, b"!")).await.unwrap();
    assert_eq!(read_some(&mut link, 1).await.unwrap(), [Got::Ping]);
    // Only reading goes on; it has to write the pong when there is room.
    let reader = async {
        for _ in 0..pushed {
            assert_eq!(read_frame(&mut server).await.unwrap().0, 0x81);
        }
        let pong = read_frame(&mut server).await.unwrap();
        server.write_all(&frame(0x81, b"done")).await.unwrap();
        pong
    };
    let (got, pong) = within(async { tokio::join!(read_some(&mut link, 1), reader) }).await;
    assert_eq!((got.unwrap(), pong), (vec![text("done")], (0x8a, b"!".to_vec())));
    assert_eq!(link.handed_over(), pushed);
}

#[tokio::test]
async fn answers_that_can_never_be_sent_do_not_keep_the_link_alive() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    fill(&mut link).await;
    let pings = frame(0x89, &[b'?'; 100]).repeat(1000);
    let before = link.bytes_in();
    server.write_all(&pings).await.unwrap();
    server.write_all(&frame(0x81, b"behind")).await.unwrap();
    // More than may wait: reading stops in the midst of what came.
    let mut read = 0;
    let stopped = poll_fn(|cx| match link.poll_read(cx) {
        Poll::Ready(result) => {
            result.unwrap();
            read += link.take(64, |inbound| assert_eq!(inbound, Inbound::Ping));
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending if read > 600 => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    });
    within(stopped).await;
    assert!((600..1000).contains(&read), "{read}");
    assert!(link.bytes_in() > before);
    server.set_zero_linger().unwrap();
    drop(server);
    // With the connection the answers are lost; what came is read, then the end is told.
    let (_, end) = read_all(&mut link).await;
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
}

#[tokio::test]
async fn close_frames_are_answered_and_end_the_link() {
    let cases: [(&[u8], LinkEnd, &[u8]); 5] = [
        (b"", closed(None, ""), b""),
        (b"\x03\xe8", closed(Some(1000), ""), b"\x03\xe8"),
        (b"\x03\xe9bye", closed(Some(1001), "bye"), b"\x03\xe9bye"),
        (b"\x03\xf4", closed(Some(1012), ""), b"\x03\xf4"),
        (b"\x0f\xa0own", closed(Some(4000), "own"), b"\x0f\xa0own"),
    ];
    for (payload, end, answer) in cases {
        let (mut link, mut server) = raw_pair(1 << 20).await;
        let mut bytes = frame(0x81, b"before");
        bytes.extend(frame(0x88, payload));
        bytes.extend(frame(0x81, b"behind"));
        server.write_all(&bytes).await.unwrap();
        // The server keeps its socket open: the end must not wait for it.
        assert_eq!(read_all(&mut link).await, (vec![text("before")], end.clone()));
        assert_eq!(within(read_frame(&mut server)).await.unwrap(), (0x88, answer.to_vec()));
        assert_eq!(read_some(&mut link, 8).await, Err(end.clone()));
        assert_eq!(link.push_text(b"late"), Err(end));
    }
}

#[tokio::test]
async fn a_close_of_ours_comes_behind_everything_pushed() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    link.push_text(b"first").unwrap();
    link.push_close(1000).unwrap();
    assert!(link.push_text(b"late").is_err());
    flush(&mut link).await.unwrap();
    assert_eq!(
        within(read_frame(&mut server)).await.unwrap(),
        (0x81, b"first".to_vec())
    );
    assert_eq!(
        within(read_frame(&mut server)).await.unwrap(),
        (0x88, b"\x03\xe8".to_vec())
    );
    // Messages on the way are still read, then the answer.
    server.write_all(&frame(0x81, b"crossing")).await.unwrap();
    server.write_all(&frame(0x88, b"\x03\xe8")).await.unwrap();
    assert_eq!(
        read_all(&mut link).await,
        (vec![text("crossing")], closed(Some(1000), ""))
    );
    assert_eq!(link.handed_over(), 1);
}

#[tokio::test]
async fn a_close_without_a_frame_is_a_loss() {
    let (mut link, mut server) = raw_pair(1 << 20).await;
    server.write_all(&frame(0x81, b"last")).await.unwrap();
    server.write_all(&frame(0x81, b"cut off")[..4]).await.unwrap();
    drop(server);
    let (messages, end) = read_all(&mut link).await;
    assert_eq!(messages, [text("last")]);
    assert_eq!(
        end,
        LinkEnd::Lost("the server closed the connection without a Close frame".to_owned())
    );
}

#[tokio::test]
async fn broken_frames_end_the_link() {
    let cases: [(&str, Vec<u8>); 12] = [
        ("reserved bit 1", frame(0xc1, b"x")),
        ("reserved bit 3", frame(0x91, b"x")),
        ("reserved opcode", frame(0x83, b"x")),
        ("reserved control opcode", frame(0x8b, b"x")),
        ("masked", [0x81, 0x81, 0, 0, 0, 0, b'x'].to_vec()),
        ("fragmented ping", frame(0x09, b"x")),
        ("long ping", frame(0x89, &[0; 126])),
        ("continuation of nothing", frame(0x80, b"x")),
        (
            "message within a message",
            [frame(0x01, b"x"), frame(0x81, b"y")].concat(),
        ),
        ("close of one byte", frame(0x88, b"x")),
        ("not UTF-8", frame(0x81, b"\xff\xfe")),
        (
            "not UTF-8 in fragments",
            [frame(0x01, b"\xc3"), frame(0x80, b"(")].concat(),
        ),
    ];
    for (name, bytes) in cases {
        let (mut link, mut server) = raw_pair(1 << 20).await;
        server.write_all(&frame(0x81, b"good")).await.unwrap();
        server.write_all(&bytes).await.unwrap();
        let (messages, end) = read_all(&mut link).await;
        assert_eq!(messages, [text("good")], "{name}");
        assert!(
            matches!(&end, LinkEnd::Protocol(text) if !text.is_empty()),
            "{name}: {end:?}"
        );
        assert_eq!(read_some(&mut link, 1).await, Err(end), "{name}");
    }
}

#[tokio::test]
async fn too_large_messages_end_the_link_before_they_are_read() {
    let too_large = LinkEnd::TooLarge("the server sent a message of more than 1000 bytes".to_owned());
    let huge = [&[0x81, 127][..], &u64::MAX.to_be_bytes()].concat();
    let in_fragments = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])].concat();
    for bytes in [
        frame(0x81, &[b'x'; 1001]),
        frame(0x82, &[0; 1001])[..4].to_vec(),
        huge,
        in_fragments,
    ] {
        let (mut link, mut server) = raw_pair(1000).await;
        server.write_all(&bytes).await.unwrap();
        assert_eq!(read_all(&mut link).await, (Vec::new(), too_large.clone()));
    }
    let (mut link, mut server) = raw_pair(1000).await;
    server.write_all(&frame(0x81, &[b'x'; 1000])).await.unwrap();
    assert_eq!(read_some(&mut link, 8).await.unwrap(), [text(&"x".repeat(1000))]);
}
