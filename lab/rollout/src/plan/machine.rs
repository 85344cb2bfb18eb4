//! Plan of one machine: the winning group, its script, and the configs that its kernel options request.

use std::sync::Arc;

use boot_server_catalog::Labels;
use boot_server_catalog::checked::Checked;
use boot_server_catalog::explain;
use boot_server_catalog::matching::Group;
use boot_server_catalog::snapshot::Folder;
use boot_server_catalog::snapshot::{Layout, Refusal, Snapshot};
use boot_server_proto::pixiecore::{BootSpec, Link};

use super::client_requests::{ClientRequests, Known, Settings};
use super::{Asked, Booted, Config, Document, MachinePlan, Refused, TranslatedFrom, Unmet, seed};
use crate::inventory::Machine;

/// The folders of configs and their endpoints.
const ENDPOINTS: [(Folder, &str); 3] = [
    (Folder::Cloud, "/cloud"),
    (Folder::Ignition, "/ignition"),
    (Folder::Generic, "/generic"),
];

pub(super) fn plan(
    snapshot: &Snapshot,
    machine: &Machine,
    requests: &ClientRequests,
    checked: &Checked,
) -> MachinePlan {
    let query = requests.query(snapshot.layout, machine);
    let labels = Labels::from_query(&query);
    let outcome = booted(snapshot, machine, requests, (&query, &labels), checked);
    let outcome = outcome.map_err(|refusal| Refused {
        group: refusal.group,
        reason: refusal.reason,
    });
    let unmet = match &outcome {
        Ok(booted) => unmet(snapshot.layout, machine, booted),
        Err(_) => Vec::new(),
    };
    MachinePlan {
        name: machine.name.clone(),
        request: format!("/ipxe?{query}"),
        outcome,
        unmet,
    }
}

fn booted(
    snapshot: &Snapshot,
    machine: &Machine,
    requests: &ClientRequests,
    (query, labels): (&str, &Labels),
    checked: &Checked,
) -> Result<Booted, Refusal> {
    let (group, boot) = snapshot.boot(labels)?;
    let matching: Vec<&Group> = snapshot
        .groups
        .all_matching(labels)
        .into_iter()
        .map(|group| &**group)
        .collect();
    let by: Vec<&str> = group.require.iter().map(|(key, _)| key).collect();
    let script = snapshot.layout.ipxe_script(&boot, labels);
    let by_pixiecore = (requests.known == Known::Mac)
        .then(|| pixiecore_options(snapshot, labels))
        .flatten();
    let own = || options(&script, &boot.kernel).to_owned();
    let command_line = Settings(machine).expand(&by_pixiecore.unwrap_or_else(own));
    let seed = seed::plan(snapshot, machine, &command_line);
    let mut configs = configs(snapshot, group, &command_line, query, checked);
    if seed.is_some() {
        // The seed has the same file as user-data.
        let is_unasked = |config: &Config| config.asked == Asked::ByNothing;
        configs.retain(|config| config.folder != Folder::Cloud || !is_unasked(config));
    }
    Ok(Booted {
        by: by.join("+"),
        why: explain::why(group, &matching),
        profile: group.profile_id.to_string(),
        group: group.name.to_string(),
        kernel: boot.kernel.clone(),
        initrd: boot.initrd.clone(),
        configs,
        seed,
        command_line,
        script: Document {
            request: format!("/ipxe?{query}"),
            file: None,
            text: script.into(),
        },
    })
}

/// Returns the kernel options as Pixiecore makes them of the API's answer, where it makes any: what is `true`
/// is a key alone to it. What it would fetch itself has an address that only it knows.
fn pixiecore_options(snapshot: &Snapshot, labels: &Labels) -> Option<String> {
    let (_, profile) = snapshot.bootable(labels).ok()?;
    let (Layout::Bootcfg, Some(boot)) = (snapshot.layout, &profile.boot) else {
        return None;
    };
    let answer = serde_json::to_vec(boot).ok()?;
    let BootSpec::Boot { cmdline, .. } = BootSpec::parse(&answer).ok()? else {
        return None;
    };
    let link: Link = Arc::new(|_| Ok("${pixiecore}".to_owned()));
    cmdline.render(&link).ok()
}

/// Returns the kernel options of a script: what follows the kernel in its line.
fn options<'a>(script: &'a str, kernel: &str) -> &'a str {
    let line = script
        .lines()
        .find_map(|line| line.strip_prefix("kernel ")?.strip_prefix(kernel));
    line.unwrap_or_default().trim()
}

