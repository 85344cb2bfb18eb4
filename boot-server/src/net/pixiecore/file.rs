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
    let fetched = match app.api.fetch(&url).await {
        Ok(fetched) => fetched,
        Err(error) => return failed(error.to_string()),
    };
    let body = match method == Method::HEAD {
        true => Body::empty(),
        false => fetched.body,
    };
    let mut answer = Answer::ok("application/octet-stream", body, format!("file {url}"));
    if let Some(content_type) = fetched.content_type {
        answer = answer.header(header::CONTENT_TYPE, content_type);
    }
    match fetched.length {
        Some(length) => answer.header(header::CONTENT_LENGTH, length.into()),
        None => answer,
    }
}
