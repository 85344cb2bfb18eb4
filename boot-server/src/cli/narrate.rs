//! Events in a line for people: who asked what, what was answered, and why. Pure.

use std::collections::VecDeque;

use boot_server_events::{BootEvent, DhcpRole, Identifier, LeaseFileState, TftpFailureCode, Who};
use boot_server_proto::dhcp::MessageType;
use boot_server_proto::mac::MacAddr;

/// Questions remembered until they are answered.
const MAX_QUESTIONS: usize = 256;

/// Importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The line needs an operator's attention.
    Warning,
    /// A boot step.
    Step,
    /// The line helps only in debugging.
    Detail,
}

/// Tells a question and its answer in one line.
#[derive(Debug, Default)]
pub struct Narrator {
    /// MAC, and what it asked.
    questions: VecDeque<(Identifier<MacAddr>, String)>,
}

impl Narrator {
    /// The line for an event, if it is worth one.
    pub fn tell(&mut self, event: &BootEvent) -> Option<(Weight, String)> {
        let line = match event {
            BootEvent::DhcpRequest {
                who,
                message,
                arch,
                user_class,
                port,
                ..
            } => {
                self.ask(who, question(*message, arch, user_class.as_deref(), *port));
                return None;
            }
            BootEvent::DhcpReply {
                who,
                message,
                role,
                address,
                boot_file,
                step,
                ..
            } => {
                let mut answer = message.to_string();
                if let Some(address) = address {
                    answer.push_str(&format!(" {address}"));
                }
                if *role != DhcpRole::Dhcp {
                    answer.push_str(&format!(" ({})", role_in_words(*role)));
                }
                if let Some(file) = boot_file {
                    answer.push_str(&format!(", boot {file}"));
                }
                if !step.is_empty() {
                    answer.push_str(&format!(": {step}"));
                }
                let line = format!("{} {} -> {answer}", name(who), self.answered(who));
                (Weight::Step, line)
            }
            BootEvent::DhcpIgnored { who, reason } => {
                let line = format!(
                    "{} {} -> no answer: {reason}",
                    name(who),
                    self.answered(who)
                );
                (Weight::Detail, line)
            }
            BootEvent::Malformed {
                who,
                protocol,
                reason,
            } => (
                Weight::Detail,
                format!("{} {protocol}: not readable: {reason}", name(who)),
            ),
            BootEvent::TftpRequest { .. } => return None,
            BootEvent::TftpDone {
                who,
                file,
                bytes,
                retransmits,
                millis,
                group,
                ..
            } => {
                let mut line = format!("{} TFTP {file} -> {bytes} bytes in {millis} ms", name(who));
                if *retransmits > 0 {
                    line.push_str(&format!(", {retransmits} packets sent again"));
                }
                if let Some(group) = group {
                    line.push_str(&format!(": group {group}"));
                }
                (Weight::Step, line)
            }
            BootEvent::TftpFailed { who, file, reason } => {
                // PXELINUX asks for a dozen names until one exists, EDK2 for a size: no news.
                let usual =
                    file.contains("pxelinux.cfg/") || reason.code == TftpFailureCode::SizeOnly;
                let weight = if usual { Weight::Detail } else { Weight::Step };
                (
                    weight,
                    format!("{} TFTP {file} -> not sent: {reason}", name(who)),
                )
            }
            BootEvent::HttpRequest {
                who,
                method,
                path,
                status,
                bytes,
                length,
                group,
                detail,
                millis,
                ..
            } => {
                let mut line = format!("{} HTTP {method} {path} -> {status}", name(who));
                match length {
                    Some(length) if length != bytes && method != "HEAD" => {
                        line.push_str(&format!(", broke off after {bytes} of {length} bytes"));
                    }
                    _ => line.push_str(&format!(", {bytes} bytes in {millis} ms")),
                }
                if let Some(group) = group {
                    line.push_str(&format!(", group {group}"));
                }
                if !detail.text().is_empty() {
                    line.push_str(&format!(": {detail}"));
                }
                (Weight::Step, line)
            }
            BootEvent::RouterAdvertisement { who } => (
                Weight::Detail,
                format!("{} router advertisement", name(who)),
            ),
            BootEvent::RpcCall {
                who,
                subject,
                method,
                file,
                code,
                detail,
                millis,
            } => {
                let mut line = format!("{} ({subject}) gRPC {method}", name(who));
                if !file.is_empty() {
                    line.push_str(&format!(" {file}"));
                }
                line.push_str(&format!(" -> {code} in {millis} ms"));
                if !detail.is_empty() {
                    line.push_str(&format!(": {detail}"));
                }
                (Weight::Step, line)
            }
            BootEvent::RpcRefused {
                who,
                subject,
                reason,
            } => {
                let subject = subject.as_deref().unwrap_or("no certificate seen");
                let line = format!("{} ({subject}) gRPC refused: {reason}", name(who));
                (Weight::Step, line)
            }
            BootEvent::EventsDropped { count } => (
                Weight::Warning,
                format!("{count} events were not written: whoever reads them is too slow"),
            ),
            BootEvent::AddressInUse { who, address, by } => {
                let by = by.as_ref().map(ToString::to_string);
                let by = by.as_deref().unwrap_or("another machine");
                let line = format!("{} {address} is not given: {by} uses it", name(who));
                (Weight::Warning, line)
            }
            BootEvent::RateLimited { who, reason } => (
                Weight::Warning,
                format!("{} is not listened to: {reason}", name(who)),
            ),
            BootEvent::DhcpShortage {
                count: 1, detail, ..
            } => (
                Weight::Warning,
                format!("DHCP: {detail}; told once, then counted every minute"),
            ),
            BootEvent::DhcpShortage { count, detail, .. } => (
                Weight::Warning,
                format!("DHCP: {count} times since this was last told: {detail}"),
            ),
            BootEvent::ClockJumped { by_seconds } => (
                Weight::Warning,
                format!("the wall clock was set by {by_seconds} s; leases last as long as before"),
            ),
            BootEvent::EventsCollapsed { kind, count } => (
                Weight::Warning,
                format!("{count} events `{kind}` of one second were counted and not written"),
            ),
            BootEvent::LeaseFile {
                result: LeaseFileState::Kept(text),
            } => (Weight::Warning, text.clone()),
            BootEvent::LeaseFile {
                result: LeaseFileState::Failing(error),
            } => (
                Weight::Warning,
                format!("leases cannot be kept, and none is given: {error}"),
            ),
            // Whoever makes these logs them with more to say.
            BootEvent::Reloaded { .. } | BootEvent::Ready { .. } => return None,
        };
        let (weight, text) = line;
        Some((weight, plain(text)))
    }

