//! Kinds of user-data that cloud-init tells apart by their first line, and the texts that it would not apply.

use crate::Labels;
use crate::snapshot::{Folder, Refusal, ServedConfig, Snapshot};
use crate::yaml::{self, InvalidYaml};
use go_template::Budget;

/// Kind of user-data, by its beginning (cloud-init 22.4.2: `handlers/__init__.py`, `INCLUSION_TYPES_MAP`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserDataKind {
    /// `#cloud-config`: YAML.
    CloudConfig,
    /// `#!`: a script.
    Script,
    /// `## template: jinja`: a template over the machine's meta-data, of any other kind.
    Jinja,
    /// A MIME message, which may have several parts.
    Mime,
    /// Any other kind that cloud-init knows, such as `#include`.
    Other,
}

/// Other beginnings that cloud-init knows.
const OTHERS: [&str; 6] = [
    "#include",
    "#upstart-job",
    "#part-handler",
    "#cloud-boothook",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
];
/// Beginnings of a MIME message.
const MIME: [&str; 2] = ["content-type:", "mime-version:"];
/// Beginning of a template that cloud-init renders.
const JINJA: &str = "## template: jinja";

impl UserDataKind {
    /// Returns the kind of a text; `None` for a text that cloud-init ignores with a warning. Blanks before the first
    /// line and the case of letters do not count.
    pub fn of(text: &str) -> Option<UserDataKind> {
        let text = text.trim_start();
        let starts = |mark: &str| {
            let start = text.get(..mark.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(mark))
        };
        Some(match () {
            () if starts(JINJA) => UserDataKind::Jinja,
            () if OTHERS.iter().any(|mark| starts(mark)) => UserDataKind::Other,
            () if starts("#cloud-config") => UserDataKind::CloudConfig,
            () if starts("#!") => UserDataKind::Script,
            () if MIME.iter().any(|mark| starts(mark)) => UserDataKind::Mime,
            () => return None,
        })
    }
}

/// Reasons that cloud-init would not apply a text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidCloudInitData {
    /// The first line is of no kind that cloud-init knows.
    #[error("unknown user-data type: the first line is none that cloud-init knows")]
    Kind,
    /// The YAML below `#cloud-config`.
    #[error("cloud-config is not YAML: {0}")]
    Yaml(#[from] InvalidYaml),
    /// The YAML is a list or a single value.
    #[error("cloud-config is not a YAML mapping of keys")]
    NoMapping,
}

impl InvalidCloudInitData {
    /// Returns line and column, counted from 1.
    pub fn place(&self) -> (usize, usize) {
        match self {
            InvalidCloudInitData::Yaml(error) => (error.line, error.column),
            _ => (1, 1),
        }
    }

    /// Checks rendered user-data: its kind, and the syntax of a `#cloud-config`.
    ///
    /// # Errors
    /// See [`InvalidCloudInitData`].
    pub fn check(text: &str) -> Result<(), InvalidCloudInitData> {
        match UserDataKind::of(text) {
            None => Err(InvalidCloudInitData::Kind),
            Some(UserDataKind::CloudConfig) => match yaml::parse_handed_on(text)? {
                serde_json::Value::Object(_) | serde_json::Value::Null => Ok(()),
                _ => Err(InvalidCloudInitData::NoMapping),
            },
            Some(_) => Ok(()),
        }
    }
}

impl Snapshot {
    /// Returns a machine's user-data: the file of its profile's `cloud_id`, rendered within a budget and not checked.
    ///
    /// # Errors
    /// The first problem, from the group to the rendered text.
    pub fn user_data(
        &self,
        labels: &Labels,
        query: &str,
        budget: Budget,
    ) -> Result<ServedConfig, Refusal> {
        self.config_by(Folder::Cloud, labels, query, budget, |_, text| Ok(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_told_by_the_first_line_as_cloud_init_does() {
        for (text, kind) in [
            ("#cloud-config\na: 1\n", Some(UserDataKind::CloudConfig)),
            ("\n #CLOUD-config\n", Some(UserDataKind::CloudConfig)),
            ("#!/bin/sh\n", Some(UserDataKind::Script)),
            (
                "## template: jinja\n#cloud-config\n",
                Some(UserDataKind::Jinja),
            ),
            (
                "Content-Type: multipart/mixed; boundary=x\n",
                Some(UserDataKind::Mime),
            ),
            ("MIME-Version: 1.0\n", Some(UserDataKind::Mime)),
            ("#include\nhttp://h/\n", Some(UserDataKind::Other)),
            ("#cloud-config-archive\n- a\n", Some(UserDataKind::Other)),
            ("hostname: a\n", None),
            ("", None),
        ] {
            assert_eq!(UserDataKind::of(text), kind, "{text:?}");
        }
    }

    #[test]
    fn text_that_cloud_init_would_not_apply_is_refused() {
        let check = InvalidCloudInitData::check;
        assert_eq!(check("#cloud-config\na: {b: c}\n"), Ok(()));
        assert_eq!(check("#include\n: [\n"), Ok(()));
        assert_eq!(check("a: 1\n"), Err(InvalidCloudInitData::Kind));
        assert_eq!(
            check("#cloud-config\n- a\n"),
            Err(InvalidCloudInitData::NoMapping)
        );
        let broken = check("#cloud-config\na: [\n").unwrap_err();
        assert!(broken.place() >= (2, 1), "{broken:?}");
    }
}
