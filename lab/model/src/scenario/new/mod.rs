//! Files of a new, small, commented scenario that boots. Pure.

use std::path::PathBuf;

use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Template of a new scenario: its DHCP service and first boot program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// DHCP server with boot options; iPXE, then everything by HTTP.
    #[default]
    IpxeChainload,
    /// DHCP server with boot options; PXELINUX, everything by TFTP, BIOS only.
    PxeDhcp,
    /// DHCP server without boot options, and a proxyDHCP server beside it.
    ProxyDhcp,
    /// DHCP server without boot options, and Pixiecore, which asks the boot config service.
    Pixiecore,
}

/// Identity of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub uuid: Uuid,
    /// MAC of the network card, lowercase with colons.
    pub mac: String,
}

impl Identity {
    /// Builds two identities from random numbers; their MACs differ in the last digit, for readability.
    #[must_use]
    pub fn pair(random: [Uuid; 2]) -> [Identity; 2] {
        let [first, second] = random;
        let [a, b, ..] = first.into_bytes();
        // 52:54:00 is QEMU's prefix.
        let mac = |last: u8| format!("52:54:00:{a:02x}:{b:02x}:{last:02x}");
        [
            Identity {
                uuid: first,
                mac: mac(1),
            },
            Identity {
                uuid: second,
                mac: mac(2),
            },
        ]
    }
}

/// Error of an invalid scenario name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid scenario name: `{0}` (it becomes part of host names and units; use lower-case letters, digits \
     and `-` in between, at most 40)"
)]
pub struct BadName(pub String);

/// Maximum length: with `-one` appended, a label of a host name has at most 63 characters.
const LONGEST_NAME: usize = 40;

/// # Errors
/// [`BadName`]
pub fn check_name(name: &str) -> Result<(), BadName> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_good = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.chars().all(is_plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_good {
        Ok(())
    } else {
        Err(BadName(name.into()))
    }
}

impl Kind {
    /// All templates.
    pub const ALL: [Kind; 4] = [
        Kind::IpxeChainload,
        Kind::PxeDhcp,
        Kind::ProxyDhcp,
        Kind::Pixiecore,
    ];

    fn summary(self) -> &'static str {
        match self {
            Kind::IpxeChainload => {
                "Firmware loads iPXE; iPXE loads its script, kernel and initrd by HTTP"
            }
            Kind::PxeDhcp => {
                "BIOS machines boot PXELINUX by TFTP, with boot options from the DHCP server"
            }
            Kind::ProxyDhcp => {
                "libvirt's DHCP server leases addresses; a proxyDHCP server sends boot options"
            }
            Kind::Pixiecore => {
                "Pixiecore boots what the boot config service names for a MAC; libvirt's DHCP server leases addresses"
            }
        }
    }

    fn firmware(self) -> &'static str {
        match self {
            Kind::PxeDhcp => "\"bios\"",
            _ => "\"bios\", \"uefi\"",
        }
    }

    fn services(self) -> &'static str {
        match self {
            Kind::IpxeChainload | Kind::PxeDhcp => {
                "# DHCP server: \"boot-server\", \"libvirt\" (without boot options) or \"dnsmasq\".\n\
                 dhcp = \"boot-server\"\n"
            }
            Kind::ProxyDhcp => {
                "# A DHCP server that cannot be changed, and a proxyDHCP server that adds boot options.\n\
                 dhcp = \"libvirt\"\nproxy_dhcp = \"boot-server\"\n"
            }
            Kind::Pixiecore => {
                "# A DHCP server that cannot be changed, and Pixiecore beside it.\n\
                 dhcp = \"libvirt\"\npixiecore = \"boot-server\"\n"
            }
        }
    }

    fn boot(self) -> &'static str {
        match self {
            Kind::IpxeChainload => {
                "[boot]\n# true: BIOS machines chainload iPXE even though the virtual card's ROM is iPXE already; slower, but as on \
                 bare metal.\nchainload_ipxe = false\n"
            }
            Kind::PxeDhcp => "[boot]\nbios = \"pxelinux\"\n",
            Kind::ProxyDhcp | Kind::Pixiecore => "",
        }
    }

    /// Returns the kernel options in the form of a spec; Pixiecore's differ.
    fn cmdline(self) -> String {
        let url = "http://@SUBNET@.1:8080/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}";
        let options = [
            ("console", "ttyS0"),
            ("coreos.autologin", ""),
            ("cloud-config-url", url),
        ];
        let lines = options.map(|(name, value)| match (self, value) {
            (Kind::Pixiecore, "") => format!("      \"{name}\": true"),
            (Kind::Pixiecore, value) => format!("      \"{name}={value}\": true"),
            (_, value) => format!("      \"{name}\": \"{value}\""),
        });
        lines.join(",\n")
    }

    /// Returns the files of a scenario called `name`, by path in its folder.
    #[must_use]
    pub fn files(self, name: &str, nodes: &[Identity; 2]) -> Vec<(PathBuf, String)> {
        let [first, second] = nodes;
        let dashed = |mac: &str| mac.replace(':', "-");
        let words = [
            ("@CMDLINE@", self.cmdline()),
            ("@SERVICES@", self.services().into()),
            ("@BOOT@", self.boot().into()),
            ("@FIRMWARE@", self.firmware().into()),
            ("@SUMMARY@", self.summary().into()),
            ("@NAME@", name.into()),
            ("@SUBNET@", "192.168.100".into()),
            ("@UUID1@", first.uuid.to_string()),
            ("@UUID2@", second.uuid.to_string()),
            ("@MAC1@", first.mac.clone()),
            ("@MAC2@", second.mac.clone()),
            ("@DASHED1@", dashed(&first.mac)),
            ("@DASHED2@", dashed(&second.mac)),
        ];
        let fill = |text: &str| {
            words.iter().fold(text.to_owned(), |text, (word, value)| {
                text.replace(word, value)
            })
        };
        let spec = |id: &str| fill(&include_str!("files/spec.json").replace("@SPEC@", id));
        [
            ("scenario.toml", fill(include_str!("files/scenario.toml"))),
            ("data/config.yaml", fill(include_str!("files/config.yaml"))),
            ("data/specs/node1/spec.json", spec("node1")),
            ("data/specs/default/spec.json", spec("default")),
            (
                "data/cloud/node1.yaml",
                include_str!("files/node1.yaml").into(),
            ),
            (
                "data/cloud/default.yaml",
                include_str!("files/default.yaml").into(),
            ),
        ]
        .map(|(path, text)| (PathBuf::from(path), text))
        .into()
    }
}
