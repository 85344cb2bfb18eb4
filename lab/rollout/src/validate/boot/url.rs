//! The URLs of configs: that they are valid, and that each requesting machine is served the config.

use boot_server_catalog::Labels;
use boot_server_catalog::check::asset_of;
use boot_server_catalog::labels::normal_mac;
use boot_server_catalog::matching::Group;
use boot_server_catalog::snapshot::{Folder, Snapshot};

use super::Booted;
use super::options::KernelOption;
use crate::validate::context::{SENT_LABELS, Subject, named};
use crate::validate::finding::Findings;

/// Endpoints of the boot config service.
const ENDPOINTS: [(&str, Option<Folder>); 4] = [
    ("cloud", Some(Folder::Cloud)),
    ("ignition", Some(Folder::Ignition)),
    ("generic", Some(Folder::Generic)),
    ("metadata", None),
];

/// The installer's config URL, with hyphens for underscores.
const INSTALLER: &str = "coreos.inst.ignition-url";

/// Looks at the URLs of a spec or profile.
pub(super) fn check(booted: &Booted<'_>, findings: &mut Findings) {
    for folder in [Folder::Cloud, Folder::Ignition] {
        if let Some(option) = booted.url(folder) {
            look(booted, folder, option, findings);
        }
    }
    // What the installer of Fedora CoreOS leaves on the disk.
    let mut options = booted.options.iter();
    if let Some(option) = options.find(|option| option.meant() == INSTALLER) {
        look(booted, Folder::Ignition, option, findings);
    }
}

fn look(booted: &Booted<'_>, folder: Folder, option: &KernelOption, findings: &mut Findings) {
    let url = option.value.as_deref().unwrap_or_default();
    let mut tell = |rule, message: String, help: String| {
        booted.tell(findings, rule, option.at, message, help);
    };
    let schemes: &[&str] = match folder {
        Folder::Cloud => &["http", "https"],
        _ => &["http", "https", "tftp", "s3", "gs", "data", "oem"],
    };
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if !schemes.contains(&scheme) {
        let message = format!("invalid URL in `{}`: `{url}`", option.key);
        let help = format!("write http://HOST/{}?…, without quotes", folder.name());
        return tell("config-url-invalid", message, help);
    }
    let Some((_, rest)) = url.split_once("://") else {
        return;
    };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let Some((_, path)) = before.split_once('/') else {
        let message = format!("missing path in `{}`: `{url}`", option.key);
        let help = format!("write http://HOST/{}?…", folder.name());
        return tell("config-url-invalid", message, help);
    };
    if let (Some(assets), Some(asset)) = (booted.context.assets, asset_of(&format!("/{path}")))
        && !assets.join(asset).is_file()
    {
        let message = format!("asset not found: `/{path}` in `{}`", option.key);
        let help = format!("copy the file to {}", assets.join(asset).display());
        return tell("missing-asset", message, help);
    }
    let Some((_, endpoint)) = ENDPOINTS.iter().find(|(name, _)| *name == path) else {
        let distance = |name: &str| strsim::damerau_levenshtein(name, path);
        let near = ENDPOINTS
            .iter()
            .find(|(name, _)| (1..=2).contains(&distance(name)));
        if let Some((name, _)) = near {
            let message = format!("`{}`: `/{path}` is answered 404", option.key);
            return tell("unserved-url", message, format!("did you mean `/{name}`?"));
        }
        return;
    };
    if *endpoint != Some(folder) && *endpoint != Some(Folder::Generic) {
        let message = format!("wrong endpoint: `{}` requests `/{path}`", option.key);
        return tell(
            "unserved-url",
            message,
            format!("request `/{}`", folder.name()),
        );
    }
    let endpoint = endpoint.unwrap_or(folder);
    served(booted, endpoint, option, query, &mut tell);
}

