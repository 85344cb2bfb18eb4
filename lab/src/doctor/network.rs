//! Findings about the host's own network: rules that block machines of the host's libvirt or of a physical
//! network, and programs on a boot server's ports. Cells are not affected.

use super::host::{Host, command};
use super::packages::remedy_of;
use super::{Finding, Group, Subject};

/// Ports of a boot server on the host.
const PORTS: [(&str, &str, &str, u16); 5] = [
    ("port-67", "DHCP", "udp", 67),
    ("port-69", "TFTP", "udp", 69),
    ("port-80", "HTTP", "tcp", 80),
    ("port-8080", "boot config service", "tcp", 8080),
    ("port-4011", "proxyDHCP", "udp", 4011),
];

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let mut findings = vec![forwarding(host), firewalld(host)];
    findings.extend(PORTS.map(|(id, title, protocol, port)| {
        let subject = Subject(Group::HostNetwork, id, title);
        port_in_use(host, subject, protocol, port)
    }));
    findings
}

/// Checks whether the firewall drops forwarded packets, which machines behind a router or bridge need.
fn forwarding(host: &Host) -> Finding {
    let subject = Subject(Group::HostNetwork, "forwarding", "forwarding");
    let iptables = host.output(command::IPTABLES);
    let nft = host.output(command::NFT);
    if iptables.is_none() && nft.is_none() {
        return subject.warning(
            "unknown: this user cannot read the rules of iptables or nftables",
            "sudo lab doctor",
        );
    }
    let iptables = iptables.unwrap_or_default();
    if iptables
        .lines()
        .any(|line| line.trim() == "-P FORWARD DROP")
    {
        let docker = if iptables.contains("DOCKER") {
            " (set by Docker)"
        } else {
            ""
        };
        return subject.warning(
            format!("iptables drops forwarded packets{docker}"),
            "sudo iptables -I FORWARD -i virbr0 -j ACCEPT && sudo iptables -I FORWARD -o virbr0 -j ACCEPT, with the \
             bridge's name",
        );
    }
    match nft.unwrap_or_default().lines().find(|line| {
        line.contains("hook forward") && line.contains("policy drop")
    }) {
        Some(_) => subject.warning(
            "nftables drops forwarded packets",
            "sudo nft list chains shows the chain; add there: iifname virbr0 accept; oifname virbr0 accept, with the \
             bridge's name",
        ),
        None => subject.ok("not dropped by default"),
    }
}

/// Checks firewalld, whose default for libvirt's networks accepts DHCP, DNS, SSH and TFTP, but not HTTP.
fn firewalld(host: &Host) -> Finding {
    let subject = Subject(Group::HostNetwork, "firewalld", "firewalld");
    let runs = host
        .output(command::FIREWALLD)
        .is_some_and(|output| output.trim() == "running");
    if !runs {
        return subject.ok("not running");
    }
    let zone = host.output(command::ZONE).unwrap_or_default();
    let opened = zone.lines().filter_map(|line| line.split_once(':'));
    let opened = opened
        .filter(|(name, _)| name.trim() == "ports")
        .flat_map(|(_, ports)| ports.split_whitespace());
    if opened.into_iter().any(|port| port == "8080/tcp") {
        subject.ok("zone libvirt accepts HTTP on port 8080")
    } else {
        subject.warning(
            "zone libvirt rejects HTTP on port 8080 from machines",
            "sudo firewall-cmd --permanent --zone=libvirt --add-port=8080/tcp && sudo firewall-cmd --reload",
        )
    }
}

fn port_in_use(host: &Host, subject: Subject, protocol: &str, port: u16) -> Finding {
    let what = format!("{protocol} port {port}");
    let Some(sockets) = host.output(command::SOCKETS) else {
        return subject.warning(
            format!("state of {what} unknown: ss printed nothing"),
            remedy_of("ip", host),
        );
    };
    let Some(holder) = sockets
        .lines()
        .find_map(|line| holder(line, protocol, port))
    else {
        return subject.ok(format!("{what} is free"));
    };
    match holder {
        Some((name, pid)) => subject.warning(
            format!("{what} is in use by {name} (process {pid})"),
            format!("sudo systemctl stop {name}, or sudo kill {pid}"),
        ),
        None => subject.warning(
            format!("{what} is in use by a process of another user"),
            format!("sudo ss -lnp 'sport = :{port}' names it"),
        ),
    }
}

/// Returns the owner of the port if a line of `ss` is about it: `Some(None)` if the line names no process.
fn holder(line: &str, protocol: &str, port: u16) -> Option<Option<(String, u32)>> {
    let mut fields = line.split_whitespace();
    if fields.next() != Some(protocol) {
        return None;
    }
    // Columns: state, two queues, local address.
    let (_, local) = fields.nth(3)?.rsplit_once(':')?;
    if local.parse() != Ok(port) {
        return None;
    }
    Some(process(line))
}

/// Parses `users:(("dnsmasq",pid=123,fd=4))`.
fn process(line: &str) -> Option<(String, u32)> {
    let (_, users) = line.split_once("users:((\"")?;
    let (name, rest) = users.split_once('"')?;
    let (_, pid) = rest.split_once("pid=")?;
    let pid = pid.split(',').next()?.parse().ok()?;
    Some((name.to_owned(), pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_read_with_its_process() {
        let line = "udp UNCONN 0 0 0.0.0.0%br0:67 0.0.0.0:* users:((\"dnsmasq\",pid=812,fd=4))";
        assert_eq!(
            holder(line, "udp", 67),
            Some(Some(("dnsmasq".to_owned(), 812)))
        );
        assert_eq!(
            holder(line, "udp", 6),
            None,
            "not the beginning of a number"
        );
        assert_eq!(holder(line, "tcp", 67), None);
        let bare = "tcp LISTEN 0 128 [::]:8080 [::]:*";
        assert_eq!(holder(bare, "tcp", 8080), Some(None));
    }
}
