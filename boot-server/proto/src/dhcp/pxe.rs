//! PXE's sub-options of option 43 (PXE specification 2.1, table 2-1).

use super::options::code;

/// Discovery control bit 3: do not look for boot servers, use the boot file named in this offer.
pub const DISCOVERY_USE_BOOT_FILE: u8 = 8;

/// Sub-option 6, discovery control.
const DISCOVERY_CONTROL: u8 = 6;

/// Option 43 holding a discovery control only.
pub fn pxe_discovery_control(bits: u8) -> Vec<u8> {
    vec![DISCOVERY_CONTROL, 1, bits, code::END]
}

/// Sub-option 9, boot menu.
const BOOT_MENU: u8 = 9;
/// Sub-option 10, menu prompt.
const MENU_PROMPT: u8 = 10;
/// Text that a Raspberry Pi's boot ROM requires before it accepts an offer's TFTP server.
const RASPBERRY_PI_MENU: &[u8] = b"Raspberry Pi Boot";

/// Option 43 as a Raspberry Pi wants it: a menu whose first item has the name it looks for, taken
/// without a prompt, and the server of this offer.
pub fn pxe_raspberry_pi() -> Vec<u8> {
    let mut out = vec![DISCOVERY_CONTROL, 1, DISCOVERY_USE_BOOT_FILE];
    let len = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    // Item type 0, the length of its name, the name.
    out.extend([BOOT_MENU, len(3 + RASPBERRY_PI_MENU.len())]);
    out.extend([0, 0, len(RASPBERRY_PI_MENU.len())]);
    out.extend(RASPBERRY_PI_MENU);
    // Timeout 0: the first item at once.
    out.extend([MENU_PROMPT, 4, 0]);
    out.extend(b"PXE");
    out.push(code::END);
    out
}
