//! `pxelinux.cfg/…` rendered from the same groups as iPXE's scripts.
//!
//! PXELINUX asks for several names and takes the first that exists, so each machine's configuration
//! exists under one name only: the one that says what its group requires. A group that requires a
//! UUID is found under the UUID, one that requires a MAC under the MAC, one with other requirements
//! under the address, one that requires nothing under `default`. The match itself is made with
//! everything known of the machine, whatever the name.

use std::net::Ipv4Addr;

use boot_server_proto::pxelinux::{Config, ConfigName, RenderError};
use uuid::Uuid;

use super::variables::{ExpandError, Machine, expand};
use crate::catalog::snapshot::Refusal;
use crate::catalog::{BootCatalog, BootSettings, Labels, Selection};

/// A rendered configuration and the group it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedConfig {
    /// Text of the configuration.
    pub text: String,
    /// The group that matched.
    pub group: String,
    /// Label keys that the group requires, sorted.
    pub selectors: Vec<String>,
}

/// Reasons that no configuration exists under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PxelinuxError {
    /// No group, or no usable spec.
    #[error(transparent)]
    NoMatch(#[from] Refusal),
    /// The machine's group is served under another name.
    #[error("group `{group}` is served {place}, not under this name")]
    OtherName {
        /// The group that matched.
        group: String,
        /// Name under which the machine's configuration is served.
        place: &'static str,
    },
    /// The spec boots nothing.
    #[error("group `{group}`, spec `{spec}`: nothing to boot")]
    NoBoot {
        /// The group that matched.
        group: String,
        /// Spec of the group.
        spec: String,
    },
    /// A kernel or initrd that PXELINUX cannot load by TFTP.
    #[error(
        "group `{group}`: PXELINUX cannot load `{file}`; only files under /assets/ come by TFTP"
    )]
    File {
        /// The group that matched.
        group: String,
        /// The file as written.
        file: String,
    },
    /// Variable that cannot be expanded.
    #[error("group `{group}`: {source}")]
    Variable {
        /// The group that matched.
        group: String,
        /// Expansion error that names the variable.
        source: ExpandError,
    },
    /// A value that cannot be written.
    #[error("group `{group}`: {source}")]
    Render {
        /// The group that matched.
        group: String,
        /// Rendering error that names the value.
        source: RenderError,
    },
}

/// Renders the configuration that a machine finds under a name.
///
/// `machine` is what is known of the asker from its DHCP exchange; the name adds to it. `assets_url`
/// is where `/assets/` is by HTTP, so that a spec which names it so is understood.
///
/// # Errors
/// [`PxelinuxError`].
pub fn pxelinux_config(
    catalog: &dyn BootCatalog,
    name: ConfigName,
    mut machine: Machine,
    assets_url: Option<&str>,
) -> Result<RenderedConfig, PxelinuxError> {
    let selection = match name {
        ConfigName::Uuid(asked) => select_by_uuid(catalog, asked, &mut machine),
        ConfigName::Mac(mac) => {
            machine.mac = Some(mac);
            catalog.select(&labels(&machine))
        }
        ConfigName::Address(_) | ConfigName::AddressPrefix | ConfigName::Default => {
            catalog.select(&labels(&machine))
        }
    };
    let selection = selection?;
    let group = selection.group.clone();
    let place = place(&selection);
    if !place.is(name, machine.address) {
        return Err(PxelinuxError::OtherName {
            group,
            place: place.describe(),
        });
    }
    let Some(boot) = &selection.boot else {
        return Err(PxelinuxError::NoBoot {
            group,
            spec: selection.spec_id,
        });
    };
    let text = render(boot, &group, &machine, assets_url)?;
    Ok(RenderedConfig {
        text,
        group,
        selectors: selection.require.keys(),
    })
}

/// Matches the machine whose UUID is in the name.
///
/// PXELINUX 6.04 writes the bytes of option 97 as they are, so the first three fields of the name
/// come in SMBIOS's byte order; people, and other loaders, write the UUID as it is shown. Both mean
/// the same machine: the order under which a group asks for this UUID is the right one.
pub(super) fn select_by_uuid(
    catalog: &dyn BootCatalog,
    asked: Uuid,
    machine: &mut Machine,
) -> Result<Selection, Refusal> {
    let swapped = Uuid::from_bytes_le(asked.into_bytes());
    for uuid in [swapped, asked] {
        machine.uuid = Some(uuid);
        let selection = catalog.select(&labels(machine));
        if selection
            .as_ref()
            .is_ok_and(|selection| place(selection) == Place::Uuid)
        {
            return selection;
        }
    }
    machine.uuid = Some(swapped);
    catalog.select(&labels(machine))
}

