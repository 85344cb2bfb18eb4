//! Captures made up frame by frame, for tests.

use etherparse::PacketBuilder;

pub(super) const CLIENT: [u8; 4] = [192, 168, 91, 20];
pub(super) const SERVER: [u8; 4] = [192, 168, 91, 1];
pub(super) const CLIENT_MAC: [u8; 6] = [0x52, 0x54, 0, 0xa1, 0x9c, 0xae];
pub(super) const SERVER_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

/// A classic capture in the making, one frame a millisecond.
#[derive(Debug)]
pub struct Script {
    pub(super) bytes: Vec<u8>,
    at_ms: u32,
}

impl Script {
    #[must_use]
    #[expect(clippy::new_without_default, reason = "the default has no header")]
    pub fn new() -> Script {
        let mut script = Script {
            bytes: Vec::new(),
            at_ms: 0,
        };
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
            script.bytes.extend(field.to_le_bytes());
        }
        script
    }

    /// Nothing happens for so long.
    #[cfg(test)]
    pub(super) fn silence(&mut self, ms: u32) {
        self.at_ms += ms;
    }

    /// A frame of which only the first `kept` bytes are captured.
    pub(super) fn frame_cut(&mut self, frame: &[u8], kept: usize) {
        self.at_ms += 1;
        let kept = kept.min(frame.len());
        for field in [
            1_700_000_000 + self.at_ms / 1000,
            self.at_ms % 1000 * 1000,
            u32::try_from(kept).expect("a short frame"),
            u32::try_from(frame.len()).expect("a short frame"),
        ] {
            self.bytes.extend(field.to_le_bytes());
        }
        self.bytes.extend(&frame[..kept]);
    }

    pub(super) fn to_server() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv4(CLIENT, SERVER, 64)
    }

    pub(super) fn to_client() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        PacketBuilder::ethernet2(SERVER_MAC, CLIENT_MAC).ipv4(SERVER, CLIENT, 64)
    }

    /// A datagram from the client's port to the server's, or back.
    pub fn udp(&mut self, from_client: bool, client: u16, server: u16, payload: &[u8]) {
        let builder = if from_client {
            Script::to_server().udp(client, server)
        } else {
            Script::to_client().udp(server, client)
        };
        let mut frame = Vec::new();
        builder.write(&mut frame, payload).expect("a valid frame");
        self.frame_cut(&frame, usize::MAX);
    }

    #[cfg(test)]
    pub(super) fn tcp(&mut self, header: &etherparse::TcpHeader, payload: &[u8], kept: usize) {
        let is_from_client = header.source_port > header.destination_port;
        let builder = if is_from_client {
            Script::to_server()
        } else {
            Script::to_client()
        };
        let mut frame = Vec::new();
        builder
            .tcp_header(header.clone())
            .write(&mut frame, payload)
            .expect("a valid frame");
        let headers = frame.len() - payload.len();
        self.frame_cut(&frame, headers.saturating_add(kept));
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg(test)]
    pub(super) fn read(&self) -> super::Wire {
        super::read(self.bytes.as_slice()).expect("a valid capture")
    }
}
