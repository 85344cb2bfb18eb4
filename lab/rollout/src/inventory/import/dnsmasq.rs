//! `dhcp-host` lines of dnsmasq's configuration, and the lines of a `dhcp-hostsfile`.
//!
//! `[<hwaddr>…][,id:<client id>|*][,set:<tag>][,tag:<tag>][,<address>][,<name>][,<lease time>][,ignore]`
//! (dnsmasq(8), `--dhcp-host`).

use std::net::Ipv4Addr;
use std::path::Path;

use boot_server::catalog::problem::Problem;

use super::gather::{Found, Gathered};

pub(super) fn is_likely(text: &str) -> bool {
    text.lines().any(|line| option(line).is_some())
}

/// The value of a `dhcp-host` option, as in a file or on a command line.
fn option(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("--");
    let value = line.strip_prefix("dhcp-host")?.trim_start();
    value.strip_prefix('=').map(str::trim)
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        // A file of hosts alone has no keys; other options have one.
        let host = option(line).or_else(|| {
            let first = line.split(',').next().unwrap_or_default().trim();
            let is_host = Part::of(first).is_id() && line.contains(',');
            is_host.then_some(line)
        });
        if let Some(host) = host {
            let place = format!("{}:{}", path.display(), index + 1);
            import_host(&place, host, gathered);
        }
    }
    Ok(())
}

/// As dnsmasq reads it: `#` begins a comment at the start of a line and after white space.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if letter == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or_default();
        }
        before = letter;
    }
    line
}

/// One of the parts of a host, told by its form.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Mac(&'a str),
    /// An address of another kind of network, or with `*` in it.
    OtherHardware(&'a str),
    ClientId(&'a str),
    Tag(&'a str),
    Address(&'a str),
    LeaseTime(&'a str),
    Ignore,
    Name(&'a str),
}

impl<'a> Part<'a> {
    fn of(text: &'a str) -> Part<'a> {
        let tag = ["set:", "tag:", "net:"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix));
        if let Some(tag) = tag {
            return Part::Tag(tag);
        }
        if let Some(id) = text.strip_prefix("id:") {
            return Part::ClientId(id);
        }
        if text.starts_with('[') || text.parse::<Ipv4Addr>().is_ok() {
            return Part::Address(text);
        }
        if text == "ignore" {
            return Part::Ignore;
        }
        if is_lease_time(text) {
            return Part::LeaseTime(text);
        }
        let (hardware, address) = match text.split_once('-') {
            Some((hardware, address)) if address.contains(':') => (Some(hardware), address),
            _ => (None, text),
        };
        let bytes: Vec<&str> = address.split(':').collect();
        let is_byte = |part: &&str| {
            *part == "*"
                || (matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if bytes.len() < 2 || !bytes.iter().all(is_byte) {
            return Part::Name(text);
        }
        // Hardware types 1 and 6 are Ethernet and the IEEE 802 networks, whose addresses are MACs.
        let is_ethernet = hardware.is_none_or(|kind| matches!(kind, "1" | "01" | "6" | "06"));
        match is_ethernet && bytes.len() == 6 && !bytes.contains(&"*") {
            true => Part::Mac(address),
            false => Part::OtherHardware(text),
        }
    }

    fn is_id(&self) -> bool {
        matches!(
            self,
            Part::Mac(_) | Part::OtherHardware(_) | Part::ClientId(_)
        )
    }
}

fn is_lease_time(text: &str) -> bool {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd', 'w', 'S', 'M', 'H', 'D', 'W']);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    text == "infinite" || (is_number && text.len() - digits.len() <= 1)
}

fn import_host(place: &str, host: &str, gathered: &mut Gathered) {
    let mut found = Found::default();
    let mut ignored = false;
    for part in host
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        match Part::of(part) {
            Part::Mac(mac) => found.macs.push(mac.to_owned()),
            Part::OtherHardware(address) => {
                gathered.skip(place, format!("`{address}` is not one Ethernet card"));
            }
            Part::ClientId(_) => gathered.without("client ids (id:)"),
            Part::Tag(_) => gathered.without("tags (set:, tag:)"),
            Part::Address(_) => gathered.without("IP addresses"),
            Part::LeaseTime(_) => gathered.without("lease times"),
            Part::Ignore => ignored = true,
            Part::Name(name) => {
                // The machine is told its name without the domain.
                let (host, domain) = name.split_once('.').unwrap_or((name, ""));
                found.names.push(host.to_owned());
                found.hostname = Some(host.to_owned());
                if !domain.is_empty() {
                    found.labels.insert("domain".to_owned(), domain.to_owned());
                }
            }
        }
    }
    match ignored {
        true => gathered.skip(place, "dnsmasq ignores this host"),
        false => gathered.add(place, found),
    }
}
