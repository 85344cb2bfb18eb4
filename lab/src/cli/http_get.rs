//! A GET request over HTTP/1.0, with bounded time and size. No TLS, no redirects.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rollout::compare::Answer;

/// Most bytes of an answer.
const MOST_BYTES: u64 = 16 << 20;

/// An HTTP server: `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    host: String,
    port: u16,
    /// Path before every request, without a slash at its end.
    prefix: String,
}

/// Mistakes in the URL of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write http://HOST:PORT; HTTPS is unsupported")]
pub(super) struct InvalidServer;

impl std::str::FromStr for Server {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Server, InvalidServer> {
        let rest = text.strip_prefix("http://").ok_or(InvalidServer)?;
        let (authority, prefix) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| InvalidServer)?),
            None => (authority, 80),
        };
        let is_plain = |text: &str| !text.contains(['?', '#', '@', ' ']);
        if host.is_empty() || !is_plain(host) || !is_plain(prefix) {
            return Err(InvalidServer);
        }
        Ok(Server {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }
}

impl Server {
    /// Requests a path and its query.
    ///
    /// # Errors
    /// The server is unreachable, takes longer than the timeout, or does not speak HTTP.
    pub(super) fn get(&self, target: &str, timeout: Duration) -> io::Result<Answer> {
        let deadline = Instant::now() + timeout;
        let left = || {
            let left = deadline.saturating_duration_since(Instant::now());
            match left.is_zero() {
                true => Err(io::Error::from(io::ErrorKind::TimedOut)),
                false => Ok(left),
            }
        };
        let address = (self.host.as_str(), self.port).to_socket_addrs()?.next();
        let address = address.ok_or(io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, left()?)?;
        stream.set_write_timeout(Some(left()?))?;
        let (host, port, prefix) = (&self.host, self.port, &self.prefix);
        write!(
            stream,
            "GET {prefix}{target} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n"
        )?;
        let mut bytes = Vec::new();
        let mut part = [0; 16 << 10];
        loop {
            stream.set_read_timeout(Some(left()?))?;
            let count = stream.read(&mut part)?;
            bytes.extend(part.iter().take(count));
            if count == 0 {
                break;
            }
            if bytes.len() as u64 > MOST_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        answer(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Reads an answer whose end is the end of the connection.
fn answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let media_type = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then_some(value)
    });
    let media_type = media_type.and_then(|value| value.split(';').next());
    Some(Answer {
        status: status.parse().ok()?,
        media_type: media_type.unwrap_or_default().trim().to_ascii_lowercase(),
        body: String::from_utf8_lossy(body.get(4..)?).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_read_from_its_url() {
        let server = |text: &str| text.parse::<Server>().map(|s| (s.host, s.port, s.prefix));
        let of = |host: &str, port, prefix: &str| Ok((host.to_owned(), port, prefix.to_owned()));
        assert_eq!(server("http://10.0.0.1:8080"), of("10.0.0.1", 8080, ""));
        assert_eq!(
            server("http://boot.example/x/"),
            of("boot.example", 80, "/x")
        );
        assert_eq!(server("http://[::1]:8080/"), of("::1", 8080, ""));
        for text in [
            "https://h",
            "10.0.0.1:8080",
            "http://",
            "http://h:x",
            "http://h/?a=b",
        ] {
            assert_eq!(server(text), Err(InvalidServer), "{text}");
        }
    }

    #[test]
    fn answer_is_read_to_the_end_of_the_connection() {
        let read =
            answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/Plain; charset=utf-8\r\n\r\na\r\n\r\nb")
                .unwrap();
        assert_eq!((read.status, read.media_type.as_str()), (200, "text/plain"));
        assert_eq!(read.body, "a\r\n\r\nb");
        assert_eq!(answer(b"SSH-2.0\r\n\r\n"), None);
        assert_eq!(answer(b""), None);
    }
}
