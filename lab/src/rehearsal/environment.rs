//! Network of a site: DHCP, boot options and addresses.
//!
//! The network is taken from one of the lab's scenarios, or from the operator's `dnsmasq.conf`, `kea-dhcp4.conf`,
//! `dhcpd.conf` or `boot-server.toml`. A scenario's network is moved to the address that the site's configs name; an operator's
//! configuration has its own address, which must be the same.

mod dhcpd;
mod foreign;
mod kea;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use boot_server::config::{BiosLoader, BootConfig, Config};
use boot_server::policy::SHIM;
use boot_server_catalog::ignition::IgnitionMode;
use ipnet::Ipv4Net;
use lab_model::scenario::{
    Boot, DhcpService, EfiLoader, Firmware, Network, PixiecoreService, PreparedProgram,
    ProxyDhcpService, Scenario, Service, Services,
};
use rollout::plan::{ClientRequests, Known};
use rollout::site::Site;

/// Prefix length if only an address is known.
const PREFIX_LENGTH: u8 = 24;

/// Network environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Name of the scenario or file it was taken from.
    pub name: String,
    pub services: Services,
    /// Boot options for PXE clients.
    pub boot: Boot,
    pub network: Network,
    /// True if a configuration fixes the network's address.
    is_fixed: bool,
    /// Names that the configuration resolves, with their addresses.
    answers: Vec<(String, Ipv4Addr)>,
    /// Programs that serve the network beside the lab's services.
    pub custom: Vec<Service>,
    /// EFI programs that are served in place of those of packages.
    pub programs: Vec<PreparedProgram>,
    /// Folder of the scenario whose files these programs read.
    pub folder: Option<PathBuf>,
    /// Further files that they read, by name.
    pub files: Vec<(String, String)>,
    /// Treatment of Butane and Container Linux Configs, from the boot server's configuration.
    pub ignition: Option<IgnitionMode>,
}

use foreign::{Found, Mistake};

/// Reason why a network cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// An operator's configuration cannot be read.
    #[error("{path}: {why}")]
    Unreadable { path: String, why: String },
    /// A configuration has an unsupported line.
    #[error("{path}, line {line}: `{text}`: {why}")]
    Line {
        path: String,
        /// Line number, from 1.
        line: usize,
        text: String,
        /// Explanation and remedy.
        why: String,
    },
    /// A configuration lacks required information.
    #[error("{path} {why}")]
    Lacks {
        path: String,
        /// Information that the site does not give.
        why: String,
    },
    /// The configs name another address than the server's.
    #[error(
        "address mismatch: the site's configs name the boot config service at {named}, but {path} makes this \
         host {host} in {subnet}; one is wrong, or these are two hosts, which is unsupported"
    )]
    Elsewhere {
        /// Address in the configs.
        named: Ipv4Addr,
        path: String,
        /// Host address in the configuration.
        host: Ipv4Addr,
        subnet: Ipv4Net,
    },
    /// The configs name an address that no host can have.
    #[error(
        "invalid address: the site's configs name the boot config service at {0}, which is unreachable over a network"
    )]
    Unreachable(Ipv4Addr),
}

impl Environment {
    /// Returns the network of a scenario.
    ///
    /// # Errors
    /// [`EnvironmentError::Lacks`] if the scenario's services would not serve the data directory that is rehearsed.
    pub fn of_scenario(scenario: &Scenario) -> Result<Environment, EnvironmentError> {
        Environment::of_services(scenario)
    }

