//! Clients that others wrote: tftp-hpa, atftp, curl and busybox.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Server, server};

const LEN: usize = 3_000_000;

/// Runs a client to its end, bounded in time, in the folder for what clients write.
fn fetch(server: &Server, program: &str, arguments: &[&str], expected: &[u8]) {
    let out = server.scratch().join("out");
    let _ = std::fs::remove_file(&out);
    let child = Command::new(program)
        .args(arguments)
        .current_dir(server.scratch())
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error} (ci/setup.sh installs it)"));
    let status = test_support::ends(child, Duration::from_secs(60)).status;
    assert!(status.success(), "{program} {arguments:?}: {status}");
    let received = std::fs::read(&out).unwrap();
    assert!(
        received == expected,
        "{program} {arguments:?}: {} bytes",
        received.len()
    );
}

#[test]
fn tftp_hpa_fetches_a_file() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", LEN);
    let arguments = ["-m", "binary", "127.0.0.1", "-c", "get", "/f", "out"];
    fetch(&server, "tftp", &arguments, &file);
}

#[test]
fn curl_fetches_a_file_with_and_without_options() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", LEN);
    for options in [&["--tftp-no-options"][..], &[], &["--tftp-blksize", "1428"]] {
        let mut arguments = vec!["-sS", "-o", "out", "tftp://127.0.0.1/f"];
        arguments.extend(options);
        fetch(&server, "curl", &arguments, &file);
    }
}

#[test]
fn atftp_fetches_a_file_with_windows() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", LEN);
    let get = ["-g", "-r", "f", "-l", "out", "127.0.0.1", "69"];
    for options in [
        &[][..],
        &["--option", "blksize 1428"],
        &["--option", "blksize 1428", "--option", "windowsize 16"],
        &[
            "--option",
            "windowsize 64",
            "--option",
            "tsize 0",
            "--option",
            "timeout 3",
        ],
    ] {
        fetch(&server, "atftp", &[options, &get[..]].concat(), &file);
    }
}

#[test]
fn busybox_fetches_a_file() {
    let Some(server) = server() else {
        return;
    };
    let file = server.file("f", LEN);
    for size in ["512", "1428"] {
        let arguments = [
            "tftp",
            "-g",
            "-b",
            size,
            "-r",
            "f",
            "-l",
            "out",
            "127.0.0.1",
        ];
        fetch(&server, "busybox", &arguments, &file);
    }
}

#[test]
fn a_file_of_the_configuration_comes_from_no_folder() {
    let Some(server) = server() else {
        return;
    };
    let script = b"#!ipxe\ndhcp && chain --autofree http://10.0.0.1/s || autoboot\n";
    let arguments = [
        "-m",
        "binary",
        "127.0.0.1",
        "-c",
        "get",
        "autoexec.ipxe",
        "out",
    ];
    fetch(&server, "tftp", &arguments, script);
}
