//! Contents that are fetched: URLs, hashes, headers, proxies.

use crate::finding::{Reason, Report};
use crate::go::{dataurl, url};
use crate::path::Path;
use crate::schema::Minor;
use crate::value::Struct;

/// Each entry of a list needs a source.
pub(super) fn required_sources(
    found: &Struct,
    list: &'static str,
    minor: Minor,
    path: &Path,
    report: &mut Report,
) {
    for (index, entry) in found.structs(list).enumerate() {
        let result = match entry.opt_text("source") {
            Some(source) => source_url(source, minor),
            None => Err(Reason::SourceRequired),
        };
        report.check(path.key(list).index(index), result);
    }
}

pub(super) fn resource(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let source = found.opt_text("source");
    if !matches!(found.text("compression"), "" | "gzip") {
        report.error(path.key("compression"), Reason::Compression);
    }
    if found.child("verification").has("hash") && source.is_none() {
        report.error(
            path.key("verification").key("hash"),
            Reason::VerificationWithoutSource,
        );
    }
    let result = source.map_or(Ok(()), |source| source_url(source, minor));
    report.check(path.key("source"), result);
    if !found.list("http_headers").is_empty() {
        let result = match source {
            None | Some("") => Err(Reason::Url),
            Some(source) => match url::parse(source) {
                Err(url::Invalid) => Err(Reason::Url),
                Ok(url) if matches!(url.scheme.as_str(), "http" | "https") => Ok(()),
                Ok(_) => Err(Reason::HeadersScheme),
            },
        };
        report.check(path.key("http_headers"), result);
    }
}

pub(super) fn http_header(found: &Struct, path: &Path, report: &mut Report) {
    if found.text("name").is_empty() {
        report.error(path.key("name"), Reason::HeaderName);
    }
    if found.opt_text("value") == Some("") {
        report.error(path.key("value"), Reason::HeaderValue);
    }
}

pub(super) fn verification(found: &Struct, minor: Minor) -> Result<(), Reason> {
    found
        .opt_text("hash")
        .map_or(Ok(()), |text| hash(text, minor >= 1))
}

/// Checks a hash: `sha512-…`, and `sha256-…` since Ignition 3.1.
pub(crate) fn hash(text: &str, has_sha256: bool) -> Result<(), Reason> {
    let (function, sum) = text.split_once('-').ok_or(Reason::HashMalformed)?;
    let length = match function {
        "sha512" => 128,
        "sha256" if has_sha256 => 64,
        _ => return Err(Reason::HashUnrecognized),
    };
    if sum.len() == length {
        Ok(())
    } else {
        Err(Reason::HashSize)
    }
}

pub(super) fn proxy(found: &Struct, path: &Path, report: &mut Report) {
    for (field, may_be_http) in [("http_proxy", true), ("https_proxy", false)] {
        let Some(text) = found.opt_text(field) else {
            continue;
        };
        match url::parse(text) {
            Err(url::Invalid) => report.error(path.key(field), Reason::Url),
            Ok(url) if url.scheme == "https" || url.scheme == "http" && may_be_http => {}
            Ok(url) if url.scheme == "http" => report.warn(path.key(field), Reason::InsecureProxy),
            Ok(_) => report.error(path.key(field), Reason::Proxy),
        }
    }
}

fn source_url(source: &str, minor: Minor) -> Result<(), Reason> {
    if source.is_empty() {
        Ok(())
    } else {
        url_since(source, Some(minor))
    }
}

/// Checks a URL; without a minor version for Ignition 2.2.
pub(crate) fn url_since(text: &str, minor: Option<Minor>) -> Result<(), Reason> {
    let url = url::parse(text).map_err(|url::Invalid| Reason::Url)?;
    let minor_or = minor.unwrap_or(0);
    match url.scheme.as_str() {
        "http" | "https" | "tftp" => Ok(()),
        "oem" if minor.is_none() => Ok(()),
        "gs" if minor_or >= 2 => Ok(()),
        "s3" => s3_version(&url),
        "arn" if minor_or >= 4 => {
            s3_arn(url.opaque)?;
            s3_version(&url)
        }
        "data" => Ok(dataurl::decode(text).map(drop)?),
        _ => Err(Reason::UrlScheme),
    }
}

fn s3_version(url: &url::Url) -> Result<(), Reason> {
    if url.parameter("versionId") == Some("") {
        return Err(Reason::S3Version);
    }
    Ok(())
}

/// Checks `aws:s3:REGION:ACCOUNT:BUCKET/OBJECT`, with an access point instead of a bucket
/// `aws:s3:REGION:ACCOUNT:accesspoint/NAME/OBJECT`.
fn s3_arn(text: &str) -> Result<(), Reason> {
    let sections: Vec<&str> = text.splitn(5, ':').collect();
    let [_, "s3", _, _, resource] = sections[..] else {
        return Err(Reason::S3Arn);
    };
    let least = if resource.starts_with("accesspoint/") {
        2
    } else {
        1
    };
    if resource.matches('/').count() < least {
        return Err(Reason::S3Arn);
    }
    Ok(())
}
