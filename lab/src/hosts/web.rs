//! Web server with a flaw: serves the image's files like a boot config service, and then fails.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use lab_model::fault::WebFlaw;
use lab_model::scenario::Network;

const PIECE: usize = 64 * 1024;

/// Serves until it is killed; `up` is called when it listens.
pub(super) fn serve(
    address: Ipv4Addr,
    flaw: WebFlaw,
    image: &Path,
    up: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::bind((address, Network::HTTP_PORT))?;
    up()?;
    for stream in listener.incoming() {
        let (stream, image) = (stream?, image.to_owned());
        // Clients that disappear are ignored.
        thread::spawn(move || answer(stream, flaw, &image));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, flaw: WebFlaw, image: &Path) -> io::Result<()> {
    let Some((method, target)) = request(&stream)? else {
        return Ok(());
    };
    if let WebFlaw::Status(status) = flaw {
        let body = "the config service failed\n";
        return stream.write_all(
            format!(
                "HTTP/1.1 {status} Failed On Purpose\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
    }
    let Some(file) = asset(&target, image).and_then(|path| File::open(path).ok()) else {
        let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(head.as_bytes());
    };
    let whole = file.metadata()?.len();
    let announced = match flaw {
        WebFlaw::ShortFile(length) => length.min(whole),
        _ => whole,
    };
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if method == "HEAD" {
        return Ok(());
    }
    match flaw {
        WebFlaw::StallAfter(bytes) => {
            send(&mut stream, file, bytes, None)?;
            loop {
                // The connection stays open without further data.
                thread::park();
            }
        }
        WebFlaw::TruncateAfter(bytes) => send(&mut stream, file, bytes, None),
        WebFlaw::Rate(rate) => send(&mut stream, file, announced, Some(rate)),
        WebFlaw::ShortFile(_) | WebFlaw::Status(_) => send(&mut stream, file, announced, None),
    }
}

/// Sends up to `limit` bytes at up to `rate` bytes per second.
fn send(stream: &mut TcpStream, file: File, limit: u64, rate: Option<u64>) -> io::Result<()> {
    let mut file = file.take(limit);
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        stream.write_all(bytes)?;
        if let Some(rate) = rate {
            thread::sleep(Duration::from_secs_f64(length as f64 / rate.max(1) as f64));
        }
    }
}

/// Returns method and target of the request, if there is one.
fn request(stream: &TcpStream) -> io::Result<Option<(String, String)>> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    Ok(words.next().zip(words.next()))
}

/// Returns the file that a target names; it cannot be outside the folder.
fn asset(target: &str, image: &Path) -> Option<PathBuf> {
    let path = target
        .split('?')
        .next()?
        .strip_prefix("/assets/coreos/current/")?;
    let path = Path::new(path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| image.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the data that a client receives until the connection ends or stalls.
    fn loaded(flaw: WebFlaw, target: &str) -> (String, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), vec![7; 200_000]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let image = folder.path().to_owned();
        thread::spawn(move || answer(listener.accept().unwrap().0, flaw, &image));
        let mut client = TcpStream::connect(address).unwrap();
        let wait = Duration::from_millis(300);
        client.set_read_timeout(Some(wait)).unwrap();
        client
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .unwrap();
        let mut reader = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0);
        }
        let mut body = Vec::new();
        // An end and a silence both end it here; which of them it was, the length tells.
        let _ = reader.read_to_end(&mut body);
        (head, body)
    }

    #[test]
    fn a_stalled_body_and_a_truncated_one_are_announced_whole() {
        for flaw in [
            WebFlaw::StallAfter(150_000),
            WebFlaw::TruncateAfter(150_000),
        ] {
            let (head, body) = loaded(flaw, "/assets/coreos/current/file");
            assert!(head.contains("Content-Length: 200000"), "{head}");
            assert_eq!(body.len(), 150_000);
        }
    }

    #[test]
    fn a_short_file_is_announced_as_short() {
        let (head, body) = loaded(WebFlaw::ShortFile(100_000), "/assets/coreos/current/file");
        assert!(head.contains("Content-Length: 100000"), "{head}");
        assert_eq!(body.len(), 100_000);
    }

    #[test]
    fn errors_and_files_outside_are_answered_as_such() {
        assert!(loaded(WebFlaw::Status(503), "/cloud").0.contains(" 503 "));
        let (head, _) = loaded(WebFlaw::ShortFile(1), "/assets/coreos/current/../file");
        assert!(head.contains(" 404 "), "{head}");
    }
}
