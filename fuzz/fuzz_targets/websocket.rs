//! What a server may write: however it is cut into pieces the frames are the same, memory grows only with what came, and
//! tungstenite reads the same messages out of it.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use pondsocket::client::net::frame::{Decoder, Message, Violation};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

const LIMIT: usize = 1 << 12;

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Codes and reasons that must not be sent are told differently: only the fact.
    Close,
}

impl Said {
    fn is_data(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

/// What was said, and the violation that ended it.
type Heard = (Vec<Said>, Option<Violation>);

fn ours<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let mut decoder = Decoder::new(LIMIT);
    let mut said = Vec::new();
    let mut came = 0;
    for mut piece in pieces {
        came += piece.len();
        while let Some(next) = decoder.next(&mut piece) {
            said.push(match next {
                Ok(Message::Text(text)) => Said::Text(text.to_owned()),
                Ok(Message::Binary(bytes)) => Said::Binary(bytes.to_owned()),
                Ok(Message::Ping(payload)) => Said::Ping(payload.to_owned()),
                Ok(Message::Pong(payload)) => Said::Pong(payload.to_owned()),
                Ok(Message::Close { .. }) => {
                    said.push(Said::Close);
                    return (said, None);
                }
                Err(violation) => return (said, Some(violation)),
            });
        }
        assert!(piece.is_empty(), "nothing is left behind");
        assert!(decoder.held() <= 2 * came + 64, "memory for what did not come");
    }
    (said, None)
}

struct Stream<'a>(&'a [u8]);

impl io::Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl io::Write for Stream<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same by another hand; the flag: it refused something.
fn theirs(bytes: &[u8]) -> (Vec<Said>, bool) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Stream(bytes), Role::Client, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Said::Text(text.as_str().to_owned()),
            Ok(tungstenite::Message::Binary(bytes)) => Said::Binary(bytes.to_vec()),
            Ok(tungstenite::Message::Ping(payload)) => Said::Ping(payload.to_vec()),
            Ok(tungstenite::Message::Pong(payload)) => Said::Pong(payload.to_vec()),
            Ok(tungstenite::Message::Close(_)) => {
                said.push(Said::Close);
                return (said, false);
            }
            Ok(tungstenite::Message::Frame(_)) => continue,
            Err(error) => {
                use tungstenite::{Error, error::ProtocolError};
                let end = matches!(error, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake));
                return (said, !end);
            }
        });
    }
}

fuzz_target!(|input: &[u8]| {
    // The last two bytes say how to cut.
    let &[ref bytes @ .., size, first] = input else {
        return;
    };
    let whole = ours(std::iter::once(bytes));
    assert_eq!(ours(bytes.chunks(1)), whole);
    let (head, tail) = bytes.split_at(usize::from(first).min(bytes.len()));
    assert_eq!(
        ours(std::iter::once(head).chain(tail.chunks(1 + usize::from(size)))),
        whole
    );

    let ((ours, violation), (theirs, refused)) = (whole, theirs(bytes));
    let common = ours.len().min(theirs.len());
    assert_eq!(ours[..common], theirs[..common]);
    match (violation, refused) {
        (None, false) => assert_eq!(ours.len(), theirs.len()),
        // They allow a short control frame its length in a long form.
        (Some(Violation::Forbidden("a control frame is too long")), _) => {}
        // Of a header that is refused they may want to see more.
        (Some(_), _) => assert!(theirs.len() <= ours.len(), "refused for no reason"),
        // They refuse half a text that cannot become one, and a Close with a reason that is none; we read on to its end.
        (None, true) => assert!(!ours[common..].iter().any(Said::is_data), "accepted for no reason"),
    }
});
