//! Bound HTTP server: binds first, so that errors show before the server is ready, then serves.
//!
//! The server has its own accept loop because of its limits: the number of connections, the size of a head, and
//! the time limits of requests and responses. A request's body is never read: no endpoint needs one, and the
//! connection is closed after a response that left the body unread.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use http_body::{Frame, SizeHint};
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

use super::answer::FromThisHost;
use super::connections::{Admitted, Connections, NoPlace, Place};
use super::paced::Paced;
use super::sendfile::{FileQueue, FileStream};
use super::tls::Tls;
use super::workers::Workers;
use crate::metrics::Metrics;
use crate::net::refusals::Refusals;

/// Time limit for running transfers after a shutdown was requested.
pub const GRACE: Duration = Duration::from_secs(5);
/// Largest head of a request in bytes. iPXE's are about 300.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Time limit for the head of a request, and for an idle connection between two.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time limit for the TLS handshake.
pub(in crate::net) const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Pause when the kernel has no file descriptor left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Connection limits of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; idle ones make room, else more wait in the kernel's queue.
    pub connections: usize,
    /// Maximum number of connections from one address, or one IPv6 network of 64 bits; more are closed at once.
    pub per_address: usize,
    /// Time limit for a client that reads nothing of a response, before its connection is closed.
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
    metrics: Option<Arc<Metrics>>,
}

impl HttpServer {
    /// Binds the address. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, or not this host's.
    pub fn bind(address: SocketAddr, router: Router) -> io::Result<HttpServer> {
        Ok(HttpServer {
            listener: listen(address)?,
            router,
            limits: Limits::default(),
            tls: None,
            workers: None,
            metrics: None,
        })
    }

    /// Counts connections and refused clients.
    #[must_use]
    pub fn metrics(self, metrics: Arc<Metrics>) -> HttpServer {
        HttpServer {
            metrics: Some(metrics),
            ..self
        }
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

    /// Answers on separate threads instead of those that accept.
    #[must_use]
    pub fn workers(self, workers: Workers) -> HttpServer {
        HttpServer {
            workers: Some(workers),
            ..self
        }
    }

    /// Returns the address that is bound, with the port chosen for port 0.
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
        let limits = self.limits;
        let metrics = self.metrics.as_ref().map(|m| m.http_connections());
        let metrics = metrics.unwrap_or_default();
        let (total, per_address) = (limits.connections, limits.per_address);
        let connections = Connections::new(total, per_address, metrics, cut_off.clone());
        let refused = Refused::default();
        let tasks = TaskTracker::new();
        tokio::pin!(shutdown);
        'serving: while let Some((stream, peer)) =
            accept(&self.listener, shutdown.as_mut(), "an HTTP connection").await
        {
            let place = loop {
                let freed = connections.freed();
                match connections.admit(peer.ip()) {
                    Ok(Admitted { place, evicted }) => {
                        if evicted {
                            self.tell(&refused.evicted, "evicted", peer);
                        }
                        break place;
                    }
                    Err(NoPlace::Share) => {
                        self.tell(&refused.share, "address", peer);
                        continue 'serving;
                    }
                    // All others wait behind it in the kernel's queue.
                    Err(NoPlace::Full) => {
                        self.tell(&refused.full, "full", peer);
                        tokio::select! {
                            biased;
                            () = &mut shutdown => break 'serving,
                            () = freed => {}
                        }
                    }
                }
            };
            let address = peer.ip().to_canonical();
            let own = stream.local_addr().map(|own| own.ip().to_canonical());
            let connection = Connection {
                peer,
                is_this_host: address.is_loopback() || own.is_ok_and(|own| own == address),
                router: self.router.clone(),
                stall: self.limits.stall,
                // Asked with each request: a token of its own is locked by no other connection.
                stopping: stopping.child_token(),
                place: Arc::new(place),
            };
            let tls = self.tls.clone();
            let Some(workers) = &self.workers else {
                tasks.spawn(connection.serve(stream, tls));
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
            tasks.spawn_on(serve, &workers.next());
        }
        drop(self.listener);
        stopping.cancel();
        drain(&tasks, &cut_off, "HTTP transfers").await;
        Ok(())
    }
}

/// Binds an address for a server that may have been there a moment ago.
pub(in crate::net) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Returns the next connection, none once `shutdown` resolves; `what` names it in the log.
pub(in crate::net) async fn accept(
    listener: &TcpListener,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
    what: &str,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.as_mut() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            // Out of descriptors, or a client that was gone again: not the end of a server.
            Err(error) => warn!(%error, "cannot accept {what}"),
        }
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
    }
}

