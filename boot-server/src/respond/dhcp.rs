//! The PXE-enabled DHCP server's side of RFC 2131 §4.3: which address, or silence. What a reply says
//! beside its address is in [`super::dhcp_reply`].

use std::net::Ipv4Addr;
use std::time::SystemTime;

use super::dhcp_reply::{Context, give, inform_ack, refuse};
use super::{Answer, Probe};
use crate::config::PoolSettings;
use crate::lease::{Holder, LeaseError, LeasePool, LeaseRecord, LeaseStore};
use crate::policy::{BootStep, Client};
use crate::proto::dhcp::{Message, MessageType, Options};

/// How clients without an address are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addressing {
    /// By broadcast when they ask for it, else by their MAC at the address they are given.
    #[default]
    AsAsked,
    /// Always by broadcast.
    Broadcast,
}

/// What an operator may choose of how the server behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// How clients without an address are answered.
    pub addressing: Addressing,
    /// Whether offers to PXE firmware say `PXEClient`.
    pub pxe_vendor_class: bool,
    /// Whether addresses that are new to their client are looked for before they are offered.
    pub probing: bool,
}

/// A pool and the options that go with it.
struct ServedPool {
    options: Options,
    pool: LeasePool,
}

/// A DHCP server: the pool of its own link, and those behind relay agents.
pub struct DhcpServer<S> {
    server: Ipv4Addr,
    habits: Habits,
    /// The first one is that of our own link.
    pools: Vec<ServedPool>,
    store: S,
    /// Records were handed to the store since it was last committed.
    uncommitted: bool,
}

impl<S: LeaseStore> DhcpServer<S> {
    /// A server with our address on its first pool's link; it goes on with the leases that are known.
    pub fn new(
        server: Ipv4Addr,
        habits: Habits,
        pools: Vec<PoolSettings>,
        known: &[LeaseRecord],
        store: S,
    ) -> DhcpServer<S> {
        let pools = pools.into_iter().map(|settings| ServedPool {
            options: settings.options,
            pool: LeasePool::new(settings.plan, known),
        });
        DhcpServer {
            server,
            habits,
            pools: pools.collect(),
            store,
            uncommitted: false,
        }
    }

    /// Answers a message that came to port 67.
    ///
    /// An acknowledgement may be sent only after [`DhcpServer::commit`] has succeeded.
    pub fn handle(
        &mut self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        now: SystemTime,
    ) -> Answer {
        let Some(number) = self.pool_for(request) else {
            let link = request.selected_link().unwrap_or(request.relay_agent);
            return Answer::silence(format!("no pool serves the link of {link}"));
        };
        let hostname = request.host_name();
        let who = holder(request, client, hostname.as_deref());
        match client.message {
            MessageType::Discover => self.discover(number, request, client, step, &who, now),
            MessageType::Request => self.request(number, request, client, step, &who, now),
            MessageType::Inform => self.inform(number, request, client, step, &who),
            MessageType::Release => self.release(number, request, &who, now),
            MessageType::Decline => self.decline(number, request, &who, now),
            _ => Answer::silence("not a client's message"),
        }
    }

    /// The address that was to be offered is in use by somebody else: it rests for a while.
    pub fn found_in_use(
        &mut self,
        request: &Message,
        client: &Client,
        address: Ipv4Addr,
        now: SystemTime,
    ) {
        let who = holder(request, client, None);
        let pool = self
            .pools
            .iter_mut()
            .find(|p| p.pool.subnet().contains(&address));
        if let Some(Ok(record)) = pool.map(|served| served.pool.decline(&who, address, now)) {
            self.keep(record);
        }
    }

    /// Whether there is something to commit before acknowledgements are sent.
    pub fn is_uncommitted(&self) -> bool {
        self.uncommitted
    }

    /// Keeps the leases that were given since the last time; `Ok` may carry a warning.
    ///
    /// # Errors
    /// A sentence: they could not be kept. Acknowledgements since the last time must not be sent.
    pub fn commit(&mut self) -> Result<Option<String>, String> {
        self.uncommitted = false;
        self.store.commit()
    }

    fn keep(&mut self, record: LeaseRecord) {
        self.store.keep(record);
        self.uncommitted = true;
    }

    /// The pool of the link that the client is on: the one it or its relay names (RFC 3527,
    /// RFC 3011), else the relay's (RFC 2131 §4.3.1), else that of the address it already uses, as a
    /// client behind a relay renews without it, else ours.
    fn pool_for(&self, request: &Message) -> Option<usize> {
        let of = |address: Ipv4Addr| {
            let mut pools = self.pools.iter();
            pools.position(|served| served.pool.subnet().contains(&address))
        };
        let relay = Some(request.relay_agent).filter(|relay| !relay.is_unspecified());
        match request.selected_link().or(relay) {
            Some(link) => of(link),
            None if request.client_address.is_unspecified() => Some(0),
            None => Some(of(request.client_address).unwrap_or(0)),
        }
    }

