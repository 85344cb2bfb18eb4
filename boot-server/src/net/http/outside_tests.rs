//! Tests of responses to clients on other hosts, and of files as firmware requests them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use boot_server_events::BootEvent;
use tower::ServiceExt;

use super::answer::FromThisHost;
use super::testing::{get_from, get_with};
use crate::catalog::data_dir::{DataDir, Source};
use crate::config::Explain;
use crate::event_sink::EventSink;
use crate::net::neighbours::Neighbours;

const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

/// Status and body, and what the event says.
async fn ask(explain: Explain, is_this_host: bool, path: &str) -> (u16, String, String) {
    let rack = tempfile::tempdir().unwrap();
    let config = format!(
        "api_version: v1alpha1\ngroups:\n  - name: one\n    spec: s\n    require: \
         {{region: okla, uuid: {UUID}}}\n"
    );
    std::fs::create_dir_all(rack.path().join("specs/s")).unwrap();
    std::fs::write(rack.path().join("config.yaml"), config).unwrap();
    std::fs::write(rack.path().join("specs/s/spec.json"), r#"{"id":"s"}"#).unwrap();
    let assets = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", assets.path().join("link")).unwrap();
    let (catalog, _) = DataDir::open(Source::of(rack.path()), None).unwrap();
    let (sink, mut events) = EventSink::channel();
    let router = super::explaining_router(
        Arc::new(catalog),
        super::Folders {
            assets: Some(assets.path().to_owned().into()),
            images: None,
        },
        Neighbours::default(),
        sink,
        None,
        explain,
    );
    let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let peer = SocketAddr::from(([10, 0, 0, 66], 1024));
    request.extensions_mut().insert(ConnectInfo(peer));
    if is_this_host {
        request.extensions_mut().insert(FromThisHost);
    }
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let BootEvent::HttpRequest { detail, .. } = events.recv().await.unwrap().what else {
        panic!("another event")
    };
    let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
    (status, body, detail.text().to_owned())
}

/// A region matches the group nearly, so that the reason names what it requires; then the group matches and gives
/// nothing.
const PATHS: [&str; 6] = [
    "/cloud?region=okla",
    "/ipxe?region=okla",
    "/ignition?region=okla&uuid=16e7d8a7-bfa9-428b-9117-363341bb330b",
    "/assets/link",
    "/assets/none",
    "/spec/none",
];

#[tokio::test]
async fn client_elsewhere_gets_a_short_reason_and_the_event_has_the_long_one() {
    for explain in [Explain::Local, Explain::Off] {
        for path in PATHS {
            let (status, body, detail) = ask(explain, false, path).await;
            assert_ne!(status, 200, "{path}");
            assert_ne!(body.lines().nth(1), Some(detail.as_str()), "{path}");
            for secret in [UUID, "closest", "links_to", "os error", "spec.json"] {
                assert!(!body.contains(secret), "{path}: {body}");
            }
        }
        let (status, body, _) = ask(explain, false, "/explain?format=json").await;
        assert_eq!(status, 403);
        assert!(!body.contains(UUID), "{body}");
    }
}

#[tokio::test]
async fn this_host_and_with_all_everybody_gets_the_long_reason() {
    for (explain, is_this_host) in [(Explain::Local, true), (Explain::All, false)] {
        for path in PATHS {
            let (status, body, detail) = ask(explain, is_this_host, path).await;
            assert_ne!(status, 200, "{path}");
            assert_eq!(body.lines().nth(1), Some(detail.as_str()), "{path}");
        }
        let (status, body, _) = ask(explain, is_this_host, "/explain?format=json").await;
        assert_eq!(status, 200);
        assert!(body.contains(UUID), "{body}");
    }
    let (status, ..) = ask(Explain::Off, true, "/explain").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn file_with_doubled_slashes_is_served_without_a_redirect() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::create_dir(assets.path().join("efi")).unwrap();
    std::fs::write(assets.path().join("efi/grubx64.efi"), "grub").unwrap();
    for path in [
        "/assets//efi/grubx64.efi",
        "/assets/efi//grubx64.efi",
        "/assets///efi//grubx64.efi",
    ] {
        let answer = get_from(assets.path(), path).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "grub"),
            "{path}"
        );
    }
    // Dots are for the client to take out, as with the references.
    let dots = get_from(assets.path(), "/assets/efi/../efi/grubx64.efi").await;
    assert_eq!(dots.status, 301);
}

#[tokio::test]
async fn range_of_another_state_of_the_file_is_answered_with_all_of_it() {
    let path = "/assets/readme.txt";
    let whole = get_with(path, &[]).await;
    let date = whole.headers["last-modified"].to_str().unwrap().to_owned();
    let range = ("range", "bytes=0-1");
    let same = get_with(path, &[range, ("if-range", &date)]).await;
    assert_eq!((same.status, same.body.len()), (206, 2));
    for other in ["Sun, 06 Nov 1994 08:49:37 GMT", "\"tag\"", "nonsense"] {
        let answer = get_with(path, &[range, ("if-range", other)]).await;
        assert_eq!((answer.status, &answer.body), (200, &whole.body), "{other}");
    }
    let since = [("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(get_with(path, &since).await.status, 412);
}
