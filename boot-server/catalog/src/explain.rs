//! Explanation of a machine's boot: the groups tried, the group chosen, the files served.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use go_template::Budget;
use serde::Serialize;

use super::matching::Group;
use super::snapshot::{Folder, Layout, Refusal, ServedConfig, Snapshot};
use super::{BootSettings, Labels};

/// Maximum number of groups explained: the matching ones, and the closest of the others.
pub const EXPLAINED: usize = 20;

/// The whole story of one machine.
#[derive(Debug, Serialize)]
pub struct Explanation {
    layout: Layout,
    /// The machine's labels, as they are compared.
    labels: BTreeMap<String, String>,
    /// The group that it belongs to.
    chosen: Option<Chosen>,
    /// Reason for the refusal, when no group was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// Groups in the order in which they are tried.
    groups: Vec<Tried>,
    /// Groups that are not among them, because they differ in more.
    left_out: usize,
    /// Response by endpoint name.
    served: BTreeMap<&'static str, Served>,
}

#[derive(Debug, Serialize)]
struct Chosen {
    group: String,
    profile: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Tried {
    /// Position in the matching order, from 1.
    place: usize,
    group: String,
    profile: String,
    /// `chosen`, `shadowed` (it matches, but another comes first) or `no match`.
    verdict: &'static str,
    requires: Vec<Requirement>,
}

#[derive(Debug, Serialize)]
struct Requirement {
    label: String,
    wanted: String,
    /// Label value of the machine; none when the label is absent.
    got: Option<String>,
    met: bool,
}

/// Response of an endpoint.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Served {
    Boot {
        group: String,
        kernel: String,
        initrd: Vec<String>,
        options: Vec<String>,
    },
    File {
        group: String,
        file: String,
        bytes: usize,
    },
    Refused {
        error: String,
    },
}

impl From<Refusal> for Served {
    fn from(refusal: Refusal) -> Served {
        Served::Refused {
            error: refusal.reason,
        }
    }
}

/// Tells the story of the machine with these labels, asking with this query.
pub fn explain(snapshot: &Snapshot, labels: &Labels, query: &str) -> Explanation {
    let found = snapshot.group(labels);
    let mut nearest = snapshot.groups.nearest(labels, EXPLAINED);
    nearest.sort_by_key(|(position, _)| *position);
    let chosen = found.as_ref().ok();
    let is_chosen = |group: &Group| chosen.is_some_and(|chosen| std::ptr::eq(&***chosen, group));
    let groups: Vec<Tried> = nearest
        .iter()
        .map(|(position, group)| Tried {
            place: position + 1,
            group: group.name.to_string(),
            profile: group.profile_id.to_string(),
            verdict: match (group.matches(labels), is_chosen(group)) {
                (_, true) => "chosen",
                (true, false) => "shadowed",
                (false, false) => "no match",
            },
            requires: requirements(group, labels),
        })
        .collect();
    let matching: Vec<&Group> = nearest
        .iter()
        .map(|(_, group)| &***group)
        .filter(|group| group.matches(labels))
        .collect();
    Explanation {
        layout: snapshot.layout,
        labels: labels.0.clone(),
        chosen: chosen.map(|group| Chosen {
            group: group.name.to_string(),
            profile: group.profile_id.to_string(),
            why: why(group, &matching),
        }),
        refused: found.as_ref().err().map(|refusal| refusal.reason.clone()),
        left_out: snapshot.groups.len() - groups.len(),
        groups,
        served: served(snapshot, labels, query),
    }
}

fn requirements(group: &Group, labels: &Labels) -> Vec<Requirement> {
    let required = group.require.iter();
    required
        .map(|(label, wanted)| Requirement {
            label: label.to_owned(),
            wanted: wanted.to_owned(),
            got: labels.0.get(label).cloned(),
            met: labels.value(label) == wanted,
        })
        .collect()
}

