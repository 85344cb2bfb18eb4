//! `/nbp/<file>`: boot programs for UEFI firmware that boots over HTTP (UEFI 2.10, section 24.7), from
//! the folders that TFTP serves.
//!
//! The firmware asks for the size first (HEAD), needs an exact `Content-Length` and a content type that
//! says it is a program, and follows no redirect.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use boot_server_proto::tftp::ErrorCode;

use super::answer::Answer;
use super::assets::contents;
use super::grub_folder;
use super::observe;
use super::range::Part;
use crate::config::Explain;
use crate::net::files::Nbps;

/// Returns the endpoint, to be merged with the others.
pub(in crate::net) fn router(nbps: Nbps, explain: Explain) -> Router {
    let observer = observe::Observer {
        neighbours: nbps.context.neighbours.clone(),
        events: nbps.context.events.clone(),
        explain,
    };
    Router::new()
        .route("/nbp/{*name}", any(handle))
        .route("/grub/{*name}", any(grub_folder::handle))
        .layer(from_fn_with_state(Arc::new(observer), observe::observe))
        .with_state(Arc::new(nbps))
}

async fn handle(
    State(nbps): State<Arc<Nbps>>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let (file, metadata) = match nbps.open(&name) {
        Ok(opened) => opened,
        Err(refusal) => {
            let reason = format!("NBP `{name}`: {refusal}");
            return match refusal.code {
                ErrorCode::FileNotFound => Answer::explained(
                    StatusCode::NOT_FOUND,
                    "404 page not found",
                    "no such file",
                    &reason,
                ),
                _ => Answer::explained(
                    StatusCode::FORBIDDEN,
                    "403 Forbidden",
                    "not served",
                    &reason,
                ),
            };
        }
    };
    let content_type = match name.ends_with(".efi") {
        true => "application/efi",
        false => "application/octet-stream",
    };
    let body = match *request.method() {
        Method::HEAD => Body::empty(),
        _ => {
            fetched(&nbps, &name, &request);
            let file = tokio::fs::File::from_std(file);
            let queue = request.extensions().get();
            match contents(file, &metadata, Part::Whole, queue).await {
                Ok(body) => body,
                Err(error) => {
                    let reason = format!("NBP `{name}`: {error}");
                    let (status, line) = (
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "500 Internal Server Error",
                    );
                    return Answer::explained(status, line, "see the server's log", &reason);
                }
            }
        }
    };
    let answer = Answer::ok(content_type, body, format!("NBP {name}"));
    answer.header(header::CONTENT_LENGTH, HeaderValue::from(metadata.len()))
}

/// An iPXE that asks next was sent by us.
fn fetched(nbps: &Nbps, name: &str, request: &Request) {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|info| info.0.ip().to_canonical());
    if let Some(std::net::IpAddr::V4(address)) = peer {
        let neighbour = nbps.context.neighbours.lookup(address);
        let (mac, now) = (neighbour.map(|n| n.mac), std::time::Instant::now());
        nbps.context.policy().file_fetched(mac, name, now);
    }
}

#[cfg(test)]
mod tests {
    use boot_server_proto::dhcp::{Message, MessageType, code};
    use boot_server_proto::mac::MacAddr;
    use tower::ServiceExt;
    use uuid::Uuid;

    use super::*;
    use crate::config::BootConfig;
    use crate::event_sink::EventSink;
    use crate::net::context::Context;
    use crate::net::interface::Interface;
    use crate::net::neighbours::Neighbours;
    use crate::policy::{BootAction, Loader, Policy, classify};

    const PEER: [u8; 4] = [127, 0, 0, 9];
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn context() -> Arc<Context> {
        let interface = Interface::find("lo", None).unwrap();
        let boot = BootConfig {
            chainload_ipxe: true,
            efi_x64_nbp: "boot/x.efi".into(),
            ..BootConfig::default()
        };
        let policy = Policy::boot(interface.address, boot, Some("http://x/s".into()));
        let neighbours = Neighbours::default();
        neighbours.learn(PEER.into(), MAC, None::<Uuid>);
        Context::new(interface, neighbours, EventSink::channel().0, policy)
    }

    async fn ask(
        context: &Arc<Context>,
        method: Method,
        path: &str,
    ) -> (u16, Vec<String>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("boot")).unwrap();
        std::fs::write(folder.path().join("boot/x.efi"), "program").unwrap();
        let nbps = Nbps::new(Arc::clone(context), &[folder.path().to_owned()], None, None);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let peer = SocketAddr::from((PEER, 1024));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = router(nbps, Explain::Local).oneshot(request).await.unwrap();
        let header = |name| match response.headers().get(name) {
            Some(value) => value.to_str().unwrap().to_owned(),
            None => String::new(),
        };
        let headers = vec![header("content-type"), header("content-length")];
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1000).await;
        (status, headers, body.unwrap().to_vec())
    }

    /// True if an iPXE that the server sent gets its script, and not an NBP first.
    fn is_chained(context: &Context) -> bool {
        let mut discover = Message::from_client(MessageType::Discover, MAC, 1);
        discover.options.set(code::CLIENT_ARCH, [0, 7]);
        discover.options.set(code::USER_CLASS, *b"iPXE");
        let client = classify(&discover).unwrap();
        assert_eq!(client.loader, Loader::Ipxe);
        let now = std::time::Instant::now();
        let step = context.policy().decide(&client, 1, now);
        matches!(step.action, BootAction::Script(_))
    }

    #[tokio::test]
    async fn a_program_has_its_type_and_exact_length_and_a_question_for_it_no_body() {
        let context = context();
        let (status, headers, body) = ask(&context, Method::HEAD, "/nbp/boot/x.efi").await;
        assert_eq!((status, body.len()), (200, 0));
        assert_eq!(headers, ["application/efi", "7"]);
        assert!(!is_chained(&context), "it has asked for the size only");
        let (status, headers, body) = ask(&context, Method::GET, "/nbp/boot/x.efi").await;
        assert_eq!((status, body.as_slice()), (200, &b"program"[..]));
        assert_eq!(headers, ["application/efi", "7"]);
        assert!(is_chained(&context), "the iPXE that follows is ours");
    }

    #[tokio::test]
    async fn what_is_not_below_the_folders_is_refused() {
        let context = context();
        for (path, status) in [
            ("/nbp/nosuch.efi", 404),
            ("/nbp//boot//x.efi", 200),
            ("/nbp///boot/x.efi", 200),
            ("/nbp/boot", 404),
            ("/nbp/..%2fsecret", 403),
            ("/nbp/%2fetc%2fpasswd", 404),
        ] {
            assert_eq!(ask(&context, Method::GET, path).await.0, status, "{path}");
        }
    }
}
