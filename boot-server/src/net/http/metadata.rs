//! `/metadata?labels`: the group's metadata and the request's labels, as environment lines.

use std::sync::Arc;

use axum::extract::{RawQuery, State};

use super::App;
use super::answer::Answer;
use crate::catalog::Labels;

/// Returns the lines `KEY=value`, sorted by key; where metadata and a label share a name, the label comes last,
/// so that it counts in an environment file, as in the reference.
pub(crate) async fn handle(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let labels = Labels::from_query(&query);
    let snapshot = app.catalog.snapshot();
    let group = match snapshot.group(&labels) {
        Ok(group) => group,
        Err(refusal) => return Answer::refused(&refusal),
    };
    let text = snapshot.environment(group, &labels, &query);
    // "plain/text" is the reference's own word for it.
    Answer::rendered("plain/text", text, "metadata")
        .group(group.name.to_string(), group.require.keys())
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get;

    #[tokio::test]
    async fn lines_are_sorted_and_labels_follow_metadata_of_their_name() {
        let uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b";
        let answer = get(&format!("/metadata?uuid={uuid}&hostname=other")).await;
        assert_eq!(
            answer.body,
            format!(
                "ETCD_NAME=one\nFLEET=role=etcd,name=node1\nHOSTNAME=node1\nHOSTNAME=other\n\
                 UUID={uuid}\n"
            )
        );
    }
}
