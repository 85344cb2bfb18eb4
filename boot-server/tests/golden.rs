//! Exchanges captured from real firmware (`golden/`), replayed: what the code answers now is what the
//! firmware took when it was captured, as far as booting is concerned.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use boot_server::config::{BiosLoader, BootConfig, DhcpConfig};
use boot_server::lease::MemoryOnly;
use boot_server::policy::{Policy, classify};
use boot_server::respond::{
    Answer, Arrival, DhcpServer, ProxyStyle, ServerOptions, boot_service_ack, proxy_offer,
};
use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::tftp::{Limits, Packet, Transfer, Transmit};
use serde::Deserialize;

/// The largest block that the captured server granted: Ethernet's MTU less headers.
const BLOCK_SIZE: u16 = 1468;
/// Pixiecore's.
const PIXIECORE_BLOCK_SIZE: u16 = 1450;

/// Captured datagram.
#[derive(Debug, Clone, Deserialize)]
struct Datagram {
    ms: u64,
    from: SocketAddrV4,
    to: SocketAddrV4,
    hex: String,
}

impl Datagram {
    fn bytes(&self) -> Vec<u8> {
        let digits = self.hex.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }

    fn dhcp(&self) -> Option<Message> {
        let ports = [67, 68, 4011];
        (ports.contains(&self.from.port()) && ports.contains(&self.to.port()))
            .then(|| Message::decode(&self.bytes()).unwrap())
    }
}

enum Setup {
    Server(Box<BootConfig>),
    Proxy,
    Pixiecore,
}

/// Reply fields that decide about the boot.
#[derive(Debug, PartialEq, Eq)]
struct BootFields {
    kind: MessageType,
    your_address: Ipv4Addr,
    next_server: Ipv4Addr,
    boot_file: String,
    options: Vec<(u8, Option<Vec<u8>>)>,
}

impl BootFields {
    fn of(message: &Message) -> BootFields {
        let wanted = [
            code::VENDOR_SPECIFIC,
            code::SERVER_ID,
            code::VENDOR_CLASS,
            code::BOOT_FILE_NAME,
            code::MACHINE_ID,
            code::IPXE,
        ];
        // A NUL at the end of a text is no part of it (RFC 2132 §2); the recordings are without.
        let value = |code: u8| {
            let bytes = match code {
                code::BOOT_FILE_NAME => message.text_bytes(code),
                _ => message.options.bytes(code),
            };
            (code, bytes.map(<[u8]>::to_vec))
        };
        BootFields {
            kind: message.message_type().unwrap().unwrap(),
            your_address: message.your_address,
            next_server: message.next_server,
            boot_file: String::from_utf8(message.boot_file.clone()).unwrap(),
            options: wanted.into_iter().map(value).collect(),
        }
    }
}

struct Replay {
    server: Ipv4Addr,
    setup: Setup,
    policy: Policy,
    dhcp: DhcpServer<MemoryOnly>,
    began: Instant,
    log: Vec<Datagram>,
    /// Boot files that were sent, each with the time; repetitions left out.
    boot_files: Vec<String>,
    compared: usize,
}

impl Replay {
    fn new(file: &str, server: &str, setup: Setup) -> Replay {
        let server: Ipv4Addr = server.parse().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let log = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let script = format!("http://{server}:8080/boot.ipxe?platform=${{platform}}");
        let policy = match &setup {
            Setup::Server(boot) => Policy::boot(server, BootConfig::clone(boot), Some(script)),
            Setup::Proxy => Policy::boot(server, BootConfig::default(), Some(script)),
            Setup::Pixiecore => Policy::pixiecore(server, BootConfig::default(), 80),
        };
        let [a, b, c, _] = server.octets();
        let last = |d| Ipv4Addr::new(a, b, c, d);
        let subnet = format!("{}/24", last(0)).parse().unwrap();
        let pools = DhcpConfig::new(subnet, last(2), last(254))
            .pools(server)
            .unwrap();
        Replay {
            server,
            setup,
            policy,
            dhcp: DhcpServer::new(server, ServerOptions::default(), pools, &[], MemoryOnly),
            began: Instant::now(),
            log,
            boot_files: Vec::new(),
            compared: 0,
        }
    }

