//! Kernel, initrd, memory, and the way they come.

use super::*;
use crate::evidence::GaveUp;
use crate::evidence::domain::Domain;
use crate::scenario::Image;

/// The machine asks for kernel or initrd, and no more is seen.
fn asks_for(name: &str) -> Story {
    let mut story = Story::chainload();
    let at_us = story.time_of(
        |said| matches!(said, PacketContent::HttpRequest { target, .. } if target.ends_with(name)),
    );
    story.stop_at(at_us + 1);
    story
}

fn path(name: &str) -> String {
    format!("/assets/coreos/current/{name}")
}

fn missing(name: &str, cause: Cause) {
    let mut story = asks_for(name);
    let target = Some(path(name));
    let what = PacketContent::HttpResponse {
        status: 404,
        length: Some(9),
        target,
        body: None,
    };
    story.packet(story.host(8080), story.guest(49152), what);
    story.console(&format!(
        "http://192.168.92.1:8080{}... No such file or directory",
        path(name)
    ));
    story.is_explained(cause, &[name, "404", "No such file or directory"]);
}

#[test]
fn a_kernel_that_is_not_there_is_named() {
    missing(Image::KERNEL, Cause::KernelNotFound);
}

#[test]
fn an_initrd_that_is_not_there_is_named() {
    missing(Image::INITRD, Cause::InitrdNotFound);
}

#[test]
fn a_server_that_ends_a_file_early_truncates_it() {
    let mut story = asks_for(Image::INITRD);
    story.transfer(Protocol::Http, &path(Image::INITRD), 1).end = TransferEnd::BrokenBySender;
    story.is_explained(
        Cause::TruncatedTransfer,
        &["1000 of 1000000 bytes", Image::INITRD],
    );
}

#[test]
fn a_file_that_stops_coming_stands_still() {
    let mut story = asks_for(Image::INITRD);
    story.transfer(Protocol::Http, &path(Image::INITRD), 1);
    story.gave_up(60, "silence");
    story.is_explained(
        Cause::StalledTransfer,
        &["stalled after 1000 of 1000000", Image::INITRD],
    );
}

#[test]
fn a_request_that_is_never_answered_stands_still_as_well() {
    let mut story = asks_for(Image::KERNEL);
    story.gave_up(60, "silence");
    story.is_explained(Cause::StalledTransfer, &["never answered", Image::KERNEL]);
}

#[test]
fn a_file_that_still_comes_at_the_deadline_is_only_slow() {
    let mut story = asks_for(Image::INITRD);
    let transfer = story.transfer(Protocol::Http, &path(Image::INITRD), 200);
    (transfer.bytes, transfer.announced) = (40_000_000, Some(60_000_000));
    let end_us = transfer.end_us;
    let seen = Observation::GaveUp {
        reason: GaveUp::Deadline { seconds: 300 },
    };
    let node = Some("node1".into());
    story.attempt.records.push(Record {
        at_us: end_us + 1_000_000,
        node,
        seen,
    });
    story.is_explained(Cause::TooSlow, &["40000000 of 60000000", "200 kB/s"]);
}

#[test]
fn packets_sent_again_in_several_transfers_are_lost_on_the_way() {
    let mut story = asks_for(Image::INITRD);
    for transfer in &mut story.attempt.wire.transfers {
        transfer.retransmits = 12;
    }
    let transfer = story.transfer(Protocol::Http, &path(Image::INITRD), 50);
    (transfer.retransmits, transfer.end) = (200, TransferEnd::BrokenByReceiver);
    story.is_explained(Cause::PacketLoss, &["packets retransmitted", Image::INITRD]);
}

/// The kernel came up and says this.
fn kernel_says(lines: &[&str]) -> Story {
    let mut story = Story::chainload();
    let up = story
        .attempt
        .records
        .iter()
        .find(|record| matches!(&record.seen, Observation::Console { .. }));
    let up_us = up.unwrap().at_us;
    story.stop_at(up_us + 1);
    for line in lines {
        story.console(line);
    }
    story
}

#[test]
fn an_initrd_that_does_not_fit_wants_more_memory() {
    let story = kernel_says(&[
        "[    1.200000] Initramfs unpacking failed: write error",
        "[    1.300000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    ]);
    let words = ["1024 MiB", "Initramfs unpacking failed: write error"];
    story.is_explained(Cause::TooLittleMemory, &words);
}

#[test]
fn the_memory_that_libvirt_gave_counts() {
    let mut story = kernel_says(&["Out of memory: Killed process 1 (systemd)"]);
    let xml = "<domain><memory unit='KiB'>262144</memory><rng/></domain>";
    story
        .attempt
        .beside
        .domains
        .insert("node1".into(), Domain::read(xml));
    story.is_explained(Cause::TooLittleMemory, &["256 MiB"]);
}

#[test]
fn a_damaged_initrd_is_told_from_one_that_does_not_fit() {
    let story = kernel_says(&[
        "[    1.200000] Initramfs unpacking failed: ZSTD-compressed data is truncated",
    ]);
    story.is_explained(Cause::TruncatedTransfer, &["truncated"]);
}

/// An initrd that is cut short ends in a system without its root, or in a panic.
#[test]
fn initrd_that_is_cut_short_outranks_what_follows_from_it() {
    let cut = "[    1.200000] Initramfs unpacking failed: unexpected EOF";
    for consequence in [
        "stand-in: FAILED: the squashfs of /usr does not mount",
        "[    1.300000] Kernel panic - not syncing: No working init found.",
    ] {
        let story = kernel_says(&[cut, consequence]);
        story.is_explained(Cause::TruncatedTransfer, &["unexpected EOF"]);
    }
    // A complaint that comes later is about another file.
    let panic = "[    1.300000] Kernel panic - not syncing: No working init found.";
    kernel_says(&[panic, cut]).is_explained(Cause::KernelPanic, &["No working init"]);
}

#[test]
fn initrd_of_fewer_bytes_than_the_services_file_is_cut_short() {
    let mut story = kernel_says(&[
        "[    1.200000] Initramfs unpacking failed: unexpected EOF",
        "stand-in: FAILED: the squashfs of /usr does not mount",
    ]);
    let transfers = &mut story.attempt.wire.transfers;
    let initrd = transfers
        .iter_mut()
        .find(|one| one.name == path(Image::INITRD));
    let initrd = initrd.unwrap();
    (initrd.bytes, initrd.announced) = (20_000_000, Some(20_000_000));
    let file = path(Image::INITRD).trim_start_matches('/').to_owned();
    story.record(Observation::Manifest {
        file,
        sha256: String::new(),
        bytes: Some(31_000_000),
    });
    let words = [Image::INITRD, "20000000 bytes", "has 31000000"];
    story.is_explained(Cause::TruncatedTransfer, &words);
}

#[test]
fn a_panic_is_told_with_its_reason_and_what_came_before() {
    let story = kernel_says(&[
        "[    1.200000] VFS: Cannot open root device",
        "[    1.300000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
    ]);
    story.is_explained(
        Cause::KernelPanic,
        &["Attempted to kill init!", "Cannot open root device"],
    );
}
