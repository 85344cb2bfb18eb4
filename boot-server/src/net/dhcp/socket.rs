//! UDP sockets for DHCP: bound to one interface, beside other servers on the same port, and
//! answering from the configured address.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use boot_server_proto::udp;
use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::net::interface::Interface;
use crate::respond::Arrival;

/// Messages that a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Listen {
    /// Everything for this port on the interface.
    All(u16),
    /// Broadcasts to this port only. Unicasts stay with another server on the same host and port:
    /// of two wildcard sockets Linux gives a unicast to one only, a broadcast to both.
    Broadcasts(u16),
    /// Datagrams to our own address and this port.
    OwnAddress(u16),
    /// Broadcasts to this port and datagrams to our own address, heard without binding the port: for
    /// a host whose DHCP server holds it and does not share it.
    Unbound(u16),
}

impl Listen {
    /// Returns the port.
    pub(in crate::net) fn port(self) -> u16 {
        let (Listen::All(port)
        | Listen::Broadcasts(port)
        | Listen::OwnAddress(port)
        | Listen::Unbound(port)) = self;
        port
    }
}

/// A datagram that lies at the beginning of a buffer.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct Received {
    pub(in crate::net) len: usize,
    pub(in crate::net) from: SocketAddrV4,
    pub(in crate::net) arrival: Arrival,
}

/// A socket of a DHCP service.
#[derive(Debug)]
pub(in crate::net) struct DhcpSocket {
    socket: UdpSocket,
    interface_index: u32,
    source: Ipv4Addr,
    /// The broadcast address of our subnet.
    everyone: Ipv4Addr,
    /// The port that a raw socket listens to and sends from.
    unbound: Option<u16>,
}

impl DhcpSocket {
    /// Opens and binds a socket.
    ///
    /// # Errors
    /// The kernel's: no right to low ports, the port taken by a server that does not share it.
    pub(in crate::net) fn bind(interface: &Interface, listen: Listen) -> io::Result<DhcpSocket> {
        if let Listen::Unbound(port) = listen {
            return DhcpSocket::open_raw(interface, port);
        }
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_broadcast(true)?;
        // dnsmasq, as libvirt starts it, shares port 67 in the same way.
        socket.set_reuse_address(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        let address = match listen {
            Listen::All(port) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port),
            Listen::Broadcasts(port) => SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
            Listen::OwnAddress(port) | Listen::Unbound(port) => {
                SocketAddrV4::new(interface.address, port)
            }
        };
        socket.bind(&SocketAddr::V4(address).into())?;
        // Who broadcasts is on our link: see `Arrival`.
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        Ok(DhcpSocket {
            socket: UdpSocket::from_std(socket.into())?,
            interface_index: interface.index,
            source: interface.address,
            everyone: interface.subnet.broadcast(),
            unbound: None,
        })
    }

    /// Opens a raw socket. Linux gives it a copy of each UDP packet for this host, independent of the bound
    /// ports; a filter passes only those to `port`.
    fn open_raw(interface: &Interface, port: u16) -> io::Result<DhcpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
        socket.attach_filter(&only_port(port))?;
        socket.set_nonblocking(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        Ok(DhcpSocket {
            socket: UdpSocket::from_std(socket.into())?,
            interface_index: interface.index,
            source: interface.address,
            everyone: interface.subnet.broadcast(),
            unbound: Some(port),
        })
    }

    /// Receives a datagram and who sent it.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::net) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            let read = || self.read(buffer);
            if let Some(received) = self.socket.async_io(Interest::READABLE, read).await? {
                return Ok(received);
            }
        }
    }

    /// Receives a datagram when there is one already.
    pub(in crate::net) fn try_receive(&self, buffer: &mut [u8]) -> Option<Received> {
        loop {
            // An error is found again, and told of, by whoever waits for the next one.
            let read = || self.read(buffer);
            if let Some(received) = self.socket.try_io(Interest::READABLE, read).ok()? {
                return Some(received);
            }
        }
    }

    /// Reads a datagram; `None` for what is not ours to answer.
    fn read(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        if let Some(port) = self.unbound {
            let mut parts = [IoSliceMut::new(buffer)];
            let fd = self.socket.as_raw_fd();
            let len = recvmsg::<()>(fd, &mut parts, None, MsgFlags::empty())?.bytes;
            return Ok(self.unwrap(buffer, len, port));
        }
        let mut control = cmsg_space!(in_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()))
            }
            _ => None,
        });
        Ok(message.address.map(|from| Received {
            len: message.bytes,
            from: SocketAddrV4::new(from.ip(), from.port()),
            arrival: self.arrival(to),
        }))
    }

    fn arrival(&self, to: Option<Ipv4Addr>) -> Arrival {
        match to {
            Some(to) if to.is_broadcast() || to == self.everyone => Arrival::Broadcast,
            _ => Arrival::Unicast,
        }
    }

    /// Moves the payload of a packet to the buffer's beginning.
    fn unwrap(&self, buffer: &mut [u8], len: usize, port: u16) -> Option<Received> {
        let datagram = udp::decode_packet(buffer.get(..len)?)?;
        let (from, to) = (datagram.source, datagram.destination);
        let (start, len) = (datagram.start, datagram.payload.len());
        let ours = to.ip().is_broadcast() || *to.ip() == self.source;
        if !ours || to.port() != port {
            return None;
        }
        buffer.copy_within(start..start + len, 0);
        let arrival = self.arrival(Some(*to.ip()));
        Some(Received { len, from, arrival })
    }

    /// Returns the server's address with the port of this socket's service.
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
        let wrapped;
        let (bytes, to) = match self.unbound {
            None => (bytes, SockaddrIn::from(to)),
            Some(port) => {
                let from = SocketAddrV4::new(self.source, port);
                wrapped = udp::encode(from, to, bytes).ok_or(io::ErrorKind::InvalidInput)?;
                (
                    wrapped.as_slice(),
                    SockaddrIn::from(SocketAddrV4::new(*to.ip(), 0)),
                )
            }
        };
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

/// Returns a classic BPF program: unfragmented UDP packets to a port, whole.
fn only_port(port: u16) -> [SockFilter; 9] {
    let step = SockFilter::new;
    [
        // ldb [9]; jeq UDP, else reject.
        step(0x30, 0, 0, 9),
        step(0x15, 0, 6, 17),
        // ldh [6]; jset the offset of a later fragment: reject.
        step(0x28, 0, 0, 6),
        step(0x45, 4, 0, 0x1fff),
        // ldxb 4*([0]&0xf); ldh [x + 2]; jeq the port, else reject.
        step(0xb1, 0, 0, 0),
        step(0x48, 0, 0, 2),
        step(0x15, 0, 1, u32::from(port)),
        // accept all of it; reject.
        step(0x06, 0, 0, u32::MAX),
        step(0x06, 0, 0, 0),
    ]
}
