//! VLAN switch in user space (IEEE 802.1Q), because kernels without modules lack VLANs and bridges that filter them.
//!
//! [`Switch`] decides about one frame at a time and is pure; [`tap`] has the ports. A port is of one of two kinds:
//!
//! - An access port belongs to one VLAN. Frames on it have no tag.
//! - A trunk carries several VLANs. Frames on it have a tag, except those of its native VLAN.
//!
//! The switch learns which port has a MAC, by VLAN, and floods frames to unknown MACs.

pub mod tap;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use boot_server_proto::mac::MacAddr;
use lab_model::evidence::{RefusedFrame, Way};

/// VLAN of untagged frames on a host that has both tagged and untagged ones; reserved in IEEE 802.1Q, so that no tag
/// has it.
pub const UNTAGGED: u16 = 4095;

/// Length of a tag in bytes.
pub const TAG_LEN: usize = 4;

/// Length of both MACs in bytes.
const MACS_LEN: usize = 12;

/// EtherType of a tag.
const TAG: [u8; 2] = [0x81, 0x00];

/// EtherTypes of IPv4 and ARP. Other refused frames are no evidence: hosts send IPv6 on every interface unasked.
const REPORTED: [[u8; 2]; 2] = [[0x08, 0x00], [0x08, 0x06]];

/// Maximum number of learned MACs; beyond it, all are forgotten.
const LEARNED_MAX: usize = 4096;

/// Maximum number of reports of one port, VLAN and direction.
const REPORTS_MAX: u32 = 50;

/// Port of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name of the host or network at the port.
    pub name: String,
    pub mode: PortMode,
}

/// Kind of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortMode {
    /// Port of one VLAN.
    Access(u16),
    /// Port of several VLANs.
    Trunk(Trunk),
}

/// Settings of a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// VLANs of the host at the other end.
    pub members: BTreeSet<u16>,
    /// VLANs that the port accepts and sends.
    pub allowed: BTreeSet<u16>,
    /// VLAN whose frames have no tag.
    pub native: Option<u16>,
}

impl Trunk {
    /// Returns a trunk that carries exactly these VLANs.
    #[must_use]
    pub fn of(vlans: impl IntoIterator<Item = u16>, native: Option<u16>) -> Trunk {
        let members: BTreeSet<u16> = vlans.into_iter().collect();
        Trunk {
            allowed: members.clone(),
            members,
            native,
        }
    }
}

/// Received frame, with its tag apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Destination and source.
    macs: [u8; MACS_LEN],
    /// VLAN of the tag; `None` for an untagged frame and for a tag that has only a priority.
    vlan: Option<u16>,
    /// Length of MACs and tag.
    rest: usize,
    kind: [u8; 2],
}

impl Head {
    /// Parses the beginning of a frame; `None` if the frame is too short.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Head> {
        let (macs, after) = frame.split_first_chunk::<MACS_LEN>()?;
        let (kind, tagged) = after.split_first_chunk::<2>()?;
        let mut head = Head {
            macs: *macs,
            vlan: None,
            rest: MACS_LEN,
            kind: *kind,
        };
        if *kind == TAG {
            let ([high, low, kind @ ..], _) = tagged.split_first_chunk::<4>()?;
            let id = u16::from_be_bytes([high & 0x0f, *low]);
            head.vlan = (id != 0).then_some(id);
            head.rest = MACS_LEN + TAG_LEN;
            head.kind = *kind;
        }
        Some(head)
    }

    fn destination(&self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = self.macs;
        [a, b, c, d, e, f]
    }

    fn source(&self) -> [u8; 6] {
        let [.., a, b, c, d, e, f] = self.macs;
        [a, b, c, d, e, f]
    }

    /// Returns the frame's beginning in a VLAN, or without a tag.
    fn start(&self, tag: Option<u16>) -> Vec<u8> {
        let mut start = self.macs.to_vec();
        if let Some(vlan) = tag {
            start.extend(TAG);
            start.extend(vlan.to_be_bytes());
        }
        start
    }
}

/// Fate of a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fate {
    /// Ports that send the frame, each with the tag.
    pub to: Vec<(usize, Option<u16>)>,
    /// Report of a port that refused the frame.
    pub refused: Option<RefusedFrame>,
}

/// Switch with its learned MACs.
#[derive(Debug)]
pub struct Switch {
    ports: Vec<Port>,
    learned: HashMap<(u16, [u8; 6]), usize>,
    reports: HashMap<(usize, Option<u16>, Way), u32>,
}

impl Switch {
    #[must_use]
    pub fn new(ports: Vec<Port>) -> Switch {
        Switch {
            ports,
            learned: HashMap::new(),
            reports: HashMap::new(),
        }
    }

    /// Decides about a frame that came in at a port.
    pub fn forward(&mut self, from: usize, head: &Head) -> Fate {
        let mut fate = Fate::default();
        let Some(port) = self.ports.get(from) else {
            return fate;
        };
        let Some(vlan) = vlan_at(&port.mode, head.vlan) else {
            fate.refused = self.report(from, head.vlan, Way::In, head);
            return fate;
        };
        let (source, destination) = (head.source(), head.destination());
        if !is_group(source) {
            if self.learned.len() >= LEARNED_MAX {
                self.learned.clear();
            }
            self.learned.insert((vlan, source), from);
        }
        let known = match is_group(destination) {
            true => None,
            false => self.learned.get(&(vlan, destination)).copied(),
        };
        let mut refused = None;
        for (to, port) in self.ports.iter().enumerate() {
            if to == from || known.is_some_and(|known| known != to) {
                continue;
            }
            match &port.mode {
                PortMode::Access(own) if *own == vlan => fate.to.push((to, None)),
                PortMode::Access(_) => {}
                PortMode::Trunk(trunk) if trunk.allowed.contains(&vlan) => {
                    let is_native = trunk.native == Some(vlan);
                    fate.to.push((to, (!is_native).then_some(vlan)));
                }
                // The host at the port waits for frames of this VLAN.
                PortMode::Trunk(trunk) if trunk.members.contains(&vlan) => refused = Some(to),
                PortMode::Trunk(_) => {}
            }
        }
        if let Some(to) = refused {
            fate.refused = self.report(to, Some(vlan), Way::Out, head);
        }
        fate
    }

    fn report(
        &mut self,
        port: usize,
        vlan: Option<u16>,
        way: Way,
        head: &Head,
    ) -> Option<RefusedFrame> {
        if !REPORTED.contains(&head.kind) {
            return None;
        }
        let reports = self.reports.entry((port, vlan, way)).or_default();
        *reports += 1;
        (*reports <= REPORTS_MAX).then_some(())?;
        Some(RefusedFrame {
            port: self.ports.get(port)?.name.clone(),
            vlan,
            way,
            source: MacAddr(head.source()),
        })
    }
}

/// Returns the VLAN of a frame at a port; `None` if the port refuses the frame.
fn vlan_at(mode: &PortMode, tag: Option<u16>) -> Option<u16> {
    match mode {
        PortMode::Access(vlan) => tag.is_none().then_some(*vlan),
        PortMode::Trunk(trunk) => {
            let vlan = tag.or(trunk.native);
            vlan.filter(|vlan| trunk.allowed.contains(vlan))
        }
    }
}

/// True for broadcast and multicast (IEEE 802).
fn is_group([first, ..]: [u8; 6]) -> bool {
    first & 1 == 1
}
