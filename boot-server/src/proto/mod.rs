//! What is said on the wire and in boot scripts: bytes and text, nothing of sockets, clocks or files.

pub mod autoexec;
pub mod dhcp;
pub mod frame;
pub mod grub;
pub mod ipxe;
pub mod json;
pub mod mac;
pub mod pixiecore;
pub mod pxelinux;
pub mod router_advert;
pub mod tftp;
pub mod udp;
