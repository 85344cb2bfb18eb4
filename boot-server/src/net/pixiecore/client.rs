//! The client of a Pixiecore API server: `GET <api>/v1/boot/<mac>`.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};

use crate::net::pixiecore_api::PixiecoreApi;
use crate::proto::mac::MacAddr;
use crate::proto::pixiecore::{BootSpec, InvalidBootSpec};

/// How long the API may take to answer; the same as Pixiecore's default.
const API_TIME: Duration = Duration::from_secs(5);
/// How long a server of files may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long a transfer of a file may stand still.
const STALL_TIME: Duration = Duration::from_secs(30);
/// Largest answer of the API that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why the API's word is not known, or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address in the configuration.
    #[error("`{0}` is not the URL of an API; write http://HOST:PORT/PREFIX")]
    Address(String),
    /// The API, or the server of a file, did not answer.
    #[error("{url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What happened, down to the cause.
        reason: String,
    },
    /// An answer that is too large to be a boot spec.
    #[error("{url}: the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
    },
    /// A 200 that is no boot spec.
    #[error("{url}: {source}")]
    Invalid {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        source: InvalidBootSpec,
    },
    /// A file that is not served.
    #[error("{url}: answered {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// A URL in the API's answer.
    #[error("`{0}` in the API's answer is not an http URL")]
    NoHttpUrl(String),
    /// A file behind TLS.
    #[error("{0}: this build has no TLS; name an http URL, or serve the file under /assets/")]
    NoTls(String),
}

/// The API's word on a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiAnswer {
    /// It boots so.
    Boot(BootSpec),
    /// It is none of ours: any status but 200.
    Refused(StatusCode),
}

/// A client of one API server. Clones share their connections.
#[derive(Debug, Clone)]
pub struct ApiClient {
    api: Url,
    http: Client,
}

impl ApiClient {
    /// A client of the API with this prefix, e.g. `http://10.0.0.1:8080/pixiecore`.
    ///
    /// # Errors
    /// [`ApiError::Address`], or no HTTP client can be made on this host.
    pub fn new(api: &str) -> Result<ApiClient, ApiError> {
        let address = || ApiError::Address(api.to_owned());
        let mut url = Url::parse(api).map_err(|_| address())?;
        if url.scheme() != "http" || url.host().is_none() {
            return Err(address());
        }
        url.set_query(None);
        url.set_fragment(None);
        let http = Client::builder()
            .connect_timeout(CONNECT_TIME)
            .read_timeout(STALL_TIME)
            .build()
            .map_err(|error| unreachable(api, &error))?;
        Ok(ApiClient { api: url, http })
    }

    /// Asks what this machine boots.
    ///
    /// # Errors
    /// The API cannot be reached within 5 s, or its 200 makes no sense.
    pub async fn boot(&self, mac: MacAddr) -> Result<ApiAnswer, ApiError> {
        let url = format!("{}/v1/boot/{mac}", self.api.as_str().trim_end_matches('/'));
        let late = |_| ApiError::Unreachable {
            url: url.clone(),
            reason: format!("no answer within {} s", API_TIME.as_secs()),
        };
        let asked = tokio::time::timeout(API_TIME, self.ask(&url));
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

    /// The absolute form of a URL in an answer: `/x` starts at the API server's root.
    ///
    /// # Errors
    /// It is no http URL.
    pub fn resolve(&self, url: &str) -> Result<String, ApiError> {
        let no_url = || ApiError::NoHttpUrl(url.to_owned());
        let mut root = self.api.clone();
        root.set_path("/");
        let resolved = root.join(url).map_err(|_| no_url())?;
        match resolved.scheme() {
            "http" | "https" => Ok(resolved.into()),
            _ => Err(no_url()),
        }
    }

    /// Begins to fetch a file.
    ///
    /// # Errors
    /// Its server cannot be reached, or does not answer with success, or wants TLS.
    pub(super) async fn fetch(&self, url: &str) -> Result<Response, ApiError> {
        if url.starts_with("https:") {
            return Err(ApiError::NoTls(url.to_owned()));
        }
        let response = self.get(url).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
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
    async fn knows(&self, mac: MacAddr) -> Result<bool, String> {
        match self.boot(mac).await {
            Ok(ApiAnswer::Boot(_)) => Ok(true),
            Ok(ApiAnswer::Refused(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_urls_start_at_the_servers_root() {
        let client = ApiClient::new("http://10.9.0.1:9000/prefix").unwrap();
        for (url, resolved) in [
            ("/i2", "http://10.9.0.1:9000/i2"),
            ("i2?a=${b}", "http://10.9.0.1:9000/i2?a=${b}"),
            ("http://other/k", "http://other/k"),
        ] {
            assert_eq!(client.resolve(url).unwrap(), resolved);
        }
        assert!(client.resolve("file:///etc/shadow").is_err());
    }

    #[test]
    fn an_address_that_is_no_http_url_is_refused() {
        for wrong in ["10.0.0.1:8080", "ftp://x/", "https://x/", "", "http://"] {
            assert!(ApiClient::new(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_file_behind_tls_is_refused_in_words() {
        let client = ApiClient::new("http://10.9.0.1:9000/prefix").unwrap();
        let error = client.fetch("https://h/k").await.unwrap_err();
        assert!(error.to_string().contains("no TLS"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_with_the_cause() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let client = ApiClient::new(&format!("http://{address}")).unwrap();
        let error = client.knows(MacAddr([2, 0, 0, 0, 0, 1])).await.unwrap_err();
        assert!(error.contains("refused"), "{error}");
    }
}
