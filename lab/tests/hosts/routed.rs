//! A rack behind a router: DHCP is relayed to the boot server, TFTP is forwarded, blocked ports are not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use boot_server_proto::mac::MacAddr;
use lab::hosts::attachment::{Plug, Plugged};
use lab::hosts::router::{Leg, RelayJob, RouterJob};
use lab::hosts::simulated::machine::MachineJob;
use lab::hosts::{StationJob, Task};
use lab_model::scenario::{BlockedPort, Firmware, Outside, RelayProgram, Transport};
use test_support::{assert_line, has_line, has_program, is_in_network_namespace};
use tokio::io::AsyncBufReadExt;

/// Time limit of every step.
const DEADLINE: Duration = Duration::from_secs(40);

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);

/// The boot server's pools: its own network's, and that of the rack, which only the relay's address chooses.
const CONFIG: &str = r#"
interface = "servers"
address = "10.20.0.1"
[boot]
chainload_ipxe = true
script_url = "http://10.20.0.1:8080/boot.ipxe"
[tftp]
[dhcp]
subnet = "10.20.0.0/24"
first = "10.20.0.100"
last = "10.20.0.199"
probe_ms = 0
[[dhcp.pool]]
subnet = "10.20.1.0/24"
first = "10.20.1.100"
last = "10.20.1.199"
router = "10.20.1.254"
"#;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two networks, their router, and the servers' side in this namespace.
struct Racks {
    folder: tempfile::TempDir,
    plug: Plug,
    router: Plugged,
}

impl Racks {
    async fn new(relay: Option<RelayJob>, blocked: Vec<BlockedPort>) -> Racks {
        Racks::with(relay, blocked, Outside::Unreachable).await
    }

    async fn with(relay: Option<RelayJob>, blocked: Vec<BlockedPort>, outside: Outside) -> Racks {
        run("ip", &["link", "set", "lo", "up"]);
        for bridge in ["servers", "rack1"] {
            let options = ["forward_delay", "0", "mcast_snooping", "0"];
            let make = ["link", "add", "name", bridge, "type", "bridge"];
            run("ip", &[&make[..], &options[..]].concat());
            run("ip", &["link", "set", bridge, "up"]);
        }
        run("ip", &["address", "add", "10.20.0.1/24", "dev", "servers"]);
        run(
            "ip",
            &["route", "add", "10.20.1.0/24", "via", "10.20.0.254"],
        );
        let folder = tempfile::tempdir().unwrap();
        let plug = Plug::new("t", "rack1").with_program(&lab());
        let job = RouterJob {
            legs: vec![leg("servers", 0), leg("rack1", 1)],
            trunk: None,
            routes: Vec::new(),
            blocked,
            relay,
            outside,
        };
        let router = plug.start_router(job, &folder.path().join("router")).await;
        Racks {
            folder,
            plug,
            router: router.unwrap(),
        }
    }

    async fn start(&self, task: Task, address: Option<Ipv4Addr>) -> Plugged {
        let job = StationJob {
            interface: None,
            mac: "02:00:00:00:00:01".into(),
            address: address.map(|address| (address, 24)),
            task,
        };
        let log = self.folder.path().join("station");
        self.plug.start(job, &log).await.unwrap()
    }

    fn log_of(&self, host: &str) -> String {
        fs::read_to_string(self.folder.path().join(host)).unwrap()
    }
}

fn leg(network: &str, number: u8) -> Leg {
    Leg {
        network: network.into(),
        bridge: network.into(),
        interface: String::new(),
        mac: MacAddr([2, 0, 0, 0, 9, number]),
        address: Ipv4Addr::new(10, 20, number, 254),
        prefix: 24,
        mtu: None,
        advertises: number != 0,
    }
}

pub(crate) fn lab() -> PathBuf {
    PathBuf::from(assert_cmd::cargo::cargo_bin!("lab"))
}

pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Starts the boot server beside the `lab` program and waits until it is ready.
fn boot_server(folder: &Path) -> Running {
    let program = lab().with_file_name("boot-server");
    assert!(program.is_file(), "{} is not built", program.display());
    let file = folder.join("boot-server.toml");
    fs::write(&file, CONFIG).unwrap();
    let mut child = Command::new(program)
        .arg("--config")
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = Running(child);
    let ready = events.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"ready\"")));
    assert!(ready.is_some(), "the boot server has ended");
    std::thread::spawn(move || events.for_each(drop));
    server
}

pub(crate) fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, what).await.unwrap() })
}

fn relay(program: RelayProgram) -> RelayJob {
    RelayJob {
        program,
        server: SERVER,
        link_selection: false,
        server_id_override: false,
        vpn: None,
        flaw: None,
    }
}

/// Boots a machine in the rack up to its boot program, which comes by TFTP.
fn boots_behind(relay: RelayJob) {
    block_on(async {
        let racks = Racks::new(Some(relay), Vec::new()).await;
        let _server = boot_server(racks.folder.path());
        let machine = Task::Machine(MachineJob {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            uuid: uuid::Uuid::from_u128(7),
            serial: "1".into(),
            firmware: Firmware::Bios,
            vlan: None,
        });
        let mut machine = racks.start(machine, None).await;
        let mut console = String::new();
        while !has_line(&console, "…undionly.kpxe is this host's…") {
            let length = machine.stdout.read_line(&mut console).await.unwrap();
            assert!(length > 0, "{console}\n{}", racks.log_of("router"));
        }
        assert_line(&console, "net0: 10.20.1.…/24 gw 10.20.1.254");
    });
}

#[test]
fn start_router_own_relay_machine_boots_with_an_address_of_its_rack() {
    if is_in_network_namespace() {
        boots_behind(relay(RelayProgram::Ours));
    }
}

#[test]
fn start_router_link_selection_and_override_machine_boots_with_an_address_of_its_rack() {
    if is_in_network_namespace() {
        boots_behind(RelayJob {
            link_selection: true,
            server_id_override: true,
            ..relay(RelayProgram::Ours)
        });
    }
}

#[test]
fn start_router_iscs_relay_machine_boots_with_an_address_of_its_rack() {
    if has_program("dhcrelay", "isc-dhcp-relay") && is_in_network_namespace() {
        boots_behind(relay(RelayProgram::IscDhcpRelay));
    }
}

#[test]
fn start_router_iscs_relay_with_link_selection_machine_boots_with_an_address_of_its_rack() {
    if has_program("dhcrelay", "isc-dhcp-relay") && is_in_network_namespace() {
        boots_behind(RelayJob {
            link_selection: true,
            ..relay(RelayProgram::IscDhcpRelay)
        });
    }
}

#[test]
fn start_router_dnsmasq_as_relay_machine_boots_with_an_address_of_its_rack() {
    if has_program("dnsmasq", "dnsmasq-base") && is_in_network_namespace() {
        boots_behind(relay(RelayProgram::Dnsmasq));
    }
}

#[test]
fn start_router_blocked_port_is_not_forwarded_and_another_is() {
    if !is_in_network_namespace() {
        return;
    }
    block_on(async {
        let tftp = BlockedPort {
            transport: Transport::Udp,
            port: 69,
        };
        let racks = Racks::new(None, vec![tftp]).await;
        let bind = |port| {
            let socket = UdpSocket::bind((SERVER, port)).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            socket
        };
        let (blocked, open) = (bind(69), bind(70));
        let host = racks
            .start(Task::Idle, Some(Ipv4Addr::new(10, 20, 1, 50)))
            .await;
        let pid = host.child.id().unwrap().to_string();
        let route = "ip route add default via 10.20.1.254";
        // The second datagram cannot overtake the first.
        let send = "echo 1 >/dev/udp/10.20.0.1/69; echo 2 >/dev/udp/10.20.0.1/70";
        let script = format!("{route} && {send}");
        run(
            "nsenter",
            &["--net", "--target", &pid, "bash", "-c", &script],
        );
        let mut buffer = [0; 8];
        assert_eq!(open.recv(&mut buffer).unwrap(), 2);
        blocked.set_nonblocking(true).unwrap();
        assert!(blocked.recv(&mut buffer).is_err(), "udp/69 is forwarded");
    });
}

