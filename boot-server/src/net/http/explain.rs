//! `/explain?labels`: why a machine gets what it gets, as text, or as JSON for those who ask for it.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::any;
use tokio::sync::Semaphore;

use super::App;
use super::answer::{Answer, MayKnow, TEXT};
use crate::catalog::Labels;
use crate::catalog::data_dir::DataDir;
use crate::catalog::explain::explain;

/// Returns the endpoint alone, for the operator's own listener.
pub(crate) fn router(catalog: Arc<DataDir>) -> Router {
    let app = App {
        catalog,
        assets: None,
        images: None,
        slow_renders: Arc::new(Semaphore::new(super::machine::MOST_SLOW_RENDERS)),
    };
    Router::new()
        .route("/explain", any(handle))
        .with_state(Arc::new(app))
}

/// Always 200: that a machine is refused is the answer, not an error. `format=json` and
/// `format=text` are no labels here.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    may_know: Option<Extension<MayKnow>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    if let Some(Extension(MayKnow(false))) = may_know {
        let reason = "available only from this host and at the address of [metrics] (http.explain)";
        return Answer::error(StatusCode::FORBIDDEN, "403 Forbidden", Some(reason), reason);
    }
    let query = query.unwrap_or_default();
    let format = |pair: &&str| matches!(*pair, "format=json" | "format=text");
    let (formats, pairs): (Vec<&str>, Vec<&str>) = query.split('&').partition(format);
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let json = match formats.first() {
        Some(asked) => *asked == "format=json",
        None => accept.is_some_and(|accept| accept.contains("application/json")),
    };
    let query = pairs.join("&");
    let labels = Labels::from_query(&query);
    let explanation = explain(&app.catalog.snapshot(), &labels, &query);
    if !json {
        return Answer::rendered(TEXT, explanation.to_string(), "explanation");
    }
    match serde_json::to_string_pretty(&explanation) {
        Ok(text) => Answer::rendered("application/json", text + "\n", "explanation"),
        Err(error) => Answer::not_found(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::{get, get_with};

    #[tokio::test]
    async fn text_is_for_people_and_json_for_those_who_ask() {
        let text = get("/explain?mac=52-54-00-89-D8-10").await;
        assert!(
            text.body
                .starts_with("labels:\n  mac=52:54:00:89:d8:10\ngroup `by-mac`"),
            "{}",
            text.body
        );
        let asked = get("/explain?mac=52-54-00-89-D8-10&format=json").await;
        let accepted = get_with(
            "/explain?mac=52-54-00-89-D8-10",
            &[("accept", "application/json")],
        )
        .await;
        assert_eq!(asked.body, accepted.body);
        let json: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(json["chosen"]["group"], "by-mac");
        assert_eq!(
            json["labels"],
            serde_json::json!({"mac": "52:54:00:89:d8:10"})
        );
    }
}
