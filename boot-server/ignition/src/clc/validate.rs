//! Checks of a Container Linux Config as it is written.

use serde_json::{Map, Value as Json};

use super::options::{Section, Sections};
use crate::check::walk;
use crate::finding::{Reason, Report};
use crate::go::url;
use crate::path::Path;
use crate::schema::{Shape, spec2};
use crate::value::Struct;
use crate::yaml::{Content, Node};

const OLDEST_ETCD: [i64; 3] = [2, 3, 0];
const OLDEST_FLANNEL: [i64; 3] = [0, 5, 0];

/// Checks a config, and reports keys that nothing reads.
pub(super) fn check(config: &Struct, sections: &Sections, root: &Node) -> Report {
    let mut report = Report::default();
    walk(
        config,
        &spec2::CONFIG,
        0,
        &Path::default(),
        &mut |found, shape, path| {
            let node = node_at(root, path);
            if node.is_some() || path.steps().is_empty() {
                check_one(found, shape, sections, path, &mut report);
            }
            if let Some(node) = node {
                unknown_keys(node, shape, sections, path, &mut report);
            }
        },
    );
    report
}

/// Returns the mapping at a path, behind aliases.
fn node_at<'a>(root: &'a Node, path: &Path) -> Option<&'a Node> {
    use crate::path::Step;
    let node =
        path.steps()
            .iter()
            .try_fold(root, |node, step| match (step, &node.target().content) {
                (Step::Key(key), _) => node.target().get(key),
                (Step::Index(index), Content::List(items)) => items.get(*index).map(AsRef::as_ref),
                _ => None,
            });
    node.map(Node::target)
        .filter(|node| matches!(node.content, Content::Map(_)))
}

fn unknown_keys(node: &Node, shape: &Shape, sections: &Sections, path: &Path, report: &mut Report) {
    let Content::Map(entries) = &node.content else {
        return;
    };
    let section = match shape.name {
        "Etcd" => sections.etcd.as_ref(),
        "Flannel" => sections.flannel.as_ref(),
        _ => None,
    };
    for (key, _) in entries {
        let name = key.key_text();
        let is_option = section
            .and_then(|section| section.shape)
            .is_some_and(|(shape, minor)| shape.field(name, minor).is_some());
        if shape.field(name, 0).is_none() && !is_option {
            report.warn(
                path.key(name.to_owned()),
                Reason::UnrecognizedKey(name.to_owned()),
            );
        }
    }
}

fn check_one(found: &Struct, shape: &Shape, sections: &Sections, path: &Path, report: &mut Report) {
    match shape.name {
        "File" if !found.has("mode") => report.warn(path.key("mode"), Reason::FileModeUnset),
        "Directory" if !found.has("mode") => {
            report.warn(path.key("mode"), Reason::DirectoryModeUnset)
        }
        "FileContents" => {
            let remote = found.child("remote").text("url");
            let sources = [remote, found.text("inline"), found.text("local")];
            if sources.iter().filter(|source| !source.is_empty()).count() > 1 {
                report.error(path.clone(), Reason::TooManyFileSources);
            }
        }
        "Etcd" => {
            if let Some(section) = &sections.etcd {
                etcd_version(section, path, report);
            }
        }
        "Flannel" => {
            if let Some(section) = &sections.flannel {
                flannel(found, section, path, report);
            }
        }
        "Update" => update(found, path, report),
        "Locksmith" => locksmith(found, path, report),
        _ => {}
    }
}

fn etcd_version(section: &Section, path: &Path, report: &mut Report) {
    let Some(version) = &section.version else {
        return;
    };
    let path = path.key("version");
    match version.numbers {
        _ if version.is_before(OLDEST_ETCD) => report.error(path, Reason::EtcdTooOld),
        [2 | 3, 4..=i64::MAX, _] => report.warn(path, Reason::EtcdMinorTooNew),
        [4..=i64::MAX, ..] => report.error(path, Reason::EtcdTooNew),
        _ => {}
    }
}

