//! A packet socket on our link: whole Ethernet frames, out and in.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;

use boot_server_proto::frame::{ETHERTYPE_ARP, encode_udp};
use boot_server_proto::mac::MacAddr;
use nix::libc::ENETDOWN;
use nix::sys::socket::bind;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::interface::Interface;

/// Sends frames of any kind, hears ARP.
#[derive(Debug)]
pub(super) struct Link {
    /// A packet socket. Tokio's datagram socket is used for its plain `recv` and `send`, which are
    /// the same for every kind of datagram.
    socket: UdpSocket,
    /// MAC of the interface.
    pub(super) mac: MacAddr,
}

impl Link {
    /// Opens the link of an Ethernet interface; `None` for interfaces of another kind.
    ///
    /// # Errors
    /// The kernel's: no right to packet sockets.
    pub(super) fn open(interface: &Interface) -> io::Result<Option<Link>> {
        let (Some(mac), Some(link)) = (interface.mac, interface.link) else {
            return Ok(None);
        };
        let protocol = Protocol::from(i32::from(ETHERTYPE_ARP.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        // The kernel's own address of the interface: it names its index and leaves the protocol be.
        bind(socket.as_raw_fd(), &link)?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Some(Link { socket, mac }))
    }

    /// Sends a datagram to a machine that does not answer ARP for its address yet.
    ///
    /// # Errors
    /// The kernel's, or the datagram is too long.
    pub(super) async fn send_udp(
        &self,
        from: SocketAddrV4,
        to: (MacAddr, SocketAddrV4),
        payload: &[u8],
    ) -> io::Result<()> {
        let frame = encode_udp((self.mac, from), to, payload);
        let frame = frame.ok_or(io::ErrorKind::InvalidInput)?;
        self.send(&frame).await
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) async fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).await.map(|_| ())
    }

    /// Receives an ARP frame.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) async fn receive_arp(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.recv(buffer).await {
                // The interface went down and may come back.
                Err(error) if error.raw_os_error() == Some(ENETDOWN) => {}
                result => return result,
            }
        }
    }
}
