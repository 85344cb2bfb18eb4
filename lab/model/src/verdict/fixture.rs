//! The evidence of a machine that came up as it should have, for tests to spoil.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use boot_server_events::{BootEvent, DhcpRole, Event, Who};
use boot_server_policy::BiosLoader;
use boot_server_proto::dhcp::MessageType;

use sha2::{Digest, Sha256};

use super::checks::checks;
use crate::evidence::{Observation, Record};
use crate::scenario::{
    DataCheck, DhcpService, EfiLoader, Firmware, Image, MatchedBy, Node, Part, PixiecoreService,
    Restart, Scenario, Service, ServiceAddress, StopSignal,
};

/// Names of the bundled scenarios in which a server of ours gives the boot options.
pub const SCENARIOS: [&str; 9] = [
    "pxe-dhcp",
    "proxy-dhcp",
    "ipxe-chainload",
    "pixiecore",
    "cloud-config-full",
    "ignition",
    "butane",
    "libvirt-guide-alone",
    "secure-boot",
];

/// A bundled scenario.
pub fn scenario(name: &str) -> Scenario {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scenarios")
        .join(name);
    Scenario::load_with(&dir, DataCheck::Skip).expect("a bundled scenario")
}

/// A service of the user on the shared host.
pub fn service(name: &str, program: &str, plays: &[Part]) -> Service {
    Service {
        name: name.into(),
        command: vec![program.into()],
        rootfs: None,
        image: None,
        plays: plays.to_vec(),
        address: ServiceAddress::Shared,
        network: None,
        ready: None,
        user: None,
        env: BTreeMap::new(),
        capabilities: None,
        restart: Restart::Never,
        stop: StopSignal::Term,
        after: Vec::new(),
    }
}

/// The address that the node is given.
pub fn address(scenario: &Scenario, node: &Node) -> Ipv4Addr {
    let position = scenario
        .nodes
        .iter()
        .position(|other| other.name == node.name)
        .expect("a node of this scenario");
    let first = u32::from(scenario.network.pool().0);
    Ipv4Addr::from(first + u32::try_from(position).expect("few nodes"))
}

/// An HTTP request of `who` that was answered.
pub fn http(who: &Who, path: &str, query: &str, group: Option<&str>, detail: &str) -> BootEvent {
    BootEvent::HttpRequest {
        who: who.clone(),
        method: "GET".into(),
        path: path.into(),
        query: query.into(),
        status: 200,
        user_agent: "iPXE/1.21.1".into(),
        bytes: 100,
        length: Some(100),
        group: group.map(str::to_owned),
        selectors: None,
        sha256: is_rendered(path).then(|| hash(&target(path, query))),
        detail: detail.into(),
        millis: 2,
    }
}

/// Path and query, as a request line has them.
pub fn target(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// SHA-256 of the content of this name: each name has a content of its own.
pub fn hash(name: &str) -> String {
    hex::encode(Sha256::digest(name.as_bytes()))
}

/// True if the server makes the answer when it is asked, and tells its hash.
fn is_rendered(path: &str) -> bool {
    !["/assets/", "/nbp/", "/_/file"]
        .iter()
        .any(|stored| path.starts_with(stored))
}

/// A TFTP transfer to `who` that ended well.
pub fn tftp(who: &Who, file: &str, group: Option<&str>) -> BootEvent {
    BootEvent::TftpDone {
        who: who.clone(),
        file: file.into(),
        bytes: 1000,
        retransmits: 0,
        millis: 10,
        group: group.map(str::to_owned),
        selectors: None,
        sha256: file.starts_with("pxelinux.cfg/").then(|| hash(file)),
    }
}

/// Label keys of the group that answers `node`.
fn selectors(node: &Node, group: &str) -> Vec<String> {
    let by = if group == node.expect.group {
        node.expect.matched_by
    } else {
        MatchedBy::Default
    };
    let keys: &[&str] = match by {
        MatchedBy::Uuid => &["uuid"],
        MatchedBy::Mac => &["mac"],
        MatchedBy::Default => &[],
        MatchedBy::Labels => &["rack"],
    };
    keys.iter().map(|&key| key.to_owned()).collect()
}

/// All that is seen of a node that comes up as it should, a tenth of a second apart.
pub fn evidence(scenario: &Scenario, node: &Node, firmware: Firmware) -> Vec<Record> {
    let mut story = Story {
        scenario,
        node,
        firmware,
        records: Vec::new(),
    };
    story.tell();
    for record in &mut story.records {
        let Observation::Server { entry, .. } = &mut record.seen else {
            continue;
        };
        if let BootEvent::HttpRequest {
            group: Some(group),
            selectors: told,
            ..
        }
        | BootEvent::TftpDone {
            group: Some(group),
            selectors: told,
            ..
        } = &mut entry.what
        {
            *told = Some(selectors(node, group));
        }
    }
    story.records
}

struct Story<'s> {
    scenario: &'s Scenario,
    node: &'s Node,
    firmware: Firmware,
    records: Vec<Record>,
}

