//! `/ignition?labels`: the machine's Ignition config, as JSON.

use axum::extract::{RawQuery, State};

use super::App;
use super::answer::Answer;
use crate::catalog::Labels;
use crate::catalog::snapshot::Folder;

/// Renders the file that the machine's spec names.
pub(crate) async fn handle(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let labels = Labels::from_query(&query);
    match app
        .catalog
        .snapshot()
        .config(Folder::Ignition, &labels, &query)
    {
        Ok(config) => {
            let detail = format!("ignition/{}", config.file);
            Answer::ok("application/json", config.text, detail).group(Some(config.group))
        }
        Err(refusal) => Answer::refused(&refusal),
    }
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
