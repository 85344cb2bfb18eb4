//! The cloud-config language: what a `#cloud-config` text asks for, read once into types.
//!
//! Reading is as lenient as coreos-cloudinit's: unknown keys and values of the wrong type are
//! noted in [`CloudConfig::notes`] and otherwise without effect. Whether the values make sense is
//! found out when they are applied, in the same order as there.

pub mod raw;
pub mod read;
pub mod sections;
pub mod substitute;
pub mod yaml;

use thiserror::Error;

use read::Reader;
use sections::Section;
pub use substitute::Substitutions;

/// Cloud-config. Empty texts and empty lists mean that nothing is requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudConfig {
    /// The host name.
    pub hostname: String,
    /// `manage_etc_hosts`; only `localhost` has a meaning.
    pub manage_etc_hosts: String,
    /// Keys for the user `core`.
    pub ssh_authorized_keys: Vec<String>,
    /// Users to create or change.
    pub users: Vec<User>,
    /// Files to write.
    pub write_files: Vec<File>,
    /// Units of systemd and systemd-networkd.
    pub units: Vec<Unit>,
    /// Section `coreos.update` of the file.
    pub update: Update,
    /// Section `coreos.oem` of the file.
    pub oem: Oem,
    /// `coreos.etcd`, as environment variables.
    pub etcd: Vec<(&'static str, String)>,
    /// `coreos.etcd2`, as environment variables.
    pub etcd2: Vec<(&'static str, String)>,
    /// `coreos.fleet`, as environment variables.
    pub fleet: Vec<(&'static str, String)>,
    /// `coreos.flannel`, as environment variables.
    pub flannel: Vec<(&'static str, String)>,
    /// `coreos.locksmith`, as environment variables.
    pub locksmith: Vec<(&'static str, String)>,
    /// Parts ignored while reading, each with its line.
    pub notes: Vec<String>,
}

/// Entry of `users`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Login name of the user.
    pub name: String,
    /// Password hash, as in `/etc/shadow`.
    pub passwd: String,
    /// Keys added to the user's.
    pub ssh_authorized_keys: Vec<String>,
    /// Sources to import keys from (GitHub users or URLs).
    pub ssh_imports: Vec<String>,
    /// Real name (GECOS field).
    pub gecos: String,
    /// Path of the home folder.
    pub homedir: String,
    /// Do not create it.
    pub no_create_home: bool,
    /// Name of the main group.
    pub primary_group: String,
    /// Names of further groups.
    pub groups: Vec<String>,
    /// No group of the user's own name.
    pub no_user_group: bool,
    /// A system account.
    pub system: bool,
    /// True if the user is left out of lastlog and faillog.
    pub no_log_init: bool,
    /// Path of the login shell.
    pub shell: String,
}

/// Entry of `write_files`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Path of the file; relative paths begin at the root.
    pub path: String,
    /// `user` or `user:group`, as chown takes it.
    pub owner: String,
    /// Octal, as text; 0644 when empty.
    pub permissions: String,
    /// The content, decoded.
    pub content: Vec<u8>,
}

/// Entry of `coreos.units`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Name with its suffix.
    pub name: String,
    /// Make it a link to `/dev/null`.
    pub mask: bool,
    /// True if the unit is to be enabled.
    pub enable: bool,
    /// In `/run` instead of `/etc`.
    pub runtime: bool,
    /// The unit file.
    pub content: String,
    /// Command for the unit at the end: `start`, `stop`, `restart`, …
    pub command: String,
    /// Drop-in files of the unit.
    pub drop_ins: Vec<DropIn>,
}

/// Entry of a unit's `drop_ins`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DropIn {
    /// File name of the drop-in.
    pub name: String,
    /// Content of the drop-in.
    pub content: String,
}

/// `coreos.update`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// `best-effort`, `etcd-lock`, `reboot` or `off`.
    pub reboot_strategy: String,
    /// Update group, e.g. `stable`.
    pub group: String,
    /// URL of the update server.
    pub server: String,
}

/// Section `coreos.oem` of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields of os-release, under their own names"
)]
pub struct Oem {
    pub id: String,
    pub name: String,
    pub version_id: String,
    pub home_url: String,
    pub bug_report_url: String,
}

/// Reasons that a `#cloud-config` is unusable.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The text is not YAML.
    #[error(transparent)]
    Yaml(#[from] yaml::YamlError),
    /// The content of a file is not what its `encoding` says.
    #[error("line {line}: {reason}")]
    Content {
        /// Line of the content, from 1.
        line: usize,
        /// Reason that the content does not decode.
        reason: read::EncodingError,
    },
}