pub(super) fn labels(machine: &Machine) -> Labels {
    let mut labels = Labels::default();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            labels.0.insert(key.to_owned(), value);
        }
    };
    set("uuid", machine.uuid.map(|uuid| uuid.to_string()));
    set("mac", machine.mac.map(|mac| mac.to_string()));
    set("hostname", machine.hostname.clone());
    labels
}

/// The one name under which a group's configuration exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Uuid,
    Mac,
    Address,
    Default,
}

impl Place {
    fn is(self, name: ConfigName, address: Option<Ipv4Addr>) -> bool {
        match name {
            ConfigName::Uuid(_) => self == Place::Uuid,
            ConfigName::Mac(_) => self == Place::Mac,
            // Only its own address: another machine's labels are not this one's.
            ConfigName::Address(asked) => self == Place::Address && address == Some(asked),
            ConfigName::AddressPrefix => false,
            ConfigName::Default => self == Place::Default,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Place::Uuid => "under the machine's UUID",
            Place::Mac => "under the machine's MAC",
            Place::Address => "under the machine's address",
            Place::Default => "as `default`",
        }
    }
}

fn place(selection: &Selection) -> Place {
    // An empty required value matches a label that is absent: it needs no name to carry it.
    let requires = |key: &str| {
        selection
            .require
            .get(key)
            .is_some_and(|value| !value.is_empty())
    };
    if requires("uuid") {
        Place::Uuid
    } else if requires("mac") {
        Place::Mac
    } else if selection.require.iter().any(|(_, value)| !value.is_empty()) {
        Place::Address
    } else {
        Place::Default
    }
}

fn render(
    boot: &BootSettings,
    group: &str,
    machine: &Machine,
    assets_url: Option<&str>,
) -> Result<String, PxelinuxError> {
    let group = || group.to_owned();
    let expanded = |text: &str| {
        expand(text, machine).map_err(|source| PxelinuxError::Variable {
            group: group(),
            source,
        })
    };
    let file = |written: &str| {
        let text = expanded(written)?;
        tftp_path(&text, assets_url).ok_or_else(|| PxelinuxError::File {
            group: group(),
            file: written.to_owned(),
        })
    };
    let config = Config {
        kernel: file(&boot.kernel)?,
        initrds: boot
            .initrd
            .iter()
            .map(|initrd| file(initrd))
            .collect::<Result<_, _>>()?,
        options: boot
            .options
            .iter()
            .map(|option| expanded(option))
            .collect::<Result<_, _>>()?,
    };
    config.render().map_err(|source| PxelinuxError::Render {
        group: group(),
        source,
    })
}

