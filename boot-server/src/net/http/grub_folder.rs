//! `/grub/<file>`: the menu of a GRUB that was loaded by HTTP, for the machine with the client's address, as TFTP serves it.
//!
//! GRUB 2.12 of Debian 13 asks through the firmware's HTTP client, for the size first (HEAD). It asks for lists of modules,
//! too, and continues without them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};

use super::answer::{Answer, TEXT};
use super::assets::contents;
use super::range::Part;
use super::sendfile::FileQueue;
use crate::net::files::{Content, Nbps, Opened, Refusal};

pub(super) async fn handle(
    State(nbps): State<Arc<Nbps>>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let opened = match peer {
        Some(peer) => nbps.open_for_grub(&name, peer.0),
        None => return Answer::not_found("unknown client"),
    };
    let Opened {
        content,
        group,
        selectors,
    } = match opened {
        Ok(opened) => opened,
        Err(Refusal { reason, .. }) => {
            let line = "404 page not found";
            return Answer::explained(StatusCode::NOT_FOUND, line, "no such file", &reason);
        }
    };
    let is_head = *request.method() == Method::HEAD;
    let (length, answer) = match content {
        Content::Text(text) => {
            let length = text.len() as u64;
            let answer = match is_head {
                true => Answer::ok(TEXT, Body::empty(), "GRUB"),
                false => Answer::rendered(TEXT, text, "GRUB"),
            };
            (length, answer)
        }
        Content::File(file, _) => {
            let queue = request.extensions().get();
            match of_file(file, is_head, queue).await {
                Ok((length, body)) => (length, Answer::ok(TEXT, body, "GRUB")),
                Err(error) => {
                    let (status, line) = (
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "500 Internal Server Error",
                    );
                    let reason = format!("grub/{name}: {error}");
                    return Answer::explained(status, line, "see the server's log", &reason);
                }
            }
        }
    };
    let answer = answer.header(header::CONTENT_LENGTH, HeaderValue::from(length));
    match (group, selectors) {
        (Some(group), Some(selectors)) => answer.group(group, selectors),
        _ => answer,
    }
}

/// Returns length and content of a file; no content for a client that asks for the length.
async fn of_file(
    file: std::fs::File,
    is_head: bool,
    queue: Option<&FileQueue>,
) -> io::Result<(u64, Body)> {
    let metadata = file.metadata()?;
    let body = match is_head {
        true => Body::empty(),
        false => {
            let file = tokio::fs::File::from_std(file);
            contents(file, &metadata, Part::Whole, queue).await?
        }
    };
    Ok((metadata.len(), body))
}

#[cfg(test)]
mod tests {
    use boot_server_proto::mac::MacAddr;
    use tower::ServiceExt;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::snapshot::Refusal;
    use crate::catalog::{BootCatalog, BootSettings, Labels, Selection};
    use crate::config::{BootConfig, Explain};
    use crate::event_sink::EventSink;
    use crate::net::context::Context;
    use crate::net::interface::Interface;
    use crate::net::neighbours::Neighbours;
    use crate::policy::Policy;

    const KNOWN: [u8; 4] = [127, 0, 0, 9];

    /// Boots the machine with a MAC.
    #[derive(Debug)]
    struct Known;

    impl BootCatalog for Known {
        fn select(&self, labels: &Labels) -> Result<Selection, Refusal> {
            let mac = labels.0.get("mac");
            let mac = mac.ok_or_else(|| Refusal::without_group("no group matches"))?;
            Ok(Selection {
                group: "known".into(),
                require: [("mac", mac)].into_iter().collect(),
                spec_id: "spec".into(),
                boot: Some(Arc::new(BootSettings {
                    kernel: "http://10.0.0.1/assets/vmlinuz".into(),
                    initrd: Vec::new(),
                    options: Vec::new(),
                })),
            })
        }
    }

    /// Returns status, length and text of an answer.
    async fn ask(method: Method, path: &str, address: [u8; 4]) -> (u16, String, String) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("grub")).unwrap();
        std::fs::write(root.path().join("grub/own.cfg"), "own").unwrap();
        let interface = Interface::find("lo", None).unwrap();
        let neighbours = Neighbours::default();
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        neighbours.learn(KNOWN.into(), mac, None::<Uuid>);
        let policy = Policy::boot(interface.address, BootConfig::default(), None);
        let context = Context::new(interface, neighbours, EventSink::channel().0, policy);
        let url = Some("http://10.0.0.1/assets/".to_owned());
        let roots = [root.path().to_owned()];
        let nbps = Nbps::new(context, &roots, url, Some(Arc::new(Known)));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let peer = SocketAddr::from((address, 1024));
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = super::super::nbp::router(nbps, Explain::Local);
        let response = router.oneshot(request).await.unwrap();
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length
            .map_or("", |length| length.to_str().unwrap())
            .to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await;
        let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
        (status, length, body)
    }

    #[tokio::test]
    async fn handle_serves_the_menu_of_the_machine_with_the_address() {
        let (status, length, menu) = ask(Method::GET, "/grub/grub.cfg", KNOWN).await;
        assert_eq!(status, 200);
        assert!(menu.contains("linuxefi \"/assets/vmlinuz\""), "{menu}");
        let (status, asked, nothing) = ask(Method::HEAD, "/grub/grub.cfg", KNOWN).await;
        assert_eq!((status, asked, nothing.as_str()), (200, length, ""));
        let (status, length, text) = ask(Method::GET, "/grub/own.cfg", KNOWN).await;
        assert_eq!((status, length.as_str(), text.as_str()), (200, "3", "own"));
    }

    #[tokio::test]
    async fn handle_has_no_menu_for_strangers_and_no_other_files() {
        for (path, address) in [
            ("/grub/grub.cfg", [127, 0, 0, 8]),
            ("/grub/x86_64-efi/fs.lst", KNOWN),
            ("/grub/..%2fown.cfg", KNOWN),
        ] {
            assert_eq!(ask(Method::GET, path, address).await.0, 404, "{path}");
        }
    }
}
