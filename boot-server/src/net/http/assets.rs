//! `/assets/…`: kernels, initrds and whatever else machines fetch, from one folder.
//!
//! Like Go's file server: ranges, HEAD, `Last-Modified`, listings of folders, `index.html`. Symbolic
//! links are followed within the folder (see [`Folder`]).

use std::fs::Metadata;
use std::io::SeekFrom;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::App;
use super::answer::{Answer, TEXT};
use super::clean_path::{decode, encode, html, redirect};
use super::conditional::{Precondition, range_is_of};
use super::range::{Part, part, unsatisfiable};
use super::sendfile::{FileBody, FileQueue};
use crate::net::folder::{Folder, FolderError};
use crate::net::unchanged::{UnchangedFile, Version};

/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Files of less are read and leave together with the head of the answer.
const SENT_BY_ITSELF_BYTES: u64 = 16 * 1024;
/// Number of bytes examined to tell text from other content, as in Go's sniffing.
const SNIFF_BYTES: u64 = 512;

/// Serves a file or a listing of `/assets/`.
pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Answer {
    match &app.assets {
        Some(assets) => answer(assets, "/assets", request).await,
        None => Answer::not_found("this server has no assets folder"),
    }
}

/// Serves the same of `/images/`, the folder of bootcfg 0.1.
pub(crate) async fn handle_image(State(app): State<Arc<App>>, request: Request) -> Answer {
    match &app.images {
        Some(images) => answer(images, "/images", request).await,
        None => Answer::not_found("this server has no folder for /images/ (--images-path DIR)"),
    }
}

async fn answer(assets: &Arc<Folder>, prefix: &str, request: Request) -> Answer {
    let (request, _) = request.into_parts();
    let path = decode(request.uri.path());
    let relative = path.strip_prefix(prefix).unwrap_or_default();
    let relative = relative.trim_start_matches('/');
    match open(assets, relative).await {
        Ok((_, metadata)) if metadata.is_dir() && path.ends_with('/') => {
            listing(assets, relative, &request).await
        }
        Ok((_, metadata)) if metadata.is_dir() => {
            redirect(&format!("{path}/"), request.uri.query(), &request.method)
        }
        Ok((file, metadata)) if metadata.is_file() => {
            let path = assets.root().join(relative);
            serve(file, &path, &metadata, &request).await
        }
        Ok(_) => Answer::not_found(&format!("asset `{relative}` is not a file")),
        Err(error) => missing(relative, &error),
    }
}

/// 404 for an asset that cannot be had.
fn missing(relative: &str, why: &dyn std::fmt::Display) -> Answer {
    let reason = format!("asset `{relative}`: {why}");
    let line = "404 page not found";
    Answer::explained(StatusCode::NOT_FOUND, line, "no such asset", &reason)
}

/// Opens and classifies a file or folder, outside the threads that answer.
async fn open(assets: &Arc<Folder>, relative: &str) -> Result<(File, Metadata), FolderError> {
    let (assets, name) = (Arc::clone(assets), relative.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let file = assets.open(&name)?;
        let metadata = file.metadata();
        match metadata {
            Ok(metadata) => Ok((File::from_std(file), metadata)),
            Err(source) => Err(FolderError::Failed { name, source }),
        }
    });
    opened.await.unwrap_or_else(|error| {
        Err(FolderError::Failed {
            name: relative.to_owned(),
            source: error.into(),
        })
    })
}

async fn listing(assets: &Arc<Folder>, relative: &str, request: &Parts) -> Answer {
    let index = match relative.is_empty() {
        true => "index.html".to_owned(),
        false => format!("{relative}/index.html"),
    };
    if let Ok((file, metadata)) = open(assets, &index).await
        && metadata.is_file()
    {
        let path = assets.root().join(&index);
        return serve(file, &path, &metadata, request).await;
    }
    let mut names = Vec::new();
    match tokio::fs::read_dir(assets.root().join(relative)).await {
        Ok(mut entries) => {
            while let Ok(Some(entry)) = entries.next_entry().await {
                let mut name = entry.file_name().to_string_lossy().into_owned();
                if entry.path().is_dir() {
                    name.push('/');
                }
                names.push(name);
            }
        }
        Err(error) => return missing(relative, &error),
    }
    names.sort();
    let links: String = names
        .iter()
        .map(|name| format!("<a href=\"{}\">{}</a>\n", html(&encode(name)), html(name)))
        .collect();
    let page = format!("<!doctype html>\n<pre>\n{links}</pre>\n");
    Answer::ok(
        "text/html; charset=utf-8",
        page,
        format!("listing of {relative}"),
    )
}

async fn serve(mut file: File, path: &Path, metadata: &Metadata, request: &Parts) -> Answer {
    let headers = &request.headers;
    let detail = format!("asset {}", path.display());
    let failed = |error: std::io::Error| {
        let reason = format!("{detail}: {error}");
        Answer::explained(
            StatusCode::INTERNAL_SERVER_ERROR,
            "500 Internal Server Error",
            "see the server's log",
            &reason,
        )
    };
    let modified = metadata
        .modified()
        .ok()
        .and_then(|at| Timestamp::try_from(at).ok());
    let length = metadata.len();
    let date = modified.and_then(http_date);
    let precondition = modified.map_or(Precondition::Met, |modified| {
        Precondition::of(&request.method, headers, modified)
    });
    match precondition {
        Precondition::Met => {}
        Precondition::NotModified => {
            let answer = Answer::new(StatusCode::NOT_MODIFIED, TEXT, Body::empty(), detail);
            return match date {
                Some(date) => answer.header(header::LAST_MODIFIED, date),
                None => answer,
            };
        }
        Precondition::Failed => {
            let line = "412 Precondition Failed";
            return Answer::error(StatusCode::PRECONDITION_FAILED, line, None, detail);
        }
    }
    // A range of another file than the client has the rest of would make a mixture.
    let ranges_count = request.method == Method::GET && range_is_of(headers, modified);
    let part = match ranges_count {
        true => part(headers, length),
        false => Ok(Part::Whole),
    };
    let part = match part {
        Ok(part) => part,
        Err(error) => return unsatisfiable(error, length),
    };
    let content_type = match content_type(path, &mut file).await {
        Ok(content_type) => content_type,
        Err(error) => return failed(error),
    };
    let body = match request.method == Method::HEAD {
        true => Body::empty(),
        false => match contents(file, metadata, part, request.extensions.get()).await {
            Ok(body) => body,
            Err(error) => return failed(error),
        },
    };
    let answer = part.describe(Answer::ok(content_type, body, detail), length);
    match date {
        Some(date) => answer.header(header::LAST_MODIFIED, date),
        None => answer,
    }
}

