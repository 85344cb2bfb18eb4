//! Connections that break: what was fetched is not fetched again, and two versions are never joined.

use std::sync::Mutex;
use std::time::Duration;

use images::acquire::{AcquireError, Event};
use images::fetch::FetchError;

use crate::publisher::{KERNEL, LENGTH, Publisher, kernel};
use crate::server::{Fault, Server};

const VERSION: &str = "4459.2.1";

fn publisher() -> (Publisher, String) {
    let publisher = Publisher::new();
    publisher.publish("stable", "amd64", VERSION);
    let path = Publisher::flatcar("stable", "amd64", VERSION, KERNEL);
    (publisher, path)
}

#[test]
fn a_cut_connection_is_gone_on_with_where_it_was_cut() {
    let (publisher, path) = publisher();
    publisher
        .server
        .fail(&path, [Fault::CutAfter(100_000), Fault::CutAfter(50_000)]);
    let again = Mutex::new(0);
    publisher
        .fetch_telling("flatcar", &|event| {
            if let Event::Again { name, why, .. } = event {
                assert_eq!(name, KERNEL, "{why}");
                *again.lock().unwrap() += 1;
            }
        })
        .unwrap();
    assert_eq!(*again.lock().unwrap(), 2);
    let requests = publisher.server.requests(&path);
    let asked: Vec<(Option<&str>, u16)> = requests
        .iter()
        .map(|r| (r.range.as_deref(), r.status))
        .collect();
    assert_eq!(
        asked,
        [
            (None, 200),
            (Some("bytes=100000-"), 206),
            (Some("bytes=150000-"), 206)
        ]
    );
    let tagged = requests
        .iter()
        .skip(1)
        .all(|request| request.if_range.is_some());
    assert!(
        tagged,
        "a part is asked for only of the same file: {requests:?}"
    );
    assert_eq!(
        publisher.server.bytes_served(&path),
        LENGTH,
        "no byte is sent twice"
    );
    publisher.is_whole(&[VERSION], &[]);
}

#[test]
fn what_one_run_began_the_next_one_goes_on_with() {
    let (publisher, path) = publisher();
    publisher.server.fail(&path, [Fault::CutAfter(100_000)]);
    publisher.server.fail_always(&path, Fault::CutAfter(0));
    let error = publisher.refused("flatcar", &[], &[kernel(VERSION)]);
    let url = publisher.server.url() + &path;
    assert!(
        matches!(
            &error,
            AcquireError::Fetch(FetchError::GaveUp { url: at, attempts: 4, have: 100_000, .. }) if *at == url
        ),
        "{error}"
    );
    publisher.server.heal(&path);
    publisher.fetch("flatcar").unwrap();
    let last = publisher.server.requests(&path).pop().unwrap();
    assert_eq!(
        (last.range.as_deref(), last.bytes),
        (Some("bytes=100000-"), 200_000)
    );
    publisher.is_whole(&[VERSION], &[]);
    let left = std::fs::read_dir(publisher.store().partial())
        .unwrap()
        .count();
    assert_eq!(left, 0, "nothing is left of what was fetched");
}

#[test]
fn a_file_that_changes_between_two_attempts_is_begun_anew() {
    let (publisher, path) = publisher();
    publisher.server.fail(&path, [Fault::CutAfter(100_000)]);
    publisher.server.fail_always(&path, Fault::CutAfter(0));
    publisher.fetch("flatcar").unwrap_err();
    publisher.server.heal(&path);
    publisher.put_signed(&path, kernel("newer"), crate::signer::Key::Publisher);
    let stored = publisher.fetch("flatcar").unwrap();
    assert_eq!(
        std::fs::read(stored.folder.join(KERNEL)).unwrap(),
        kernel("newer")
    );
    assert_eq!(publisher.server.requests(&path).pop().unwrap().status, 200);
}

#[test]
fn servers_that_know_nothing_of_ranges_or_get_them_wrong_are_borne() {
    for fault in [Fault::IgnoreRange, Fault::WrongRange] {
        let (publisher, path) = publisher();
        publisher
            .server
            .fail(&path, [Fault::CutAfter(100_000), fault]);
        let stored = publisher.fetch("flatcar").unwrap();
        assert_eq!(
            std::fs::read(stored.folder.join(KERNEL)).unwrap(),
            kernel(VERSION)
        );
    }
}

