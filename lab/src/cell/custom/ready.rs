//! Signs that a service is ready.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lab_model::scenario::{Placeholder, ReadyWhen, Service, expand};
use regex_lite::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::process::Process;

/// Pause between two looks at a sign that does not report itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Time that a service without a sign must run: a program that cannot bind its ports ends at once.
const SETTLING: Duration = Duration::from_millis(700);

/// Time limit of one request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);

/// States of a TCP socket in /proc/net/tcp (proc_pid_net(5)).
const LISTENING: &str = "0A";

/// Reason why a service is not ready.
#[derive(Debug)]
pub(super) enum NotReady {
    /// It ended; status and last lines of output.
    Ended(String),
    /// The sign did not appear in time.
    TimedOut { seconds: u64, sign: String },
}

/// Waits for the service's sign.
///
/// # Errors
/// [`NotReady`].
pub(super) async fn wait(
    process: &mut Process,
    service: &Service,
    value: impl Fn(Placeholder) -> String,
) -> Result<(), NotReady> {
    let Some(ready) = &service.ready else {
        let mut ended = process.ended.clone();
        let has_ended = ended.wait_for(Option::is_some);
        return match tokio::time::timeout(SETTLING, has_ended).await {
            Ok(Ok(end)) => Err(NotReady::Ended(detail_of(&end))),
            _ => Ok(()),
        };
    };
    let mut ended = process.ended.clone();
    let sockets = process.host.sockets();
    let when = &ready.when;
    let sign = async {
        match when {
            ReadyWhen::Tcp(port) => until(|| has_socket(&sockets, "tcp", *port)).await,
            ReadyWhen::Udp(port) => until(|| has_socket(&sockets, "udp", *port)).await,
            ReadyWhen::Http(url) => {
                let url = expand(url, &value);
                while !is_answered(&url).await {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            ReadyWhen::Log(pattern) => {
                // The pattern was checked when the scenario was read.
                let pattern = Regex::new(pattern).ok();
                while let Some(line) = process.heard.recv().await {
                    if pattern.as_ref().is_some_and(|one| one.is_match(&line)) {
                        return;
                    }
                }
                std::future::pending().await
            }
            ReadyWhen::Exit(_) => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        () = sign => Ok(()),
        end = ended.wait_for(Option::is_some) => Err(end.ok().and_then(|end| end.clone())),
        () = tokio::time::sleep(ready.within) => {
            return Err(NotReady::TimedOut {
                seconds: ready.within.as_secs(),
                sign: when.to_string(),
            });
        }
    };
    match (outcome, when) {
        (Ok(()), _) => Ok(()),
        (Err(Some((status, _))), ReadyWhen::Exit(code))
            if status.code() == Some(i32::from(*code)) =>
        {
            Ok(())
        }
        (Err(end), _) => Err(NotReady::Ended(detail_of(&end))),
    }
}

fn detail_of(end: &Option<(std::process::ExitStatus, String)>) -> String {
    end.as_ref()
        .map_or_else(String::new, |(_, detail)| detail.clone())
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// True if a socket of the host waits for clients at this port.
fn has_socket(folder: &Path, protocol: &str, port: u16) -> bool {
    [protocol.to_owned(), format!("{protocol}6")]
        .iter()
        .any(|table| {
            let text = fs::read_to_string(folder.join(table)).unwrap_or_default();
            is_listed(&text, protocol == "tcp", port)
        })
}

/// True if a socket table lists the port as a local one; of TCP sockets, only those that listen count.
fn is_listed(table: &str, is_tcp: bool, port: u16) -> bool {
    let port = format!("{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace();
        let local = words.nth(1).and_then(|local| local.rsplit_once(':'));
        let state = words.nth(1);
        local.is_some_and(|(_, own)| own == port) && (!is_tcp || state == Some(LISTENING))
    })
}

/// True if the URL is answered with a status below 400.
async fn is_answered(url: &str) -> bool {
    let ask = async {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = match authority.contains(':') {
            true => authority.to_owned(),
            false => format!("{authority}:80"),
        };
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request =
            format!("GET /{path} HTTP/1.0\r\nHost: {authority}\r\nUser-Agent: lab\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.ok()?;
        let status = std::str::from_utf8(&head).ok()?.split(' ').nth(1)?;
        status.parse::<u16>().ok()
    };
    let status = tokio::time::timeout(REQUEST_DEADLINE, ask).await;
    matches!(status, Ok(Some(200..400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   \
        1: 0100007F:0050 0100007F:D431 01 00000000:00000000\n";
    const UDP: &str = "  sl  local_address rem_address   st tx_queue\n \
        5: 00000000:0045 00000000:0000 07 00000000:00000000\n";

    #[test]
    fn is_listed_listening_tcp_sockets_and_bound_udp_sockets() {
        assert!(is_listed(TCP, true, 8080));
        assert!(!is_listed(TCP, true, 80), "a connection does not listen");
        assert!(!is_listed(TCP, true, 54321));
        assert!(is_listed(UDP, false, 69));
        assert!(!is_listed(UDP, false, 67));
    }
}