/// Returns the part of an open file: sent by the connection itself where possible, else as a stream of chunks.
pub(super) async fn contents(
    mut file: File,
    metadata: &Metadata,
    part: Part,
    queue: Option<&FileQueue>,
) -> std::io::Result<Body> {
    let version = Version::of(metadata);
    let (first, part_length) = part.extent(metadata.len());
    if let Some(queue) = queue.filter(|_| part_length >= SENT_BY_ITSELF_BYTES) {
        let file = file.into_std().await;
        let body = FileBody::new(file, version, queue.clone(), first, part_length);
        return Ok(Body::new(body));
    }
    file.seek(SeekFrom::Start(first)).await?;
    let chunk = CHUNK_BYTES
        .min(usize::try_from(part_length).unwrap_or(CHUNK_BYTES))
        .max(1);
    let file = UnchangedFile::new(file, version, part_length);
    Ok(Body::from_stream(ReaderStream::with_capacity(file, chunk)))
}

fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
    HeaderValue::from_str(&text.ok()?).ok()
}

/// Returns the content type by extension if known, else text or binary by the first bytes.
async fn content_type(path: &Path, file: &mut File) -> std::io::Result<&'static str> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    Ok(match extension.to_ascii_lowercase().as_str() {
        "txt" => TEXT,
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "xml" => "text/xml; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "gz" => "application/gzip",
        // UEFI HTTP boot checks the type before the extension (UEFI 2.10, section 24.7.3).
        "efi" => "application/efi",
        _ => {
            let mut start = Vec::new();
            (&mut *file)
                .take(SNIFF_BYTES)
                .read_to_end(&mut start)
                .await?;
            sniff(&start)
        }
    })
}

/// Text has no control characters but the common ones (WHATWG MIME sniffing, "binary data byte").
fn sniff(start: &[u8]) -> &'static str {
    let binary = |byte: &u8| matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    match start {
        [0x1f, 0x8b, 0x08, ..] => "application/x-gzip",
        bytes if bytes.iter().any(binary) => "application/octet-stream",
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use boot_server_events::BootEvent;

    use crate::net::http::testing::{get, get_from, get_with};

    #[tokio::test]
    async fn a_file_has_its_exact_length_and_the_event_counts_its_bytes() {
        let answer = get("/assets/coreos/835.9.0/coreos_production_pxe.vmlinuz").await;
        assert_eq!((answer.status, answer.body.len()), (200, 1000));
        assert_eq!(answer.headers["content-length"], "1000");
        let BootEvent::HttpRequest { bytes, length, .. } = answer.event else {
            panic!("another event")
        };
        assert_eq!((bytes, length), (1000, Some(1000)));
    }

    #[tokio::test]
    async fn a_copy_as_new_is_not_sent_again() {
        let first = get("/assets/readme.txt").await;
        let date = first.headers["last-modified"].to_str().unwrap().to_owned();
        let again = get_with("/assets/readme.txt", &[("if-modified-since", &date)]).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }

    #[tokio::test]
    async fn folders_are_listed_and_have_a_slash() {
        assert_eq!(
            get("/assets/coreos").await.headers["location"],
            "/assets/coreos/"
        );
        let listing = get("/assets/").await;
        let links =
            "<pre>\n<a href=\"coreos/\">coreos/</a>\n<a href=\"readme.txt\">readme.txt</a>\n</pre>";
        assert!(listing.body.contains(links), "{}", listing.body);
    }

    #[tokio::test]
    async fn an_escaped_way_out_is_not_taken() {
        for path in ["/assets/%2e%2e%2fbootcfg-rack/config.yaml", "/assets/%00"] {
            let answer = get(path).await;
            assert!(
                matches!(answer.status, 301 | 404),
                "{path}: {}",
                answer.status
            );
        }
    }

    #[tokio::test]
    async fn a_link_out_of_the_folder_is_refused_and_its_target_named_nowhere() {
        let assets = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", assets.path().join("p")).unwrap();
        std::os::unix::fs::symlink("/etc", assets.path().join("etc")).unwrap();
        for path in [
            "/assets/p",
            "/assets/etc/passwd",
            "/assets/etc/",
            "/assets/etc",
        ] {
            let answer = get_from(assets.path(), path).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.body);
            assert!(!answer.body.contains("root:"), "{path}");
        }
    }

    #[test]
    fn content_is_text_unless_its_bytes_say_otherwise() {
        assert_eq!(super::sniff(b"MZ\x00\x01"), "application/octet-stream");
        assert_eq!(super::sniff(b"\x1f\x8b\x08\x00"), "application/x-gzip");
        assert_eq!(super::sniff("h\u{e9}llo\n".as_bytes()), super::TEXT);
    }
}
