//! Paths between the networks of a scenario, and the pools of their DHCP servers.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::model::{Node, Scenario};
use super::super::service::{Service, ServiceAddress};
use super::{Network, Nic, Router};

impl Scenario {
    /// Returns the network of the card from which a machine boots.
    #[must_use]
    pub fn network_of(&self, node: &Node) -> &Network {
        let network = self.network.named(node.network());
        // A name is checked when the scenario is read.
        network.unwrap_or(&self.network)
    }

    /// Returns the network of a service's host.
    #[must_use]
    pub fn network_of_service(&self, service: &Service) -> &Network {
        let network = self.network.named(service.network.as_deref());
        network.unwrap_or(&self.network)
    }

    /// Returns the routers that join this network.
    pub fn routers_of<'s>(&'s self, network: &'s Network) -> impl Iterator<Item = &'s Router> {
        let joins = move |router: &&Router| router.address_in(network.title()).is_some();
        self.routers.iter().filter(joins)
    }

    /// Returns the subnets that a host of this network reaches through a router, each with the router's address.
    #[must_use]
    pub fn routes_from(&self, network: &Network) -> Vec<(Ipv4Net, Ipv4Addr)> {
        let mut routes: Vec<(Ipv4Net, Ipv4Addr)> = Vec::new();
        let mut ahead: VecDeque<(&Network, Option<Ipv4Addr>)> = VecDeque::from([(network, None)]);
        while let Some((here, first_hop)) = ahead.pop_front() {
            for router in self.routers_of(here) {
                let Some(hop) = first_hop.or_else(|| router.address_in(here.title())) else {
                    continue;
                };
                for there in self.network.iter() {
                    let is_known = there.subnet == network.subnet
                        || routes.iter().any(|(subnet, _)| *subnet == there.subnet);
                    if !is_known && router.address_in(there.title()).is_some() {
                        routes.push((there.subnet, hop));
                        ahead.push_back((there, Some(hop)));
                    }
                }
            }
        }
        routes
    }

    /// Returns the router's address that hosts of this network use as their default gateway: that of the router
    /// towards the first network, else that of any router.
    #[must_use]
    pub fn gateway_of(&self, network: &Network) -> Option<Ipv4Addr> {
        let routes = self.routes_from(network);
        let towards = routes
            .iter()
            .find(|(subnet, _)| *subnet == self.network.subnet);
        towards.or(routes.first()).map(|(_, hop)| *hop)
    }

    /// Returns the address in the first network of the router that answers for all addresses outside of the scenario.
    #[must_use]
    pub fn way_out(&self) -> Option<Ipv4Addr> {
        let mut routers = self.routers_of(&self.network);
        let router = routers.find(|router| router.outside.is_some())?;
        router.address_in(self.network.title())
    }

    /// Returns the networks whose DHCP requests a router relays to this server, each with the relay's address.
    #[must_use]
    pub fn relayed_to(&self, server: Ipv4Addr) -> Vec<(&Network, Ipv4Addr)> {
        let mut relayed: Vec<(&Network, Ipv4Addr)> = Vec::new();
        let relays = |router: &&Router| router.relay_to == Some(server);
        for router in self.routers.iter().filter(relays) {
            for network in self.network.iter() {
                let is_served = network.subnet.contains(&server);
                let is_known = relayed.iter().any(|(known, _)| *known == network);
                if let (Some(address), false) =
                    (router.address_in(network.title()), is_served || is_known)
                {
                    relayed.push((network, address));
                }
            }
        }
        relayed
    }

    /// Returns the first and last address of the DHCP pool of the first network.
    #[must_use]
    pub fn pool(&self) -> (Ipv4Addr, Ipv4Addr) {
        self.pool_of(&self.network)
    }

    /// Returns the first and last address of a network's DHCP pool: the largest range without the address of the
    /// lab's host, a service or a router.
    #[must_use]
    pub fn pool_of(&self, network: &Network) -> (Ipv4Addr, Ipv4Addr) {
        let is_first = network.subnet == self.network.subnet;
        let (first, last) = match is_first {
            true => network.pool(),
            false => network.addresses(),
        };
        let (first, last) = (u32::from(first), u32::from(last));
        let services = self.custom_services.iter();
        let services = services.filter_map(|service| service.address.own());
        let routers = self.routers.iter();
        let routers = routers.flat_map(|router| router.addresses.values().copied());
        let mut taken: Vec<u32> = services
            .chain(routers)
            .map(u32::from)
            .filter(|address| (first..=last).contains(address))
            .collect();
        taken.sort_unstable();
        let starts = [first].into_iter().chain(taken.iter().map(|one| one + 1));
        let ends = taken.iter().map(|one| one.saturating_sub(1)).chain([last]);
        let longest = starts
            .zip(ends)
            .max_by_key(|(start, end)| i64::from(*end) - i64::from(*start));
        let (start, end) = longest.unwrap_or((first, last));
        (Ipv4Addr::from(start), Ipv4Addr::from(end))
    }

    /// Returns the address of a service's host.
    #[must_use]
    pub fn address_of(&self, service: &Service) -> Ipv4Addr {
        match service.address {
            ServiceAddress::Shared => self.network.host(),
            ServiceAddress::Own(address) => address,
        }
    }

    /// True if a service of the scenario has this address.
    #[must_use]
    pub fn is_service_address(&self, address: Ipv4Addr) -> bool {
        let mut own = self.custom_services.iter();
        address == self.network.host()
            || own.any(|service| service.address == ServiceAddress::Own(address))
    }
}

impl Node {
    /// Returns the card from which the machine boots, if the scenario lists cards.
    #[must_use]
    pub fn boot_nic(&self) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.boots)
    }

    /// True if the machine itself tags its frames.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.boot_nic().is_some_and(|nic| nic.tagged)
    }

    /// Returns the name of the network of the card from which the machine boots; `None` is the first network.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match self.boot_nic() {
            Some(nic) => nic.network.as_deref(),
            None => self.network.as_deref(),
        }
    }
}
