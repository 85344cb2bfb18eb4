//! Names of the user's services in findings, with their output at the time.

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::Observation;
use crate::scenario::{Part, Service};

/// Time after a piece of evidence within which a service may still print its reason.
const PRINTS_WITHIN_US: u64 = 100_000;

/// Adds to a finding which service of the user has the role that its cause concerns.
pub(super) fn name_services(case: &Case, finding: &mut Finding) {
    let scenario = &case.attempt.scenario;
    let parts = parts(finding.cause);
    let concerned = scenario
        .custom_services
        .iter()
        .filter(|service| parts.iter().any(|part| service.plays(*part)));
    let times = finding.evidence.iter().filter_map(|proof| proof.at_us);
    let at_us = times.max();
    let proofs: Vec<Proof> = concerned
        .map(|service| proof(case, service, at_us))
        .collect();
    finding.evidence.extend(proofs);
}

fn proof(case: &Case, service: &Service, at_us: Option<u64>) -> Proof {
    let until_us = at_us.map_or(u64::MAX, |at_us| at_us + PRINTS_WITHIN_US);
    let mut printed = case
        .attempt
        .records
        .iter()
        .filter_map(|record| match &record.seen {
            Observation::ServiceLine {
                service: of,
                stream,
                line,
            } if *of == service.name && record.at_us <= until_us => {
                Some((record.at_us, stream, line))
            }
            _ => None,
        });
    let address = case.attempt.scenario.address_of(service);
    let who = format!(
        "the service is {} at {address}, program {}",
        service.title(),
        service.program()
    );
    match printed.next_back() {
        Some((at_us, stream, line)) => Proof {
            service: Some(service.name.clone()),
            ..Proof::at(
                at_us,
                format!(
                    "{who}; it printed `{line}` ({}/{}.log)",
                    service.name,
                    stream.name()
                ),
            )
        },
        None => Proof::of(format!("{who}; it had printed nothing")),
    }
}

/// Returns the roles of the services that a cause concerns.
fn parts(cause: Cause) -> &'static [Part] {
    match cause {
        Cause::NoDhcpServer
        | Cause::PoolExhausted
        | Cause::AddressConflict
        | Cause::TwoDhcpServers
        | Cause::NoAcknowledgement
        | Cause::WrongArchitectureNbp
        | Cause::BootFileInOptionsOnly
        | Cause::ChainloadLoop => &[Part::Dhcp],
        Cause::OfferWithoutBootOptions => &[Part::Dhcp, Part::ProxyDhcp],
        Cause::ProxySilent | Cause::ProxyMalformed => &[Part::ProxyDhcp],
        Cause::NbpNotFound
        | Cause::SecondStageNotFound
        | Cause::MissingFileUnanswered
        | Cause::TftpOptionsRefused
        | Cause::TftpServerDied => &[Part::Tftp],
        Cause::ScriptNotFound
        | Cause::ConfigNotFound
        | Cause::ConfigServerError
        | Cause::WrongConfigServed => &[Part::Config],
        Cause::KernelNotFound
        | Cause::InitrdNotFound
        | Cause::TruncatedTransfer
        | Cause::StalledTransfer
        | Cause::HttpBlocked => &[Part::Http],
        _ => &[],
    }
}
