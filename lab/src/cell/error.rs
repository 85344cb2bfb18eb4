//! Error of an attempt.

use std::io;
use std::path::PathBuf;

use lab_model::evidence::saved::SavedError;
use thiserror::Error;

use super::custom::CustomServiceError;
use super::fault::FaultError;
use super::manifest::ManifestError;
use super::programs::ProgramError;
use super::server_change::ServerChangeError;
use super::services::ServiceError;
use crate::capture::CaptureFault;
use crate::hypervisor::HypervisorError;

/// Error of the lab's own set-up or of the connection to the lab; the tested machines are not to blame.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// The job cannot be parsed.
    #[error("malformed job on standard input: {0}")]
    Job(#[source] serde_json::Error),
    /// A command of the lab cannot be parsed.
    #[error(transparent)]
    Command(serde_json::Error),
    /// The end of the worker's input.
    #[error("the lab is gone")]
    LabGone,
    /// The scenario is invalid.
    #[error("{0:?}")]
    Scenario(miette::Report),
    /// libvirt refused an object.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
    /// A service cannot be started.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A service of the user cannot be started.
    #[error(transparent)]
    Custom(#[from] CustomServiceError),
    /// A service ended too early for any machine to use it.
    #[error("{service} ended before the first machine started: {detail}")]
    ServiceEnded { service: String, detail: String },
    /// The site's configuration of the boot server is invalid.
    #[error("{}: {source}", path.display())]
    SiteConfig {
        path: PathBuf,
        source: toml::de::Error,
    },
    /// A fault makes the boot server's configuration invalid.
    #[error(transparent)]
    ServerChange(#[from] ServerChangeError),
    /// A fault cannot be injected.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A router cannot be started.
    #[error("cannot start router {name}: {source}")]
    Router { name: String, source: io::Error },
    /// The host's own libvirt has only one network for a run.
    #[error("several networks are unsupported on the host's libvirt (`--connect`); run without it")]
    NetworksOnHost,
    /// A file cannot be mounted below the assets.
    #[error("cannot serve {} as an asset: {source}", path.display())]
    Asset { path: PathBuf, source: io::Error },
    /// A program of the scenario cannot be made.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A served file cannot be hashed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The capture failed.
    #[error(transparent)]
    Capture(#[from] CaptureFault),
    /// The capture of a machine's port cannot be saved.
    #[error("cannot write {}: {source}", path.display())]
    Port { path: PathBuf, source: io::Error },
    /// A file cannot be read, or a socket cannot be created.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The file of records cannot be created.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The task of a machine panicked.
    #[error("the task of a node failed: {0}")]
    Task(#[source] tokio::task::JoinError),
    /// A file cannot be written, or the lab's commands cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}
