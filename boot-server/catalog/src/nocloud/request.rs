//! Request for a file of a seed: its path and query → the file, and the machine's labels as a query.

use super::seed::SeedFile;

/// Folder of all seeds.
const FOLDER: &str = "/nocloud";

/// Request for a file of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedRequest {
    /// Requested file.
    pub file: SeedFile,
    /// Labels of the machine as a raw query: those of the path, then those of the query.
    pub query: String,
}

/// Reasons that a path below `/nocloud` names no file of a seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSeedRequest {
    /// The name of the file follows other text immediately.
    #[error(
        "no file of a seed: `{before}{file}` (the URL of the seed needs a `/` at its end, or `=` after a query)"
    )]
    NotSeparated {
        /// Text before the name.
        before: String,
        /// Name of the file.
        file: SeedFile,
    },
    /// Neither path nor query ends in the name of a file.
    #[error(
        "no file of a seed: `{0}` (the files are meta-data, user-data, vendor-data and network-config)"
    )]
    NoFile(String),
    /// A label has the name of a DMI value instead of the value.
    #[error(
        "no value of the machine's DMI in `{0}` (cloud-init 22.4 does not fill in such names; send the labels with iPXE's settings, such as `${{uuid}}`)"
    )]
    NotFilledIn(String),
    /// A part of the path is not a label.
    #[error("not a label: `{0}` (parts of the path are `label=value`, such as `serial=…`)")]
    NotALabel(String),
}

impl SeedRequest {
    /// Reads `/nocloud/LABEL=VALUE/…/FILE?LABEL=VALUE`, and `/nocloud?LABEL=VALUE&ANY=FILE`, whose last parameter is the
    /// file. Path and query are as sent, with their escapes.
    ///
    /// # Errors
    /// See [`InvalidSeedRequest`].
    pub fn parse(path: &str, query: &str) -> Result<SeedRequest, InvalidSeedRequest> {
        let below = path.strip_prefix(FOLDER);
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let below = below.ok_or_else(|| InvalidSeedRequest::NoFile(path.to_owned()))?;
        let mut parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        let file = match parts.last().and_then(|name| SeedFile::of_name(name)) {
            Some(file) => {
                parts.pop();
                file
            }
            None => {
                let last = pairs.pop().or_else(|| parts.last().copied());
                let last = last.unwrap_or_default();
                let value = last.split_once('=').map_or(last, |(_, value)| value);
                SeedFile::of_name(value).ok_or_else(|| unnamed(last))?
            }
        };
        if let Some(part) = parts.iter().find(|part| !part.contains('=')) {
            return Err(InvalidSeedRequest::NotALabel((*part).to_owned()));
        }
        let mut labels = parts.iter().chain(&pairs);
        if let Some(label) = labels.find(|label| label.contains("__dmi.")) {
            return Err(InvalidSeedRequest::NotFilledIn((*label).to_owned()));
        }
        // A plus sign is a blank in a query only.
        let labels = parts.iter().map(|part| part.replace('+', "%2B"));
        let all: Vec<String> = labels.chain(pairs.into_iter().map(str::to_owned)).collect();
        Ok(SeedRequest {
            file,
            query: all.join("&"),
        })
    }
}

fn unnamed(last: &str) -> InvalidSeedRequest {
    let ends = SeedFile::ALL
        .into_iter()
        .find_map(|file| Some((file, last.strip_suffix(file.name())?)));
    match ends {
        Some((file, before)) if !before.is_empty() => InvalidSeedRequest::NotSeparated {
            before: before.to_owned(),
            file,
        },
        _ => InvalidSeedRequest::NoFile(last.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(target: &str) -> Result<(SeedFile, String), InvalidSeedRequest> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = SeedRequest::parse(path, query)?;
        Ok((request.file, request.query))
    }

    #[test]
    fn labels_are_read_from_path_and_query() {
        let ok = |file, query: &str| Ok((file, query.to_owned()));
        for (target, request) in [
            ("/nocloud/meta-data", ok(SeedFile::MetaData, "")),
            (
                "/nocloud/uuid=u&mac=52-54-00-aa-bb-cc/user-data",
                ok(SeedFile::UserData, "uuid=u&mac=52-54-00-aa-bb-cc"),
            ),
            (
                "/nocloud/serial=A+7%20b/os=installed/vendor-data",
                ok(SeedFile::VendorData, "serial=A%2B7%20b&os=installed"),
            ),
            (
                "/nocloud/network-config?mac=1",
                ok(SeedFile::NetworkConfig, "mac=1"),
            ),
            (
                "/nocloud?mac=1&f=user-data",
                ok(SeedFile::UserData, "mac=1"),
            ),
            ("/nocloud/?mac=1&meta-data", ok(SeedFile::MetaData, "mac=1")),
            (
                "/nocloud/mac=1/user-data?os=x",
                ok(SeedFile::UserData, "mac=1&os=x"),
            ),
        ] {
            assert_eq!(parsed(target), request, "{target}");
        }
    }

    #[test]
    fn seed_without_a_slash_at_its_end_is_named() {
        for target in ["/nocloud/mac=1meta-data", "/nocloud?mac=1meta-data"] {
            let error = parsed(target).unwrap_err();
            assert_eq!(
                error,
                InvalidSeedRequest::NotSeparated {
                    before: "mac=1".into(),
                    file: SeedFile::MetaData
                },
                "{target}"
            );
        }
        assert_eq!(
            parsed("/nocloud/SN-77/meta-data"),
            Err(InvalidSeedRequest::NotALabel("SN-77".into()))
        );
        let dmi = "serial=__dmi.system-serial-number__";
        assert_eq!(
            parsed(&format!("/nocloud/{dmi}/meta-data")),
            Err(InvalidSeedRequest::NotFilledIn(dmi.into()))
        );
        for target in [
            "/nocloud",
            "/nocloud/",
            "/nocloud/mac=1",
            "/nocloud?mac=1",
            "/nocloudy/user-data",
            "/cloud?f=user-data",
        ] {
            let error = parsed(target).unwrap_err();
            assert!(matches!(error, InvalidSeedRequest::NoFile(_)), "{target}");
        }
    }
}
