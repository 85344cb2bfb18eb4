//! Checks of `[dhcp]`, and what it describes: the pools with their reservations and options.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use boot_server_proto::dhcp::{InvalidVpn, Options, Vpn, code};
use boot_server_proto::mac::InvalidMac;
use ipnet::Ipv4Net;
use uuid::Uuid;

use super::dhcp::{DhcpConfig, PoolConfig, RawOptions, Reservation};
use super::dhcp_option::{self, InvalidOption, parse_client_id};
use super::problem::ConfigProblem;
use crate::lease::{PoolPlan, Reserved, ReservedFor};

/// Shortest lease time; RFC 2131 gives T1 and T2 as fractions of it.
const MIN_LEASE_SECONDS: u32 = 60;
/// Smallest subnet: EDK2 takes both addresses of a /31 for a network's and everyone's (tianocore/edk2#8557).
const MAX_PREFIX_LEN: u8 = 30;
/// Smallest MTU of IPv4 (RFC 2132 §5.1).
const MIN_MTU: u16 = 68;

/// Pool and the options that its clients get.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Pool plan built from the configuration.
    pub plan: PoolPlan,
    /// The options that are the same for all of its clients.
    pub options: Options,
    /// VPN of its clients, which their relay agent names.
    pub vpn: Option<Vpn>,
}

/// Reasons that the pools cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolsError {
    /// The server is not on the link that it serves.
    #[error(
        "the server's address {server} is outside dhcp.subnet {subnet}: clients cannot reach the server"
    )]
    ServerOutside {
        /// Address of the server.
        server: Ipv4Addr,
        /// Subnet of `[dhcp]`.
        subnet: Ipv4Net,
    },
    /// A raw option.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The owner of a reservation.
    #[error(transparent)]
    Owner(#[from] InvalidOwner),
    /// The VPN of a pool.
    #[error(transparent)]
    Vpn(#[from] InvalidVpn),
}

/// Mistakes in the owner of a reservation.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOwner {
    /// The MAC.
    #[error(transparent)]
    Mac(#[from] InvalidMac),
    /// The UUID.
    #[error("invalid UUID: `{uuid}` ({source})")]
    Uuid {
        /// Text of the UUID.
        uuid: String,
        /// Mistake in the text.
        source: uuid::Error,
    },
    /// The client identifier.
    #[error(transparent)]
    ClientId(#[from] InvalidOption),
    /// No owner, or several.
    #[error("a reservation is for one of `mac`, `uuid` and `client_id`")]
    NotOne,
}

impl InvalidOwner {
    /// Returns the key of the mistake; empty for the whole reservation.
    fn key(&self) -> &'static str {
        match self {
            InvalidOwner::Mac(_) => "mac",
            InvalidOwner::Uuid { .. } => "uuid",
            InvalidOwner::ClientId(_) => "client_id",
            InvalidOwner::NotOne => "",
        }
    }

    /// Returns the remedy.
    fn help(&self) -> &'static str {
        match self {
            InvalidOwner::Mac(_) => "six hex bytes",
            InvalidOwner::Uuid { .. } => "write it as 16e7d8a7-bfa9-428b-9117-363341bb330b",
            InvalidOwner::ClientId(_) => "\"hex:01:52:54:…\" or \"text:name\"",
            InvalidOwner::NotOne => "give exactly one of them",
        }
    }
}

/// Collects problems of one table.
struct Table<'a> {
    path: Vec<String>,
    problems: &'a mut Vec<ConfigProblem>,
}

impl Table<'_> {
    fn problem(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        let mut path = self.path.clone();
        path.extend(key.split('/').map(str::to_owned));
        self.problems.push(ConfigProblem {
            path,
            message: message.into(),
            help: help.into(),
        });
    }

    fn options(&mut self, raw: &RawOptions) {
        for problem in dhcp_option::problems(raw) {
            let key = format!("options/{}", problem.key);
            self.problem(&key, problem.error.to_string(), problem.error.help());
        }
    }
}

