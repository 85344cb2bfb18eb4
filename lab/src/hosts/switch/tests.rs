//! Decisions of a switch, frame by frame.

use super::tap::{FRAME_AT, Received};
use super::*;

const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NODE: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ALL: [u8; 6] = [0xff; 6];

/// Ports: access to VLANs 101 and 102, a trunk to the router.
fn switch(trunk: Trunk) -> Switch {
    let port = |name: &str, mode| Port {
        name: name.into(),
        mode,
    };
    Switch::new(vec![
        port("rack1", PortMode::Access(101)),
        port("rack2", PortMode::Access(102)),
        port("router1", PortMode::Trunk(trunk)),
    ])
}

fn both() -> Trunk {
    Trunk::of([101, 102], None)
}

fn frame(to: [u8; 6], from: [u8; 6], tag: Option<u16>) -> Vec<u8> {
    let mut bytes = [to, from].concat();
    if let Some(vlan) = tag {
        bytes.extend(TAG);
        bytes.extend(vlan.to_be_bytes());
    }
    bytes.extend([0x08, 0x00, 0x45, 7, 8, 9]);
    bytes
}

fn head(to: [u8; 6], from: [u8; 6], tag: Option<u16>) -> Head {
    Head::parse(&frame(to, from, tag)).unwrap()
}

fn refused(port: &str, vlan: Option<u16>, way: Way, source: [u8; 6]) -> Option<RefusedFrame> {
    Some(RefusedFrame {
        port: port.into(),
        vlan,
        way,
        source: MacAddr(source),
    })
}

#[test]
fn forward_broadcast_of_an_access_port_is_tagged_on_the_trunk_only() {
    let fate = switch(both()).forward(0, &head(ALL, NODE, None));
    assert_eq!(fate.to, [(2, Some(101))]);
    assert_eq!(fate.refused, None);
}

#[test]
fn forward_tagged_frame_of_the_trunk_loses_its_tag_at_the_access_port() {
    let fate = switch(both()).forward(2, &head(ALL, ROUTER, Some(102)));
    assert_eq!(fate.to, [(1, None)]);
}

#[test]
fn forward_learned_mac_leaves_at_its_port_and_only_in_its_vlan() {
    let trunk = both();
    let mut switch = switch(trunk.clone());
    switch.ports.push(Port {
        name: "router2".into(),
        mode: PortMode::Trunk(trunk),
    });
    let fate = switch.forward(0, &head(ROUTER, NODE, None));
    assert_eq!(fate.to, [(2, Some(101)), (3, Some(101))]);
    switch.forward(3, &head(NODE, ROUTER, Some(101)));
    let fate = switch.forward(0, &head(ROUTER, NODE, None));
    assert_eq!(fate.to, [(3, Some(101))]);
    // In the other VLAN, nobody has sent from that MAC.
    let fate = switch.forward(1, &head(ROUTER, NODE, None));
    assert_eq!(fate.to, [(2, Some(102)), (3, Some(102))]);
}

#[test]
fn forward_frame_to_a_mac_behind_its_own_port_stays_there() {
    let mut switch = switch(both());
    switch.forward(0, &head(ALL, ROUTER, None));
    let fate = switch.forward(0, &head(ROUTER, NODE, None));
    assert_eq!(fate, Fate::default());
}

#[test]
fn forward_native_vlan_has_no_tag_on_the_trunk_in_both_directions() {
    let mut switch = switch(Trunk::of([101, 102], Some(101)));
    let fate = switch.forward(0, &head(ALL, NODE, None));
    assert_eq!(fate.to, [(2, None)]);
    let fate = switch.forward(2, &head(ALL, ROUTER, None));
    assert_eq!(fate.to, [(0, None)]);
}

#[test]
fn forward_frame_of_a_vlan_that_the_trunk_does_not_allow_is_refused_and_reported() {
    let mut trunk = both();
    trunk.allowed.remove(&102);
    let mut switch = switch(trunk);
    let fate = switch.forward(2, &head(ALL, ROUTER, Some(102)));
    assert_eq!(fate.to, []);
    assert_eq!(fate.refused, refused("router1", Some(102), Way::In, ROUTER));
    // The router waits for frames of this VLAN: they are missing at its port.
    let fate = switch.forward(1, &head(ALL, NODE, None));
    assert_eq!(fate.to, []);
    assert_eq!(fate.refused, refused("router1", Some(102), Way::Out, NODE));
    let fate = switch.forward(2, &head(ALL, ROUTER, Some(101)));
    assert_eq!(fate.to, [(0, None)]);
}

