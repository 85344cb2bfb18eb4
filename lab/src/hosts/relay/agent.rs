//! Relay agent's decisions (RFC 1542 §4.1, RFC 3046, RFC 3527, RFC 5107, RFC 6607). Pure.
//!
//! For each message from a client's network, call [`Agent::to_server`] and send its result to the server. For each
//! message from the server, call [`Agent::to_client`] and send its result as [`ToClient`] says.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{
    Message, MessageType, Op, VIRTUAL_SUBNET, VIRTUAL_SUBNET_CONTROL, Vpn, code,
};
use boot_server_proto::mac::MacAddr;
use lab_model::fault::RelayFlaw;
use thiserror::Error;

/// Largest DHCP message in a frame of Ethernet: 1500 bytes without the headers of IP and UDP.
pub(super) const MESSAGE_MAX: usize = 1472;

/// Number of relays after which a message is discarded (RFC 1542 §4.1.1).
const HOPS_MAX: u8 = 16;

/// Sub-options of the relay agent's option 82.
mod sub_option {
    /// Circuit that the request came from (RFC 3046 §3.1).
    pub(super) const CIRCUIT_ID: u8 = 1;
    /// Identity of the relay (RFC 3046 §3.2).
    pub(super) const REMOTE_ID: u8 = 2;
    /// Link of the client (RFC 3527 §3).
    pub(super) const LINK_SELECTION: u8 = 5;
    /// Address that clients take for the server's (RFC 5107 §4).
    pub(super) const SERVER_ID_OVERRIDE: u8 = 11;
}

/// Relay agent of a router.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    /// Legs of the router, in the order of their sockets.
    pub(super) legs: Vec<AgentLeg>,
    /// Number of the leg toward the server.
    pub(super) upstream: usize,
    pub(super) link_selection: bool,
    pub(super) server_id_override: bool,
    /// VPN of all clients.
    pub(super) vpn: Option<Vpn>,
    pub(super) flaw: Option<RelayFlaw>,
}

/// Leg of a router, as its relay sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentLeg {
    /// Name of the network, which is the circuit id.
    pub(super) network: String,
    pub(super) address: Ipv4Addr,
    pub(super) mac: MacAddr,
}

/// Message for a client, and the leg to send it from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToClient {
    pub(super) message: Message,
    /// Number of the leg.
    pub(super) leg: usize,
    /// Client's address and MAC; `None` for a broadcast.
    pub(super) unicast: Option<(Ipv4Addr, MacAddr)>,
}

/// Reason for which a message is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Discarded {
    /// The server hears clients of its own network itself.
    #[error("the server is on this network")]
    ServersOwnNetwork,
    #[error("a reply on a network of clients")]
    NotARequest,
    #[error("a request to the relay's own address on the servers' network")]
    NotAReply,
    #[error("passed more than {HOPS_MAX} relays")]
    TooManyHops,
    /// RFC 3046 §2.1.
    #[error("option 82 in a client's message")]
    UntrustedOption,
    /// RFC 3046 §2.1.
    #[error("another's message with this relay's address")]
    SpoofedRelay,
    #[error("an answer for the relay {0}")]
    AnotherRelay(Ipv4Addr),
    #[error("an answer without the circuit of its client")]
    UnknownCircuit,
    /// RFC 6607: the address may be of another VPN.
    #[error("the server has ignored the VPN (option 82.152 in its answer)")]
    VpnIgnored,
    /// The relay has a flaw.
    #[error("option 82 in a reply")]
    OptionInReply,
}

impl Agent {
    /// Returns the message to send to the server for a client's message that came to a leg.
    pub(super) fn to_server(&self, request: &Message, leg: usize) -> Result<Message, Discarded> {
        let from = self.legs.get(leg).ok_or(Discarded::UnknownCircuit)?;
        if request.op != Op::Request {
            return Err(Discarded::NotARequest);
        }
        if leg == self.upstream {
            return Err(Discarded::ServersOwnNetwork);
        }
        if request.hops >= HOPS_MAX {
            return Err(Discarded::TooManyHops);
        }
        let mut relayed = request.clone();
        relayed.hops += 1;
        if !request.relay_agent.is_unspecified() {
            // Another relay is closer to the client: its address and its option remain (RFC 3046 §2.1.1).
            let is_own = |leg: &AgentLeg| leg.address == request.relay_agent;
            return match self.legs.iter().any(is_own) {
                true => Err(Discarded::SpoofedRelay),
                false => Ok(relayed),
            };
        }
        if request.options.contains(code::RELAY_AGENT_INFO) {
            return Err(Discarded::UntrustedOption);
        }
        if self.flaw == Some(RelayFlaw::NoGiaddr) {
            return Ok(relayed);
        }
        relayed.relay_agent = self.relay_address(from);
        let mut tagged = relayed.clone();
        let information = self.information(from);
        tagged.options.set(code::RELAY_AGENT_INFO, information);
        // RFC 3046 §2.1: a message that becomes too long goes on without the option.
        Ok(match tagged.encode(MESSAGE_MAX) {
            Ok(_) => tagged,
            Err(_) => relayed,
        })
    }

