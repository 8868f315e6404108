//! The recorded frames: what official servers said to official clients.

use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Line {
    pub scenario: String,
    pub conn: String,
    pub outgoing: bool,
    /// `handshake-ok`, `close`, ...; empty for frames.
    pub kind: String,
    pub frame: String,
    /// Milliseconds since the recording began.
    pub at: u64,
}

/// All lines of a capture, in order.
pub fn load(name: &str) -> Vec<Line> {
    let path = format!("{}/tests/data/captures/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("a line is JSON");
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let direction = text("dir");
        let kind = if direction == "note" {
            "note".to_owned()
        } else {
            text("kind")
        };
        Line {
            scenario: text("scenario"),
            conn: text("conn"),
            outgoing: direction == "out",
            kind,
            frame: text("frame"),
            at: (value["t"].as_f64().unwrap_or_default() * 1_000.0) as u64,
        }
    };
    text.lines().map(line).collect()
}

/// What one connection of a scenario received, in order, frames only.
pub fn received(name: &str, scenario: &str, conn: &str) -> Vec<String> {
    let wanted = |line: &Line| line.scenario == scenario && line.conn == conn && !line.outgoing && line.kind.is_empty();
    let frames: Vec<String> = load(name).into_iter().filter(wanted).map(|line| line.frame).collect();
    assert!(!frames.is_empty(), "{name} has no {scenario}");
    frames
}

/// What one connection of a scenario sent, in order, parsed.
pub fn sent(name: &str, scenario: &str, conn: &str) -> Vec<Value> {
    let wanted = |line: &Line| line.scenario == scenario && line.conn == conn && line.outgoing && line.kind.is_empty();
    let parse = |line: Line| serde_json::from_str(&line.frame).expect("JSON");
    load(name).into_iter().filter(wanted).map(parse).collect()
}

/// The frame with one request id put in place of another.
pub fn with_id(frame: &str, recorded: &str, ours: &str) -> String {
    frame.replace(&format!("\"{recorded}\""), &format!("\"{ours}\""))
}
