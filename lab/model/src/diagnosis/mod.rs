//! Diagnosis of a failed boot: ranked causes, each with its evidence and remedy.
//!
//! Pure: an attempt's evidence in, [`Finding`]s out. `verdict` decides whether and at which stage a node failed;
//! this module finds the most likely cause. It uses neither files nor clocks, so that the explanation of a saved
//! attempt is the same on every computer.
//!
//! Each family of causes has one file, and each cause one function, which examines the [`case::Case`] and
//! returns a finding or `None`. A new cause needs a variant of [`Cause`], such a function, an entry in
//! [`DETECTORS`] and a section in `docs/troubleshooting.md`.

mod ack;
pub mod capture;
mod card;
mod case;
mod cause;
mod chainload;
mod cloud_init;
mod config;
mod config_text;
mod config_url;
mod content;
mod custom;
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
mod outside;
mod proxy;
mod redirect;
mod relay;
mod restart;
mod router;
mod script;
mod service;
mod signed_chain;
#[cfg(test)]
pub(crate) mod tests;
mod tftp;
mod tls;
mod vlan;

pub use cause::Cause;
pub use explain::{Explained, explain, explain_judged};
pub use judged::{JudgedNode, judge_attempt, judge_node};

use serde::{Deserialize, Serialize};

use crate::evidence::packet::Frame;
use crate::evidence::saved::Attempt;
use crate::scenario::{Node, Scenario};
use crate::timeline::Timeline;
use crate::verdict::NodeVerdict;
use case::Case;

/// Possible cause of a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Kind of the cause.
    pub cause: Cause,
    /// Explanation in one plain sentence, with the names, addresses and files of this case.
    pub sentence: String,
    /// Evidence, strongest first.
    pub evidence: Vec<Proof>,
    /// Remedy, in the imperative.
    pub remedy: String,
    /// Strength of the evidence, 0 to 100; findings are ranked by it. From 90 on the cause was observed; from 60
    /// on it is consistent with all evidence; below, it is only possible.
    pub weight: u8,
}

/// Piece of evidence for a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Proof {
    /// Time in microseconds since the Unix epoch; `None` for a missing observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Place in the captures, if the evidence is a packet.
    #[serde(flatten)]
    pub frame: Option<Frame>,
    /// Service of the user that printed something at that time, for a link to its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Description of the evidence.
    pub text: String,
}

impl Proof {
    /// Builds evidence without a time, such as a missing packet.
    fn of(text: impl Into<String>) -> Proof {
        Proof {
            at_us: None,
            frame: None,
            service: None,
            text: text.into(),
        }
    }

    /// Builds evidence at a time.
    fn at(at_us: u64, text: impl Into<String>) -> Proof {
        Proof {
            at_us: Some(at_us),
            ..Proof::of(text)
        }
    }
}

/// Function that detects one cause.
type Detector = fn(&Case) -> Option<Finding>;

/// All detectors in the order of a boot: of two findings with equal weight, the earlier one is listed first.
const DETECTORS: &[Detector] = &[
    dhcp::no_server,
    dhcp::pool_exhausted,
    dhcp::two_servers,
    dhcp::address_conflict,
    dhcp::no_boot_options,
    ack::no_acknowledgement,
    ack::next_server_unreachable,
    relay::server_unreachable,
    relay::to_wrong_server,
    relay::without_giaddr,
    relay::drops_replies,
    relay::two_relays,
    relay::wrong_pool,
    vlan::not_allowed,
    vlan::native_mismatch,
    vlan::tag_lost,
    router::blocked,
    router::narrow,
    outside::address,
    card::other,
    service::died,
    identity::duplicate_mac,
    identity::impersonated,
    identity::borrowed,
    content::changed,
    content::request_changed,
    content::differs,
    firmware::no_rng,
    firmware::stale_nvram,
    firmware::secure_boot,
    tls::refused,
    signed_chain::boot_file_in_options_only,
    signed_chain::second_stage_not_found,
    signed_chain::second_stage_refused,
    signed_chain::kernel_refused,
    signed_chain::grub_without_menu,
    proxy::malformed,
    proxy::silent,
    nbp::not_found,
    nbp::wrong_architecture,
    restart::boot_program_dead,
    restart::reset,
    tftp::options_refused,
    tftp::missing_file_unanswered,
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
    cloud_init::seed_url,
    cloud_init::seed_ignored,
    cloud_init::step_failed,
    config::wrong_served,
    link::packet_loss,
    link::too_slow,
    disturbed::console,
    guest::differs,
];

/// Returns the causes that fit the failure of `node`, best first; empty if it passed or was not judged.
pub fn diagnose(
    attempt: &Attempt,
    node: &Node,
    timeline: &Timeline,
    verdict: &NodeVerdict,
) -> Vec<Finding> {
    let stage = match verdict {
        NodeVerdict::Fail { stage, .. } => *stage,
        NodeVerdict::Infra { why } => return vec![infrastructure(why, &attempt.scenario)],
        _ => return Vec::new(),
    };
    let case = Case::new(attempt, node, timeline, stage);
    let mut findings: Vec<Finding> = DETECTORS.iter().filter_map(|look| look(&case)).collect();
    for finding in &mut findings {
        custom::name_services(&case, finding);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    findings
}

fn infrastructure(why: &str, scenario: &Scenario) -> Finding {
    let logs = match scenario.custom_services.is_empty() {
        true => "cell.log and libvirtd.log",
        false => "cell.log, libvirtd.log and the folders of the services",
    };
    Finding {
        cause: Cause::Infrastructure,
        sentence: format!("the lab's own set-up failed: {why}"),
        evidence: vec![Proof::of(why)],
        remedy: format!(
            "read {logs} in the attempt's folder, correct the problem that they name, and run again; this says \
             nothing about the machine"
        ),
        weight: 100,
    }
}
