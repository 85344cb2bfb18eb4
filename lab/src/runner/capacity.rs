//! Capacity of the host: number of machines that run at once.

use crate::hypervisor::accel::Accelerator;

/// Memory reserved for the host and the cells' own processes, in MiB.
const RESERVED_MIB: usize = 768;

/// QEMU's overhead per machine, in MiB, mostly TCG's translation cache.
const OVERHEAD_MIB: usize = 350;

/// Limits of machines that run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Maximum number of machines.
    pub machines: usize,
    /// Memory for all machines, in MiB.
    pub memory_mib: usize,
}

impl Capacity {
    /// Returns the requested number, or a default of two machines per core, limited by available memory. A
    /// machine that boots over the network mostly waits; under TCG, four machines on two cores were measured to
    /// take 1.7 times as long each.
    #[must_use]
    pub fn choose(
        asked: Option<usize>,
        cores: usize,
        available_mib: usize,
        accelerator: Accelerator,
    ) -> Capacity {
        let by_cores = match accelerator {
            Accelerator::Tcg => cores * 2,
            Accelerator::Kvm => cores * 3,
        };
        Capacity {
            machines: asked.unwrap_or(by_cores).max(1),
            memory_mib: spare_mib(available_mib).max(1),
        }
    }

    /// Returns the number of cells to keep up at once, enough to use free capacity while another cell is set up.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.machines.div_ceil(3) + 1
    }

    /// Returns the memory share of a machine, at most the total, so that a machine too large for the host still
    /// runs, alone.
    #[must_use]
    pub fn memory_share(&self, memory_mib: u32) -> u32 {
        let wanted = memory_mib as usize + OVERHEAD_MIB;
        u32::try_from(wanted.min(self.memory_mib)).unwrap_or(u32::MAX)
    }

    /// Returns the memory of these machines when all run at once, in MiB, including overhead.
    pub fn all_at_once_mib(&self, machines: impl Iterator<Item = u32>) -> usize {
        all_at_once_mib(machines)
    }
}

/// Returns the memory of these machines when all run at once, in MiB, including overhead.
#[must_use]
pub fn all_at_once_mib(machines: impl Iterator<Item = u32>) -> usize {
    machines.map(|mib| mib as usize + OVERHEAD_MIB).sum()
}

/// Returns the memory for machines out of the available memory, in MiB.
#[must_use]
pub fn spare_mib(available_mib: usize) -> usize {
    available_mib.saturating_sub(RESERVED_MIB)
}

/// Returns the memory available without swapping, in MiB, from the text of `/proc/meminfo`.
#[must_use]
pub fn available_mib(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_host_runs_machines_one_after_the_other() {
        let places = Capacity::choose(None, 2, 2048, Accelerator::Tcg);
        assert_eq!(places.machines, 4);
        assert_eq!(places.memory_mib, 1280);
        assert_eq!(
            places.memory_share(1024),
            1280,
            "one machine takes all of it"
        );
    }

    #[test]
    fn what_was_asked_for_is_used() {
        assert_eq!(
            Capacity::choose(Some(1), 64, 1 << 20, Accelerator::Kvm).machines,
            1
        );
    }

    #[test]
    fn available_memory_is_read_in_mib() {
        let meminfo = "MemTotal:       24689472 kB\nMemAvailable:   20480000 kB\n";
        assert_eq!(available_mib(meminfo), Some(20000));
        assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
    }
}
