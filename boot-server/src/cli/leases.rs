//! `boot-server leases`: who has which address until when, from the lease file.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::SystemTime;

use anyhow::Context;
use boot_server_proto::mac::MacAddr;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::ExitCode;
use super::narrate::plain;
use crate::config::Config;
use crate::lease::{LeaseRecord, LeaseState, read_lease_file};

/// A lease as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    address: Ipv4Addr,
    mac: MacAddr,
    state: &'static str,
    /// Absent when it was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

impl Row {
    fn new(record: LeaseRecord, now: SystemTime) -> Row {
        let state = match (record.state, record.is_running(now)) {
            (LeaseState::Bound, true) => "bound",
            (LeaseState::Declined, true) => "declined",
            (LeaseState::Released, _) => "released",
            (_, false) if record.expires == 0 => "released",
            (_, false) => "expired",
        };
        let expires = i64::try_from(record.expires).ok();
        Row {
            address: record.address,
            mac: record.mac,
            state,
            expires: expires
                .filter(|_| state != "released")
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            hostname: record.hostname,
            uuid: record.uuid,
            client_id: record.client_id,
        }
    }
}

/// Prints the leases to standard output, by address.
///
/// # Errors
/// The lease file is missing or cannot be read.
pub(super) fn list(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let dhcp = config.dhcp.as_ref().context("missing section [dhcp]")?;
    let path = dhcp.lease_file.as_ref().context(
        "missing dhcp.lease_file: leases are kept only in the server's memory; add e.g. lease_file = \"/var/lib/boot-server/leases\"",
    )?;
    let now = SystemTime::now();
    let file = read_lease_file(path)?;
    if !file.invalid.is_empty() {
        let (path, problems) = (path.display(), file.problems());
        eprintln!("warning: lease file {path}: invalid lines are skipped: {problems}");
    }
    let rows = file
        .current
        .into_values()
        .map(|record| Row::new(record, now));
    let mut out = io::stdout().lock();
    let printed = match json {
        true => print_json(&mut out, rows),
        false => print_table(&mut out, rows),
    };
    match printed {
        // `boot-server leases | head` is not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(ExitCode::Ok)
}

fn print_json(out: &mut impl Write, rows: impl Iterator<Item = Row>) -> io::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, &row)?;
        writeln!(out)?;
    }
    Ok(())
}

fn print_table(out: &mut impl Write, rows: impl Iterator<Item = Row>) -> io::Result<()> {
    let line = |out: &mut _, cells: [&str; 7]| {
        let [address, mac, state, expires, hostname, uuid, client_id] = cells;
        // A machine's own choice, and a terminal's commands may be in it.
        let hostname = plain(hostname.to_owned());
        let client_id = plain(client_id.to_owned());
        let text = format!(
            "{address:<15}  {mac:<17}  {state:<8}  {expires:<20}  {hostname:<20}  {uuid:<36}  {client_id}"
        );
        writeln!(out as &mut dyn Write, "{}", text.trim_end())
    };
    line(
        out,
        [
            "ADDRESS",
            "MAC",
            "STATE",
            "UNTIL",
            "HOST NAME",
            "UUID",
            "CLIENT ID",
        ],
    )?;
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    for row in rows {
        line(
            out,
            [
                &row.address.to_string(),
                &row.mac.to_string(),
                row.state,
                &text(row.expires.map(|at| at.to_string())),
                &text(row.hostname),
                &text(row.uuid.map(|uuid| uuid.to_string())),
                &text(row.client_id),
            ],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_state_is_told_with_what_is_known() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let text = r#"{"address":"10.0.0.10","mac":"02:00:00:00:00:01","expires":1000060,"hostname":"n1"}
{"address":"10.0.0.11","mac":"02:00:00:00:00:02","expires":999999}
{"address":"10.0.0.12","mac":"02:00:00:00:00:03","expires":0}
{"address":"10.0.0.13","mac":"02:00:00:00:00:04","expires":1000600,"state":"declined"}"#;
        let rows = || {
            text.lines()
                .map(|line| Row::new(serde_json::from_str(line).unwrap(), now))
        };
        let states: Vec<&str> = rows().map(|row| row.state).collect();
        assert_eq!(states, ["bound", "expired", "released", "declined"]);
        let mut out = Vec::new();
        print_json(&mut out, rows().take(1)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"address\":\"10.0.0.10\",\"mac\":\"02:00:00:00:00:01\",\"state\":\"bound\",\
             \"expires\":\"1970-01-12T13:47:40Z\",\"hostname\":\"n1\"}\n"
        );
        let mut out = Vec::new();
        print_table(&mut out, rows()).unwrap();
        let table = String::from_utf8(out).unwrap();
        assert_eq!(table.lines().count(), 5);
        assert!(
            table.contains("10.0.0.12        02:00:00:00:00:03  released  -"),
            "{table}"
        );
    }
}
