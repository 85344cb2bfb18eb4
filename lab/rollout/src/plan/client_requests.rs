//! Requests of a machine: the query that the first iPXE script makes it ask `/ipxe` with, and the values that
//! iPXE expands in texts with `${…}`.
//!
//! iPXE expands settings in each word of a command, reads the word as a URI (which decodes `%41`) and encodes
//! it anew for the request (`src/core/uri.c`: white space, what does not print, `%` and `#:@?` in a query).

use std::fmt::Write;

use boot_server_catalog::snapshot::Layout;
use boot_server_proto::firmware::Firmware;
use boot_server_proto::ipxe::boot_script;

use crate::inventory::Machine;

/// Route by which machines reach their first script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequests {
    /// Query of the URL of `/boot.ipxe` that DHCP names.
    pub boot_query: String,
    /// Knowledge about a machine at the time its boot is decided.
    pub known: Known,
}

/// Knowledge about a machine at the time its boot is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Known {
    /// All that iPXE tells of it.
    #[default]
    ByIpxe,
    /// UUID and MAC, by which PXELINUX asks.
    UuidAndMac,
    /// The MAC, by which Pixiecore asks.
    Mac,
}

impl Default for ClientRequests {
    /// Returns the query that boot-server's own DHCP announces.
    fn default() -> ClientRequests {
        ClientRequests {
            boot_query: "platform=${platform}".to_owned(),
            known: Known::ByIpxe,
        }
    }
}

/// Labels that iPXE has a setting for, which the first script sends.
const SETTINGS: [&str; 2] = ["domain", "platform"];

impl ClientRequests {
    /// Returns the query that a machine asks `/ipxe` with.
    pub(super) fn query(&self, layout: Layout, machine: &Machine) -> String {
        let settings = Settings(machine);
        match self.known {
            Known::ByIpxe => {}
            Known::UuidAndMac => return settings.expand("uuid=${uuid}&mac=${mac:hexhyp}"),
            Known::Mac => return settings.expand("mac=${mac:hexhyp}"),
        }
        let boot_query = encoded(&settings.expand(&self.boot_query));
        let script = boot_script(&boot_query, layout.dialect());
        let chained = script.lines().find_map(|line| line.strip_prefix("chain "));
        let url = settings.expand(chained.unwrap_or_default());
        let mut query = encoded(url.split_once('?').map_or("", |(_, query)| query));
        for (key, value) in &machine.labels {
            if !SETTINGS.contains(&key.as_str()) {
                query.push('&');
                escape(&mut query, key, |byte| !is_plain(byte));
                query.push('=');
                escape(&mut query, value, |byte| !is_plain(byte));
            }
        }
        query
    }
}

/// Bytes that mean nothing in a query.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b':')
}

fn escape(text: &mut String, raw: &str, is_escaped: impl Fn(u8) -> bool) {
    for byte in raw.bytes() {
        match is_escaped(byte) {
            // Writing to a string does not fail.
            true => drop(write!(text, "%{byte:02X}")),
            false => text.push(char::from(byte)),
        }
    }
}

/// Returns a query as iPXE sends it.
fn encoded(query: &str) -> String {
    let mut text = String::new();
    let decoded = percent_encoding::percent_decode_str(query).decode_utf8_lossy();
    escape(&mut text, &decoded, |byte| {
        !byte.is_ascii_graphic() || matches!(byte, b'%' | b'#' | b':' | b'@' | b'?')
    });
    text
}

/// iPXE's settings of a machine, as far as they are known before it boots. What the inventory does not say
/// of it is empty, as a setting is that is not there.
pub(super) struct Settings<'a>(pub(super) &'a Machine);

