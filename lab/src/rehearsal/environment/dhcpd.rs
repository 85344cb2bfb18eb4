//! Network that a `dhcpd.conf` of ISC DHCP describes. dhcpd runs with the unchanged file.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Found, Mistake};

/// Name of the file in the copy.
pub(super) const FILE: &str = "dhcpd.conf";

/// Name of the file of leases, beside it.
pub(super) const LEASES: &str = "dhcpd.leases";

/// Statements that need another file or program, each with the remedy.
const UNSUPPORTED: [(&str, &str); 2] = [
    (
        "include",
        "write the included file's content into this file",
    ),
    (
        "failover",
        "remove the failover peer and the pools' references to it: the copy has one server",
    ),
];

/// Word, punctuation or text of the file, with its line.
struct Token<'t> {
    line: usize,
    text: &'t str,
}

/// Reads a `dhcpd.conf`.
pub(super) fn read(text: &str) -> Result<Found, Mistake> {
    let tokens = tokens(text)?;
    balance(text, &tokens)?;
    let mut found = Found {
        text: text.to_owned(),
        ..Found::default()
    };
    // Names begin a statement behind `;`, `{` or `}` only: the same words may be values.
    let mut is_first = true;
    for (index, token) in tokens.iter().enumerate() {
        let value = |offset: usize| tokens.get(index + offset).map_or("", |token| token.text);
        if is_first {
            if let Some((_, why)) = UNSUPPORTED.iter().find(|(word, _)| *word == token.text) {
                return Err(Mistake::at(text, token.line, format!("unsupported: {why}")));
            }
            match token.text {
                "subnet" => {
                    let net = subnet(value(1), value(2), value(3)).ok_or_else(|| {
                        let why = "invalid subnet; write `subnet 192.168.90.0 netmask 255.255.255.0 { … }`";
                        Mistake::at(text, token.line, why)
                    })?;
                    found.subnets.push(net);
                }
                // A name is resolved by dhcpd itself.
                "next-server" => found.next_servers.extend(value(1).parse::<Ipv4Addr>()),
                _ => {}
            }
        }
        is_first = [";", "{", "}"].contains(&token.text);
    }
    match found.subnets.is_empty() {
        true => Err(Mistake::at(
            text,
            1,
            "missing subnet; write `subnet 192.168.90.0 netmask 255.255.255.0 { range … }`",
        )),
        false => Ok(found),
    }
}

fn subnet(address: &str, netmask: &str, mask: &str) -> Option<Ipv4Net> {
    let prefix = ipnet::ipv4_mask_to_prefix(mask.parse().ok()?).ok()?;
    let net = Ipv4Net::new(address.parse().ok()?, prefix).ok()?;
    (netmask == "netmask" && net.network() == net.addr()).then_some(net)
}

/// Splits the file into words, texts and punctuation (dhcpd.conf(5)); comments begin with `#`.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, Mistake> {
    let mut tokens = Vec::new();
    for (index, whole) in text.lines().enumerate() {
        let line = index + 1;
        let mut rest = whole.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '#' => break,
                '"' => {
                    let end = rest.get(1..).and_then(|inner| inner.find('"'));
                    let why = "missing `\"` at the end of the text";
                    end.ok_or_else(|| Mistake::at(text, line, why))? + 2
                }
                ';' | '{' | '}' => 1,
                _ => rest
                    .find(|c: char| c.is_whitespace() || [';', '{', '}', '"', '#'].contains(&c))
                    .unwrap_or(rest.len()),
            };
            let (token, behind) = rest.split_at(length);
            tokens.push(Token { line, text: token });
            rest = behind.trim_start();
        }
    }
    Ok(tokens)
}

/// Checks that each brace is closed and that the file ends with a statement.
fn balance(text: &str, tokens: &[Token<'_>]) -> Result<(), Mistake> {
    let mut open: Vec<usize> = Vec::new();
    for token in tokens {
        match token.text {
            "{" => open.push(token.line),
            "}" if open.pop().is_none() => {
                return Err(Mistake::at(text, token.line, "`}` without `{`; remove it"));
            }
            _ => {}
        }
    }
    if let Some(line) = open.pop() {
        return Err(Mistake::at(text, line, "missing `}` for this `{`"));
    }
    match tokens.last() {
        Some(last) if ![";", "}"].contains(&last.text) => Err(Mistake::at(
            text,
            last.line,
            "missing `;` at the end of the statement",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# include \"nothing\";\nauthoritative;\noption domain-name \"subnet {\";\n\
                        subnet 10.1.2.0 netmask 255.255.254.0 {\n  range 10.1.2.100 10.1.2.199;\n\
                        \x20 next-server 10.1.2.4;\n  if exists user-class { filename \"http://10.1.2.3/boot.ipxe\"; }\n}\n";

    #[test]
    fn read_keeps_the_file_and_finds_its_subnet_and_boot_server() {
        let found = read(GOOD).unwrap();
        assert_eq!(found.text, GOOD);
        assert_eq!(found.subnets, ["10.1.2.0/23".parse::<Ipv4Net>().unwrap()]);
        assert_eq!(found.next_servers, [Ipv4Addr::new(10, 1, 2, 4)]);
    }

    #[test]
    fn read_mistake_has_its_line_and_a_remedy() {
        let refused = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            let mistake = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            (mistake.line, mistake.why)
        };
        let (line, why) = refused("255.255.254.0", "255.0.255.0");
        assert!(
            line == 4 && why.contains("netmask 255.255.255.0"),
            "{line}: {why}"
        );
        let (line, why) = refused("# include", "include");
        assert!(line == 1 && why.contains("included file"), "{line}: {why}");
        let (line, why) = refused("boot.ipxe\"; }", "boot.ipxe\";");
        assert!(line == 4 && why.contains("missing `}`"), "{line}: {why}");
        let (line, why) = refused("\"subnet {\"", "\"subnet {");
        assert!(line == 3 && why.contains("missing `\"`"), "{line}: {why}");
        let mistake = read("authoritative;\n").unwrap_err();
        assert!(mistake.why.contains("missing subnet"), "{}", mistake.why);
        let mistake = read(&format!("{GOOD}max-lease-time 60")).unwrap_err();
        assert_eq!(
            (mistake.line, mistake.why.contains("missing `;`")),
            (9, true)
        );
    }
}
