//! `/generic?labels`: any text that the machine's profile names, with the group's values.

use std::sync::Arc;

use axum::extract::{RawQuery, State};

use super::App;
use super::answer::{Answer, TEXT};
use crate::catalog::snapshot::Folder;

/// Renders the file that the machine's profile names.
pub(crate) async fn handle(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    app.config(Folder::Generic, query, |text, detail| {
        Answer::rendered(TEXT, text, detail)
    })
    .await
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get_matchbox;

    #[tokio::test]
    async fn a_value_that_a_group_lacks_is_told() {
        let answer = get_matchbox("/generic?hostname=h1").await;
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.body,
            "404 page not found\ngroup `host`: generic/gen.tmpl: template: map has no entry for \
             key \"domain_name\" at <.domain_name> (line 1)\n"
        );
    }
}
