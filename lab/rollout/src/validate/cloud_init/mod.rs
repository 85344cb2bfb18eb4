//! User-data of NoCloud seeds: what cloud-init makes of it.

use boot_server_catalog::nocloud::InvalidCloudInitData;

use super::finding::{Findings, Source};
use super::tree::At;

/// Looks at a text that is served as user-data to cloud-init. `place` maps a place in it to one in its file.
pub(super) fn check(
    source: &Source,
    text: &str,
    place: &dyn Fn(At) -> At,
    findings: &mut Findings,
) {
    let Err(invalid) = InvalidCloudInitData::check(text) else {
        return;
    };
    let (rule, help) = match &invalid {
        InvalidCloudInitData::Kind => (
            "cloud-config-header",
            "start the file with a line that cloud-init knows, such as `#cloud-config`, `#!/bin/sh` or `## template: jinja`",
        ),
        InvalidCloudInitData::Yaml(_) => {
            ("cloud-config-syntax", "write YAML below `#cloud-config`")
        }
        InvalidCloudInitData::NoMapping => (
            "cloud-config-syntax",
            "write keys and values below `#cloud-config`, such as `hostname: node1`",
        ),
    };
    let at = place(invalid.place().into());
    findings.add(source.problem(rule, at, invalid.to_string(), help));
}
