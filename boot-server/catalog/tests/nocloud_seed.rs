//! Requests that cloud-init 22.4.2 and 26.2 sent for seeds, compared with the ones predicted from the kernel command line.
//!
//! `nocloud/seed.jsonl` was recorded with cloud-init's own data source against a web server; `HOST` is its address.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use boot_server_catalog::nocloud::{Seed, SeedFile, SeedSource};
use serde_json::Value;

/// Rows whose requests do not come from the kernel command line alone, and why.
const ARGUED: [(&str, &str); 4] = [
    (
        "redirect of user-data",
        "the second request follows a redirect",
    ),
    ("redirect 301 of everything", "requests follow redirects"),
    (
        "seed given by the DMI serial number",
        "the machine's firmware names the seed, which no server knows",
    ),
    (
        "DMI and command line",
        "the seed of the firmware replaces that of the command line",
    ),
];

fn rows() -> Vec<Value> {
    let text = include_str!("nocloud/seed.jsonl");
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

fn targets(row: &Value) -> Vec<String> {
    let stages = ["local", "network"].map(|stage| row["stages"][stage]["requests"].as_array());
    let requests = stages.into_iter().flatten().flatten();
    requests
        .map(|request| request["target"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn recorded_requests_are_those_of_the_seed() {
    let mut compared = 0;
    for row in rows() {
        let about = row["about"].as_str().unwrap();
        if ARGUED.iter().any(|(argued, _)| *argued == about) {
            continue;
        }
        let options = row["cmdline"].as_str().unwrap().split_whitespace();
        let asked = targets(&row);
        let Some(seed) = Seed::of_options(options) else {
            assert_eq!(asked, [""; 0], "{about}");
            continue;
        };
        let serial = row["dmi"]["chassis-serial-number"].as_str().unwrap();
        // cloud-init 26.2 adds the `/` that a seed without a query lacks; no server can rely on it.
        let is_mended = row["program"] == "26.2" && !seed.url.contains(['?', '%']);
        let is_mended = is_mended && !seed.url.ends_with('/');
        let url = format!("{}/", seed.url);
        let seed = match is_mended {
            true => Seed {
                source: SeedSource::NocloudNet,
                url,
            },
            false => seed,
        };
        let path = |file| {
            let url = seed.url_of(file);
            // cloud-init 22.4 sends such names as they are.
            let url = match row["program"] == "22.4.2" {
                true => url,
                false => url.replace("__dmi.chassis-serial-number__", serial),
            };
            url.strip_prefix("http://HOST").map(str::to_owned)
        };
        let predicted: Vec<String> = SeedFile::ALL.into_iter().filter_map(path).collect();
        for target in &asked {
            // Python's requests library sends one slash of several at the beginning.
            let is_it =
                |one: &String| one.trim_start_matches('/') == target.trim_start_matches('/');
            assert!(
                predicted.iter().any(is_it),
                "{about}: {target}, {predicted:?}"
            );
            compared += 1;
        }
    }
    assert!(compared > 300, "only {compared} requests were compared");
}

#[test]
fn file_without_content_is_asked_for_once_and_a_missing_one_eleven_times() {
    let times = |about: &str, file: &str| -> Vec<u64> {
        let rows = rows().into_iter().filter(|row| row["about"] == about);
        let of_file = rows.flat_map(|row| {
            let requests = row["stages"]["network"]["requests"].as_array().cloned();
            requests.unwrap_or_default()
        });
        of_file
            .filter(|request| request["target"].as_str().unwrap().ends_with(file))
            .map(|request| request["times"].as_u64().unwrap_or(1))
            .collect()
    };
    for file in ["vendor-data", "network-config"] {
        assert!(
            times("all empty", file).iter().all(|times| *times == 1),
            "{file}"
        );
    }
    assert_eq!(times("no vendor-data", "vendor-data"), [11, 11]);
}
