//! Mark of a run on its machines and networks: libvirt metadata in the lab's own XML namespace. The lab removes
//! only marked objects; names prove nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use serde::Serialize;

/// XML namespace of the mark.
pub const NAMESPACE: &str = "urn:bootlab:run";

/// Depth of the mark in an object's XML: `domain/metadata/run`.
const DEPTH: usize = 3;

/// Mark of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMark {
    /// Run id: six hexadecimal digits.
    pub run_id: String,
    /// Host whose runs share one folder of locks (see [`host_id`]); `None` on a private libvirt.
    pub host_id: Option<String>,
}

/// `<metadata>` element with the mark.
#[derive(Serialize)]
pub(super) struct MetadataXml<'a> {
    #[serde(rename = "lab:run")]
    run: RunXml<'a>,
}

#[derive(Serialize)]
struct RunXml<'a> {
    #[serde(rename = "@xmlns:lab")]
    namespace: &'static str,
    #[serde(rename = "@id")]
    id: &'a str,
    #[serde(rename = "@host", skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
}

impl RunMark {
    /// Returns the mark of a run on this host's libvirt.
    #[must_use]
    pub fn of(run_id: &str) -> RunMark {
        RunMark {
            run_id: run_id.to_owned(),
            host_id: host_id(),
        }
    }

    pub(super) fn metadata(&self) -> MetadataXml<'_> {
        MetadataXml {
            run: RunXml {
                namespace: NAMESPACE,
                id: &self.run_id,
                host: self.host_id.as_deref(),
            },
        }
    }

    /// Reads the mark from the XML of a domain or network, if it has one.
    #[must_use]
    pub fn read(xml: &str) -> Option<RunMark> {
        let mut reader = NsReader::from_str(xml);
        let mut path: Vec<String> = Vec::new();
        loop {
            let (namespace, event) = reader.read_resolved_event().ok()?;
            let is_ours = namespace == ResolveResult::Bound(Namespace(NAMESPACE));
            let in_metadata =
                path.len() + 1 == DEPTH && path.last().is_some_and(|name| name == "metadata");
            match event {
                Event::Start(start) | Event::Empty(start)
                    if is_ours && in_metadata && start.local_name().as_ref() == "run" =>
                {
                    return RunMark::of_attributes(&start);
                }
                Event::Start(start) => path.push(start.name().as_ref().to_owned()),
                Event::End(_) => drop(path.pop()),
                Event::Eof => return None,
                _ => {}
            }
        }
    }

    fn of_attributes(start: &BytesStart<'_>) -> Option<RunMark> {
        let value = |name: &str| {
            let attribute = start.try_get_attribute(name).ok()??;
            Some(attribute.value.into_owned())
        };
        Some(RunMark {
            run_id: value("id")?,
            host_id: value("host"),
        })
    }
}

/// Folder of the locks of runs on a host's libvirt.
pub const LOCKS: &str = "/run/bootlab";

/// Returns the identity of the folder of locks on this host: boot id, device and inode. Only processes that see
/// the same folder can tell which runs are alive. `None` if no run has used the host's libvirt since its boot.
#[must_use]
pub fn host_id() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let folder = std::fs::symlink_metadata(Path::new(LOCKS)).ok()?;
    let (boot, dev, ino) = (boot.trim(), folder.dev(), folder.ino());
    Some(format!("{boot}:{dev:x}:{ino:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metadata: &str) -> Option<RunMark> {
        RunMark::read(&format!(
            "<domain type='qemu'><name>lab-facade-web</name>{metadata}<os/></domain>"
        ))
    }

    #[test]
    fn mark_of_a_run_is_read() {
        let mark = read(
            "<metadata><other:run xmlns:other='urn:other' id='4f2a11'/>\
             <x:run xmlns:x='urn:bootlab:run' id='facade' host='b:1:2'/></metadata>",
        );
        let expected = RunMark {
            run_id: "facade".into(),
            host_id: Some("b:1:2".into()),
        };
        assert_eq!(mark, Some(expected));
    }

    #[test]
    fn mark_elsewhere_or_of_others_is_none() {
        for metadata in [
            "",
            "<metadata/>",
            "<metadata><run id='facade'/></metadata>",
            "<metadata><lab:run xmlns:lab='urn:other' id='facade'/></metadata>",
            "<metadata><lab:run xmlns:lab='urn:bootlab:run'/></metadata>",
            "<metadata><a><lab:run xmlns:lab='urn:bootlab:run' id='facade'/></a></metadata>",
            "<description><lab:run xmlns:lab='urn:bootlab:run' id='facade'/></description>",
            "<metadata>&lt;lab:run xmlns:lab='urn:bootlab:run' id='facade'/&gt;</metadata>",
            "<metadata><lab:run",
        ] {
            assert_eq!(read(metadata), None, "{metadata}");
        }
    }
}
