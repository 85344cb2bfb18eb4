//! A new scenario: the files of a small one that boots, with comments, to be changed. Pure.

use std::path::PathBuf;

use clap::ValueEnum;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// What a new scenario begins as: who gives addresses and what machines load first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Kind {
    /// A PXE-enabled DHCP server; iPXE, then everything by HTTP.
    #[default]
    IpxeChainload,
    /// A PXE-enabled DHCP server; PXELINUX, everything by TFTP, BIOS only.
    PxeDhcp,
    /// A DHCP server that knows nothing of booting, and a proxyDHCP server beside it.
    ProxyDhcp,
    /// The same with Pixiecore, which asks the boot config service.
    Pixiecore,
}

/// Name, UUID and MAC of what is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Firmware's number.
    pub uuid: Uuid,
    /// The network card's address, lowercase with colons.
    pub mac: String,
}

impl Identity {
    /// Two of them from random numbers: MACs that differ in their last digit, as a person would have made them.
    #[must_use]
    pub fn pair(random: [Uuid; 2]) -> [Identity; 2] {
        let [first, second] = random;
        let [a, b, ..] = first.into_bytes();
        // 52:54:00 is what QEMU's machines have.
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

/// Why a name can't be a scenario's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` can't be a scenario's name: it becomes part of host names and units, so write lower-case letters, digits \
     and `-` in between, at most 40 of them"
)]
pub struct BadName(pub String);

/// Longest name: with `-one` behind it a host name's label, which has at most 63 characters.
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
    fn summary(self) -> &'static str {
        match self {
            Kind::IpxeChainload => {
                "Firmware loads iPXE, iPXE loads its script, kernel and initrd by HTTP"
            }
            Kind::PxeDhcp => "BIOS machines boot PXELINUX by TFTP from a PXE-enabled DHCP server",
            Kind::ProxyDhcp => {
                "libvirt's own DHCP gives the addresses, a proxyDHCP server beside it the boot options"
            }
            Kind::Pixiecore => {
                "Pixiecore boots what the boot config service names for a MAC, beside libvirt's own DHCP"
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
                "# Who gives addresses: \"boot-server\", \"libvirt\" (which knows nothing of booting) or \"dnsmasq\".\n\
                 dhcp = \"boot-server\"\n"
            }
            Kind::ProxyDhcp => {
                "# The DHCP server that nobody may touch, and who adds the boot options.\n\
                 dhcp = \"libvirt\"\nproxy_dhcp = \"boot-server\"\n"
            }
            Kind::Pixiecore => {
                "# The DHCP server that nobody may touch, and who plays Pixiecore.\n\
                 dhcp = \"libvirt\"\npixiecore = \"boot-server\"\n"
            }
        }
    }

    fn boot(self) -> &'static str {
        match self {
            Kind::IpxeChainload => {
                "[boot]\n# BIOS machines chainload too, though their network card's ROM already is iPXE: slower, as on \
                 bare metal.\nchainload_ipxe = false\n"
            }
            Kind::PxeDhcp => "[boot]\nbios = \"pxelinux\"\n",
            Kind::ProxyDhcp | Kind::Pixiecore => "",
        }
    }

    /// Kernel options as a spec has them; Pixiecore's are spelled in another way.
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

    /// The files of a scenario called `name`, by their paths in its folder.
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
