//! Facts of stage events: what was seen, for decisions. The text of a stage event is rendered from its fact.

use std::fmt;
use std::net::Ipv4Addr;

use boot_server_events::{DhcpRole, Identifier, TftpFailure, TftpFailureCode};
use boot_server_proto::mac::MacAddr;

use crate::evidence::DhcpKind;
use crate::evidence::packet::{Protocol, TransferEnd};

/// TFTP error "file not found" (RFC 1350, appendix).
const FILE_NOT_FOUND: u16 = 1;

/// TFTP error "access violation" (RFC 1350, appendix).
const ACCESS_VIOLATION: u16 = 2;

/// Parts of the messages of TFTP servers that do not have a file: tftpd-hpa, dnsmasq, Pixiecore.
const NOT_THERE_MESSAGES: [&str; 3] = ["not found", "no such", "there is no"];

/// Statuses of a server that does not have a file, or does not give it to this client (RFC 9110).
const NOT_THERE: [u16; 3] = [403, 404, 410];

/// Status of an answer with a part of a file (RFC 9110 §15.3.7).
const PARTIAL_CONTENT: u16 = 206;

/// One thing seen of a machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fact {
    /// Only the text is known: the stage event was read from a saved timeline.
    #[default]
    Unknown,
    /// The machine was switched on.
    SwitchedOn,
    /// The shell answers.
    ShellAnswers,
    /// A client asks as iPXE, by its user class.
    AsksAsIpxe,
    /// A line on the serial console.
    Console(String),
    /// A check inside the machine was made.
    Checked {
        /// Name of the check.
        check: String,
        /// Value that was found instead of the expected one.
        instead: Option<String>,
    },
    /// systemd in the machine lists a unit of the config as failed.
    UnitFailed {
        /// Name of the unit.
        unit: String,
    },
    /// The machine sent a DHCP message.
    DhcpAsked {
        /// Type of the message.
        message: DhcpKind,
        /// Address asked for.
        wanted: Option<Ipv4Addr>,
        /// Port that the message was sent to.
        port: u16,
        /// Client architectures (option 93).
        arch: Vec<u16>,
        /// User class (option 77).
        user_class: Option<String>,
    },
    /// A server of ours answered a DHCP message.
    DhcpReplied {
        /// Type of the answer.
        message: DhcpKind,
        /// Address that the reply gives to the machine.
        given: Option<Ipv4Addr>,
        /// Role of the server.
        role: DhcpRole,
        /// Boot file named in the answer.
        boot_file: Option<String>,
        /// Boot step, in the server's words.
        step: String,
    },
    /// Packets show the answer of a DHCP server.
    DhcpAnswer {
        /// Type of the answer.
        message: DhcpKind,
        /// Address that the reply gives to the machine.
        given: Option<Ipv4Addr>,
        /// Server identifier, address or MAC of the server.
        from: String,
        /// Boot file named in the answer.
        boot_file: Option<String>,
    },
    /// Packets show the answer to an Inform.
    DhcpInformed {
        /// Type of the answer.
        message: DhcpKind,
        /// Server identifier, address or MAC of the server.
        from: String,
    },
    /// Packets show the answer of a proxyDHCP server.
    ProxyAnswer {
        /// Type of the answer.
        message: DhcpKind,
        /// Server identifier, address or MAC of the server.
        from: String,
        /// True for the boot service on port 4011.
        on_4011: bool,
        /// Boot file named in the answer.
        boot_file: Option<String>,
    },
    /// A relay passed a DHCP message on to a server.
    DhcpRelayed {
        /// Type of the message.
        message: DhcpKind,
        /// Address of the relay in the servers' network, else its MAC.
        by: String,
        /// Host that the message was sent to.
        to: String,
        /// Address of the relay in the message (`giaddr`).
        relay: Option<Ipv4Addr>,
        /// Link of the client (option 82.5).
        link: Option<Ipv4Addr>,
    },
    /// A server sent the answer to a DHCP message to a relay.
    DhcpToRelay {
        /// Type of the answer.
        message: DhcpKind,
        /// Address that the reply gives to the machine.
        given: Option<Ipv4Addr>,
        /// Address of the server, else its MAC.
        by: String,
        /// Address of the relay in the message (`giaddr`).
        relay: Option<Ipv4Addr>,
    },
    /// The server kept silent on purpose.
    DhcpIgnored {
        /// Reason, in the server's words.
        reason: String,
    },
    /// The address to be offered is in use.
    AddressInUse {
        /// Address that somebody else uses.
        address: Ipv4Addr,
        /// MAC of the host that uses it.
        by: Option<Identifier<MacAddr>>,
    },
    /// Messages of the machine are dropped.
    RateLimited {
        /// The limit, in the server's words.
        reason: String,
    },
    /// A file was asked for by TFTP.
    TftpAsked {
        /// File name as asked.
        file: String,
    },
    /// A server of ours sent a file by TFTP.
    TftpSent {
        /// File name as asked.
        file: String,
        /// Size in bytes.
        bytes: u64,
        /// Duration in milliseconds.
        millis: u64,
    },
    /// A server of ours did not send a file by TFTP.
    TftpFailed {
        /// File name as asked.
        file: String,
        /// Reason that the transfer failed.
        reason: TftpFailure,
    },
    /// Packets show a TFTP error.
    TftpError {
        /// File name as asked.
        file: String,
        /// True for an error of the machine, false for one of the server.
        by_machine: bool,
        /// Error code of the message (RFC 1350 §5).
        code: u16,
        /// Message of the packet.
        message: String,
    },
    /// A server of ours answered an HTTP request.
    Http {
        /// Method of the request.
        method: String,
        /// Path without the query.
        path: String,
        /// Raw query, empty when none.
        query: String,
        /// Status code of the answer.
        status: u16,
        /// Answer, in the server's words.
        detail: String,
        /// Group that matched.
        group: Option<String>,
        /// Bytes sent and length, of an answer that broke off.
        broke_off: Option<(u64, u64)>,
    },
    /// Packets show the answer to an HTTP request.
    HttpAnswer {
        /// Path with its query.
        target: String,
        /// Status code of the answer.
        status: u16,
        /// Address of the server.
        from: Option<String>,
        /// Hash of the body, as text to append.
        hash: String,
    },
    /// Packets show the transfer of a file.
    Transferred {
        /// Protocol of the transfer.
        protocol: Protocol,
        /// TFTP file name, or HTTP path with its query.
        name: String,
        /// Number of bytes that were transferred.
        bytes: u64,
        /// Address or MAC of the sender.
        from: String,
        /// Speed and retransmissions, as text to append.
        speed: String,
        /// End of the transfer.
        end: TransferEnd,
        /// Length that was announced.
        announced: Option<u64>,
    },
    /// A file arrived whole at the machine's port.
    Arrived {
        /// Protocol of the transfer.
        protocol: Protocol,
        /// TFTP file name, or HTTP path with its query.
        name: String,
        /// Address or MAC of the sender.
        from: String,
    },
}

