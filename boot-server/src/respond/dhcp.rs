//! The PXE-enabled DHCP server's side of RFC 2131 §4.3: which address, which options, or silence.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use super::destination::destination;
use super::{Answer, Reply, boot_fields};
use crate::lease::{LeaseError, LeasePool, LeaseStore};
use crate::policy::{BootAction, BootStep, Client, Loader};
use crate::proto::dhcp::{Message, MessageType, code};

/// What is the same for every client.
#[derive(Debug, Clone)]
pub struct Network {
    /// Our own address: server identifier and boot server.
    pub server: Ipv4Addr,
    /// Default router.
    pub router: Option<Ipv4Addr>,
    /// DNS servers.
    pub dns: Vec<Ipv4Addr>,
    /// Domain name.
    pub domain: Option<String>,
}

/// iPXE's setting `no-pxedhcp` (encapsulated option 176) = 1: do not wait for proxyDHCP offers.
const IPXE_NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// A DHCP server for one subnet.
pub struct DhcpServer<S> {
    network: Network,
    pool: LeasePool<S>,
}

impl<S: LeaseStore> DhcpServer<S> {
    /// A server that gives addresses of this pool.
    pub fn new(network: Network, pool: LeasePool<S>) -> DhcpServer<S> {
        DhcpServer { network, pool }
    }

    /// Answers a message that came to port 67.
    pub fn handle(
        &mut self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        now: SystemTime,
    ) -> Answer {
        match client.message {
            MessageType::Discover => self.discover(request, client, step, now),
            MessageType::Request => self.request(request, client, step, now),
            MessageType::Inform => self.inform(request, client, step),
            MessageType::Release => {
                match self.pool.release(client.mac, request.client_address, now) {
                    Ok(()) => Answer::silence("released"),
                    Err(error) => Answer::silence(error.to_string()),
                }
            }
            MessageType::Decline => self.decline(request, client, now),
            _ => Answer::silence("not a client's message"),
        }
    }

    fn discover(
        &mut self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        now: SystemTime,
    ) -> Answer {
        match self
            .pool
            .offer(client.mac, request.requested_address(), now)
        {
            Ok(address) => self.give(request, client, step, MessageType::Offer, address),
            Err(error) => Answer::silence(error.to_string()),
        }
    }

