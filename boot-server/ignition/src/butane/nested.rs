//! Ignition configs inside a Butane config: what it merges or is replaced with.
//!
//! Source: `ValidateIgnitionConfig` in `base/v0_*/util.go` of Butane v0.29.0.

use crate::finding::{Reason, Report};
use crate::path::Path;
use crate::schema::Minor;

/// Checks the text of an Ignition config: JSON with a version.
pub(super) fn check(text: &str, minor: Minor, path: &Path, report: &mut Report) {
    let config = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(config) => config,
        Err(error) => {
            report.error(
                path.key("inline"),
                Reason::NestedConfigJson(error.to_string()),
            );
            report.error(path.key("inline"), Reason::NestedConfigInvalid);
            return;
        }
    };
    let version = config
        .pointer("/ignition/version")
        .and_then(|version| version.as_str());
    let parts: Option<Vec<u64>> = version.and_then(|version| {
        let number = version.split(['-', '+']).next()?;
        number.split('.').map(|part| part.parse().ok()).collect()
    });
    match (parts.as_deref(), version) {
        (Some([3, found, 0]), Some(version))
            if *found == u64::from(minor) && !version.contains('+') => {}
        (Some([_, _, _]), _) => {
            report.warn(path.key("version"), Reason::NestedConfigUnknownVersion);
        }
        _ => report.error(
            Path::of(&["ignition", "version"]),
            Reason::NestedConfigVersion,
        ),
    }
}
