//! A bound HTTP server: bind first, so that errors show before anything is promised, then serve.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long transfers may go on after a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(2);

/// A server whose socket is bound and which answers once it is [served](HttpServer::serve).
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    router: Router,
}

impl HttpServer {
    /// Binds the address. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, or not this host's.
    pub fn bind(listen: SocketAddr, router: Router) -> io::Result<HttpServer> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(HttpServer { listener, router })
    }

    /// The address that is bound, with the port chosen for port 0.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves, then lets transfers end for 2 s. Transfers that take longer
    /// end with the program.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let stopping = CancellationToken::new();
        let stop = stopping.clone();
        let app = self
            .router
            .into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(self.listener, app).with_graceful_shutdown(async move {
            shutdown.await;
            stop.cancel();
        });
        tokio::select! {
            result = server => result,
            () = async { stopping.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_finishes_does_not_keep_the_server_up() {
        let router = Router::new().fallback(std::future::pending::<()>);
        let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
        let address = server.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    }
}
