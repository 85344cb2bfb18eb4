//! TFTP transfers as they seldom go.

use super::{Script, only_transfer};
use crate::evidence::packet::{PacketContent, TransferEnd};

const REQUEST: &[u8] = b"\x00\x01undionly.kpxe\0octet\0tsize\x000\0blksize\x008\0";
const OPTIONS: &[u8] = b"\x00\x06tsize\x0020\0blksize\x008\0";

fn data(block: u16, bytes: &[u8]) -> Vec<u8> {
    [&[0, 3], &block.to_be_bytes()[..], bytes].concat()
}

fn ack(block: u16) -> Vec<u8> {
    [&[0, 4], &block.to_be_bytes()[..]].concat()
}

/// Request, options, and blocks that are all acknowledged.
fn transfer(blocks: &[(u16, &[u8])]) -> Script {
    let mut script = Script::new();
    script.udp(true, 2070, 69, REQUEST);
    script.udp(false, 2070, 40000, OPTIONS);
    script.udp(true, 2070, 40000, &ack(0));
    for (block, bytes) in blocks {
        script.udp(false, 2070, 40000, &data(*block, bytes));
        script.udp(true, 2070, 40000, &ack(*block));
    }
    script
}

#[test]
fn a_transfer_is_whole_when_its_last_block_is_acknowledged() {
    let wire = transfer(&[(1, b"01234567"), (2, b"89abcdef"), (3, b"ghij")]).read();
    let file = only_transfer(&wire);
    assert_eq!(file.name, "undionly.kpxe");
    assert_eq!((file.bytes, file.announced), (20, Some(20)));
    assert_eq!(file.end, TransferEnd::Whole);
    assert_eq!((file.retransmits, file.longest_silence_us), (0, 1000));
    assert_eq!(file.from.port, Some(40000));
    assert_eq!((file.frame, file.end_us - file.start_us), (2, 7000));
    assert!(
        wire.packets
            .iter()
            .all(|packet| packet.from.port == Some(2070) || packet.frame == 2)
    );
}

#[test]
fn blocks_of_a_window_that_are_captured_before_they_are_cut_are_counted_one_by_one() {
    let mut script = transfer(&[(1, b"01234567")]);
    let window = [data(2, b"89abcdef"), data(3, b"ghij")].concat();
    script.udp(false, 2070, 40000, &window);
    script.udp(true, 2070, 40000, &ack(3));
    let wire = script.read();
    let file = only_transfer(&wire);
    assert_eq!((file.bytes, file.retransmits), (20, 0));
    assert_eq!(file.end, TransferEnd::Whole);
}

#[test]
fn block_longer_than_agreed_that_is_no_window_stays_one() {
    let mut script = transfer(&[]);
    script.udp(false, 2070, 40000, &data(1, b"0123456789abcdefghij"));
    let wire = script.read();
    assert_eq!(only_transfer(&wire).bytes, 20);
}

#[test]
fn blocks_sent_again_are_counted_and_their_bytes_are_not() {
    let mut script = transfer(&[(1, b"01234567")]);
    script.silence(2000);
    script.udp(false, 2070, 40000, &data(1, b"01234567"));
    script.udp(false, 2070, 40000, &data(2, b"89"));
    let wire = script.read();
    let file = only_transfer(&wire);
    assert_eq!((file.bytes, file.retransmits), (10, 1));
    assert_eq!(file.longest_silence_us, 2_001_000);
    assert_eq!(file.end, TransferEnd::Open, "not acknowledged");
}

#[test]
fn an_end_before_the_announced_size_is_the_senders_fault() {
    let wire = transfer(&[(1, b"01234567"), (2, b"89")]).read();
    assert_eq!(only_transfer(&wire).end, TransferEnd::BrokenBySender);
}

#[test]
fn a_client_that_only_wanted_the_size_breaks_off() {
    let mut script = Script::new();
    script.udp(true, 2070, 69, REQUEST);
    script.udp(false, 2070, 40000, OPTIONS);
    script.udp(
        true,
        2070,
        40000,
        b"\x00\x05\x00\x08User aborted the transfer",
    );
    let wire = script.read();
    let file = only_transfer(&wire);
    assert_eq!((file.end, file.bytes), (TransferEnd::BrokenByReceiver, 0));
    assert_eq!(
        wire.packets.last().unwrap().what,
        PacketContent::TftpError {
            code: 8,
            message: "User aborted the transfer".into(),
            file: Some("undionly.kpxe".into())
        }
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_no_transfer() {
    let mut script = Script::new();
    script.udp(true, 2070, 69, REQUEST);
    script.udp(false, 2070, 40000, b"\x00\x05\x00\x01File not found\0");
    let wire = script.read();
    assert!(wire.transfers.is_empty());
    assert_eq!(
        wire.packets.last().unwrap().what,
        PacketContent::TftpError {
            code: 1,
            message: "File not found".into(),
            file: Some("undionly.kpxe".into())
        }
    );
}

#[test]
fn a_server_that_gives_up_midway_is_the_one_who_broke_it() {
    let mut script = transfer(&[(1, b"01234567")]);
    script.udp(false, 2070, 40000, b"\x00\x05\x00\x00read error\0");
    let wire = script.read();
    assert_eq!(only_transfer(&wire).end, TransferEnd::BrokenBySender);
}

#[test]
fn request_for_an_empty_name_has_a_name_to_show() {
    let mut script = Script::new();
    script.udp(true, 2070, 69, b"\x00\x01\0octet\0");
    let wire = script.read();
    let PacketContent::TftpRequest { file, .. } = &wire.packets[0].what else {
        panic!("{wire:?}");
    };
    assert_eq!(file, "\"\"");
}

#[test]
fn what_another_host_sends_is_no_part_of_the_transfer() {
    let mut script = transfer(&[(1, b"01234567")]);
    script.udp(false, 2070, 40001, &data(2, b"zzzzzzzz"));
    let wire = script.read();
    assert_eq!(only_transfer(&wire).bytes, 8);
}