impl DhcpConfig {
    pub(super) fn check(&self, problems: &mut Vec<ConfigProblem>) {
        let own = self.own_pool();
        own.check(Table {
            path: vec!["dhcp".into()],
            problems,
        });
        if self.lease_sync && self.lease_file.is_none() {
            let mut table = Table {
                path: vec!["dhcp".into()],
                problems,
            };
            let message = "missing `lease_file`, which lease_sync waits for";
            table.problem(
                "lease_sync",
                message,
                "add lease_file, or remove lease_sync",
            );
        }
        for (number, pool) in self.pools.iter().enumerate() {
            let mut table = Table {
                path: vec!["dhcp".into(), "pool".into(), number.to_string()],
                problems,
            };
            let before = std::iter::once(&own).chain(self.pools.iter().take(number));
            for other in before.map(|other| other.subnet.trunc()) {
                if other.contains(&pool.subnet.trunc()) || pool.subnet.contains(&other) {
                    let message = format!("{} overlaps {other} of another pool", pool.subnet);
                    table.problem("subnet", message, "a subnet is served by one pool");
                }
            }
            pool.check(table);
        }
        let subnets: Vec<Ipv4Net> = std::iter::once(&own)
            .chain(&self.pools)
            .map(|pool| pool.subnet.trunc())
            .collect();
        let (mut owners, mut addresses) = (HashSet::new(), HashSet::new());
        for (number, reservation) in self.reservations.iter().enumerate() {
            let mut table = Table {
                path: vec!["dhcp".into(), "reservation".into(), number.to_string()],
                problems,
            };
            let address = reservation.address;
            let subnet = subnets.iter().find(|subnet| subnet.contains(&address));
            match subnet.filter(|subnet| usable(**subnet, address)) {
                None => {
                    let all: Vec<String> = subnets.iter().map(Ipv4Net::to_string).collect();
                    let all = all.join(" or ");
                    let message =
                        format!("invalid address: {address} (not a host address in {all})");
                    table.problem("address", message, hosts(&all));
                }
                Some(_) if !addresses.insert(address) => {
                    let message = format!("{address} is reserved already");
                    table.problem("address", message, "an address of its own");
                }
                Some(_) => {}
            }
            match reservation.whose() {
                Err(error) => table.problem(error.key(), error.to_string(), error.help()),
                Ok((key, whose)) => {
                    if !owners.insert((whose, subnet.copied())) {
                        let message = "this machine has a reservation in this subnet already";
                        table.problem(key, message, "one each");
                    }
                }
            }
            if let Some(hostname) = &reservation.hostname
                && !(1..=255).contains(&hostname.len())
            {
                table.problem(
                    "hostname",
                    "a host name has 1 to 255 characters",
                    "e.g. node1",
                );
            }
            table.options(&reservation.options);
        }
    }

    /// Returns the configured pools, that of the server's own link first; `server` is the server's own address,
    /// which is never given.
    ///
    /// # Errors
    /// `server` is not in the subnet, or [`Config::check`](super::Config::check) has problems.
    pub fn pools(&self, server: Ipv4Addr) -> Result<Vec<PoolSettings>, PoolsError> {
        if !self.subnet.contains(&server) {
            return Err(PoolsError::ServerOutside {
                server,
                subnet: self.subnet,
            });
        }
        std::iter::once(&self.own_pool())
            .chain(&self.pools)
            .map(|pool| pool.settings(server, &self.reservations))
            .collect()
    }
}

impl PoolConfig {
    fn check(&self, mut table: Table<'_>) {
        let subnet = self.subnet.trunc();
        if self.subnet != subnet {
            let message = format!("invalid subnet: {} (host bits are set)", self.subnet);
            table.problem("subnet", message, format!("the subnet is {subnet}"));
        }
        if subnet.prefix_len() > MAX_PREFIX_LEN {
            let message = format!("invalid subnet: {subnet} (EDK2 refuses addresses of a /31)");
            let help = format!("a prefix of at most {MAX_PREFIX_LEN}");
            table.problem("subnet", message, help);
        }
        for (key, address) in [("first", self.first), ("last", self.last)] {
            if !usable(subnet, address) {
                let message =
                    format!("invalid address: {address} (not a host address in {subnet})");
                table.problem(key, message, hosts(&subnet.to_string()));
            }
        }
        let both = usable(subnet, self.first) && usable(subnet, self.last);
        if both && self.first > self.last {
            let (first, last) = (self.first, self.last);
            let message = format!("the pool ends at {last} before it begins at {first}");
            table.problem("last", message, format!("an address from {first} on"));
        }
        if self.lease_seconds < MIN_LEASE_SECONDS {
            let seconds = self.lease_seconds;
            let message = format!("a lease of {seconds} seconds is too short to be renewed");
            table.problem(
                "lease_seconds",
                message,
                format!("at least {MIN_LEASE_SECONDS}"),
            );
        }
        if let Some(mtu) = self.mtu.filter(|mtu| *mtu < MIN_MTU) {
            let message = format!("invalid MTU: {mtu} (below the minimum of IPv4)");
            table.problem("mtu", message, format!("at least {MIN_MTU}"));
        }
        if let Some(domain) = &self.domain
            && !(1..=255).contains(&domain.len())
        {
            table.problem(
                "domain",
                "a domain has 1 to 255 characters",
                "e.g. lab.example",
            );
        }
        if let Err(error) = self.parse_vpn() {
            table.problem("vpn", error.to_string(), error.help());
        }
        table.options(&self.options);
    }

