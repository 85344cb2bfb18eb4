//! Sources of boot specs: a Pixiecore API server, queried by `GET <api>/v1/boot/<mac>`, or one fixed boot for
//! all. And of the files: an http or https server, or, for the fixed boot, the files that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use boot_server_proto::mac::MacAddr;
use boot_server_proto::pixiecore::{BootSpec, Cmdline, InvalidBootSpec, Link, LinkError, NoScript};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::io::AsyncReadExt;
use tokio_rustls::rustls::{self, RootCertStore};
use tokio_util::io::ReaderStream;

use super::trust;
use crate::config::FixedBoot;
use crate::net::pixiecore_api::PixiecoreApi;

/// Timeout for a file server to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time limit for a file transfer without progress.
const STALL_TIME: Duration = Duration::from_secs(30);
/// Largest answer of the API that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Reasons that the API's answer is unknown or invalid.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address in the configuration.
    #[error("invalid API URL: `{0}`; write http://HOST:PORT/PREFIX or https://…")]
    Address(String),
    /// The API, or the server of a file, did not answer.
    #[error("{url}: {reason}")]
    Unreachable {
        /// URL of the request.
        url: String,
        /// Description of the error, down to the cause.
        reason: String,
    },
    /// An answer that is too large to be a boot spec.
    #[error("{url}: the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge {
        /// URL of the request.
        url: String,
    },
    /// A 200 whose body is not a boot spec.
    #[error("{url}: {source}")]
    Invalid {
        /// URL of the request.
        url: String,
        /// Reason that the answer is invalid.
        source: InvalidBootSpec,
    },
    /// A file that is not served.
    #[error("{url}: answered {status}")]
    Status {
        /// URL of the request.
        url: String,
        /// HTTP status of the answer.
        status: StatusCode,
    },
    /// A URL in the API's answer.
    #[error("invalid URL in the API's answer: `{0}` (neither http nor https)")]
    NoHttpUrl(String),
    /// A file of the fixed boot.
    #[error("{path}: {source}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// No client of TLS can be made.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Reasons that a machine gets no script.
#[derive(Debug, thiserror::Error)]
pub enum Unbootable {
    /// The API's answer is unknown or invalid.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No script can be made of the answer.
    #[error(transparent)]
    Script(#[from] NoScript),
    /// The API refuses the machine.
    #[error("the API answered {0}")]
    Refused(StatusCode),
}

/// The API's word on a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiAnswer {
    /// The machine boots from this spec.
    Boot(BootSpec),
    /// The API refuses the machine: any status but 200.
    Refused(StatusCode),
}

/// A client of one API server, or the fixed boot. Clones share their connections.
#[derive(Debug, Clone)]
pub struct ApiClient {
    source: Source,
    http: Client,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Source {
    Api(Url),
    Fixed(Arc<FixedBoot>),
}

/// A file on its way to a machine.
pub(super) struct Fetched {
    pub(super) length: Option<u64>,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Body,
}

impl ApiClient {
    /// Returns a client of the API with this prefix, e.g. `http://10.0.0.1:8080/pixiecore`, which may take
    /// `timeout` to answer.
    ///
    /// # Errors
    /// [`ApiError::Address`], or no HTTP client can be made on this host.
    pub fn new(api: &str, timeout: Duration) -> Result<ApiClient, ApiError> {
        let address = || ApiError::Address(api.to_owned());
        let mut url = Url::parse(api).map_err(|_| address())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(address());
        }
        url.set_query(None);
        url.set_fragment(None);
        ApiClient::of(Source::Api(url), timeout, trust::authorities_of_host())
    }

    /// Creates a client with one boot for every machine. Paths of files are made absolute, so that the working
    /// directory does not matter.
    ///
    /// # Errors
    /// A file cannot be read, or no HTTP client can be made on this host.
    pub fn fixed(boot: &FixedBoot) -> Result<ApiClient, ApiError> {
        ApiClient::fixed_trusting(boot, trust::authorities_of_host())
    }

    /// Returns the same with these certificate authorities.
    ///
    /// # Errors
    /// As [`ApiClient::fixed`].
    pub(super) fn fixed_trusting(
        boot: &FixedBoot,
        authorities: RootCertStore,
    ) -> Result<ApiClient, ApiError> {
        let mut boot = boot.clone();
        for file in std::iter::once(&mut boot.kernel).chain(&mut boot.initrd) {
            if is_url(file) {
                continue;
            }
            let failed = |source| ApiError::File {
                path: file.clone().into(),
                source,
            };
            std::fs::File::open(&*file).map_err(failed)?;
            *file = absolute(file)?;
        }
        ApiClient::of(Source::Fixed(Arc::new(boot)), Duration::ZERO, authorities)
    }

    fn of(
        source: Source,
        timeout: Duration,
        authorities: RootCertStore,
    ) -> Result<ApiClient, ApiError> {
        let http = Client::builder()
            .tls_backend_preconfigured(trust::client(authorities)?)
            .connect_timeout(CONNECT_TIME)
            .read_timeout(STALL_TIME)
            .build()
            .map_err(|error| unreachable("HTTP", &error))?;
        Ok(ApiClient {
            source,
            http,
            timeout,
        })
    }

    /// Returns the message that machines show before they boot.
    pub(super) fn message(&self) -> Option<&str> {
        match &self.source {
            Source::Fixed(boot) if !boot.message.is_empty() => Some(&boot.message),
            _ => None,
        }
    }

