//! A bound HTTP server: bind first, so that errors show before anything is promised, then serve.
//!
//! The accept loop is ours because the limits are: how many connections, how large a head, how long
//! a client may take to ask, and how long it may leave an answer standing. A request's body is never
//! read: no endpoint takes one, and the connection is closed behind an answer that left it unread.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, warn};

use super::connections::{Connections, Place};
use super::paced::Paced;
use super::sendfile::{FileQueue, FileStream};
use super::tls::Tls;
use super::workers::Workers;

/// How long transfers may go on after a shutdown was asked for.
pub const GRACE: Duration = Duration::from_secs(5);
/// Largest head of a request in bytes. iPXE's are about 300.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long a client may take to send the head of a request, and to stay idle between two.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long the handshake of TLS may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long to wait when the kernel has no descriptor left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What bounds the connections of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Of them from one address; more are closed at once.
    pub per_address: usize,
    /// How long a client may take nothing of an answer before its connection is closed.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 2048,
            per_address: 256,
            stall: Duration::from_secs(30),
        }
    }
}

/// A server whose socket is bound and which answers once it is [served](HttpServer::serve).
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    router: Router,
    limits: Limits,
    tls: Option<Tls>,
    workers: Option<Workers>,
}

impl HttpServer {
    /// Binds the address. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, or not this host's.
    pub fn bind(listen: SocketAddr, router: Router) -> io::Result<HttpServer> {
        let socket = match listen {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        Ok(HttpServer {
            listener: socket.listen(1024)?,
            router,
            limits: Limits::default(),
            tls: None,
            workers: None,
        })
    }

    /// With other limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> HttpServer {
        HttpServer { limits, ..self }
    }

    /// Speaks TLS when there is an identity.
    #[must_use]
    pub fn tls(self, tls: Option<Tls>) -> HttpServer {
        HttpServer { tls, ..self }
    }

    /// Answers on threads of its own instead of those that accept.
    #[must_use]
    pub fn workers(self, workers: Workers) -> HttpServer {
        HttpServer {
            workers: Some(workers),
            ..self
        }
    }

    /// The address that is bound, with the port chosen for port 0.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves, then lets transfers end for [`GRACE`]. Transfers that take
    /// longer are cut off.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (stopping, cut_off) = (CancellationToken::new(), CancellationToken::new());
        let connections = Connections::new(self.limits.connections, self.limits.per_address);
        let tasks = TaskTracker::new();
        tokio::pin!(shutdown);
        loop {
            let place = tokio::select! {
                biased;
                () = &mut shutdown => break,
                place = connections.wait_for_place() => place,
            };
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or a client that was gone again: not the end of a server.
                    warn!(%error, "accepting an HTTP connection");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = place.of(peer.ip()) else {
                debug!(%peer, "too many HTTP connections from this address");
                continue;
            };
            let connection = Connection {
                peer,
                router: self.router.clone(),
                stall: self.limits.stall,
                stopping: stopping.clone(),
                _place: place,
            };
            let (tls, cut_off) = (self.tls.clone(), cut_off.clone());
            let Some(workers) = &self.workers else {
                tasks.spawn(cut_off.run_until_cancelled_owned(connection.serve(stream, tls)));
                continue;
            };
            // A stream belongs to the runtime that waits for it.
            let moved = stream.into_std();
            let serve = async move {
                match moved.and_then(TcpStream::from_std) {
                    Ok(stream) => connection.serve(stream, tls).await,
                    Err(error) => debug!(%peer, %error, "an HTTP connection is lost"),
                }
            };
            tasks.spawn_on(cut_off.run_until_cancelled_owned(serve), &workers.next());
        }
        drop(self.listener);
        stopping.cancel();
        tasks.close();
        if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
            warn!(left = tasks.len(), "HTTP transfers are cut off");
            cut_off.cancel();
            tasks.wait().await;
        }
        Ok(())
    }
}

/// One client's connection.
struct Connection {
    peer: SocketAddr,
    router: Router,
    stall: Duration,
    stopping: CancellationToken,
    _place: Place,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<Tls>) {
        // Heads and small answers leave at once; large ones fill their packets anyway.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            let (stream, files) = FileStream::new(stream);
            return self.answer(stream, Some(files)).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream, None).await,
            Ok(Err(error)) => debug!(peer = %self.peer, %error, "TLS handshake"),
            Err(_) => debug!(peer = %self.peer, "TLS handshake takes too long"),
        }
    }

    /// Answers requests on any stream until it is closed; `files` where it can send files by itself.
    async fn answer<S>(self, stream: S, files: Option<FileQueue>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, router) = (self.peer, self.router);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            if let Some(files) = &files {
                request.extensions_mut().insert(files.clone());
            }
            router.clone().call(request)
        });
        let io = TokioIo::new(Paced::new(stream, self.stall));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%peer, %error, "an HTTP connection broke off");
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
