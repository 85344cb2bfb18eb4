//! PXE-enabled DHCP server's side of RFC 2131 §4.3: the choice of an address, or silence. The other content of
//! a reply is in [`super::dhcp_reply`].

use std::net::Ipv4Addr;
use std::time::SystemTime;

use boot_server_events::Shortage;
use boot_server_proto::dhcp::{Message, MessageType, Options, SelectedVpn, Vpn};
use ipnet::Ipv4Net;

use super::answer::{Answer, Probe};
use super::destination::is_unicast_host;
use super::dhcp_reply::{Context, give, inform_ack, refuse};
use super::server_options::ServerOptions;
use crate::config::PoolSettings;
use crate::lease::{
    JournalError, LeaseClient, LeaseError, LeasePool, LeaseRecord, LeaseStore, Rewritten, Usage,
};
use crate::policy::{BootStep, Client};

/// To whom a message without a relay agent was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// To everyone on our link: its sender is on it.
    Broadcast,
    /// To our own address: its sender may be anywhere.
    Unicast,
}

/// A pool and the options that go with it.
struct ServedPool {
    options: Options,
    pool: LeasePool,
    /// VPN of the link.
    vpn: Option<Vpn>,
}

/// DHCP server: the pool of its own link, and those behind relay agents.
pub struct DhcpServer<S> {
    server: Ipv4Addr,
    server_options: ServerOptions,
    /// The first one is that of our own link.
    pools: Vec<ServedPool>,
    store: S,
    /// Records were handed to the store since it was last committed.
    uncommitted: bool,
}

impl<S: LeaseStore> DhcpServer<S> {
    /// Creates a server with its address on the first pool's link; it continues with the known leases.
    pub fn new(
        server: Ipv4Addr,
        server_options: ServerOptions,
        pools: Vec<PoolSettings>,
        known: &[LeaseRecord],
        store: S,
    ) -> DhcpServer<S> {
        let pools = pools.into_iter().map(|settings| ServedPool {
            options: settings.options,
            vpn: settings.vpn,
            pool: LeasePool::new(settings.plan, known),
        });
        DhcpServer {
            server,
            server_options,
            pools: pools.collect(),
            store,
            uncommitted: false,
        }
    }

    /// Answers a message that came to port 67, to everyone or to us.
    ///
    /// An acknowledgement may be sent only after [`DhcpServer::commit`] has succeeded.
    pub fn handle(
        &mut self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        arrival: Arrival,
        now: SystemTime,
    ) -> Answer {
        if let Err(reason) = self.check_addresses(request, client) {
            return Answer::silence(reason);
        }
        let vpn = self.vpn_of(request);
        let found = self.pool_for(request, arrival, vpn.as_ref());
        let Some((number, served)) = found.and_then(|n| Some((n, self.pools.get_mut(n)?))) else {
            let link = request.selected_link().unwrap_or(request.relay_agent);
            return Answer::silence(match vpn {
                Some(SelectedVpn::Of(vpn)) => {
                    format!("no pool for the link of {link} in the VPN {vpn}")
                }
                _ => format!("no pool for the link of {link}"),
            });
        };
        let hostname = request.host_name();
        let ask = Ask {
            server: self.server,
            server_options: self.server_options,
            request,
            client,
            step,
            uses_vpn: vpn.is_some(),
            who: lease_client(request, client, hostname.as_deref()),
            now,
        };
        let (answer, record) = match client.message {
            MessageType::Discover => (served.discover(&ask, number == 0), None),
            MessageType::Request => served.request(&ask),
            MessageType::Inform => (served.inform(&ask), None),
            MessageType::Release => served.release(&ask),
            MessageType::Decline => served.decline(&ask),
            _ => (Answer::silence("not a client's message"), None),
        };
        if let Some(record) = record {
            self.keep(record);
        }
        answer
    }

    /// The address that was to be offered is in use by somebody else: it rests for a while. A lease that
    /// was acknowledged meanwhile stays one.
    pub fn found_in_use(
        &mut self,
        request: &Message,
        client: &Client,
        address: Ipv4Addr,
        now: SystemTime,
    ) {
        let who = lease_client(request, client, None);
        let pool = self
            .pools
            .iter_mut()
            .find(|p| p.pool.subnet().contains(&address));
        if let Some(Ok(record)) = pool.map(|served| served.pool.found_in_use(&who, address, now)) {
            self.keep(record);
        }
    }

    /// True if an address is still offered to a client, or is its lease.
    pub fn holds(&self, client: &Client, address: Ipv4Addr, now: SystemTime) -> bool {
        let mut pools = self.pools.iter().map(|served| &served.pool);
        pools.any(|pool| pool.is_held_by(client.mac, address, now))
    }

    /// Moves the ends of all leases by seconds: the wall clock was set, and the time that comes as an
    /// argument with it.
    pub fn shift(&mut self, seconds: i64) {
        for served in &mut self.pools {
            served.pool.shift(seconds);
        }
        self.store.shift(seconds);
        self.uncommitted = true;
    }

