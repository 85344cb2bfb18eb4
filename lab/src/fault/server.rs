//! Boot server configuration changed by a fault. Pure.

use boot_server::config::Config;

use super::model::{ServerChange, ServerPart};

/// Returns the changed configuration.
///
/// # Errors
/// A sentence if the result is not a valid configuration of the boot server.
pub fn changed(config: &Config, change: &ServerChange) -> Result<Config, String> {
    let mut table = toml::Table::try_from(config).map_err(|error| error.to_string())?;
    for part in &change.without {
        table.remove(match part {
            ServerPart::Dhcp => "dhcp",
            ServerPart::ProxyDhcp => "proxy_dhcp",
            ServerPart::Tftp => "tftp",
            ServerPart::Http => "http",
        });
    }
    merge(&mut table, &change.set);
    let changed: Config = table
        .try_into()
        .map_err(|error| format!("invalid [server.set]: {error}"))?;
    Ok(changed)
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
        let said = changed(&config(), &change(&[], "[dhcp]\nlst = 1")).unwrap_err();
        assert!(said.contains("lst"), "{said}");
    }

    #[test]
    fn no_change_changes_nothing() {
        let none = ServerChange::default();
        assert_eq!(changed(&config(), &none).unwrap(), config());
    }
}
