//! The stand-in, room on disks, memory.

use super::host::{Host, Space, text};
use super::packages::can_build;
use super::{Finding, Group, Subject};
use crate::runner::places::{available_mib, spare_mib};

/// What the build of a stand-in needs in the cache, in MiB, packages and root included.
const BUILD_MIB: u64 = 1024;
/// What a run of all scenarios may need for its artifacts, in MiB: attempts that fail keep everything.
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
            "not in the cache, and only Debian and Ubuntu can build it",
            "lab images fetch flatcar:stable, then lab run --image flatcar:stable",
        )
    }
}

fn cache(host: &Host) -> Finding {
    let subject = Subject(Group::Images, "space-cache", "room for images");
    match host.cache.free_mib {
        // Nothing has to be written there.
        Some(free) if host.has_stand_in && free < BUILD_MIB => subject.warning(
            full(&host.cache, free, BUILD_MIB),
            "lab images gc, or another folder: --cache DIR",
        ),
        _ => room(&host.cache, subject, BUILD_MIB),
    }
}

fn full(space: &Space, free: u64, wanted: u64) -> String {
    let folder = space.folder.display();
    format!("{free} MiB free for {folder}; {wanted} MiB should be")
}

fn room(space: &Space, subject: Subject, wanted: u64) -> Finding {
    let folder = space.folder.display();
    match space.free_mib {
        Some(free) if free >= wanted => subject.ok(format!("{free} MiB free for {folder}")),
        Some(free) => {
            let Subject(_, id, _) = subject;
            let remedy = match id {
                "space-cache" => "lab images gc, or another folder: --cache DIR",
                _ => "remove old runs, or write elsewhere: lab run --artifacts DIR",
            };
            subject.missing(full(space, free, wanted), remedy)
        }
        None => subject.warning(
            format!("nobody tells how much is free for {folder}"),
            format!("df {folder}"),
        ),
    }
}

fn memory(host: &Host) -> Finding {
    let subject = Subject(Group::Images, "memory", "memory");
    let Some(available) = available_mib(host.text(text::MEMORY)) else {
        return subject.warning("/proc/meminfo does not tell it", "free --mebi");
    };
    let Some(demand) = &host.demand else {
        return subject.ok(format!(
            "{available} MiB available; no scenarios were found"
        ));
    };
    let free = spare_mib(available);
    let free_memory = "end programs, or give this host more memory";
    if free < demand.machine_mib {
        subject.missing(
            format!(
                "{free} MiB to spare; a machine takes {} MiB",
                demand.machine_mib
            ),
            free_memory,
        )
    } else if free < demand.scenario_mib {
        subject.warning(
            format!(
                "{free} MiB to spare; `lab up` and `--keep` need {} MiB for {}, a run takes turns",
                demand.scenario_mib, demand.scenario
            ),
            free_memory,
        )
    } else {
        subject.ok(format!(
            "{free} MiB to spare; a machine takes {} MiB",
            demand.machine_mib
        ))
    }
}