    /// Asks what this machine boots.
    ///
    /// # Errors
    /// The API cannot be reached in time, or its 200 makes no sense.
    pub async fn boot(&self, mac: MacAddr) -> Result<ApiAnswer, ApiError> {
        let api = match &self.source {
            Source::Api(api) => api,
            Source::Fixed(boot) => {
                return Ok(ApiAnswer::Boot(BootSpec::Boot {
                    kernel: boot.kernel.clone(),
                    initrd: boot.initrd.clone(),
                    cmdline: Cmdline::Text(boot.cmdline.clone()),
                }));
            }
        };
        let url = format!("{}/v1/boot/{mac}", api.as_str().trim_end_matches('/'));
        let late = |_| ApiError::Unreachable {
            url: url.clone(),
            reason: format!("no answer within {:?}", self.timeout),
        };
        let asked = tokio::time::timeout(self.timeout, self.ask(&url));
        asked.await.map_err(late)?
    }

    async fn ask(&self, url: &str) -> Result<ApiAnswer, ApiError> {
        let mut response = self.get(url).await?;
        if response.status() != StatusCode::OK {
            return Ok(ApiAnswer::Refused(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(url, &e))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(ApiError::TooLarge {
                    url: url.to_owned(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let spec = BootSpec::parse(&body).map_err(|source| ApiError::Invalid {
            url: url.to_owned(),
            source,
        })?;
        Ok(ApiAnswer::Boot(spec))
    }

    /// Returns the absolute form of a URL in an answer: `/x` starts at the API server's root. In the fixed
    /// boot, any other text than a URL is a file.
    ///
    /// # Errors
    /// The URL is not http or https.
    pub fn resolve(&self, url: &str) -> Result<String, ApiError> {
        let no_url = || ApiError::NoHttpUrl(url.to_owned());
        let api = match &self.source {
            Source::Api(api) => api,
            Source::Fixed(_) if is_url(url) => return Ok(url.to_owned()),
            Source::Fixed(_) => return Ok(format!("{FILE}{}", absolute(url)?)),
        };
        let mut root = api.clone();
        root.set_path("/");
        if !is_url_to_go(url) {
            return Err(no_url());
        }
        let resolved = root.join(url).map_err(|_| no_url())?;
        match resolved.scheme() {
            "http" | "https" => Ok(resolved.into()),
            _ => Err(no_url()),
        }
    }

    /// Begins to fetch a file that [`resolve`](ApiClient::resolve) named.
    ///
    /// # Errors
    /// Its server cannot be reached, or does not answer with success; or the file cannot be
    /// read.
    pub(super) async fn fetch(&self, url: &str) -> Result<Fetched, ApiError> {
        if let (Some(path), Source::Fixed(_)) = (url.strip_prefix(FILE), &self.source) {
            return open(Path::new(path)).await;
        }
        let response = self.get(url).await?;
        let header = |name| response.headers().get(name).cloned();
        match response.status() {
            status if status.is_success() => Ok(Fetched {
                length: response.content_length(),
                content_type: header(CONTENT_TYPE),
                body: Body::from_stream(response.bytes_stream()),
            }),
            status => Err(ApiError::Status {
                url: url.to_owned(),
                status,
            }),
        }
    }

    async fn get(&self, url: &str) -> Result<Response, ApiError> {
        let response = self.http.get(url).send().await;
        response.map_err(|error| unreachable(url, &error))
    }
}

/// Prefix of the names of files of the fixed boot; only the server can seal such a name.
const FILE: &str = "file://";

/// True unless Pixiecore refuses the text although browsers take it: Go's `url.Parse` wants no control characters,
/// and whole escapes outside of the query.
fn is_url_to_go(text: &str) -> bool {
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let path = before.split('?').next().unwrap_or_default();
    let is_escaped = |part: &str| {
        let mut escapes = part.split('%').skip(1);
        let is_hex = |escape: &str| {
            let digits = escape.as_bytes().get(..2);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        escapes.all(is_hex)
    };
    !text.chars().any(|letter| letter.is_ascii_control())
        && is_escaped(path)
        && is_escaped(fragment)
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn absolute(path: &str) -> Result<String, ApiError> {
    let failed = |source| ApiError::File {
        path: path.into(),
        source,
    };
    let absolute = std::path::absolute(path).map_err(failed)?;
    Ok(absolute.to_string_lossy().into_owned())
}

async fn open(path: &Path) -> Result<Fetched, ApiError> {
    let failed = |source| ApiError::File {
        path: path.to_owned(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(std::io::Error::other("not a regular file")));
    }
    let length = metadata.len();
    Ok(Fetched {
        length: Some(length),
        content_type: None,
        // Whatever is written to it meanwhile: no more than was promised.
        body: Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES)),
    })
}

/// Names the cause, which `reqwest` keeps behind its error.
fn unreachable(url: &str, error: &reqwest::Error) -> ApiError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    ApiError::Unreachable {
        url: url.to_owned(),
        reason: cause.to_string(),
    }
}

impl PixiecoreApi for ApiClient {
    type Error = Unbootable;

    async fn knows(&self, mac: MacAddr) -> Result<bool, Unbootable> {
        match self.boot(mac).await? {
            ApiAnswer::Boot(spec) => {
                let client = self.clone();
                let resolve = move |url: &str| client.resolve(url).map_err(LinkError::of);
                let link: Link = Arc::new(resolve);
                spec.check(&link)?;
                Ok(true)
            }
            ApiAnswer::Refused(_) => Ok(false),
        }
    }
}
