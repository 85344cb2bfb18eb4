//! `/_/file?name=…`: a file that the API named, fetched from its server and handed on.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Method, StatusCode, header};

use super::{App, error, first};
use crate::net::http::answer::Answer;

/// With the `Content-Type` and the `Content-Length` where its server tells one: without it iPXE grows its buffer step by
/// step and crawls.
pub(super) async fn handle(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    method: Method,
) -> Answer {
    const FAILED: &str = "couldn't get file";
    let Some(name) = first(&query.unwrap_or_default(), "name").filter(|name| !name.is_empty())
    else {
        return error(StatusCode::BAD_REQUEST, "missing filename", Some(FAILED));
    };
    let failed = |reason: String| error(StatusCode::INTERNAL_SERVER_ERROR, FAILED, Some(&reason));
    let url = match app.sealer.open(&name) {
        Ok(url) => url,
        Err(error) => return failed(error.to_string()),
    };
    let response = match app.api.fetch(&url).await {
        Ok(response) => response,
        Err(error) => return failed(error.to_string()),
    };
    let kept = [header::CONTENT_TYPE, header::CONTENT_LENGTH];
    let headers = kept.map(|name| (response.headers().get(&name).cloned(), name));
    let body = match method == Method::HEAD {
        true => Body::empty(),
        false => Body::from_stream(response.bytes_stream()),
    };
    let answer = Answer::ok("application/octet-stream", body, format!("file {url}"));
    headers
        .into_iter()
        .fold(answer, |answer, (value, name)| match value {
            Some(value) => answer.header(name, value),
            None => answer,
        })
}
