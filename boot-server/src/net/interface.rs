//! The network interface that the server works on: its index, its MAC, its addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::LinkAddr;

use boot_server_proto::mac::MacAddr;

/// An interface, as found when the server started.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    /// Name, at most 15 bytes.
    pub name: String,
    /// Interface index in the kernel.
    pub index: u32,
    /// IPv4 address of the server on the interface.
    pub address: Ipv4Addr,
    /// The subnet of that address.
    pub subnet: Ipv4Net,
    /// MAC; none on interfaces without link addresses.
    pub mac: Option<MacAddr>,
    /// Link-layer address as the kernel represents it, to bind packet sockets with.
    pub(super) link: Option<LinkAddr>,
}

/// Reasons that the configured interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The kernel would not list interfaces.
    #[error("cannot list the network interfaces")]
    List(#[source] nix::Error),
    /// No interface has this name.
    #[error("network interface not found: `{name}` (available: {known})")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// No interface has the address.
    #[error("no network interface has the address {0}")]
    NoneHas(Ipv4Addr),
    /// Several interfaces, or none, have an address.
    #[error("cannot choose a network interface (with IPv4 addresses: {0})")]
    Several(String),
    /// The interface has no IPv4 address.
    #[error("interface `{0}` has no IPv4 address")]
    NoAddress(String),
    /// The interface does not have the configured address.
    #[error("interface `{name}` does not have the address {address}; it has: {known}")]
    OtherAddress {
        /// Name of the interface.
        name: String,
        /// The address asked for.
        address: Ipv4Addr,
        /// The addresses it has.
        known: String,
    },
}

/// Returns the name of the interface with an address; without one, of the only interface that has any but the
/// loopback's.
///
/// # Errors
/// [`InterfaceError`].
pub fn interface_of(address: Option<Ipv4Addr>) -> Result<String, InterfaceError> {
    let mut found: Vec<String> = Vec::new();
    for entry in getifaddrs().map_err(InterfaceError::List)? {
        let Some(ip) = entry.address.and_then(|a| Some(a.as_sockaddr_in()?.ip())) else {
            continue;
        };
        let meant = address.map_or(!ip.is_loopback(), |address| address == ip);
        if meant && !found.contains(&entry.interface_name) {
            found.push(entry.interface_name);
        }
    }
    match (found.as_slice(), address) {
        ([name], _) => Ok(name.clone()),
        ([], Some(address)) => Err(InterfaceError::NoneHas(address)),
        (names, _) => Err(InterfaceError::Several(names.join(", "))),
    }
}

impl Interface {
    /// Finds an interface by name; `address` chooses among several of its addresses.
    ///
    /// # Errors
    /// [`InterfaceError`].
    pub(super) fn find(name: &str, address: Option<Ipv4Addr>) -> Result<Interface, InterfaceError> {
        let (mut known, mut addresses, mut link) = (Vec::<String>::new(), Vec::new(), None);
        for entry in getifaddrs().map_err(InterfaceError::List)? {
            if !known.contains(&entry.interface_name) {
                known.push(entry.interface_name.clone());
            }
            let Some(storage) = entry.address.filter(|_| entry.interface_name == name) else {
                continue;
            };
            if let Some(v4) = storage.as_sockaddr_in() {
                let mask = entry
                    .netmask
                    .and_then(|mask| Some(mask.as_sockaddr_in()?.ip()));
                addresses.push((v4.ip(), mask.unwrap_or(Ipv4Addr::BROADCAST)));
            } else if let Some(found) = storage.as_link_addr() {
                link = Some(*found);
            }
        }
        if !known.iter().any(|other| other == name) {
            let known = known.join(", ");
            return Err(InterfaceError::Unknown {
                name: name.to_owned(),
                known,
            });
        }
        let wanted = |known: &&(Ipv4Addr, Ipv4Addr)| address.is_none_or(|a| a == known.0);
        let (address, mask) = match (addresses.iter().find(wanted), address) {
            (Some(found), _) => *found,
            (None, None) => return Err(InterfaceError::NoAddress(name.to_owned())),
            (None, Some(address)) => {
                let known: Vec<String> = addresses.iter().map(|(a, _)| a.to_string()).collect();
                let (name, known) = (name.to_owned(), known.join(", "));
                return Err(InterfaceError::OtherAddress {
                    name,
                    address,
                    known,
                });
            }
        };
        let subnet = Ipv4Net::with_netmask(address, mask).unwrap_or(address.into());
        let index = nix::net::if_::if_nametoindex(name).map_err(InterfaceError::List)?;
        let mac = link
            .filter(|link| link.halen() == 6)
            .and_then(|l| l.addr())
            .map(MacAddr)
            // Loopback's: no frame can be addressed to it.
            .filter(|mac| *mac != MacAddr([0; 6]));
        Ok(Interface {
            name: name.to_owned(),
            index,
            address,
            subnet: subnet.trunc(),
            mac,
            link,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_with_its_address() {
        let lo = Interface::find("lo", None).unwrap();
        assert_eq!(lo.address, Ipv4Addr::LOCALHOST);
        assert_eq!(lo.subnet.to_string(), "127.0.0.0/8");
        assert!(lo.index > 0);
    }

    #[test]
    fn an_unknown_interface_is_answered_with_the_known_ones() {
        let error = Interface::find("nosuch0", None).unwrap_err();
        let InterfaceError::Unknown { name, known } = &error else {
            panic!("{error}");
        };
        assert_eq!(name, "nosuch0");
        assert!(known.split(", ").any(|name| name == "lo"), "{error}");
    }

    #[test]
    fn an_address_of_another_interface_is_refused() {
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
        let error = Interface::find("lo", Some(elsewhere)).unwrap_err();
        assert!(
            matches!(&error, InterfaceError::OtherAddress { name, address, .. }
                if name == "lo" && *address == elsewhere),
            "{error}"
        );
    }
}
