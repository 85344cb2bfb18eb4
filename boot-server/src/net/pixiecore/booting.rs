//! `/_/booting?mac=`: fetched by the script as its last step, so that the boot shows in the events.

use axum::extract::RawQuery;

use super::first;
use crate::net::http::answer::{Answer, TEXT};

pub(super) async fn handle(RawQuery(query): RawQuery) -> Answer {
    let mac = first(&query.unwrap_or_default(), "mac").unwrap_or_default();
    Answer::rendered(TEXT, "# Booting", format!("{mac} boots its kernel"))
}
