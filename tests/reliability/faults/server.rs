//! The real server, as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

pub struct Server {
    child: Child,
    pub addr: SocketAddr,
}

/// `POND_TEST_SERVER`, or what was built beside this test, or the release build.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("POND_TEST_SERVER") {
        return path.into();
    }
    let beside = std::env::current_exe().unwrap();
    let profile = beside.parent().and_then(|deps| deps.parent()).unwrap();
    let built = profile.join("pond-test-server");
    if built.is_file() {
        return built;
    }
    let release = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/release/pond-test-server");
    assert!(
        release.is_file(),
        "there is no pond-test-server: run `make server`, or set POND_TEST_SERVER"
    );
    release
}

impl Server {
    pub fn start() -> Self {
        Self::start_on(0)
    }

    pub fn start_on(port: u16) -> Self {
        let mut child = Command::new(program())
            .args(["--quiet", "--exit-on-stdin-eof", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = line
            .trim()
            .strip_prefix("listening ws://")
            .and_then(|rest| rest.split('/').next())
            .and_then(|addr| addr.parse().ok())
            .unwrap_or_else(|| panic!("the server said {line:?}"));
        Self { child, addr }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What arrived at `/script`, oldest first.
    pub fn log(&self) -> Vec<Value> {
        let mut socket = TcpStream::connect(self.addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = "GET /script/log HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let log: Vec<Value> = serde_json::from_str(body).unwrap();
        assert!(log.len() < 10_000, "the log of the server has forgotten its beginning");
        log
    }

    /// The numbered frames of the log, per connection.
    pub fn arrived(&self) -> Vec<Vec<(String, u64)>> {
        let mut connections: Vec<Vec<(String, u64)>> = Vec::new();
        for entry in self.log() {
            let conn = entry["conn"].as_u64().unwrap_or_default() as usize;
            connections.resize(connections.len().max(conn + 1), Vec::new());
            if let Some(numbered) = entry["frame"].as_str().and_then(numbered) {
                connections[conn].push(numbered);
            }
        }
        connections
    }
}

/// Channel and number of a client's frame, if it has one.
pub fn numbered(frame: &str) -> Option<(String, u64)> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    if frame["action"] != "BROADCAST" {
        return None;
    }
    Some((
        frame["channelName"].as_str()?.to_owned(),
        frame["payload"]["n"].as_u64()?,
    ))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
