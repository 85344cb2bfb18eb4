//! The server over loopback: what it bounds, and how it ends.

use axum::routing::any;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

fn start(router: Router, limits: Limits) -> Running {
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
    let server = server.limits(limits);
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async move {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop,
        serving,
    }
}

async fn send(address: SocketAddr, text: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(text).await.unwrap();
    client
}

/// Everything that comes until the server closes.
async fn rest(mut client: TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(DEADLINE, client.read_to_end(&mut text));
    // A reset is an end as well: the server left a body unread.
    let _ = read.await.expect("the server does not close");
    String::from_utf8(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_does_not_keep_the_server_up() {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let router = Router::new().fallback(move || async move {
        told.notify_one();
        std::future::pending::<()>().await
    });
    let server = start(router, Limits::default());
    let _client = send(server.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    asked.notified().await;
    server.stop.send(()).unwrap();
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_under_way_is_finished_before_the_end_and_nobody_is_let_in_after() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, wait) = (Arc::clone(&asked), Arc::clone(&go_on));
    let router = Router::new().fallback(move || async move {
        told.notify_one();
        wait.notified().await;
        "whole"
    });
    let server = start(router, Limits::default());
    let client = send(server.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    asked.notified().await;
    server.stop.send(()).unwrap();
    // The listener is closed first: once a connection is refused, the server is stopping.
    let closed = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.unwrap();
    go_on.notify_one();
    let answer = rest(client).await;
    assert!(answer.ends_with("whole"), "{answer}");
    server.serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_asks_is_closed() {
    let server = start(Router::new(), Limits::default());
    for begun in [&b""[..], b"GET / HTTP/1.1\r\nhost:"] {
        let client = send(server.address, begun).await;
        assert_eq!(rest(client).await, "", "{begun:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = start(Router::new(), Limits::default());
    let mut head = b"GET / HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    head.resize(MAX_HEAD_BYTES + 1000, b'a');
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let _ = client.write_all(&head).await;
    let answer = rest(client).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_body_is_answered_unread_and_the_connection_ends() {
    let server = start(
        Router::new().fallback(any(|| async { "ok" })),
        Limits::default(),
    );
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nbegin";
    let answer = rest(send(server.address, head).await).await;
    assert!(answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_dropped() {
    let dropped = Arc::new(Notify::new());
    let tell = Arc::clone(&dropped);
    let router = Router::new().fallback(move || async move {
        let endless = tokio_util::io::ReaderStream::with_capacity(Endless(tell), 65536);
        Body::from_stream(endless)
    });
    let limits = Limits {
        stall: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = start(router, limits);
    let _client = send(server.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let gone = tokio::time::timeout(DEADLINE, dropped.notified()).await;
    gone.expect("the answer is still held for a client that takes nothing");
}

/// A file without end, which tells when it is closed.
struct Endless(Arc<Notify>);

impl AsyncRead for Endless {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        buffer.put_slice(&vec![7; buffer.remaining()]);
        std::task::Poll::Ready(Ok(()))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_its_share() {
    let limits = Limits {
        per_address: 1,
        ..Limits::default()
    };
    let server = start(Router::new().fallback(any(|| async { "ok" })), limits);
    let first = send(server.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.readable().await.unwrap();
    let second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(rest(second).await, "");
}

#[tokio::test]
async fn idle_connection_makes_room_for_an_honest_client_when_all_places_are_taken() {
    let limits = Limits {
        connections: 4,
        ..Limits::default()
    };
    let server = start(Router::new().fallback(any(|| async { "ok" })), limits);
    let mut held = Vec::new();
    for begun in [&b""[..], b"GET / HTTP/1.1\r\nhost:", b"G", b"GET /"] {
        held.push(send(server.address, begun).await);
    }
    let honest = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    for _ in 0..8 {
        let answer = rest(send(server.address, honest).await).await;
        assert!(answer.ends_with("ok"), "{answer}");
    }
    assert_eq!(rest(held.remove(0)).await, "", "the oldest is gone");
}

#[tokio::test]
async fn request_without_exactly_one_host_is_refused() {
    let server = start(
        Router::new().fallback(any(|| async { "ok" })),
        Limits::default(),
    );
    for (head, status) in [
        (&b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"[..], "400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", "400"),
        (b"GET / HTTP/1.0\r\nhost: x\r\nhost: x\r\n\r\n", "400"),
        (b"GET / HTTP/1.0\r\n\r\n", "200"),
        (
            b"GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n",
            "200",
        ),
    ] {
        let answer = rest(send(server.address, head).await).await;
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.contains(status), "{line} {head:?}");
    }
}

#[tokio::test]
async fn query_with_raw_bytes_is_answered_and_told_as_sent() {
    let echo = any(|request: axum::extract::Request| async move {
        request.uri().query().unwrap_or_default().to_owned()
    });
    let server = start(Router::new().fallback(echo), Limits::default());
    let mut head = b"GET /cloud?a=\"<b>".to_vec();
    head.extend_from_slice(&[0xc3, 0xa9, 0xff]);
    head.extend_from_slice(b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = rest(send(server.address, &head).await).await;
    assert!(answer.ends_with("a=%22%3Cb%3E%C3%A9%FF"), "{answer}");
}
