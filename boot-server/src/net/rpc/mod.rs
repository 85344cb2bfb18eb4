//! matchbox's gRPC API: HTTP/2 over mutual TLS. A client without a valid certificate is closed during its handshake.

pub mod client;
mod services;
mod subject;
pub(crate) mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use boot_server_events::{BootEvent, RpcRefusal, RpcRefusalCode, Who};
use boot_server_rpc::tonic::service::Routes;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::debug;

use self::services::Services;
pub use self::tls::{MutualTls, RpcFiles};
use self::tls::{Peer, Refused, Trusted, timed_out};
use super::http::connections::{Admitted, Connections, Place};
use super::http::{HANDSHAKE_TIME, Workers, accept, drain, listen};
use crate::event_sink::EventSink;
use crate::metrics::HttpConnections;
use crate::store::Store;

/// Connections at once. Those without a valid certificate yet make room for others.
const MAX_CONNECTIONS: usize = 256;
const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;
/// Calls of one connection at once; gRPC's own default.
const MAX_STREAMS: u32 = 100;
/// Largest head of a call in bytes.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// Time after which a silent client is asked if it is still there, and its time for the answer.
const PING_AFTER: Duration = Duration::from_secs(60);
const PING_TIME: Duration = Duration::from_secs(20);

/// A server whose socket is bound, and which answers once it is [served](RpcServer::serve).
#[derive(Debug)]
pub struct RpcServer {
    listener: TcpListener,
    tls: MutualTls,
    routes: Routes,
    events: EventSink,
    workers: Workers,
}

impl RpcServer {
    /// Binds the address. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, or not this host's.
    pub fn bind(
        address: SocketAddr,
        tls: MutualTls,
        store: Store,
        events: EventSink,
        workers: Workers,
    ) -> io::Result<RpcServer> {
        Ok(RpcServer {
            listener: listen(address)?,
            tls,
            routes: Services::new(store, events.clone()).routes(),
            events,
            workers,
        })
    }

    /// Returns the address that is bound, with the port chosen for port 0.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves, then lets calls end, and cuts off those that take too long ([`drain`]).
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (stopping, cut_off) = (CancellationToken::new(), CancellationToken::new());
        let connections = Connections::new(
            MAX_CONNECTIONS,
            MAX_CONNECTIONS_PER_ADDRESS,
            HttpConnections::default(),
            cut_off.clone(),
        );
        let tasks = TaskTracker::new();
        tokio::pin!(shutdown);
        while let Some((stream, peer)) =
            accept(&self.listener, shutdown.as_mut(), "a gRPC connection").await
        {
            let Ok(Admitted { place, .. }) = connections.admit(peer.ip()) else {
                let reason = RpcRefusal::new(RpcRefusalCode::NoPlace, "too many connections");
                let refused = Refused {
                    subject: None,
                    reason,
                };
                refuse(&self.events, peer, refused);
                continue;
            };
            let connection = Connection {
                peer,
                tls: self.tls.clone(),
                routes: self.routes.clone(),
                events: self.events.clone(),
                stopping: stopping.child_token(),
                place,
            };
            // A stream belongs to the runtime that waits for it.
            let moved = stream.into_std();
            let serve = async move {
                match moved.and_then(TcpStream::from_std) {
                    Ok(stream) => connection.serve(stream).await,
                    Err(error) => debug!(%peer, %error, "a gRPC connection is lost"),
                }
            };
            tasks.spawn_on(serve, &self.workers.next());
        }
        drop(self.listener);
        stopping.cancel();
        drain(&tasks, &cut_off, "gRPC connections").await;
        Ok(())
    }
}

/// Tells of a client that is refused.
fn refuse(events: &EventSink, peer: SocketAddr, refused: Refused) {
    events.emit(BootEvent::RpcRefused {
        who: Who {
            peer: Some(peer),
            ..Who::default()
        },
        subject: refused.subject,
        reason: refused.reason,
    });
}

/// Connection of a client.
struct Connection {
    peer: SocketAddr,
    tls: MutualTls,
    routes: Routes,
    events: EventSink,
    stopping: CancellationToken,
    place: Place,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let (peer, evicted) = (self.peer, self.place.evicted().clone());
        if evicted
            .run_until_cancelled(self.run(stream))
            .await
            .is_none()
        {
            debug!(%peer, "closed a gRPC connection to make room, or at the end");
        }
    }

    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let accepted = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return,
            accepted = tokio::time::timeout(HANDSHAKE_TIME, self.tls.accept(stream)) => accepted,
        };
        match accepted.unwrap_or_else(|_| Err(timed_out())) {
            Ok(trusted) => {
                // A client with a certificate keeps its place.
                self.place.answering();
                self.answer(trusted).await;
            }
            Err(refused) => refuse(&self.events, self.peer, refused),
        }
    }

    async fn answer(self, Trusted { stream, subject }: Trusted) {
        let peer = Peer {
            address: self.peer,
            subject: subject.into(),
        };
        let routes = self.routes;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let mut routes = routes.clone();
            async move { routes.call(request).await }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIME)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(peer = %self.peer, %error, "gRPC connection");
        }
    }
}
