//! GET requests to a boot config service, with bounded time and size. No TLS, no redirects, no proxy.

use std::time::Duration;

use rollout::compare::Answer;
use url::Url;

/// Most bytes of an answer.
const MOST_BYTES: u64 = 16 << 20;

/// An HTTP server, with a path before that of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// URL without a slash at its end.
    base: String,
}

/// Mistakes in the URL of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write http://HOST:PORT; HTTPS is unsupported")]
pub(super) struct InvalidServer;

impl std::str::FromStr for Server {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Server, InvalidServer> {
        let url = Url::parse(text).map_err(|_| InvalidServer)?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if url.scheme() != "http" || !url.has_host() || !is_plain {
            return Err(InvalidServer);
        }
        Ok(Server {
            base: url.as_str().trim_end_matches('/').to_owned(),
        })
    }
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Mistake in the path or query.
    #[error(transparent)]
    Target(#[from] url::ParseError),
    /// The server is unreachable, too slow, does not speak HTTP, or its answer is too long.
    #[error(transparent)]
    Http(#[from] ureq::Error),
}

/// A client whose requests end within a time.
pub(super) fn client(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .accept("*/*")
        .accept_encoding("identity")
        .user_agent(concat!("lab/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

impl Server {
    /// Requests a path and its query.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub(super) fn get(&self, client: &ureq::Agent, target: &str) -> Result<Answer, NoAnswer> {
        // `url` encodes what a machine may send and a URL may not have, such as `<`.
        let url = Url::parse(&format!("{}{target}", self.base))?;
        let mut response = client.get(url.as_str()).call()?;
        let body = response.body_mut();
        let media_type = body.mime_type().unwrap_or_default().to_ascii_lowercase();
        let body = body.with_config().limit(MOST_BYTES).read_to_vec()?;
        Ok(Answer {
            status: response.status().as_u16(),
            media_type,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn server_url_other_than_plain_http_is_refused() {
        let base = |text: &str| text.parse::<Server>().map(|server| server.base);
        for (text, expected) in [
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("http://boot.example:80/x/", "http://boot.example/x"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(base(text).as_deref(), Ok(expected));
        }
        for text in [
            "https://h",
            "10.0.0.1:8080",
            "http://",
            "http://h:x",
            "http://h/?a=b",
            "http://h/#a",
            "http://user@h/",
            "file:///x",
        ] {
            assert_eq!(base(text), Err(InvalidServer), "{text}");
        }
    }

    /// Answers one request with these bytes, and returns the request's line.
    fn asked(target: &str, answer: &'static [u8]) -> (Result<Answer, NoAnswer>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/prefix", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            stream.write_all(answer).unwrap();
            first
        });
        let server: Server = url.parse().unwrap();
        let got = server.get(&client(Duration::from_secs(60)), target);
        (got, serving.join().unwrap())
    }

    #[test]
    fn answer_has_status_media_type_and_the_whole_body() {
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/Plain; charset=utf-8\r\n\r\na\r\n\r\nb\xff";
        let (got, request) = asked("/ipxe?mac=52-54-00&x=<&y=%41", answer);
        assert_eq!(
            request,
            "GET /prefix/ipxe?mac=52-54-00&x=%3C&y=%41 HTTP/1.1"
        );
        let got = got.unwrap();
        assert_eq!((got.status, got.media_type.as_str()), (200, "text/plain"));
        assert_eq!(got.body, "a\r\n\r\nb\u{fffd}");
    }

    #[test]
    fn redirect_and_refusal_are_answers_and_another_protocol_is_none() {
        let moved = b"HTTP/1.1 301 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(asked("/x", moved).0.unwrap().status, 301);
        let refused = b"HTTP/1.0 404 Not Found\r\n\r\nno";
        let got = asked("/x", refused).0.unwrap();
        assert_eq!((got.status, got.media_type.as_str()), (404, ""));
        assert_eq!(got.body, "no");
        for answer in [&b"SSH-2.0\r\n\r\n"[..], b""] {
            assert!(matches!(asked("/x", answer).0, Err(NoAnswer::Http(_))));
        }
    }
}
