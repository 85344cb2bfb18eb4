//! The rules: each with an id, a level and a family. `docs/rules.md` has a section for each.

/// Severity of a broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing, and no more.
    Info,
    /// The directory works, but probably not as intended.
    Warning,
    /// Some machine does not come up, or not as it is meant to.
    Error,
}

impl Level {
    /// Returns the name of the level.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Subject of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Files of the directory.
    Structure,
    /// Groups and machines.
    Matching,
    /// Kernel, initrd, options.
    Boot,
    /// cloud-configs and scripts.
    CloudConfig,
    /// Rules about Ignition configs.
    Ignition,
    /// Rules about templates.
    Templates,
    /// Rules about secrets.
    Secrets,
}

/// A rule.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Name in reports and in `docs/rules.md`.
    pub id: &'static str,
    /// Severity of a broken rule.
    pub level: Level,
    /// Subject of the rule.
    pub family: Family,
    /// Problem in one sentence.
    pub summary: &'static str,
}

impl Rule {
    /// Returns the URL of the rule's documentation.
    #[must_use]
    pub fn help_uri(&self) -> String {
        format!("docs/rules.md#{}", self.id)
    }
}

/// Returns the rule of an id.
#[must_use]
pub fn of_id(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

macro_rules! rules {
    ($($family:ident { $($id:literal $level:ident $summary:literal,)* })*) => {
        /// All rules, by family.
        pub const RULES: &[Rule] = &[$($(
            Rule { id: $id, level: Level::$level, family: Family::$family, summary: $summary },
        )*)*];
    };
}

rules! {
    Structure {
        "unreadable" Error "A file or folder cannot be read, or leads outside the directory",
        "layout" Error "The layout of the directory is unknown or ambiguous",
        "syntax" Error "A file is malformed YAML or JSON",
        "wrong-type" Error "A value has the wrong type for its key",
        "missing-key" Error "A required key is missing",
        "api-version" Error "The version of the groups file is unsupported",
        "unknown-key" Warning "A key is unknown and ignored",
        "duplicate-key" Warning "A key occurs twice in one mapping, and the last one counts",
        "duplicate-name" Warning "Two groups have the same name or id",
        "missing-profile" Error "A group refers to a missing spec or profile",
        "missing-config" Error "A spec or profile refers to a missing config",
        "unused-profile" Warning "No group refers to this spec or profile",
        "unused-config" Warning "No spec or profile refers to this config",
        "unread-file" Warning "The file has a name that is ignored",
        "no-group" Warning "No groups are found: every machine is answered 404",
        "id-mismatch" Warning "The id differs from the name of the file or folder, and the name counts",
        "no-boot" Warning "A spec has no boot settings",
        "yaml-octal" Warning "A number with a leading zero is octal, and is served as another number",
        "yaml-boolean" Warning "A bare word is a boolean, and is served as true or false",
        "yaml-number" Warning "A bare number is served in a changed form",
        "yaml-sexagesimal" Info "Bare digits with colons are a number to some readers of YAML",
    }
    Matching {
        "same-requirements" Error "Two groups require the same labels: one is never chosen",
        "several-defaults" Error "Two groups require no labels: one is never chosen",
        "no-default-group" Info "Machines without a group of their own are answered 404",
        "never-chosen" Warning "Every machine that a group matches gets another group",
        "unmatchable-mac" Error "A required MAC has a form that no machine sends",
        "unmatchable-uuid" Error "A required UUID has a form that no machine sends",
        "unmatchable-selector" Error "A required label or value has a form that no machine sends",
        "unsent-label" Warning "A group requires a label that no boot script or config URL sends",
        "machine-unmatched" Error "A machine of the inventory gets no group",
        "machine-default-only" Warning "A machine of the inventory gets the default group, unexpectedly",
        "machine-unexpected" Error "A machine of the inventory does not get what it expects",
    }
    Boot {
        "no-kernel" Error "The boot settings name no kernel",
        "missing-asset" Error "A kernel, initrd or config under /assets/ is missing",
        "kernel-kind" Error "The kernel is a file of another kind",
        "initrd-kind" Error "An initrd is a file of another kind",
        "kernel-architecture" Error "The kernel is of another architecture than its machines",
        "initrd-name" Error "An initrd= option does not match the names of the initrds",
        "initrd-order" Warning "The initrds are unpacked in the wrong order",
        "misspelt-option" Warning "A kernel option looks like a misspelled known option",
        "config-url-without-first-boot" Error "Ignition has a config URL but is not enabled",
        "first-boot-without-config-url" Warning "Ignition is enabled but has no config URL",
        "config-url-invalid" Error "A config URL is invalid for its reader",
        "unserved-url" Error "A config URL is answered 404 by this directory",
        "url-other-group" Error "A config URL has labels that select another group",
        "url-same-other-group" Warning "A config URL selects another group with the same bytes",
        "seed-url-invalid" Error "The URL of a NoCloud seed is not one to which cloud-init can append a name",
        "seed-ignored" Warning "cloud-init 22.4 ignores the seed of ds=nocloud",
        "seed-dmi-value" Warning "cloud-init 22.4 does not fill in the DMI value of a seed's URL",
        "config-never-asked" Warning "A spec has a config that its kernel options do not request",
        "unknown-variable" Warning "A ${…} is unknown to iPXE and expands to nothing",
        "grub-metacharacter" Error "An option has a character that GRUB interprets",
        "shell-ampersand" Error "An unquoted & in a script's URL ends the command",
        "pixiecore-variable" Warning "A ${…} is not expanded by Pixiecore's PXELINUX",
        "pixiecore-quotes" Warning "A value that Pixiecore puts in quotes",
        "pixiecore-initrd" Error "A kernel or initrd has iPXE options, which Pixiecore reads as part of the URL",
        "nbp-refused" Warning "Secure Boot of a machine refuses every boot program in the folders",
        "kernel-refused" Warning "Secure Boot of a machine refuses its kernel",
        "no-console" Info "No console= option",
    }
    CloudConfig {
        "cloud-config-header" Error "The first line declares neither cloud-config nor a script",
        "cloud-config-syntax" Error "A cloud-config is not YAML",
        "cloud-config-value" Error "A value is not one of the allowed values",
        "cloud-config-content" Error "The content of a file does not match its encoding",
        "cloud-config-read-only-path" Error "A file is to be written below /usr",
        "cloud-config-unknown-key" Warning "A key is unknown to coreos-cloudinit",
        "cloud-config-type" Warning "A value has the wrong type for its key",
        "cloud-config-deprecated" Warning "A key is deprecated",
        "cloud-config-discovery" Warning "The discovery URL of etcd is invalid",
        "cloud-config-misplaced-key" Info "write_files is below coreos",
        "cloud-config-variable" Warning "A variable such as $private_ipv4 is not expanded",
        "cloud-init-unknown-key" Warning "A key is unknown to cloud-init",
        "cloud-init-type" Error "A value has the wrong type for cloud-init",
        "cloud-init-missing-key" Error "A key required by cloud-init is missing",
        "cloud-init-value" Error "A value is refused by cloud-init's schema",
        "cloud-init-deprecated" Warning "A key or value is deprecated by cloud-init",
        "cloud-init-part" Warning "A part of a MIME message is of no type that cloud-init knows",
        "cloud-init-unchecked" Info "A jinja template is not checked by cloud-init's schema",
        "unquoted-permissions" Info "Permissions without quotes are a number to other readers",
    }
    Ignition {
        "ignition-syntax" Error "An Ignition config is not JSON",
        "translation-refused" Error "A Butane or Container Linux Config is refused by its translator",
        "translation-warning" Warning "A translator questions a Butane or Container Linux Config",
        "ignition-too-new" Error "The Ignition of a machine's image cannot read the version of its config",
        "ignition-version" Error "An Ignition config is of no known version",
        "ignition-unknown-key" Warning "A key is unknown to this version of Ignition",
        "ignition-missing-key" Error "A key required by Ignition is missing",
        "ignition-type" Error "A value has the wrong type for Ignition",
        "ignition-value" Error "A value is refused by Ignition",
        "ignition-duplicate" Error "The same path, unit, user or device twice",
        "decimal-mode" Warning "A mode looks octal but is decimal to Ignition",
        "ignition-validate" Error "The ignition-validate program refuses a config",
    }
    Templates {
        "template-syntax" Error "A config is not a valid Go template",
        "template-missing-key" Error "A template uses a value that some machine lacks",
        "template-failed" Error "A template cannot be executed for some machine",
        "template-format" Warning "A printf verb gets a value of the wrong type",
    }
    Secrets {
        "private-key" Warning "A private key is in a config that any host on the network can fetch",
        "password-hash" Warning "A password hash is in a config that any host on the network can fetch",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_kebab_case_and_each_is_there_once() {
        let mut seen = HashSet::new();
        for rule in RULES {
            assert!(seen.insert(rule.id), "{}", rule.id);
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(rule.id.chars().all(kebab), "{}", rule.id);
            assert_eq!(of_id(rule.id), Some(rule));
        }
    }
}
