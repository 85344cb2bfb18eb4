//! Transfers over a simulated network that loses, doubles and reorders packets, in simulated time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    block_size: 1468,
    window_size: 16,
};

/// Fate of one packet in the network: the arrival time of each copy.
type Fate = Vec<Duration>;

/// A receiving client as RFC 1350 and RFC 7440 describe it.
struct Client {
    block_size: usize,
    window: u64,
    received: Vec<u8>,
    /// Highest block in sequence.
    last: u64,
    since_ack: u64,
    options_seen: bool,
    finished: bool,
}

impl Client {
    fn new(options: RequestedOptions) -> Client {
        Client {
            options_seen: options == RequestedOptions::default(),
            block_size: 512,
            window: 1,
            received: Vec::new(),
            last: 0,
            since_ack: 0,
            finished: false,
        }
    }

    fn handle(&mut self, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::OptionsAck(granted) => {
                for (name, value) in granted {
                    match name.as_str() {
                        "blksize" => self.block_size = value.parse().unwrap(),
                        "windowsize" => self.window = value.parse().unwrap(),
                        _ => {}
                    }
                }
                self.options_seen = true;
                (self.last == 0).then_some(Packet::Ack(0))
            }
            Packet::Data { block, bytes } if self.options_seen => {
                if block != (self.last + 1) as u16 {
                    self.since_ack = 0;
                    return Some(Packet::Ack(self.last as u16));
                }
                self.last += 1;
                self.since_ack += 1;
                self.received.extend(&bytes);
                self.finished |= bytes.len() < self.block_size;
                (self.finished || self.since_ack >= self.window).then(|| {
                    self.since_ack = 0;
                    Packet::Ack(self.last as u16)
                })
            }
            _ => None,
        }
    }

    /// Repeats the last acknowledgement after a silence.
    fn nudge(&mut self) -> Option<Packet> {
        self.since_ack = 0;
        (self.options_seen && !self.finished).then_some(Packet::Ack(self.last as u16))
    }
}

struct Run {
    outcome: Outcome,
    received: Vec<u8>,
    finished: bool,
    packets_sent: u64,
}

fn run(file: &[u8], options: RequestedOptions, mut fate: impl FnMut() -> Fate) -> Run {
    let start = Instant::now();
    let mut now = start;
    let mut server = Transfer::new(&options, LIMITS, file.len() as u64, now);
    let mut client = Client::new(options);
    // (arrival, order) → (to the client?, packet)
    let mut wire: BTreeMap<(Instant, u64), (bool, Packet)> = BTreeMap::new();
    let mut order = 0;
    let mut packets_sent = 0;
    let mut post = |wire: &mut BTreeMap<_, _>, now: Instant, to_client: bool, packet: Packet| {
        for delay in fate() {
            order += 1;
            wire.insert((now + delay, order), (to_client, packet.clone()));
        }
    };
    let mut client_heard = now;
    while server.outcome().is_none() {
        while let Some(transmit) = server.poll_transmit() {
            packets_sent += 1;
            let packet = match transmit {
                Transmit::OptionsAck(bytes) => Packet::decode(&bytes).unwrap(),
                Transmit::Data { block, offset, len } => {
                    let from = offset as usize;
                    Packet::Data {
                        block,
                        bytes: file[from..from + len].to_vec(),
                    }
                }
            };
            post(&mut wire, now, true, packet);
        }
        let timeout = server.poll_timeout().unwrap();
        let nudge = client_heard + Duration::from_millis(2500);
        let arrival = wire.keys().next().map(|(at, _)| *at);
        now = [Some(timeout), Some(nudge), arrival]
            .into_iter()
            .flatten()
            .min()
            .unwrap();
        assert!(
            now - start < Duration::from_secs(36_000),
            "the simulation does not terminate"
        );
        if arrival == Some(now) {
            let (_, (to_client, packet)) = wire.pop_first().unwrap();
            if to_client {
                client_heard = now;
                if let Some(answer) = client.handle(packet) {
                    post(&mut wire, now, false, answer);
                }
            } else {
                server.handle_packet(now, &packet);
            }
        } else if now == timeout {
            server.handle_timeout(now);
        } else {
            client_heard = now;
            if let Some(answer) = client.nudge() {
                post(&mut wire, now, false, answer);
            }
        }
    }
    Run {
        outcome: server.outcome().unwrap().clone(),
        received: client.received,
        finished: client.finished,
        packets_sent,
    }
}

fn file(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251) as u8).collect()
}

fn perfect() -> Fate {
    vec![Duration::from_millis(1)]
}

fn options(block_size: Option<u16>, window_size: Option<u16>) -> RequestedOptions {
    RequestedOptions {
        block_size,
        window_size,
        transfer_size: true,
        timeout_seconds: None,
    }
}

#[test]
fn a_file_that_fills_its_blocks_exactly_ends_with_an_empty_block() {
    for len in [0, 1, 511, 512, 513, 1024] {
        let run = run(&file(len), RequestedOptions::default(), perfect);
        assert_eq!(run.outcome, Outcome::Done);
        assert_eq!(run.received, file(len));
        assert_eq!(run.packets_sent, len as u64 / 512 + 1, "{len}");
    }
}

#[test]
fn block_numbers_wrap_in_files_of_more_than_65535_blocks() {
    for window in [None, Some(16)] {
        let sent = file(8 * 140_000 + 3);
        let run = run(&sent, options(Some(8), window), perfect);
        assert_eq!(run.outcome, Outcome::Done);
        assert!(run.received == sent);
    }
}