    /// Gives each packet of the machine to the code; its answers are compared with the captured ones.
    fn run(mut self) -> Vec<String> {
        for number in 0..self.log.len() {
            let datagram = self.log[number].clone();
            if *datagram.from.ip() == self.server {
                continue;
            }
            match datagram.dhcp() {
                Some(request) => self.dhcp(number, &datagram, &request),
                None => self.tftp(number, &datagram),
            }
        }
        assert!(
            self.compared >= 3,
            "only {} answers were compared",
            self.compared
        );
        self.boot_files
    }

    fn dhcp(&mut self, number: usize, datagram: &Datagram, request: &Message) {
        let client = classify(request).unwrap();
        let now = self.began + Duration::from_millis(datagram.ms);
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(datagram.ms);
        let mut decide = || self.policy.decide(&client, request.xid, now);
        let answer = match (&self.setup, datagram.to.port()) {
            (Setup::Proxy | Setup::Pixiecore, 67) if client.message != MessageType::Discover => {
                Answer::Silence("a proxy".into())
            }
            (Setup::Server(_), 67) => {
                let step = decide();
                self.dhcp
                    .handle(request, &client, &step, Arrival::Broadcast, time)
            }
            (Setup::Proxy, 67) => {
                proxy_offer(ProxyStyle::Plain, request, &client, &decide(), self.server)
            }
            (Setup::Pixiecore, 67) => proxy_offer(
                ProxyStyle::Pixiecore,
                request,
                &client,
                &decide(),
                self.server,
            ),
            (_, 4011) => {
                let step = decide();
                boot_service_ack(request, &client, &step, self.server, datagram.from)
            }
            (_, port) => panic!("a DHCP message to port {port}"),
        };
        let recorded = self.recorded_reply(number, request.xid, datagram.to.port());
        match (answer, recorded) {
            (Answer::Silence(_) | Answer::Unserved(..), None) => {}
            (Answer::Silence(why) | Answer::Unserved(_, why), Some(_)) => {
                panic!("line {}: silence: {why}", number + 1)
            }
            (Answer::Reply(_), None) => panic!("line {}: nothing was answered then", number + 1),
            (Answer::Reply(reply), Some(recorded)) => {
                let bytes = reply.message.encode(request.max_message_len()).unwrap();
                let message = Message::decode(&bytes).unwrap();
                let (now, then) = (BootFields::of(&message), BootFields::of(&recorded));
                assert_eq!(now, then, "line {}", number + 1);
                self.compared += 1;
                if self.boot_files.last() != Some(&now.boot_file) {
                    self.boot_files.push(now.boot_file);
                }
            }
        }
    }

    /// Returns the server's recorded answer, which precedes the machine's next packet of this kind. Beside
    /// another server, it is the reply without an address.
    fn recorded_reply(&self, number: usize, xid: u32, port: u16) -> Option<Message> {
        let is_proxy = !matches!(self.setup, Setup::Server(_));
        let later = self.log.iter().skip(number + 1);
        later
            .take_while(|d| *d.from.ip() == self.server || d.dhcp().is_none_or(|m| m.xid != xid))
            .filter(|d| *d.from.ip() == self.server && d.from.port() == port)
            .filter_map(Datagram::dhcp)
            .find(|m| m.xid == xid && m.your_address.is_unspecified() == is_proxy)
    }

