//! The socket of one transfer: connected to its client, sending a window in one system call, and
//! waiting for the client as cheaply as it answers.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use rustix::net::sockopt::ip_mtu;
use socket2::{Domain, Protocol, Socket, Type};

use crate::net::interface::Interface;

/// Headers of IP, UDP and TFTP in each data packet.
const DATA_HEADERS_LEN: u32 = 20 + 8 + 4;
/// Packets that one call may hand to the kernel (Linux' `UDP_MAX_SEGMENTS`, in its oldest value).
const MAX_BATCH_PACKETS: usize = 64;
/// Bytes that one call may hand over: what fits a UDP datagram.
const MAX_BATCH_BYTES: usize = 65_507;
/// Longest wait for the client before the time is checked again.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// A client that answers within this is worth waiting for without sleeping: to be put to sleep and
/// woken for each block takes about as long as its answer.
const QUICK: Duration = Duration::from_micros(100);
/// Quick answers in a row after which the wait is a sleepless one. One slow answer ends that.
const QUICK_ANSWERS: i32 = 16;
/// A sleepless wait that took longer had its processor taken away: there is other work for it.
const CROWDED: Duration = Duration::from_millis(1);
/// Number of quick answers required until the next wait without sleep.
const CROWDED_PAUSE: i32 = 4096;

/// A connected socket and the packets about to leave through it.
#[derive(Debug)]
pub(super) struct Link {
    socket: UdpSocket,
    batch: Vec<u8>,
    /// Length of each packet in the batch; the last one may be shorter and ends it.
    packet_len: usize,
    packets: usize,
    /// The kernel cuts a batch into packets (UDP GSO); not every device can.
    segments: bool,
    /// Quick answers in a row.
    quick: i32,
}

impl Link {
    /// Opens a socket for one transfer, on a separate port and connected to its client.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn open(interface: &Interface, peer: SocketAddr) -> io::Result<Link> {
        let socket = bound_socket(interface, 0)?;
        socket.connect(&peer.into())?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(TICK))?;
        Ok(Link {
            socket: socket.into(),
            batch: Vec::new(),
            packet_len: 0,
            packets: 0,
            segments: true,
            quick: 0,
        })
    }

    /// Largest block whose packets are not cut on the first hop: the connected socket knows the MTU.
    pub(super) fn safe_block_size(&self) -> u16 {
        let mtu = ip_mtu(&self.socket).unwrap_or(1500);
        u16::try_from(mtu.saturating_sub(DATA_HEADERS_LEN)).unwrap_or(u16::MAX)
    }

    /// Puts a packet behind those about to leave: `fill` appends its contents to the header.
    ///
    /// # Errors
    /// Those of `fill`.
    pub(super) fn queue(
        &mut self,
        header: &[u8],
        len: usize,
        fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let packet_len = header.len() + len;
        let fits = self.packets < MAX_BATCH_PACKETS
            && self.batch.len() + packet_len <= MAX_BATCH_BYTES
            // No packet follows a short packet.
            && self.batch.len() == self.packets * self.packet_len
            && packet_len <= self.packet_len;
        if !fits {
            self.flush();
        }
        if self.packets == 0 {
            self.packet_len = packet_len;
        }
        let start = self.batch.len();
        self.batch.extend_from_slice(header);
        if let Err(error) = fill(&mut self.batch) {
            // Half a packet must never leave: its length would say that the file ends there.
            self.batch.truncate(start);
            return Err(error);
        }
        self.packets += 1;
        Ok(())
    }

    /// Sends what is queued. What is lost on the way out is lost like on the wire: it is sent again
    /// when the client asks, or the client is given up.
    pub(super) fn flush(&mut self) {
        if self.packets == 0 {
            return;
        }
        let sent = if self.packets == 1 {
            self.socket.send(&self.batch).map(|_| ())
        } else {
            self.send_batch()
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "cannot send a TFTP packet");
        }
        self.batch.clear();
        self.packets = 0;
    }

    fn send_batch(&mut self) -> io::Result<()> {
        if self.segments {
            let len = u16::try_from(self.packet_len).map_err(io::Error::other)?;
            let control = [ControlMessage::UdpGsoSegments(&len)];
            let parts = [IoSlice::new(&self.batch)];
            let fd = self.socket.as_raw_fd();
            match sendmsg::<()>(fd, &parts, &control, MsgFlags::empty(), None) {
                Ok(_) => return Ok(()),
                Err(error) => {
                    // A device without checksum offload: EIO; a kernel before 4.18: EINVAL.
                    tracing::debug!(%error, "cannot send a TFTP window in one system call");
                    self.segments = false;
                }
            }
        }
        for packet in self.batch.chunks(self.packet_len) {
            self.socket.send(packet)?;
        }
        Ok(())
    }

    /// Waits up to a [`TICK`] for a packet; `None` when none came, or the client's port is closed
    /// (boot ROMs close and reopen it, so that is no end).
    ///
    /// # Errors
    /// The kernel's, other than these.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        may_spin: bool,
    ) -> io::Result<Option<usize>> {
        let start = Instant::now();
        let sleepless = may_spin && self.quick >= QUICK_ANSWERS;
        let mut received = Err(nix::Error::EAGAIN);
        while sleepless && received == Err(nix::Error::EAGAIN) && start.elapsed() < QUICK {
            received = recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT);
        }
        if received == Err(nix::Error::EAGAIN) {
            received = recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty());
        }
        let took = start.elapsed();
        self.quick = match () {
            () if took <= QUICK => self.quick.saturating_add(1),
            () if sleepless && took >= CROWDED => -CROWDED_PAUSE,
            () => self.quick.min(0),
        };
        match received {
            Ok(len) => Ok(Some(len)),
            Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ECONNREFUSED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the socket's other handle, for a wait on the server's runtime; until [`Link::blocking`] nothing
    /// waits on this one.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn waiting(&self) -> io::Result<Waiting> {
        let socket = self.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        Ok(Waiting(tokio::net::UdpSocket::from_std(socket)?))
    }

    /// Goes back to waiting in a thread.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn blocking(&self) -> io::Result<()> {
        self.socket.set_nonblocking(false)
    }
}

/// The socket of a transfer that waits on the server's runtime.
#[derive(Debug)]
pub(super) struct Waiting(tokio::net::UdpSocket);

impl Waiting {
    /// Returns the next packet; `None` as for [`Link::receive`].
    ///
    /// # Errors
    /// As those of [`Link::receive`].
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.recv(buffer).await {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(error),
        }
    }
}
/// Opens a socket at a port of the server's address on the interface.
///
/// # Errors
/// The kernel's.
pub(super) fn bound_socket(interface: &Interface, port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(Some(interface.name.as_bytes()))?;
    let address = SocketAddrV4::new(interface.address, port);
    socket.bind(&SocketAddr::V4(address).into())?;
    Ok(socket)
}