/// Lets connections end for [`GRACE`], then cuts them off; `what` names them in the log.
pub(in crate::net) async fn drain(tasks: &TaskTracker, cut_off: &CancellationToken, what: &str) {
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        warn!(left = tasks.len(), "{what} are cut off");
        cut_off.cancel();
        tasks.wait().await;
    }
}

/// Connection of a client.
struct Connection {
    peer: SocketAddr,
    router: Router,
    stall: Duration,
    stopping: CancellationToken,
    /// The client is a program on this host: no other host can have a connection from one of its addresses.
    is_this_host: bool,
    place: Arc<Place>,
}

impl Connection {
    /// Serves the connection until it ends, or its place is needed for another client.
    async fn serve(self, stream: TcpStream, tls: Option<Tls>) {
        let (peer, evicted) = (self.peer, self.place.evicted().clone());
        if evicted
            .run_until_cancelled(self.run(stream, tls))
            .await
            .is_none()
        {
            debug!(%peer, "closed an HTTP connection to make room, or at the end");
        }
    }

    async fn run(self, stream: TcpStream, tls: Option<Tls>) {
        // Heads and small answers leave at once; large ones fill their packets anyway.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            let (stream, files) = FileStream::new(stream);
            return self.answer(stream, Some(files)).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream, None).await,
            Ok(Err(error)) => debug!(peer = %self.peer, %error, "TLS handshake"),
            Err(_) => debug!(peer = %self.peer, "TLS handshake timed out"),
        }
    }

    /// Answers requests on any stream until it is closed; `files` where it can send files by itself.
    async fn answer<S>(self, stream: S, files: Option<FileQueue>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, router, is_this_host) = (self.peer, self.router, self.is_this_host);
        let place = self.place;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            place.answering();
            let answering = Answering(Arc::clone(&place));
            let refused = without_one_host(&request);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            if is_this_host {
                request.extensions_mut().insert(FromThisHost);
            }
            if let Some(files) = &files {
                request.extensions_mut().insert(files.clone());
            }
            let mut router = router.clone();
            async move {
                let response = match refused {
                    Some(reason) => bad_request(reason),
                    None => router.call(request).await?,
                };
                Ok::<_, std::convert::Infallible>(
                    response.map(|body| AnsweringBody { body, answering }),
                )
            }
        });
        let io = TokioIo::new(Paced::new(stream, self.stall));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // GRUB 2.12 of Debian 13 compares `Content-Length` letter by letter, and takes files as empty without it.
            .title_case_headers(true)
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
            debug!(%peer, %error, "HTTP connection aborted");
        }
    }
}

/// Keeps the place until it is dropped with the body of an answer.
struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.idle();
    }
}

/// The body of an answer under way.
struct AnsweringBody {
    body: Body,
    #[expect(dead_code, reason = "it acts when it is dropped")]
    answering: Answering,
}

impl HttpBody for AnsweringBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the reason to refuse a request for its `Host` (RFC 9112, section 3.2): a request that does not name
/// its host may reach another server than its sender expects.
fn without_one_host<B>(request: &hyper::Request<B>) -> Option<&'static str> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    match (request.version(), hosts) {
        (_, 1) => None,
        (Version::HTTP_11, 0) => Some("missing required Host header"),
        (_, 0) => None,
        _ => Some("too many Host headers"),
    }
}

/// 400 in Go's words; such a request is about no machine.
fn bad_request(reason: &'static str) -> Response {
    let body = format!("400 Bad Request: {reason}");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Clients that were refused, or lost their place.
#[derive(Debug, Default)]
struct Refused {
    evicted: Refusals,
    share: Refusals,
    full: Refusals,
}

impl HttpServer {
    /// Counts a client that was refused; tells the first one, and how many there were since once a minute.
    fn tell(&self, refusals: &Refusals, reason: &'static str, peer: SocketAddr) {
        if let Some(metrics) = &self.metrics {
            metrics.refused("http", reason);
        }
        if let Some(clients) = refusals.count(std::time::Instant::now()) {
            let what = match reason {
                "evicted" => "idle HTTP connections were closed: max_connections is reached",
                "address" => "HTTP connections were closed: max_connections_per_address is reached",
                _ => "new HTTP connections wait: max_connections is reached",
            };
            warn!(%peer, clients, "{what}");
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
