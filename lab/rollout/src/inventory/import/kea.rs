//! Host reservations of Kea: in `Dhcp4`, in its subnets and shared networks, or a list of them alone
//! (Kea Administrator Reference Manual, host reservations).

use std::path::Path;

use boot_server::catalog::problem::Problem;

use super::gather::{Found, Gathered};
use crate::inventory::source::{Document, Entry, Node, Value, json};

pub(super) fn is_likely(text: &str) -> bool {
    text.contains("\"reservations\"")
        || text.contains("\"hw-address\"")
        || text.contains("\"Dhcp4\"")
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    let document = Document::new(path, text);
    let root = json::read_kea(&document)?;
    match &root.value {
        // `reservation-get-all` answers with a list.
        Value::List(hosts) => {
            for host in hosts {
                import_host(&document, host, gathered);
            }
        }
        _ => search(&document, &root, gathered),
    }
    Ok(())
}

/// Finds lists of reservations at any depth: Kea has them at several.
fn search(document: &Document, node: &Node, gathered: &mut Gathered) {
    match &node.value {
        Value::List(items) => {
            for item in items {
                search(document, item, gathered);
            }
        }
        Value::Table(entries) => {
            for entry in entries {
                match (entry.key.as_str(), &entry.node.value) {
                    ("reservations" | "hosts", Value::List(hosts)) => {
                        for host in hosts {
                            import_host(document, host, gathered);
                        }
                    }
                    ("Dhcp6", _) => gathered.without("reservations of DHCPv6"),
                    _ => search(document, &entry.node, gathered),
                }
            }
        }
        _ => {}
    }
}

fn import_host(document: &Document, host: &Node, gathered: &mut Gathered) {
    let place = format!(
        "{}:{}:{}",
        document.path.display(),
        host.at.line,
        host.at.column
    );
    let Value::Table(entries) = &host.value else {
        gathered.skip(place, "a reservation is an object");
        return;
    };
    let mut found = Found::default();
    for Entry { key, node, .. } in entries {
        let text = match &node.value {
            Value::Text(text) if !text.is_empty() => text.as_str(),
            Value::Text(_) | Value::Nothing => continue,
            _ => "",
        };
        match key.as_str() {
            "hw-address" => found.macs.push(text.to_owned()),
            "hostname" => {
                // The machine is told its name as it stands here.
                found
                    .names
                    .extend(text.split('.').next().map(str::to_owned));
                found.hostname = Some(text.to_owned());
            }
            "ip-address" | "ip-addresses" | "prefixes" => gathered.without("IP addresses"),
            "user-context" | "comment" | "subnet-id" => {}
            other => gathered.without(format!("`{other}` of reservations")),
        }
    }
    gathered.add(place, found);
}
