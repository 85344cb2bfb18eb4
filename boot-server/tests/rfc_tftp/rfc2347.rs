//! RFC 2347, TFTP Option Extension.

use crate::support::server;

#[test]
fn only_options_that_were_asked_for_and_are_known_are_acknowledged() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 1000);
    let asked = [("multicast", ""), ("blksize", "600"), ("x-new", "1")];
    server
        .ask("f", &asked)
        .expect_options(&[("blksize", "600")]);
}

/// "The option names … are case-insensitive."
#[test]
fn option_names_are_understood_in_any_case() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 1000);
    server
        .ask("f", &[("BLKSIZE", "600"), ("TSize", "0")])
        .expect_options(&[("blksize", "600"), ("tsize", "1000")]);
}

#[test]
fn without_an_option_that_is_understood_the_transfer_is_a_plain_one() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 1000);
    server.ask("f", &[("x-new", "1")]).expect_data(1, 512);
}

/// "If the options are acknowledged … the client responds with an ACK of block 0": data only after it.
#[test]
fn data_follows_the_acknowledgement_of_the_options_and_does_not_come_before() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", 1000);
    let mut client = server.ask("f", &[("blksize", "600")]);
    client.expect_options(&[("blksize", "600")]);
    client.expect_silence();
    client.ack(0);
    assert_eq!(client.receive(600), file);
}

/// A client that refuses what it was granted sends error 8 (EDK2 does after it asked for a size).
#[test]
fn a_client_may_refuse_the_options() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 1000);
    let mut client = server.ask("f", &[("tsize", "0")]);
    client.expect_options(&[("tsize", "1000")]);
    client.reply(b"\0\x05\0\x08User aborted the transfer\0");
    client.expect_silence();
    client.ack(0);
    client.expect_silence();
}

/// Errors come in the place of the acknowledgement of options.
#[test]
fn a_missing_file_is_an_error_whatever_options_are_asked_for() {
    let Some(server) = server() else {
        return;
    };
    server.ask("nosuch", &[("blksize", "600")]).expect_error(1);
}
