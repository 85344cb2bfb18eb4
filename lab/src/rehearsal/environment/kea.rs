//! Network that a `kea-dhcp4.conf` describes.
//!
//! Kea runs with the operator's file, except for what names this host: interfaces, lease database, control sockets, hooks
//! and loggers. The file is JSON with comments and trailing commas.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use super::{Found, Mistake};

/// Name of the file in the copy: a template, because the interface is known only there.
pub(super) const FILE: &str = "kea-dhcp4.json.in";

/// Sections that would need another program, each with the remedy.
const UNSUPPORTED: [(&str, &str); 3] = [
    (
        "hosts-database",
        "write the reservations into `subnet4`, because the copy has no database",
    ),
    (
        "hosts-databases",
        "write the reservations into `subnet4`, because the copy has no database",
    ),
    (
        "config-control",
        "write the whole configuration into the file, because the copy has no database",
    ),
];

/// Reads a `kea-dhcp4.conf`.
pub(super) fn read(text: &str) -> Result<Found, Mistake> {
    let plain = without_comments(text)?;
    let mut whole: Value = serde_json::from_str(&plain).map_err(|error| {
        let line = error.line().max(1);
        Mistake::at(text, line, format!("invalid JSON ({error})"))
    })?;
    let wrong = |key: &str, why: &str| Mistake::at(text, line_of(text, key), why);
    let dhcp = whole.get_mut("Dhcp4").and_then(Value::as_object_mut);
    let dhcp = dhcp.ok_or_else(|| {
        let why = "missing section `Dhcp4`: name the file of kea-dhcp4, `{ \"Dhcp4\": { … } }`";
        Mistake::at(text, 1, why)
    })?;
    for (key, why) in UNSUPPORTED {
        if dhcp.contains_key(key) {
            return Err(wrong(key, &format!("unsupported: {why}")));
        }
    }
    let subnets = dhcp.get("subnet4").and_then(Value::as_array);
    let subnets = subnets.filter(|subnets| !subnets.is_empty()).ok_or_else(|| {
        wrong(
            "subnet4",
            "missing subnet; write `\"subnet4\": [ { \"subnet\": \"192.168.90.0/24\", \"pools\": [ … ] } ]`",
        )
    })?;
    let mut found = Found::default();
    for subnet in subnets {
        let written = subnet
            .get("subnet")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let net: Ipv4Net = written.parse().map_err(|_| {
            let why = format!("invalid subnet: `{written}`; write an address and a prefix length, `192.168.90.0/24`");
            wrong(if written.is_empty() { "subnet4" } else { written }, &why)
        })?;
        found.subnets.push(net.trunc());
        let next = subnet.get("next-server").and_then(Value::as_str);
        found.next_servers.extend(next.and_then(address));
    }
    let classes = dhcp.get("client-classes").and_then(Value::as_array);
    let of_classes = classes.into_iter().flatten();
    let next = of_classes.filter_map(|class| class.get("next-server")?.as_str());
    found.next_servers.extend(next.filter_map(address));
    let next = dhcp.get("next-server").and_then(Value::as_str);
    found.next_servers.extend(next.and_then(address));
    adapt(dhcp);
    found.text = whole.to_string();
    Ok(found)
}

