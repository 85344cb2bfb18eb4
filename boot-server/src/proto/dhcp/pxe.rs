//! PXE's sub-options of option 43 (PXE specification 2.1, table 2-1).

use super::code;

/// Discovery control bit 3: do not look for boot servers, use the boot file named in this offer.
pub const DISCOVERY_USE_BOOT_FILE: u8 = 8;

/// Sub-option 6, discovery control.
const DISCOVERY_CONTROL: u8 = 6;

/// Option 43 holding a discovery control only.
pub fn pxe_discovery_control(bits: u8) -> Vec<u8> {
    vec![DISCOVERY_CONTROL, 1, bits, code::END]
}
