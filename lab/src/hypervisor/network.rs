//! A scenario's libvirt network as XML.
//!
//! Isolated, with our own bridge name, no spanning tree (a listening port eats the DHCP window) and
//! no DNS. Only where libvirt plays the "office DHCP server nobody may touch" has it a DHCP range; without
//! one and with DNS off libvirt starts no dnsmasq at all (`src/network/bridge_driver.c`).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use quick_xml::se::Serializer;
use serde::Serialize;

/// What a scenario's network is made from.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// Name in libvirt.
    pub name: String,
    /// Bridge interface, at most 15 characters.
    pub bridge: String,
    /// The subnet.
    pub subnet: Ipv4Net,
    /// The host's address in it.
    pub host: Ipv4Addr,
    /// First and last address that libvirt's own DHCP gives; `None` for no DHCP of libvirt's.
    pub dhcp: Option<(Ipv4Addr, Ipv4Addr)>,
}

#[derive(Serialize)]
#[serde(rename = "network")]
struct NetworkXml<'a> {
    name: &'a str,
    bridge: BridgeXml<'a>,
    dns: DnsXml,
    ip: IpXml,
}

#[derive(Serialize)]
struct BridgeXml<'a> {
    #[serde(rename = "@name")]
    name: &'a str,
    #[serde(rename = "@stp")]
    stp: &'static str,
    #[serde(rename = "@delay")]
    delay: u8,
}

#[derive(Serialize)]
struct DnsXml {
    #[serde(rename = "@enable")]
    enable: &'static str,
}

#[derive(Serialize)]
struct IpXml {
    #[serde(rename = "@address")]
    address: Ipv4Addr,
    #[serde(rename = "@netmask")]
    netmask: Ipv4Addr,
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp: Option<DhcpXml>,
}

#[derive(Serialize)]
struct DhcpXml {
    range: RangeXml,
}

#[derive(Serialize)]
struct RangeXml {
    #[serde(rename = "@start")]
    start: Ipv4Addr,
    #[serde(rename = "@end")]
    end: Ipv4Addr,
}

/// Renders libvirt's network XML.
#[must_use]
pub fn render(spec: &NetworkSpec) -> String {
    let network = NetworkXml {
        name: &spec.name,
        bridge: BridgeXml {
            name: &spec.bridge,
            stp: "off",
            delay: 0,
        },
        dns: DnsXml { enable: "no" },
        ip: IpXml {
            address: spec.host,
            netmask: spec.subnet.netmask(),
            dhcp: spec.dhcp.map(|(start, end)| DhcpXml {
                range: RangeXml { start, end },
            }),
        },
    };
    indented(&network)
}

#[derive(Serialize)]
#[serde(rename = "network")]
struct BridgeNetworkXml<'a> {
    name: &'a str,
    forward: ForwardXml,
    bridge: NameXml<'a>,
}

#[derive(Serialize)]
struct ForwardXml {
    #[serde(rename = "@mode")]
    mode: &'static str,
}

#[derive(Serialize)]
struct NameXml<'a> {
    #[serde(rename = "@name")]
    name: &'a str,
}

/// Renders a network of libvirt's that only names a bridge which is there already.
#[must_use]
pub fn render_bridge(name: &str, bridge: &str) -> String {
    indented(&BridgeNetworkXml {
        name,
        forward: ForwardXml { mode: "bridge" },
        bridge: NameXml { name: bridge },
    })
}

/// Serialises a value of ours as indented XML.
///
/// The shapes are ours and hold only text and numbers, so serialising cannot fail.
pub(super) fn indented(value: &impl Serialize) -> String {
    let mut xml = String::new();
    let mut serializer = Serializer::new(&mut xml);
    serializer.indent(' ', 2);
    value
        .serialize(serializer)
        .expect("our own XML shapes serialise");
    xml.push('\n');
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dhcp: Option<(Ipv4Addr, Ipv4Addr)>) -> NetworkSpec {
        NetworkSpec {
            name: "lab-4f2a11-net".into(),
            bridge: "lab-4f2a11-br".into(),
            subnet: "192.168.91.0/24".parse().unwrap(),
            host: Ipv4Addr::new(192, 168, 91, 1),
            dhcp,
        }
    }

    #[test]
    fn a_network_without_libvirt_dhcp_names_no_range() {
        insta::assert_snapshot!(render(&spec(None)), @r#"
        <network>
          <name>lab-4f2a11-net</name>
          <bridge name="lab-4f2a11-br" stp="off" delay="0"/>
          <dns enable="no"/>
          <ip address="192.168.91.1" netmask="255.255.255.0"/>
        </network>
        "#);
    }

    #[test]
    fn the_office_dhcp_server_is_libvirts_own() {
        let range = (
            Ipv4Addr::new(192, 168, 91, 100),
            Ipv4Addr::new(192, 168, 91, 199),
        );
        let xml = render(&spec(Some(range)));
        assert!(
            xml.contains(r#"<range start="192.168.91.100" end="192.168.91.199"/>"#),
            "{xml}"
        );
    }

    #[tokio::test]
    async fn libvirt_accepts_the_network() {
        let hypervisor =
            super::super::Hypervisor::open("test:///default", std::time::Duration::from_secs(5))
                .await
                .unwrap();
        hypervisor
            .create_network(render(&spec(None)))
            .await
            .unwrap();
        hypervisor.destroy_network("lab-4f2a11-net").await.unwrap();
    }
}
