//! `/ignition?labels`: the machine's Ignition config, as JSON.

use std::sync::Arc;

use axum::extract::{RawQuery, State};

use super::App;
use super::answer::Answer;
use crate::catalog::snapshot::Folder;

/// Renders the file that the machine's spec names.
pub(crate) async fn handle(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    app.config(Folder::Ignition, query, |text, detail| {
        Answer::rendered("application/json", text, detail)
    })
    .await
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get;

    #[tokio::test]
    async fn a_spec_without_ignition_is_told() {
        let answer = get("/ignition?mac=52:54:00:89:d8:10").await;
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.body,
            "404 page not found\ngroup `by-mac`: spec `etcd` has no `ignition_id`\n"
        );
    }
}