impl Story<'_> {
    fn saw(&mut self, seen: Observation) {
        let at_us = 1_700_000_000_000_000 + 100_000 * self.records.len() as u64;
        let node = Some(self.node.name.clone());
        self.records.push(Record { at_us, node, seen });
    }

    fn event(&mut self, what: BootEvent) {
        let at_us = 1_700_000_000_000_000 + 100_000 * self.records.len() as u64;
        let entry = Box::new(Event { at_us, what });
        self.records.push(Record {
            at_us,
            node: None,
            seen: Observation::Server {
                service: "server".into(),
                entry,
            },
        });
    }

    fn who(&self) -> Who {
        let address = address(self.scenario, self.node);
        Who {
            mac: Some(self.node.mac.into()),
            uuid: Some(self.node.uuid.into()),
            peer: Some(SocketAddr::from((address, 49152))),
        }
    }

    fn dhcp(&mut self, message: MessageType, port: u16) {
        let address = address(self.scenario, self.node);
        self.event(BootEvent::DhcpRequest {
            who: Who {
                peer: None,
                ..self.who()
            },
            port,
            xid: 1,
            message,
            arch: vec![match self.firmware {
                Firmware::Bios => 0,
                Firmware::Uefi => 7,
                Firmware::UefiHttp => 16,
            }],
            user_class: None,
            vendor_class: Some("PXEClient".into()),
            address: (message == MessageType::Request).then_some(address),
        });
    }

    fn reply(&mut self, message: MessageType, role: DhcpRole, boot_file: &str) {
        let address = address(self.scenario, self.node);
        self.event(BootEvent::DhcpReply {
            who: Who {
                peer: None,
                ..self.who()
            },
            xid: 1,
            message,
            role,
            address: (role == DhcpRole::Dhcp).then_some(address),
            next_server: None,
            boot_file: Some(boot_file.into()),
            step: "first step".into(),
        });
    }

    fn tell(&mut self) {
        self.saw(Observation::PowerOn);
        let uefi = self.firmware.is_uefi();
        let pixiecore = self.scenario.services.pixiecore == PixiecoreService::BootServer;
        let pxelinux = self.scenario.boot.bios == BiosLoader::Pxelinux && !uefi;
        let shim = self.scenario.boot.efi == EfiLoader::Shim && uefi;
        let chainload = self.scenario.boot.chainload_ipxe;
        let mac = self.node.mac;
        let nbp = match (pixiecore, pxelinux, uefi) {
            (true, ..) => format!("{mac}/2"),
            (_, true, _) => "pxelinux.0".into(),
            _ if shim => "secureboot/bootx64.efi".into(),
            (_, _, true) => "ipxe.efi".into(),
            _ => "undionly.kpxe".into(),
        };
        self.dhcp(MessageType::Discover, 67);
        if self.scenario.services.dhcp == DhcpService::BootServer {
            self.reply(MessageType::Offer, DhcpRole::Dhcp, &nbp);
            self.dhcp(MessageType::Request, 67);
            self.reply(MessageType::Ack, DhcpRole::Dhcp, &nbp);
        } else {
            let role = match pixiecore {
                true => DhcpRole::Pixiecore,
                false => DhcpRole::ProxyDhcp,
            };
            self.reply(MessageType::Offer, role, &nbp);
            self.dhcp(MessageType::Request, 67);
        }
        let who = self.who();
        if self.firmware == Firmware::UefiHttp {
            self.event(http(&who, "/nbp/ipxe.efi", "", None, &nbp));
        } else if uefi || pxelinux || chainload || pixiecore {
            self.event(tftp(&who, &nbp, None));
        }
        if shim {
            self.event(tftp(&who, "secureboot/grubx64.efi", None));
        }
        self.load(pixiecore, pxelinux);
        self.come_up();
    }

    fn load(&mut self, pixiecore: bool, pxelinux: bool) {
        let (mac, uuid, hyp) = (self.node.mac, self.node.uuid, self.node.mac.hyphenated());
        let group = self.node.expect.boot_group().to_owned();
        let who = self.who();
        let usual = |file: &str| format!("coreos/current/{file}");
        let expect = &self.node.expect;
        let kernel = expect.kernel.clone();
        let mut initrds = expect.initrd.clone();
        if initrds.is_empty() {
            initrds.push(usual(Image::INITRD));
        }
        let mut files = vec![(kernel.unwrap_or_else(|| usual(Image::KERNEL)), "kernel")];
        files.extend(initrds.into_iter().map(|initrd| (initrd, "initrd")));
        if pixiecore {
            let host = SocketAddr::from((self.scenario.network.host(), 40000));
            let asker = Who {
                mac: None,
                uuid: None,
                peer: Some(host),
            };
            let api = format!("/pixiecore/v1/boot/{mac}");
            self.event(http(&asker, &api, "", Some(&group), &group));
            let query = format!("arch=0&mac={mac}");
            self.event(http(&who, "/_/ipxe", &query, None, "script"));
            for (_, kind) in files {
                let query = format!(
                    "name=sealed&type={kind}&mac={}",
                    mac.to_string().replace(':', "%3A")
                );
                self.event(http(&who, "/_/file", &query, None, "proxied"));
            }
        } else if pxelinux {
            let file = match self.node.expect.matched_by {
                MatchedBy::Uuid => format!("pxelinux.cfg/{uuid}"),
                MatchedBy::Mac => format!("pxelinux.cfg/01-{hyp}"),
                MatchedBy::Default => "pxelinux.cfg/default".into(),
                MatchedBy::Labels => "pxelinux.cfg/C0A85A02".into(),
            };
            self.event(tftp(&who, &file, Some(&group)));
            for (file, _) in files {
                self.event(tftp(&who, &format!("/assets/{file}"), None));
            }
        } else if self.scenario.boot.efi == EfiLoader::Shim && self.firmware.is_uefi() {
            self.event(tftp(&who, "/grub/grub.cfg", Some(&group)));
            for (file, _) in files {
                self.event(tftp(&who, &format!("/assets/{file}"), None));
            }
        } else {
            self.event(http(&who, "/boot.ipxe", "", None, "boot.ipxe"));
            let query = format!("uuid={uuid}&mac={hyp}");
            self.event(http(&who, "/ipxe", &query, Some(&group), &group));
            for (file, _) in files {
                self.event(http(&who, &format!("/assets/{file}"), "", None, &file));
            }
        }
    }

    fn come_up(&mut self) {
        let expect = self.node.expect.clone();
        let query = format!("uuid={}&mac={}", self.node.uuid, self.node.mac.hyphenated());
        let who = self.who();
        let line = |text: &str| Observation::Console { line: text.into() };
        self.saw(line("[    0.000000] Linux version 6.1.0 (Debian)"));
        if let Some(file) = &expect.ignition {
            self.event(http(&who, "/ignition", &query, Some(&expect.group), file));
        }
        if let Some(file) = &expect.cloud_config {
            self.event(http(&who, "/cloud", &query, Some(&expect.group), file));
        }
        self.saw(Observation::ShellReady);
        for check in checks(self.node) {
            self.saw(Observation::Check {
                check: check.name,
                found: check.expected.clone(),
                expected: check.expected,
                holds: true,
            });
        }
        self.saw(Observation::Units {
            failed: Vec::new(),
            without_program: Vec::new(),
            starting: Vec::new(),
        });
    }
}