/// Returns the output of a shell in the network namespace of a host.
fn shell_at(host: &Plugged, script: &str) -> String {
    let pid = host.child.id().unwrap().to_string();
    let output = Command::new("nsenter")
        .args(["--net", "--target", &pid, "bash", "-c", script])
        .output()
        .unwrap();
    let (said, failed) = (output.stdout, output.stderr);
    String::from_utf8([said, failed].concat()).unwrap()
}

#[test]
fn start_router_address_outside_of_all_networks_is_unreachable_or_silent() {
    if !is_in_network_namespace() {
        return;
    }
    block_on(async {
        let racks = Racks::new(None, Vec::new()).await;
        let address = Some(Ipv4Addr::new(10, 20, 1, 50));
        let host = racks.start(Task::Idle, address).await;
        // RFC 5737: an address of documentation.
        let connect = "ip route add default via 10.20.1.254; echo >/dev/tcp/203.0.113.9/80";
        let said = shell_at(&host, connect);
        assert!(said.contains("Network is unreachable"), "{said}");
        assert_eq!(shell_at(&racks.router, "ip route show type blackhole"), "");
    });
}

#[test]
fn start_router_silent_way_out_drops_packets_for_all_other_addresses() {
    if !is_in_network_namespace() {
        return;
    }
    block_on(async {
        let racks = Racks::with(None, Vec::new(), Outside::Silent).await;
        let dropped = shell_at(&racks.router, "ip route show type blackhole");
        assert_eq!(dropped.trim(), "blackhole default");
        let asked = shell_at(
            &racks.router,
            "ip route get 203.0.113.9; ip route get 10.20.1.9",
        );
        assert!(
            asked.contains("dev") && asked.contains("Invalid argument"),
            "{asked}"
        );
    });
}

#[test]
fn start_router_machine_that_solicits_a_router_hears_one() {
    if !is_in_network_namespace() {
        return;
    }
    block_on(async {
        let racks = Racks::new(None, Vec::new()).await;
        let address = Some(Ipv4Addr::new(10, 20, 1, 50));
        let host = racks.start(Task::Idle, address).await;
        let pid = host.child.id().unwrap().to_string();
        let ask = ["--net", "--target", &pid, "python3", "-c", SOLICIT];
        let output = Command::new("nsenter")
            .args(ask)
            .arg(&host.interface)
            .output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.trim(), "02:00:00:00:09:01", "{failed}");
    });
}

/// Sends a router solicitation from the interface of its argument, and prints the MAC of the router that advertises.
const SOLICIT: &str = "import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
s.bind((sys.argv[1], 0))
s.settimeout(30)
packet = bytes.fromhex('60000000 0008 3aff' + '00' * 16 + 'ff02' + '00' * 13 + '02' + '8500 7bb9 00000000')
s.send(bytes.fromhex('333300000002 020000000001 86dd') + packet)
while True:
    frame = s.recv(2048)
    if frame[54] == 134:
        print(frame[6:12].hex(':'))
        break
";

#[test]
fn start_router_override_without_support_is_refused() {
    if !is_in_network_namespace() {
        return;
    }
    let relay = RelayJob {
        server_id_override: true,
        ..relay(RelayProgram::Dnsmasq)
    };
    block_on(async {
        for bridge in ["servers", "rack1"] {
            run("ip", &["link", "add", "name", bridge, "type", "bridge"]);
        }
        let folder = tempfile::tempdir().unwrap();
        let job = RouterJob {
            trunk: None,
            legs: vec![leg("servers", 0), leg("rack1", 1)],
            routes: Vec::new(),
            blocked: Vec::new(),
            relay: Some(relay),
            outside: Outside::Unreachable,
        };
        let plug = Plug::new("t", "rack1").with_program(&lab());
        let started = plug.start_router(job, &folder.path().join("router")).await;
        let error = started.unwrap_err().to_string();
        assert_line(
            &error,
            "…: station: unsupported sub-options of option 82: dnsmasq cannot send them",
        );
    });
}
