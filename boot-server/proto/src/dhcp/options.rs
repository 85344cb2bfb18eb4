//! DHCP options as an ordered list of codes and bytes.

use std::net::Ipv4Addr;
use std::ops::Range;

/// Option codes by the names of their RFCs.
pub mod code {
    /// Padding (RFC 2132 §3.1).
    pub const PAD: u8 = 0;
    /// Subnet mask (RFC 2132 §3.3).
    pub const SUBNET_MASK: u8 = 1;
    /// Routers (RFC 2132 §3.5).
    pub const ROUTER: u8 = 3;
    /// DNS servers (RFC 2132 §3.8).
    pub const DNS: u8 = 6;
    /// Host name (RFC 2132 §3.14).
    pub const HOST_NAME: u8 = 12;
    /// Domain name (RFC 2132 §3.17).
    pub const DOMAIN_NAME: u8 = 15;
    /// Interface MTU (RFC 2132 §5.1).
    pub const MTU: u8 = 26;
    /// Broadcast address (RFC 2132 §5.3).
    pub const BROADCAST_ADDRESS: u8 = 28;
    /// NTP servers (RFC 2132 §8.3).
    pub const NTP: u8 = 42;
    /// Vendor-specific information; PXE's sub-options (RFC 2132 §8.4, PXE 2.1).
    pub const VENDOR_SPECIFIC: u8 = 43;
    /// Requested address (RFC 2132 §9.1).
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// Lease time in seconds (RFC 2132 §9.2).
    pub const LEASE_TIME: u8 = 51;
    /// Option overload: the header fields that hold options (RFC 2132 §9.3).
    pub const OVERLOAD: u8 = 52;
    /// Message type (RFC 2132 §9.6).
    pub const MESSAGE_TYPE: u8 = 53;
    /// Server identifier (RFC 2132 §9.7).
    pub const SERVER_ID: u8 = 54;
    /// Parameter request list (RFC 2132 §9.8).
    pub const PARAMETER_LIST: u8 = 55;
    /// Message: the reason for a NAK (RFC 2132 §9.9).
    pub const MESSAGE: u8 = 56;
    /// Largest message the client accepts (RFC 2132 §9.10).
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    /// Renewal time T1 (RFC 2132 §9.11).
    pub const RENEWAL_TIME: u8 = 58;
    /// Rebinding time T2 (RFC 2132 §9.12).
    pub const REBINDING_TIME: u8 = 59;
    /// Vendor class (RFC 2132 §9.13).
    pub const VENDOR_CLASS: u8 = 60;
    /// Client identifier (RFC 2132 §9.14).
    pub const CLIENT_ID: u8 = 61;
    /// TFTP server name (RFC 2132 §9.4).
    pub const TFTP_SERVER_NAME: u8 = 66;
    /// Boot file name (RFC 2132 §9.5).
    pub const BOOT_FILE_NAME: u8 = 67;
    /// User class (RFC 3004).
    pub const USER_CLASS: u8 = 77;
    /// Relay agent information (RFC 3046).
    pub const RELAY_AGENT_INFO: u8 = 82;
    /// Client system architectures (RFC 4578 §2.1).
    pub const CLIENT_ARCH: u8 = 93;
    /// Client network interface identifier (RFC 4578 §2.2).
    pub const CLIENT_NDI: u8 = 94;
    /// Client machine identifier (RFC 4578 §2.3).
    pub const MACHINE_ID: u8 = 97;
    /// Subnet selection (RFC 3011).
    pub const SUBNET_SELECTION: u8 = 118;
    /// iPXE's encapsulated options (ipxe.org/howto/dhcpd).
    pub const IPXE: u8 = 175;
    /// End of options (RFC 2132 §3.2).
    pub const END: u8 = 255;
}

/// Options in the order they were found or set. A code occurs once: parts that RFC 3396 allows an
/// option to be split into are joined.
///
/// One run of bytes holds them all (code, length, value), so that a message costs one allocation
/// and a copy of a network's options is one copy of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<u8>);

/// Code and length before each value.
const ENTRY_HEADER_LEN: usize = 5;

impl Options {
    /// Returns the bytes of an option.
    pub fn bytes(&self, code: u8) -> Option<&[u8]> {
        self.iter()
            .find(|(c, _)| *c == code)
            .map(|(_, bytes)| bytes)
    }

    /// True if the option is present, even empty.
    pub fn contains(&self, code: u8) -> bool {
        self.bytes(code).is_some()
    }

    /// True if no option is present.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets an option, replacing what it was.
    pub fn set(&mut self, code: u8, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        match self.range(code) {
            Some(range) => {
                self.0.splice(range, entry(code, bytes));
            }
            None => self.0.extend(entry(code, bytes)),
        }
    }

    /// Sets an option of addresses; sets nothing when there are none.
    pub fn set_addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        match addresses {
            [] => {}
            [one] => self.set(code, one.octets()),
            many => {
                let bytes: Vec<u8> = many.iter().flat_map(Ipv4Addr::octets).collect();
                self.set(code, bytes);
            }
        }
    }

    /// Sets an option of one 32-bit number.
    pub fn set_u32(&mut self, code: u8, value: u32) {
        self.set(code, value.to_be_bytes());
    }

    /// Sets each of the other options, replacing what they were.
    pub fn set_all(&mut self, others: &Options) {
        for (code, bytes) in others.iter() {
            self.set(code, bytes);
        }
    }

    /// Takes an option out.
    pub fn remove(&mut self, code: u8) -> Option<Vec<u8>> {
        let range = self.range(code)?;
        Some(self.0.drain(range).skip(ENTRY_HEADER_LEN).collect())
    }

    /// Appends a part to an option, making it when it is not there (RFC 3396 §7).
    pub(super) fn join(&mut self, code: u8, part: &[u8]) {
        let Some(Range { start, end }) = self.range(code) else {
            self.0.extend(entry(code, part));
            return;
        };
        let len = end - start - ENTRY_HEADER_LEN + part.len();
        let header = entry_header(code, len);
        self.0.splice(end..end, part.iter().copied());
        self.0.splice(start..start + ENTRY_HEADER_LEN, header);
    }

    /// Returns the byte range of an option's entry.
    fn range(&self, code: u8) -> Option<Range<usize>> {
        let mut at = 0;
        for (c, bytes) in self.iter() {
            let end = at + ENTRY_HEADER_LEN + bytes.len();
            if c == code {
                return Some(at..end);
            }
            at = end;
        }
        None
    }

    /// Returns all options in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&[code, a, b, c, d], tail) = rest.split_first_chunk::<ENTRY_HEADER_LEN>()?;
            let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
            let (bytes, tail) = tail.split_at_checked(len)?;
            rest = tail;
            Some((code, bytes))
        })
    }
}

fn entry_header(code: u8, len: usize) -> [u8; ENTRY_HEADER_LEN] {
    // A datagram holds less than 2^16 bytes; nothing longer ever comes here from a configuration.
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    [code, a, b, c, d]
}

fn entry(code: u8, bytes: &[u8]) -> impl Iterator<Item = u8> {
    let header = entry_header(code, bytes.len()).into_iter();
    header.chain(bytes.iter().copied())
}
