//! A router on a trunk of the VLAN switch: three VLANs over one link, with tags on the way.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use boot_server_proto::mac::MacAddr;
use lab::hosts::attachment::{Plug, Plugged};
use lab::hosts::router::{Leg, RouterJob};
use lab::hosts::switch::{Port, PortMode, Trunk, tap};
use lab::hosts::trunk::TrunkJob;
use lab::hosts::{StationJob, Task};
use lab_model::evidence::{RefusedFrame, Way};
use lab_model::scenario::Outside;
use test_support::is_in_network_namespace;

use crate::routed::{block_on, lab, run};

/// VLANs 100 (10.20.0.0/24, with this host) and 101 (10.20.1.0/24), and their router on a trunk.
struct Switched {
    folder: tempfile::TempDir,
    refused: Receiver<RefusedFrame>,
    _router: Plugged,
}

impl Switched {
    async fn new(allowed: &[u16]) -> Switched {
        run("ip", &["link", "set", "lo", "up"]);
        let mut ports = Vec::new();
        let members = Trunk::of([100, 101], None);
        let modes = [
            ("servers", PortMode::Access(100)),
            ("rack1", PortMode::Access(101)),
            (
                "trunk1",
                PortMode::Trunk(Trunk {
                    allowed: allowed.iter().copied().collect(),
                    ..members
                }),
            ),
        ];
        for (number, (bridge, mode)) in modes.into_iter().enumerate() {
            let options = ["forward_delay", "0", "mcast_snooping", "0"];
            let make = ["link", "add", "name", bridge, "type", "bridge"];
            run("ip", &[&make[..], &options[..]].concat());
            run("ip", &["link", "set", bridge, "up"]);
            let name = format!("v{number}");
            let tap = tap::create(&name).unwrap();
            run("ip", &["link", "set", &name, "master", bridge, "up"]);
            let port = Port {
                name: bridge.into(),
                mode,
            };
            ports.push((port, tap));
        }
        let (told, refused) = channel();
        tap::start(ports, move |frame| drop(told.send(frame)));
        run("ip", &["address", "add", "10.20.0.1/24", "dev", "servers"]);
        run(
            "ip",
            &["route", "add", "10.20.1.0/24", "via", "10.20.0.254"],
        );
        let leg = |network: &str, number| Leg {
            network: network.into(),
            bridge: network.into(),
            interface: String::new(),
            mac: MacAddr([2, 0, 0, 0, 9, number]),
            address: Ipv4Addr::new(10, 20, number, 254),
            prefix: 24,
            mtu: None,
            advertises: false,
        };
        let job = RouterJob {
            legs: vec![leg("servers", 0), leg("rack1", 1)],
            trunk: Some(TrunkJob {
                bridge: "trunk1".into(),
                interface: String::new(),
                vlans: vec![100, 101],
                native: None,
                mtu: None,
            }),
            routes: Vec::new(),
            outside: Outside::default(),
            blocked: Vec::new(),
            relay: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let plug = Plug::new("t", "trunk1").with_program(&lab());
        let router = plug.start_router(job, &folder.path().join("router")).await;
        Switched {
            folder,
            refused,
            _router: router.unwrap(),
        }
    }

    /// Starts a host at the access port of the rack, or at a trunk.
    async fn host(&self, bridge: &str, address: Ipv4Addr) -> Plugged {
        let plug = Plug::new("h", bridge).with_program(&lab());
        let job = StationJob {
            interface: None,
            mac: "02:00:00:00:00:01".into(),
            address: Some((address, 24)),
            task: Task::Idle,
        };
        let log = self.folder.path().join("host");
        plug.start(job, &log).await.unwrap()
    }
}

/// True if a host refuses a connection, and so has answered.
fn is_reached(address: [u8; 4]) -> bool {
    let end = SocketAddr::from((address, 9));
    let connected = TcpStream::connect_timeout(&end, Duration::from_secs(2));
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn start_router_on_a_trunk_packets_cross_between_vlans() {
    if is_in_network_namespace() {
        block_on(async {
            let switched = Switched::new(&[100, 101]).await;
            assert!(is_reached([10, 20, 0, 254]));
            assert!(is_reached([10, 20, 1, 254]));
            assert_eq!(switched.refused.try_iter().collect::<Vec<_>>(), []);
        });
    }
}

#[test]
fn start_router_on_a_trunk_without_its_vlan_frames_are_refused_and_reported() {
    if is_in_network_namespace() {
        block_on(async {
            let switched = Switched::new(&[101]).await;
            assert!(!is_reached([10, 20, 0, 254]));
            let first = switched.refused.try_iter().next().unwrap();
            assert_eq!((&*first.port, first.vlan), ("trunk1", Some(100)));
            assert_eq!(first.way, Way::Out);
        });
    }
}

#[test]
fn start_host_at_a_trunk_untagged_frame_is_refused() {
    if is_in_network_namespace() {
        block_on(async {
            let switched = Switched::new(&[100, 101]).await;
            let _host = switched.host("trunk1", Ipv4Addr::new(10, 20, 0, 9)).await;
            // The answer to this host's question has no tag either.
            assert!(!is_reached([10, 20, 0, 9]));
        });
    }
}
