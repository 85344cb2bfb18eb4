//! `/cloud?labels`: the machine's cloud-config or script.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use super::App;
use super::answer::{Answer, TEXT};
use super::range::serve_text;
use crate::catalog::snapshot::Folder;

/// Renders and checks the file that the machine's spec names. Everything that stands in the way is
/// a 404, which coreos-cloudinit takes as final; the reason is in the body.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    app.config(Folder::Cloud, query, |text, detail| {
        serve_text(&headers, TEXT, text, detail)
    })
    .await
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get;

    #[tokio::test]
    async fn a_rendered_config_that_is_none_is_refused_with_its_file() {
        let answer = get("/cloud?uuid=badcloud").await;
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.body,
            "404 page not found\ngroup `badcloud`: cloud/bad.yaml, rendered: unknown cloud-config type: the first line is neither `#cloud-config` nor `#!`\n"
        );
    }
}