fn flannel(found: &Struct, section: &Section, path: &Path, report: &mut Report) {
    let network = found.text("network_config");
    if section.options.is_true("kube_subnet_mgr") && !network.is_empty() {
        report.error(path.clone(), Reason::FlannelConfigAndManager);
        return;
    }
    if let Some(version) = &section.version {
        let path = path.key("version");
        match version.numbers {
            _ if version.is_before(OLDEST_FLANNEL) => report.error(path, Reason::FlannelTooOld),
            [0, 8..=i64::MAX, _] => report.warn(path, Reason::FlannelMinorTooNew),
            _ => {}
        }
    }
    if !network.is_empty() && serde_json::from_str::<Map<String, Json>>(network).is_err() {
        report.error(path.key("network_config"), Reason::FlannelNetworkConfig);
    }
}

fn update(found: &Struct, path: &Path, report: &mut Report) {
    let group = found.text("group").to_ascii_lowercase();
    let server = found.text("server");
    if !matches!(group.as_str(), "stable" | "beta" | "alpha") && server.is_empty() {
        report.warn(path.clone(), Reason::UpdateGroup);
    }
    if url::parse(server).is_err() {
        report.error(path.key("server"), Reason::Url);
    }
}

fn locksmith(found: &Struct, path: &Path, report: &mut Report) {
    let (start, length) = (found.text("window_start"), found.text("window_length"));
    if start.is_empty() != length.is_empty() {
        report.error(path.clone(), Reason::WindowIncomplete);
        return;
    }
    if let Some(strategy) = found.opt_text("reboot_strategy") {
        let strategy = strategy.to_ascii_lowercase();
        if !matches!(strategy.as_str(), "reboot" | "etcd-lock" | "off") {
            report.error(path.key("reboot_strategy"), Reason::RebootStrategy);
        }
    }
    if !start.is_empty() {
        report.check(path.key("window_start"), window_start(start));
    }
    if !length.is_empty() && !is_duration(length) {
        report.error(path.key("window_length"), Reason::WindowLength);
    }
}

/// Checks a time of day, with or without a day of the week.
fn window_start(text: &str) -> Result<(), Reason> {
    let mut words = text.split_whitespace();
    let time = match (words.next(), words.next()) {
        (Some(day), Some(time)) => {
            let day = day.to_ascii_lowercase();
            if !matches!(
                day.as_str(),
                "sun" | "mon" | "tue" | "wed" | "thu" | "fri" | "sat"
            ) {
                return Err(Reason::WindowDay);
            }
            time
        }
        _ => text,
    };
    let is_number = |text: &str, lengths: std::ops::RangeInclusive<usize>, most: u32| {
        lengths.contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit())
            && text.parse().is_ok_and(|number: u32| number <= most)
    };
    match time.split_once(':') {
        Some((hour, minute)) if is_number(hour, 1..=2, 23) && is_number(minute, 2..=2, 59) => {
            Ok(())
        }
        _ => Err(Reason::WindowStart),
    }
}

/// True for what Go's `time.ParseDuration` takes.
fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    loop {
        let number = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(number);
        let is_number =
            digits.bytes().any(|b| b.is_ascii_digit()) && digits.matches('.').count() < 2;
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let is_unit = matches!(
            &after[..unit],
            "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h"
        );
        if !is_number || !is_unit {
            return false;
        }
        rest = &after[unit..];
        if rest.is_empty() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_that_of_go() {
        for text in ["1h", "1h30m", "-1.5h", "0", "+.5s", "90m", "1µs"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "1", "h", "1h 30m", "1x", ".h", "-"] {
            assert!(!is_duration(text), "{text}");
        }
    }

    #[test]
    fn start_of_a_window_is_a_time_with_or_without_a_day() {
        for text in ["04:00", "Sun 4:00", "THU 23:59"] {
            assert_eq!(window_start(text), Ok(()), "{text}");
        }
        assert_eq!(window_start("sunday 04:00"), Err(Reason::WindowDay));
        for text in ["Thu 24:00", "Thu", "4", "04:0", "Fri 04:00:00"] {
            assert_eq!(window_start(text), Err(Reason::WindowStart), "{text}");
        }
    }
}