impl Fact {
    /// Status of an answer to an HTTP request.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Fact::Http { status, .. } | Fact::HttpAnswer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Raw query of an HTTP request.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        match self {
            Fact::Http { query, .. } => Some(query),
            Fact::HttpAnswer { target, .. }
            | Fact::Transferred { name: target, .. }
            | Fact::Arrived { name: target, .. } => target.split_once('?').map(|(_, query)| query),
            _ => None,
        }
    }

    /// True for the answer of a server that does not have the file, or does not give it to this client.
    #[must_use]
    pub fn is_not_there(&self) -> bool {
        match self {
            Fact::TftpFailed { reason, .. } => reason.code == TftpFailureCode::NotFound,
            Fact::TftpError {
                by_machine: false,
                code,
                message,
                ..
            } => {
                // Servers that know no code for it say so under code 0.
                let message = message.to_lowercase();
                let mut signs = NOT_THERE_MESSAGES.iter();
                [FILE_NOT_FOUND, ACCESS_VIOLATION].contains(code)
                    || signs.any(|sign| message.contains(sign))
            }
            _ => self
                .status()
                .is_some_and(|status| NOT_THERE.contains(&status)),
        }
    }

    /// True for the answer of a server with a part of a file.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.status() == Some(PARTIAL_CONTENT)
    }

    /// True for the end of a load; false for its beginning, and for a transfer that broke off.
    #[must_use]
    pub fn is_load(&self) -> bool {
        match self {
            Fact::TftpAsked { .. } | Fact::TftpFailed { .. } | Fact::TftpError { .. } => false,
            Fact::Http { broke_off, .. } => broke_off.is_none(),
            Fact::Transferred { end, .. } => {
                matches!(end, TransferEnd::Whole | TransferEnd::Open)
            }
            _ => true,
        }
    }

    /// True for a DHCP message whose user class names iPXE.
    #[must_use]
    pub fn is_of_ipxe(&self) -> bool {
        match self {
            Fact::DhcpAsked { user_class, .. } => user_class
                .as_deref()
                .is_some_and(|class| class.starts_with("iPXE")),
            _ => false,
        }
    }
}

