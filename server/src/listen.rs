//! The listening socket, plain or TLS, as axum wants it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A byte stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connections that are ready for HTTP.
pub struct Incoming {
    address: SocketAddr,
    ready: mpsc::Receiver<(Box<dyn Stream>, SocketAddr)>,
}

impl Incoming {
    /// Listens on the loopback interface; must be called inside the runtime.
    pub fn bind(port: u16, tls: Option<TlsAcceptor>, quiet: bool) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // A restarted server takes its port back at once. On Windows the option means something
        // else (two owners of one port), and is not needed.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let (tx, ready) = mpsc::channel(64);
        tokio::spawn(accept_loop(listener, tls, tx, quiet));
        Ok(Self { address, ready })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Listener for Incoming {
    type Io = Box<dyn Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accept loop ends only with the runtime.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn accept_loop(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    tx: mpsc::Sender<(Box<dyn Stream>, SocketAddr)>,
    quiet: bool,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(err) => {
                if !quiet {
                    eprintln!("accept: {err}");
                }
                // Out of descriptors, as a rule: some will come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Each handshake has its own task: a slow client must not hold up the others.
        let (tls, tx) = (tls.clone(), tx.clone());
        tokio::spawn(async move {
            match prepare(stream, tls).await {
                // A closed channel means that the server is going down.
                Ok(stream) => drop(tx.send((stream, peer)).await),
                Err(err) if !quiet => eprintln!("handshake with {peer}: {err}"),
                Err(_) => {}
            }
        });
    }
}

async fn prepare(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Box<dyn Stream>> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Box::new(stream));
    };
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
    Ok(Box::new(stream))
}