    fn parse_vpn(&self) -> Result<Option<Vpn>, InvalidVpn> {
        self.vpn.as_deref().map(str::parse).transpose()
    }

    fn settings(
        &self,
        server: Ipv4Addr,
        reservations: &[Reservation],
    ) -> Result<PoolSettings, PoolsError> {
        let subnet = self.subnet.trunc();
        let mut options = Options::default();
        options.set_addresses(code::SUBNET_MASK, &[subnet.netmask()]);
        options.set_addresses(code::ROUTER, self.router.as_slice());
        options.set_addresses(code::DNS, &self.dns);
        if let Some(domain) = &self.domain {
            options.set(code::DOMAIN_NAME, domain);
        }
        options.set_addresses(code::BROADCAST_ADDRESS, &[subnet.broadcast()]);
        options.set_addresses(code::NTP, &self.ntp);
        if let Some(mtu) = self.mtu {
            options.set(code::MTU, mtu.to_be_bytes());
        }
        options.set_all(&dhcp_option::parse(&self.options)?);
        let mut reserved = Vec::new();
        for reservation in reservations {
            if !subnet.contains(&reservation.address) {
                continue;
            }
            let (_, whose) = reservation.whose()?;
            reserved.push(Reserved {
                whose,
                address: reservation.address,
                hostname: reservation.hostname.clone(),
                options: dhcp_option::parse(&reservation.options)?,
            });
        }
        Ok(PoolSettings {
            plan: PoolPlan {
                subnet,
                first: self.first,
                last: self.last,
                lease_time: Duration::from_secs(self.lease_seconds.into()),
                reserved,
                excluded: [Some(server), self.router].into_iter().flatten().collect(),
            },
            options,
            vpn: self.parse_vpn()?,
        })
    }
}

impl Reservation {
    /// Returns the machine's identifier, and the key that holds it.
    fn whose(&self) -> Result<(&'static str, ReservedFor), InvalidOwner> {
        match (&self.mac, &self.uuid, &self.client_id) {
            (Some(mac), None, None) => Ok(("mac", ReservedFor::Mac(mac.parse()?))),
            (None, Some(uuid), None) => match uuid.parse::<Uuid>() {
                Ok(id) => Ok(("uuid", ReservedFor::Machine(id))),
                Err(source) => Err(InvalidOwner::Uuid {
                    uuid: uuid.clone(),
                    source,
                }),
            },
            (None, None, Some(id)) => {
                Ok(("client_id", ReservedFor::ClientId(parse_client_id(id)?)))
            }
            _ => Err(InvalidOwner::NotOne),
        }
    }
}

/// True if a machine can have this address.
fn usable(subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    subnet.contains(&address)
        && (subnet.prefix_len() >= 31
            || (address != subnet.network() && address != subnet.broadcast()))
}

fn hosts(subnets: &str) -> String {
    format!("a host address in {subnets}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// tianocore/edk2#8557.
    #[test]
    fn check_a_subnet_that_edk2_refuses_is_a_problem() {
        for (subnet, first, last, problems) in [
            ("10.0.0.0/30", 1, 2, 0),
            ("10.0.0.0/31", 0, 1, 1),
            ("10.0.0.1/32", 1, 1, 1),
        ] {
            let ip = |last| Ipv4Addr::new(10, 0, 0, last);
            let config = DhcpConfig::new(subnet.parse().unwrap(), ip(first), ip(last));
            let mut found = Vec::new();
            config.check(&mut found);
            assert_eq!(found.len(), problems, "{subnet}: {found:?}");
        }
    }
}