fn configs(
    snapshot: &Snapshot,
    group: &Group,
    command_line: &str,
    query: &str,
    checked: &Checked,
) -> Vec<Config> {
    let profile = snapshot.profile(&group.profile_id).ok();
    ENDPOINTS
        .into_iter()
        .filter_map(|(folder, endpoint)| {
            let asked = asked_query(command_line, folder, endpoint);
            let named = profile.and_then(|profile| folder.file(profile));
            let (asked, query) = match (asked, named) {
                (Some(query), _) => (Asked::ByKernelOption, query),
                (None, Some(_)) => (Asked::ByNothing, query),
                (None, None) => return None,
            };
            let request = match query.is_empty() {
                true => endpoint.to_owned(),
                false => format!("{endpoint}?{query}"),
            };
            let labels = Labels::from_query(query);
            let config = snapshot.config_checked(folder, &labels, query, checked);
            let served = config.map(|config| Document {
                request: request.clone(),
                file: Some(format!("{}/{}", folder.name(), config.file)),
                text: config.text,
            });
            let source = match folder {
                Folder::Ignition => snapshot.translated_from(&labels, query),
                Folder::Cloud | Folder::Generic => None,
            };
            Some(Config {
                folder,
                asked,
                request,
                served,
                source: source.map(|(language, text)| TranslatedFrom {
                    language,
                    text: text.into(),
                }),
            })
        })
        .collect()
}

/// Returns the query that a kernel option makes the machine ask an endpoint with: of several the last counts,
/// as it does to coreos-cloudinit.
fn asked_query<'a>(command_line: &'a str, folder: Folder, endpoint: &str) -> Option<&'a str> {
    let mut options = command_line
        .split_whitespace()
        .filter_map(|option| option.split_once('='));
    let is_meant = |key: &str| match folder {
        Folder::Cloud => key.replace('_', "-") == "cloud-config-url",
        Folder::Ignition => matches!(
            key,
            "coreos.config.url"
                | "flatcar.config.url"
                | "ignition.config.url"
                | "coreos.inst.ignition_url"
        ),
        Folder::Generic => false,
    };
    match folder {
        // Whoever wants it: any option will do.
        Folder::Generic => options.rev().find_map(|(_, url)| query_of(url, endpoint)),
        Folder::Cloud | Folder::Ignition => {
            let (_, url) = options.rfind(|(key, _)| is_meant(key))?;
            query_of(url, endpoint)
        }
    }
}

/// Returns the query of a URL whose path is this endpoint; none for other URLs.
fn query_of<'a>(url: &'a str, endpoint: &str) -> Option<&'a str> {
    let (path, query) = target_of(url)?;
    (path == endpoint).then_some(query)
}

/// Returns path and query of a web server's URL; the query is empty without one.
pub(crate) fn target_of(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let path_and_query = rest.get(rest.find('/')?..)?;
    let path_and_query = path_and_query.split('#').next().unwrap_or_default();
    let parts = path_and_query.split_once('?');
    Some(parts.unwrap_or((path_and_query, "")))
}

fn unmet(layout: Layout, machine: &Machine, booted: &Booted) -> Vec<Unmet> {
    let file = |folder: Folder| {
        let document = match (booted.config(folder), folder) {
            (Some(config), _) => config.served.as_ref().ok()?,
            (None, Folder::Cloud) => booted.user_data()?.served.as_ref().ok()?,
            (None, Folder::Ignition | Folder::Generic) => return None,
        };
        let file = document.file.as_deref()?;
        Some(
            file.trim_start_matches(folder.name())
                .trim_start_matches('/')
                .to_owned(),
        )
    };
    let expect = &machine.expect;
    let compared = [
        (
            layout.profile_word(),
            &expect.profile,
            Some(booted.profile.clone()),
        ),
        ("cloud-config", &expect.cloud_config, file(Folder::Cloud)),
        ("ignition", &expect.ignition, file(Folder::Ignition)),
    ];
    compared
        .into_iter()
        .filter_map(|(what, wanted, got)| {
            let wanted = wanted.clone()?;
            (got.as_ref() != Some(&wanted)).then_some(Unmet { what, wanted, got })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_url_of_a_config_counts_and_others_are_not_ours() {
        let installer = "coreos.inst.ignition_url=http://h/ignition?mac=x";
        let ignition = asked_query(installer, Folder::Ignition, "/ignition");
        assert_eq!(ignition, Some("mac=x"));
        let elsewhere = "cloud-config-url=http://h/cloud?a=1 cloud-config-url=http://h/x";
        assert_eq!(asked_query(elsewhere, Folder::Cloud, "/cloud"), None);
        let asked = |line, folder, endpoint| asked_query(line, folder, endpoint);
        let line = "quiet cloud-config-url=http://h/cloud?a=1 cloud_config_url=http://h:8080/cloud?b=2#x \
                    coreos.config.url=https://h/ignition x=http://h/generic?g=1";
        assert_eq!(asked(line, Folder::Cloud, "/cloud"), Some("b=2"));
        assert_eq!(asked(line, Folder::Ignition, "/ignition"), Some(""));
        assert_eq!(asked(line, Folder::Generic, "/generic"), Some("g=1"));
        let other =
            "cloud-config-url=http://h/raw/cloud?a=1 coreos.config.url=tftp://h/ignition?x url";
        assert_eq!(asked(other, Folder::Cloud, "/cloud"), None);
        assert_eq!(asked(other, Folder::Ignition, "/ignition"), None);
    }

    #[test]
    fn options_follow_the_kernel_whatever_stands_in_it() {
        let script = "#!ipxe\nkernel --name k http://h/k a=1 b\ninitrd /i \nboot\n";
        assert_eq!(options(script, "--name k http://h/k"), "a=1 b");
        assert_eq!(options("#!ipxe\nkernel /k\nboot\n", "/k"), "");
    }
}