    fn tftp(&mut self, number: usize, datagram: &Datagram) {
        let Packet::Read(request) = Packet::decode(&datagram.bytes()).unwrap() else {
            return;
        };
        let later = || self.log.iter().skip(number + 1);
        let answer = later().find(|d| d.to == datagram.from).unwrap();
        let Packet::OptionsAck(granted) = Packet::decode(&answer.bytes()).unwrap() else {
            return; // Not found, e.g. PXELINUX looking for its configuration.
        };
        let size = granted.iter().find(|(name, _)| name == "tsize");
        let len = size.map_or(1 << 20, |(_, value)| value.parse().unwrap());
        let limits = Limits {
            block_size: match self.setup {
                Setup::Pixiecore => PIXIECORE_BLOCK_SIZE,
                _ => BLOCK_SIZE,
            },
            window_size: 64,
        };
        let mut transfer = Transfer::new(&request.options, limits, len, self.began);
        let Some(Transmit::OptionsAck(ack)) = transfer.poll_transmit() else {
            panic!("line {}: the options are not acknowledged", number + 1);
        };
        assert_eq!(
            Packet::decode(&ack).unwrap(),
            Packet::OptionsAck(granted),
            "line {}",
            number + 1
        );
        self.compared += 1;
        let broken_off = later().any(|d| d.from == datagram.from && d.bytes().starts_with(&[0, 5]));
        if !broken_off {
            let mac = self.log.iter().find_map(Datagram::dhcp).unwrap().mac();
            let now = self.began + Duration::from_millis(datagram.ms);
            self.policy.file_fetched(mac, &request.file, now);
        }
    }
}

#[test]
fn an_ipxe_rom_chainloads_undionly_once_and_then_gets_its_script() {
    let boot = BootConfig {
        chainload_ipxe: true,
        ..BootConfig::default()
    };
    let files = Replay::new(
        "rom-ipxe_undionly.jsonl",
        "192.168.92.1",
        Setup::Server(Box::new(boot)),
    )
    .run();
    let script = "http://192.168.92.1:8080/boot.ipxe?platform=${platform}";
    assert_eq!(files, ["undionly.kpxe", script, ""]);
}

#[test]
fn edk2_loads_ipxe_efi_and_then_gets_its_script() {
    let setup = Setup::Server(Box::default());
    let files = Replay::new("edk2_ipxe-efi.jsonl", "192.168.92.1", setup).run();
    let script = "http://192.168.92.1:8080/boot.ipxe?platform=${platform}";
    assert_eq!(files, ["ipxe.efi", script, ""]);
}

#[test]
fn an_ipxe_rom_loads_pxelinux() {
    let boot = BootConfig {
        bios: BiosLoader::Pxelinux,
        ..BootConfig::default()
    };
    let files = Replay::new(
        "rom-ipxe_pxelinux.jsonl",
        "192.168.90.1",
        Setup::Server(Box::new(boot)),
    )
    .run();
    assert_eq!(files, ["pxelinux.0", ""]);
}

#[test]
fn beside_another_server_an_ipxe_rom_is_offered_its_script() {
    let files = Replay::new("rom-ipxe_proxy.jsonl", "192.168.91.1", Setup::Proxy).run();
    assert_eq!(
        files,
        ["http://192.168.91.1:8080/boot.ipxe?platform=${platform}"]
    );
}

#[test]
fn beside_another_server_edk2_is_sent_to_the_boot_service() {
    let files = Replay::new("edk2_proxy.jsonl", "192.168.91.1", Setup::Proxy).run();
    let script = "http://192.168.91.1:8080/boot.ipxe?platform=${platform}";
    assert_eq!(files, ["ipxe.efi", script]);
}

#[test]
fn in_pixiecore_mode_an_ipxe_rom_loads_ipxe_and_then_gets_pixiecores_script() {
    let files = Replay::new("rom-ipxe_pixiecore.jsonl", "192.168.93.1", Setup::Pixiecore).run();
    let script = "http://192.168.93.1:80/_/ipxe?arch=0&mac=52:54:00:5d:01:01";
    assert_eq!(files, ["tftp://192.168.93.1/52:54:00:5d:01:01/4", script]);
}

#[test]
fn in_pixiecore_mode_edk2_loads_ipxe_and_then_gets_pixiecores_script() {
    let files = Replay::new("edk2_pixiecore.jsonl", "192.168.93.1", Setup::Pixiecore).run();
    let script = "http://192.168.93.1:80/_/ipxe?arch=1&mac=52:54:00:5d:01:01";
    assert_eq!(files, ["52:54:00:5d:01:01/2", script]);
}
