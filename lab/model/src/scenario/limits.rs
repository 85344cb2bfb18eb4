//! Limits and defaults of numbers in scenarios.

/// Minimum memory of today's kernels. Images need more, because kernel, initrd and unpacked root are in memory;
/// a boot shows how much.
pub(super) const MEMORY_MIB_MIN: u32 = 64;
pub(super) const MEMORY_MIB_MAX: u32 = 65_536;
pub(super) const MEMORY_MIB_DEFAULT: u32 = 1024;
/// Smaller disks have no room for a partition table and a file system.
pub(super) const DISK_MIB_MIN: u32 = 8;
/// Maximum disk size, 1 TiB. Disks are sparse files in memory.
pub(super) const DISK_MIB_MAX: u32 = 1_048_576;
pub(super) const BOOT_SECONDS_MAX: u32 = 7200;
pub(super) const BOOT_SECONDS_MIN: u32 = 10;
/// Default time limit: a node under emulation takes 20 to 60 s, and several times that on a busy host.
pub(super) const BOOT_SECONDS_DEFAULT: u64 = 300;
/// Maximum number of expected resets; no boot path has more.
pub(super) const RESETS_MAX: u32 = 16;
