//! Request, boot step and lease → the reply and where to send it. Pure: no sockets, no clock.

mod answer;
mod boot_fields;
mod destination;
mod dhcp;
mod dhcp_reply;
mod grub;
mod proxy;
mod pxelinux;
mod server_options;
#[cfg(test)]
mod tests;
mod variables;

pub use answer::{Answer, Probe, Reply};
pub use dhcp::{Arrival, DhcpServer};
pub use grub::grub_config;
pub use proxy::{ProxyStyle, boot_service_ack, proxy_offer};
pub use pxelinux::{PxelinuxError, RenderedConfig, pxelinux_config};
pub use server_options::{Addressing, ServerOptions};
pub use variables::{ExpandError, Machine, expand};