/// Returns the path by TFTP of a file that a spec names for HTTP.
fn tftp_path(file: &str, assets_url: Option<&str>) -> Option<String> {
    let path = match assets_url.and_then(|url| file.strip_prefix(url)) {
        Some(below) => format!("assets/{}", below.trim_start_matches('/')),
        None if file.contains("://") || file.is_empty() => return None,
        None => file.trim_start_matches('/').to_owned(),
    };
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boot_server_proto::mac::MacAddr;

    use super::*;

    const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    /// Groups in the order they are tried.
    struct Groups(Vec<(&'static str, Vec<(&'static str, &'static str)>)>);

    impl BootCatalog for Groups {
        fn select(&self, labels: &Labels) -> Result<Selection, Refusal> {
            let matches = |(key, value): &(&str, &str)| {
                labels.0.get(*key).map_or("", String::as_str) == *value
            };
            let found = self
                .0
                .iter()
                .find(|(_, require)| require.iter().all(matches));
            let (group, require) =
                found.ok_or_else(|| Refusal::without_group("no group matched"))?;
            Ok(Selection {
                group: (*group).to_owned(),
                require: require.iter().copied().collect(),
                spec_id: "spec".into(),
                boot: Some(Arc::new(BootSettings {
                    kernel: "/assets/vmlinuz".into(),
                    initrd: vec!["/assets/a".into(), "http://10.0.0.1:8080/assets/b".into()],
                    options: vec![
                        "cloud-config-url=http://x/cloud?mac=${net0/mac:hexhyp}".into(),
                        "coreos.autologin".into(),
                    ],
                })),
            })
        }
    }

    fn groups() -> Groups {
        Groups(vec![
            ("by-uuid", vec![("uuid", UUID)]),
            ("by-mac", vec![("mac", "52:54:00:00:00:01")]),
            ("by-host", vec![("hostname", "node3")]),
            ("anyone", vec![]),
        ])
    }

    fn machine(uuid: Option<&str>, mac: u8, hostname: Option<&str>) -> Machine {
        Machine {
            uuid: uuid.map(|uuid| uuid.parse().unwrap()),
            mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, mac])),
            address: Some(ADDRESS),
            hostname: hostname.map(str::to_owned),
        }
    }

    fn served_under(machine: &Machine) -> Vec<&'static str> {
        let other = "264cd073-ca62-44b3-98c0-50aad5b5f819";
        let names = [
            (
                "uuid",
                ConfigName::Uuid(machine.uuid.unwrap_or(other.parse().unwrap())),
            ),
            ("mac", ConfigName::Mac(machine.mac.unwrap())),
            ("address", ConfigName::Address(ADDRESS)),
            ("prefix", ConfigName::AddressPrefix),
            ("default", ConfigName::Default),
        ];
        names
            .into_iter()
            .filter(|(_, name)| {
                let url = Some("http://10.0.0.1:8080/assets/");
                pxelinux_config(&groups(), *name, machine.clone(), url).is_ok()
            })
            .map(|(text, _)| text)
            .collect()
    }

    #[test]
    fn each_machine_finds_its_configuration_under_exactly_one_name() {
        assert_eq!(served_under(&machine(Some(UUID), 1, None)), ["uuid"]);
        assert_eq!(served_under(&machine(None, 1, None)), ["mac"]);
        assert_eq!(served_under(&machine(None, 3, Some("node3"))), ["address"]);
        assert_eq!(served_under(&machine(None, 9, None)), ["default"]);
    }

    /// `a7d8e716-…` is how PXELINUX asks for the machine with the UUID `16e7d8a7-…`.
    #[test]
    fn a_uuid_is_found_in_smbios_order_and_as_it_is_shown() {
        for name in ["a7d8e716-a9bf-8b42-9117-363341bb330b", UUID] {
            let name = ConfigName::Uuid(name.parse().unwrap());
            let url = Some("http://10.0.0.1:8080/assets/");
            let config = pxelinux_config(&groups(), name, machine(None, 9, None), url).unwrap();
            assert_eq!(config.group, "by-uuid");
        }
    }

    #[test]
    fn another_machines_address_is_not_served() {
        let name = ConfigName::Address(Ipv4Addr::new(10, 0, 0, 8));
        let error = pxelinux_config(&groups(), name, machine(None, 3, Some("node3")), None);
        assert!(
            matches!(error, Err(PxelinuxError::OtherName { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn files_become_tftp_paths_and_variables_are_expanded() {
        let rendered = pxelinux_config(
            &groups(),
            ConfigName::Default,
            machine(None, 9, None),
            Some("http://10.0.0.1:8080/assets/"),
        )
        .unwrap();
        assert_eq!(rendered.group, "anyone");
        assert_eq!(
            rendered.text,
            "DEFAULT boot\nPROMPT 0\nTIMEOUT 0\n\nLABEL boot\n  KERNEL assets/vmlinuz\n  \
             INITRD assets/a,assets/b\n  APPEND cloud-config-url=http://x/cloud?mac=52-54-00-00-00-09 \
             coreos.autologin\n"
        );
    }

    #[test]
    fn a_file_that_only_http_has_is_an_error_that_names_it() {
        let error = pxelinux_config(&groups(), ConfigName::Default, machine(None, 9, None), None)
            .unwrap_err();
        assert_eq!(
            error,
            PxelinuxError::File {
                group: "anyone".into(),
                file: "http://10.0.0.1:8080/assets/b".into()
            }
        );
    }

    #[test]
    fn a_variable_nobody_knows_is_an_error_and_not_a_hole() {
        let unknown = Machine {
            mac: None,
            ..machine(None, 9, None)
        };
        let url = Some("http://10.0.0.1:8080/assets/");
        let error = pxelinux_config(&groups(), ConfigName::Default, unknown, url).unwrap_err();
        assert!(matches!(error, PxelinuxError::Variable { .. }), "{error}");
    }
}