fn address(text: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = text.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

/// Replaces what names this host.
fn adapt(dhcp: &mut Map<String, Value>) {
    for key in [
        "control-socket",
        "control-sockets",
        "hooks-libraries",
        "dhcp-ddns",
    ] {
        dhcp.remove(key);
    }
    let interfaces = json!({ "interfaces": ["{interface}"], "dhcp-socket-type": "raw" });
    dhcp.insert("interfaces-config".into(), interfaces);
    let leases = json!({ "type": "memfile", "persist": false });
    dhcp.insert("lease-database".into(), leases);
    let output = json!([{ "output": "stdout", "flush": true }]);
    // Kea 2.5.2 renamed `output_options`, and still reads the old name.
    let logger = json!({ "name": "kea-dhcp4", "severity": "INFO", "output_options": output });
    dhcp.insert("loggers".into(), json!([logger]));
}

/// Replaces comments and trailing commas by spaces, so that lines and columns stay.
fn without_comments(text: &str) -> Result<String, Mistake> {
    let mut plain: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut comma: Option<usize> = None;
    let mut line = 1;
    while let Some(&now) = plain.get(at) {
        let next = plain.get(at + 1).copied();
        match (now, next) {
            ('\n', _) => line += 1,
            ('"', _) => {
                comma = None;
                let length = string_length(&plain, at);
                at += length;
                continue;
            }
            ('#', _) | ('/', Some('/')) => {
                at = blank(&mut plain, at, |rest| rest.iter().position(|&c| c == '\n'));
                continue;
            }
            ('/', Some('*')) => {
                let closes = |rest: &[char]| {
                    let found = rest.windows(2).position(|pair| pair == ['*', '/']);
                    found.map(|end| end + 2)
                };
                let from = at;
                at = blank(&mut plain, at, closes);
                let lines = plain.get(from..at).unwrap_or_default();
                line += lines.iter().filter(|&&c| c == '\n').count();
                continue;
            }
            ('<', Some('?')) => {
                let why = "unsupported: an included file; write its content into this file";
                return Err(Mistake::at(text, line, why));
            }
            (',', _) => comma = Some(at),
            (']' | '}', _) => {
                if let Some(comma) = comma.take().and_then(|comma| plain.get_mut(comma)) {
                    *comma = ' ';
                }
            }
            (letter, _) if letter.is_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    Ok(plain.into_iter().collect())
}

/// Returns the length of the string that begins at `at`, with its quotes.
fn string_length(text: &[char], at: usize) -> usize {
    let mut is_escaped = false;
    for (length, &letter) in text.iter().skip(at + 1).enumerate() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return length + 2,
            _ => {}
        }
    }
    text.len() - at
}

/// Overwrites a comment, except for ends of lines; returns the place behind it.
fn blank(text: &mut [char], at: usize, end: impl Fn(&[char]) -> Option<usize>) -> usize {
    let rest = text.get_mut(at..).unwrap_or_default();
    let length = end(rest).unwrap_or(rest.len());
    for letter in rest.iter_mut().take(length) {
        if *letter != '\n' {
            *letter = ' ';
        }
    }
    at + length
}

/// Returns the number of the first line with this text, from 1.
fn line_of(text: &str, key: &str) -> usize {
    let place = text.lines().position(|line| line.contains(key));
    place.map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"// the rack
{ "Dhcp4": {
    "interfaces-config": { "interfaces": [ "eth0/10.1.2.3" ], },
    "lease-database": { "type": "mysql", "name": "kea" }, /* two
    lines */
    "control-socket": { "socket-type": "unix" },
    "client-classes": [ { "name": "pxe", "next-server": "10.1.2.4", "boot-file-name": "ipxe.efi" } ], # a comment
    "subnet4": [ { "subnet": "10.1.2.0/23", "pools": [ { "pool": "10.1.2.100 - 10.1.2.199" } ] } ]
} }
"#;

    #[test]
    fn read_keeps_the_operators_file_but_for_what_names_this_host() {
        let found = read(GOOD).unwrap();
        assert_eq!(found.subnets, ["10.1.2.0/23".parse::<Ipv4Net>().unwrap()]);
        assert_eq!(found.next_servers, [Ipv4Addr::new(10, 1, 2, 4)]);
        let text: Value = serde_json::from_str(&found.text).unwrap();
        let dhcp = &text["Dhcp4"];
        assert_eq!(dhcp["interfaces-config"]["interfaces"][0], "{interface}");
        assert_eq!(dhcp["lease-database"]["type"], "memfile");
        assert!(dhcp.get("control-socket").is_none());
        assert_eq!(dhcp["client-classes"][0]["boot-file-name"], "ipxe.efi");
        assert_eq!(
            dhcp["subnet4"][0]["pools"][0]["pool"],
            "10.1.2.100 - 10.1.2.199"
        );
    }

    #[test]
    fn read_mistake_has_its_line_and_a_remedy() {
        let refused = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            let mistake = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            (mistake.line, mistake.why)
        };
        let (line, why) = refused("10.1.2.0/23", "10.1.2.0");
        assert!(
            line == 8 && why.contains("192.168.90.0/24"),
            "{line}: {why}"
        );
        let (line, why) = refused("\"subnet4\": [", "\"subnet4\" [");
        assert!(line == 8 && why.contains("invalid JSON"), "{line}: {why}");
        let (line, why) = refused("\"control-socket\"", "\"hosts-database\"");
        assert!(line == 6 && why.contains("reservations"), "{line}: {why}");
        let (line, why) = refused("\"control-socket\"", "<?include \"x\"?>");
        assert!(line == 6 && why.contains("included"), "{line}: {why}");
        let (line, why) = refused("Dhcp4", "Dhcp6");
        assert!(line == 1 && why.contains("Dhcp4"), "{line}: {why}");
        let (line, why) = refused("\"subnet4\": [ {", "\"subnet4\": [], \"x\": [ {");
        assert!(line == 8 && why.contains("missing subnet"), "{line}: {why}");
    }
}
