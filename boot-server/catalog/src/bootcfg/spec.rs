//! `spec.json`: how a machine boots and which configs it gets.

use std::path::Path;
use std::sync::Arc;

use boot_server_proto::json::{self, InvalidJson};
use serde::{Deserialize, Serialize};

use crate::problem::{Problem, Severity};
use crate::profile::{Boot, Profile, id_of, unknown_keys};

/// Keys of the file and of its `boot` object.
const SPEC_KEYS: &[&str] = &["id", "boot", "cloud_id", "ignition_id"];
const BOOT_KEYS: &[&str] = &["kernel", "initrd", "cmdline"];

/// A spec as written; serialises as `/spec/<id>` shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// Id as written in the file; groups refer to the folder's name.
    pub id: String,
    /// Kernel, initrds and options; absent for machines that do not boot from the network.
    pub boot: Option<Boot>,
    /// File in `cloud/`; empty when it has none.
    pub cloud_id: String,
    /// File in `ignition/`; empty when it has none.
    pub ignition_id: String,
}

impl From<&Profile> for Spec {
    fn from(profile: &Profile) -> Spec {
        let text = |id: &Option<Arc<str>>| id.as_deref().unwrap_or_default().to_owned();
        Spec {
            id: profile.written_id.clone(),
            boot: profile.boot.clone(),
            cloud_id: text(&profile.cloud_id),
            ignition_id: text(&profile.ignition_id),
        }
    }
}

/// Reads a spec whose folder has this name, and tells what is wrong with it. The id that is written in a
/// spec that no group names (`is_named`) misleads nobody.
pub(super) fn parse(
    path: &Path,
    text: &str,
    id: &Arc<str>,
    is_named: bool,
) -> (Result<Profile, InvalidJson>, Vec<Problem>) {
    let mut problems = unknown_keys(path, text, None, SPEC_KEYS);
    problems.extend(unknown_keys(path, text, Some("boot"), BOOT_KEYS));
    let spec: Spec = match json::from_str(text) {
        Ok(spec) => spec,
        Err(error) => {
            let help = "a spec is {\"id\", \"boot\": {\"kernel\", \"initrd\": [], \"cmdline\": \
                        {}}, \"cloud_id\", \"ignition_id\"}";
            problems.push(Problem::of_json(path, text, &error, help));
            return (Err(error), problems);
        }
    };
    if is_named && spec.id != **id {
        let message = format!("mismatched spec id: `{}` in the folder `{id}`", spec.id);
        let help = format!("write \"id\": \"{id}\"; groups refer to the folder's name");
        let problem = Problem::of_file(Severity::Warning, path, message, help);
        problems.push(problem.of_rule("id-mismatch").at_key(text, "id"));
    }
    let profile = Profile {
        id: Arc::clone(id),
        written_id: spec.id,
        cloud_id: id_of(spec.cloud_id),
        ignition_id: id_of(spec.ignition_id),
        ..Profile::default()
    };
    // What bootcfg 0.2 does not read, it does not serve.
    let boot = spec.boot.map(|boot| Boot { args: None, ..boot });
    (Ok(profile.with_boot(boot)), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_absent_and_misspelt_keys_are_found() {
        let text = r#"{"id": null, "cloud": "x", "boot": {"kernel": "k", "initrds": []}}"#;
        let (profile, problems) = parse(Path::new("spec.json"), text, &"s".into(), true);
        assert_eq!(profile.unwrap().written_id, "");
        let told: Vec<String> = problems
            .iter()
            .map(|p| format!("{p} ({})", p.help))
            .collect();
        assert_eq!(
            told,
            [
                "spec.json:1:14: unknown key `cloud` (ignored) (did you mean `cloud_id`? known keys are id, boot, cloud_id, ignition_id)",
                "spec.json:1:52: unknown key `initrds` (ignored) (did you mean `initrd`? known keys are kernel, initrd, cmdline)",
                "spec.json:1:2: mismatched spec id: `` in the folder `s` (write \"id\": \"s\"; groups refer to \
                 the folder's name)",
            ]
        );
    }
}
