//! Warnings about partitions of Fedora CoreOS's boot disk.

use crate::finding::{Reason, Report};
use crate::path::Path;
use crate::value::Struct;

/// Space that Fedora CoreOS's root partition should have.
const ROOT_MIB: i64 = 8192;

/// Numbers of the partitions of Fedora CoreOS's images.
const RESERVED_LABELS: [(&str, i64); 5] = [
    ("BIOS-BOOT", 1),
    ("PowerPC-PReP-boot", 1),
    ("EFI-SYSTEM", 2),
    ("boot", 3),
    ("root", 4),
];

/// Checks the partitions of an Ignition config.
pub(super) fn check(ignition: &Struct) -> Report {
    let mut report = Report::default();
    for (disk_index, disk) in ignition.child("storage").structs("disks").enumerate() {
        let partitions: Vec<&Struct> = disk.structs("partitions").collect();
        for (index, partition) in partitions.iter().enumerate() {
            let Some(label) = partition.opt_text("label") else {
                continue;
            };
            let path = Path::of(&["storage", "disks"])
                .index(disk_index)
                .key("partitions")
                .index(index);
            if label == "root" {
                match partition.opt_int("size_mib").unwrap_or(0) {
                    0 if is_constrained(index, &partitions) => {
                        report.warn(path.key("label"), Reason::RootConstrained);
                    }
                    0 => {}
                    size if size < ROOT_MIB => {
                        report.warn(path.key("size_mib"), Reason::RootTooSmall)
                    }
                    _ => {}
                }
            }
            let number = partition.opt_int("number").unwrap_or(0);
            let is_wrong =
                |&(reserved, wanted): &(&str, i64)| label == reserved && number != wanted;
            if !disk.is_true("wipe_table") && RESERVED_LABELS.iter().any(is_wrong) {
                report.warn(path.key("label"), Reason::WrongPartitionNumber);
            }
        }
    }
    report
}

/// True if the partition behind root has no fixed start.
fn is_constrained(root: usize, partitions: &[&Struct]) -> bool {
    let start = |partition: &Struct| partition.opt_int("start_mib").unwrap_or(0);
    let root_start = partitions.get(root).map_or(0, |partition| start(partition));
    let mut others = partitions
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != root);
    let has_fixed = others
        .clone()
        .any(|(_, other)| start(other) > root_start.max(0));
    !has_fixed && others.any(|(_, other)| start(other) == 0)
}
