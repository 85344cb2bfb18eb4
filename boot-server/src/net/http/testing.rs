//! Requests to the service over the conformance rack, without a socket, for tests of endpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use boot_server_events::BootEvent;
use tower::ServiceExt;

use crate::catalog::data_dir::{DataDir, Source};
use crate::event_sink::EventSink;
use crate::net::neighbours::Neighbours;

pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) event: BootEvent,
}

pub(crate) async fn get(path: &str) -> Answered {
    get_with(path, &[]).await
}

pub(crate) async fn get_matchbox(path: &str) -> Answered {
    ask("matchbox-rack", &conformance_assets(), path, &[]).await
}

pub(crate) async fn get_with(path: &str, headers: &[(&str, &str)]) -> Answered {
    ask("bootcfg-rack", &conformance_assets(), path, headers).await
}

/// With another assets folder.
pub(crate) async fn get_from(assets: &Path, path: &str) -> Answered {
    ask("bootcfg-rack", assets, path, &[]).await
}

/// With another data directory.
pub(crate) async fn get_of(data: &Path, path: &str) -> Answered {
    ask(data, &conformance_assets(), path, &[]).await
}

fn conformance_assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http/assets")
}

async fn ask(
    rack: impl AsRef<Path>,
    assets: &Path,
    path: &str,
    headers: &[(&str, &str)],
) -> Answered {
    let racks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http");
    let (catalog, _) = DataDir::open(Source::of(racks.join(rack)), None).unwrap();
    let (sink, mut events) = EventSink::channel();
    let router = super::router(
        Arc::new(catalog),
        Some(assets.to_owned()),
        Neighbours::default(),
        sink,
    );
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answered {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        event: events.recv().await.unwrap().what,
    }
}
