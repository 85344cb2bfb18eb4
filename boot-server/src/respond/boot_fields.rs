//! The fields that tell a client what to load: header and options both, as clients read either.

use std::net::Ipv4Addr;

use crate::policy::{BootAction, BootStep};
use crate::proto::dhcp::{MAX_HEADER_BOOT_FILE_LEN, Message, code};

/// Names our address as the server to load from, and what to load.
///
/// A file name is completed by the server's name in `sname`; a URL stands for itself.
pub(super) fn set_header(message: &mut Message, step: &BootStep, server: Ipv4Addr) {
    let Some(file) = step.boot_file() else { return };
    message.next_server = server;
    if file.len() <= MAX_HEADER_BOOT_FILE_LEN {
        message.boot_file = file.into();
    } else {
        message.options.set(code::BOOT_FILE_NAME, file);
    }
    if let BootAction::Nbp(_) = step.action {
        message.server_name = server.to_string().into();
    }
}

/// The same in options 66 and 67. EDK2 prefers 67, Raspberry Pi's firmware insists on 66.
pub(super) fn set_options(message: &mut Message, step: &BootStep, server: Ipv4Addr) {
    let Some(file) = step.boot_file() else { return };
    message
        .options
        .set(code::TFTP_SERVER_NAME, server.to_string());
    message.options.set(code::BOOT_FILE_NAME, file);
}
