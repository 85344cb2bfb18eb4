//! Choice of the group of a machine: all requirements equal, the most specific group first.
//!
//! The order is bootcfg 0.2.0's: more requirements first, ties in *reverse* lexicographic order of
//! the sorted `key=value` list (so `uuid=…` comes before `mac=…`; its documentation says
//! "alphabetical", its program does this). Two groups with the same requirements keep file order.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::Labels;
use super::requirements::Requirements;
use super::template::Metadata;

/// Maximum number of groups that are all compared to find the closest ones.
const LOOKED_AT: usize = 1000;

/// Group: its machines and their profile.
#[derive(Debug, Clone)]
pub struct Group {
    /// Id of the group: its file's name, or in a groups file its name.
    pub id: Arc<str>,
    /// Name of the group: the given one, or its id.
    pub name: Arc<str>,
    /// Id of the profile (bootcfg: spec).
    pub profile_id: Arc<str>,
    /// Labels that must be equal.
    pub require: Requirements,
    /// Values for templates and `/metadata`.
    pub metadata: Metadata,
    /// Position among the groups in file order, from 0.
    pub number: usize,
}

impl Group {
    /// Returns the requirements a machine does not meet, as key and wanted value.
    pub fn unmet<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.require
            .iter()
            .filter(|(key, wanted)| labels.value(key) != *wanted)
    }

    /// True if the machine meets all requirements.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.unmet(labels).next().is_none()
    }
}

/// The groups of a data directory in matching order, found without trying each of them.
#[derive(Debug, Default)]
pub struct Groups {
    ordered: Box<[Arc<Group>]>,
    /// Each group that requires something, by its rarest requirement.
    index: HashMap<Arc<str>, Box<[Entry]>>,
    hasher: RandomState,
    /// Positions of groups that require nothing, or only that labels be absent.
    anyone: Vec<u32>,
}

/// The hash of a value that a label may have, and the group that requires it; sorted.
///
/// Not the value itself: among very many groups each step of a search would be a look into memory that
/// is in no cache. Whoever finds a group here still has to see whether it matches.
type Entry = (u64, u32);

impl Groups {
    /// Puts groups in matching order.
    pub fn new(groups: impl IntoIterator<Item = Group>) -> Groups {
        let mut ordered: Vec<Arc<Group>> = groups.into_iter().map(Arc::new).collect();
        ordered.sort_by_cached_key(|group| {
            (Reverse(group.require.len()), Reverse(group.require.text()))
        });
        let mut sharing: HashMap<(&str, &str), u32> = HashMap::new();
        for requirement in ordered.iter().flat_map(|group| group.require.iter()) {
            *sharing.entry(requirement).or_default() += 1;
        }
        let hasher = RandomState::new();
        let mut index: HashMap<Arc<str>, Vec<Entry>> = HashMap::new();
        let mut anyone = Vec::new();
        for (position, group) in (0_u32..).zip(&ordered) {
            let given = group
                .require
                .shared()
                .filter(|(_, value)| !value.is_empty());
            match given.min_by_key(|(key, value)| sharing.get(&(&***key, &***value))) {
                Some((key, value)) => index
                    .entry(Arc::clone(key))
                    .or_default()
                    .push((hasher.hash_one(&**value), position)),
                None => anyone.push(position),
            }
        }
        let sorted = |mut entries: Vec<Entry>| {
            entries.sort_unstable();
            entries.into_boxed_slice()
        };
        Groups {
            index: index
                .into_iter()
                .map(|(key, entries)| (key, sorted(entries)))
                .collect(),
            ordered: ordered.into_boxed_slice(),
            hasher,
            anyone,
        }
    }

    /// Returns the best matching group.
    pub fn select(&self, labels: &Labels) -> Option<&Arc<Group>> {
        self.matching(labels).min().and_then(|best| self.at(best))
    }

    /// Returns all matching groups in matching order: the first is the machine's.
    pub fn all_matching(&self, labels: &Labels) -> Vec<&Arc<Group>> {
        let mut positions: Vec<u32> = self.matching(labels).collect();
        positions.sort_unstable();
        let groups = positions.into_iter();
        groups.filter_map(|position| self.at(position)).collect()
    }

    /// Positions of all groups that match, in no order.
    fn matching(&self, labels: &Labels) -> impl Iterator<Item = u32> {
        self.found(labels)
            .chain(self.anyone.iter().copied())
            .filter(|position| {
                self.at(*position)
                    .is_some_and(|group| group.matches(labels))
            })
    }

