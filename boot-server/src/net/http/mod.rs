//! The HTTP boot config service: one file for each endpoint.
//!
//! Methods are not looked at, except by `/spec/`, and errors begin with the reference's own line:
//! existing clients and scripts see what they saw with bootcfg 0.2.0 and matchbox 0.9.0.

pub(crate) mod answer;
mod assets;
mod boot_ipxe;
mod clean_path;
mod cloud;
mod conditional;
pub(super) mod connections;
#[cfg(test)]
mod event_tests;
pub(crate) mod explain;
mod firmware_tls;
mod generic;
mod grub;
mod grub_folder;
mod ignition;
mod ipxe;
mod machine;
mod metadata;
pub(super) mod nbp;
mod nocloud;
pub(crate) mod observe;
pub(crate) mod operator;
#[cfg(test)]
mod outside_tests;
mod paced;
mod pixiecore;
mod range;
pub mod request_line;
mod root;
mod sendfile;
mod server;
mod signatures;
#[cfg(feature = "openpgp")]
mod signer;
#[cfg(not(feature = "openpgp"))]
#[path = "no_signer.rs"]
mod signer;

mod spec;
#[cfg(test)]
pub(crate) mod testing;
pub(super) mod tls;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use tokio::sync::Semaphore;

pub use server::{GRACE, HttpServer, Limits};
pub(super) use server::{HANDSHAKE_TIME, accept, drain, listen};
pub use signer::{Signer, SignerError};
pub use tls::{Tls, TlsError};
pub use workers::Workers;

use crate::catalog::data_dir::DataDir;
use crate::config::Explain;
use crate::event_sink::EventSink;
use crate::net::folder::Folder;
use crate::net::neighbours::Neighbours;

/// State shared by the endpoints.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) catalog: Arc<DataDir>,
    pub(crate) assets: Option<Arc<Folder>>,
    pub(crate) images: Option<Arc<Folder>>,
    /// Places for templates that take long.
    pub(crate) slow_renders: Arc<Semaphore>,
}

/// The folders that files are served from.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// The folder served as `/assets/`.
    pub assets: Option<Folder>,
    /// The folder served as `/images/`.
    pub images: Option<Folder>,
}

/// Returns all endpoints of the boot config service, without signatures.
pub fn router(
    catalog: Arc<DataDir>,
    assets: Option<impl Into<Folder>>,
    neighbours: Neighbours,
    events: EventSink,
) -> Router {
    signing_router(catalog, assets, neighbours, events, None)
}

/// Returns all endpoints of the boot config service, with signatures when there is a signer.
pub fn signing_router(
    catalog: Arc<DataDir>,
    assets: Option<impl Into<Folder>>,
    neighbours: Neighbours,
    events: EventSink,
    signer: Option<&Arc<Signer>>,
) -> Router {
    let folders = Folders {
        assets: assets.map(Into::into),
        images: None,
    };
    let explain = Explain::default();
    explaining_router(catalog, folders, neighbours, events, signer, explain)
}

/// Returns all endpoints of the boot config service with these folders, which send full reasons to the
/// permitted clients.
pub fn explaining_router(
    catalog: Arc<DataDir>,
    folders: Folders,
    neighbours: Neighbours,
    events: EventSink,
    signer: Option<&Arc<Signer>>,
    explain: Explain,
) -> Router {
    let (assets, images) = (folders.assets.map(Arc::new), folders.images.map(Arc::new));
    let operators = operator::router(Arc::clone(events.metrics()));
    let observer = observe::Observer {
        neighbours,
        events,
        explain,
    };
    let endpoints = Router::new()
        .route("/", any(root::handle))
        .route("/boot.ipxe", any(boot_ipxe::handle))
        .route("/boot.ipxe.0", any(boot_ipxe::handle))
        .route("/ipxe", any(ipxe::handle))
        .route("/grub", any(grub::handle))
        .route("/cloud", any(cloud::handle))
        .route("/ignition", any(ignition::handle))
        .route("/generic", any(generic::handle))
        .route("/metadata", any(metadata::handle))
        .route("/nocloud", any(nocloud::handle))
        .route("/nocloud/", any(nocloud::handle))
        .route("/nocloud/{*seed}", any(nocloud::handle))
        .route("/spec/{id}", any(spec::handle))
        .route("/explain", any(explain::handle))
        .route("/pixiecore/v1/boot/", any(pixiecore::handle_no_mac))
        .route("/pixiecore/v1/boot/{*mac}", any(pixiecore::handle))
        .route("/assets", any(add_slash))
        .route("/assets/", any(assets::handle))
        .route("/assets/{*path}", any(assets::handle))
        .route("/images", any(add_slash))
        .route("/images/", any(assets::handle_image))
        .route("/images/{*path}", any(assets::handle_image))
        .fallback(root::no_endpoint)
        .with_state(Arc::new(App {
            catalog,
            assets,
            images,
            slow_renders: Arc::new(Semaphore::new(machine::MOST_SLOW_RENDERS)),
        }));
    match signer {
        Some(signer) => signatures::with_signatures(endpoints, signer),
        None => endpoints,
    }
    .layer(from_fn(clean_path::clean_path))
    .layer(from_fn_with_state(Arc::new(observer), observe::observe))
    .merge(operators)
}

async fn add_slash(request: Request) -> answer::Answer {
    let path = format!("{}/", request.uri().path());
    clean_path::redirect(&path, request.uri().query(), request.method())
}
