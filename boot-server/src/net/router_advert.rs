//! Answers router solicitations, and advertises once when a machine begins to boot.
//!
//! Frames are read and written whole, so that it works where the kernel has IPv6 switched off on the
//! interface, as libvirt does on its bridges.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use boot_server_events::{BootEvent, Who};
use boot_server_proto::mac::MacAddr;
use boot_server_proto::router_advert::{ETHERTYPE_IPV6, encode_advertisement, parse_solicitation};
use nix::libc::ENETDOWN;
use nix::sys::socket::bind;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::context::Context;

/// The advertiser on one interface.
pub(super) struct RouterAdvertiser {
    context: Arc<Context>,
    /// A packet socket. Tokio's datagram socket is used for its plain `recv` and `send`, which are
    /// the same for every kind of datagram.
    socket: UdpSocket,
    frame: Vec<u8>,
    discovers: mpsc::Receiver<MacAddr>,
}

impl RouterAdvertiser {
    /// Opens the packet socket; each MAC that comes from `discovers` is sent an advertisement.
    ///
    /// # Errors
    /// The kernel's, or the interface is not an Ethernet one.
    pub(super) fn bind(
        context: Arc<Context>,
        discovers: mpsc::Receiver<MacAddr>,
    ) -> io::Result<RouterAdvertiser> {
        let (Some(mac), Some(link)) = (context.interface.mac, context.interface.link) else {
            return Err(io::Error::other("the interface has no Ethernet address"));
        };
        let protocol = Protocol::from(i32::from(ETHERTYPE_IPV6.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        // The kernel's own address of the interface: it names its index and leaves the protocol be.
        bind(socket.as_raw_fd(), &link)?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(RouterAdvertiser {
            context,
            socket,
            frame: encode_advertisement(mac),
            discovers,
        })
    }

    /// Advertises until the task is dropped.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; 2048];
        loop {
            let asker = tokio::select! {
                received = receive(&self.socket, &mut buffer) => {
                    let len = received?;
                    parse_solicitation(buffer.get(..len).unwrap_or_default()).map(|s| s.mac)
                }
                discover = self.discovers.recv() => match discover {
                    Some(mac) => Some(mac),
                    // No DHCP service beside us: only solicitations are answered.
                    None => std::future::pending().await,
                },
            };
            // Our own frames are heard as well.
            if let Some(mac) = asker.filter(|mac| Some(*mac) != self.context.interface.mac) {
                self.advertise(mac).await;
            }
        }
    }

    async fn advertise(&self, asker: MacAddr) {
        match self.socket.send(&self.frame).await {
            Ok(_) => {
                debug!(to = %asker, "router advertisement");
                let who = Who {
                    mac: Some(asker.into()),
                    ..Who::default()
                };
                self.context
                    .events
                    .emit(BootEvent::RouterAdvertisement { who });
            }
            Err(error) => warn!(%error, "cannot send a router advertisement"),
        }
    }
}

async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.recv(buffer).await {
            // The interface went down and may come back.
            Err(error) if error.raw_os_error() == Some(ENETDOWN) => {}
            result => return result,
        }
    }
}
