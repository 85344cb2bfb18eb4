//! A release server on loopback: serves files as publishers' servers do (`ETag`, `Range`, `If-Range`), and
//! fails in the ways that are asked for. It keeps account of every byte.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// Fault of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of the body.
    CutAfter(usize),
    /// The answer is this status.
    Status(u16),
    /// `Range` is ignored.
    IgnoreRange,
    /// The answer goes on at another place than it was asked to.
    WrongRange,
    /// Only so many bytes of a range are given, and called that.
    Capped(usize),
    /// The server sends so many bytes and then keeps the connection open in silence.
    Silent(usize),
}

/// A request, and how many bytes of a body it was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
    pub(crate) status: u16,
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, Vec<u8>>,
    faults: HashMap<String, VecDeque<Fault>>,
    always: HashMap<String, Fault>,
    requests: Vec<Request>,
}

/// The server; it lives as long as the test's process.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                // A client that hangs up is no failure of the server's.
                std::thread::spawn(move || server.talk(stream).unwrap_or_default());
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state().files.insert(path.to_owned(), bytes.into());
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().files.remove(path);
    }

    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        self.state()
            .files
            .get(path)
            .cloned()
            .unwrap_or_else(|| panic!("no {path}"))
    }

    /// The next answers for `path` fail like this.
    pub(crate) fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state()
            .faults
            .entry(path.to_owned())
            .or_default()
            .extend(faults);
    }

    /// All answers for `path` fail like this.
    pub(crate) fn fail_always(&self, path: &str, fault: Fault) {
        self.state().always.insert(path.to_owned(), fault);
    }

    pub(crate) fn heal(&self, path: &str) {
        self.state().always.remove(path);
    }

    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let all = self.state().requests.clone();
        all.into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    pub(crate) fn bytes_served(&self, path: &str) -> usize {
        self.requests(path)
            .iter()
            .map(|request| request.bytes)
            .sum()
    }

    fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut headers = HashMap::new();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                match header.trim().split_once(": ") {
                    Some((name, value)) => {
                        headers.insert(name.to_ascii_lowercase(), value.to_owned());
                    }
                    None => break,
                }
            }
            if !self.answer(&stream, line.trim(), &headers)? {
                return stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Answers a request; true if the connection stays open.
    fn answer(
        &self,
        mut stream: &TcpStream,
        line: &str,
        headers: &HashMap<String, String>,
    ) -> std::io::Result<bool> {
        let target = line.split(' ').nth(1).unwrap_or_default();
        // A proxy is asked with the whole URL.
        let path = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => target,
        };
        let (file, fault) = {
            let mut state = self.state();
            let next = state.faults.get_mut(path).and_then(VecDeque::pop_front);
            (
                state.files.get(path).cloned(),
                next.or(state.always.get(path).copied()),
            )
        };
        let mut request = Request {
            line: line.to_owned(),
            path: path.to_owned(),
            range: headers.get("range").cloned(),
            if_range: headers.get("if-range").cloned(),
            status: 200,
            bytes: 0,
        };
        let refused = match (fault, &file) {
            (Some(Fault::Status(status)), _) => Some(status),
            (_, None) => Some(404),
            _ => None,
        };
        if let Some(status) = refused {
            request.status = status;
            self.state().requests.push(request);
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        let file = file.unwrap_or_default();
        let tag = etag(&file);
        let from = match (&request.range, headers.get("if-range")) {
            (Some(range), validator) if validator.is_none_or(|given| *given == tag) => range
                .trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse()
                .unwrap_or(0),
            _ => 0,
        };
        let from = if fault == Some(Fault::IgnoreRange) {
            0
        } else {
            from
        };
        if from > 0 && from >= file.len() {
            request.status = 416;
            self.state().requests.push(request);
            let total = file.len();
            write!(
                stream,
                "HTTP/1.1 416 X\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n"
            )?;
            return Ok(true);
        }
        let from = if fault == Some(Fault::WrongRange) {
            from.saturating_sub(1)
        } else {
            from
        };
        let cap = match fault {
            Some(Fault::Capped(bytes)) => file.len().min(from + bytes),
            _ => file.len(),
        };
        let body = file.get(from..cap).unwrap_or_default();
        let mut head = format!("ETag: {tag}\r\nContent-Length: {}\r\n", body.len());
        if from > 0 {
            request.status = 206;
            head += &format!("Content-Range: bytes {from}-{}/{}\r\n", cap - 1, file.len());
        }
        let end = match fault {
            Some(Fault::CutAfter(bytes) | Fault::Silent(bytes)) => bytes.min(body.len()),
            _ => body.len(),
        };
        request.bytes = end;
        let status = request.status;
        self.state().requests.push(request);
        write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\n")?;
        stream.write_all(body.get(..end).unwrap_or_default())?;
        stream.flush()?;
        if let Some(Fault::Silent(_)) = fault {
            // Until the client has had enough.
            let mut end = [0];
            let _ = std::io::Read::read(&mut stream, &mut end);
            return Ok(false);
        }
        Ok(end == body.len())
    }
}

/// Another for other bytes.
fn etag(file: &[u8]) -> String {
    let sum = file.iter().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    format!("\"{sum:x}\"")
}