    fn ask(&mut self, who: &Who, question: String) {
        let Some(mac) = &who.mac else { return };
        self.questions.retain(|(other, _)| other != mac);
        if self.questions.len() >= MAX_QUESTIONS {
            self.questions.pop_front();
        }
        self.questions.push_back((mac.clone(), question));
    }

    fn answered(&mut self, who: &Who) -> String {
        let asked = self
            .questions
            .iter()
            .position(|(mac, _)| Some(mac) == who.mac.as_ref());
        let asked = asked.and_then(|at| self.questions.remove(at));
        asked.map_or_else(|| "DHCP".to_owned(), |(_, question)| question)
    }
}

/// True if the line of an event is a [`Weight::Warning`].
pub fn is_warning(event: &BootEvent) -> bool {
    matches!(
        event,
        BootEvent::EventsDropped { .. }
            | BootEvent::EventsCollapsed { .. }
            | BootEvent::DhcpShortage { .. }
            | BootEvent::ClockJumped { .. }
            | BootEvent::LeaseFile { .. }
            | BootEvent::AddressInUse { .. }
            | BootEvent::RateLimited { .. }
    )
}

/// Text without characters that end a line, move a terminal's cursor or turn the direction of writing: they
/// are shown as Rust and JSON write them. File names, host names and user agents are anybody's to choose.
pub(super) fn plain(text: String) -> String {
    let is_plain = |c: char| {
        let hidden = matches!(
            c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        !c.is_control() && !hidden
    };
    if text.chars().all(is_plain) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_plain(c) {
            true => out.push(c),
            false => out.extend(c.escape_default()),
        }
    }
    out
}