    /// Returns the network that a `dnsmasq.conf` describes.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the file is unreadable or has an unsupported line.
    pub fn of_dnsmasq(path: &Path) -> Result<Environment, EnvironmentError> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let path = absolute(path)?;
        let said = Dnsmasq::read(&path, &text)?;
        let subnet = said.subnet.ok_or_else(|| EnvironmentError::Lacks {
            path: path.display().to_string(),
            why: "has no `dhcp-range` with addresses, for example \
                  `dhcp-range=192.168.90.100,192.168.90.199,12h`"
                .into(),
        })?;
        Ok(Environment {
            name: file_name(&path),
            services: Services {
                dhcp: DhcpService::Dnsmasq,
                proxy_dhcp: ProxyDhcpService::None,
                pixiecore: PixiecoreService::None,
                config: None,
                dnsmasq_conf: Some(path),
                boot_server_config: None,
                https: None,
            },
            boot: usual_boot(&BootConfig::default()),
            network: Network {
                address: said.address,
                interface: said.interface,
                ..Network::new(subnet)
            },
            is_fixed: true,
            answers: said.answers,
            custom: Vec::new(),
            programs: Vec::new(),
            folder: None,
            files: Vec::new(),
            ignition: None,
        })
    }

    /// Returns the network that a `boot-server.toml` describes.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the file is unreadable or boots no machines.
    pub fn of_boot_server(path: &Path) -> Result<Environment, EnvironmentError> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let config: Config = toml::from_str(&text).map_err(|error| unreadable(path, &error))?;
        let path = absolute(path)?;
        let gives_options = config.proxy_dhcp.is_some() || config.pixiecore.is_some();
        if config.dhcp.is_none() && !gives_options {
            return Err(EnvironmentError::Lacks {
                path: path.display().to_string(),
                why: "has neither [dhcp] nor [proxy_dhcp] nor [pixiecore], so it boots no machine; name a \
                      scenario with --network"
                    .into(),
            });
        }
        let listens = config.http.as_ref().and_then(|http| match http.listen {
            std::net::SocketAddr::V4(address) if !address.ip().is_unspecified() => {
                Some(*address.ip())
            }
            _ => None,
        });
        let address = config.address.or(listens);
        let subnet = match (&config.dhcp, address) {
            (Some(dhcp), _) => Some(dhcp.subnet),
            (None, Some(address)) => Some(around(address)),
            (None, None) => None,
        };
        let port = config.http.as_ref().map(|http| http.listen.port());
        Ok(Environment {
            name: file_name(&path),
            boot: usual_boot(&config.boot),
            services: Services {
                dhcp: match config.dhcp {
                    Some(_) => DhcpService::BootServer,
                    // Assumed neighbour of the proxy: a DHCP server.
                    None => DhcpService::Libvirt,
                },
                proxy_dhcp: match config.proxy_dhcp {
                    Some(_) => ProxyDhcpService::BootServer,
                    None => ProxyDhcpService::None,
                },
                pixiecore: match config.pixiecore {
                    Some(_) => PixiecoreService::BootServer,
                    None => PixiecoreService::None,
                },
                config: None,
                dnsmasq_conf: None,
                boot_server_config: Some(path),
                https: None,
            },
            network: Network {
                address,
                interface: config.interface,
                http_port: port.unwrap_or(Network::HTTP_PORT),
                ..Network::new(subnet.unwrap_or(USUAL_SUBNET))
            },
            is_fixed: subnet.is_some(),
            answers: Vec::new(),
            custom: Vec::new(),
            programs: Vec::new(),
            folder: None,
            files: Vec::new(),
            ignition: config.http.and_then(|http| http.ignition),
        })
    }

    /// Moves the network to the address in the site's configs.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the address cannot be used.
    pub fn at(mut self, site: &Site) -> Result<Environment, EnvironmentError> {
        let answered = site.names.iter().find_map(|name| self.answer(name));
        // Names that the configuration itself resolves are kept.
        let left = site.names.iter().filter(|name| self.answer(name).is_none());
        self.network.names = left.cloned().collect();
        self.network.http_port = site.port.unwrap_or(self.network.http_port);
        let Some(address) = site.address.or(answered) else {
            self.share(self.network.host());
            return Ok(self);
        };
        self.share(address);
        let subnet = self.network.subnet;
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(EnvironmentError::Unreachable(address));
        }
        if self.is_of_own_host(address) {
            return Ok(self);
        }
        let is_said = self.network.address.is_some();
        let is_there = match is_said && self.is_fixed {
            true => self.network.host() == address,
            false => subnet.contains(&address),
        };
        if is_there {
            self.network.address = Some(address);
            return Ok(self);
        }
        if self.is_fixed {
            return Err(EnvironmentError::Elsewhere {
                named: address,
                path: self.name,
                host: self.network.host(),
                subnet,
            });
        }
        self.network.subnet = around(address);
        self.network.address = Some(address);
        Ok(self)
    }

    /// Resolves a name as dnsmasq does: each entry covers a domain and everything below it.
    fn answer(&self, name: &str) -> Option<Ipv4Addr> {
        let fits = |domain: &str| {
            name == domain
                || name
                    .strip_suffix(domain)
                    .is_some_and(|host| host.ends_with('.'))
        };
        let mut answers = self.answers.iter();
        answers
            .find(|(domain, _)| fits(domain))
            .map(|(_, address)| *address)
    }

    /// Returns the boot requests that machines make in this network.
    #[must_use]
    pub fn client_requests(&self) -> ClientRequests {
        let known = if self.services.pixiecore != PixiecoreService::None {
            Known::Mac
        } else if self.boot.bios == BiosLoader::Pxelinux {
            Known::UuidAndMac
        } else {
            Known::ByIpxe
        };
        ClientRequests {
            known,
            ..ClientRequests::default()
        }
    }

    /// Checks that machines of this firmware can boot in this network.
    ///
    /// # Errors
    /// [`UnsupportedFirmware`].
    pub fn boots(&self, firmware: Firmware) -> Result<(), UnsupportedFirmware> {
        let network = || self.name.clone();
        let is_own = self.services.boot_server_config.is_none();
        if is_own && self.boot.bios == BiosLoader::Pxelinux && firmware.is_uefi() {
            return Err(UnsupportedFirmware::Pxelinux(network()));
        }
        if self.services.pixiecore != PixiecoreService::None && firmware == Firmware::UefiHttp {
            return Err(UnsupportedFirmware::Pixiecore(network()));
        }
        Ok(())
    }
}

