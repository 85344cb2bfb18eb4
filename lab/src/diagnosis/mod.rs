//! Why a machine did not boot: ranked causes, each with the evidence for it and what to try.
//!
//! Pure: an attempt's evidence in, [`Finding`]s out. `verdict` says whether and at which stage a node
//! failed; this room says what that most likely comes from. Nothing here looks at files or clocks, so that
//! the explanation of a saved attempt is the same on every machine.
//!
//! One file for each family of causes, in it one function for each cause: it looks at the [`case::Case`]
//! and answers with a finding or with none. A new cause is a variant of [`Cause`], such a function, its
//! place in [`DETECTORS`] and its section in `docs/troubleshooting.md`.

mod ack;
pub mod capture;
mod case;
mod cause;
mod chainload;
mod config;
mod config_text;
mod config_url;
mod content;
mod dhcp;
mod disturbed;
mod explain;
mod firmware;
mod guest;
mod identity;
mod image;
mod judged;
mod kernel;
mod link;
mod nbp;
mod proxy;
mod redirect;
mod restart;
mod script;
mod service;
#[cfg(test)]
pub(crate) mod tests;
mod tftp;

pub use cause::Cause;
pub use explain::{Explained, explain, explain_judged};
pub use judged::{JudgedNode, judge_attempt, judge_node};

use serde::{Deserialize, Serialize};

use crate::evidence::saved::Attempt;
use crate::scenario::Node;
use crate::timeline::Timeline;
use crate::verdict::NodeVerdict;
use case::Case;

/// A possible cause of a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// It in one plain sentence, with the names, addresses and files of this case.
    pub sentence: String,
    /// What speaks for it, most telling first.
    pub evidence: Vec<Proof>,
    /// What to try, in the imperative.
    pub remedy: String,
    /// How strongly the evidence speaks for it, 0 to 100; findings are ranked by it. From 90 on it was
    /// seen to happen; from 60 on it fits everything that was seen; below, it is only possible.
    pub weight: u8,
}

/// One piece of evidence for a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When it was seen: microseconds since the Unix epoch; none for something that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Frame number in the capture, when it is a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// It in words.
    pub text: String,
}

impl Proof {
    /// Of something that was not seen, or of no moment.
    fn of(text: impl Into<String>) -> Proof {
        Proof {
            at_us: None,
            frame: None,
            text: text.into(),
        }
    }

    /// Of something at that time.
    fn at(at_us: u64, text: impl Into<String>) -> Proof {
        Proof {
            at_us: Some(at_us),
            ..Proof::of(text)
        }
    }
}

/// Looks for one cause.
type Detector = fn(&Case) -> Option<Finding>;

/// All that are known, in the order of a boot: of two that weigh the same, the earlier one is told first.
const DETECTORS: &[Detector] = &[
    dhcp::no_server,
    dhcp::pool_exhausted,
    dhcp::two_servers,
    dhcp::address_conflict,
    dhcp::no_boot_options,
    ack::no_acknowledgement,
    ack::next_server_unreachable,
    service::died,
    identity::duplicate_mac,
    identity::impersonated,
    identity::borrowed,
    content::changed,
    content::differs,
    firmware::no_rng,
    firmware::stale_nvram,
    firmware::secure_boot,
    proxy::malformed,
    proxy::silent,
    nbp::not_found,
    nbp::wrong_architecture,
    restart::boot_program_dead,
    restart::reset,
    tftp::options_refused,
    tftp::server_died,
    chainload::endless,
    link::http_blocked,
    script::not_found,
    image::kernel_not_found,
    image::initrd_not_found,
    image::truncated,
    image::stalled,
    image::mismatch,
    kernel::too_little_memory,
    kernel::panic,
    guest::without_network,
    config_url::leads_nowhere,
    redirect::followed,
    config_text::invalid,
    config::not_found,
    config::server_error,
    config::refused_by_guest,
    config_text::unit_failed,
    config::wrong_served,
    link::packet_loss,
    link::too_slow,
    disturbed::console,
    guest::differs,
];

/// The causes that fit what became of `node`, best first; empty when it passed or nothing was decided.
pub fn diagnose(
    attempt: &Attempt,
    node: &Node,
    timeline: &Timeline,
    verdict: &NodeVerdict,
) -> Vec<Finding> {
    let stage = match verdict {
        NodeVerdict::Fail { stage, .. } => *stage,
        NodeVerdict::Infra { why } => return vec![infrastructure(why)],
        _ => return Vec::new(),
    };
    let case = Case::new(attempt, node, timeline, stage);
    let mut findings: Vec<Finding> = DETECTORS.iter().filter_map(|look| look(&case)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    findings
}

fn infrastructure(why: &str) -> Finding {
    Finding {
        cause: Cause::Infrastructure,
        sentence: format!("the lab's own set-up failed: {why}"),
        evidence: vec![Proof::of(why)],
        remedy: "read cell.log and libvirtd.log in the attempt's folder, mend what they name, and \
                 run again; nothing is known of the machine"
            .into(),
        weight: 100,
    }
}
