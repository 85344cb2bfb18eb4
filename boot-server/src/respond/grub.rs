//! `grub.cfg` by TFTP, rendered from the same groups as iPXE's scripts.
//!
//! GRUB asks for several names and takes the first that exists. Unlike PXELINUX's, all of them mean the
//! same here: the machine is the one seen with the address that asks, and the name adds its UUID or MAC.
//! It knows none of iPXE's variables: the machine's attributes are filled in here.

use boot_server_proto::grub;
use boot_server_proto::pxelinux::ConfigName;
use uuid::Uuid;

use super::pxelinux::{RenderedConfig, labels, select_by_uuid};
use super::variables::{ExpandError, Machine, expand};
use crate::catalog::BootCatalog;
use crate::catalog::snapshot::Refusal;

/// Reasons that a machine gets no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrubError {
    /// No group, or no usable profile.
    #[error(transparent)]
    NoMatch(#[from] Refusal),
    /// The name is another machine's, or a whole network's.
    #[error("the name does not identify a machine; GRUB tries its next name")]
    OtherName,
    /// The profile boots nothing.
    #[error("group `{0}`: nothing to boot")]
    NoBoot(String),
    /// Variable that cannot be expanded.
    #[error("group `{group}`: {source}")]
    Variable {
        /// The group that matched.
        group: String,
        /// Expansion error that names the variable.
        source: ExpandError,
    },
}

/// Renders the menu that a machine finds under a name. `assets_url` is where `/assets/` is by HTTP: what is there comes by
/// TFTP as well, and so GRUB needs no HTTP.
///
/// # Errors
/// [`GrubError`].
pub fn grub_config(
    catalog: &dyn BootCatalog,
    name: ConfigName,
    mut machine: Machine,
    assets_url: Option<&str>,
) -> Result<RenderedConfig, GrubError> {
    let selection = match name {
        ConfigName::Uuid(asked) if !is_known(asked, &machine) => {
            select_by_uuid(catalog, asked, &mut machine)
        }
        ConfigName::Address(asked) if machine.address != Some(asked) => {
            return Err(GrubError::OtherName);
        }
        ConfigName::AddressPrefix => return Err(GrubError::OtherName),
        ConfigName::Mac(mac) => {
            machine.mac = Some(mac);
            catalog.select(&labels(&machine))
        }
        ConfigName::Uuid(_) | ConfigName::Address(_) | ConfigName::Default => {
            catalog.select(&labels(&machine))
        }
    };
    let machine = &machine;
    let selection = selection?;
    let group = selection.group;
    let Some(boot) = selection.boot else {
        return Err(GrubError::NoBoot(group));
    };
    let expanded = |text: &String| {
        expand(text, machine).map_err(|source| GrubError::Variable {
            group: group.clone(),
            source,
        })
    };
    let file = |text: &String| {
        let text = expanded(text)?;
        let below = assets_url.and_then(|url| text.strip_prefix(url));
        Ok::<_, GrubError>(below.map_or_else(|| text.clone(), |below| format!("/assets/{below}")))
    };
    let kernel = file(&boot.kernel)?;
    let initrd: Vec<String> = boot.initrd.iter().map(file).collect::<Result<_, _>>()?;
    let options = boot.options.iter().map(expanded);
    let options: Vec<String> = options
        .map(|option| Ok(grub::quoted(&option?).into_owned()))
        .collect::<Result<_, GrubError>>()?;
    let text = grub::render(&kernel, &initrd, &options);
    Ok(RenderedConfig {
        text,
        group,
        selectors: selection.require.keys(),
    })
}

/// True if the UUID is that of the machine's DHCP exchange, in either byte order.
fn is_known(asked: Uuid, machine: &Machine) -> bool {
    let known = machine.uuid;
    known == Some(asked) || known == Some(Uuid::from_bytes_le(asked.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use boot_server_proto::mac::MacAddr;

    use super::*;
    use crate::catalog::{BootSettings, Labels, Selection};

    /// Boots the machine with one MAC.
    struct One;

    impl BootCatalog for One {
        fn select(&self, labels: &Labels) -> Result<Selection, Refusal> {
            if labels.0.get("mac").map(String::as_str) != Some("02:00:00:00:00:01") {
                return Err(Refusal::without_group("no group matched"));
            }
            Ok(Selection {
                group: "one".into(),
                require: Default::default(),
                spec_id: "spec".into(),
                boot: Some(Arc::new(BootSettings {
                    kernel: "http://10.0.0.1:8080/assets/vmlinuz".into(),
                    initrd: vec!["/assets/initrd".into()],
                    options: vec!["mac=${net0/mac:hexhyp}".into(), "host=${hostname}".into()],
                })),
            })
        }
    }

    fn machine(last: u8, hostname: Option<&str>) -> Machine {
        Machine {
            mac: Some(MacAddr([2, 0, 0, 0, 0, last])),
            hostname: hostname.map(str::to_owned),
            ..Machine::default()
        }
    }

    #[test]
    fn the_menu_names_files_by_tftp_and_has_the_machines_attributes() {
        let url = Some("http://10.0.0.1:8080/assets/");
        let config = grub_config(&One, ConfigName::Default, machine(1, Some("n1")), url).unwrap();
        assert_eq!(config.group, "one");
        let wanted = "linux \"/assets/vmlinuz\" mac=02-00-00-00-00-01 host=n1\n";
        assert!(config.text.contains(wanted), "{}", config.text);
        assert!(config.text.contains("initrd  \"/assets/initrd\"\n"));
    }

    #[test]
    fn what_is_not_known_is_an_error_and_not_a_hole() {
        let unknown = grub_config(&One, ConfigName::Default, machine(2, None), None);
        assert_eq!(
            unknown,
            Err(GrubError::NoMatch(Refusal::without_group(
                "no group matched"
            )))
        );
        let error = grub_config(&One, ConfigName::Default, machine(1, None), None).unwrap_err();
        assert!(matches!(error, GrubError::Variable { .. }), "{error}");
    }

    #[test]
    fn a_name_says_which_machine_asks_and_another_machines_is_not_there() {
        let asked = |name, machine| grub_config(&One, name, machine, None);
        let hers = Ipv4Addr::new(10, 0, 0, 7);
        let by_mac = ConfigName::Mac(MacAddr([2, 0, 0, 0, 0, 1]));
        let nobody = Machine {
            hostname: Some("n1".into()),
            address: Some(hers),
            ..Machine::default()
        };
        assert_eq!(asked(by_mac, nobody.clone()).unwrap().group, "one");
        assert!(asked(ConfigName::Default, nobody).is_err());
        let known = Machine {
            address: Some(hers),
            uuid: Some(Uuid::from_u128(7)),
            ..machine(1, Some("n1"))
        };
        for name in [
            ConfigName::Address(hers),
            ConfigName::Uuid(Uuid::from_u128(7)),
            ConfigName::Uuid(Uuid::from_bytes_le(Uuid::from_u128(7).into_bytes())),
        ] {
            assert_eq!(asked(name, known.clone()).unwrap().group, "one", "{name:?}");
        }
        for name in [
            ConfigName::Address(Ipv4Addr::new(10, 0, 0, 8)),
            ConfigName::AddressPrefix,
        ] {
            assert_eq!(asked(name, known.clone()), Err(GrubError::OtherName));
        }
    }
}
