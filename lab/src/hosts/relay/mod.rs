//! DHCP relay of a router: the lab's own, `dhcrelay` or dnsmasq.
//!
//! | file | what it is |
//! |---|---|
//! | [`agent`] | the own relay's decisions; pure |
//! | [`programs`] | relays of others |

mod agent;
mod programs;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use boot_server_proto::dhcp::{Message, Op};
use ipnet::Ipv4Net;
use lab_model::fault::RelayFlaw;
use lab_model::scenario::RelayProgram;

use self::agent::{Agent, AgentLeg, MESSAGE_MAX, ToClient};
use super::router::{Leg, RelayJob};
use super::simulated::dhcp::bound;
use super::{ip, say_up};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// Delay of a relay that is late: another's answer arrives before.
const LATE: Duration = Duration::from_millis(200);

/// Relays until it is killed.
pub(super) fn run(job: &RelayJob, legs: &[Leg]) -> io::Result<()> {
    match job.program {
        RelayProgram::Ours => ours(job, legs),
        RelayProgram::IscDhcpRelay => programs::dhcrelay(job, legs, upstream(job.server, legs)),
        RelayProgram::Dnsmasq => programs::dnsmasq(job, legs, upstream(job.server, legs)),
    }
}

/// Returns the number of the leg toward the server: the one on its network, or the first.
fn upstream(server: Ipv4Addr, legs: &[Leg]) -> usize {
    let has_server = |leg: &Leg| {
        Ipv4Net::new(leg.address, leg.prefix).is_ok_and(|network| network.contains(&server))
    };
    legs.iter().position(has_server).unwrap_or(0)
}

/// Sockets of the lab's own relay, one for each leg, and its decisions.
struct Relay {
    agent: Agent,
    sockets: Vec<UdpSocket>,
    interfaces: Vec<String>,
    server: Ipv4Addr,
}

fn ours(job: &RelayJob, legs: &[Leg]) -> io::Result<()> {
    let agent = Agent {
        legs: legs.iter().map(agent_leg).collect(),
        upstream: upstream(job.server, legs),
        link_selection: job.link_selection,
        server_id_override: job.server_id_override,
        vpn: job.vpn.clone(),
        flaw: job.flaw,
    };
    let sockets = legs.iter().map(|leg| bound(&leg.interface, SERVER_PORT));
    let relay = Arc::new(Relay {
        agent,
        sockets: sockets.collect::<io::Result<_>>()?,
        interfaces: legs.iter().map(|leg| leg.interface.clone()).collect(),
        server: job.server,
    });
    say_up()?;
    let threads: Vec<_> = (0..legs.len())
        .map(|leg| {
            let relay = Arc::clone(&relay);
            thread::spawn(move || relay.listen(leg))
        })
        .collect();
    for thread in threads {
        let ended = thread.join();
        ended.map_err(|_| io::Error::other("the relay has panicked"))??;
    }
    Ok(())
}

fn agent_leg(leg: &Leg) -> AgentLeg {
    AgentLeg {
        network: leg.network.clone(),
        address: leg.address,
        mac: leg.mac,
    }
}

impl Relay {
    fn listen(&self, leg: usize) -> io::Result<()> {
        let Some(socket) = self.sockets.get(leg) else {
            return Ok(());
        };
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = match socket.recv_from(&mut buffer) {
                Ok(received) => received,
                // An unreachable host appears as an error of the next call.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let heard = buffer.get(..length).unwrap_or_default();
            if let Err(error) = self.handle(heard, leg) {
                eprintln!("relay: message from {from} discarded: {error}");
            }
        }
    }

    fn handle(&self, datagram: &[u8], leg: usize) -> io::Result<()> {
        let message = Message::decode(datagram).map_err(io::Error::other)?;
        if self.agent.flaw == Some(RelayFlaw::Late) {
            thread::sleep(LATE);
        }
        if message.op == Op::Request {
            let relayed = self.agent.to_server(&message, leg);
            let relayed = relayed.map_err(io::Error::other)?;
            return self.send(
                &relayed,
                self.agent.upstream,
                SocketAddrV4::new(self.server, SERVER_PORT),
            );
        }
        let ToClient {
            message,
            leg,
            unicast,
        } = self.agent.to_client(&message).map_err(io::Error::other)?;
        let address = match unicast {
            Some((address, mac)) => {
                self.tell_neighbour(leg, address, &mac.to_string())?;
                address
            }
            None => Ipv4Addr::BROADCAST,
        };
        self.send(&message, leg, SocketAddrV4::new(address, CLIENT_PORT))
    }

    /// Tells the kernel the MAC of a client that does not answer for its address yet.
    fn tell_neighbour(&self, leg: usize, address: Ipv4Addr, mac: &str) -> io::Result<()> {
        let interface = self.interfaces.get(leg).map_or("", String::as_str);
        let address = address.to_string();
        ip(&[
            "neigh",
            "replace",
            &address,
            "lladdr",
            mac,
            "dev",
            interface,
            "nud",
            "reachable",
        ])
    }

    fn send(&self, message: &Message, leg: usize, to: SocketAddrV4) -> io::Result<()> {
        let bytes = message.encode(MESSAGE_MAX).map_err(io::Error::other)?;
        let socket = self.sockets.get(leg);
        let socket = socket.ok_or_else(|| io::Error::other("no such leg"))?;
        let sent = socket.send_to(&bytes, to);
        let name = self.agent.legs.get(leg).map_or("", |leg| &leg.network);
        let kind = message.message_type().ok().flatten();
        let kind = kind.map_or_else(|| "message".into(), |kind| format!("{kind:?}"));
        let mac = message.mac().map(|mac| mac.to_string()).unwrap_or_default();
        match sent {
            Ok(_) => {
                eprintln!("relay: {kind} of {mac} to {to} ({name})");
                Ok(())
            }
            Err(error) => Err(io::Error::other(format!("cannot send to {to}: {error}"))),
        }
    }
}