impl CloudConfig {
    /// Reads a whole `#cloud-config` text.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not YAML, or content does not decode.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let root = yaml::parse(text)?;
        let mut reader = Reader::new(&root);
        let mut config = CloudConfig {
            hostname: reader.text("hostname"),
            manage_etc_hosts: reader.text("manage_etc_hosts"),
            ssh_authorized_keys: reader.texts("ssh_authorized_keys"),
            users: reader.each("users", |user| Ok(read_user(user)))?,
            write_files: reader.each("write_files", read_file)?,
            ..CloudConfig::default()
        };
        reader.inside("coreos", |coreos| {
            config.units = coreos.each("units", read_unit)?;
            coreos.inside("update", |update| {
                config.update = Update {
                    reboot_strategy: update.text("reboot_strategy"),
                    group: update.text("group"),
                    server: update.text("server"),
                };
                Ok(())
            })?;
            coreos.inside("oem", |oem| {
                config.oem = Oem {
                    id: oem.text("id"),
                    name: oem.text("name"),
                    version_id: oem.text("version_id"),
                    home_url: oem.text("home_url"),
                    bug_report_url: oem.text("bug_report_url"),
                };
                Ok(())
            })?;
            for (key, section, variables) in [
                ("etcd", Section::ETCD, &mut config.etcd),
                ("etcd2", Section::ETCD2, &mut config.etcd2),
                ("fleet", Section::FLEET, &mut config.fleet),
                ("flannel", Section::FLANNEL, &mut config.flannel),
                ("locksmith", Section::LOCKSMITH, &mut config.locksmith),
            ] {
                coreos.inside(key, |options| {
                    *variables = section.read(options);
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        config.notes = reader.finish();
        Ok(config)
    }
}

fn read_user(user: &mut Reader<'_>) -> User {
    let mut ssh_imports = user.texts("coreos_ssh_import_github_users");
    for key in ["coreos_ssh_import_github", "coreos_ssh_import_url"] {
        let from = user.text(key);
        if !from.is_empty() {
            ssh_imports.push(from);
        }
    }
    User {
        name: user.text("name"),
        passwd: user.text("passwd"),
        ssh_authorized_keys: user.texts("ssh_authorized_keys"),
        ssh_imports,
        gecos: user.text("gecos"),
        homedir: user.text("homedir"),
        no_create_home: user.flag("no_create_home"),
        primary_group: user.text("primary_group"),
        groups: user.texts("groups"),
        no_user_group: user.flag("no_user_group"),
        system: user.flag("system"),
        no_log_init: user.flag("no_log_init"),
        shell: user.text("shell"),
    }
}

fn read_file(file: &mut Reader<'_>) -> Result<File, ConfigError> {
    let encoding = file.text("encoding");
    let line = file.line_of("content");
    let content = read::decode_content(&encoding, &file.text("content"))
        .map_err(|reason| ConfigError::Content { line, reason })?;
    Ok(File {
        path: file.text("path"),
        owner: file.text("owner"),
        permissions: file.text("permissions"),
        content,
    })
}

fn read_unit(unit: &mut Reader<'_>) -> Result<Unit, ConfigError> {
    Ok(Unit {
        name: unit.text("name"),
        mask: unit.flag("mask"),
        enable: unit.flag("enable"),
        runtime: unit.flag("runtime"),
        content: unit.text("content"),
        command: unit.text("command"),
        drop_ins: unit.each("drop_ins", |drop_in| {
            Ok(DropIn {
                name: drop_in.text("name"),
                content: drop_in.text("content"),
            })
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_loses_only_itself_and_is_noted() {
        let config = CloudConfig::parse(
            "#cloud-config\nhostname: [a]\nusers: x\nwrite_files:\n  - path: /a\n  - 3\nhostnam: b\n",
        )
        .unwrap();
        assert_eq!(config.hostname, "");
        assert_eq!(config.write_files.len(), 1);
        assert_eq!(
            config.notes,
            [
                "line 2: hostname is not a string",
                "line 3: users is not a list",
                "line 6: an entry of write_files is not a map",
                "line 7: unknown key hostnam",
            ]
        );
    }

    #[test]
    fn flags_are_yaml_1_1_booleans_without_quotes() {
        let config = CloudConfig::parse(
            "#cloud-config\ncoreos:\n  units:\n    - {name: a, enable: yes, mask: \"true\"}\n",
        )
        .unwrap();
        let unit = config.units.first().unwrap();
        assert!(unit.enable);
        assert!(!unit.mask);
    }

    #[test]
    fn services_become_variables_in_the_references_order() {
        let config = CloudConfig::parse(
            "#cloud-config\ncoreos:\n  etcd2:\n    proxy: on\n    debug: true\n    max-wals: 5\n    \
             force_new_cluster: false\n    name: n\n",
        )
        .unwrap();
        assert_eq!(
            config.etcd2,
            [
                ("ETCD_DEBUG", "true".to_owned()),
                ("ETCD_MAX_WALS", "5".to_owned()),
                ("ETCD_NAME", "n".to_owned()),
                ("ETCD_PROXY", "on".to_owned()),
            ]
        );
    }

    #[test]
    fn content_that_does_not_decode_names_its_line() {
        let error = CloudConfig::parse(
            "#cloud-config\nwrite_files:\n  - path: /a\n    encoding: b64\n    content: \"*\"\n",
        )
        .unwrap_err();
        assert!(error.to_string().starts_with("line 5: "), "{error}");
    }
}