    /// Returns the use of each subnet's pool.
    pub fn usage(&self, now: SystemTime) -> impl Iterator<Item = (Ipv4Net, Usage)> {
        let pools = self.pools.iter().map(|served| &served.pool);
        pools.map(move |pool| (pool.subnet(), pool.usage(now)))
    }

    /// True if leases must be committed before acknowledgements are sent.
    pub fn is_uncommitted(&self) -> bool {
        self.uncommitted
    }

    /// Keeps the leases that were given since the last time; `Ok` may carry a warning.
    ///
    /// # Errors
    /// They could not be kept. Acknowledgements since the last time must not be sent.
    pub fn commit(&mut self) -> Result<Option<Rewritten>, JournalError> {
        self.uncommitted = false;
        self.store.commit()
    }

    fn keep(&mut self, record: LeaseRecord) {
        self.store.keep(record);
        self.uncommitted = true;
    }

    /// Refuses messages that would have the server answer to everyone on a network, or to a host that did
    /// not ask.
    fn check_addresses(&self, request: &Message, client: &Client) -> Result<(), &'static str> {
        let is_host = |address: Ipv4Addr| {
            let mut subnets = self.pools.iter().map(|served| served.pool.subnet());
            let own = subnets.find(|subnet| subnet.contains(&address));
            is_unicast_host(address)
                && own.is_none_or(|own| address != own.network() && address != own.broadcast())
        };
        let (relay, own) = (request.relay_agent, request.client_address);
        if !relay.is_unspecified() && !is_host(relay) {
            return Err("the relay agent's address is not a host address");
        }
        // A Discover's is not used (RFC 2131 §4.4.1: it is 0).
        if client.message != MessageType::Discover && !own.is_unspecified() && !is_host(own) {
            return Err("the client's address is not a host address");
        }
        Ok(())
    }

    /// Returns the VPN that the client's relay agent names, if any pool has one. A server without such pools does not
    /// support VPNs, and sends sub-option 152 back (RFC 6607).
    fn vpn_of(&self, request: &Message) -> Option<SelectedVpn> {
        let has_vpns = self.pools.iter().any(|served| served.vpn.is_some());
        request.selected_vpn().filter(|_| has_vpns)
    }

    /// Returns the pool of the link that the client is on: the one it or its relay names (RFC 3527, RFC 3011),
    /// else the relay's (RFC 2131 §4.3.1), else that of the address it already uses, as a client behind a relay
    /// renews without it, else ours. One that broadcasts on our link is on it, whatever address it uses: it has
    /// been moved here. The link of a relay agent is in the VPN that the agent names, or in none.
    fn pool_for(
        &self,
        request: &Message,
        arrival: Arrival,
        vpn: Option<&SelectedVpn>,
    ) -> Option<usize> {
        let of = |address: Ipv4Addr| {
            let mut pools = self.pools.iter();
            pools.position(|served| served.pool.subnet().contains(&address))
        };
        let vpn = match vpn {
            Some(SelectedVpn::Of(vpn)) => Some(vpn),
            Some(SelectedVpn::Global) | None => None,
        };
        let is_in_vpn = |number: &usize| {
            let served = self.pools.get(*number);
            served.is_some_and(|served| served.vpn.as_ref() == vpn)
        };
        let relay = Some(request.relay_agent).filter(|relay| !relay.is_unspecified());
        match request.selected_link().or(relay) {
            Some(link) => of(link).filter(is_in_vpn),
            None if arrival == Arrival::Broadcast => Some(0),
            None if request.client_address.is_unspecified() => Some(0),
            None => Some(of(request.client_address).unwrap_or(0)),
        }
    }
}

/// A message, and what is known of it.
struct Ask<'a> {
    server: Ipv4Addr,
    server_options: ServerOptions,
    request: &'a Message,
    client: &'a Client,
    step: &'a BootStep,
    /// True if the pool is that of the VPN which the relay agent names.
    uses_vpn: bool,
    who: LeaseClient<'a>,
    now: SystemTime,
}

impl Ask<'_> {
    /// Returns the server identifier, if it is neither this server's nor that of a relay agent that overrides
    /// it (RFC 5107).
    fn another_server(&self) -> Option<Ipv4Addr> {
        let stand_in = self.request.server_id_override();
        let server = self.request.server_id();
        server.filter(|server| *server != self.server && Some(*server) != stand_in)
    }
}

/// Answer to send, and the lease to store before it.
type Outcome = (Answer, Option<LeaseRecord>);

fn silent(why: impl Into<String>) -> Outcome {
    (Answer::silence(why), None)
}

/// Stores a record without sending an answer.
fn kept(result: Result<LeaseRecord, LeaseError>, why: impl Into<String>) -> Outcome {
    match result {
        Ok(record) => (Answer::silence(why), Some(record)),
        Err(error) => silent(error.to_string()),
    }
}

