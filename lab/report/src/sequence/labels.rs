//! Labels of packets: a title, and the details that matter for booting.

use boot_server_proto::dhcp::MessageType;
use lab_model::evidence::DhcpKind;
use lab_model::evidence::packet::{DhcpSaid, PacketContent};

use super::Tone;

/// Label of a packet.
pub(crate) struct Label {
    pub(crate) title: String,
    pub(crate) details: Vec<(String, String)>,
    pub(super) tone: Tone,
}

/// Maximum length of a body excerpt, in characters.
const BODY_CHARS: usize = 160;

/// Builds the label of a packet.
pub(crate) fn label(said: &PacketContent, from_machine: bool) -> Label {
    let plain = |title: String| Label {
        title,
        details: Vec::new(),
        tone: Tone::Plain,
    };
    let bad = |title: String| Label {
        tone: Tone::Bad,
        ..plain(title)
    };
    match said {
        PacketContent::Dhcp(said) => dhcp(said),
        PacketContent::TftpRequest {
            file,
            options,
            write,
        } => Label {
            details: options.clone(),
            ..plain(format!("{} {file}", if *write { "Write" } else { "Read" }))
        },
        PacketContent::TftpOptions { options } => Label {
            details: options.clone(),
            ..plain("Options".into())
        },
        PacketContent::TftpError {
            code,
            message,
            file,
        } => {
            let tone = if from_machine || file.as_deref().is_some_and(may_be_absent) {
                Tone::Plain
            } else {
                Tone::Bad
            };
            Label {
                details: detail("file", file.as_deref()),
                tone,
                ..plain(format!("Error {code}: {message}"))
            }
        }
        PacketContent::HttpRequest {
            method,
            target,
            host,
            user_agent,
        } => Label {
            details: [
                // The address is shown by the lane.
                detail("host", host.as_deref().filter(|host| is_name(host))),
                detail("agent", user_agent.as_deref()),
            ]
            .concat(),
            ..plain(format!("{method} {target}"))
        },
        PacketContent::HttpResponse {
            status,
            length,
            body,
            ..
        } => {
            let tone = match status {
                200..300 => Tone::Good,
                400.. => Tone::Bad,
                _ => Tone::Plain,
            };
            let length = length.map(super::super::format::bytes);
            let body = body.as_deref().map(shorten);
            Label {
                details: [
                    detail("length", length.as_deref()),
                    detail("body", body.as_deref()),
                ]
                .concat(),
                tone,
                ..plain(format!("{status}{}", reason(*status)))
            }
        }
        PacketContent::TlsHello => plain("TLS, encrypted from here".into()),
        PacketContent::TcpSyn => plain("Connect".into()),
        PacketContent::TcpReset => bad("Connection reset".into()),
        PacketContent::ArpRequest { address } => plain(format!("Who has {address}?")),
        PacketContent::ArpReply { address } => plain(format!("{address} is here")),
        PacketContent::Unreachable { why, port, address } => Label {
            details: [
                detail("host", address.map(|one| one.to_string()).as_deref()),
                detail("port", port.map(|port| port.to_string()).as_deref()),
            ]
            .concat(),
            ..bad(format!("Unreachable: {why}"))
        },
        PacketContent::RouterSolicitation => plain("Router solicitation".into()),
        PacketContent::RouterAdvertisement => plain("Router advertisement".into()),
        PacketContent::Malformed { protocol, why } => bad(format!("Malformed {protocol}: {why}")),
    }
}

/// Returns the first characters of a body.
pub(super) fn shorten(body: &str) -> String {
    let mut short: String = body.trim().chars().take(BODY_CHARS).collect();
    if short.len() < body.trim().len() {
        short.push('…');
    }
    short
}

/// True for files that boot programs request speculatively: PXELINUX tries many names and only `default` is its
/// last, iPXE tries `autoexec.ipxe`.
fn may_be_absent(file: &str) -> bool {
    let file = file.trim_start_matches('/');
    let tried = file.starts_with("pxelinux.cfg/") && file != "pxelinux.cfg/default";
    tried || file.ends_with("autoexec.ipxe")
}

fn dhcp(said: &DhcpSaid) -> Label {
    let mut title = capital(&said.message.to_string());
    let address = if said.from_server {
        said.given
    } else {
        said.wanted
    };
    if let Some(address) = address.filter(|address| !address.is_unspecified()) {
        title = format!("{title} {address}");
    }
    let tone = match said.message {
        DhcpKind::Dhcp(MessageType::Nak | MessageType::Decline) => Tone::Bad,
        DhcpKind::Dhcp(MessageType::Ack | MessageType::Offer) => Tone::Good,
        _ => Tone::Plain,
    };
    let control = said.discovery_control.map(|control| control.to_string());
    let arch: Vec<&str> = said.arch.iter().map(|number| arch_name(*number)).collect();
    let details = if said.from_server {
        vec![
            ("boot file", said.boot_file.clone()),
            ("next server", said.next_server.clone()),
            ("discovery control", control),
            ("boot servers", said.boot_servers.then(|| "listed".into())),
            ("class", said.vendor_class.clone()),
            ("says", said.text.clone()),
        ]
    } else {
        vec![
            ("architecture", (!arch.is_empty()).then(|| arch.join(", "))),
            ("user class", said.user_class.clone()),
            ("class", said.vendor_class.clone()),
            ("iPXE", said.ipxe.then(|| "yes".into())),
            ("says", said.text.clone()),
        ]
    };
    let details = details
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    Label {
        title,
        details,
        tone,
    }
}

/// Returns the name of a client architecture (option 93) in IANA's list "Processor Architecture Types".
fn arch_name(number: u16) -> &'static str {
    match number {
        0 => "x86 BIOS",
        6 => "x86 UEFI",
        7 => "x64 UEFI",
        9 => "x64 UEFI (9)",
        10 => "32-bit ARM UEFI",
        11 => "64-bit ARM UEFI",
        15 => "x86 UEFI HTTP",
        16 => "x64 UEFI HTTP",
        19 => "64-bit ARM UEFI HTTP",
        27 => "64-bit RISC-V UEFI",
        _ => "other",
    }
}

/// Returns the reason phrases of status codes that occur while booting.
fn reason(status: u16) -> &'static str {
    match status {
        200 => " OK",
        206 => " Partial Content",
        301 => " Moved Permanently",
        302 => " Found",
        304 => " Not Modified",
        400 => " Bad Request",
        403 => " Forbidden",
        404 => " Not Found",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        _ => "",
    }
}

fn is_name(host: &str) -> bool {
    host.chars().any(|letter| letter.is_ascii_alphabetic())
}

fn detail(name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let pair = |value: &str| (name.to_owned(), value.to_owned());
    value.map(pair).into_iter().collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
