//! What the reports say of a rehearsal beside its verdicts: what was rehearsed, how long which part took, and
//! what nobody looked at. Pure.

use super::RehearsalSummary;
use super::amounts::{self, count};

impl RehearsalSummary {
    /// What was rehearsed, on what, and how long it took, a sentence each.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = vec![format!(
            "Rehearsed was {} in the network {}: {} of booting, {} of the harness.",
            self.data.display(),
            self.network,
            amounts::seconds(self.boot_seconds),
            amounts::seconds(self.harness_seconds),
        )];
        sentences.extend(self.images.iter().map(|image| format!("{image}.")));
        sentences
    }

    /// How much nobody looked at; none when everything was.
    #[must_use]
    pub fn unproven_in_short(&self) -> Option<String> {
        let things: usize = self.unproven.values().map(Vec::len).sum();
        (things > 0).then(|| {
            format!(
                "Not looked at: {} that the configs of {} ask for; index.html and run.json list them.",
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
        Rehearsed was site/data in the network dnsmasq.conf: 41.0 s of booting, 7.50 s of the harness.
        /assets/x: the stand-in under these names (2 machines).
        ");
        insta::assert_snapshot!(rehearsal.unproven_in_short().unwrap(), @"Not looked at: 2 things that the configs of 1 machine ask for; index.html and run.json list them.");
    }
}
