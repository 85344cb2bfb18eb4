//! Boot server configuration changed by a fault. Pure.

use std::path::Path;

use boot_server::config::Config;
use lab_model::fault::{ServerChange, ServerPart};
use thiserror::Error;

/// Placeholder of the scenario's data directory in texts of `[server.set]`.
const DATA: &str = "{data}";

/// Change that does not result in a valid configuration of the boot server.
#[derive(Debug, Error)]
pub enum ServerChangeError {
    /// The configuration has no representation in TOML.
    #[error(transparent)]
    Config(#[from] toml::ser::Error),
    /// A key or value is refused.
    #[error("invalid [server.set]: {0}")]
    Set(#[source] toml::de::Error),
}

/// Returns the changed configuration; `data` is the scenario's data directory.
///
/// # Errors
/// [`ServerChangeError`] if the result is not a valid configuration of the boot server.
pub(super) fn changed(
    config: &Config,
    change: &ServerChange,
    data: &Path,
) -> Result<Config, ServerChangeError> {
    let mut table = toml::Table::try_from(config)?;
    for part in &change.without {
        table.remove(match part {
            ServerPart::Dhcp => "dhcp",
            ServerPart::ProxyDhcp => "proxy_dhcp",
            ServerPart::Tftp => "tftp",
            ServerPart::Http => "http",
        });
    }
    let mut set = toml::Value::Table(change.set.clone());
    expand(&mut set, &data.display().to_string());
    if let toml::Value::Table(set) = &set {
        merge(&mut table, set);
    }
    table.try_into().map_err(ServerChangeError::Set)
}

/// Replaces the placeholder in every text.
fn expand(value: &mut toml::Value, data: &str) {
    match value {
        toml::Value::String(text) => *text = text.replace(DATA, data),
        toml::Value::Array(values) => values.iter_mut().for_each(|one| expand(one, data)),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, one)| expand(one, data)),
        _ => {}
    }
}

/// Merges the values of `from` into `into`, table by table.
fn merge(into: &mut toml::Table, from: &toml::Table) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use boot_server::config::{DhcpConfig, TftpConfig};

    use super::*;

    fn config() -> Config {
        let pool = ["192.168.92.2", "192.168.92.254"].map(|address| address.parse().unwrap());
        let [first, last] = pool;
        Config {
            dhcp: Some(DhcpConfig::new(
                "192.168.92.0/24".parse().unwrap(),
                first,
                last,
            )),
            tftp: Some(TftpConfig::default()),
            ..Config::default()
        }
    }

    fn change(without: &[ServerPart], set: &str) -> ServerChange {
        ServerChange {
            without: without.to_vec(),
            set: set.parse().unwrap(),
        }
    }

    fn changed(config: &Config, change: &ServerChange) -> Result<Config, ServerChangeError> {
        super::changed(config, change, Path::new("/srv/data"))
    }

    #[test]
    fn changed_names_the_data_directory_where_a_value_asks_for_it() {
        let change = change(&[], "[tftp]\nroots = [\"{data}/tftp\"]");
        let tftp = changed(&config(), &change).unwrap().tftp.unwrap();
        assert_eq!(tftp.roots, [Path::new("/srv/data/tftp")]);
    }

    #[test]
    fn parts_are_taken_out_and_keys_are_set() {
        let change = change(&[ServerPart::Tftp], "[dhcp]\nlast = \"192.168.92.2\"");
        let changed = changed(&config(), &change).unwrap();
        assert_eq!(changed.tftp, None);
        let dhcp = changed.dhcp.unwrap();
        assert_eq!(dhcp.last.to_string(), "192.168.92.2");
        assert_eq!(dhcp.first.to_string(), "192.168.92.2");
    }

    #[test]
    fn a_key_that_the_server_does_not_know_is_refused() {
        let error = changed(&config(), &change(&[], "[dhcp]\nlst = 1")).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("lst"), "{said}");
    }

    #[test]
    fn no_change_changes_nothing() {
        let none = ServerChange::default();
        assert_eq!(changed(&config(), &none).unwrap(), config());
    }
}
