//! The same work every time, for `bench/gate/gate.py` to count instructions of: `gate_drive WORK N`.
//!
//! It is built as a program of the library's package, so that the library's own profile holds; it uses the two lower floors only, which know
//! neither clocks nor sockets.

use std::hint::black_box;

use pondsocket::protocol::{ClientAction, check, client_frame, parse_frame};
use pondsocket::session::{ChannelId, ChannelState, Config, EventKind, Field, Session};

type Error = Box<dyn std::error::Error>;

const ROOM: &str = "/room/00";
const GREETING: &str = r#"{"event":"CONNECTION","action":"CONNECT","channelName":"GATEWAY","requestId":"c","payload":{"connectionId":"c"}}"#;

/// A session that has joined the room.
fn joined() -> Result<(Session, ChannelId), Error> {
    let mut session = Session::new(Config::default(), 1);
    let room = session.open_channel(ROOM, "{}");
    session.connect(0);
    while session.poll_action().is_some() {}
    session.upgraded(0);
    session.text_frame(GREETING, 0);
    session.join(room, 0);
    let id = next_id(&mut session)?;
    session.text_frame(
        &format!(
            r#"{{"channelName":"{ROOM}","requestId":"{id}","action":"SYSTEM","event":"ACKNOWLEDGE","payload":{{}}}}"#
        ),
        0,
    );
    session.handed_over(1);
    while session.poll_event().is_some() {}
    if session.channel_state(room) != ChannelState::Joined {
        return Err("not joined".into());
    }
    Ok((session, room))
}

/// The request id of the frame that the session wants written next.
#[allow(clippy::needless_borrow, reason = "of older commits it is owned")]
fn next_id(session: &mut Session) -> Result<String, Error> {
    const KEY: &str = r#""requestId":""#;
    let taken = session.take_frame().ok_or("nothing to write")?;
    let frame = std::str::from_utf8(&taken)?;
    let start = frame.find(KEY).ok_or("no requestId")? + KEY.len();
    let end = frame[start..].find('"').ok_or("no requestId")?;
    Ok(frame[start..start + end].to_owned())
}

/// The frames of the floods, as the synthetic server makes them.
fn frame(kind: &str) -> Result<String, Error> {
    let broadcast = |payload: &str| {
        format!(
            r#"{{"event":"message","payload":{payload},"action":"BROADCAST","requestId":"5f0c2a34-9d1e-4b7a-8c55-0123456789ab","channelName":"{ROOM}"}}"#
        )
    };
    Ok(match kind {
        "small" => broadcast(&format!(r#"{{"n":"00000000","x":"{}"}}"#, "a".repeat(40))),
        "text" => broadcast(&format!(r#"{{"n":"00000000","x":"{}"}}"#, "日本語の文章".repeat(215))),
        "dense" => {
            let items: Vec<String> = (0..60)
                .map(|at| {
                    format!(
                        r#"{{"id":{at},"x":{},"y":{}.5,"on":true,"tag":"t{at}","at":[{at},-1,null]}}"#,
                        at * 37,
                        at * 91
                    )
                })
                .collect();
            broadcast(&format!(r#"{{"n":"00000000","x":[{}]}}"#, items.join(",")))
        }
        "presence" => {
            let users: Vec<String> = (0..1000)
                .map(|user| {
                    format!(
                        r#"{{"id":"user-{user:04}","name":"Name of user {user:04}","status":"online","typing":false}}"#
                    )
                })
                .collect();
            format!(
                r#"{{"event":"UPDATE","requestId":"5f0c2a34-9d1e-4b7a-8c55-0123456789ab","channelName":"{ROOM}","action":"PRESENCE","payload":{{"changed":{{"n":"00000000"}},"presence":[{}]}}}}"#,
                users.join(",")
            )
        }
        _ => return Err("no such work".into()),
    })
}

/// Frames through the session to events.
fn receive(kind: &str, count: u64) -> Result<u64, Error> {
    let (mut session, _) = joined()?;
    let frame = frame(kind)?;
    let mut seen = 0;
    for _ in 0..count {
        session.text_frame(black_box(&frame), 0);
        while let Some(event) = session.poll_event() {
            black_box((
                event.text(Field::Name),
                event.text(Field::Payload),
                event.text(Field::Users),
            ));
            seen += 1;
        }
    }
    Ok(seen)
}

fn send(count: u64) -> Result<u64, Error> {
    let (mut session, room) = joined()?;
    let payload = format!(r#"{{"n":"00000000","t":"0","x":"{}"}}"#, "a".repeat(68));
    let mut taken = 1;
    for _ in 0..count {
        check::object(black_box(&payload), "payload").map_err(|error| error.to_string())?;
        session
            .send(room, "put", &payload)
            .map_err(|error| format!("{error:?}"))?;
        if black_box(session.take_frame()).is_some() {
            taken += 1;
            session.handed_over(taken);
        }
    }
    Ok(taken - 1)
}

fn ask(count: u64) -> Result<u64, Error> {
    let (mut session, room) = joined()?;
    let (mut taken, mut replies) = (1, 0);
    for ticket in 1..=count {
        session
            .request(room, "ask", r#"{"n":"00000000"}"#, None, ticket, 0)
            .map_err(|error| format!("{error:?}"))?;
        let id = next_id(&mut session)?;
        taken += 1;
        session.handed_over(taken);
        let answer = format!(
            r#"{{"channelName":"{ROOM}","requestId":"{id}","action":"SYSTEM","event":"answer","payload":{{"n":"00000000"}}}}"#
        );
        session.text_frame(&answer, 0);
        while let Some(event) = session.poll_event() {
            replies += u64::from(event.kind == EventKind::Reply);
        }
    }
    Ok(replies)
}

/// The protocol floor alone: a frame is built and read back.
fn words(count: u64) -> Result<u64, Error> {
    let mut seen = 0;
    for _ in 0..count {
        let frame = client_frame(
            ClientAction::Broadcast,
            "put",
            ROOM,
            "id",
            black_box(r#"{"n":"00000000"}"#),
        );
        for envelope in parse_frame(std::str::from_utf8(&frame)?) {
            seen += u64::from(envelope.is_ok_and(|envelope| envelope.payload.is_some()));
        }
    }
    Ok(seen)
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().ok_or("usage: gate_drive WORK N")?;
    let count: u64 = arguments.next().ok_or("usage: gate_drive WORK N")?.parse()?;
    let done = match work.as_str() {
        "send" => send(count)?,
        "ask" => ask(count)?,
        "words" => words(count)?,
        kind => receive(kind, count)?,
    };
    if done != count {
        return Err(format!("{done} of {count}").into());
    }
    Ok(())
}
