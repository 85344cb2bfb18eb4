//! A server in memory, and messages of its clients.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime};

use boot_server::config::{BootConfig, Config, DhcpConfig};
use boot_server::lease::MemoryOnly;
use boot_server::policy::{Policy, classify};
use boot_server::respond::{
    Answer, Arrival, DhcpServer, Probe, ProxyStyle, ServerOptions, boot_service_ack, proxy_offer,
};
use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// A relay agent on the link of the second pool.
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
pub(crate) const SCRIPT: &str = "http://10.0.0.1:8080/boot.ipxe";
pub(crate) const EVERYONE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);

const CONFIG: &str = r#"
interface = "lo"
[dhcp]
subnet = "10.0.0.0/24"
first = "10.0.0.10"
last = "10.0.0.20"
router = "10.0.0.254"
dns = ["10.0.0.2", "10.0.0.3"]
domain = "lab.example"
ntp = ["10.0.0.4"]
mtu = 1400
options = { 150 = "10.0.0.5", 252 = "text:http://wpad/" }
[[dhcp.pool]]
subnet = "10.7.0.0/16"
first = "10.7.1.0"
last = "10.7.1.255"
router = "10.7.0.1"
lease_seconds = 600
[[dhcp.reservation]]
mac = "52:54:00:00:00:09"
address = "10.0.0.99"
hostname = "node9"
options = { 252 = "text:own" }
[[dhcp.reservation]]
client_id = "text:shelf-4"
address = "10.7.0.44"
"#;

/// The server's answer, as it is read from the wire, and where it goes.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) message: Message,
    pub(crate) to: SocketAddrV4,
    pub(crate) link: Option<MacAddr>,
    pub(crate) probe: Option<Probe>,
}

impl Got {
    pub(crate) fn kind(&self) -> MessageType {
        self.message.message_type().unwrap().unwrap()
    }

    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.message.options.bytes(code)
    }

    /// An option of text, less the NULs at its end.
    pub(crate) fn text(&self, code: u8) -> Option<&[u8]> {
        self.message.text_bytes(code)
    }
}

pub(crate) struct Server {
    dhcp: DhcpServer<MemoryOnly>,
    policy: Policy,
}

pub(crate) fn policy(boot: BootConfig) -> Policy {
    Policy::boot(SERVER, boot, Some(SCRIPT.into()))
        .with_nbp_url(Some("http://10.0.0.1:8080/nbp/".into()))
}

pub(crate) fn dhcp_config() -> DhcpConfig {
    let config: Config = toml::from_str(CONFIG).unwrap();
    config.dhcp.unwrap()
}

impl Server {
    pub(crate) fn new() -> Server {
        let server_options = ServerOptions {
            probing: true,
            ..ServerOptions::default()
        };
        Server::with(server_options, &dhcp_config(), BootConfig::default())
    }

    pub(crate) fn with(
        server_options: ServerOptions,
        config: &DhcpConfig,
        boot: BootConfig,
    ) -> Server {
        let pools = config.pools(SERVER).unwrap();
        Server {
            dhcp: DhcpServer::new(SERVER, server_options, pools, &[], MemoryOnly),
            policy: policy(boot),
        }
    }

    /// The answer at this second, or why there is none.
    pub(crate) fn ask(&mut self, request: &Message, second: u64) -> Result<Got, String> {
        self.ask_by(Arrival::Broadcast, request, second)
    }

    /// The same for a message that was sent so.
    pub(crate) fn ask_by(
        &mut self,
        arrival: Arrival,
        request: &Message,
        second: u64,
    ) -> Result<Got, String> {
        let request = through_the_wire(request);
        let client = classify(&request).unwrap();
        let step = self.policy.decide(&client, request.xid, Instant::now());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second);
        let answer = self.dhcp.handle(&request, &client, &step, arrival, now);
        read(&request, answer)
    }

    /// Takes a machine through offer and acknowledgement; returns its address.
    pub(crate) fn lease(&mut self, last: u8, second: u64) -> Ipv4Addr {
        let offer = self.ask(&discover(last), second).unwrap();
        let address = offer.message.your_address;
        let ack = self.ask(&select(last, address), second).unwrap();
        assert_eq!(ack.kind(), MessageType::Ack);
        address
    }
}

/// The answer of a proxy on port 67.
pub(crate) fn ask_proxy(request: &Message) -> Result<Got, String> {
    let request = through_the_wire(request);
    let client = classify(&request).unwrap();
    let step = policy(BootConfig::default()).decide(&client, request.xid, Instant::now());
    let answer = proxy_offer(ProxyStyle::Plain, &request, &client, &step, SERVER);
    read(&request, answer)
}

/// The answer of the boot service on port 4011.
pub(crate) fn ask_boot_service(request: &Message, from: SocketAddrV4) -> Result<Got, String> {
    let request = through_the_wire(request);
    let client = classify(&request).unwrap();
    let step = policy(BootConfig::default()).decide(&client, request.xid, Instant::now());
    read(
        &request,
        boot_service_ack(&request, &client, &step, SERVER, from),
    )
}

fn read(request: &Message, answer: Answer) -> Result<Got, String> {
    match answer {
        Answer::Silence(why) | Answer::Unserved(_, why) => Err(why),
        Answer::Reply(reply) => {
            let limit = request.max_message_len();
            let (bytes, _) = reply.message.encode_fitting(limit).unwrap();
            assert!((300..=limit).contains(&bytes.len()));
            Ok(Got {
                message: Message::decode(&bytes).unwrap(),
                to: reply.to,
                link: reply.link,
                probe: reply.probe,
            })
        }
    }
}

fn through_the_wire(message: &Message) -> Message {
    Message::decode(&message.encode(1472).unwrap()).unwrap()
}

pub(crate) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

pub(crate) fn mac(last: u8) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 0, 0, last])
}

pub(crate) fn message(kind: MessageType, last: u8) -> Message {
    Message::from_client(kind, mac(last), 7)
}

pub(crate) fn with(mut message: Message, change: impl FnOnce(&mut Message)) -> Message {
    change(&mut message);
    message
}

pub(crate) fn discover(last: u8) -> Message {
    message(MessageType::Discover, last)
}

/// A request that takes our offer of an address.
pub(crate) fn select(last: u8, address: Ipv4Addr) -> Message {
    with(reboot(last, address), |m| {
        m.options.set_addresses(code::SERVER_ID, &[SERVER]);
    })
}

/// A request of a client that remembers an address (INIT-REBOOT).
pub(crate) fn reboot(last: u8, address: Ipv4Addr) -> Message {
    with(message(MessageType::Request, last), |m| {
        m.options.set_addresses(code::REQUESTED_ADDRESS, &[address]);
    })
}

/// A request of a client that uses an address (RENEWING, REBINDING).
pub(crate) fn renew(last: u8, address: Ipv4Addr) -> Message {
    with(message(MessageType::Request, last), |m| {
        m.client_address = address
    })
}

/// A message of PXE firmware of this architecture.
pub(crate) fn pxe(kind: MessageType, arch: u16) -> Message {
    with(message(kind, 1), |m| {
        m.options.set(code::CLIENT_ARCH, arch.to_be_bytes());
        let class = format!("PXEClient:Arch:{arch:05}:UNDI:003000");
        m.options.set(code::VENDOR_CLASS, class);
        let mut id = vec![0];
        id.extend(1..=16);
        m.options.set(code::MACHINE_ID, id);
    })
}