/// Checks that every machine that boots this is served the config that the URL requests.
pub(super) fn served(
    booted: &Booted<'_>,
    folder: Folder,
    option: &KernelOption,
    query: &str,
    tell: &mut dyn FnMut(&'static str, String, String),
) {
    let snapshot = booted.context.snapshot;
    let mut unserved: Vec<&str> = Vec::new();
    let mut why = String::new();
    let mut others: Vec<&str> = Vec::new();
    let mut alike: Vec<&str> = Vec::new();
    let mut other = String::new();
    for subject in &booted.subjects {
        // Another rule reports a group that no machine can match.
        let own = snapshot.group(&Labels::from_query(&subject.query));
        if own.map(|group| group.number) != Ok(subject.group.number) {
            continue;
        }
        let Some(query) = expand(query, subject) else {
            continue;
        };
        let labels = Labels::from_query(&query);
        let group = match snapshot.group(&labels) {
            Ok(group) if group.number == subject.group.number => group,
            // Another group that gives the same bytes does no harm now.
            Ok(group) if same_bytes(snapshot, folder, group, subject, &labels, &query) => {
                alike.push(&subject.name);
                other = format!("group `{}`", group.name);
                continue;
            }
            found => {
                // Whoever is more than a machine says of itself is asked for by something else.
                let required = subject.group.require.iter();
                let mut keys = required.map(|(key, _)| key);
                if subject.machine.is_none() && keys.any(|key| !SENT_LABELS.contains(&key)) {
                    continue;
                }
                others.push(&subject.name);
                other = match found {
                    Ok(group) => format!("group `{}`", group.name),
                    Err(_) => "no group".to_owned(),
                };
                continue;
            }
        };
        let profile = snapshot.profile(&group.profile_id);
        if let Ok(profile) = profile
            && folder.file(profile).is_none()
        {
            unserved.push(&subject.name);
            let word = snapshot.layout.profile_word();
            why = format!("{word} `{}` has no `{}`", profile.id, folder.key());
        }
    }
    if !unserved.is_empty() {
        let who = named(&unserved);
        let message = format!("`{}` is answered 404 for {who}: {why}", option.key);
        let help = format!("add `{}`, or remove the option", folder.key());
        tell("unserved-url", message, help);
    }
    if !alike.is_empty() {
        let who = named(&alike);
        let message = format!(
            "the query of `{}` selects {other} for {who}, with the same result now",
            option.key
        );
        let help = "add the labels that select the group: uuid=${uuid}&mac=${mac:hexhyp}";
        tell("url-same-other-group", message, help.to_owned());
    }
    if !others.is_empty() {
        let who = named(&others);
        let message = format!("the query of `{}` selects {other} for {who}", option.key);
        let help = "add the labels that select the group: uuid=${uuid}&mac=${mac:hexhyp}";
        tell("url-other-group", message, help.to_owned());
    }
}

/// True if a request with the labels of another group gets the bytes of the machine's own group.
fn same_bytes(
    snapshot: &Snapshot,
    folder: Folder,
    group: &Group,
    subject: &Subject<'_>,
    labels: &Labels,
    query: &str,
) -> bool {
    let file = |id: &str| Some(folder.file(snapshot.profile(id).ok()?)?.clone());
    let (Some(theirs), Some(own)) = (file(&group.profile_id), file(&subject.group.profile_id))
    else {
        return false;
    };
    let theirs = snapshot.rendered(folder, &theirs, group, labels, query);
    let own = snapshot.rendered(folder, &own, subject.group, &subject.labels, &subject.query);
    matches!((theirs, own), (Ok(theirs), Ok(own)) if theirs == own)
}

/// Returns the variables in a text: the names in `${…}`.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// Settings of iPXE that people use.
const SETTINGS: [&str; 20] = [
    "uuid",
    "serial",
    "asset",
    "manufacturer",
    "product",
    "board-serial",
    "hostname",
    "domain",
    "mac",
    "ip",
    "netmask",
    "gateway",
    "dns",
    "next-server",
    "dhcp-server",
    "proxydhcp/dhcp-server",
    "filename",
    "root-path",
    "buildarch",
    "platform",
];

/// Returns the setting of a variable: without its interface and its kind.
fn setting(variable: &str) -> &str {
    let name = variable.split(':').next().unwrap_or_default();
    name.rsplit('/').next().unwrap_or_default()
}

/// Returns the known setting that a misspelt variable most likely means.
pub(super) fn misspelt_variable(variable: &str) -> Option<&'static str> {
    /// Short names are near to anything.
    const SHORTEST: usize = 4;
    let name = setting(variable);
    if SETTINGS.contains(&name) {
        return None;
    }
    let distance = |known: &str| strsim::damerau_levenshtein(known, name);
    let mut near = SETTINGS
        .iter()
        .filter(|known| known.len() >= SHORTEST && distance(known) == 1);
    near.next().copied()
}

/// Returns the query of a machine's request; none if iPXE's expansion is unknown.
fn expand(query: &str, subject: &Subject<'_>) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}')?;
        expanded.push_str(before);
        let name = setting(variable);
        let value = match name {
            "uuid" | "serial" | "hostname" | "domain" | "platform" | "mac" => {
                subject.labels.0.get(name).cloned().unwrap_or_default()
            }
            "buildarch" => subject.labels.0.get("arch").cloned().unwrap_or_default(),
            _ => return None,
        };
        expanded.push_str(&match name {
            "mac" => normal_mac(&value).unwrap_or_default(),
            _ => value.replace('&', "%26").replace(' ', "%20"),
        });
        rest = after;
    }
    expanded.push_str(rest);
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_misspelt_ones_told() {
        let text = "http://h/c?uuid=${uuid}&mac=${net0/mac:hexhyp}&x=${own}";
        let found: Vec<&str> = variables(text).collect();
        assert_eq!(found, ["uuid", "net0/mac:hexhyp", "own"]);
        for (variable, meant) in [
            ("uid", Some("uuid")),
            ("uuid", None),
            ("net0/mac:hexhyp", None),
            ("seriall", Some("serial")),
            ("base-url", None),
            ("user-class", None),
            ("net1/ip", None),
            ("175:uint32", None),
        ] {
            assert_eq!(misspelt_variable(variable), meant, "{variable}");
        }
    }
}