impl ServedPool {
    fn context<'a>(&'a self, ask: &Ask<'a>) -> Context<'a> {
        Context {
            server: ask.server,
            server_options: ask.server_options,
            options: &self.options,
            lease_time: self.pool.lease_time(),
            reserved: self.pool.reservation(&ask.who),
            request: ask.request,
            client: ask.client,
            step: ask.step,
            uses_vpn: ask.uses_vpn,
        }
    }

    fn discover(&mut self, ask: &Ask<'_>, is_of_our_link: bool) -> Answer {
        let wanted = ask.request.requested_address();
        let offered = match self.pool.offer(&ask.who, wanted, ask.now) {
            Ok(offered) => offered,
            Err(error @ LeaseError::TooManyOffers { .. }) => {
                return Answer::Unserved(Shortage::TooManyOffers, error.to_string());
            }
            Err(error) => return Answer::Unserved(Shortage::PoolExhausted, error.to_string()),
        };
        let mut reply = give(&self.context(ask), MessageType::Offer, offered.address);
        if ask.server_options.probing && offered.fresh {
            let is_near = is_of_our_link && ask.request.relay_agent.is_unspecified();
            reply.probe = Some(match is_near {
                true => Probe::Arp(offered.address),
                false => Probe::Echo(offered.address),
            });
        }
        Answer::Reply(Box::new(reply))
    }

    fn request(&mut self, ask: &Ask<'_>) -> Outcome {
        let Ask {
            request, who, now, ..
        } = ask;
        let mac = who.mac;
        if let Some(server) = ask.another_server() {
            self.pool.withdraw_offer(mac, *now);
            return silent(format!("the client accepted the offer of {server}"));
        }
        let renewing = !request.client_address.is_unspecified();
        let address = match request.requested_address() {
            _ if renewing => request.client_address,
            Some(address) => address,
            None => return silent("REQUEST without an address"),
        };
        // RFC 2131 §4.3.2, INIT-REBOOT: silence about a client of whom nothing is known, unless it is
        // on the wrong network; a refusal to one that we know to have another address. One that
        // renews what we do not remember (no lease file, and a restart) is given it again when it is
        // free, which never makes two owners.
        let rebooting = request.server_id().is_none() && !renewing;
        if rebooting && self.pool.subnet().contains(&address) {
            let reserved = self.pool.reservation(who).map(|reserved| reserved.address);
            match self.pool.recorded(who) {
                Some(known) if known == address || reserved == Some(address) => {}
                Some(known) => {
                    return self.refuse(ask, &format!("{mac} has {known}, not {address}"));
                }
                None => return silent(LeaseError::Unknown { mac, address }.to_string()),
            }
        }
        match self.pool.bind(who, address, *now) {
            Ok(record) => {
                let reply = give(&self.context(ask), MessageType::Ack, address);
                (Answer::Reply(Box::new(reply)), Some(record))
            }
            Err(LeaseError::Refused(why)) => self.refuse(ask, &why.to_string()),
            Err(error) => silent(error.to_string()),
        }
    }

    fn refuse(&self, ask: &Ask<'_>, why: &str) -> Outcome {
        let reply = refuse(&self.context(ask), why);
        (Answer::Reply(Box::new(reply)), None)
    }

    /// RFC 2131 §4.3.4.
    fn release(&mut self, ask: &Ask<'_>) -> Outcome {
        if let Some(server) = ask.another_server() {
            return silent(format!("RELEASE for {server}"));
        }
        // RFC 2131 §4.4.4, table 5: MUST. dnsmasq ignores one without it, too.
        if ask.request.server_id().is_none() {
            return silent("RELEASE without a server identifier");
        }
        let address = ask.request.client_address;
        kept(self.pool.release(&ask.who, address, ask.now), "released")
    }

    /// RFC 2131 §4.3.3.
    fn decline(&mut self, ask: &Ask<'_>) -> Outcome {
        if let Some(server) = ask.another_server() {
            return silent(format!("DECLINE for {server}"));
        }
        if ask.request.server_id().is_none() {
            return silent("DECLINE without a server identifier");
        }
        let Some(address) = ask.request.requested_address() else {
            return silent("DECLINE without an address");
        };
        let why = format!("{address} is in use by another host (DECLINE)");
        kept(self.pool.decline(&ask.who, address, ask.now), why)
    }

    /// RFC 2131 §4.3.5: configuration without a lease.
    fn inform(&self, ask: &Ask<'_>) -> Answer {
        if !self.pool.subnet().contains(&ask.request.client_address) {
            return Answer::silence("INFORM from outside the subnet");
        }
        Answer::Reply(Box::new(inform_ack(&self.context(ask))))
    }
}

fn lease_client<'a>(
    request: &'a Message,
    client: &Client,
    hostname: Option<&'a str>,
) -> LeaseClient<'a> {
    LeaseClient {
        mac: client.mac,
        machine_id: client.machine_id.filter(|_| client.uuid.is_some()),
        client_id: request.client_id(),
        hostname,
        circuit: request.relay_circuit(),
    }
}
