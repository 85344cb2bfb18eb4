//! The fields that tell a client what to load: header and options both, as clients read either.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{
    DISCOVERY_USE_BOOT_FILE, MAX_HEADER_BOOT_FILE_LEN, Message, code, pxe_discovery_control,
    pxe_raspberry_pi,
};

use crate::policy::{BootAction, BootStep};

/// Names our address as the server to load from, and what to load.
///
/// A file name is completed by the server's name in `sname`; a URL needs no server name.
pub(super) fn set_header(message: &mut Message, step: &BootStep, server: Ipv4Addr) {
    let Some(file) = step.boot_file() else { return };
    message.next_server = server;
    if file.len() <= MAX_HEADER_BOOT_FILE_LEN {
        message.boot_file = file.into();
    } else {
        message.options.set(code::BOOT_FILE_NAME, ended(step, file));
    }
    if let BootAction::Nbp(_) | BootAction::RaspberryPi(_) = step.action {
        message.server_name = server.to_string().into();
    }
}

/// The same in options 66 and 67. EDK2 prefers 67, Raspberry Pi's firmware insists on 66.
pub(super) fn set_options(message: &mut Message, step: &BootStep, server: Ipv4Addr) {
    let Some(file) = step.boot_file() else { return };
    if !matches!(step.action, BootAction::HttpNbp(_)) {
        message
            .options
            .set(code::TFTP_SERVER_NAME, ended(step, &server.to_string()));
    }
    message.options.set(code::BOOT_FILE_NAME, ended(step, file));
}

/// Returns text of an option with a NUL at its end, as dnsmasq sends it: firmware that reads up to a NUL would
/// ask for the next option's bytes, too (netbootxyz/netboot.xyz#1198). A Raspberry Pi takes the NUL for a part
/// of the text.
fn ended(step: &BootStep, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if !matches!(step.action, BootAction::RaspberryPi(_)) {
        bytes.push(0);
    }
    bytes
}

/// Vendor options of a reply: the kind of answer (option 60), and the handling of the boot file (option 43).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VendorSays {
    /// No vendor options: the boot file of a plain DHCP answer.
    Nothing,
    /// `PXEClient`, and to look for its boot file at the boot service of this server.
    AskBootService,
    /// `PXEClient`, and to use the boot file of this answer.
    UseBootFile,
}

/// Sets options 60 and 43. Two kinds of clients always need them: UEFI's HTTP boot takes answers that
/// say `HTTPClient` only, a Raspberry Pi those with its menu.
pub(super) fn set_vendor(message: &mut Message, step: &BootStep, says: VendorSays) {
    let (class, specific) = match (&step.action, says) {
        (BootAction::HttpNbp(_), _) => (&b"HTTPClient"[..], None),
        (BootAction::RaspberryPi(_), _) => (&b"PXEClient"[..], Some(pxe_raspberry_pi())),
        (_, VendorSays::Nothing) => return,
        (_, VendorSays::AskBootService) => (&b"PXEClient"[..], None),
        (_, VendorSays::UseBootFile) => {
            let control = pxe_discovery_control(DISCOVERY_USE_BOOT_FILE);
            (&b"PXEClient"[..], Some(control))
        }
    };
    message.options.set(code::VENDOR_CLASS, class);
    if let Some(specific) = specific {
        message.options.set(code::VENDOR_SPECIFIC, specific);
    }
}
