//! UDP sockets for DHCP: bound to one interface, beside other servers on the same port, and
//! answering from the configured address.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::net::interface::Interface;

/// What a socket is to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Listen {
    /// Everything for this port on the interface.
    All(u16),
    /// Broadcasts to this port only. Unicasts stay with another server on the same host and port:
    /// of two wildcard sockets Linux gives a unicast to one only, a broadcast to both.
    Broadcasts(u16),
    /// Datagrams to our own address and this port.
    OwnAddress(u16),
}

/// A socket of a DHCP service.
#[derive(Debug)]
pub(in crate::net) struct DhcpSocket {
    socket: UdpSocket,
    interface_index: u32,
    source: Ipv4Addr,
}

impl DhcpSocket {
    /// Opens and binds a socket.
    ///
    /// # Errors
    /// The kernel's: no right to low ports, the port taken by a server that does not share it.
    pub(in crate::net) fn bind(interface: &Interface, listen: Listen) -> io::Result<DhcpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_broadcast(true)?;
        // dnsmasq, as libvirt starts it, shares port 67 in the same way.
        socket.set_reuse_address(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        let address = match listen {
            Listen::All(port) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port),
            Listen::Broadcasts(port) => SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
            Listen::OwnAddress(port) => SocketAddrV4::new(interface.address, port),
        };
        socket.bind(&SocketAddr::V4(address).into())?;
        Ok(DhcpSocket {
            socket: UdpSocket::from_std(socket.into())?,
            interface_index: interface.index,
            source: interface.address,
        })
    }

    /// Receives a datagram and who sent it.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::net) async fn receive(
        &self,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddrV4)> {
        loop {
            let (len, from) = self.socket.recv_from(buffer).await?;
            if let SocketAddr::V4(from) = from {
                return Ok((len, from));
            }
        }
    }

    /// Receives a datagram when there is one already.
    pub(in crate::net) fn try_receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
        match self.socket.try_recv_from(buffer) {
            Ok((len, SocketAddr::V4(from))) => Some((len, from)),
            // An error is found again, and told of, by whoever waits for the next one.
            Ok((_, SocketAddr::V6(_))) | Err(_) => None,
        }
    }

    /// Our address and the port of this socket's service.
    pub(in crate::net) fn source(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.source, port)
    }

    /// Sends a datagram through the interface, from our address.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::net) async fn send(&self, bytes: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let info = in_pktinfo {
            ipi_ifindex: i32::try_from(self.interface_index).unwrap_or(0),
            ipi_spec_dst: in_addr {
                s_addr: u32::from_ne_bytes(self.source.octets()),
            },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let to = SockaddrIn::from(to);
        let send = || {
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            let parts = [IoSlice::new(bytes)];
            let fd = self.socket.as_raw_fd();
            sendmsg(fd, &parts, &control, MsgFlags::empty(), Some(&to)).map_err(io::Error::from)
        };
        self.socket
            .async_io(Interest::WRITABLE, send)
            .await
            .map(|_| ())
    }
}
