//! Checks of a configuration that need neither network nor files: what each value may be.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::{BiosLoader, Config, DhcpConfig, HttpConfig};
use crate::lease::{PoolPlan, Reserved};
use crate::proto::mac::MacAddr;

/// A value that cannot be, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Keys from the top to the value; a number counts in a list.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl ConfigProblem {
    fn new(path: &[&str], message: impl Into<String>, help: impl Into<String>) -> ConfigProblem {
        ConfigProblem {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Shortest lease time; RFC 2131 gives T1 and T2 as fractions of it.
const MIN_LEASE_SECONDS: u32 = 60;

impl Config {
    /// Everything that is wrong in it.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let packets = self.dhcp.is_some()
            || self.proxy_dhcp.is_some()
            || self.pixiecore.is_some()
            || self.tftp.is_some()
            || self.router_advertisement;
        if packets && self.interface.is_none() {
            problems.push(ConfigProblem::new(
                &[],
                "`interface` is missing",
                "name the network interface that machines are reached by: interface = \"virbr0\"",
            ));
        }
        if !packets && self.http.is_none() {
            problems.push(ConfigProblem::new(
                &[],
                "nothing to do",
                "add at least one of [dhcp], [proxy_dhcp], [pixiecore], [tftp], [http]",
            ));
        }
        let roles = [
            ("dhcp", self.dhcp.is_some()),
            ("proxy_dhcp", self.proxy_dhcp.is_some()),
            ("pixiecore", self.pixiecore.is_some()),
        ];
        let set: Vec<&str> = roles
            .iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| *name)
            .collect();
        if let [first, second, ..] = set.as_slice() {
            problems.push(ConfigProblem::new(
                &[second],
                format!("[{first}] and [{second}] exclude each other"),
                "one server answers port 67 in one way: keep one of them",
            ));
        }
        let gives_boot_files = self.dhcp.is_some() || self.proxy_dhcp.is_some();
        let has_script = self.http.is_some() || self.boot.script_url.is_some();
        if gives_boot_files && self.boot.bios == BiosLoader::Ipxe && !has_script {
            problems.push(ConfigProblem::new(
                &["boot"],
                "iPXE would have no script to boot",
                "add [http], or boot.script_url = \"http://…/boot.ipxe\"",
            ));
        }
        if let Some(http) = &self.http {
            http.check(&mut problems);
        }
        if let Some(dhcp) = &self.dhcp {
            dhcp.check(&mut problems);
        }
        problems
    }
}

impl HttpConfig {
    fn check(&self, problems: &mut Vec<ConfigProblem>) {
        let missing = match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => Some(("tls_certificate", "tls_key")),
            (None, Some(_)) => Some(("tls_key", "tls_certificate")),
            _ => None,
        };
        if let Some((there, missing)) = missing {
            problems.push(ConfigProblem::new(
                &["http", there],
                format!("`{there}` without `{missing}`"),
                format!("{missing} = \"FILE.pem\", or neither for plain HTTP"),
            ));
        }
        for (key, limit) in [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
        ] {
            if limit == 0 {
                let message = "nobody could connect";
                problems.push(ConfigProblem::new(&["http", key], message, "at least 1"));
            }
        }
    }
}

impl DhcpConfig {
    fn check(&self, problems: &mut Vec<ConfigProblem>) {
        let subnet = self.subnet.trunc();
        if self.subnet != subnet {
            problems.push(ConfigProblem::new(
                &["dhcp", "subnet"],
                format!("{} has bits behind its prefix", self.subnet),
                format!("the subnet is {subnet}"),
            ));
        }
        let hosts = format!("an address of {subnet} that a machine can have");
        let usable = |address: Ipv4Addr| {
            subnet.contains(&address)
                && (subnet.prefix_len() >= 31
                    || (address != subnet.network() && address != subnet.broadcast()))
        };
        for (key, address) in [("first", self.first), ("last", self.last)] {
            if !usable(address) {
                let message = format!("{address} is no address for machines in {subnet}");
                problems.push(ConfigProblem::new(&["dhcp", key], message, hosts.clone()));
            }
        }
        if usable(self.first) && usable(self.last) && self.first > self.last {
            problems.push(ConfigProblem::new(
                &["dhcp", "last"],
                format!(
                    "the pool ends at {} before it begins at {}",
                    self.last, self.first
                ),
                format!("an address from {} on", self.first),
            ));
        }
        if self.lease_seconds < MIN_LEASE_SECONDS {
            problems.push(ConfigProblem::new(
                &["dhcp", "lease_seconds"],
                format!(
                    "a lease of {} seconds is too short to be renewed",
                    self.lease_seconds
                ),
                format!("at least {MIN_LEASE_SECONDS}"),
            ));
        }
        let (mut macs, mut addresses) = (HashSet::new(), HashSet::new());
        for (number, reservation) in self.reservations.iter().enumerate() {
            let number = number.to_string();
            let at = |key: &'static str| {
                [
                    "dhcp".to_owned(),
                    "reservation".to_owned(),
                    number.clone(),
                    key.to_owned(),
                ]
            };
            let mut problem = |key, message: String, help: String| {
                problems.push(ConfigProblem {
                    path: at(key).to_vec(),
                    message,
                    help,
                });
            };
            match reservation.mac.parse::<MacAddr>() {
                Err(error) => problem("mac", error.to_string(), "six hex bytes".into()),
                Ok(mac) if !macs.insert(mac) => {
                    problem(
                        "mac",
                        format!("{mac} has a reservation already"),
                        "one each".into(),
                    );
                }
                Ok(_) => {}
            }
            let address = reservation.address;
            if !usable(address) {
                let message = format!("{address} is no address for machines in {subnet}");
                problem("address", message, hosts.clone());
            } else if !addresses.insert(address) {
                let message = format!("{address} is reserved already");
                problem("address", message, "an address of its own".into());
            }
        }
    }

    /// The pool that this describes; `server` is our own address, which is never given.
    ///
    /// # Errors
    /// A sentence, where [`Config::check`] has problems or `server` is not in the subnet.
    pub fn plan(&self, server: Ipv4Addr) -> Result<PoolPlan, String> {
        if !self.subnet.contains(&server) {
            return Err(format!(
                "our address {server} is not in dhcp.subnet {}; clients could not reach us",
                self.subnet
            ));
        }
        let mut reserved = HashMap::new();
        for reservation in &self.reservations {
            let mac: MacAddr = reservation
                .mac
                .parse()
                .map_err(|e| format!("reservation: {e}"))?;
            let (address, hostname) = (reservation.address, reservation.hostname.clone());
            reserved.insert(mac, Reserved { address, hostname });
        }
        Ok(PoolPlan {
            subnet: self.subnet,
            first: self.first,
            last: self.last,
            lease_time: Duration::from_secs(self.lease_seconds.into()),
            reserved,
            excluded: [Some(server), self.router].into_iter().flatten().collect(),
        })
    }
}
