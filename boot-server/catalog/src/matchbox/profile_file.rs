//! `profiles/<id>.json`: how a machine boots and which configs it gets.

use std::path::Path;
use std::sync::Arc;

use boot_server_proto::json::{self, InvalidJson};
use serde::Deserialize;

use crate::problem::{Problem, Severity};
use crate::profile::{Boot, Profile, id_of, unknown_keys};

const KEYS: &[&str] = &[
    "id",
    "name",
    "boot",
    "cloud_id",
    "ignition_id",
    "generic_id",
];
const BOOT_KEYS: &[&str] = &["kernel", "initrd", "args", "cmdline"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    id: String,
    boot: Option<Boot>,
    cloud_id: String,
    ignition_id: String,
    generic_id: String,
}

/// Reads a profile whose file has this name before `.json`, and tells what is wrong with it. The id that is
/// written in a profile that no group names (`is_named`) misleads nobody.
pub(super) fn parse(
    path: &Path,
    text: &str,
    id: &Arc<str>,
    is_named: bool,
) -> (Result<Profile, InvalidJson>, Vec<Problem>) {
    let file: File = match json::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let help = "a profile is {\"id\", \"name\", \"boot\": {\"kernel\", \"initrd\": [], \
                        \"args\": []}, \"cloud_id\", \"ignition_id\", \"generic_id\"}";
            let problem = Problem::of_json(path, text, &error, help);
            return (Err(error), vec![problem]);
        }
    };
    let mut problems = Vec::new();
    if is_named && file.id != **id {
        let message = format!("mismatched id: `{}` in the file `{id}.json`", file.id);
        let help = format!("write \"id\": \"{id}\"; groups refer to the file's name");
        let problem = Problem::of_file(Severity::Warning, path, message, help);
        problems.push(problem.of_rule("id-mismatch").at_key(text, "id"));
    }
    problems.extend(unknown_keys(path, text, None, KEYS));
    problems.extend(unknown_keys(path, text, Some("boot"), BOOT_KEYS));
    let profile = Profile {
        id: Arc::clone(id),
        written_id: file.id,
        cloud_id: id_of(file.cloud_id),
        ignition_id: id_of(file.ignition_id),
        generic_id: id_of(file.generic_id),
        ..Profile::default()
    };
    (Ok(profile.with_boot(file.boot)), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn args_and_the_older_cmdline_are_both_read() {
        let text = r#"{"id":"p","boot":{"kernel":"k","cmdline":{"b":"1","a":""},"args":["c"]}}"#;
        let (profile, problems) = parse(Path::new("p.json"), text, &"p".into(), true);
        assert_eq!(problems, []);
        assert_eq!(
            profile.unwrap().settings.unwrap().options,
            ["a", "b=1", "c"]
        );
    }

    #[test]
    fn a_wrong_shape_is_told_with_its_place() {
        let text = "{\"id\": \"p\",\n\"boot\": {\"args\": \"x\"}}";
        let (profile, problems) = parse(Path::new("p.json"), text, &"p".into(), true);
        assert!(profile.is_err());
        assert_eq!(problems[0].line, Some(2), "{problems:?}");
    }
}
