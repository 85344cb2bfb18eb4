//! A recorded exchange with the HTTP service, and how an answer is compared with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::event_sink::EventSink;
use boot_server::net::http::{HttpServer, router};
use boot_server::net::neighbours::Neighbours;
use boot_server_events::Event;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::support::{Answer, conformance};

/// Serves a recorded rack and its assets on loopback, within a tokio runtime.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
pub(crate) fn serve_rack(rack: &str) -> (SocketAddr, mpsc::Receiver<Event>) {
    let racks = conformance().join("http");
    let (catalog, _) = DataDir::open(Source::of(racks.join(rack)), None).unwrap();
    let (sink, events) = EventSink::channel();
    let assets = Some(racks.join("assets"));
    let router = router(Arc::new(catalog), assets, Neighbours::default(), sink);
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    (address, events)
}

/// Fails with all that differs, when anything does.
pub(crate) fn assert_no_failures(failures: &[String], rows: usize) {
    assert!(
        failures.is_empty(),
        "{} of {rows} rows differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Recorded exchange over HTTP.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) request_headers: BTreeMap<String, String>,
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Row {
    /// Compares an answer with the one that is wanted; the recorded headers with the length of the
    /// wanted body, unless there are none.
    pub(crate) fn compare(
        &self,
        status: u16,
        headers: Option<&BTreeMap<String, String>>,
        body: &str,
        answer: &Answer,
    ) -> Result<(), String> {
        const COMPARED: [&str; 6] = [
            "accept-ranges",
            "content-length",
            "content-range",
            "content-type",
            "location",
            "x-content-type-options",
        ];
        let got: BTreeMap<String, String> = answer
            .headers
            .iter()
            .filter(|(name, _)| COMPARED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut wanted = headers.cloned().unwrap_or_else(|| got.clone());
        // The length of a body that is not sent is only known from the same request with GET.
        let unknown = self.method == "HEAD" && self.status == 404;
        let length = match unknown {
            true => got.get("content-length").cloned().unwrap_or_default(),
            false => body.len().to_string(),
        };
        if self.method != "HEAD" || unknown {
            wanted.insert("content-length".into(), length);
        }
        let wanted = (status, &wanted, body);
        let got = (answer.status, &got, answer.body.as_str());
        match wanted == got {
            true => Ok(()),
            false => Err(format!(
                "{} {} {:?}\nwanted {wanted:?}\n   got {got:?}",
                self.method, self.path, self.request_headers
            )),
        }
    }
}
