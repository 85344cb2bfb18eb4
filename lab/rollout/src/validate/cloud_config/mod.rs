//! cloud-configs: what coreos-cloudinit says of them, and what their YAML does not mean.

mod keys;
mod lint;
#[cfg(test)]
mod tests;

pub use lint::{Remark, Verdict, lint};

use super::finding::{Findings, Source};
use super::tree::{At, Kind, Node};

/// Variables that coreos-cloudinit fills in from a cloud's metadata.
const VARIABLES: [&str; 4] = [
    "$private_ipv4",
    "$private_ipv6",
    "$public_ipv4",
    "$public_ipv6",
];

/// Looks at a text that is served as user-data. `place` maps a place in it to one in its file, and `who` is
/// added to what is said.
pub(super) fn check(
    source: &Source,
    text: &str,
    place: &dyn Fn(At) -> At,
    who: &str,
    findings: &mut Findings,
) {
    if lint::is_ignition(text) {
        let message = format!("an Ignition config, which is not served as cloud-config{who}");
        let help = "move it to ignition/ and refer to it as `ignition_id`";
        let at = place(At { line: 1, column: 1 });
        return findings.add(source.problem("cloud-config-header", at, message, help));
    }
    let verdict = lint(text);
    for remark in &verdict.remarks {
        let message = format!("{}{who}", remark.message);
        findings.add(source.problem(remark.rule, place(remark.at), message, &remark.help));
    }
    if let Some(tree) = &verdict.tree {
        surprises(source, tree, place, findings);
    }
    if text.starts_with("#cloud-config") {
        variables(source, text, place, findings);
    }
}

/// YAML that means something else than it looks like.
fn surprises(source: &Source, tree: &Node, place: &dyn Fn(At) -> At, findings: &mut Findings) {
    for entry in tree.duplicate_keys() {
        let message = format!("duplicate key `{}` (the last one counts)", entry.key);
        let at = place(entry.at);
        findings.add(source.problem("duplicate-key", at, message, "keep one of them"));
    }
    let files = lint::entry(tree, "write_files").map_or(&[][..], |files| files.value.items());
    for file in files {
        let Some(entry) = lint::entry(file, "permissions") else {
            continue;
        };
        let text = entry.value.scalar().unwrap_or_default();
        if entry.value.kind() == Kind::Int && lint::is_plain(&entry.value) {
            let message = format!("permissions `{text}` are a number without quotes");
            let help = format!(
                "write \"{text:0>4}\": coreos-cloudinit takes the digits as they stand, other readers \
                 the number"
            );
            let at = place(entry.at);
            findings.add(source.problem("unquoted-permissions", at, message, help));
        }
    }
}

/// Variables that are filled in from metadata, of which a machine that boots by network has none.
fn variables(source: &Source, text: &str, place: &dyn Fn(At) -> At, findings: &mut Findings) {
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for variable in VARIABLES {
            let Some(found) = line.find(variable) else {
                continue;
            };
            let before = line.get(..found).unwrap_or_default();
            if before.ends_with('\\') {
                continue;
            }
            let column = before.chars().count() + 1;
            let at = At {
                line: index + 1,
                column,
            };
            let message = format!("`{variable}` is empty on a machine that boots from the network");
            let help = format!(
                "write the address, as `metadata` of the group; or see to it that the image sets \
                 COREOS_{}",
                variable.trim_start_matches('$').to_uppercase()
            );
            findings.add(source.problem("cloud-config-variable", place(at), message, help));
        }
    }
}
