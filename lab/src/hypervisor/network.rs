//! Libvirt network XML of a scenario.
//!
//! The network is isolated, has its own bridge name, no spanning tree (a port in the listening state would lose
//! the DHCP requests) and no DNS. It has a DHCP range only if libvirt is the scenario's DHCP server; without
//! range and DNS, libvirt starts no dnsmasq at all (`src/network/bridge_driver.c`).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use quick_xml::se::Serializer;
use serde::Serialize;

use super::mark::{MetadataXml, RunMark};

/// Properties of a scenario's network.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// Name in libvirt.
    pub name: String,
    /// Name of the bridge interface, at most 15 characters.
    pub bridge: String,
    pub subnet: Ipv4Net,
    /// Host's address in the subnet.
    pub host: Ipv4Addr,
    /// Names that resolve to the host; if there are any, libvirt answers DNS.
    pub names: Vec<String>,
    /// First and last address of libvirt's DHCP range; `None` disables DHCP.
    pub dhcp: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Machines with fixed names and addresses in libvirt's DHCP.
    pub machines: Vec<NamedMachine>,
    /// Mark of the run, stored in the network's metadata.
    pub mark: RunMark,
}

/// Machine whose name is sent by DHCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedMachine {
    /// MAC of the network card.
    pub mac: String,
    pub name: String,
    /// Address that DHCP always gives this machine.
    pub address: Ipv4Addr,
}

#[derive(Serialize)]
#[serde(rename = "network")]
struct NetworkXml<'a> {
    name: &'a str,
    metadata: MetadataXml<'a>,
    bridge: BridgeXml<'a>,
    dns: DnsXml<'a>,
    ip: IpXml<'a>,
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
struct DnsXml<'a> {
    #[serde(rename = "@enable")]
    enable: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<DnsHostXml<'a>>,
}

#[derive(Serialize)]
struct DnsHostXml<'a> {
    #[serde(rename = "@ip")]
    ip: Ipv4Addr,
    hostname: &'a [String],
}

#[derive(Serialize)]
struct IpXml<'a> {
    #[serde(rename = "@address")]
    address: Ipv4Addr,
    #[serde(rename = "@netmask")]
    netmask: Ipv4Addr,
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp: Option<DhcpXml<'a>>,
}

#[derive(Serialize)]
struct DhcpXml<'a> {
    range: RangeXml,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    host: Vec<DhcpHostXml<'a>>,
}

#[derive(Serialize)]
struct DhcpHostXml<'a> {
    #[serde(rename = "@mac")]
    mac: &'a str,
    #[serde(rename = "@name")]
    name: &'a str,
    #[serde(rename = "@ip")]
    ip: Ipv4Addr,
}

#[derive(Serialize)]
struct RangeXml {
    #[serde(rename = "@start")]
    start: Ipv4Addr,
    #[serde(rename = "@end")]
    end: Ipv4Addr,
}

/// Renders the network XML.
#[must_use]
pub fn render(spec: &NetworkSpec) -> String {
    let network = NetworkXml {
        name: &spec.name,
        metadata: spec.mark.metadata(),
        bridge: BridgeXml {
            name: &spec.bridge,
            stp: "off",
            delay: 0,
        },
        dns: DnsXml {
            enable: if spec.names.is_empty() { "no" } else { "yes" },
            host: (!spec.names.is_empty()).then_some(DnsHostXml {
                ip: spec.host,
                hostname: &spec.names,
            }),
        },
        ip: IpXml {
            address: spec.host,
            netmask: spec.subnet.netmask(),
            dhcp: spec.dhcp.map(|(start, end)| DhcpXml {
                range: RangeXml { start, end },
                host: spec
                    .machines
                    .iter()
                    .map(|machine| DhcpHostXml {
                        mac: &machine.mac,
                        name: &machine.name,
                        ip: machine.address,
                    })
                    .collect(),
            }),
        },
    };
    indented(&network)
}

#[derive(Serialize)]
#[serde(rename = "network")]
struct BridgeNetworkXml<'a> {
    name: &'a str,
    metadata: MetadataXml<'a>,
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

/// Renders a network that refers to an existing bridge.
#[must_use]
pub fn render_bridge(name: &str, bridge: &str, mark: &RunMark) -> String {
    indented(&BridgeNetworkXml {
        name,
        metadata: mark.metadata(),
        forward: ForwardXml { mode: "bridge" },
        bridge: NameXml { name: bridge },
    })
}

/// Serialises a value as indented XML.
///
/// The XML types are the lab's own and contain only text and numbers, so serialising cannot fail.
pub(super) fn indented(value: &impl Serialize) -> String {
    let mut xml = String::new();
    let mut serializer = Serializer::new(&mut xml);
    serializer.indent(' ', 2);
    value
        .serialize(serializer)
        .expect("the lab's own XML types serialise");
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
            names: Vec::new(),
            dhcp,
            machines: Vec::new(),
            mark: RunMark {
                run_id: "4f2a11".into(),
                host_id: None,
            },
        }
    }

    #[test]
    fn a_network_without_libvirt_dhcp_names_no_range() {
        insta::assert_snapshot!(render(&spec(None)), @r#"
        <network>
          <name>lab-4f2a11-net</name>
          <metadata>
            <lab:run xmlns:lab="urn:bootlab:run" id="4f2a11"/>
          </metadata>
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

    fn with_names() -> NetworkSpec {
        let range = (
            Ipv4Addr::new(192, 168, 91, 2),
            Ipv4Addr::new(192, 168, 91, 254),
        );
        NetworkSpec {
            names: vec!["matchbox.example.com".into(), "assets.example.com".into()],
            machines: vec![NamedMachine {
                mac: "52:54:00:a1:9c:ae".into(),
                name: "node1".into(),
                address: Ipv4Addr::new(192, 168, 91, 254),
            }],
            ..spec(Some(range))
        }
    }

    #[test]
    fn names_of_the_host_and_of_machines_are_libvirts_to_tell() {
        insta::assert_snapshot!(render(&with_names()), @r#"
        <network>
          <name>lab-4f2a11-net</name>
          <metadata>
            <lab:run xmlns:lab="urn:bootlab:run" id="4f2a11"/>
          </metadata>
          <bridge name="lab-4f2a11-br" stp="off" delay="0"/>
          <dns enable="yes">
            <host ip="192.168.91.1">
              <hostname>matchbox.example.com</hostname>
              <hostname>assets.example.com</hostname>
            </host>
          </dns>
          <ip address="192.168.91.1" netmask="255.255.255.0">
            <dhcp>
              <range start="192.168.91.2" end="192.168.91.254"/>
              <host mac="52:54:00:a1:9c:ae" name="node1" ip="192.168.91.254"/>
            </dhcp>
          </ip>
        </network>
        "#);
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
        hypervisor
            .create_network(render(&with_names()))
            .await
            .unwrap();
        hypervisor.destroy_network("lab-4f2a11-net").await.unwrap();
    }
}