/// Explains the choice of this group among the matching groups, which are given in matching order.
pub fn why(chosen: &Group, matching: &[&Group]) -> String {
    let mut others = matching
        .iter()
        .filter(|group| !std::ptr::eq(**group, chosen));
    let count = chosen.require.len();
    let Some(next) = others.next() else {
        return match count {
            0 => "the group requires no labels, and no other group matches".to_owned(),
            _ => "no other group matches".to_owned(),
        };
    };
    let (mine, theirs) = (chosen.require.text(), next.require.text());
    if next.require.len() < count {
        format!(
            "it requires more labels ({count}) than `{}` ({}), the next match",
            next.name,
            next.require.len()
        )
    } else if mine == theirs {
        format!("`{}` requires the same labels and comes later", next.name)
    } else {
        format!(
            "`{}` requires equally many labels, and `{theirs}` comes after `{mine}` in reverse alphabetical order",
            next.name
        )
    }
}

fn served(snapshot: &Snapshot, labels: &Labels, query: &str) -> BTreeMap<&'static str, Served> {
    let boot = |labels: &Labels| match snapshot.boot(labels) {
        Ok((group, boot)) => booted(group, &boot),
        Err(refusal) => refusal.into(),
    };
    let mut served = BTreeMap::from([("/ipxe", boot(labels)), ("/grub", boot(labels))]);
    // Pixiecore names a machine by its MAC alone, so that another group may be the one.
    if let Some(mac) = labels.0.get("mac") {
        served.insert("/pixiecore/v1/boot/MAC", boot(&Labels::from_mac(mac)));
    }
    for (folder, endpoint) in [
        (Folder::Cloud, "/cloud"),
        (Folder::Ignition, "/ignition"),
        (Folder::Generic, "/generic"),
    ] {
        let config = match snapshot.config(folder, labels, query) {
            Ok(config) => Served::File {
                group: config.group,
                file: format!("{}/{}", folder.name(), config.file),
                bytes: config.text.len(),
            },
            Err(refusal) => refusal.into(),
        };
        served.insert(endpoint, config);
    }
    let group = snapshot.group(labels);
    let profile = group
        .ok()
        .and_then(|group| snapshot.profile(&group.profile_id).ok());
    if profile.is_some_and(|profile| profile.seed().is_some()) {
        let user_data = snapshot.user_data(labels, query, Budget::default());
        served.insert("/nocloud/user-data", seed_file(user_data, "cloud/"));
        served.insert(
            "/nocloud/meta-data",
            seed_file(snapshot.meta_data(labels), ""),
        );
    }
    served
}

fn seed_file(served: Result<ServedConfig, Refusal>, folder: &str) -> Served {
    match served {
        Ok(config) => Served::File {
            group: config.group,
            file: format!("{folder}{}", config.file),
            bytes: config.text.len(),
        },
        Err(refusal) => refusal.into(),
    }
}

fn booted(group: &Group, boot: &BootSettings) -> Served {
    Served::Boot {
        group: group.name.to_string(),
        kernel: boot.kernel.clone(),
        initrd: boot.initrd.clone(),
        options: boot.options.clone(),
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirement {
            label,
            wanted,
            got,
            met,
        } = self;
        match (met, got) {
            (true, _) => write!(f, "{label}={wanted}"),
            (false, Some(got)) => write!(f, "{label} wanted {wanted:?}, got {got:?}"),
            (false, None) => write!(f, "{label} wanted {wanted:?}, absent"),
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Served::Boot {
                group,
                kernel,
                initrd,
                options,
            } => write!(
                f,
                "group `{group}`\n    kernel  {kernel}\n    initrd  {}\n    options {}",
                initrd.join("\n            "),
                options.join(" ")
            ),
            Served::File { group, file, bytes } => {
                write!(f, "group `{group}`: {file}, {bytes} bytes rendered")
            }
            Served::Refused { error } => write!(f, "404: {error}"),
        }
    }
}