    fn context<'a>(
        &'a self,
        number: usize,
        request: &'a Message,
        client: &'a Client,
        step: &'a BootStep,
        who: &Holder<'_>,
    ) -> Option<Context<'a>> {
        let served = self.pools.get(number)?;
        Some(Context {
            server: self.server,
            habits: self.habits,
            options: &served.options,
            lease_time: served.pool.lease_time(),
            reserved: served.pool.reservation(who),
            request,
            client,
            step,
        })
    }

    fn discover(
        &mut self,
        number: usize,
        request: &Message,
        client: &Client,
        step: &BootStep,
        who: &Holder<'_>,
        now: SystemTime,
    ) -> Answer {
        let Some(served) = self.pools.get_mut(number) else {
            return Answer::silence("no such pool");
        };
        let offered = match served.pool.offer(who, request.requested_address(), now) {
            Ok(offered) => offered,
            Err(error) => return Answer::silence(error.to_string()),
        };
        let Some(context) = self.context(number, request, client, step, who) else {
            return Answer::silence("no such pool");
        };
        let mut reply = give(&context, MessageType::Offer, offered.address);
        if self.habits.probing && offered.fresh {
            reply.probe = Some(match (number, request.relay_agent.is_unspecified()) {
                (0, true) => Probe::Arp(offered.address),
                _ => Probe::Echo(offered.address),
            });
        }
        Answer::Reply(Box::new(reply))
    }

    fn request(
        &mut self,
        number: usize,
        request: &Message,
        client: &Client,
        step: &BootStep,
        who: &Holder<'_>,
        now: SystemTime,
    ) -> Answer {
        let Some(served) = self.pools.get_mut(number) else {
            return Answer::silence("no such pool");
        };
        let pool = &mut served.pool;
        let mac = client.mac;
        let renewing = !request.client_address.is_unspecified();
        match request.server_id() {
            Some(server) if server != self.server => {
                pool.withdraw_offer(mac, now);
                return Answer::silence(format!("it took the offer of {server}"));
            }
            _ => {}
        }
        let address = match request.requested_address() {
            _ if renewing => request.client_address,
            Some(address) => address,
            None => return Answer::silence("a request without an address"),
        };
        // RFC 2131 §4.3.2, INIT-REBOOT: silence about a client of whom nothing is known, unless it is
        // on the wrong network; a refusal to one that we know to have another address. One that
        // renews what we do not remember (no lease file, and a restart) is given it again when it is
        // free, which never makes two owners.
        let rebooting = request.server_id().is_none() && !renewing;
        if rebooting && pool.subnet().contains(&address) {
            let reserved = pool.reservation(who).map(|reserved| reserved.address);
            match pool.recorded(who) {
                Some(known) if known == address || reserved == Some(address) => {}
                Some(known) => {
                    let why = format!("{mac} has {known}, not {address}");
                    return self.refuse(number, request, client, step, who, &why);
                }
                None => {
                    return Answer::silence(LeaseError::Unknown { mac, address }.to_string());
                }
            }
        }
        match pool.bind(who, address, now) {
            Ok(record) => {
                self.keep(record);
                match self.context(number, request, client, step, who) {
                    Some(context) => {
                        Answer::Reply(Box::new(give(&context, MessageType::Ack, address)))
                    }
                    None => Answer::silence("no such pool"),
                }
            }
            Err(LeaseError::Refused(why)) => self.refuse(number, request, client, step, who, &why),
            Err(error) => Answer::silence(error.to_string()),
        }
    }

    fn refuse(
        &self,
        number: usize,
        request: &Message,
        client: &Client,
        step: &BootStep,
        who: &Holder<'_>,
        why: &str,
    ) -> Answer {
        match self.context(number, request, client, step, who) {
            Some(context) => Answer::Reply(Box::new(refuse(&context, why))),
            None => Answer::silence("no such pool"),
        }
    }

    /// RFC 2131 §4.3.4.
    fn release(
        &mut self,
        number: usize,
        request: &Message,
        who: &Holder<'_>,
        now: SystemTime,
    ) -> Answer {
        if let Some(server) = self.another_server(request) {
            return Answer::silence(format!("a release for {server}"));
        }
        let address = request.client_address;
        let released = self
            .pools
            .get_mut(number)
            .map(|s| s.pool.release(who, address, now));
        match released {
            Some(Ok(record)) => {
                self.keep(record);
                Answer::silence("released")
            }
            Some(Err(error)) => Answer::silence(error.to_string()),
            None => Answer::silence("no such pool"),
        }
    }

    /// RFC 2131 §4.3.3.
    fn decline(
        &mut self,
        number: usize,
        request: &Message,
        who: &Holder<'_>,
        now: SystemTime,
    ) -> Answer {
        if let Some(server) = self.another_server(request) {
            return Answer::silence(format!("a decline for {server}"));
        }
        let Some(address) = request.requested_address() else {
            return Answer::silence("a decline without an address");
        };
        let declined = self
            .pools
            .get_mut(number)
            .map(|s| s.pool.decline(who, address, now));
        match declined {
            Some(Ok(record)) => {
                self.keep(record);
                Answer::silence(format!("{address} is in use by somebody else, as declined"))
            }
            Some(Err(error)) => Answer::silence(error.to_string()),
            None => Answer::silence("no such pool"),
        }
    }

    /// RFC 2131 §4.3.5: configuration without a lease.
    fn inform(
        &self,
        number: usize,
        request: &Message,
        client: &Client,
        step: &BootStep,
        who: &Holder<'_>,
    ) -> Answer {
        let subnet = self.pools.get(number).map(|served| served.pool.subnet());
        if !subnet.is_some_and(|subnet| subnet.contains(&request.client_address)) {
            return Answer::silence("an inform from outside the subnet");
        }
        match self.context(number, request, client, step, who) {
            Some(context) => Answer::Reply(Box::new(inform_ack(&context))),
            None => Answer::silence("no such pool"),
        }
    }

    /// The server a message is for, when that is not us.
    fn another_server(&self, request: &Message) -> Option<Ipv4Addr> {
        request.server_id().filter(|server| *server != self.server)
    }
}

fn holder<'a>(request: &'a Message, client: &Client, hostname: Option<&'a str>) -> Holder<'a> {
    Holder {
        mac: client.mac,
        machine_id: client.machine_id.filter(|_| client.uuid.is_some()),
        client_id: request.client_id(),
        hostname,
    }
}
