//! `/generic?labels`: any text that the machine's profile names, with the group's values.

use axum::extract::{RawQuery, State};

use super::App;
use super::answer::{Answer, TEXT};
use crate::catalog::Labels;
use crate::catalog::snapshot::Folder;

/// Renders the file that the machine's profile names.
pub(crate) async fn handle(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let labels = Labels::from_query(&query);
    match app
        .catalog
        .snapshot()
        .config(Folder::Generic, &labels, &query)
    {
        Ok(config) => {
            let detail = format!("generic/{}", config.file);
            Answer::ok(TEXT, config.text, detail).group(Some(config.group))
        }
        Err(refusal) => Answer::refused(&refusal),
    }
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
             key: domain_name\n"
        );
    }
}
