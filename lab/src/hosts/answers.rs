//! A web server that gives every request the same answer: a page in a config's place, or a redirect.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use lab_model::fault::CannedAnswer;
use lab_model::scenario::Network;

/// Serves until it is killed; `up` is called when it listens.
pub(super) fn serve(
    address: Ipv4Addr,
    answer: &CannedAnswer,
    up: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::bind((address, Network::HTTP_PORT))?;
    up()?;
    for stream in listener.incoming() {
        let (stream, answer) = (stream?, answer.clone());
        // A client that goes away is its own business.
        thread::spawn(move || say(stream, &answer));
    }
    Ok(())
}

fn say(mut stream: TcpStream, answer: &CannedAnswer) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    stream.write_all(text(answer).as_bytes())
}

fn text(answer: &CannedAnswer) -> String {
    let location = answer.location.as_ref();
    let location = location.map_or_else(String::new, |to| format!("Location: {to}\r\n"));
    format!(
        "HTTP/1.1 {} As Asked For\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        answer.status,
        answer.body.len(),
        answer.body
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn say_any_request_gets_the_one_answer() {
        let answer = CannedAnswer {
            status: 302,
            location: Some("http://192.168.92.1:8080/cloud".into()),
            body: "elsewhere\n".into(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let served = thread::spawn(move || say(listener.accept().unwrap().0, &answer));
        client
            .write_all(b"GET /any HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        served.join().unwrap().unwrap();
        assert!(heard.starts_with("HTTP/1.1 302 "), "{heard}");
        assert!(
            heard.contains("\r\nLocation: http://192.168.92.1:8080/cloud\r\n"),
            "{heard}"
        );
        assert!(heard.ends_with("\r\n\r\nelsewhere\n"), "{heard}");
    }
}