/// Text before and after a value, where there is one.
struct Part<'a, T>(&'a str, &'a Option<T>);

impl<T: fmt::Display> fmt::Display for Part<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(value) => write!(f, "{}{value}", self.0),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Unknown => Ok(()),
            Fact::SwitchedOn => f.write_str("powered on"),
            Fact::ShellAnswers => f.write_str("the shell answers"),
            Fact::AsksAsIpxe => f.write_str("asks as iPXE (user class)"),
            Fact::Console(line) => f.write_str(line),
            Fact::UnitFailed { unit } => write!(f, "systemd lists {unit} as failed"),
            Fact::Checked { check, instead } => match instead {
                None => write!(f, "{check}: as expected"),
                Some(found) => write!(f, "{check}: {found:?}"),
            },
            Fact::DhcpAsked {
                message,
                wanted,
                port,
                arch,
                user_class,
            } => {
                let (wanted, class) = (Part(" for ", wanted), Part(", user class ", user_class));
                write!(
                    f,
                    "{message}{wanted} on port {port}, architecture {arch:?}{class}"
                )
            }
            Fact::DhcpReplied {
                message,
                given,
                role,
                boot_file,
                step,
            } => {
                let (given, file) = (Part(" of ", given), Part(", boot file ", boot_file));
                write!(f, "{message}{given} by {role}{file} ({step})")
            }
            Fact::DhcpAnswer {
                message,
                given,
                from,
                boot_file,
            } => {
                let (given, file) = (Part(" of ", given), Part(", boot file ", boot_file));
                write!(f, "{message}{given} by {from}{file}")
            }
            Fact::DhcpInformed { message, from } => {
                write!(f, "{message} of {from} to an INFORM")
            }
            Fact::ProxyAnswer {
                message,
                from,
                on_4011,
                boot_file,
            } => {
                let port = if *on_4011 { " on port 4011" } else { "" };
                let file = Part(", boot file ", boot_file);
                write!(f, "{message} of a proxy, {from}{port}{file}")
            }
            Fact::DhcpRelayed {
                message,
                by,
                to,
                relay,
                link,
            } => {
                let (relay, link) = (Part(" as the relay ", relay), Part(", link ", link));
                write!(f, "{message} relayed by {by} to {to}{relay}{link}")
            }
            Fact::DhcpToRelay {
                message,
                given,
                by,
                relay,
            } => {
                let (given, relay) = (Part(" of ", given), Part(" to the relay ", relay));
                write!(f, "{message}{given} by {by}{relay}")
            }
            Fact::DhcpIgnored { reason } => write!(f, "not answered, on purpose: {reason}"),
            Fact::AddressInUse { address, by } => {
                write!(f, "{address} is in use by ")?;
                match by {
                    Some(by) => by.fmt(f),
                    None => f.write_str("somebody"),
                }
            }
            Fact::RateLimited { reason } => write!(f, "messages dropped: {reason}"),
            Fact::TftpAsked { file } => write!(f, "TFTP: request for {file}"),
            Fact::TftpSent {
                file,
                bytes,
                millis,
            } => write!(f, "TFTP: {file}, {bytes} bytes in {millis} ms"),
            Fact::TftpFailed { file, reason } => write!(f, "TFTP: {file}: {reason}"),
            Fact::TftpError {
                file,
                by_machine,
                code,
                message,
            } => {
                let who = if *by_machine {
                    "the machine"
                } else {
                    "the server"
                };
                write!(f, "TFTP: {file}: error {code} from {who}, {message}")
            }
            Fact::Http {
                method,
                path,
                query,
                status,
                detail,
                group,
                broke_off,
            } => {
                let mark = if query.is_empty() { "" } else { "?" };
                let by = Part(", group ", group);
                write!(
                    f,
                    "HTTP: {method} {path}{mark}{query}: {status} {detail}{by}"
                )?;
                match broke_off {
                    Some((bytes, length)) => {
                        write!(f, ", aborted at {bytes} of {length} bytes")
                    }
                    None => Ok(()),
                }
            }
            Fact::HttpAnswer {
                target,
                status,
                from,
                hash,
            } => write!(
                f,
                "HTTP: GET {target}: {status}{}{hash}",
                Part(" from ", from)
            ),
            Fact::Transferred {
                protocol,
                name,
                bytes,
                from,
                speed,
                end,
                announced,
            } => {
                let way = way(*protocol);
                write!(f, "{way}{name}, {bytes} bytes from {from}{speed}")?;
                match (end, announced) {
                    (TransferEnd::Whole, _) => Ok(()),
                    (TransferEnd::BrokenByReceiver, _) => f.write_str(", aborted by the machine"),
                    (TransferEnd::BrokenBySender, Some(all)) => {
                        write!(f, ", aborted at {bytes} of {all} bytes")
                    }
                    (TransferEnd::BrokenBySender, None) => f.write_str(", aborted by the server"),
                    (TransferEnd::Open, Some(all)) => {
                        write!(f, ", stopped at {bytes} of {all} bytes")
                    }
                    (TransferEnd::Open, None) => f.write_str(", no end was seen"),
                }
            }
            Fact::Arrived {
                protocol,
                name,
                from,
            } => write!(f, "{}{name} from {from}", way(*protocol)),
        }
    }
}

