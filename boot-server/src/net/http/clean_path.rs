//! Redirects `//`, `.` and `..` in paths to the clean path, as Go's mux does.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Answer;

/// Middleware around all endpoints of the boot config service.
pub(crate) async fn clean_path(mut request: Request, next: Next) -> Response {
    let path = decode(request.uri().path());
    let clean = clean(&path);
    if clean == path {
        return next.run(request).await;
    }
    if is_doubled(&path, &clean)
        && let Some(request) = with_path(&mut request, &clean)
    {
        return next.run(request).await;
    }
    redirect(&clean, request.uri().query(), request.method()).into_response()
}

/// True for a file whose path only has slashes too many: firmware that asks for files follows no redirect, and shim
/// doubles the slash before the name of its second stage (rhboot/shim#436).
fn is_doubled(path: &str, clean: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let is_file = ["/assets/", "/images/"]
        .iter()
        .any(|folder| path.starts_with(folder));
    is_file && parts(path) == parts(clean)
}

/// Returns the request with another path; `None` when that is not written as one.
fn with_path(request: &mut Request, path: &str) -> Option<Request> {
    let target = match request.uri().query() {
        Some(query) => format!("{}?{query}", encode(path)),
        None => encode(path),
    };
    *request.uri_mut() = target.parse().ok()?;
    Some(std::mem::take(request))
}

/// 301 with Go's body, which only GET gets.
pub(crate) fn redirect(path: &str, query: Option<&str>, method: &Method) -> Answer {
    let mut location = encode(path);
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let body = match *method == Method::GET {
        true => format!("<a href=\"{}\">Moved Permanently</a>.\n\n", html(&location)),
        false => String::new(),
    };
    let detail = format!("moved to {location}");
    let value = HeaderValue::from_str(&location);
    let status = StatusCode::MOVED_PERMANENTLY;
    let answer = Answer::new(status, "text/html; charset=utf-8", body, detail);
    match value {
        Ok(value) => answer.header(header::LOCATION, value),
        Err(_) => Answer::not_found("the path cannot be written as a location"),
    }
}

/// Decodes `%41`; an incomplete escape stays as it is.
pub(crate) fn decode(path: &str) -> String {
    percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .into_owned()
}

/// Escapes the characters that are not allowed in a path.
pub(crate) fn encode(path: &str) -> String {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b',')
        .remove(b':')
        .remove(b';')
        .remove(b'=')
        .remove(b'@');
    percent_encoding::utf8_percent_encode(path, &KEPT).to_string()
}

/// Escapes text for HTML as Go's `html.EscapeString` does.
pub(crate) fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let end = match path.ends_with('/') && !parts.is_empty() {
        true => "/",
        false => "",
    };
    format!("/{}{end}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, cleaned) in [
            ("/", "/"),
            ("/a/", "/a/"),
            ("/a//b", "/a/b"),
            ("/a/../../b/.", "/b"),
            ("/assets/../", "/"),
            ("", "/"),
        ] {
            assert_eq!(super::clean(path), cleaned, "{path}");
        }
    }
}
