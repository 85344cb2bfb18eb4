//! RFC 1350, The TFTP Protocol (Revision 2).

use std::net::UdpSocket;
use std::time::Instant;

use crate::support::server;

/// Section 2: "A data packet of less than 512 bytes signals termination of a transfer."
#[test]
fn section_2_a_file_ends_with_a_short_block_even_if_that_is_empty() {
    let Some(server) = server() else {
        return;
    };
    for (len, last, rest) in [
        (0, 1, 0),
        (1, 1, 1),
        (511, 1, 511),
        (512, 2, 0),
        (1000, 2, 488),
    ] {
        let file = server.file("f", len);
        let mut client = server.ask("f", &[]);
        let mut received = Vec::new();
        for block in 1..last {
            received.extend(client.expect_data(block, 512));
            client.ack(block);
        }
        received.extend(client.expect_data(last, rest));
        client.ack(last);
        client.expect_silence();
        assert_eq!(received, file);
    }
}

/// Section 2: the sender keeps the last packet on hand and sends it again when no answer comes.
#[test]
fn section_2_a_lost_packet_is_sent_again_after_a_while() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    let mut client = server.ask("f", &[]);
    client.expect_data(1, 512);
    client.ack(1);
    client.expect_data(2, 512);
    let waited = Instant::now();
    client.expect_data(2, 512);
    assert!(
        waited.elapsed().as_millis() >= 900,
        "{:?}",
        waited.elapsed()
    );
    client.ack(2);
    client.expect_data(3, 512);
}

/// Section 2, and RFC 1123 section 4.2.3.1: an acknowledgement that came twice must not double what is sent.
#[test]
fn section_2_a_repeated_acknowledgement_is_not_answered() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 5000);
    let mut client = server.ask("f", &[]);
    client.expect_data(1, 512);
    client.ack(1);
    client.ack(1);
    client.expect_data(2, 512);
    client.expect_silence();
}

/// Section 4: the server chooses a port of its own for each transfer.
#[test]
fn section_4_each_transfer_has_a_port_of_its_own() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    let (mut one, mut two) = (server.ask("f", &[]), server.ask("f", &[]));
    one.expect_data(1, 512);
    two.expect_data(1, 512);
    assert_ne!(one.peer, two.peer);
    assert_ne!(one.peer.unwrap().port(), 69);
}

/// Section 4: a packet from another port "should be discarded as erroneously sent from somewhere else".
#[test]
fn section_4_a_stranger_does_not_disturb_a_transfer() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    let mut client = server.ask("f", &[]);
    client.expect_data(1, 512);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in [&[0, 4, 0, 1][..], b"\0\x05\0\0stop\0"] {
        let _ = stranger.send_to(packet, client.peer.unwrap());
    }
    client.expect_silence();
    client.ack(1);
    client.expect_data(2, 512);
}

/// Section 5: the mode may be in any case; only octet is served, and the refusal says so.
#[test]
fn section_5_octet_is_served_in_any_case_and_other_modes_are_refused() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 10);
    server.send(b"\0\x01f\0OcTeT\0").expect_data(1, 10);
    for request in [&b"\0\x01f\0netascii\0"[..], b"\0\x01f\0mail\0"] {
        let message = server.send(request).expect_error(4);
        assert!(message.contains("octet"), "{message}");
    }
}

/// Section 5, error codes: 1 file not found, 2 access violation.
#[test]
fn section_5_what_is_not_served_is_answered_with_its_code() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 10);
    server.ask("nosuch", &[]).expect_error(1);
    server.ask("../boot-server.toml", &[]).expect_error(2);
    server.send(b"\0\x02f\0octet\0").expect_error(2);
}

/// Section 5: what is no packet of the protocol gets no answer, and does no harm.
#[test]
fn section_5_broken_packets_are_not_answered() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 10);
    for packet in [
        &b""[..],
        b"\0",
        b"\0\x01",
        b"\0\x01f",
        b"\0\x09f\0octet\0",
        b"\0\x04\0\x01",
    ] {
        server.send(packet).expect_silence();
    }
    server.ask("f", &[]).expect_data(1, 10);
}

/// Section 5: an error ends a transfer and is not acknowledged.
#[test]
fn section_5_a_clients_error_ends_the_transfer() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    let mut client = server.ask("f", &[]);
    client.expect_data(1, 512);
    client.reply(b"\0\x05\0\x03disk full\0");
    client.expect_silence();
    client.ack(1);
    client.expect_silence();
}

/// Section 6: block numbers have 16 bits. Behind 65535 clients count on with 0; 64 MB need two turns.
#[test]
fn section_6_block_numbers_go_on_with_0_after_65535() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", 64 * 1024 * 1024 + 5);
    let mut client = server.ask("f", &[]);
    assert!(client.receive(512) == file);
}
