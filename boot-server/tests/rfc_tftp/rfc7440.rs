//! RFC 7440, TFTP Windowsize Option.

use crate::support::{Client, Server, server};

/// A client that was granted a window.
fn windowed(server: &Server, window: &str) -> Client {
    let mut client = server.ask("f", &[("windowsize", window)]);
    client.expect_options(&[("windowsize", window)]);
    client.ack(0);
    client
}

/// Section 4: as many blocks as the window has, and then none until an acknowledgement.
#[test]
fn section_4_a_window_is_sent_at_once_and_then_an_acknowledgement_awaited() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", 512 * 10);
    let mut client = windowed(&server, "4");
    let mut received = Vec::new();
    for first in [1, 5] {
        for block in first..first + 4 {
            received.extend(client.expect_data(block, 512));
        }
        client.expect_silence();
        client.ack(first + 3);
    }
    for (block, len) in [(9, 512), (10, 512), (11, 0)] {
        received.extend(client.expect_data(block, len));
    }
    client.ack(11);
    client.expect_silence();
    assert_eq!(received, file);
}

/// Section 4: an acknowledgement inside the window tells of a loss; the next window starts behind it.
#[test]
fn section_4_after_a_loss_the_next_window_starts_behind_what_arrived() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 512 * 20);
    let mut client = windowed(&server, "4");
    for block in 1..=4 {
        client.expect_data(block, 512);
    }
    client.ack(2);
    for block in 3..=6 {
        client.expect_data(block, 512);
    }
    client.expect_silence();
}

/// Section 4: when the window's first block was lost, the acknowledgement of the block before says so.
#[test]
fn section_4_a_loss_of_the_first_block_brings_the_window_again_but_once() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 512 * 20);
    let mut client = windowed(&server, "3");
    for block in 1..=3 {
        client.expect_data(block, 512);
    }
    client.ack(3);
    for block in 4..=6 {
        client.expect_data(block, 512);
    }
    client.ack(3);
    client.ack(3);
    for block in 4..=6 {
        client.expect_data(block, 512);
    }
    client.expect_silence();
}

/// Section 3: the server may grant less than was asked for; 0 is no window.
#[test]
fn section_3_a_window_is_granted_up_to_a_limit() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 1000);
    for (asked, granted) in [("1", "1"), ("64", "64"), ("65535", "64")] {
        server
            .ask("f", &[("windowsize", asked)])
            .expect_options(&[("windowsize", granted)]);
    }
    for none in ["0", "65536", "x"] {
        server.ask("f", &[("windowsize", none)]).expect_data(1, 512);
    }
}

/// Section 3, with RFC 2348: block sizes and windows go together, across the end of the numbers.
#[test]
fn section_3_windows_of_small_and_large_blocks_arrive_whole() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", 2_000_003);
    for (size, window) in [
        ("8", "64"),
        ("512", "7"),
        ("1428", "16"),
        ("9000", "33"),
        ("65464", "3"),
    ] {
        let mut client = server.ask("f", &[("blksize", size), ("windowsize", window)]);
        client.expect_options(&[("blksize", size), ("windowsize", window)]);
        client.ack(0);
        let (size, window): (usize, u64) = (size.parse().unwrap(), window.parse().unwrap());
        let mut received = Vec::new();
        let mut last = 0_u64;
        while received.len() < file.len() {
            let packet = client.next();
            let block = u16::from_be_bytes([packet[2], packet[3]]);
            if block != (last + 1) as u16 {
                // Lost in the socket's buffer: the server is told where to go on.
                client.ack(last as u16);
                continue;
            }
            last += 1;
            received.extend_from_slice(&packet[4..]);
            if last.is_multiple_of(window) || packet.len() < size + 4 {
                client.ack(last as u16);
            }
        }
        assert!(received == file, "{size} {window}");
    }
}
