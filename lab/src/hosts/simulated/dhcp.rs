//! DHCP exchange of boot firmware: discover, offers of servers and proxies, request, acknowledgement, and a
//! request to a proxy's boot server if its offer has no file.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;
use socket2::{Domain, Protocol, Socket, Type};

use super::super::ip;
use super::ask::{Answer, Asker, Program, boot_file, needs_no_proxy, read_offer};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const BOOT_SERVER_PORT: u16 = 4011;

/// Waiting time after each request. Firmware waits longer and retries more often.
const TRIES: [Duration; 4] = [
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(3000),
    Duration::from_millis(4000),
];
/// Waiting time for proxies after an address was offered.
const PROXY_WAIT: Duration = Duration::from_millis(1000);

/// Result of a DHCP exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub address: Ipv4Addr,
    /// Prefix length of the network.
    pub prefix_len: u8,
    pub router: Option<Ipv4Addr>,
    /// Server of the boot files.
    pub next_server: Ipv4Addr,
    /// Boot options; `None` if no server sent any.
    pub boot_file: Option<String>,
}

/// Reason why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum DhcpError {
    /// No server offered an address.
    #[error("no offer")]
    NoOffer,
    /// An address was offered but not acknowledged.
    #[error("no acknowledgement")]
    NoAck,
    /// The server sent a NAK.
    #[error("refused: {0}")]
    Nak(String),
    /// The boot server on port 4011 did not answer.
    #[error("no answer of the boot server {0} on port 4011")]
    NoBootServer(Ipv4Addr),
    /// The socket failed.
    #[error("{0}")]
    Socket(#[from] io::Error),
}

/// Makes the exchange on `interface`, which needs no address for it.
///
/// # Errors
/// [`DhcpError`] if no address was obtained.
pub fn exchange(asker: &Asker, interface: &str) -> Result<Given, DhcpError> {
    let socket = bound(interface, CLIENT_PORT)?;
    let xid = xid();
    let mut offers = Offers::default();
    for wait in TRIES {
        let discover = asker.message(MessageType::Discover, xid);
        broadcast(&socket, &discover)?;
        collect(&socket, xid, wait, &mut offers)?;
        if offers.address.is_some() {
            break;
        }
    }
    let offer = offers.address.ok_or(DhcpError::NoOffer)?;
    let ack = acknowledged(&socket, asker, xid, &offer)?;
    let mut given = given(&ack);
    if given.boot_file.is_some() {
        return Ok(given);
    }
    let Some(proxy) = offers.proxy else {
        return Ok(given);
    };
    let server = match (proxy.next_server, proxy.server_id()) {
        (next, Some(id)) if next.is_unspecified() => id,
        (next, _) => next,
    };
    given.next_server = server;
    given.boot_file = boot_file(&proxy);
    if given.boot_file.is_none() {
        // A unicast request needs the address.
        take_address(interface, &given)?;
        given.boot_file = ask_boot_server(&socket, asker, interface, xid, given.address, server)?;
    }
    Ok(given)
}

/// Configures the acknowledged address on the interface, and the route to other networks.
///
/// # Errors
/// Fails if `ip` fails.
pub(super) fn take_address(interface: &str, given: &Given) -> io::Result<()> {
    let address = format!("{}/{}", given.address, given.prefix_len);
    ip(&["address", "flush", "dev", interface, "scope", "global"])?;
    ip(&["address", "add", &address, "dev", interface])?;
    let network = Ipv4Net::new(given.address, given.prefix_len).ok();
    // A router outside of the machine's network cannot be reached; firmware ignores it.
    let near = |router: &Ipv4Addr| network.is_some_and(|network| network.contains(router));
    match given.router.filter(near) {
        Some(router) => {
            let router = router.to_string();
            ip(&["route", "replace", "default", "via", &router])
        }
        None => Ok(()),
    }
}

/// Leases an address and keeps it, as a machine that does not boot.
///
/// # Errors
/// [`DhcpError`] if no address is left.
pub fn lease(mac: MacAddr, interface: &str) -> Result<Ipv4Addr, DhcpError> {
    let asker = Asker {
        mac,
        uuid: uuid::Uuid::nil(),
        program: Program::Plain,
    };
    Ok(exchange(&asker, interface)?.address)
}

/// First offer of an address, and first offer of a proxy.
#[derive(Debug, Default)]
struct Offers {
    address: Option<Message>,
    proxy: Option<Message>,
}