impl Explanation {
    /// The groups in the order in which they are tried, as text: a heading, then a line for each.
    pub fn groups_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string never fails.
        let _ = self.write_groups(&mut text);
        text
    }

    fn write_groups(&self, f: &mut impl Write) -> fmt::Result {
        f.write_str("groups, in the order they are tried:\n")?;
        for tried in &self.groups {
            write!(f, "  {}. `{}` {}", tried.place, tried.group, tried.verdict)?;
            let requires: Vec<String> = tried.requires.iter().map(Requirement::to_string).collect();
            match requires.is_empty() {
                true => f.write_str(": requires nothing\n")?,
                false => writeln!(f, ": {}", requires.join("; "))?,
            }
        }
        if self.left_out > 0 {
            writeln!(f, "  and {} more, which differ in more", self.left_out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels:\n")?;
        for (key, value) in &self.labels {
            writeln!(f, "  {key}={value}")?;
        }
        match &self.chosen {
            Some(Chosen {
                group,
                profile,
                why,
            }) => {
                writeln!(
                    f,
                    "group `{group}`, {} `{profile}`: {why}",
                    self.layout.profile_word()
                )?;
            }
            None => writeln!(f, "{}", self.refused.as_deref().unwrap_or_default())?,
        }
        self.write_groups(f)?;
        f.write_str("served:\n")?;
        for (endpoint, served) in &self.served {
            let mut text = String::new();
            write!(text, "{served}")?;
            writeln!(f, "  {endpoint}: {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::load::Source;

    fn explained(rack: &str, query: &str) -> Explanation {
        let racks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/http");
        let (snapshot, _) = Snapshot::load(&Source::of(racks.join(rack)));
        explain(&snapshot, &Labels::from_query(query), query)
    }

    #[test]
    fn a_machine_that_matches_two_groups_is_explained() {
        let query = "mac=52-54-00-a1-9c-ae&os=installed";
        insta::assert_snapshot!(explained("matchbox-rack", query));
    }

    #[test]
    fn a_tie_is_explained_by_the_order_of_its_letters() {
        let why = explained("matchbox-rack", "serial=S1&hostname=h1")
            .chosen
            .unwrap()
            .why;
        assert_eq!(
            why,
            "`host` requires equally many labels, and `hostname=h1` comes after `serial=S1` in \
             reverse alphabetical order"
        );
    }

    #[test]
    fn every_endpoint_says_why_it_refuses() {
        let explanation = explained("bootcfg-rack", "uuid=dangling");
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["chosen"]["group"], "dangling");
        for endpoint in ["/ipxe", "/grub", "/cloud", "/ignition", "/generic"] {
            let error = json["served"][endpoint]["error"].as_str().unwrap();
            let reason = "spec `missing`: file not found: `specs/missing/spec.json`";
            assert_eq!(error, format!("group `dangling`: {reason}"), "{endpoint}");
        }
    }

    #[test]
    fn of_many_groups_the_nearest_are_told_and_the_rest_counted() {
        let groups = (0..3000).map(|n| Group {
            id: format!("g{n}").into(),
            name: format!("g{n}").into(),
            profile_id: "p".into(),
            require: [("serial", format!("s{n}")), ("os", "x".into())]
                .into_iter()
                .collect(),
            metadata: Default::default(),
            number: 0,
        });
        let snapshot = Snapshot {
            groups: super::super::matching::Groups::new(groups),
            ..Snapshot::default()
        };
        let explanation = explain(&snapshot, &Labels::from_query("serial=s77"), "serial=s77");
        assert_eq!(explanation.groups.len() + explanation.left_out, 3000);
        assert_eq!(explanation.groups.len(), EXPLAINED);
        let near = explanation
            .groups
            .iter()
            .find(|tried| tried.group == "g77")
            .unwrap();
        assert_eq!(near.requires[0].to_string(), "os wanted \"x\", absent");
        assert!(explanation.to_string().contains("and 2980 more"));
    }
}
