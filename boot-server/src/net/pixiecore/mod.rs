//! Pixiecore mode's HTTP: asks an API what each machine boots, and hands on what it names.

mod booting;
mod client;
#[cfg(test)]
mod client_tests;
mod file;
mod ipxe;
mod seal;
mod trust;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::any;

use boot_server_proto::mac::MacAddr;
pub use client::{ApiAnswer, ApiClient, ApiError, Unbootable};
use seal::Sealer;

use crate::catalog::labels::query_pairs;
use crate::config::Explain;
use crate::event_sink::EventSink;
use crate::net::http::answer::Answer;
use crate::net::http::observe::{Observer, observe};
use crate::net::neighbours::Neighbours;

/// State shared by the endpoints.
#[derive(Clone)]
struct App {
    api: ApiClient,
    sealer: Sealer,
}

/// Returns all endpoints of Pixiecore's own HTTP server.
pub fn router(api: ApiClient, neighbours: Neighbours, events: EventSink) -> Router {
    explaining_router(api, neighbours, events, Explain::default())
}

/// Returns the same endpoints, which send full reasons to the permitted clients.
pub fn explaining_router(
    api: ApiClient,
    neighbours: Neighbours,
    events: EventSink,
    explain: Explain,
) -> Router {
    let observer = Observer {
        neighbours,
        events,
        explain,
    };
    let sealer = Sealer::new();
    Router::new()
        .route("/_/ipxe", any(ipxe::handle))
        .route("/_/file", any(file::handle))
        .route("/_/booting", any(booting::handle))
        .fallback(no_endpoint)
        .layer(from_fn_with_state(Arc::new(observer), observe))
        .with_state(App { api, sealer })
}

async fn no_endpoint() -> Answer {
    Answer::not_found("unknown endpoint; Pixiecore mode serves /_/ipxe, /_/file and /_/booting")
}

/// Returns an error in Pixiecore's words, and the reason where there is more to say.
fn error(status: StatusCode, line: &str, reason: Option<&str>) -> Answer {
    let Some(reason) = reason else {
        return Answer::error(status, line, None, line);
    };
    let detail = format!("{line}: {reason}");
    Answer::explained(status, line, "see the server's log", reason).detail(detail)
}

/// Returns the first value of a key in a query.
fn first(query: &str, key: &str) -> Option<String> {
    query_pairs(query)
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

fn encoded_mac(mac: MacAddr) -> String {
    mac.to_string().replace(':', "%3A")
}