fn way(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tftp => "TFTP: ",
        Protocol::Http => "HTTP: GET ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tftp_failed(text: &str) -> Fact {
        Fact::TftpFailed {
            file: "undionly.kpxe".into(),
            reason: text.into(),
        }
    }

    #[test]
    fn is_not_there_of_recorded_reasons_and_statuses() {
        assert!(tftp_failed("file not found").is_not_there());
        assert!(!tftp_failed("the client broke off: error 0 not found").is_not_there());
        let http = |status| Fact::HttpAnswer {
            target: "/404: not found".into(),
            status,
            from: None,
            hash: String::new(),
        };
        assert!(http(404).is_not_there() && http(403).is_not_there());
        assert!(!http(200).is_not_there() && !http(500).is_not_there());
        let tftp = |code, message: &str| Fact::TftpError {
            file: "f".into(),
            by_machine: false,
            code,
            message: message.into(),
        };
        assert!(tftp(1, "").is_not_there() && tftp(0, "No such file").is_not_there());
        assert!(!tftp(0, "disk full").is_not_there());
    }

    #[test]
    fn is_load_is_no_question_and_nothing_that_broke_off() {
        let end = |end| Fact::Transferred {
            protocol: Protocol::Tftp,
            name: "asked for".into(),
            bytes: 1,
            from: "broke off".into(),
            speed: String::new(),
            end,
            announced: None,
        };
        assert!(end(TransferEnd::Whole).is_load());
        assert!(!end(TransferEnd::BrokenByReceiver).is_load());
        let file = "f".to_owned();
        assert!(!Fact::TftpAsked { file }.is_load());
    }

    #[test]
    fn query_is_known_of_events_and_of_packets() {
        let arrived = Fact::Arrived {
            protocol: Protocol::Http,
            name: "/cloud?mac=1".into(),
            from: String::new(),
        };
        assert_eq!(arrived.query(), Some("mac=1"));
        assert_eq!(Fact::SwitchedOn.query(), None);
    }
}
