//! RFC 2349, TFTP Timeout Interval and Transfer Size Options.

use std::time::Instant;

use crate::support::server;

#[test]
fn a_transfer_size_of_0_is_answered_with_the_files_size() {
    let Some(server) = server() else {
        return;
    };
    for len in [0, 1, 70_000] {
        server.file("f", len);
        let size = len.to_string();
        server
            .ask("f", &[("tsize", "0")])
            .expect_options(&[("tsize", &size)]);
    }
}

/// "the timeout … Valid values range between 1 and 255 seconds": of what we grant, the very value.
#[test]
fn a_granted_timeout_is_the_time_until_a_packet_is_sent_again() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    let mut client = server.ask("f", &[("timeout", "2")]);
    client.expect_options(&[("timeout", "2")]);
    client.ack(0);
    client.expect_data(1, 512);
    let waited = Instant::now();
    client.expect_data(1, 512);
    let waited = waited.elapsed().as_millis();
    assert!((1900..3000).contains(&waited), "{waited} ms");
}

#[test]
fn timeouts_that_are_not_valid_or_too_long_are_as_if_not_asked() {
    let Some(server) = server() else {
        return;
    };
    server.file("f", 2000);
    for seconds in ["0", "256", "x", "255"] {
        server.ask("f", &[("timeout", seconds)]).expect_data(1, 512);
    }
}
