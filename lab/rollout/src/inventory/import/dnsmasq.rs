//! `dhcp-host` lines of dnsmasq's configuration, and the lines of a `dhcp-hostsfile`, also where its
//! configuration names other files: `conf-file`, `conf-dir`, `dhcp-hostsfile`, `dhcp-hostsdir`, `read-ethers`.
//!
//! `[<hwaddr>…][,id:<client id>|*][,set:<tag>][,tag:<tag>][,<address>][,<name>][,<lease time>][,ignore]`
//! (dnsmasq(8), `--dhcp-host`).

use std::net::Ipv4Addr;
use std::path::Path;

use boot_server_catalog::problem::Problem;

use super::gather::{Found, Gathered};
use super::include::Includes;

/// Options that name files with hosts, or with more options.
const ELSEWHERE: [&str; 5] = [
    "conf-file",
    "conf-dir",
    "dhcp-hostsfile",
    "dhcp-hostsdir",
    "read-ethers",
];

/// File in which `read-ethers` finds MACs with names.
const ETHERS: &str = "/etc/ethers";

pub(super) fn is_likely(text: &str) -> bool {
    text.lines().any(|line| {
        let (key, _) = option(line);
        key == "dhcp-host" || key == "dhcp-range" || ELSEWHERE.contains(&key)
    })
}

/// Returns key and value of an option, as in a file or on a command line.
fn option(line: &str) -> (&str, Option<&str>) {
    let line = without_comment(line).trim().trim_start_matches("--");
    match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (line, None),
    }
}

/// Kind of the lines in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// Options; lines without a key are hosts too, because a `dhcp-hostsfile` may be imported by itself.
    Options,
    /// Lines are hosts.
    Hosts,
    /// A MAC and a name or an address: ethers(5).
    Ethers,
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    import_lines(
        Lines::Options,
        path,
        text,
        &mut Includes::of(path),
        gathered,
    );
    Ok(())
}

fn import_lines(
    lines: Lines,
    path: &Path,
    text: &str,
    includes: &mut Includes,
    gathered: &mut Gathered,
) {
    for (index, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), index + 1);
        let bare = without_comment(line).trim();
        let (key, value) = option(line);
        match (lines, key, value) {
            (Lines::Options, "dhcp-host", Some(host)) => import_host(&place, host, gathered),
            (Lines::Options, "read-ethers", None) => {
                import_file(Lines::Ethers, &place, ETHERS, includes, gathered);
            }
            (Lines::Options, key, Some(value)) if ELSEWHERE.contains(&key) => {
                elsewhere(&place, key, value, includes, gathered);
            }
            (Lines::Options | Lines::Hosts, ..) => {
                let first = bare.split(',').next().unwrap_or_default().trim();
                if Part::of(first).is_id() && bare.contains(',') {
                    import_host(&place, bare, gathered);
                }
            }
            (Lines::Ethers, ..) => {
                if let [mac, name] = bare.split_whitespace().collect::<Vec<_>>()[..] {
                    import_host(&place, &format!("{mac},{name}"), gathered);
                }
            }
        }
    }
}

fn import_file(
    lines: Lines,
    place: &str,
    written: &str,
    includes: &mut Includes,
    gathered: &mut Gathered,
) {
    includes.file(
        place,
        written,
        gathered,
        |includes, path, text, gathered| {
            import_lines(lines, path, text, includes, gathered);
        },
    );
}

/// The files that an option names.
fn elsewhere(
    place: &str,
    key: &str,
    value: &str,
    includes: &mut Includes,
    gathered: &mut Gathered,
) {
    let mut parts = value.split(',').map(str::trim);
    let first = parts.next().unwrap_or_default();
    match key {
        "conf-file" => import_file(Lines::Options, place, first, includes, gathered),
        "conf-dir" => {
            let patterns: Vec<&str> = parts.collect();
            for file in includes.folder(place, first, gathered) {
                if is_taken(&file, &patterns) {
                    import_file(Lines::Options, place, &file, includes, gathered);
                }
            }
        }
        // Both may name a file or a folder.
        "dhcp-hostsfile" | "dhcp-hostsdir" => {
            let is_folder = key == "dhcp-hostsdir" || Path::new(first).is_dir();
            let files = match is_folder {
                true => includes.folder(place, first, gathered),
                false => vec![first.to_owned()],
            };
            let hidden: &[&str] = &[];
            for file in files
                .iter()
                .filter(|file| !is_folder || is_taken(file, hidden))
            {
                import_file(Lines::Hosts, place, file, includes, gathered);
            }
        }
        _ => {}
    }
}

/// True if dnsmasq reads a file of a folder: neither hidden nor an editor's, with one of the endings `*.x`
/// where there are some, and without one of the endings `.x`.
fn is_taken(file: &str, patterns: &[&str]) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let is_editors = name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'));
    if name.starts_with('.') || is_editors {
        return false;
    }
    let (wanted, others): (Vec<&str>, Vec<&str>) = patterns
        .iter()
        .filter(|pattern| !pattern.is_empty())
        .partition(|pattern| pattern.starts_with('*'));
    let ends = |pattern: &&str| name.ends_with(pattern.trim_start_matches('*'));
    (wanted.is_empty() || wanted.iter().any(ends)) && !others.iter().any(ends)
}

/// Removes a comment as dnsmasq does: `#` begins one at the start of a line and after white space.
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

/// Part of a host, recognized by its form.
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
                gathered.skip(
                    place,
                    format!("`{address}` is not the address of one Ethernet card"),
                );
            }
            Part::ClientId(_) => gathered.without("client ids (id:)"),
            Part::Tag(_) => gathered.without("tags (set:, tag:)"),
            Part::Address(_) => gathered.without("IP addresses"),
            Part::LeaseTime(_) => gathered.without("lease times"),
            Part::Ignore => ignored = true,
            Part::Name(name) => {
                // The machine gets its name without the domain.
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
