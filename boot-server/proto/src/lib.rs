//! Wire formats and boot scripts: bytes and text, without sockets, clocks or files.

pub mod autoexec;
pub mod dhcp;
pub mod firmware;
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