/// RFC 1123 §4.2.3.1, the sorcerer's apprentice: doubled acknowledgements must not double the data.
#[test]
fn doubled_packets_do_not_make_the_server_send_more() {
    let sent = file(512 * 50);
    let single = run(&sent, RequestedOptions::default(), perfect).packets_sent;
    let doubled = run(&sent, RequestedOptions::default(), || {
        vec![Duration::from_millis(1), Duration::from_millis(2)]
    });
    assert_eq!(doubled.received, sent);
    assert_eq!(doubled.packets_sent, single);
}

#[test]
fn a_client_that_falls_silent_is_given_up() {
    let mut left = 5;
    let run = run(&file(512 * 50), RequestedOptions::default(), || {
        left -= 1;
        if left > 0 { perfect() } else { vec![] }
    });
    assert_eq!(run.outcome, Outcome::TimedOut);
    assert!(!run.finished);
}

/// The address in a request may be a stranger's: until it answers, hardly anything is sent there.
#[test]
fn an_address_that_never_answers_gets_three_packets_and_no_more() {
    for asked in [RequestedOptions::default(), options(Some(1024), Some(16))] {
        let run = run(&file(512 * 50), asked, Vec::new);
        assert_eq!((run.outcome, run.packets_sent), (Outcome::TimedOut, 3));
    }
}

/// EDK2 7.2 (OVMF) asks for a file's size and then breaks off with error 8.
#[test]
fn a_client_that_only_wanted_the_size_ends_the_transfer() {
    let now = Instant::now();
    let mut transfer = Transfer::new(&options(Some(1468), Some(4)), LIMITS, 1_000_000, now);
    assert_eq!(
        transfer.poll_transmit(),
        Some(Transmit::OptionsAck(
            b"\x00\x06blksize\x001468\0tsize\x001000000\0windowsize\x004\0".to_vec()
        ))
    );
    let abort = Packet::Error {
        code: 8,
        message: "enough".into(),
    };
    transfer.handle_packet(now, &abort);
    assert_eq!(
        transfer.outcome(),
        Some(&Outcome::Aborted {
            code: 8,
            message: "enough".into()
        })
    );
    assert_eq!(
        (transfer.poll_transmit(), transfer.poll_timeout()),
        (None, None)
    );
}

#[test]
fn options_beyond_the_limits_are_granted_at_the_limits() {
    let now = Instant::now();
    let asked = RequestedOptions {
        timeout_seconds: Some(200),
        ..options(Some(65464), Some(64))
    };
    let mut transfer = Transfer::new(&asked, LIMITS, 9, now);
    assert_eq!(
        transfer.poll_transmit(),
        Some(Transmit::OptionsAck(
            b"\x00\x06blksize\x001468\0tsize\x009\0windowsize\x0016\0".to_vec()
        ))
    );
}

#[test]
fn the_options_are_sent_again_until_acknowledged() {
    let now = Instant::now();
    let mut transfer = Transfer::new(&options(Some(1024), None), LIMITS, 9, now);
    let first = transfer.poll_transmit();
    assert!(first.is_some());
    assert_eq!(transfer.poll_transmit(), None);
    let later = transfer.poll_timeout().unwrap();
    transfer.handle_timeout(later);
    assert_eq!(transfer.poll_transmit(), first);
    transfer.handle_packet(later, &Packet::Ack(0));
    assert_eq!(
        transfer.poll_transmit(),
        Some(Transmit::Data {
            block: 1,
            offset: 0,
            len: 9
        })
    );
}

#[test]
fn acknowledgements_of_what_was_never_sent_are_ignored() {
    let now = Instant::now();
    let mut transfer = Transfer::new(&RequestedOptions::default(), LIMITS, 5000, now);
    assert!(transfer.poll_transmit().is_some());
    for block in [2, 3, 700, 65535] {
        transfer.handle_packet(now, &Packet::Ack(block));
        assert_eq!(transfer.poll_transmit(), None, "{block}");
    }
    transfer.handle_packet(now, &Packet::Ack(1));
    assert_eq!(
        transfer.poll_transmit(),
        Some(Transmit::Data {
            block: 2,
            offset: 512,
            len: 512
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_file_arrives_intact_or_the_transfer_ends_with_an_error(
        len in 0usize..40_000,
        block_size in proptest::option::of(8u16..3000),
        window_size in proptest::option::of(1u16..40),
        loss in 0u32..60,
        double in 0u32..30,
        delays in proptest::collection::vec(0u64..400, 64),
        seed in any::<u64>(),
    ) {
        let sent = file(len);
        let mut state = seed | 1;
        let mut random = move || {
            // xorshift64: the simulation needs no better.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let run = run(&sent, options(block_size, window_size), || {
            let roll = random();
            let mut fate = Vec::new();
            if roll % 100 >= u64::from(loss) {
                fate.push(Duration::from_millis(delays[(roll >> 32) as usize % 64]));
            }
            if (roll >> 8) % 100 < u64::from(double) {
                fate.push(Duration::from_millis(delays[(roll >> 40) as usize % 64]));
            }
            fate
        });
        // Whatever the outcome, what the client took is a true beginning of the file.
        prop_assert!(sent.starts_with(&run.received));
        if run.outcome == Outcome::Done {
            prop_assert!(run.finished);
            prop_assert_eq!(&run.received, &sent);
        }
        if loss == 0 {
            prop_assert_eq!(run.outcome, Outcome::Done);
        }
    }
}
