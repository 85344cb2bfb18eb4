//! Fetching the cloud-config with coreos-cloudinit's patience (`pkg/http_client.go`): 10 s an
//! attempt, up to 15 attempts, pauses from 50 ms doubling to 5 s; 4xx is final, everything else
//! that is not a success is tried again.

use std::time::Duration;

use thiserror::Error;

/// Timeout of one attempt, from connecting to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts before giving up.
const MAX_ATTEMPTS: u32 = 15;
/// First pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Longest user-data accepted, in bytes: far above any cloud-config, far below the guest's memory.
const MAX_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// Reasons that no user-data was fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// An address that would need TLS, which this agent does not have.
    #[error("{0}: https is not supported by the stand-in's agent, use http")]
    NoTls(String),
    /// The server said that asking again is useless.
    #[error("{url}: HTTP status {status}, which is final")]
    Refused {
        /// URL of the request.
        url: String,
        /// The 4xx status.
        status: u16,
    },
    /// Every attempt failed in a way that might have passed.
    #[error("{url}: gave up after {attempts} attempts, the last one: {last}")]
    GaveUp {
        /// URL of the request.
        url: String,
        /// Number of attempts made.
        attempts: u32,
        /// Error of the last attempt.
        last: String,
    },
}

/// Fetches `url`, saying each attempt and its outcome; `pause` waits between attempts.
///
/// # Errors
/// [`FetchError::NoTls`] on https, [`FetchError::Refused`] on 4xx, [`FetchError::GaveUp`] after the last attempt.
pub fn fetch(
    url: &str,
    say: &mut dyn FnMut(&str),
    pause: &dyn Fn(Duration),
) -> Result<Vec<u8>, FetchError> {
    if url.starts_with("https:") {
        return Err(FetchError::NoTls(url.to_owned()));
    }
    let agent = http_agent();
    let mut last = String::new();
    for attempt in 1..=MAX_ATTEMPTS {
        match attempt_once(&agent, url) {
            Attempt::Answer(body) => {
                say(&format!(
                    "fetch {url}: attempt {attempt}: 200, {} bytes",
                    body.len()
                ));
                return Ok(body);
            }
            Attempt::Final(status) => {
                say(&format!(
                    "fetch {url}: attempt {attempt}: {status}, not tried again"
                ));
                return Err(FetchError::Refused {
                    url: url.to_owned(),
                    status,
                });
            }
            Attempt::Again(reason) => {
                say(&format!(
                    "fetch {url}: attempt {attempt} of {MAX_ATTEMPTS}: {reason}"
                ));
                last = reason;
            }
        }
        if attempt < MAX_ATTEMPTS {
            pause(pause_after(attempt));
        }
    }
    Err(FetchError::GaveUp {
        url: url.to_owned(),
        attempts: MAX_ATTEMPTS,
        last,
    })
}

/// Fetches `url` once; nothing when the answer is not text, or no success.
#[must_use]
pub fn fetch_once(url: &str) -> Option<String> {
    match attempt_once(&http_agent(), url) {
        Attempt::Answer(body) => String::from_utf8(body).ok(),
        Attempt::Final(_) | Attempt::Again(_) => None,
    }
}

fn http_agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(ATTEMPT_TIMEOUT))
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("guest-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

enum Attempt {
    Answer(Vec<u8>),
    Final(u16),
    Again(String),
}

fn attempt_once(agent: &ureq::Agent, url: &str) -> Attempt {
    let mut response = match agent.get(url).call() {
        Ok(response) => response,
        Err(error) => return Attempt::Again(error.to_string()),
    };
    match response.status().as_u16() {
        200..=299 => {
            match response
                .body_mut()
                .with_config()
                .limit(MAX_BODY_BYTES)
                .read_to_vec()
            {
                Ok(body) => Attempt::Answer(body),
                Err(error) => Attempt::Again(format!("reading the answer: {error}")),
            }
        }
        status @ 400..=499 => Attempt::Final(status),
        status => Attempt::Again(format!("HTTP status {status}")),
    }
}

/// Returns the pause after the `attempt`-th failure (counted from 1).
fn pause_after(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// Serves the given raw answers, one a connection, and says how many requests came.
    fn serve(answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/cloud", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut served = 0;
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                stream.write_all(&answer).unwrap();
                served += 1;
            }
            served
        });
        (url, server)
    }

    fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_server_error_is_tried_again_after_a_growing_pause() {
        let busy = answer("503 Service Unavailable", "", b"");
        let (url, server) = serve(vec![
            busy.clone(),
            busy,
            answer("200 OK", "", b"#cloud-config\n"),
        ]);
        let pauses = RefCell::new(Vec::new());
        let body = fetch(&url, &mut |_| {}, &|pause| {
            pauses.borrow_mut().push(pause.as_millis())
        })
        .unwrap();
        assert_eq!(body, b"#cloud-config\n");
        assert_eq!(pauses.into_inner(), [50, 100]);
        assert_eq!(server.join().unwrap(), 3);
    }

    #[test]
    fn a_client_error_is_final() {
        let (url, server) = serve(vec![answer("404 Not Found", "", b"no")]);
        let mut said = Vec::new();
        let error = fetch(&url, &mut |line| said.push(line.to_owned()), &|_| {
            panic!("no second attempt after a 404")
        })
        .unwrap_err();
        assert!(
            matches!(error, FetchError::Refused { status: 404, .. }),
            "{error}"
        );
        assert!(said.concat().contains("attempt 1: 404"), "{said:?}");
        assert_eq!(server.join().unwrap(), 1);
    }

    #[test]
    fn a_dead_server_is_asked_fifteen_times() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let pauses = RefCell::new(Vec::new());
        let error = fetch(&url, &mut |_| {}, &|pause| pauses.borrow_mut().push(pause)).unwrap_err();
        assert!(
            matches!(error, FetchError::GaveUp { attempts: 15, .. }),
            "{error}"
        );
        let pauses = pauses.into_inner();
        assert_eq!(pauses.len(), 14);
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    }

    #[test]
    fn what_is_asked_once_is_not_asked_again() {
        let (url, server) = serve(vec![answer("503 Service Unavailable", "", b"{}")]);
        assert_eq!(fetch_once(&url), None);
        assert_eq!(server.join().unwrap(), 1);
    }

    #[test]
    fn https_is_refused_at_once() {
        let error =
            fetch("https://127.0.0.1/", &mut |_| {}, &|_| panic!("no attempt")).unwrap_err();
        assert!(matches!(error, FetchError::NoTls(_)), "{error}");
    }

    #[test]
    fn a_gzipped_answer_is_unpacked() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"#cloud-config\n").unwrap();
        let body = encoder.finish().unwrap();
        let (url, server) = serve(vec![answer("200 OK", "Content-Encoding: gzip\r\n", &body)]);
        assert_eq!(
            fetch(&url, &mut |_| {}, &|_| {}).unwrap(),
            b"#cloud-config\n"
        );
        server.join().unwrap();
    }

    #[test]
    fn a_body_cut_short_is_fetched_again() {
        let (url, server) = serve(vec![
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n#cloud".to_vec(),
            answer("200 OK", "", b"#cloud-config\n"),
        ]);
        assert_eq!(
            fetch(&url, &mut |_| {}, &|_| {}).unwrap(),
            b"#cloud-config\n"
        );
        server.join().unwrap();
    }
}
