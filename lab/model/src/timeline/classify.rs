//! Assignment of server events to stages.

use boot_server_catalog::nocloud::{SeedFile, SeedRequest};
use boot_server_events::{BootEvent, DhcpRole, Who};
use boot_server_proto::dhcp::MessageType;
use boot_server_proto::mac::MacAddr;

use super::named::Named;
use super::{ContentSeen, Fact, Key, Origin, Outcome, StageEvent, StageName};
use crate::scenario::{DhcpService, Image, Scenario};

/// Source of an observation.
pub(super) struct Classified<'e> {
    pub(super) stage: StageName,
    pub(super) who: &'e Who,
    /// MAC in the path or query, for requests of another sender.
    pub(super) told_mac: Option<String>,
    pub(super) stage_event: StageEvent,
    /// Duration in microseconds; the stage began that much earlier.
    pub(super) took_us: u64,
    /// Key that identifies the same observation in a packet.
    pub(super) key: Option<Key>,
}

/// Returns stage and meaning of an event; `None` if it concerns no node.
pub(super) fn classify<'e>(
    at_us: u64,
    event: &'e BootEvent,
    scenario: &Scenario,
) -> Option<Classified<'e>> {
    let stage_event = |outcome, fact| StageEvent::new(at_us, Origin::Server, outcome, fact);
    let here = |stage, who, stage_event| {
        Some(Classified {
            stage,
            who,
            told_mac: None,
            stage_event,
            took_us: 0,
            key: None,
        })
    };
    // DHCP messages in the notation of packets.
    let dhcp = |stage, who, stage_event, message: MessageType, xid, given| {
        let message = message.into();
        Some(Classified {
            stage,
            who,
            told_mac: None,
            stage_event,
            took_us: 0,
            key: Some(Key::Dhcp {
                message,
                xid,
                given,
            }),
        })
    };
    match event {
        BootEvent::DhcpRequest {
            who,
            port,
            xid,
            message,
            arch,
            user_class,
            address,
            ..
        } => {
            let stage = if *port == 4011 {
                StageName::Proxy
            } else {
                StageName::Dhcp
            };
            let others_dhcp = scenario.services.dhcp != DhcpService::BootServer;
            let takes = others_dhcp && *message == MessageType::Request && address.is_some();
            let outcome = if takes { Outcome::Done } else { Outcome::Noted };
            let fact = Fact::DhcpAsked {
                message: (*message).into(),
                wanted: *address,
                port: *port,
                arch: arch.clone(),
                user_class: user_class.clone(),
            };
            dhcp(stage, who, stage_event(outcome, fact), *message, *xid, None)
        }
        BootEvent::DhcpReply {
            who,
            xid,
            message,
            role,
            address,
            boot_file,
            step,
            ..
        } => {
            let from_proxy = *role != DhcpRole::Dhcp;
            let stage = if from_proxy {
                StageName::Proxy
            } else {
                StageName::Dhcp
            };
            let outcome = match (message, from_proxy) {
                (MessageType::Nak, _) => Outcome::Failed,
                (MessageType::Ack, false) if address.is_some() => Outcome::Done,
                (_, true) if boot_file.is_some() => Outcome::Done,
                _ => Outcome::Noted,
            };
            let fact = Fact::DhcpReplied {
                message: (*message).into(),
                given: *address,
                role: *role,
                boot_file: boot_file.clone(),
                step: step.clone(),
            };
            let mut stage_event = stage_event(outcome, fact);
            stage_event.subject = boot_file.clone();
            dhcp(stage, who, stage_event, *message, *xid, *address)
        }
        BootEvent::DhcpIgnored { who, reason } => {
            let own_dhcp = scenario.services.dhcp == DhcpService::BootServer;
            let stage = if own_dhcp {
                StageName::Dhcp
            } else {
                StageName::Proxy
            };
            let reason = reason.to_string();
            let fact = Fact::DhcpIgnored { reason };
            here(stage, who, stage_event(Outcome::Noted, fact))
        }
        BootEvent::AddressInUse {
            who, address, by, ..
        } => {
            let (address, by) = (*address, by.clone());
            let fact = Fact::AddressInUse { address, by };
            here(StageName::Dhcp, who, stage_event(Outcome::Noted, fact))
        }
        BootEvent::RateLimited { who, reason } => {
            let reason = reason.clone();
            let fact = Fact::RateLimited { reason };
            here(StageName::Dhcp, who, stage_event(Outcome::Noted, fact))
        }
        BootEvent::TftpRequest { who, file, .. } => {
            let noted = stage_event(Outcome::Noted, Fact::TftpAsked { file: file.clone() });
            tftp(who, file, noted, 0, Key::TftpAsked, scenario)
        }
        BootEvent::TftpDone {
            who,
            file,
            bytes,
            millis,
            group,
            selectors,
            sha256,
            ..
        } => {
            let fact = Fact::TftpSent {
                file: file.clone(),
                bytes: *bytes,
                millis: *millis,
            };
            let mut stage_event = stage_event(Outcome::Done, fact);
            stage_event.group = group.clone();
            stage_event.selectors = selectors.clone();
            stage_event.content = ContentSeen::sent(sha256.as_deref());
            tftp(who, file, stage_event, *millis, Key::TftpDone, scenario)
        }
        BootEvent::TftpFailed { who, file, reason } => {
            // EDK2 first requests the size and aborts that transfer, which is not a failure.
            let outcome = if reason.code.is_of_client() {
                Outcome::Noted
            } else {
                Outcome::Failed
            };
            let fact = Fact::TftpFailed {
                file: file.clone(),
                reason: reason.clone(),
            };
            let failed = stage_event(outcome, fact);
            tftp(who, file, failed, 0, Key::TftpFailed, scenario)
        }
        BootEvent::HttpRequest { .. } => http(at_us, event, scenario),
        BootEvent::Ready { .. }
        | BootEvent::LeaseFile { .. }
        | BootEvent::Malformed { .. }
        | BootEvent::RouterAdvertisement { .. }
        | BootEvent::RpcCall { .. }
        | BootEvent::RpcRefused { .. }
        | BootEvent::Reloaded { .. }
        | BootEvent::DhcpShortage { .. }
        | BootEvent::ClockJumped { .. }
        | BootEvent::EventsCollapsed { .. }
        | BootEvent::EventsDropped { .. } => None,
    }
}

