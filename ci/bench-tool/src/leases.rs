//! The lease files of the servers: written in advance, so that all begin with the same leases, and read
//! afterwards, so that none is fast because it forgets.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::dhcp_kind::Kind;
use crate::perfdhcp::mac;

/// First address of the pool.
pub(crate) const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 0);
/// Last address of the pool.
pub(crate) const LAST: Ipv4Addr = Ipv4Addr::new(10, 77, 254, 255);
/// Duration of a lease, in seconds.
pub(crate) const LEASE_SECONDS: u64 = 3600;

const KEA_HEAD: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,\
                        hostname,state,user_context";

/// Returns a lease file in which the first clients have an address each, until `expires` (Unix seconds).
pub(crate) fn prepare(kind: Kind, path: &Path, clients: u32, expires: u64) -> anyhow::Result<()> {
    let mut text = String::new();
    if kind == Kind::Kea {
        writeln!(text, "{KEA_HEAD}")?;
    }
    for client in 0..clients {
        let address = Ipv4Addr::from_bits(FIRST.to_bits() + client);
        ensure!(address <= LAST, "pool too small for {clients} clients");
        let mac = mac(client);
        match kind {
            Kind::Ours => writeln!(
                text,
                r#"{{"address":"{address}","mac":"{mac}","expires":{expires},"client_id":"01:{mac}"}}"#
            )?,
            Kind::Dnsmasq => writeln!(text, "{expires} {mac} {address} * 01:{mac}")?,
            Kind::Kea => writeln!(
                text,
                "{address},{mac},01:{mac},{LEASE_SECONDS},{expires},1,0,0,,0,"
            )?,
        }
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// A lease that a file tells of: address, hardware address, end in Unix seconds.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Lease {
    address: Ipv4Addr,
    mac: String,
    expires: u64,
}

/// Counts the leases renewed after the file was prepared, that is, with an end later than `prepared`.
///
/// # Errors
/// A line cannot be read, or an address or a machine occurs twice.
pub(crate) fn renewed(kind: Kind, path: &Path, prepared: u64) -> anyhow::Result<u64> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let leases = parse(kind, &text)?;
    let mut machines = HashSet::new();
    for (address, (mac, _)) in &leases {
        ensure!(
            machines.insert(mac),
            "{mac} has {address} and another address"
        );
    }
    Ok(leases
        .values()
        .filter(|(_, expires)| *expires > prepared)
        .count() as u64)
}

/// Returns the leases by address; in files that grow at their end the last line counts.
fn parse(kind: Kind, text: &str) -> anyhow::Result<HashMap<Ipv4Addr, (String, u64)>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && *line != KEA_HEAD);
    let mut leases = HashMap::new();
    for line in lines {
        let lease = match kind {
            Kind::Ours => serde_json::from_str(line).ok(),
            Kind::Dnsmasq => {
                let fields: Vec<&str> = line.split(' ').collect();
                columns(&fields, [2, 1, 0])
            }
            Kind::Kea => {
                let fields: Vec<&str> = line.split(',').collect();
                columns(&fields, [0, 1, 4])
            }
        };
        let Lease {
            address,
            mac,
            expires,
        } = lease.with_context(|| format!("`{line}` is no lease of {}", kind.name()))?;
        let before = leases.insert(address, (mac, expires));
        let is_list = kind == Kind::Dnsmasq;
        ensure!(before.is_none() || !is_list, "{address} is there twice");
    }
    Ok(leases)
}

fn columns(fields: &[&str], [address, mac, expires]: [usize; 3]) -> Option<Lease> {
    Some(Lease {
        address: fields.get(address)?.parse().ok()?,
        mac: (*fields.get(mac)?).to_owned(),
        expires: fields.get(expires)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_prepared_is_read_again_in_each_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        for kind in Kind::ALL {
            prepare(kind, &path, 300, 1000).unwrap();
            assert_eq!(renewed(kind, &path, 999).unwrap(), 300, "{}", kind.name());
            assert_eq!(renewed(kind, &path, 1000).unwrap(), 0, "{}", kind.name());
        }
    }

    #[test]
    fn a_machine_with_two_addresses_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        let text = "9 00:00:00:00:00:01 10.0.0.1 * *\n9 00:00:00:00:00:01 10.0.0.2 * *\n";
        std::fs::write(&path, text).unwrap();
        assert!(renewed(Kind::Dnsmasq, &path, 0).is_err());
        std::fs::write(&path, "no lease\n").unwrap();
        assert!(renewed(Kind::Kea, &path, 0).is_err());
    }

    #[test]
    fn the_last_line_of_an_address_counts_where_lines_are_added() {
        let one = r#"{"address":"10.0.0.1","mac":"a","expires":1}"#;
        let two = r#"{"address":"10.0.0.1","mac":"a","expires":2}"#;
        let leases = parse(Kind::Ours, &format!("{one}\n{two}\n")).unwrap();
        assert_eq!(
            leases.into_values().collect::<Vec<_>>(),
            [("a".to_owned(), 2)]
        );
        let line = "1 a 10.0.0.1 * *\n";
        assert!(parse(Kind::Dnsmasq, &format!("{line}{line}")).is_err());
    }
}