impl Settings<'_> {
    /// Returns the text with settings expanded; settings known only on the network (`${next-server}`) are kept.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, setting, after)) = next_setting(rest) {
            expanded.push_str(before);
            match self.value(setting) {
                Some(value) => expanded.push_str(&value),
                None => {
                    expanded.push_str("${");
                    expanded.push_str(setting);
                    expanded.push('}');
                }
            }
            rest = after;
        }
        expanded.push_str(rest);
        expanded
    }

    fn value(&self, setting: &str) -> Option<String> {
        let Settings(machine) = self;
        let (name, format) = match setting.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (setting, None),
        };
        let label = |key: &str| machine.labels.get(key).cloned().unwrap_or_default();
        let text = match name {
            // The boot program's first card is the one that it came by.
            "mac" | "net0/mac" | "netX/mac" => {
                let mac = machine.macs.first().cloned().unwrap_or_default();
                return match format {
                    None | Some("hex") => Some(mac),
                    Some("hexhyp") => Some(mac.replace(':', "-")),
                    Some("hexraw") => Some(mac.replace(':', "")),
                    Some(_) => None,
                };
            }
            "uuid" => machine.uuid.clone().unwrap_or_default(),
            "serial" => machine.serial.clone().unwrap_or_default(),
            "hostname" => machine.hostname.clone().unwrap_or_default(),
            "domain" => label("domain"),
            "buildarch" => label("arch"),
            "platform" => match machine.labels.get("platform") {
                Some(platform) => platform.clone(),
                None => platform(machine.firmware).to_owned(),
            },
            _ => return None,
        };
        match format {
            None | Some("string" | "uuid") => Some(text),
            Some("uristring") => {
                let mut encoded = String::new();
                escape(&mut encoded, &text, |byte| {
                    !byte.is_ascii_graphic() || b"%/#:@?=&".contains(&byte)
                });
                Some(encoded)
            }
            Some(_) => None,
        }
    }
}

/// iPXE's setting `platform`.
fn platform(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "pcbios",
        Firmware::Uefi | Firmware::UefiHttp => "efi",
    }
}

/// Splits a text before, in and after the next `${…}`.
fn next_setting(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (setting, after) = rest.split_once('}')?;
    Some((before, setting, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            name: "a".into(),
            macs: vec!["52:54:00:a1:9c:ae".into(), "52:54:00:a1:9c:af".into()],
            uuid: Some("16e7d8a7-bfa9-428b-9117-363341bb330b".into()),
            serial: Some("S 1#2".into()),
            firmware: Firmware::Uefi,
            labels: [("domain", "example.com"), ("os", "a&b"), ("rack", "7")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..Machine::default()
        }
    }

    #[test]
    fn a_machine_asks_as_the_first_script_makes_it() {
        let ask = |layout, boot_query: &str| {
            let requests = ClientRequests {
                boot_query: boot_query.to_owned(),
                ..ClientRequests::default()
            };
            requests.query(layout, &machine())
        };
        let common = "uuid=16e7d8a7-bfa9-428b-9117-363341bb330b&mac=52-54-00-a1-9c-ae&\
                      domain=example.com&hostname=&serial=S%201%232";
        assert_eq!(
            ask(Layout::Bootcfg, "platform=${platform}"),
            format!("{common}&platform=efi&os=a%26b&rack=7")
        );
        assert_eq!(
            ask(Layout::Matchbox, ""),
            format!("{common}&arch=&os=a%26b&rack=7")
        );
    }

    #[test]
    fn pxelinux_and_pixiecore_tell_less() {
        let ask = |known| {
            let requests = ClientRequests {
                known,
                ..ClientRequests::default()
            };
            requests.query(Layout::Bootcfg, &machine())
        };
        assert_eq!(ask(Known::Mac), "mac=52-54-00-a1-9c-ae");
        assert_eq!(
            ask(Known::UuidAndMac),
            "uuid=16e7d8a7-bfa9-428b-9117-363341bb330b&mac=52-54-00-a1-9c-ae"
        );
    }

    #[test]
    fn settings_that_only_the_network_tells_stay() {
        let machine = machine();
        let expand = |text| Settings(&machine).expand(text);
        assert_eq!(
            expand(
                "u=${uuid} n=${next-server} m=${net0/mac} r=${mac:hexraw} ${net1/mac} ${uuid:x} ${"
            ),
            "u=16e7d8a7-bfa9-428b-9117-363341bb330b n=${next-server} m=52:54:00:a1:9c:ae \
             r=525400a19cae ${net1/mac} ${uuid:x} ${"
        );
        assert_eq!(expand("${serial:uristring}"), "S%201%232");
        assert_eq!(expand("[${hostname}]"), "[]");
    }

    #[test]
    fn firmware_is_told_by_the_platform_unless_a_label_says_otherwise() {
        let mut machine = machine();
        machine.firmware = Firmware::Bios;
        assert_eq!(Settings(&machine).expand("${platform}"), "pcbios");
        machine.labels.insert("platform".into(), "efi".into());
        assert_eq!(Settings(&machine).expand("${platform}"), "efi");
    }
}