    /// Positions of the groups whose rarest requirement is met, and now and then of one more.
    fn found(&self, labels: &Labels) -> impl Iterator<Item = u32> {
        labels.0.iter().flat_map(|(key, value)| {
            let entries = self
                .index
                .get(key.as_str())
                .map_or(&[][..], |entries| entries);
            let hash = self.hasher.hash_one(value.as_str());
            let first = entries.partition_point(|(entry, _)| *entry < hash);
            let rest = entries.get(first..).unwrap_or_default();
            rest.iter()
                .take_while(move |(entry, _)| *entry == hash)
                .map(|(_, position)| *position)
        })
    }

    fn at(&self, position: u32) -> Option<&Arc<Group>> {
        self.ordered.get(usize::try_from(position).ok()?)
    }

    /// Returns all groups in matching order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.ordered.iter()
    }

    /// Returns the number of groups.
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// True if no group is defined.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// Returns the groups that match or come closest, the closest first, at most `limit`; each with its
    /// position in matching order.
    ///
    /// Among very many groups only those are looked at that share their rarest requirement with the
    /// machine, and those that require least: any other differs in more.
    pub fn nearest(&self, labels: &Labels, limit: usize) -> Vec<(usize, &Arc<Group>)> {
        let mut positions: Vec<u32> = match self.len() > LOOKED_AT {
            false => (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).collect(),
            true => {
                let least = self.len().saturating_sub(LOOKED_AT / 10)..self.len();
                let least = least.filter_map(|position| u32::try_from(position).ok());
                self.found(labels).take(LOOKED_AT).chain(least).collect()
            }
        };
        positions.sort_unstable();
        positions.dedup();
        let mut nearest: Vec<(usize, Reverse<usize>, usize, &Arc<Group>)> = positions
            .into_iter()
            .filter_map(|position| {
                let group = self.at(position)?;
                let unmet = group.unmet(labels).count();
                let position = usize::try_from(position).ok()?;
                Some((unmet, Reverse(group.require.len()), position, group))
            })
            .collect();
        nearest.sort_by_key(|(unmet, require, position, _)| (*unmet, *require, *position));
        nearest.truncate(limit);
        nearest
            .into_iter()
            .map(|(_, _, position, group)| (position, group))
            .collect()
    }

    /// Explains a failed match: the groups that came closest, and the labels in which they differ.
    pub fn why_none(&self, labels: &Labels) -> String {
        const NAMED: usize = 3;
        let closest: Vec<String> = self
            .nearest(labels, NAMED)
            .into_iter()
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
            true => "no group matches: no groups are defined".to_owned(),
            false => format!(
                "none of {} groups matches, and no group is a default; closest: {}",
                self.len(),
                closest.join("; ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, require: &[(&str, &str)]) -> Group {
        Group {
            id: name.into(),
            name: name.into(),
            profile_id: name.into(),
            require: require.iter().copied().collect(),
            metadata: Metadata::new(),
            number: 0,
        }
    }

    fn selected<'a>(groups: &'a Groups, query: &str) -> Option<&'a str> {
        groups.select(&Labels::from_query(query)).map(|g| &*g.name)
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

    #[test]
    fn among_many_groups_the_closest_is_found_without_looking_at_all() {
        let many = (0..5000).map(|n| {
            let serial = format!("s{n}");
            group(&serial, &[("serial", &serial), ("os", "installed")])
        });
        let groups = Groups::new(many.chain([group("hall", &[("hall", "7")])]));
        let labels = Labels::from_query("serial=s4711");
        let reason = groups.why_none(&labels);
        assert!(
            reason.contains("closest: `s4711` requires os=installed (not given); `hall`"),
            "{reason}"
        );
        let matching = groups.nearest(&Labels::from_query("serial=s7&os=installed"), 1);
        assert_eq!(&*matching[0].1.name, "s7");
    }

    proptest::proptest! {
        #[test]
        fn the_index_finds_what_trying_every_group_in_order_finds(
            requires in proptest::collection::vec(
                proptest::collection::btree_map("[a-c]|uuid", "[xy]?", 0..3), 0..8),
            labels in proptest::collection::btree_map("[a-c]|uuid", "[xy]?", 0..4),
        ) {
            let groups = Groups::new(requires.into_iter().enumerate().map(|(n, require)| Group {
                require: require.into_iter().collect(),
                ..group(&n.to_string(), &[])
            }));
            let labels = Labels(labels);
            let tried: Vec<_> =
                groups.iter().filter(|g| g.matches(&labels)).map(|g| &g.name).collect();
            proptest::prop_assert_eq!(groups.select(&labels).map(|g| &g.name), tried.first().copied());
            let all = groups.all_matching(&labels);
            proptest::prop_assert_eq!(all.iter().map(|g| &g.name).collect::<Vec<_>>(), tried);
        }
    }
}