/// Collects offers until nothing more is worth waiting for.
fn collect(
    socket: &UdpSocket,
    xid: u32,
    wait: Duration,
    offers: &mut Offers,
) -> Result<(), DhcpError> {
    let mut deadline = Instant::now() + wait;
    while let Some(message) = hear(socket, xid, deadline)? {
        if message.message_type().ok().flatten() != Some(MessageType::Offer) {
            continue;
        }
        match read_offer(&message) {
            Answer::Offer => {
                if offers.address.is_none() {
                    deadline = deadline.min(Instant::now() + PROXY_WAIT);
                    if needs_no_proxy(&message) {
                        deadline = Instant::now();
                    }
                    offers.address = Some(message);
                }
            }
            Answer::Proxy => {
                offers.proxy.get_or_insert(message);
            }
            Answer::Useless => {}
        }
    }
    Ok(())
}

fn acknowledged(
    socket: &UdpSocket,
    asker: &Asker,
    xid: u32,
    offer: &Message,
) -> Result<Message, DhcpError> {
    let request = asker.request(xid, offer);
    for wait in TRIES {
        broadcast(socket, &request)?;
        let deadline = Instant::now() + wait;
        while let Some(message) = hear(socket, xid, deadline)? {
            match message.message_type().ok().flatten() {
                Some(MessageType::Ack) if !message.your_address.is_unspecified() => {
                    return Ok(message);
                }
                Some(MessageType::Nak) => {
                    let why = message.options.bytes(code::MESSAGE).unwrap_or_default();
                    return Err(DhcpError::Nak(String::from_utf8_lossy(why).into_owned()));
                }
                _ => {}
            }
        }
    }
    Err(DhcpError::NoAck)
}

fn ask_boot_server(
    socket: &UdpSocket,
    asker: &Asker,
    interface: &str,
    xid: u32,
    address: Ipv4Addr,
    server: Ipv4Addr,
) -> Result<Option<String>, DhcpError> {
    // EDK2 sends from port 4011, iPXE from its own port.
    let own = match asker.program {
        Program::Edk2Pxe => Some(bound(interface, BOOT_SERVER_PORT)?),
        _ => None,
    };
    let socket = own.as_ref().unwrap_or(socket);
    let request = asker.boot_request(xid, address);
    for wait in TRIES {
        send(
            socket,
            &request,
            SocketAddrV4::new(server, BOOT_SERVER_PORT),
        )?;
        let deadline = Instant::now() + wait;
        while let Some(message) = hear(socket, xid, deadline)? {
            if message.message_type().ok().flatten() == Some(MessageType::Ack) {
                return Ok(boot_file(&message));
            }
        }
    }
    Err(DhcpError::NoBootServer(server))
}

fn given(ack: &Message) -> Given {
    let four = |code| {
        let bytes: [u8; 4] = ack.options.bytes(code)?.get(..4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes))
    };
    let mask = four(code::SUBNET_MASK).map_or(24, |mask| u32::from(mask).leading_ones());
    let next_server = if ack.next_server.is_unspecified() {
        ack.server_id().unwrap_or(Ipv4Addr::UNSPECIFIED)
    } else {
        ack.next_server
    };
    Given {
        address: ack.your_address,
        prefix_len: u8::try_from(mask).unwrap_or(24),
        router: four(code::ROUTER),
        next_server,
        boot_file: boot_file(ack),
    }
}

/// Returns the next message of this transaction before the deadline.
fn hear(socket: &UdpSocket, xid: u32, deadline: Instant) -> io::Result<Option<Message>> {
    let mut buffer = [0; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_timeout(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let heard = buffer.get(..length).unwrap_or_default();
        // Firmware also ignores other transactions and malformed messages.
        if let Ok(message) = Message::decode(heard)
            && message.xid == xid
            && message.op == boot_server_proto::dhcp::Op::Reply
        {
            return Ok(Some(message));
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn broadcast(socket: &UdpSocket, message: &Message) -> io::Result<()> {
    let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
    send(socket, message, everyone)
}

fn send(socket: &UdpSocket, message: &Message, to: SocketAddrV4) -> io::Result<()> {
    let limit = boot_server_proto::dhcp::DEFAULT_MAX_MESSAGE_LEN;
    let bytes = message.encode(limit).map_err(io::Error::other)?;
    match socket.send_to(&bytes, to) {
        Ok(_) => Ok(()),
        // An unreachable server appears as an error of the next call; firmware ignores it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a socket that sends and receives broadcasts on `interface`.
pub(crate) fn bound(interface: &str, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket.into())
}

/// Returns a transaction id that no other exchange uses.
fn xid() -> u32 {
    let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
    u32::from_be_bytes([a, b, c, d])
}