fn question(message: MessageType, arch: &[u16], user_class: Option<&str>, port: u16) -> String {
    let arch = arch.first().map(|arch| match arch {
        0 => "BIOS".to_owned(),
        6 => "IA32 UEFI".to_owned(),
        7 | 9 => "x64 UEFI".to_owned(),
        10 => "ARM32 UEFI".to_owned(),
        11 => "ARM64 UEFI".to_owned(),
        15 | 16 | 18 | 19 => "UEFI HTTP".to_owned(),
        21 => "ARM32 U-Boot".to_owned(),
        22 => "ARM64 U-Boot".to_owned(),
        25 => "RISC-V32 UEFI".to_owned(),
        27 => "RISC-V64 UEFI".to_owned(),
        41 => "Raspberry Pi".to_owned(),
        other => format!("architecture {other}"),
    });
    let user_class = user_class.map(str::to_owned);
    let about: Vec<String> = [arch, user_class].into_iter().flatten().collect();
    let service = if port == 4011 { "boot service" } else { "DHCP" };
    match about.is_empty() {
        true => format!("{service} {message}"),
        false => format!("{service} {message} ({})", about.join(", ")),
    }
}

fn role_in_words(role: DhcpRole) -> &'static str {
    match role {
        DhcpRole::Dhcp => "dhcp",
        DhcpRole::ProxyDhcp => "proxy dhcp",
        DhcpRole::BootService => "boot service",
        DhcpRole::Pixiecore => "pixiecore",
    }
}

