//! Finds out whether an address is in use before it is offered (RFC 2131 §3.1.2): by ARP on our own
//! link, by ICMP echo behind relay agents. Who asks waits; others do not.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boot_server_proto::frame::{encode_arp_probe, encode_echo, parse_arp_sender, parse_echo_reply};
use boot_server_proto::mac::MacAddr;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tracing::{debug, warn};

use crate::net::link::Link;
use crate::respond::Probe;

/// Addresses that may be looked for at once; what is offered beyond is offered without looking, as
/// machines would rather boot.
const MAX_PROBES: usize = 1024;

/// Result of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Found {
    /// No host answered the probe.
    Nobody,
    /// A host answered the probe; with its MAC, when it is on the server's link.
    Somebody(Option<MacAddr>),
}

#[derive(Debug)]
struct Waiting {
    /// For whom: that one may have the address already.
    mac: MacAddr,
    found: oneshot::Sender<Found>,
}

/// Looks for addresses.
#[derive(Debug)]
pub(in crate::net) struct Prober {
    link: Option<Arc<Link>>,
    icmp: Option<UdpSocket>,
    identifier: u16,
    patience: Duration,
    /// Several for an address that was taken back from one machine and offered to another.
    waiting: Mutex<HashMap<Ipv4Addr, Vec<Waiting>>>,
}

impl Prober {
    /// Creates a prober with this timeout; `echo` opens the socket for addresses behind relays.
    ///
    /// # Errors
    /// The kernel's: no right to raw sockets.
    pub(in crate::net) fn open(
        link: Option<Arc<Link>>,
        echo: bool,
        patience: Duration,
    ) -> io::Result<Prober> {
        let icmp = echo.then(open_icmp).transpose()?;
        Ok(Prober {
            link,
            icmp,
            // Anyone's echo replies come to every raw socket.
            identifier: u16::try_from(std::process::id() & 0xffff).unwrap_or(0),
            patience,
            waiting: Mutex::new(HashMap::new()),
        })
    }

    /// Hears answers until the task is dropped.
    pub(in crate::net) async fn listen(&self) -> io::Result<()> {
        let (mut frame, mut packet) = (vec![0; 2048], vec![0; 2048]);
        loop {
            tokio::select! {
                len = receive_arp(self.link.as_deref(), &mut frame) => {
                    let frame = frame.get(..len?).unwrap_or_default();
                    if let Some((mac, address)) = parse_arp_sender(frame) {
                        self.heard(address, Some(mac));
                    }
                }
                len = receive_echo(self.icmp.as_ref(), &mut packet) => {
                    let packet = packet.get(..len?).unwrap_or_default();
                    if let Some(address) = parse_echo_reply(packet, self.identifier) {
                        self.heard(address, None);
                    }
                }
            }
        }
    }

    /// Looks for an address that `mac` is to be offered.
    pub(in crate::net) async fn look(&self, probe: Probe, mac: MacAddr) -> Found {
        let address = probe.address();
        let (found, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= MAX_PROBES {
                debug!(%address, "offering an address without a probe: too many probes are pending");
                return Found::Nobody;
            }
            let of_address = waiting.entry(address).or_default();
            of_address.retain(|other| other.mac != mac);
            of_address.push(Waiting { mac, found });
        }
        let asked = self.ask(probe).await;
        if let Err(error) = &asked {
            warn!(%address, %error, "cannot probe an address");
        }
        let found = match asked {
            Ok(true) => tokio::time::timeout(self.patience, answer).await,
            Ok(false) | Err(_) => Ok(Ok(Found::Nobody)),
        };
        {
            let mut waiting = self.waiting();
            if let Some(of_address) = waiting.get_mut(&address) {
                of_address.retain(|other| other.mac != mac);
                if of_address.is_empty() {
                    waiting.remove(&address);
                }
            }
        }
        found.ok().and_then(Result::ok).unwrap_or(Found::Nobody)
    }

    /// Sends a probe; true if it could be sent.
    async fn ask(&self, probe: Probe) -> io::Result<bool> {
        match (probe, &self.link, &self.icmp) {
            (Probe::Arp(address), Some(link), _) => {
                link.send(&encode_arp_probe(link.mac, address)).await?;
            }
            (Probe::Echo(address), _, Some(icmp)) => {
                let echo = encode_echo(self.identifier, 1);
                match icmp.send_to(&echo, SocketAddrV4::new(address, 0)).await {
                    // No route to the address, so no host there that an offer could disturb.
                    Err(error) if error.kind() == io::ErrorKind::HostUnreachable => {}
                    Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => {}
                    sent => drop(sent?),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn heard(&self, address: Ipv4Addr, mac: Option<MacAddr>) {
        let mut waiting = self.waiting();
        let Some(askers) = waiting.get_mut(&address) else {
            return;
        };
        for asker in askers.extract_if(.., |asker| Some(asker.mac) != mac) {
            // Who asked may have given up in this moment.
            let _ = asker.found.send(Found::Somebody(mac));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Ipv4Addr, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_icmp() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

async fn receive_arp(link: Option<&Link>, buffer: &mut [u8]) -> io::Result<usize> {
    match link {
        Some(link) => link.receive_arp(buffer).await,
        None => std::future::pending().await,
    }
}

async fn receive_echo(icmp: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<usize> {
    match icmp {
        Some(icmp) => icmp.recv(buffer).await,
        None => std::future::pending().await,
    }
}
