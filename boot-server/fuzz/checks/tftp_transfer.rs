//! TFTP packets → transfer: whatever a client sends, in whatever order, a transfer sends only bytes
//! of its file, a bounded number of packets for each one it got, and comes to an end.

use std::time::{Duration, Instant};

use boot_server_proto::tftp::{Limits, Packet, Transfer, Transmit};

const LIMITS: Limits = Limits {
    block_size: 1468,
    window_size: 64,
};
/// Blocks that one event (a packet or a timeout) may cause to be sent: a window.
const MOST_SENT_AT_ONCE: usize = 64;
/// Timeouts in a row after which a transfer must have ended.
const MOST_TIMEOUTS: usize = 32;

/// The first packet is the request; each is preceded by its length. Length 0 is a timeout.
pub(crate) fn check(data: &[u8]) {
    let mut packets = Split(data);
    let Some(Ok(Packet::Read(request))) = packets.next().map(Packet::decode) else {
        return;
    };
    let len = data.len() as u64 * 97;
    let mut now = Instant::now();
    let mut transfer = Transfer::new(&request.options, LIMITS, len, now);
    drain(&mut transfer, len);
    for packet in packets {
        if transfer.outcome().is_some() {
            break;
        }
        if packet.is_empty() {
            now = transfer.poll_timeout().unwrap_or(now);
            transfer.handle_timeout(now);
        } else if let Ok(packet) = Packet::decode(packet) {
            now += Duration::from_millis(1);
            transfer.handle_packet(now, &packet);
        }
        drain(&mut transfer, len);
    }
    for _ in 0..MOST_TIMEOUTS {
        if transfer.outcome().is_some() {
            return;
        }
        now = transfer
            .poll_timeout()
            .expect("a transfer that goes on waits for something");
        transfer.handle_timeout(now);
        drain(&mut transfer, len);
    }
    panic!("a client that fell silent is never given up");
}

fn drain(transfer: &mut Transfer, file_len: u64) {
    let mut sent = 0;
    while let Some(transmit) = transfer.poll_transmit() {
        sent += 1;
        assert!(sent <= MOST_SENT_AT_ONCE + 1, "more than a window at once");
        match transmit {
            Transmit::OptionsAck(bytes) => {
                Packet::decode(&bytes).expect("our own OACK can be read");
            }
            Transmit::Data { offset, len, .. } => {
                assert!(offset + len as u64 <= file_len, "bytes beyond the file");
                assert!(
                    len <= usize::from(LIMITS.block_size),
                    "a block longer than granted"
                );
            }
        }
    }
}

/// Pieces of the input, each preceded by its length in one byte.
struct Split<'a>(&'a [u8]);

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first()?;
        let (piece, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        self.0 = rest;
        Some(piece)
    }
}