    /// Returns `giaddr` for clients of a leg.
    fn relay_address(&self, from: &AgentLeg) -> Ipv4Addr {
        let upstream = self.legs.get(self.upstream);
        match self.link(from) {
            Some(_) => upstream.map_or(from.address, |leg| leg.address),
            None => from.address,
        }
    }

    /// Returns the link to name for clients of a leg (RFC 3527); `None` without link selection.
    fn link(&self, from: &AgentLeg) -> Option<Ipv4Addr> {
        match self.flaw {
            Some(RelayFlaw::OtherLink(link)) => Some(link),
            _ => self.link_selection.then_some(from.address),
        }
    }

    /// Returns the value of option 82 for clients of a leg.
    fn information(&self, from: &AgentLeg) -> Vec<u8> {
        let mut value = Vec::new();
        let mut add = |code: u8, bytes: &[u8]| {
            // Names of networks are short; a longer value would be cut.
            let bytes = bytes.get(..255).unwrap_or(bytes);
            value.extend([code, u8::try_from(bytes.len()).unwrap_or(u8::MAX)]);
            value.extend(bytes);
        };
        add(sub_option::CIRCUIT_ID, from.network.as_bytes());
        add(sub_option::REMOTE_ID, &from.mac.0);
        if let Some(link) = self.link(from) {
            add(sub_option::LINK_SELECTION, &link.octets());
        }
        if self.server_id_override {
            add(sub_option::SERVER_ID_OVERRIDE, &from.address.octets());
        }
        if let Some(vpn) = &self.vpn {
            add(VIRTUAL_SUBNET, &vpn.to_wire());
            add(VIRTUAL_SUBNET_CONTROL, &[]);
        }
        value
    }

    /// Returns the message to send to a client for a server's message.
    pub(super) fn to_client(&self, reply: &Message) -> Result<ToClient, Discarded> {
        if reply.op != Op::Reply {
            return Err(Discarded::NotAReply);
        }
        let is_addressed = |leg: &AgentLeg| leg.address == reply.relay_agent;
        let addressed = self.legs.iter().position(is_addressed);
        let addressed = addressed.ok_or(Discarded::AnotherRelay(reply.relay_agent))?;
        let information = reply.options.bytes(code::RELAY_AGENT_INFO);
        if self.flaw == Some(RelayFlaw::DropsOption82) && information.is_some() {
            return Err(Discarded::OptionInReply);
        }
        if self.vpn.is_some() && reply.has_vpn_control() {
            return Err(Discarded::VpnIgnored);
        }
        let leg = match information.and_then(circuit) {
            Some(circuit) => {
                let is_circuit = |leg: &AgentLeg| leg.network.as_bytes() == circuit;
                self.legs.iter().position(is_circuit)
            }
            None if addressed == self.upstream => None,
            None => Some(addressed),
        };
        let leg = leg.ok_or(Discarded::UnknownCircuit)?;
        let mut message = reply.clone();
        message.options.remove(code::RELAY_AGENT_INFO);
        let unicast = unicast(&message);
        Ok(ToClient {
            message,
            leg,
            unicast,
        })
    }
}

/// Returns the address and MAC of a client that takes unicast frames (RFC 1542 §4.1.2).
fn unicast(reply: &Message) -> Option<(Ipv4Addr, MacAddr)> {
    let is_nak = matches!(reply.message_type(), Ok(Some(MessageType::Nak)));
    if reply.wants_broadcast() || is_nak {
        return None;
    }
    let addresses = [reply.your_address, reply.client_address];
    let address = addresses.into_iter().find(|one| !one.is_unspecified())?;
    Some((address, reply.mac()?))
}

/// Returns the circuit id in an option 82.
fn circuit(mut information: &[u8]) -> Option<&[u8]> {
    while let Some((&[code, len], rest)) = information.split_first_chunk::<2>() {
        let (value, rest) = rest.split_at_checked(usize::from(len))?;
        if code == sub_option::CIRCUIT_ID {
            return Some(value);
        }
        information = rest;
    }
    None
}
