//! The rules: each with an id, a level and what it is about. `docs/rules.md` has a section for each.

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

/// The rule of an id.
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
        "unreadable" Error "A file or folder can't be read, or leads out of the directory",
        "layout" Error "The directory is neither bootcfg's nor matchbox's, or both",
        "syntax" Error "A file is not the YAML or JSON that it should be",
        "wrong-type" Error "A value is of another kind than its key is for",
        "missing-key" Error "A key that has to be there is not",
        "api-version" Error "The groups file is of a version that is not known",
        "unknown-key" Warning "A key means nothing and is ignored",
        "duplicate-key" Warning "A key stands twice in one mapping, and the last one counts",
        "duplicate-name" Warning "Two groups have the same name or id",
        "missing-profile" Error "A group names a spec or profile that is not there",
        "missing-config" Error "A spec or profile names a config that is not there",
        "unused-profile" Warning "No group names this spec or profile",
        "unused-config" Warning "No spec or profile names this config",
        "unread-file" Warning "The file has a name under which it is not read",
        "no-group" Warning "No group is read, so that every machine is answered 404",
        "id-mismatch" Warning "The id is not the name of the file or folder, which is what counts",
        "no-boot" Warning "A spec has no boot settings",
        "yaml-octal" Warning "A number with a leading zero is octal, and is served as another number",
        "yaml-boolean" Warning "A bare word is a boolean, and is served as true or false",
        "yaml-number" Warning "A bare number is served otherwise than it is written",
        "yaml-sexagesimal" Info "Bare digits with colons are a number to some readers of YAML",
    }
    Matching {
        "same-requirements" Error "Two groups require the same, so that one is never chosen",
        "several-defaults" Error "Two groups require nothing, so that one is never chosen",
        "no-default-group" Info "Machines that no group is meant for are answered 404",
        "never-chosen" Warning "A group matches machines, and each of them gets another group",
        "unmatchable-mac" Error "A required MAC that no machine can have as its label",
        "unmatchable-uuid" Error "A required UUID that no machine sends so",
        "unmatchable-selector" Error "A required label or value that no machine sends so",
        "unsent-label" Warning "A group requires a label that no script and no config URL sends",
        "machine-unmatched" Error "A machine of the inventory gets no group",
        "machine-default-only" Warning "A machine of the inventory gets the default group, unexpectedly",
        "machine-unexpected" Error "A machine of the inventory gets something else than expected",
    }
    Boot {
        "no-kernel" Error "The boot settings name no kernel",
        "missing-asset" Error "A kernel, initrd or config under /assets/ is not there",
        "kernel-kind" Error "The kernel is a file of another kind",
        "initrd-kind" Error "An initrd is a file of another kind",
        "kernel-architecture" Error "The kernel is of another architecture than its machines",
        "initrd-name" Error "An initrd= option and the names of the initrds don't fit",
        "initrd-order" Warning "The initrds are unpacked in another order than they should be",
        "misspelt-option" Warning "A kernel option is nearly a known one",
        "config-url-without-first-boot" Error "Ignition has a config URL and is not asked to run",
        "first-boot-without-config-url" Warning "Ignition is asked to run and has no config URL",
        "config-url-invalid" Error "A config URL is none that its reader fetches",
        "unserved-url" Error "A config URL is answered 404 by this directory",
        "url-other-group" Error "A config URL asks with labels by which another group is chosen",
        "url-same-other-group" Warning "A config URL asks as for another group, which gives the same bytes",
        "config-never-asked" Warning "A spec has a config that its kernel options don't lead to",
        "unknown-variable" Warning "A ${…} that iPXE does not know, and makes nothing of",
        "grub-metacharacter" Error "A character in an option that GRUB takes for its own",
        "shell-ampersand" Error "An & in a script's URL that ends the command",
        "pixiecore-variable" Warning "A ${…} that Pixiecore's PXELINUX does not fill in",
        "pixiecore-quotes" Warning "A value that Pixiecore puts in quotes",
        "pixiecore-initrd" Error "A kernel or initrd with iPXE's options, which Pixiecore takes for one URL",
        "no-console" Info "No console= option",
    }
    CloudConfig {
        "cloud-config-header" Error "The first line says neither cloud-config nor script",
        "cloud-config-syntax" Error "A cloud-config is not YAML",
        "cloud-config-value" Error "A value is none of those that are allowed",
        "cloud-config-content" Error "The content of a file is not in its encoding",
        "cloud-config-read-only-path" Error "A file is to be written below /usr",
        "cloud-config-unknown-key" Warning "A key that coreos-cloudinit does not know",
        "cloud-config-type" Warning "A value of another kind than its key is for",
        "cloud-config-deprecated" Warning "A key that is deprecated",
        "cloud-config-discovery" Warning "etcd's discovery URL is none",
        "cloud-config-misplaced-key" Info "write_files below coreos",
        "cloud-config-variable" Warning "A $private_ipv4 that nothing fills in",
        "unquoted-permissions" Info "Permissions without quotes are a number to other readers",
    }
    Ignition {
        "ignition-syntax" Error "An Ignition config is not JSON",
        "ignition-version" Error "An Ignition config is of no known version",
        "ignition-unknown-key" Warning "A key that this version of Ignition does not know",
        "ignition-missing-key" Error "A key that Ignition wants is not there",
        "ignition-type" Error "A value of another kind than Ignition wants",
        "ignition-value" Error "A value that Ignition refuses",
        "ignition-duplicate" Error "The same path, unit, user or device twice",
        "decimal-mode" Warning "A mode that is octal by its looks and decimal to Ignition",
        "ignition-validate" Error "The ignition-validate program refuses a config",
    }
    Templates {
        "template-syntax" Error "A config is no Go template",
        "template-missing-key" Error "A template uses a value that some machine has not",
        "template-failed" Error "A template can't be executed for some machine",
        "template-format" Warning "A verb of printf gets a value that it does not take",
    }
    Secrets {
        "private-key" Warning "A private key in a config that anybody on the network can ask for",
        "password-hash" Warning "A password hash in a config that anybody on the network can ask for",
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
