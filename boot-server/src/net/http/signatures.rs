//! `/NAME.asc` and `/NAME.sig`: the signature of what `/NAME` answers to the same request.
//!
//! What is signed is the answer as it would be sent at this moment, whole. Errors are answered as
//! they are, so that their reason can be read.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tower::ServiceExt;

use super::answer::{Answer, Note, TEXT};
use super::signer::{Form, Signer};

/// Endpoints whose answers are signed: those of bootcfg 0.2 and matchbox.
const SIGNED: [&str; 8] = [
    "/boot.ipxe",
    "/boot.ipxe.0",
    "/ipxe",
    "/grub",
    "/cloud",
    "/ignition",
    "/generic",
    "/metadata",
];
/// Signature path of Pixiecore, where the extension precedes the machine.
const PIXIECORE: &str = "/pixiecore/v1/boot";
/// The longest answer that is signed.
const MAX_BYTES: usize = 64 << 20;

/// Adds the signatures of these endpoints to them.
pub(super) fn with_signatures(endpoints: Router, signer: &Arc<Signer>) -> Router {
    let mut router = endpoints.clone();
    for (ending, form) in [(".asc", Form::Armored), (".sig", Form::Binary)] {
        let endpoints = endpoints.clone();
        let signer = Arc::clone(signer);
        let sign = any(move |request: Request| {
            signed(
                endpoints.clone(),
                Arc::clone(&signer),
                ending,
                form,
                request,
            )
        });
        for name in SIGNED {
            router = router.route(&format!("{name}{ending}"), sign.clone());
        }
        router = router.route(&format!("{PIXIECORE}{ending}/{{*mac}}"), sign);
    }
    router
}

async fn signed(
    endpoints: Router,
    signer: Arc<Signer>,
    ending: &'static str,
    form: Form,
    request: Request,
) -> Response {
    // The only place where the ending can be: after a name of ours.
    let path = request.uri().path().replacen(ending, "", 1);
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.clone(),
    };
    let Ok(target) = target.parse::<Uri>() else {
        return Answer::not_found("the path has no name before its ending").into_response();
    };
    let mut inner = Request::new(Body::empty());
    *inner.method_mut() = Method::GET;
    *inner.uri_mut() = target;
    *inner.headers_mut() = HeaderMap::new();
    let answered = match endpoints.oneshot(inner).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if answered.status() != StatusCode::OK {
        return answered;
    }
    let note = answered
        .extensions()
        .get::<Note>()
        .cloned()
        .unwrap_or_default();
    let body = axum::body::to_bytes(answered.into_body(), MAX_BYTES).await;
    let signature = match body {
        Ok(text) => tokio::task::spawn_blocking(move || signer.sign(&text, form)).await,
        Err(error) => return failed(&error.to_string()),
    };
    match signature {
        Ok(Ok(signature)) => {
            let content_type = match form {
                Form::Armored => TEXT,
                Form::Binary => "application/octet-stream",
            };
            let detail = format!("signature of {}", note.detail);
            let answer = Answer::rendered(content_type, signature, detail);
            match (note.group, note.selectors) {
                (Some(group), Some(selectors)) => answer.group(group, selectors),
                _ => answer,
            }
            .into_response()
        }
        Ok(Err(error)) => failed(&error.to_string()),
        Err(error) => failed(&error.to_string()),
    }
}

/// Worth another try, unlike a 404.
fn failed(reason: &str) -> Response {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let line = "500 cannot sign the response";
    Answer::explained(status, line, "see the server's log", reason).into_response()
}
