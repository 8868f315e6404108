//! The command line.

use std::path::PathBuf;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: pond-test-server [options]
  --port N               listen on 127.0.0.1:N (default 0: a free port)
  --token T              the token that /api/socket asks for (default: secret)
  --tls DIR              serve TLS; CA and certificates are kept in DIR
  --require-client-cert  with --tls: refuse clients without a certificate of the CA
  --redis URL            share the channels with other nodes behind that Redis server
  --replay FILE          replay that recording instead of serving the application
  --script               accepted for clarity: /script is always served
  --quiet                print nothing on stderr
  --exit-on-stdin-eof    exit when standard input ends
  --help                 print this
";

/// The options of one run.
#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    /// Port on the loopback interface, 0 for a free one.
    pub port: u16,
    /// The token that the chat endpoint asks for.
    pub token: String,
    /// Where the certificates live; `None` serves plain text.
    pub tls: Option<PathBuf>,
    /// Whether TLS clients must show a certificate.
    pub require_client_cert: bool,
    /// The Redis server by which nodes share their channels; `None` stays alone.
    pub redis: Option<String>,
    /// The recording to replay; `None` serves the application.
    pub replay: Option<PathBuf>,
    /// Whether stderr stays silent.
    pub quiet: bool,
    /// Whether the end of standard input ends the server.
    pub exit_on_stdin_eof: bool,
    /// Whether only the usage is asked for.
    pub help: bool,
}

impl Args {
    /// Reads the arguments that follow the program's name.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut out = Self {
            port: 0,
            token: "secret".to_owned(),
            tls: None,
            require_client_cert: false,
            redis: None,
            replay: None,
            quiet: false,
            exit_on_stdin_eof: false,
            help: false,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--port" => {
                    let text = value()?;
                    out.port = text.parse().map_err(|_| format!("bad port: {text}"))?;
                }
                "--token" => out.token = value()?,
                "--tls" => out.tls = Some(value()?.into()),
                "--require-client-cert" => out.require_client_cert = true,
                "--redis" => out.redis = Some(value()?),
                "--replay" => out.replay = Some(value()?.into()),
                "--script" => {}
                "--quiet" => out.quiet = true,
                "--exit-on-stdin-eof" => out.exit_on_stdin_eof = true,
                "--help" | "-h" => out.help = true,
                _ => return Err(format!("unknown argument: {arg}")),
            }
        }
        if out.require_client_cert && out.tls.is_none() {
            return Err("--require-client-cert needs --tls".to_owned());
        }
        if out.redis.is_some() && out.replay.is_some() {
            return Err("--replay shares nothing: no --redis with it".to_owned());
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, String> {
        Args::parse(args.iter().map(|&arg| arg.to_owned()))
    }

    #[test]
    fn defaults_and_values() {
        let args = parse(&[]).unwrap();
        assert_eq!((args.port, args.token.as_str()), (0, "secret"));
        let args = parse(&["--port", "99", "--token", "t", "--tls", "d", "--quiet"]).unwrap();
        assert_eq!((args.port, args.token.as_str()), (99, "t"));
        assert_eq!(args.tls, Some(PathBuf::from("d")));
        assert!(args.quiet && !args.require_client_cert);
        let args = parse(&["--redis", "redis://h/"]).unwrap();
        assert_eq!(args.redis.as_deref(), Some("redis://h/"));
        let args = parse(&["--replay", "f"]).unwrap();
        assert_eq!(args.replay, Some(PathBuf::from("f")));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse(&["--port"]).unwrap_err().contains("--port"));
        assert!(parse(&["--port", "x"]).unwrap_err().contains("bad port"));
        assert!(parse(&["--nope"]).unwrap_err().contains("--nope"));
        assert!(parse(&["--require-client-cert"]).is_err());
        assert!(parse(&["--redis", "u", "--replay", "f"]).is_err());
    }
}