/// The machine's MAC; its address where that is not known.
fn name(who: &Who) -> String {
    match (&who.mac, &who.peer) {
        (Some(mac), _) => mac.to_string(),
        (None, Some(peer)) => peer.ip().to_string(),
        (None, None) => "somebody".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who {
            mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, 1]).into()),
            uuid: None,
            peer: Some("0.0.0.0:68".parse().unwrap()),
        }
    }

    fn discover() -> BootEvent {
        BootEvent::DhcpRequest {
            who: who(),
            port: 67,
            xid: 1,
            message: MessageType::Discover,
            arch: vec![7],
            user_class: None,
            vendor_class: None,
            address: None,
        }
    }

    #[test]
    fn a_question_and_its_answer_are_one_line() {
        let mut narrator = Narrator::default();
        assert_eq!(narrator.tell(&discover()), None);
        let offer = BootEvent::DhcpReply {
            who: who(),
            xid: 1,
            message: MessageType::Offer,
            role: DhcpRole::Dhcp,
            address: Some([172, 17, 0, 43].into()),
            next_server: None,
            boot_file: Some("ipxe.efi".into()),
            step: "x64 UEFI firmware: iPXE".into(),
        };
        let line = "52:54:00:00:00:01 DHCP discover (x64 UEFI) -> offer 172.17.0.43, boot ipxe.efi: \
                    x64 UEFI firmware: iPXE";
        assert_eq!(narrator.tell(&offer), Some((Weight::Step, line.to_owned())));
    }

    #[test]
    fn silence_is_told_with_its_reason_to_those_who_ask() {
        let mut narrator = Narrator::default();
        narrator.tell(&discover());
        let ignored = BootEvent::DhcpIgnored {
            who: who(),
            reason: "no NBP fits".into(),
        };
        let line = "52:54:00:00:00:01 DHCP discover (x64 UEFI) -> no answer: no NBP fits";
        assert_eq!(
            narrator.tell(&ignored),
            Some((Weight::Detail, line.to_owned()))
        );
    }

    #[test]
    fn a_transfer_that_broke_off_says_where() {
        let request = BootEvent::HttpRequest {
            who: who(),
            method: "GET".into(),
            path: "/assets/k".into(),
            query: String::new(),
            status: 200,
            user_agent: "iPXE".into(),
            bytes: 10,
            length: Some(100),
            group: None,
            selectors: None,
            sha256: None,
            detail: "asset /a/k".into(),
            millis: 5,
        };
        let (_, line) = Narrator::default().tell(&request).unwrap();
        let wanted = "52:54:00:00:00:01 HTTP GET /assets/k -> 200, broke off after 10 of 100 bytes: \
                      asset /a/k";
        assert_eq!(line, wanted);
    }

    #[test]
    fn what_is_a_warning_is_known_before_its_line_is_made() {
        let (who, reason) = (who(), "".into());
        let limited = BootEvent::RateLimited {
            who: who.clone(),
            reason: String::new(),
        };
        let in_use = BootEvent::AddressInUse {
            who: who.clone(),
            address: [10, 0, 0, 1].into(),
            by: None,
        };
        let dropped = BootEvent::EventsDropped { count: 1 };
        let short = BootEvent::DhcpShortage {
            reason: boot_server_events::Shortage::PoolExhausted,
            count: 1,
            detail: String::new(),
        };
        let broken = BootEvent::LeaseFile {
            result: LeaseFileState::Failing(String::new()),
        };
        let jumped = BootEvent::ClockJumped { by_seconds: 5 };
        let collapsed = BootEvent::EventsCollapsed {
            kind: String::new(),
            count: 1,
        };
        let ignored = BootEvent::DhcpIgnored { who, reason };
        let all = [
            limited, in_use, dropped, short, broken, jumped, collapsed, ignored,
        ];
        for event in all.into_iter().chain([discover()]) {
            let line = Narrator::default().tell(&event);
            let told = line.is_some_and(|(weight, _)| weight == Weight::Warning);
            assert_eq!(is_warning(&event), told, "{event:?}");
        }
    }

    #[test]
    fn tell_whatever_a_machine_calls_itself_makes_no_line_of_its_own() {
        let evil = "a\nINFO forged\r\u{1b}[2J\0\u{85}\u{2028}\u{202e}\u{9b}0m";
        let text = || evil.to_owned();
        let named = Who {
            mac: Some(Identifier::Other(text())),
            ..Who::default()
        };
        let mut narrator = Narrator::default();
        let asked = BootEvent::DhcpRequest {
            who: named.clone(),
            port: 67,
            xid: 1,
            message: MessageType::Discover,
            arch: Vec::new(),
            user_class: Some(text()),
            vendor_class: Some(text()),
            address: None,
        };
        narrator.tell(&asked);
        let events = [
            BootEvent::DhcpReply {
                who: named.clone(),
                xid: 1,
                message: MessageType::Offer,
                role: DhcpRole::Dhcp,
                address: None,
                next_server: None,
                boot_file: Some(text()),
                step: text(),
            },
            BootEvent::DhcpIgnored {
                who: named.clone(),
                reason: text().into(),
            },
            BootEvent::Malformed {
                who: named.clone(),
                protocol: text(),
                reason: text(),
            },
            BootEvent::TftpFailed {
                who: named.clone(),
                file: text(),
                reason: text().into(),
            },
            BootEvent::TftpDone {
                who: named.clone(),
                file: text(),
                bytes: 1,
                retransmits: 1,
                millis: 1,
                group: Some(text()),
                selectors: None,
                sha256: None,
            },
            BootEvent::HttpRequest {
                who: named.clone(),
                method: text(),
                path: text(),
                query: text(),
                status: 200,
                user_agent: text(),
                bytes: 1,
                length: None,
                group: Some(text()),
                selectors: None,
                sha256: None,
                detail: text().into(),
                millis: 1,
            },
            BootEvent::RateLimited {
                who: named.clone(),
                reason: text(),
            },
            BootEvent::LeaseFile {
                result: LeaseFileState::Kept(text()),
            },
        ];
        for event in events {
            let (_, line) = narrator.tell(&event).unwrap();
            let raw = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}');
            assert!(!line.contains(raw), "{line:?}");
            assert!(line.contains("a\\nINFO forged"), "{line}");
        }
    }

    #[test]
    fn unanswered_questions_are_forgotten_in_the_end() {
        let mut narrator = Narrator::default();
        for number in 0..2 * MAX_QUESTIONS {
            let mac = Some(Identifier::Other(number.to_string()));
            narrator.ask(
                &Who {
                    mac,
                    ..Who::default()
                },
                "q".into(),
            );
        }
        assert_eq!(narrator.questions.len(), MAX_QUESTIONS);
    }
}
