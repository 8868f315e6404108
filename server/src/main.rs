//! A small chat application over the official Rust PondSocket server, for the demo and the tests
//! of libpondsocket. It also serves a scripted endpoint that behaves as a test commands it, and
//! routes that refuse the upgrade with an HTTP status. Or else it replays a recorded server.

mod args;
mod chat;
mod events;
mod listen;
mod recording;
mod replay;
mod script;
mod tls;

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::{any, get};
use pondsocket::PubSub;
use pondsocket::distributed::RedisPubSub;
use tokio::sync::oneshot;

use args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprint!("pond-test-server: {message}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    if args.help {
        print!("{}", args::USAGE);
        return ExitCode::SUCCESS;
    }
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("pond-test-server: {err}");
            ExitCode::FAILURE
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn run(args: Args) -> Result<(), Error> {
    let tls = match &args.tls {
        Some(dir) => Some(tls::acceptor(dir, args.require_client_cert)?),
        None => None,
    };
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let served = match &args.replay {
        Some(file) => replay::router(file, args.quiet)?,
        None => {
            let pubsub = shared_channels(args.redis.as_deref()).await?;
            chat::router(&args.token, args.quiet, pubsub)
                .await
                .merge(script::router())
                .route("/refuse/{status}", any(refuse))
        }
    };
    let app = served.route("/healthz", get(async || "ok"));
    // Both are in place before the line that says ready, so that a signal sent on seeing it works.
    let stop = stop_signal()?;
    let stdin_eof = args.exit_on_stdin_eof.then(watch_stdin);
    let listener = listen::Incoming::bind(args.port, tls, args.quiet)?;
    let address = listener.address();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening {scheme}://{address}/api/socket")?;
    stdout.flush()?;

    tokio::select! {
        done = axum::serve(listener, app) => done?,
        () = stop => {}
        () = ended(stdin_eof) => {}
    }
    Ok(())
}

/// What lets nodes share their channels, once the Redis server has answered.
async fn shared_channels(redis: Option<&str>) -> Result<Option<Arc<dyn PubSub>>, Error> {
    let Some(url) = redis else {
        return Ok(None);
    };
    let client = redis::Client::open(url)?;
    Ok(Some(Arc::new(RedisPubSub::new(client).await?)))
}

/// Answers with the status in the path, before any upgrade.
async fn refuse(Path(status): Path<u16>) -> (StatusCode, [(HeaderName, &'static str); 1], String) {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::NOT_FOUND);
    let extra = if status == StatusCode::SERVICE_UNAVAILABLE {
        (header::RETRY_AFTER, "1")
    } else {
        (header::CACHE_CONTROL, "no-store")
    };
    (status, [extra], format!("refused with {status}\n"))
}

/// Ends with the first SIGTERM or SIGINT.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Ends with the first Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Reads standard input to its end on a thread of its own: a blocked read must not hold up the exit.
fn watch_stdin() -> oneshot::Receiver<()> {
    let (tx, rx) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        let mut stdin = std::io::stdin();
        while matches!(stdin.read(&mut buffer), Ok(n) if n > 0) {}
        drop(tx);
    });
    rx
}

async fn ended(stdin_eof: Option<oneshot::Receiver<()>>) {
    match stdin_eof {
        // The sender is only ever dropped: the error is the news.
        Some(rx) => drop(rx.await),
        None => std::future::pending().await,
    }
}
