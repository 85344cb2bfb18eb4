//! Findings about the stand-in image, disk space and memory.

use super::host::{Host, Space, text};
use super::packages::can_build;
use super::{Finding, Group, Subject};
use crate::runner::capacity::{available_mib, spare_mib};

/// Space for building the stand-in in the cache, in MiB, including packages and root file system.
const BUILD_MIB: u64 = 1024;
/// Space for the artifacts of a full run, in MiB: failed attempts keep everything.
const RUN_MIB: u64 = 512;

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    vec![
        stand_in(host),
        cache(host),
        room(
            &host.artifacts,
            Subject(Group::Images, "space-artifacts", "room for runs"),
            RUN_MIB,
        ),
        memory(host),
    ]
}

fn stand_in(host: &Host) -> Finding {
    let subject = Subject(Group::Images, "stand-in", "stand-in image");
    if host.has_stand_in {
        subject.ok("in the cache")
    } else if can_build(host) {
        subject.ok("not in the cache; the first run builds it")
    } else {
        subject.warning(
            "not in the cache; it can be built only on Debian and Ubuntu",
            "lab images fetch flatcar:stable, then lab run --image flatcar:stable",
        )
    }
}

fn cache(host: &Host) -> Finding {
    let subject = Subject(Group::Images, "space-cache", "room for images");
    match host.cache.free_mib {
        // Nothing needs to be written there.
        Some(free) if host.has_stand_in && free < BUILD_MIB => subject.warning(
            full(&host.cache, free, BUILD_MIB),
            "lab images gc, or choose another folder with --cache DIR",
        ),
        _ => room(&host.cache, subject, BUILD_MIB),
    }
}

fn full(space: &Space, free: u64, wanted: u64) -> String {
    let folder = space.folder.display();
    format!("{free} MiB free in {folder}, {wanted} MiB needed")
}

fn room(space: &Space, subject: Subject, wanted: u64) -> Finding {
    let folder = space.folder.display();
    match space.free_mib {
        Some(free) if free >= wanted => subject.ok(format!("{free} MiB free in {folder}")),
        Some(free) => {
            let Subject(_, id, _) = subject;
            let remedy = match id {
                "space-cache" => "lab images gc, or choose another folder with --cache DIR",
                _ => "remove old runs, or choose another folder: lab run --artifacts DIR",
            };
            subject.missing(full(space, free, wanted), remedy)
        }
        None => subject.warning(
            format!("free space unknown in {folder}"),
            format!("df {folder}"),
        ),
    }
}

fn memory(host: &Host) -> Finding {
    let subject = Subject(Group::Images, "memory", "memory");
    let Some(available) = available_mib(host.text(text::MEMORY)) else {
        return subject.warning(
            "unknown: /proc/meminfo has no available memory",
            "free --mebi",
        );
    };
    let Some(demand) = &host.demand else {
        return subject.ok(format!("{available} MiB available; no scenarios found"));
    };
    let free = spare_mib(available);
    let free_memory = "stop other programs, or add memory to this host";
    if free < demand.machine_mib {
        subject.missing(
            format!(
                "{free} MiB usable; a machine needs {} MiB",
                demand.machine_mib
            ),
            free_memory,
        )
    } else if free < demand.scenario_mib {
        subject.warning(
            format!(
                "{free} MiB usable; `lab up` and `--keep` need {} MiB for {}; a run boots machines in turns",
                demand.scenario_mib, demand.scenario
            ),
            free_memory,
        )
    } else {
        subject.ok(format!(
            "{free} MiB usable; a machine needs {} MiB",
            demand.machine_mib
        ))
    }
}