/// Reasons that machines of a firmware cannot boot in a network of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedFirmware {
    /// PXELINUX, for a machine with UEFI.
    #[error("unsupported firmware: the network {0} offers PXELINUX, which needs BIOS")]
    Pxelinux(String),
    /// Pixiecore, for a machine that boots by HTTP.
    #[error(
        "unsupported firmware: the network {0} uses Pixiecore, which does not serve UEFI HTTP boot"
    )]
    Pixiecore(String),
}

/// Default subnet.
const USUAL_SUBNET: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 90, 0), PREFIX_LENGTH);

fn usual_boot(boot: &BootConfig) -> Boot {
    Boot {
        bios: boot.bios,
        efi: match boot.efi_x64_nbp == SHIM {
            true => EfiLoader::Shim,
            false => EfiLoader::Ipxe,
        },
        chainload_ipxe: boot.chainload_ipxe,
    }
}

fn around(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(address, PREFIX_LENGTH).trunc()
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || "network".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> EnvironmentError {
    EnvironmentError::Unreadable {
        path: path.display().to_string(),
        why: error.to_string().trim_end().to_owned(),
    }
}

/// Returns the absolute path: cells have other working directories.
fn absolute(path: &Path) -> Result<PathBuf, EnvironmentError> {
    std::fs::canonicalize(path).map_err(|error| unreadable(path, &error))
}

/// Recognised settings of a `dnsmasq.conf`; dnsmasq itself reads the rest.
#[derive(Debug, Default, PartialEq)]
struct Dnsmasq {
    interface: Option<String>,
    address: Option<Ipv4Addr>,
    subnet: Option<Ipv4Net>,
    /// Names and domains that it resolves, with their addresses.
    answers: Vec<(String, Ipv4Addr)>,
}

impl Dnsmasq {
    fn read(path: &Path, text: &str) -> Result<Dnsmasq, EnvironmentError> {
        let mut said = Dnsmasq::default();
        for (index, whole) in text.lines().enumerate() {
            let wrong = |why: &str| EnvironmentError::Line {
                path: path.display().to_string(),
                line: index + 1,
                text: whole.trim().to_owned(),
                why: why.to_owned(),
            };
            let line = whole.split('#').next().unwrap_or_default();
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let (key, value) = (key.trim(), value.trim());
            match key {
                "interface" => {
                    let name = value.split(',').next().unwrap_or_default();
                    if name.contains('*') {
                        return Err(wrong(
                            "write the full interface name, e.g. `interface=eth0`",
                        ));
                    }
                    said.interface.get_or_insert_with(|| name.to_owned());
                }
                "address" => {
                    let mut parts: Vec<&str> = value.split('/').map(str::trim).collect();
                    let address = parts.pop().and_then(|last| last.parse().ok());
                    let domains = parts.into_iter().filter(|domain| !domain.is_empty());
                    let answers = domains.map(|domain| Some((domain.to_owned(), address?)));
                    said.answers.extend(answers.flatten());
                }
                "listen-address" => {
                    let mut addresses = value.split(',').filter_map(|one| one.trim().parse().ok());
                    said.address = said
                        .address
                        .or(addresses.find(|one: &Ipv4Addr| !one.is_loopback()));
                }
                "dhcp-range" => {
                    let parts: Vec<&str> = value.split(',').map(str::trim).collect();
                    if parts.contains(&"proxy") {
                        return Err(wrong(
                            "unsupported: dnsmasq as a proxy beside another DHCP server; rehearse \
                             with `--network proxy-dhcp`",
                        ));
                    }
                    let addresses: Vec<Ipv4Addr> =
                        parts.iter().filter_map(|part| part.parse().ok()).collect();
                    let subnet = range_subnet(&addresses);
                    said.subnet = said.subnet.or(subnet);
                }
                _ => {}
            }
        }
        Ok(said)
    }
}

/// Returns the subnet of a range, from its netmask, which may follow the first and last address.
fn range_subnet(addresses: &[Ipv4Addr]) -> Option<Ipv4Net> {
    let first = *addresses.first()?;
    let mask = addresses
        .get(2)
        .and_then(|mask| ipnet::ipv4_mask_to_prefix(*mask).ok());
    Ipv4Net::new(first, mask.unwrap_or(PREFIX_LENGTH))
        .ok()
        .map(|net| net.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dnsmasq(text: &str) -> Result<Dnsmasq, String> {
        Dnsmasq::read(Path::new("/etc/dnsmasq.conf"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_dnsmasq_conf_says_where_it_is() {
        let found = dnsmasq(
            "# interface=wrong\ninterface = enp1s0 # the rack\nlisten-address=127.0.0.1,10.1.2.3\n\
             dhcp-range=set:rack,10.1.2.100,10.1.3.99,255.255.254.0,12h\ndhcp-range=10.9.0.1,static\n\
             address=/boot.example.com/10.1.2.3\naddress=/v6.example.com/fd00::1\n",
        );
        let wanted = Dnsmasq {
            interface: Some("enp1s0".into()),
            address: Some(Ipv4Addr::new(10, 1, 2, 3)),
            subnet: Some("10.1.2.0/23".parse().unwrap()),
            answers: vec![("boot.example.com".into(), Ipv4Addr::new(10, 1, 2, 3))],
        };
        assert_eq!(found, Ok(wanted));
        assert_eq!(
            dnsmasq("dhcp-range=192.168.5.10,192.168.5.20\n")
                .unwrap()
                .subnet,
            Some("192.168.5.0/24".parse().unwrap())
        );
    }

    #[test]
    fn what_is_not_copied_of_dnsmasq_is_told_with_its_line() {
        let unsupported = ["\ndhcp-range=192.168.5.0,proxy\n", "interface=eth*\n"];
        let said = unsupported.map(|text| dnsmasq(text).unwrap_err());
        insta::assert_snapshot!(said.join("\n"));
    }

    fn boot_server(text: &str) -> Result<Environment, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("boot-server.toml");
        std::fs::write(&file, text).unwrap();
        let dir = folder.path().display().to_string();
        Environment::of_boot_server(&file)
            .map_err(|error| error.to_string().replace(&dir, "FOLDER"))
    }

    const DHCP: &str = "interface = \"eth0\"\naddress = \"10.0.0.5\"\n[dhcp]\nsubnet = \"10.0.0.0/22\"\n\
                        first = \"10.0.1.1\"\nlast = \"10.0.1.99\"\n[boot]\nbios = \"pxelinux\"\n";

    #[test]
    fn a_boot_server_toml_says_who_plays_which_part() {
        let site = boot_server(DHCP).unwrap();
        assert_eq!(site.services.dhcp, DhcpService::BootServer);
        assert_eq!(site.network.subnet.to_string(), "10.0.0.0/22");
        assert_eq!(site.network.host(), Ipv4Addr::new(10, 0, 0, 5));
        assert_eq!(site.network.interface.as_deref(), Some("eth0"));
        assert_eq!(site.client_requests().known, Known::UuidAndMac);
        let proxy = boot_server(
            "interface = \"eth0\"\n[proxy_dhcp]\n[http]\nlisten = \"10.0.0.7:81\"\ndata = \"/d\"\n",
        )
        .unwrap();
        assert_eq!(proxy.services.dhcp, DhcpService::Libvirt);
        assert!(proxy.services.has_proxy());
        assert_eq!(
            (proxy.network.host(), proxy.network.http_port),
            (Ipv4Addr::new(10, 0, 0, 7), 81)
        );
    }

    #[test]
    fn a_boot_server_that_boots_nothing_or_has_mistakes_is_refused() {
        let refused = [
            "[http]\nlisten = \"10.0.0.7:81\"\ndata = \"/d\"\n",
            "interfaces = \"eth0\"\n",
        ];
        let said = refused.map(|text| boot_server(text).unwrap_err());
        insta::assert_snapshot!(said.join("\n"));
    }

    fn at(site: Environment, address: [u8; 4]) -> Result<Network, String> {
        let found = Site {
            address: Some(address.into()),
            port: Some(8081),
            names: vec!["boot.example.com".into()],
        };
        let moved = site.at(&found).map_err(|error| error.to_string())?;
        Ok(moved.network)
    }

    fn of_lab(name: &str) -> Environment {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        Environment::of_scenario(&Scenario::load(&folder.join(name)).unwrap()).unwrap()
    }

    #[test]
    fn a_scenarios_network_moves_to_the_site() {
        let network = at(of_lab("ipxe-chainload"), [10, 3, 2, 1]).unwrap();
        assert_eq!(network.subnet.to_string(), "10.3.2.0/24");
        assert_eq!(network.host(), Ipv4Addr::new(10, 3, 2, 1));
        assert_eq!(network.http_port, 8081);
        assert_eq!(network.names, ["boot.example.com"]);
        let loopback = at(of_lab("ipxe-chainload"), [127, 0, 0, 1]).unwrap_err();
        assert!(loopback.contains("127.0.0.1"), "{loopback}");
    }

    #[test]
    fn a_configurations_network_stays_where_it_is() {
        let site = || boot_server(DHCP).unwrap();
        assert_eq!(
            at(site(), [10, 0, 0, 5]).unwrap().subnet.to_string(),
            "10.0.0.0/22"
        );
        let said = at(site(), [10, 0, 0, 6]).unwrap_err();
        assert!(
            said.contains("10.0.0.6") && said.contains("10.0.0.5 in 10.0.0.0/22"),
            "{said}"
        );
    }

    #[test]
    fn the_host_is_where_dnsmasq_says_that_the_sites_name_is() {
        let conf = tempfile::NamedTempFile::new().unwrap();
        let text = "dhcp-range=172.17.0.43,172.17.0.99\naddress=/foo/172.17.0.2\n";
        std::fs::write(conf.path(), text).unwrap();
        let named = |name: &str| {
            let site = Site {
                address: None,
                port: None,
                names: vec![name.into()],
            };
            let environment = Environment::of_dnsmasq(conf.path()).unwrap();
            environment.at(&site).unwrap().network
        };
        let known = named("bootcfg.foo");
        assert_eq!(known.host(), Ipv4Addr::new(172, 17, 0, 2));
        // A second answer would be another host.
        assert!(known.names.is_empty());
        let unknown = named("bootcfg.barfoo");
        assert_eq!(unknown.names, ["bootcfg.barfoo"]);
        assert_eq!(unknown.host(), Ipv4Addr::new(172, 17, 0, 1));
    }

    #[test]
    fn firmware_that_a_network_gives_nothing_is_told() {
        assert!(of_lab("pxe-dhcp").boots(Firmware::Uefi).is_err());
        assert!(of_lab("pxe-dhcp").boots(Firmware::Bios).is_ok());
        assert!(of_lab("pixiecore").boots(Firmware::UefiHttp).is_err());
        assert!(of_lab("pixiecore").boots(Firmware::Uefi).is_ok());
        assert_eq!(of_lab("pixiecore").client_requests().known, Known::Mac);
        assert_eq!(
            of_lab("ipxe-chainload").client_requests().known,
            Known::ByIpxe
        );
    }
}
