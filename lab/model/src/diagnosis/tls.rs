//! Causes in TLS: a machine that does not accept the certificate of its web server.
//!
//! EDK2 closes the connection without an alert (seen with OVMF 2022.11 and 2025.02), so that the server does not know why. What
//! is left: the machine began a connection and sent no request in it.

use boot_server_events::BootEvent;

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Direction, Packet, PacketContent};
use crate::timeline::StageName;

/// Program that began a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Firmware,
    BootProgram,
    System,
}

impl Client {
    fn at(case: &Case, at_us: u64) -> Client {
        let has_begun = |stage: StageName| {
            let stage = case.timeline.stage(stage);
            stage.is_some_and(|stage| stage.start_us < at_us)
        };
        if has_begun(StageName::KernelUp) {
            Client::System
        } else if has_begun(StageName::Ipxe) || case.is_through(StageName::Nbp) {
            Client::BootProgram
        } else {
            Client::Firmware
        }
    }

    fn name(self) -> &'static str {
        match self {
            Client::Firmware => "the firmware",
            Client::BootProgram => "the boot program",
            Client::System => "the booted system",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Client::Firmware => {
                "enrol the authority of the server's certificate in the firmware (EDK2: Device Manager, Tls Auth \
                 Configuration), and issue a certificate with an RSA key that names the address of the URL \
                 (subjectAltName)"
            }
            Client::BootProgram => {
                "let the boot program trust the authority of the server's certificate, and check the certificate's dates, \
                 which EDK2 ignores and iPXE does not, and the machine's clock"
            }
            Client::System => {
                "put the authority of the server's certificate into the initrd or the image, and check the certificate's \
                 dates and the machine's clock"
            }
        }
    }
}

/// Detects a machine that ends the TLS handshake: its last connection has no request.
pub(super) fn refused(case: &Case) -> Option<Finding> {
    let port = case.port()?;
    let hellos = port.packets.iter().filter(|packet| {
        packet.what == PacketContent::TlsHello && packet.direction == Some(Direction::FromMachine)
    });
    let last = hellos.max_by_key(|packet| packet.at_us)?;
    if has_request(case, last) {
        return None;
    }
    let client = Client::at(case, last.at_us);
    let server = last.to.address.map_or_else(
        || last.to.mac.clone(),
        |address| match last.to.port {
            Some(port) => format!("{address}:{port}"),
            None => address.to_string(),
        },
    );
    Some(Finding {
        cause: Cause::TlsRefused,
        sentence: format!(
            "{} began a TLS connection to {server} and sent no request in it: it does not accept the server's certificate",
            client.name()
        ),
        evidence: vec![
            case.packet(last, format!("begin of TLS with {server}")),
            Proof::of("the server reports no request in this connection"),
        ],
        remedy: client.remedy().into(),
        weight: 96,
    })
}

/// True if the server reports a request in the connection that began with this packet.
fn has_request(case: &Case, hello: &Packet) -> bool {
    let from = |peer: std::net::SocketAddr| {
        let address = hello.from.address.map(|address| address.to_canonical());
        address == Some(peer.ip().to_canonical()) && hello.from.port == Some(peer.port())
    };
    case.events().any(|(_, event)| match event {
        BootEvent::HttpRequest { who, .. } => who.peer.is_some_and(from),
        _ => false,
    })
}
