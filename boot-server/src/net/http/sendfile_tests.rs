//! Files over real connections: byte for byte, beside other answers, and broken off where they must be.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::net::http::HttpServer;

const SOON: Duration = Duration::from_secs(20);

fn bytes(len: usize) -> Vec<u8> {
    (0..len.div_ceil(4))
        .flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Serves this file from `offset` on under `/file`, and a text under `/text`.
async fn serve(file: File, offset: u64, len: u64) -> SocketAddr {
    let version = Version::of(&file.metadata().unwrap());
    let file = Arc::new(file);
    let answer = move |request: Request| {
        let file = file.try_clone().unwrap();
        async move {
            let queue = request.extensions().get::<FileQueue>();
            let queue = queue.expect("a connection that sends files").clone();
            Body::new(FileBody::new(file, version, queue, offset, len))
        }
    };
    let text = get(async || "text\n".repeat(40_000));
    let router = Router::new()
        .route("/file", get(answer))
        .route("/text", text);
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    address
}

/// Sends requests all at once and reads all that comes back until the server closes.
async fn ask(server: SocketAddr, paths: &[&str]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    for (n, path) in paths.iter().enumerate() {
        let close = if n + 1 == paths.len() {
            "Connection: close\r\n"
        } else {
            ""
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{close}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    let mut all = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut all));
    // A reset is an end as well.
    let _ = read.await.expect("an end within 20 s");
    all
}

/// The bodies of answers that stand behind each other.
fn bodies(mut answers: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while !answers.is_empty() {
        let end = answers.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else { break };
        let end = end + 4;
        let head = String::from_utf8(answers[..end].to_ascii_lowercase()).unwrap();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        let body_end = (end + length).min(answers.len());
        bodies.push(&answers[end..body_end]);
        answers = &answers[body_end..];
    }
    bodies
}

#[tokio::test]
async fn files_of_all_lengths_arrive_byte_for_byte() {
    for len in [
        0,
        1,
        5000,
        PART_BYTES - 1,
        PART_BYTES,
        PART_BYTES + 1,
        PART_BYTES * 9 + 77,
    ] {
        let sent = bytes(len);
        let server = serve(file(&sent), 0, len as u64).await;
        let answers = ask(server, &["/file"]).await;
        assert!(bodies(&answers)[0] == sent, "{len}");
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_that_part() {
    let sent = bytes(PART_BYTES * 3);
    let (from, len) = (12_345, PART_BYTES + 54_321);
    let server = serve(file(&sent), from as u64, len as u64).await;
    let answers = ask(server, &["/file"]).await;
    assert!(bodies(&answers)[0] == &sent[from..from + len]);
}

/// Requests sent without waiting for answers: the heads, texts and files stay apart and in order.
#[tokio::test]
async fn files_and_other_answers_share_a_connection() {
    let sent = bytes(PART_BYTES * 2 + 9);
    let server = serve(file(&sent), 0, sent.len() as u64).await;
    let paths = ["/text", "/file", "/file", "/text", "/file"];
    let answers = ask(server, &paths).await;
    let bodies = bodies(&answers);
    assert_eq!(bodies.len(), paths.len());
    for (path, body) in paths.iter().zip(bodies) {
        match *path {
            "/file" => assert!(body == sent),
            _ => assert!(body == "text\n".repeat(40_000).as_bytes()),
        }
    }
}

/// Changed file: the client must see a broken connection, not zeros and not a hang.
#[tokio::test]
async fn file_changed_under_way_breaks_the_connection_and_no_changed_byte_is_the_end() {
    let sent = bytes(PART_BYTES * 4);
    type Change = fn(&mut File);
    let changes: [Change; 2] = [
        |file| file.set_len(PART_BYTES as u64 + 1000).unwrap(),
        |file| {
            use std::io::Seek;
            file.rewind().unwrap();
            file.write_all(&vec![b'B'; PART_BYTES * 4]).unwrap();
            let later = std::time::SystemTime::now() + Duration::from_secs(5);
            file.set_modified(later).unwrap();
        },
    ];
    for change in changes {
        let mut file = file(&sent);
        let server = serve(file.try_clone().unwrap(), 0, sent.len() as u64).await;
        change(&mut file);
        let answers = ask(server, &["/file"]).await;
        // A reset may take back the head as well.
        let body = bodies(&answers).first().map_or(0, |body| body.len());
        assert!(body < sent.len(), "{body} bytes are all of the file");
    }
}

async fn connected() -> (FileStream, FileQueue, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, queue) = FileStream::new(listener.accept().await.unwrap().0);
    (stream, queue, client)
}

#[tokio::test]
async fn a_file_system_without_sendfile_is_copied_from() {
    let (mut stream, queue, mut client) = connected().await;
    stream.copies = true;
    let sent = bytes(COPY_BYTES * 3 + 5);
    let file = file(&sent);
    queue.parts().push_back(FilePart {
        version: Version::of(&file.metadata().unwrap()),
        file: Arc::new(file),
        offset: 0,
        len: sent.len(),
    });
    let placeholder = &PLACEHOLDER[..sent.len()];
    stream.write_all(placeholder).await.unwrap();
    drop(stream);
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert!(received == sent);
}

/// A client that reads nothing yet, and a file of which nearly all waits in the socket.
async fn idle_client(sent: &[u8]) -> (FileStream, File, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let client = socket
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let near = listener.accept().await.unwrap().0;
    let room = sent.len() * 4;
    socket2::SockRef::from(&near)
        .set_send_buffer_size(room)
        .unwrap();
    let (mut stream, queue) = FileStream::new(near);
    let file = file(sent);
    queue.parts().push_back(FilePart {
        version: Version::of(&file.metadata().unwrap()),
        file: Arc::new(file.try_clone().unwrap()),
        offset: 0,
        len: sent.len(),
    });
    let placeholder = &PLACEHOLDER[..sent.len()];
    timeout(SOON, stream.write_all(placeholder))
        .await
        .unwrap()
        .unwrap();
    (stream, file, client)
}

#[tokio::test]
async fn file_cut_off_while_its_end_waits_for_an_idle_client_resets_the_connection() {
    let sent = bytes(100_000);
    let (mut stream, file, mut client) = idle_client(&sent).await;
    file.set_len(1000).unwrap();
    let ended = timeout(SOON, stream.read(&mut [0])).await.unwrap();
    assert!(ended.is_err(), "{ended:?}");
    drop(stream);
    let mut received = Vec::new();
    let error = timeout(SOON, client.read_to_end(&mut received))
        .await
        .unwrap();
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    // On the loopback interface the pages that the client has got are the file's own as well.
    assert!(received.len() < sent.len(), "{} bytes", received.len());
}

#[tokio::test]
async fn file_that_stays_as_it_is_reaches_an_idle_client_before_the_end() {
    let sent = bytes(100_000);
    let (mut stream, _file, mut client) = idle_client(&sent).await;
    let mut received = Vec::new();
    let (ended, read) = tokio::join!(
        timeout(SOON, stream.shutdown()),
        timeout(SOON, client.read_to_end(&mut received)),
    );
    ended.unwrap().unwrap();
    read.unwrap().unwrap();
    assert!(received == sent);
    assert!(stream.unproven.is_none());
}

/// Should hyper ever copy a placeholder, no wrong byte may leave.
#[tokio::test]
async fn a_copied_placeholder_breaks_the_connection_before_anything_is_sent() {
    let (mut stream, queue, mut client) = connected().await;
    queue.parts().push_back(FilePart {
        version: Version::of(&file(b"12345").metadata().unwrap()),
        file: Arc::new(file(b"12345")),
        offset: 0,
        len: 5,
    });
    stream.write_all(&[0; 5]).await.unwrap_err();
    stream.flush().await.unwrap_err();
    drop(stream);
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"");
}
