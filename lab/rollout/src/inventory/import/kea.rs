//! Host reservations of Kea: in `Dhcp4`, in its subnets and shared networks, or a list of them alone
//! (Kea Administrator Reference Manual, host reservations).

use std::path::Path;

use boot_server_catalog::problem::Problem;

use super::gather::{Found, Gathered};
use super::include::Includes;
use crate::inventory::source::{Document, Entry, Node, Value, json};

pub(super) fn is_likely(text: &str) -> bool {
    text.contains("\"reservations\"")
        || (text.contains("<?include") && text.trim_start().starts_with(['{', '[', '#', '/', '<']))
        || text.contains("\"hw-address\"")
        || text.contains("\"Dhcp4\"")
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    let text = with_includes(path, text, &mut Includes::of(path), gathered);
    let document = Document::new(path, &text);
    let root = json::read_kea(&document)?;
    match &root.value {
        // The control agent answers with a list of results, one a server; else it is a list of hosts.
        Value::List(items) => {
            for item in items {
                match is_host(item) {
                    true => import_host(&document, item, gathered),
                    false => search(&document, item, gathered),
                }
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
            refusal(document, node, entries, gathered);
            for entry in entries {
                match (entry.key.as_str(), &entry.node.value) {
                    ("reservations" | "hosts", Value::List(hosts)) => {
                        for host in hosts {
                            import_host(document, host, gathered);
                        }
                    }
                    // `reservation-get` answers with the host itself.
                    ("arguments", Value::Table(_)) if is_host(&entry.node) => {
                        import_host(document, &entry.node, gathered);
                    }
                    ("Dhcp6", _) => gathered.without("reservations of DHCPv6"),
                    _ => search(document, &entry.node, gathered),
                }
            }
        }
        _ => {}
    }
}

/// True for an object that has what a host is known by.
fn is_host(node: &Node) -> bool {
    const IDENTIFIERS: [&str; 5] = ["hw-address", "duid", "client-id", "circuit-id", "flex-id"];
    match &node.value {
        Value::Table(entries) => entries
            .iter()
            .any(|e| IDENTIFIERS.contains(&e.key.as_str())),
        _ => false,
    }
}

/// Notes a server that did not give what it was asked for.
fn refusal(document: &Document, node: &Node, entries: &[Entry], gathered: &mut Gathered) {
    let value = |key: &str| entries.iter().find(|e| e.key == key).map(|e| &e.node.value);
    let failed = matches!(value("result"), Some(Value::Number(number)) if number != "0");
    if let (true, Some(Value::Text(why))) = (failed, value("text")) {
        let place = format!("{}:{}", document.path.display(), node.at.line);
        gathered.skip(place, format!("error answer of a server: {why}"));
    }
}

/// Returns the text with the files that `<?include "FILE"?>` names in it; line numbers are unchanged. A file
/// that is not read is replaced by nothing, or by `null` where JSON needs a value.
fn with_includes(
    path: &Path,
    text: &str,
    includes: &mut Includes,
    gathered: &mut Gathered,
) -> String {
    const BEGIN: &str = "<?include";
    const END: &str = "?>";
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        whole.push_str(before);
        let (directive, mut next) = after.split_once(END).unwrap_or((after, ""));
        let written = directive.trim().trim_matches('"');
        let line = text.len().saturating_sub(after.len());
        let line = text.get(..line).unwrap_or_default().matches('\n').count() + 1;
        let place = format!("{}:{line}", path.display());
        if is_hidden(&whole) {
            // In a comment or a text.
            whole.push_str(BEGIN);
            rest = after;
            continue;
        }
        let brought = includes.file(
            &place,
            written,
            gathered,
            |includes, file, text, gathered| {
                json::without_comments(&with_includes(file, text, includes, gathered))
                    .replace('\n', " ")
            },
        );
        let brought = brought.filter(|text| !text.trim().is_empty());
        match (brought, whole.trim_end().chars().last()) {
            (Some(text), _) => whole.push_str(&text),
            (None, Some(':')) => whole.push_str("null"),
            (None, Some(',' | '[' | '{')) => {
                let trimmed = next.trim_start();
                next = trimmed.strip_prefix(',').unwrap_or(next);
            }
            (None, _) => {}
        }
        rest = next;
    }
    whole.push_str(rest);
    whole
}

/// True if a text ends within a comment or within quotes.
fn is_hidden(before: &str) -> bool {
    let shown = json::without_comments(&format!("{before}\u{1}"));
    let mut in_text = false;
    let mut escaped = false;
    for letter in shown.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
    }
    in_text || !shown.contains('\u{1}')
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
                // The machine gets the name as written here.
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