fn tftp<'e>(
    who: &'e Who,
    file: &str,
    stage_event: StageEvent,
    millis: u64,
    key: fn(Named) -> Key,
    scenario: &Scenario,
) -> Option<Classified<'e>> {
    let (stage, stage_event) = tftp_stage(file, stage_event, scenario);
    let folder = file.trim_start_matches(['/', '\\']).rsplit_once('/');
    // Boot programs of Pixiecore are called `<mac>/<number>`.
    let told_mac = folder.and_then(|(folder, _)| folder.parse::<MacAddr>().ok());
    Some(Classified {
        stage,
        who,
        told_mac: told_mac.map(|mac| mac.to_string()),
        stage_event,
        took_us: millis * 1000,
        key: Some(key(Named::of(file))),
    })
}

/// Returns the stage of a file loaded by TFTP, and the meaning of the observation.
pub(super) fn tftp_stage(
    file: &str,
    mut stage_event: StageEvent,
    scenario: &Scenario,
) -> (StageName, StageEvent) {
    let file = file.trim_start_matches(['/', '\\']);
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = base_name(file);
    let is_script = file.starts_with("pxelinux.cfg/")
        || base.ends_with(".ipxe")
        || base == "grub.cfg"
        || base.starts_with("grub.cfg-");
    let stage = if is_script {
        StageName::Script
    } else if let Some(stage) = expected_file(file, scenario) {
        stage
    } else {
        StageName::Nbp
    };
    if is_optional(base) && stage_event.outcome == Outcome::Failed {
        stage_event.outcome = Outcome::Noted;
    } else if base.ends_with(".c32") && stage_event.outcome == Outcome::Done {
        // A module of PXELINUX, not another boot program.
        stage_event.outcome = Outcome::Noted;
    } else if folder == "pxelinux.cfg"
        && base != "default"
        && stage_event.outcome == Outcome::Failed
    {
        // PXELINUX continues with the next name; only `default` is its last.
        stage_event.outcome = Outcome::Noted;
    } else if base.ends_with(".ipxe") {
        // iPXE tries `autoexec.ipxe` on its own; the file is optional.
        stage_event.outcome = Outcome::Noted;
    }
    stage_event.subject = Some(file.to_owned());
    (stage, stage_event)
}

/// Returns the name of a file without its folders.
fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, base)| base)
}

/// True for files without which shim and GRUB continue: shim's lists of revocations and certificates, asked for before
/// its second stage (`shim.c`), and GRUB's lists of modules and commands.
fn is_optional(name: &str) -> bool {
    let is_efi = |prefix| name.starts_with(prefix) && name.ends_with(".efi");
    is_efi("revocations") || is_efi("shim_certificate") || name.ends_with(".lst")
}

/// True if the answer to this request only leads to the next one: a script that does, and the files of a NoCloud seed
/// beside the user-data.
pub(super) fn leads_on(path: &str, query: &str) -> bool {
    path.starts_with("/boot.ipxe")
        || path == "/_/booting"
        || seed_file(path, query).is_some_and(|file| file != SeedFile::UserData)
}

/// Returns the requested file of a NoCloud seed.
fn seed_file(path: &str, query: &str) -> Option<SeedFile> {
    let asked = SeedRequest::parse(path, query).ok()?;
    Some(asked.file)
}

