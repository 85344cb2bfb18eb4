//! `/spec/<id>`: a spec as JSON, for people and scripts.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};

use super::App;
use super::answer::Answer;
use crate::catalog::bootcfg::spec::Spec;
use crate::catalog::go_json;
use crate::catalog::snapshot::Layout;

/// Serves the spec as the server reads it. The only endpoint that checks the method.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    method: Method,
    Path(id): Path<String>,
) -> Answer {
    if method != Method::GET {
        let line = "only HTTP GET is supported";
        return Answer::error(StatusCode::METHOD_NOT_ALLOWED, line, None, line);
    }
    let snapshot = app.catalog.snapshot();
    if snapshot.layout == Layout::Matchbox {
        return Answer::not_found("matchbox has no /spec; see /explain");
    }
    let json = match snapshot.profile(&id) {
        Ok(profile) => {
            go_json::to_string(&Spec::from(&**profile)).map_err(|error| error.to_string())
        }
        Err(missing) => Err(missing.to_string()),
    };
    match json {
        Ok(json) => Answer::rendered("application/json", json, format!("spec {id}")),
        Err(reason) => Answer::explained(
            StatusCode::NOT_FOUND,
            "404 page not found",
            "no such spec",
            &reason,
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get;

    #[tokio::test]
    async fn a_spec_that_is_not_there_is_told() {
        let answer = get("/spec/missing").await;
        assert_eq!(answer.status, 404);
        assert!(
            answer.body.contains("specs/missing/spec.json"),
            "{}",
            answer.body
        );
    }
}
