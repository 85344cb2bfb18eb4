//! Download of bytes: interrupted downloads resume, temporary failures are retried a limited number of times.
//! `verify` judges the bytes.
//!
//! Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), certificate authorities
//! those of this host (`SSL_CERT_FILE` and `SSL_CERT_DIR` are supported).

mod download;
pub mod partial;
mod retry;
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use retry::Pauses;

/// Retry limit and timeouts of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Maximum number of attempts, at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; each later one is twice as long.
    pub first_pause: Duration,
    /// Timeout of connecting.
    pub connect: Duration,
    /// Timeout between two received chunks.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            attempts: 6,
            first_pause: Duration::from_secs(1),
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
        }
    }
}

/// Progress of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// Progress: bytes received, and the total.
    Bytes {
        /// Bytes on disk.
        have: u64,
        /// All of them, where the server says so.
        total: Option<u64>,
    },
    /// The attempt failed and is repeated.
    Again {
        /// Reason for the failure, in one sentence.
        why: &'a str,
        /// After this pause.
        pause: Duration,
    },
}

/// Reasons that a file was not fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The server says no.
    #[error("{url}: the server answers {status}")]
    Status {
        /// URL of the request.
        url: String,
        /// Status of the answer, e.g. `404 Not Found`.
        status: String,
    },
    /// All attempts failed.
    #[error(
        "{url}: gave up after {attempts} attempts with {have} bytes fetched; last error: {why}"
    )]
    GaveUp {
        /// URL of the request.
        url: String,
        /// Number of attempts made.
        attempts: u32,
        /// Number of bytes received; the next fetch resumes from here.
        have: u64,
        /// Error of the last attempt.
        why: String,
    },
    /// More than can be right.
    #[error("{url}: response too large (limit {limit_bytes} bytes)")]
    TooLong {
        /// URL of the request.
        url: String,
        /// Size limit, in bytes.
        limit_bytes: usize,
    },
    /// A file of our own.
    #[error("{path}: {source}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The failure of another download ended this one.
    #[error("{url}: stopped because another file cannot be fetched")]
    Stopped {
        /// URL of the request.
        url: String,
    },
    /// No client could be made.
    #[error("cannot create an HTTP client: {0}")]
    Client(String),
}

impl FetchError {
    /// True if the server answered that the file does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, FetchError::Status { status, .. } if status.starts_with("404"))
    }
}

/// An HTTP client; one for each thread.
#[derive(Debug)]
pub struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    patience: Patience,
}

impl Client {
    /// Creates a client.
    ///
    /// # Errors
    /// [`FetchError::Client`].
    pub fn new(patience: Patience) -> Result<Client, FetchError> {
        let setup = |error: &dyn std::error::Error| FetchError::Client(retry::chain(error));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| setup(&error))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::client().map_err(|error| setup(&error))?)
            .connect_timeout(patience.connect)
            .read_timeout(patience.silence)
            .user_agent(concat!("bootlab/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Client {
            runtime,
            http,
            patience,
        })
    }

    /// Something short, whole.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn short(
        &self,
        url: &str,
        limit_bytes: usize,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<Vec<u8>, FetchError> {
        let mut pauses = Pauses::new(&self.patience);
        loop {
            let attempt = download::short(&self.http, url, limit_bytes);
            match self.runtime.block_on(attempt) {
                Ok(bytes) => return Ok(bytes),
                Err(fault) => {
                    let (why, pause) = pauses.after(fault, url, 0)?;
                    tell(Step::Again { why: &why, pause });
                    std::thread::sleep(pause);
                }
            }
        }
    }

    /// Something short, whole; `None` when the server has no such file.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn short_if_there(
        &self,
        url: &str,
        limit_bytes: usize,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<Option<Vec<u8>>, FetchError> {
        match self.short(url, limit_bytes, tell) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Downloads the file at `url` into `partial`, from where that ends; `tell` hears the progress and decides
    /// if the download continues.
    ///
    /// # Errors
    /// [`FetchError`]. What has come stays in `partial`, unless it could not be written.
    pub fn download(
        &self,
        url: &str,
        partial: &mut partial::Partial,
        tell: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<(), FetchError> {
        let mut pauses = Pauses::new(&self.patience);
        loop {
            let attempt = download::go_on(&self.http, url, partial, tell);
            match self.runtime.block_on(attempt) {
                Ok(()) => return Ok(()),
                Err(fault) => {
                    let (why, pause) = pauses.after(fault, url, partial.len())?;
                    if !tell(Step::Again { why: &why, pause }) {
                        return Err(FetchError::Stopped {
                            url: url.to_owned(),
                        });
                    }
                    std::thread::sleep(pause);
                }
            }
        }
    }
}