    fn request(
        &mut self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        now: SystemTime,
    ) -> Answer {
        let mac = client.mac;
        let renewing = !request.client_address.is_unspecified();
        match request.server_id() {
            Some(server) if server != self.network.server => {
                self.pool.withdraw_offer(mac, now);
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
        // on the wrong network. One that renews what we do not remember (no lease file, and a
        // restart) is given it again when it is free, which never makes two owners.
        let rebooting = request.server_id().is_none() && !renewing;
        if rebooting && self.pool.subnet().contains(&address) && !self.pool.knows(mac, address) {
            return Answer::silence(LeaseError::Unknown { mac, address }.to_string());
        }
        match self.pool.bind(mac, address, now) {
            Ok(()) => self.give(request, client, step, MessageType::Ack, address),
            Err(LeaseError::Refused(why)) => self.refuse(request, &why),
            Err(error) => Answer::silence(error.to_string()),
        }
    }

    fn decline(&mut self, request: &Message, client: &Client, now: SystemTime) -> Answer {
        if request
            .server_id()
            .is_some_and(|server| server != self.network.server)
        {
            return Answer::silence("a decline for another server");
        }
        let Some(address) = request.requested_address() else {
            return Answer::silence("a decline without an address");
        };
        match self.pool.decline(client.mac, address, now) {
            Ok(()) => Answer::silence(format!("{address} is in use by somebody else, as declined")),
            Err(error) => Answer::silence(error.to_string()),
        }
    }

    /// RFC 2131 §4.3.5: configuration without a lease.
    fn inform(&self, request: &Message, client: &Client, step: &BootStep) -> Answer {
        if !self.pool.subnet().contains(&request.client_address) {
            return Answer::silence("an inform from outside the subnet");
        }
        let mut message = self.reply(request, client, step, MessageType::Ack);
        message.client_address = request.client_address;
        echo(request, &mut message);
        let to = destination(request, MessageType::Ack);
        Answer::Reply(Box::new(Reply {
            message,
            to,
            address: None,
        }))
    }

    fn refuse(&self, request: &Message, why: &str) -> Answer {
        let mut message = Message::reply_to(request);
        message
            .options
            .set(code::MESSAGE_TYPE, [MessageType::Nak.to_wire()]);
        message
            .options
            .set_addresses(code::SERVER_ID, &[self.network.server]);
        message.options.set(code::MESSAGE, why);
        // RFC 2131 §4.3.2: through a relay, the relay is asked to broadcast it.
        if !request.relay_agent.is_unspecified() {
            message.set_broadcast();
        }
        echo(request, &mut message);
        let to = destination(request, MessageType::Nak);
        Answer::Reply(Box::new(Reply {
            message,
            to,
            address: None,
        }))
    }

    fn give(
        &self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        kind: MessageType,
        address: Ipv4Addr,
    ) -> Answer {
        let mut message = self.reply(request, client, step, kind);
        message.your_address = address;
        if kind == MessageType::Ack {
            message.client_address = request.client_address;
        }
        let seconds = u32::try_from(self.pool.lease_time().as_secs()).unwrap_or(u32::MAX);
        message.options.set_u32(code::LEASE_TIME, seconds);
        // RFC 2131 §4.4.5: the defaults of T1 and T2.
        message.options.set_u32(code::RENEWAL_TIME, seconds / 2);
        message
            .options
            .set_u32(code::REBINDING_TIME, seconds - seconds / 8);
        echo(request, &mut message);
        let to = destination(request, kind);
        Answer::Reply(Box::new(Reply {
            message,
            to,
            address: Some(address),
        }))
    }

    /// All but the address, its times, and what is echoed last.
    fn reply(
        &self,
        request: &Message,
        client: &Client,
        step: &BootStep,
        kind: MessageType,
    ) -> Message {
        let network = &self.network;
        let subnet = self.pool.subnet();
        let mut message = Message::reply_to(request);
        let options = &mut message.options;
        options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
        options.set_addresses(code::SERVER_ID, &[network.server]);
        options.set_addresses(code::SUBNET_MASK, &[subnet.netmask()]);
        options.set_addresses(code::BROADCAST_ADDRESS, &[subnet.broadcast()]);
        options.set_addresses(code::ROUTER, network.router.as_slice());
        options.set_addresses(code::DNS, &network.dns);
        if let Some(domain) = &network.domain {
            options.set(code::DOMAIN_NAME, domain.as_bytes());
        }
        if let Some(hostname) = self.pool.hostname(client.mac) {
            options.set(code::HOST_NAME, hostname);
        }
        if client.loader != Loader::Firmware {
            // No proxy is to be waited for where this server says what to boot.
            options.set(code::IPXE, IPXE_NO_PXEDHCP);
        }
        // No option 60 `PXEClient`: firmware would then look for boot servers instead of using the
        // boot file named here.
        if step.action != BootAction::Nothing {
            if let Some(id) = request.options.bytes(code::MACHINE_ID) {
                message.options.set(code::MACHINE_ID, id);
            }
            boot_fields::set_header(&mut message, step, network.server);
            boot_fields::set_options(&mut message, step, network.server);
        }
        message
    }
}

/// What a server sends back as it came: the client identifier (RFC 6842) and, last, what the relay
/// agent said (RFC 3046 §2.2).
fn echo(request: &Message, reply: &mut Message) {
    for code in [code::CLIENT_ID, code::RELAY_AGENT_INFO] {
        if let Some(bytes) = request.options.bytes(code) {
            reply.options.remove(code);
            reply.options.set(code, bytes);
        }
    }
}