fn http<'e>(at_us: u64, event: &'e BootEvent, scenario: &Scenario) -> Option<Classified<'e>> {
    let BootEvent::HttpRequest {
        who,
        method,
        path,
        query,
        status,
        bytes,
        length,
        group,
        selectors,
        sha256,
        detail,
        millis,
        ..
    } = event
    else {
        return None;
    };
    let (stage, told_mac) = http_stage(path, query, detail.text(), scenario)?;
    let whole = length.is_none_or(|length| length == *bytes);
    let outcome = match (method.as_str(), *status) {
        ("GET", 200) if !whole => Outcome::Failed,
        // A script that only leads to the next one.
        ("GET", 200) if leads_on(path, query) => Outcome::Noted,
        ("GET", 200) => Outcome::Done,
        (_, 404) if is_optional(base_name(path)) => Outcome::Noted,
        (_, 400..) => Outcome::Failed,
        _ => Outcome::Noted,
    };
    let question = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    let fact = Fact::Http {
        method: method.clone(),
        path: path.clone(),
        query: query.clone(),
        status: *status,
        detail: detail.to_string(),
        group: group.clone(),
        broke_off: length
            .filter(|_| !whole && method == "GET")
            .map(|length| (*bytes, length)),
    };
    Some(Classified {
        stage,
        who,
        told_mac,
        stage_event: StageEvent {
            subject: Some(path.trim_start_matches('/').to_owned()),
            group: group.clone(),
            selectors: selectors.clone(),
            query: (!query.is_empty()).then(|| query.clone()),
            served: Some(detail.text().to_owned()),
            served_file: detail.file.clone(),
            content: ContentSeen::sent(sha256.as_deref()),
            ..StageEvent::new(at_us, Origin::Server, outcome, fact)
        },
        took_us: millis * 1000,
        key: Some(Key::Http(format!("{path}{question}"))),
    })
}

pub(super) fn http_stage(
    path: &str,
    query: &str,
    detail: &str,
    scenario: &Scenario,
) -> Option<(StageName, Option<String>)> {
    let label = |key: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(k, _)| *k == key)
    };
    let told = || label("mac").map(|(_, mac)| mac.replace("%3A", ":").replace("%3a", ":"));
    Some(match path {
        "/boot.ipxe" | "/boot.ipxe.0" | "/ipxe" => (StageName::Script, None),
        "/_/ipxe" => (StageName::Script, told()),
        "/cloud" => (StageName::CloudConfig, None),
        "/ignition" => (StageName::Ignition, None),
        "/generic" => (StageName::Generic, None),
        "/_/booting" => (StageName::KernelUp, told()),
        _ if path == "/nocloud" || path.starts_with("/nocloud/") => (StageName::CloudConfig, None),
        _ if path.starts_with("/nbp/") => (StageName::Nbp, None),
        _ if path.starts_with("/grub/") => (StageName::Script, None),
        "/_/file" => {
            let stage = match label("type") {
                Some((_, "kernel")) => StageName::Kernel,
                Some((_, "initrd")) => StageName::Initrd,
                _ => image_file(detail)?,
            };
            (stage, told())
        }
        _ => {
            if let Some(mac) = path.strip_prefix("/pixiecore/v1/boot/") {
                (StageName::Script, Some(mac.to_owned()))
            } else {
                let asset = path.strip_prefix("/assets/")?;
                let stage = expected_file(asset, scenario).or_else(|| nbp_file(asset));
                (stage?, None)
            }
        }
    })
}

/// Kernel or initrd: a file that the scenario expects a machine to load as one, whatever its name is, else by its name.
pub(super) fn expected_file(path: &str, scenario: &Scenario) -> Option<StageName> {
    named_file(path, scenario).or_else(|| image_file(path))
}

/// Kernel or initrd: a file that the scenario expects a machine to load as one.
pub(super) fn named_file(path: &str, scenario: &Scenario) -> Option<StageName> {
    let is_it = |named: &String| {
        path.strip_suffix(named.as_str())
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    scenario.nodes.iter().find_map(|node| {
        let expect = &node.expect;
        match () {
            () if expect.kernel.iter().any(is_it) => Some(StageName::Kernel),
            () if expect.initrd.iter().any(is_it) => Some(StageName::Initrd),
            () => None,
        }
    })
}

/// Distinguishes kernel and initrd by common names.
pub(crate) fn image_file(path: &str) -> Option<StageName> {
    let base = path.rsplit_once('/').map_or(path, |(_, base)| base);
    let has = |parts: &[&str]| parts.iter().any(|part| base.contains(part));
    if base.contains(Image::INITRD) || has(&["initrd", "initramfs", "rootfs", ".cpio"]) {
        Some(StageName::Initrd)
    } else if base.contains(Image::KERNEL)
        || base == "linux"
        || has(&["vmlinuz", "vmlinux", "kernel", "bzImage"])
    {
        Some(StageName::Kernel)
    } else {
        None
    }
}

pub(super) fn nbp_file(path: &str) -> Option<StageName> {
    [".efi", ".kpxe", ".pxe", ".0"]
        .iter()
        .any(|kind| path.ends_with(kind))
        .then_some(StageName::Nbp)
}
