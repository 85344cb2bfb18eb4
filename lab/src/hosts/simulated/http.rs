//! HTTP client like iPXE's: one GET per connection, using only status and length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::LoadError;

/// Time limit of a connection; iPXE tries for more than a minute.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Time limit without data; iPXE waits even longer.
const SILENCE: Duration = Duration::from_secs(16);

/// URL in the form that boot servers use: `http://HOST[:PORT]/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Host and port as written.
    pub(super) authority: String,
    /// Path and query.
    pub(super) target: String,
}

impl Url {
    /// Parses an absolute URL.
    pub(super) fn parse(text: &str) -> Option<Url> {
        let rest = text.strip_prefix("http://")?;
        let (authority, target) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        (!authority.is_empty()).then(|| Url {
            authority: authority.to_owned(),
            target: target.to_owned(),
        })
    }

    /// Resolves `text` in a script that was loaded from this URL (RFC 3986 §5).
    pub(super) fn resolve(&self, text: &str) -> Option<Url> {
        if text.contains("://") {
            return Url::parse(text);
        }
        let path = self.target.split(['?', '#']).next().unwrap_or_default();
        let target = if text.starts_with('/') {
            text.to_owned()
        } else {
            let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
            format!("{folder}{text}")
        };
        Some(Url {
            authority: self.authority.clone(),
            target,
        })
    }

    fn address(&self) -> Option<SocketAddr> {
        let with_port = match self.authority.contains(':') {
            true => self.authority.clone(),
            false => format!("{}:80", self.authority),
        };
        with_port.to_socket_addrs().ok()?.next()
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.target)
    }
}

/// Loads the file of the URL.
///
/// # Errors
/// [`LoadError`] if it does not arrive completely.
pub(super) fn get(url: &Url, user_agent: &str) -> Result<Vec<u8>, LoadError> {
    let address = url
        .address()
        .ok_or_else(|| LoadError::NoUrl(url.to_string()))?;
    let mut stream =
        TcpStream::connect_timeout(&address, CONNECT_WAIT).map_err(LoadError::from_io)?;
    stream
        .set_read_timeout(Some(SILENCE))
        .map_err(LoadError::from_io)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {user_agent}\r\nConnection: close\r\n\r\n",
        url.target, url.authority
    );
    stream
        .write_all(request.as_bytes())
        .map_err(LoadError::from_io)?;
    let mut reader = BufReader::new(stream);
    let (status, announced) = head(&mut reader)?;
    match status {
        200..=299 => {}
        404 => return Err(LoadError::NotFound),
        other => return Err(LoadError::Refused(format!("HTTP {other}"))),
    }
    let mut body = Vec::new();
    match announced {
        Some(length) => reader.take(length).read_to_end(&mut body),
        None => reader.read_to_end(&mut body),
    }
    .map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionReset => LoadError::CutOff {
            got: 0,
            announced: announced.unwrap_or(0),
        },
        _ => LoadError::from_io(error),
    })?;
    let got = u64::try_from(body.len()).unwrap_or(u64::MAX);
    match announced {
        Some(announced) if got < announced => Err(LoadError::CutOff { got, announced }),
        _ => Ok(body),
    }
}

/// Returns status and length of a response.
fn head(reader: &mut impl BufRead) -> Result<(u16, Option<u64>), LoadError> {
    let mut line = String::new();
    reader.read_line(&mut line).map_err(LoadError::from_io)?;
    let status = line.split_whitespace().nth(1).and_then(|s| s.parse().ok());
    let Some(status) = status else {
        return Err(LoadError::CutOff {
            got: 0,
            announced: 0,
        });
    };
    let mut announced = None;
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(LoadError::from_io)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            return Ok((status, announced));
        };
        if name.eq_ignore_ascii_case("content-length") {
            announced = value.trim().parse().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_s_urls_are_relative_to_where_it_came_from() {
        let url = Url::parse("http://192.168.92.1:8080/boot.ipxe?platform=efi").unwrap();
        let resolved = |text| url.resolve(text).unwrap().to_string();
        assert_eq!(resolved("ipxe?a=b"), "http://192.168.92.1:8080/ipxe?a=b");
        assert_eq!(resolved("/assets/x"), "http://192.168.92.1:8080/assets/x");
        assert_eq!(resolved("http://other/x"), "http://other/x");
    }

    #[test]
    fn an_answer_s_head_tells_status_and_length() {
        let mut text = &b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nbody"[..];
        assert_eq!(head(&mut text).unwrap(), (200, Some(12)));
        assert_eq!(text, b"body");
        assert!(head(&mut &b""[..]).is_err());
    }
}
