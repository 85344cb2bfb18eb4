//! Cause: a wrong or missing config URL.

use boot_server_events::BootEvent;

use super::case::Case;
use super::config::requests;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Frame, Packet, PacketContent};
use crate::timeline::StageName;
use crate::timeline::signatures::Clue;

/// Kernel options that contain the URL of the config.
const URL_KEYS: &[&str] = &[
    "cloud-config-url=",
    "coreos.config.url=",
    "ignition.config.url=",
    "flatcar.config.url=",
];

/// Returns the config URLs on the kernel's command line, from the console or the boot script.
fn urls<'a>(case: &Case<'a>) -> Vec<(u64, &'a str, Option<Frame>)> {
    let mut urls: Vec<(u64, &str, Option<Frame>)> = Vec::new();
    let lines = case.console().map(|(at_us, line)| (at_us, line, None));
    let scripts = case.received().filter_map(|packet| match &packet.what {
        PacketContent::HttpResponse {
            body: Some(body), ..
        } => Some((packet.at_us, body.as_str(), Some(packet.into()))),
        _ => None,
    });
    for (at_us, text, frame) in lines.chain(scripts) {
        for key in URL_KEYS {
            let Some((_, rest)) = text.split_once(key) else {
                continue;
            };
            let url = rest.split_whitespace().next().unwrap_or_default();
            if url.starts_with("http") && !urls.iter().any(|(_, known, _)| *known == url) {
                urls.push((at_us, url, frame.clone()));
            }
        }
    }
    urls
}

/// Detects a URL that leads to no host, no listening port or another path.
pub(super) fn leads_nowhere(case: &Case) -> Option<Finding> {
    let up_us = case.timeline.stage(StageName::KernelUp)?.end_us?;
    let asked_well = requests(case).any(|one| one.at_us > up_us);
    let urls = urls(case);
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::ConfigUrlWrong,
            sentence,
            evidence,
            remedy: "correct the config URL in the profile's kernel options: scheme, host, port \
                     and path (`/cloud?…`, `/ignition?…`) of the boot config service, without \
                     characters that the boot loader interprets (`&` and `${…}` in some)"
                .into(),
            weight,
        })
    };
    let as_seen = |(at_us, url, frame): &(u64, &str, Option<Frame>)| Proof {
        service: None,
        at_us: Some(*at_us),
        frame: frame.clone(),
        text: format!("the kernel is told {url}"),
    };
    // The machine requested something that is not a config.
    let strange = case.events().find_map(|(at_us, event)| match event {
        BootEvent::HttpRequest {
            path,
            status: 404,
            user_agent,
            ..
        } if at_us > up_us && !user_agent.starts_with("iPXE") && !asked_well => Some((at_us, path)),
        _ => None,
    });
    if let Some((at_us, path)) = strange {
        let mut evidence = vec![Proof::at(
            at_us,
            format!("GET {path}: 404, not a path of the service"),
        )];
        evidence.extend(urls.iter().map(as_seen));
        let sentence = format!(
            "the guest requested its config at {path}, which is no path of the config service"
        );
        return finding(sentence, evidence, 93);
    }
    let tried: Vec<&Packet> = case
        .sent()
        .filter(|packet| packet.at_us > up_us && matches!(packet.what, PacketContent::TcpSyn))
        .collect();
    let dead = tried.iter().rev().find(|syn| !answered(case, syn));
    let fetch_failed = case.line(Clue::Fetching);
    let failed =
        fetch_failed.filter(|(_, line)| !line.contains(": 200") && !line.contains("result: OK"));
    let host = case.attempt.scenario.network.host().to_string();
    let elsewhere = urls
        .iter()
        .find(|(_, url, _)| host_of(url) != Some(host.as_str()));
    match (dead, failed, urls.last()) {
        _ if asked_well => None,
        (Some(syn), _, url) => {
            let at = syn
                .to
                .address
                .map_or_else(|| syn.to.mac.clone(), |a| a.to_string());
            let port = syn.to.port.unwrap_or_default();
            let refused = case.received().any(|packet| {
                matches!(
                    packet.what,
                    PacketContent::TcpReset | PacketContent::Unreachable { .. }
                ) && packet.at_us >= syn.at_us
            });
            let how = if refused {
                "is refused"
            } else {
                "is not answered"
            };
            let mut evidence = vec![case.packet(syn, format!("connection to {at}:{port} {how}"))];
            evidence.extend(urls.iter().map(as_seen));
            let place = url.map_or_else(|| format!("{at}:{port}"), |(_, url, _)| (*url).to_owned());
            let weight = if refused || elsewhere.is_some() {
                92
            } else {
                84
            };
            finding(
                format!("the config URL cannot be reached: {place}; {at}:{port} {how}"),
                evidence,
                weight,
            )
        }
        (None, Some((at_us, line)), Some((_, url, _))) if elsewhere.is_some() => {
            let mut evidence = vec![Proof::at(
                at_us,
                format!("the console says `{}`", line.trim()),
            )];
            evidence.extend(urls.iter().map(as_seen));
            finding(
                format!("the config URL cannot be reached: {url}"),
                evidence,
                90,
            )
        }
        (None, _, None) if case.node.expect.cloud_config.is_some() => no_url(case),
        _ => None,
    }
}

/// Detects a kernel without any config URL.
fn no_url(case: &Case) -> Option<Finding> {
    let nothing = case.line(Clue::NoConfigUrl);
    let (at_us, line) = nothing?;
    Some(Finding {
        cause: Cause::ConfigUrlWrong,
        sentence: "the kernel was given no config URL".into(),
        evidence: vec![Proof::at(
            at_us,
            format!("the console says `{}`", line.trim()),
        )],
        remedy:
            "add `cloud-config-url=…` (or `coreos.config.url=…` and `coreos.first_boot=1`) to the \
                 kernel options of the machine's profile"
                .into(),
        weight: 92,
    })
}

fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    Some(
        authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    )
}

/// True if a request was sent over this connection.
pub(super) fn answered(case: &Case, syn: &Packet) -> bool {
    case.sent().any(|packet| {
        packet.at_us >= syn.at_us
            && packet.from.port == syn.from.port
            && packet.to.address == syn.to.address
            && matches!(packet.what, PacketContent::HttpRequest { .. })
    })
}
