//! Which group a machine belongs to: all requirements equal, the most specific group first.
//!
//! The order is bootcfg 0.2.0's: more requirements first, ties in *reverse* lexicographic order of
//! the sorted `key=value` list (so `uuid=…` comes before `mac=…`; its documentation says
//! "alphabetical", its program does this). Two groups with the same requirements keep file order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gotmpl::Value;

use super::Labels;

/// One group: which machines, and what they get.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Id of the spec.
    pub spec_id: String,
    /// Labels that must be equal; an empty value matches an absent label.
    pub require: BTreeMap<String, String>,
    /// Values for templates and `/metadata`.
    pub metadata: BTreeMap<Arc<str>, Value>,
}

impl Group {
    /// The requirements a machine does not meet, as `key: wanted X, got Y`.
    fn unmet<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.require
            .iter()
            .filter(|(key, wanted)| labels.value(key) != wanted.as_str())
            .map(|(key, wanted)| (key.as_str(), wanted.as_str()))
    }

    fn matches(&self, labels: &Labels) -> bool {
        self.unmet(labels).next().is_none()
    }
}

/// The groups of a data directory in matching order, found without trying each of them.
#[derive(Debug, Default)]
pub struct Groups {
    ordered: Vec<Arc<Group>>,
    /// Group positions by one of their non-empty requirements.
    by_requirement: HashMap<(String, String), Vec<usize>>,
    /// Positions of groups that require nothing, or only that labels be absent.
    anyone: Vec<usize>,
}

impl Groups {
    /// Puts groups in matching order.
    pub fn new(groups: impl IntoIterator<Item = Group>) -> Groups {
        let mut ordered: Vec<(String, Arc<Group>)> = groups
            .into_iter()
            .map(|group| (requirement_text(&group.require), Arc::new(group)))
            .collect();
        ordered.sort_by(|(text_a, a), (text_b, b)| {
            let by_count = b.require.len().cmp(&a.require.len());
            by_count.then_with(|| text_b.cmp(text_a))
        });
        let ordered: Vec<Arc<Group>> = ordered.into_iter().map(|(_, group)| group).collect();
        let mut groups = Groups::default();
        for (position, group) in ordered.iter().enumerate() {
            match telling_requirement(&group.require) {
                Some(requirement) => groups
                    .by_requirement
                    .entry(requirement)
                    .or_default()
                    .push(position),
                None => groups.anyone.push(position),
            }
        }
        Groups { ordered, ..groups }
    }

    /// The best matching group.
    pub fn select(&self, labels: &Labels) -> Option<&Arc<Group>> {
        let indexed = labels.0.iter().flat_map(|(key, value)| {
            let requirement = (key.clone(), value.clone());
            self.by_requirement.get(&requirement).into_iter().flatten()
        });
        let best = indexed
            .chain(&self.anyone)
            .filter(|position| self.group(**position).is_some_and(|g| g.matches(labels)))
            .min()?;
        self.group(*best)
    }

    fn group(&self, position: usize) -> Option<&Arc<Group>> {
        self.ordered.get(position)
    }

    /// All groups in matching order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.ordered.iter()
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// True when there is no group at all.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// Why no group matched: the groups that came closest, and by which labels they differ.
    pub fn why_none(&self, labels: &Labels) -> String {
        const NAMED: usize = 3;
        let mut misses: Vec<(usize, &Arc<Group>)> = self
            .iter()
            .map(|group| (group.unmet(labels).count(), group))
            .collect();
        misses.sort_by_key(|(unmet, group)| (*unmet, std::cmp::Reverse(group.require.len())));
        let closest: Vec<String> = misses
            .iter()
            .take(NAMED)
            .map(|(_, group)| {
                let wants: Vec<String> = group
                    .unmet(labels)
                    .map(|(key, wanted)| match labels.0.get(key) {
                        Some(got) => format!("{key}={wanted} (got {got})"),
                        None => format!("{key}={wanted} (not given)"),
                    })
                    .collect();
                format!("`{}` requires {}", group.name, wants.join(" and "))
            })
            .collect();
        match closest.is_empty() {
            true => "no group matches: there are no groups".to_owned(),
            false => format!(
                "none of {} groups matches, and none is a default; closest: {}",
                self.len(),
                closest.join("; ")
            ),
        }
    }
}

fn requirement_text(require: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = require.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

/// The requirement by which a group is looked up: the one that is most likely to be its alone.
fn telling_requirement(require: &BTreeMap<String, String>) -> Option<(String, String)> {
    ["uuid", "mac", "serial"]
        .iter()
        .filter_map(|key| require.get_key_value(*key))
        .chain(require.iter())
        .find(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.clone(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, require: &[(&str, &str)]) -> Group {
        Group {
            name: name.to_owned(),
            spec_id: name.to_owned(),
            require: require
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            metadata: BTreeMap::new(),
        }
    }

    fn selected<'a>(groups: &'a Groups, query: &str) -> Option<&'a str> {
        groups
            .select(&Labels::from_query(query))
            .map(|g| g.name.as_str())
    }

    #[test]
    fn more_requirements_win_and_ties_go_in_reverse_order() {
        let groups = Groups::new([
            group("default", &[]),
            group("by mac", &[("mac", "52:54:00:00:00:01")]),
            group("by uuid", &[("uuid", "u")]),
            group("two", &[("region", "r"), ("zone", "z")]),
        ]);
        assert_eq!(selected(&groups, ""), Some("default"));
        assert_eq!(
            selected(&groups, "uuid=u&mac=52-54-00-00-00-01"),
            Some("by uuid")
        );
        assert_eq!(selected(&groups, "uuid=u&region=r&zone=z"), Some("two"));
        assert_eq!(selected(&groups, "uuid=U"), Some("default"));
    }

    #[test]
    fn an_empty_requirement_wants_the_label_absent_or_empty() {
        let groups = Groups::new([group("not installed", &[("os", "")])]);
        assert_eq!(selected(&groups, ""), Some("not installed"));
        assert_eq!(selected(&groups, "os="), Some("not installed"));
        assert_eq!(selected(&groups, "os=installed"), None);
    }

    #[test]
    fn the_reason_for_no_match_names_the_closest_group_and_the_label() {
        let groups = Groups::new([
            group("far", &[("a", "1"), ("b", "2")]),
            group("near", &[("uuid", "u"), ("os", "installed")]),
        ]);
        let reason = groups.why_none(&Labels::from_query("uuid=u"));
        assert!(
            reason.contains("closest: `near` requires os=installed (not given); `far`"),
            "{reason}"
        );
    }

    proptest::proptest! {
        #[test]
        fn the_index_finds_what_trying_every_group_in_order_finds(
            requires in proptest::collection::vec(
                proptest::collection::btree_map("[a-c]|uuid", "[xy]?", 0..3), 0..8),
            labels in proptest::collection::btree_map("[a-c]|uuid", "[xy]?", 0..4),
        ) {
            let groups = Groups::new(requires.into_iter().enumerate().map(|(n, require)| Group {
                require,
                ..group(&n.to_string(), &[])
            }));
            let labels = Labels(labels);
            let tried = groups.iter().find(|g| g.matches(&labels)).map(|g| &g.name);
            proptest::prop_assert_eq!(groups.select(&labels).map(|g| &g.name), tried);
        }
    }
}
