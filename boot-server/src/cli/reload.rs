//! SIGHUP: reloads everything that can change while machines boot.
//!
//! These are the data directory, the certificate and the event file (for logrotate). Addresses, ports and
//! similar settings need a restart: their changes are reported, not applied.

use std::path::PathBuf;
use std::sync::Arc;

use boot_server_events::{BootEvent, ReloadOutcome};
use tracing::{error, info, warn};

use super::config_file;
use super::event_log::Reopen;
use crate::catalog::data_dir::DataDir;
use crate::config::Config;
use crate::event_sink::EventSink;
use crate::net::http::{Tls, TlsError};
use crate::net::rpc::MutualTls;

/// Configuration, data and certificates that a reload reads again.
pub(super) struct Reloader {
    pub(super) file: Option<PathBuf>,
    /// The configuration in force, as the file and the flags said it.
    pub(super) config: Config,
    pub(super) catalog: Option<Arc<DataDir>>,
    pub(super) tls: Option<Tls>,
    pub(super) rpc_tls: Option<MutualTls>,
    pub(super) event_file: Reopen,
    pub(super) events: EventSink,
}

impl Reloader {
    /// Reloads everything; a failed part keeps its last valid state, and the failure is reported.
    pub(super) fn reload(&self) {
        self.event_file.ask();
        // The directory is loaded once nobody is writing it. It tells the outcome itself, and keeps its last
        // good state.
        let loading = self
            .catalog
            .as_ref()
            .map(|catalog| (catalog, catalog.ask_for_reload()));
        if let Some((catalog, None)) = &loading {
            let _ = catalog.reload();
        }
        if let Some(tls) = &self.tls {
            self.tell("certificate and key", tls.reload());
        }
        if let Some(tls) = &self.rpc_tls {
            self.tell("certificate, key and authorities of gRPC", tls.reload());
        }
        if let Some(file) = &self.file {
            self.compare(file);
        }
        if let Some((_, Some(loaded))) = loading {
            // Nothing is ever sent: the other end is dropped when the directory is loaded.
            let _ = loaded.recv();
        }
    }

    /// Tells the outcome of reading certificates again.
    fn tell(&self, what: &str, reloaded: Result<(), TlsError>) {
        let result = match reloaded {
            Ok(()) => ReloadOutcome::InForce(what.to_owned()),
            Err(error) => ReloadOutcome::Refused(error.to_string()),
        };
        match &result {
            ReloadOutcome::InForce(what) => info!("reloaded: {what}"),
            ReloadOutcome::Refused(why) => error!("keeping the last valid certificate: {why}"),
        }
        self.events.emit(BootEvent::Reloaded { result });
    }

    /// Says what a restart would change.
    fn compare(&self, file: &std::path::Path) {
        match config_file::read(file) {
            Ok(config) if config == self.config => {}
            Ok(_) => warn!(
                "{} has changed: restart the server to apply addresses, ports, pools and paths",
                file.display()
            ),
            Err(problems) => {
                for problem in problems {
                    warn!("after a restart: {problem}");
                }
            }
        }
    }
}