#[test]
fn a_server_that_gives_less_of_a_range_than_it_was_asked_for_is_asked_for_the_rest() {
    let (publisher, path) = publisher();
    publisher
        .server
        .fail(&path, [Fault::CutAfter(100_000), Fault::Capped(50_000)]);
    let stored = publisher.fetch("flatcar").unwrap();
    assert_eq!(
        std::fs::read(stored.folder.join(KERNEL)).unwrap(),
        kernel(VERSION)
    );
    assert_eq!(publisher.server.bytes_served(&path), LENGTH);
}

#[test]
fn a_download_that_ended_just_before_it_was_said_so_is_not_begun_anew() {
    let (publisher, path) = publisher();
    let url = format!("{}{path}", publisher.server.url());
    let partial = publisher.store().partial();
    let client = images::fetch::Client::new(publisher.patience.clone()).unwrap();
    for _ in 0..2 {
        let mut file = images::fetch::partial::Partial::open(&partial, &url).unwrap();
        client.download(&url, &mut file, &mut |_| true).unwrap();
        assert_eq!(file.len(), LENGTH as u64);
    }
    assert_eq!(publisher.server.bytes_served(&path), LENGTH);
    assert_eq!(publisher.server.requests(&path).pop().unwrap().status, 416);
}

#[test]
fn a_server_that_falls_silent_is_tried_again() {
    let (mut publisher, path) = publisher();
    publisher.patience.silence = Duration::from_millis(300);
    publisher.server.fail(&path, [Fault::Silent(100_000)]);
    publisher.fetch("flatcar").unwrap();
    assert_eq!(publisher.server.bytes_served(&path), LENGTH);
}

#[test]
fn a_file_that_fails_ends_the_others() {
    let (mut publisher, path) = publisher();
    publisher.patience.silence = Duration::from_secs(1);
    let initrd = Publisher::flatcar("stable", "amd64", VERSION, crate::publisher::INITRD);
    publisher
        .server
        .fail_always(&initrd, Fault::Silent(100_000));
    publisher.server.remove(&path);
    let message = format!(
        "version not found: {VERSION} of flatcar:stable (SERVER{path}: the server answers 404 Not Found)"
    );
    publisher.refuses("flatcar", &message, &[], &[]);
    assert_eq!(
        publisher.server.requests(&initrd).len(),
        1,
        "it is not tried again"
    );
}

#[test]
fn a_passing_trouble_of_the_server_is_borne() {
    let (publisher, path) = publisher();
    publisher
        .server
        .fail(&path, [Fault::Status(503), Fault::Status(429)]);
    let version = Publisher::flatcar("stable", "amd64", "current", "version.txt");
    publisher.server.fail(&version, [Fault::Status(500)]);
    publisher.fetch("flatcar").unwrap();
    publisher.is_whole(&[VERSION], &[]);
}

/// Environment variable that tells a child of the next test its job.
const CHILD: &str = "BOOTLAB_TEST_FETCHES";

#[test]
fn proxies_of_the_environment_are_used() {
    if let Some(url) = std::env::var_os(CHILD) {
        let patience = images::fetch::Patience {
            attempts: 1,
            ..Default::default()
        };
        let client = images::fetch::Client::new(patience).unwrap();
        let url = url.into_string().unwrap();
        println!(
            "{:?}",
            client
                .short(&url, 1000, &mut |_| {})
                .map_err(|error| error.to_string())
        );
        return;
    }
    let proxy = Server::start();
    proxy.put("/stable/version.txt", "FLATCAR_VERSION=1.0.0\n");
    let ask = |url: &str| {
        let output = test_support::start_again(&[])
            .env(CHILD, url)
            .env("HTTP_PROXY", proxy.url())
            .env("HTTPS_PROXY", proxy.url())
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // Names that lead nowhere: whoever gets an answer has it from the proxy.
    let said = ask("http://release.invalid/stable/version.txt");
    assert!(said.contains("Ok("), "{said}");
    let said = ask("https://release.invalid/stable/version.txt");
    assert!(said.contains("Err("), "{said}");
    let tunnel = proxy.requests("release.invalid:443");
    assert_eq!(
        tunnel.first().map(|r| r.line.as_str()),
        Some("CONNECT release.invalid:443 HTTP/1.1")
    );
}