#[test]
fn forward_flooded_frame_is_not_reported_at_a_trunk_of_other_vlans() {
    let fate = switch(Trunk::of([101], None)).forward(1, &head(ALL, NODE, None));
    assert_eq!(fate, Fate::default());
}

#[test]
fn forward_untagged_frame_is_refused_at_a_trunk_without_a_native_vlan() {
    let fate = switch(both()).forward(2, &head(ALL, ROUTER, None));
    assert_eq!(fate.to, []);
    let report = refused("router1", None, Way::In, ROUTER);
    assert_eq!(fate.refused, report);
    let text = report.unwrap().to_string();
    assert_eq!(text, "untagged frame refused at the port of router1");
}

#[test]
fn forward_tagged_frame_is_refused_at_an_access_port_unless_it_has_only_a_priority() {
    let mut switch = switch(both());
    let fate = switch.forward(0, &head(ALL, NODE, Some(101)));
    assert_eq!(fate.refused, refused("rack1", Some(101), Way::In, NODE));
    let fate = switch.forward(0, &head(ALL, NODE, Some(0)));
    assert_eq!(fate.to, [(2, Some(101))]);
}

#[test]
fn forward_refused_frames_are_reported_up_to_a_limit_and_ipv6_never() {
    let mut switch = switch(both());
    let of_ipv6 = Head {
        kind: [0x86, 0xdd],
        ..head(ALL, ROUTER, None)
    };
    assert_eq!(switch.forward(2, &of_ipv6), Fate::default());
    let mut reported = 0;
    for _ in 0..2 * REPORTS_MAX {
        let fate = switch.forward(2, &head(ALL, ROUTER, None));
        reported += u32::from(fate.refused.is_some());
    }
    assert_eq!(reported, REPORTS_MAX);
}

#[test]
fn forward_more_macs_than_the_table_holds_are_flooded_and_forgotten() {
    let mut switch = switch(both());
    for number in 0..=LEARNED_MAX {
        let [.., high, low] = number.to_be_bytes();
        switch.forward(0, &head(ALL, [2, 9, 9, 9, high, low], None));
    }
    assert!(switch.learned.len() <= LEARNED_MAX);
    let fate = switch.forward(2, &head([2, 9, 9, 9, 0, 0], ROUTER, Some(101)));
    assert_eq!(fate.to, [(0, None)]);
}

/// The kernel's header of TCP segments to merge: the checksum and the payload begin so many bytes after the tag.
fn offload(start_len: usize) -> Vec<u8> {
    let at = |after: usize| u16::try_from(start_len + after).unwrap().to_ne_bytes();
    let lengths = [at(54), 1448_u16.to_ne_bytes(), at(22), 16_u16.to_ne_bytes()];
    [&[1, 1][..], &lengths.concat()].concat()
}

#[test]
fn written_frame_gets_and_loses_its_tag_whatever_it_had() {
    let length = |tag: Option<u16>| 12 + if tag.is_some() { TAG_LEN } else { 0 };
    for had in [None, Some(0), Some(7)] {
        let bytes = [offload(length(had)), frame(ALL, NODE, had)].concat();
        let mut buffer = [&[0; TAG_LEN][..], &bytes].concat();
        let end = buffer.len();
        let received = Received::parse(&buffer, end).unwrap();
        // In this order: each writes over the beginning of the other.
        for tag in [Some(101), None, Some(102)] {
            let written = received.written(tag, &mut buffer, end);
            let expected = [offload(length(tag)), frame(ALL, NODE, tag)].concat();
            assert_eq!(written, Some(&*expected), "{had:?} {tag:?}");
        }
    }
}

#[test]
fn written_frame_without_offload_keeps_the_zeros_of_its_header() {
    let mut buffer = [&[0; FRAME_AT][..], &frame(ALL, NODE, None)].concat();
    let end = buffer.len();
    let received = Received::parse(&buffer, end).unwrap();
    let written = received.written(Some(7), &mut buffer, end).unwrap();
    let header = written.len() - frame(ALL, NODE, Some(7)).len();
    assert!(written[..header].iter().all(|byte| *byte == 0));
}

#[test]
fn parse_short_frame_is_none() {
    let whole = frame(ALL, NODE, Some(7));
    for length in 0..18 {
        assert_eq!(Head::parse(&whole[..length]), None, "{length}");
    }
}
