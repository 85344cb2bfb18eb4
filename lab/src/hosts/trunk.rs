//! End of a trunk at a host: an interface for each VLAN, whose frames are tagged in user space.
//!
//! The host's own end of its cable and a tap are ports of a bridge, because a tap keeps tags in frames, where a packet
//! socket has them apart.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::ip;
use super::switch::{Port, PortMode, Trunk, UNTAGGED, tap};

/// Bridge of the cable and of the trunk's tap.
const BRIDGE: &str = "trunk";

/// Tap that carries the tagged frames.
const TAP: &str = "tagged";

/// Trunk to the cell's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkJob {
    /// Bridge at the switch's port.
    pub bridge: String,
    /// Interface in the host's namespace; set by [`Plug`](super::attachment::Plug).
    pub interface: String,
    /// VLANs of the host.
    pub vlans: Vec<u16>,
    /// VLAN whose frames have no tag.
    pub native: Option<u16>,
    /// Largest MTU of the networks, in bytes; `None` for Ethernet's.
    pub mtu: Option<u16>,
}

/// Returns the name of a VLAN's interface at the host.
#[must_use]
pub fn interface(vlan: u16) -> String {
    match vlan {
        UNTAGGED => "untagged".into(),
        _ => format!("vlan{vlan}"),
    }
}

/// Creates the interfaces, which stay down.
pub(super) fn join(job: &TrunkJob) -> io::Result<()> {
    // Otherwise the kernel itself would send untagged frames. A kernel without IPv6 has nothing to switch off.
    for of in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{of}/disable_ipv6"), "1");
    }
    let mtu = job.mtu.unwrap_or(1500).to_string();
    let bridge = ["link", "add", "name", BRIDGE, "type", "bridge"];
    ip(&[
        &bridge[..],
        &["forward_delay", "0", "mcast_snooping", "0"][..],
    ]
    .concat())?;
    let trunk = tap::create(TAP)?;
    for port in [&*job.interface, TAP] {
        ip(&["link", "set", port, "mtu", &mtu, "master", BRIDGE, "up"])?;
    }
    ip(&["link", "set", BRIDGE, "arp", "off", "up"])?;
    let port = |name: &str, mode| Port {
        name: name.to_owned(),
        mode,
    };
    let carried = Trunk::of(job.vlans.iter().copied(), job.native);
    let mut ports = vec![(port(TAP, PortMode::Trunk(carried)), trunk)];
    for vlan in &job.vlans {
        let name = interface(*vlan);
        let tap = tap::create(&name)?;
        ip(&["link", "set", &name, "mtu", &mtu])?;
        ports.push((port(&name, PortMode::Access(*vlan)), tap));
    }
    // Refused frames are of VLANs that the host has nothing to do with.
    tap::start(ports, |_| {});
    Ok(())
}
