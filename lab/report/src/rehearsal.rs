//! Text about a rehearsal in reports: subject, durations, unchecked settings. Pure.

use super::RehearsalSummary;
use super::format::{self, count};

impl RehearsalSummary {
    /// Returns one sentence each about subject, images and durations.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = vec![format!(
            "Rehearsed {} in the network {}: {} of booting, {} of harness overhead.",
            self.data.display(),
            self.network,
            format::seconds(self.boot_seconds),
            format::seconds(self.harness_seconds),
        )];
        sentences.extend(self.images.iter().map(|image| format!("{image}.")));
        sentences
    }

    /// Returns a sentence about unchecked settings; `None` if everything was checked.
    #[must_use]
    pub fn unproven_in_short(&self) -> Option<String> {
        let things: usize = self.unproven.values().map(Vec::len).sum();
        (things > 0).then(|| {
            format!(
                "Not checked: {} in the configs of {}; index.html and run.json list them.",
                count(things, "thing", "things"),
                count(self.unproven.len(), "machine", "machines"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_says_what_it_was_of_and_what_it_leaves_open() {
        let mut rehearsal = RehearsalSummary {
            data: "site/data".into(),
            network: "dnsmasq.conf".into(),
            images: vec!["/assets/x: the stand-in under these names (2 machines)".into()],
            boot_seconds: 41.0,
            harness_seconds: 7.5,
            ..RehearsalSummary::default()
        };
        assert_eq!(rehearsal.unproven_in_short(), None);
        let open = [
            "unit a.service: it runs once".to_owned(),
            "its users".to_owned(),
        ];
        rehearsal.unproven.insert("node1".into(), open.to_vec());
        insta::assert_snapshot!(rehearsal.sentences().join("\n"), @r"
        Rehearsed site/data in the network dnsmasq.conf: 41.0 s of booting, 7.50 s of harness overhead.
        /assets/x: the stand-in under these names (2 machines).
        ");
        insta::assert_snapshot!(rehearsal.unproven_in_short().unwrap(), @"Not checked: 2 things in the configs of 1 machine; index.html and run.json list them.");
    }
}
