//! RFC 2348, TFTP Blocksize Option.

use crate::support::{run, server};

#[test]
fn block_sizes_from_8_to_65464_are_granted_and_used() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", 140_000);
    for size in ["8", "1428", "65464"] {
        let mut client = server.ask("f", &[("blksize", size)]);
        client.expect_options(&[("blksize", size)]);
        client.ack(0);
        assert!(client.receive(size.parse().unwrap()) == file, "{size}");
    }
}

/// "Blocks … the server may … specify a value less than": none that the way would have to cut.
#[test]
fn a_block_never_makes_a_packet_longer_than_the_link_takes() {
    let Some(server) = server() else {
        return;
    };
    run("ip", &["link", "set", "lo", "mtu", "1500"]);
    server.file("f", 5000);
    let mut client = server.ask("f", &[("blksize", "65464")]);
    // 1500 bytes without the headers of IP, UDP and TFTP.
    client.expect_options(&[("blksize", "1468")]);
    client.ack(0);
    client.expect_data(1, 1468);
}

#[test]
fn a_block_size_that_is_not_valid_is_as_if_not_asked() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    for size in ["7", "0", "-1", "many", ""] {
        server.ask("f", &[("blksize", size)]).expect_data(1, 512);
    }
    let asked = [("blksize", "65465")];
    server
        .ask("f", &asked)
        .expect_options(&[("blksize", "65464")]);
}
