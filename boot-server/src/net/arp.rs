//! The kernel's ARP table: which MAC answers for an address on our links.

use std::net::Ipv4Addr;

use boot_server_proto::mac::MacAddr;

/// The flag of a complete entry (`ATF_COM`).
const COMPLETE: u32 = 0x02;

/// Returns the MAC of an address in the kernel's ARP table; `None` also when the table cannot be read.
pub(super) fn lookup(address: Ipv4Addr) -> Option<MacAddr> {
    find(&std::fs::read_to_string("/proc/net/arp").ok()?, address)
}

/// Finds an address in the text of `/proc/net/arp` (proc(5)).
fn find(table: &str, address: Ipv4Addr) -> Option<MacAddr> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let ip: Ipv4Addr = fields.next()?.parse().ok()?;
        let (_kind, flags, mac) = (fields.next()?, fields.next()?, fields.next()?);
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        (ip == address && flags & COMPLETE != 0)
            .then(|| mac.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.5         0x1         0x2         52:54:00:00:00:05     *        br0
10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        br0
";

    #[test]
    fn find_a_complete_entry_is_found_and_an_incomplete_one_is_not() {
        let find = |last| find(TABLE, Ipv4Addr::new(10, 0, 0, last));
        assert_eq!(find(5), Some(MacAddr([0x52, 0x54, 0, 0, 0, 5])));
        assert_eq!(find(6), None);
        assert_eq!(find(7), None);
    }
}
