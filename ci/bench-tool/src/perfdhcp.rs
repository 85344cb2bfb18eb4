//! perfdhcp (package `kea-admin`): its command line and what it tells.

use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::cable::SERVERS;

/// The hardware address of its first client; each further one is one higher.
const FIRST_MAC: u64 = 0x000c_0102_0304;
/// Waiting time for the last answers, in microseconds.
const LAST_ANSWERS_US: &str = "500000";

/// Returns the hardware address of a client by its number.
pub(crate) fn mac(client: u32) -> String {
    let [_, _, mac @ ..] = (FIRST_MAC + u64::from(client)).to_be_bytes();
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// perfdhcp's counts of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) discovers: u64,
    pub(crate) acks: u64,
}

impl Counts {
    /// Returns the share of exchanges that were begun and not ended.
    pub(crate) fn lost(&self) -> f64 {
        1.0 - self.acks as f64 / self.discovers as f64
    }

    /// Reads what perfdhcp prints at its end.
    fn parse(text: &str) -> anyhow::Result<Counts> {
        let counts = |word: &str| -> anyhow::Result<Vec<u64>> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(word));
            let numbers = lines.map(|rest| {
                let rest = rest.trim();
                let number = rest.parse::<u64>();
                number.with_context(|| format!("`{word}{rest}` is no count"))
            });
            numbers.collect()
        };
        let (sent, received) = (counts("sent packets: ")?, counts("received packets: ")?);
        let ([discovers, requests], [offers, acks]) = (&sent[..], &received[..]) else {
            bail!("there are no counts of two exchanges");
        };
        for word in ["rejected leases: ", "Malformed packets: "] {
            let wrong: u64 = counts(word)?.iter().sum();
            ensure!(wrong == 0, "{word}{wrong}");
        }
        ensure!(
            discovers >= offers && offers >= requests && requests >= acks,
            "more answers than questions: {discovers}, {offers}, {requests}, {acks}"
        );
        Ok(Counts {
            discovers: *discovers,
            acks: *acks,
        })
    }
}

/// True if a single Discover is answered.
///
/// # Errors
/// It does not start.
pub(crate) fn is_answered() -> anyhow::Result<bool> {
    let output = Command::new("perfdhcp")
        .args(["-4", "-l", "cli", "-r", "1", "-n", "1", "-R", "1"])
        .args(["-W", LAST_ANSWERS_US])
        .arg(SERVERS[0].to_string())
        .stdin(Stdio::null())
        .output()
        .context("perfdhcp")?;
    // It ends with the offer and calls the exchange lost.
    Ok(String::from_utf8_lossy(&output.stdout).contains("received packets: 1\n"))
}

/// Begins `rate` exchanges a second for so long, of so many clients in turn.
///
/// # Errors
/// It does not start, or tells of wrong answers.
pub(crate) fn run(rate: u32, clients: u32, seconds: u64) -> anyhow::Result<Counts> {
    let output = Command::new("perfdhcp")
        .args([
            "-4",
            "-l",
            "cli",
            "-r",
            &rate.to_string(),
            "-R",
            &clients.to_string(),
        ])
        .args(["-p", &seconds.to_string(), "-W", LAST_ANSWERS_US])
        .arg(SERVERS[0].to_string())
        .stdin(Stdio::null())
        .output()
        .context("perfdhcp")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // It fails when an exchange was lost, too: what counts is whether it came to its end.
    Counts::parse(&text).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("perfdhcp: {}\n{text}{errors}", output.status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Running: perfdhcp -4 -l cli\nScenario: basic.\nMulti-thread mode enabled.\n\
        ***Rate statistics***\nRate: 98.5 4-way exchanges/second, expected rate: 100\n\n\
        ***Malformed Packets***\nMalformed packets: 0\n\
        ***Statistics for: DISCOVER-OFFER***\nsent packets: 200\nreceived packets: 198\ndrops: 2\n\
        drops ratio: 1 %\norphans: 0\nrejected leases: 0\nnon unique addresses: 193\n\nmin delay: 0.069 ms\n\
        ***Statistics for: REQUEST-ACK***\nsent packets: 198\nreceived packets: 197\ndrops: 1\n\
        drops ratio: 0.5 %\norphans: 0\nrejected leases: 0\nnon unique addresses: 190\n";

    #[test]
    fn perfdhcps_counts_are_read() {
        let counts = Counts::parse(TEXT).unwrap();
        assert_eq!(
            counts,
            Counts {
                discovers: 200,
                acks: 197
            }
        );
        assert!((counts.lost() - 0.015).abs() < 1e-9);
    }

    #[test]
    fn wrong_answers_and_other_texts_are_errors() {
        let with = |from: &str, to: &str| {
            Counts::parse(&TEXT.replace(from, to)).map_err(|e| e.to_string())
        };
        assert_eq!(
            with("rejected leases: 0", "rejected leases: 3"),
            Err("rejected leases: 6".into())
        );
        assert_eq!(
            with("Malformed packets: 0", "Malformed packets: 1"),
            Err("Malformed packets: 1".into())
        );
        assert_eq!(
            with("sent packets: 200", "sent packets: many"),
            Err("`sent packets: many` is no count".into())
        );
        assert!(with("received packets: 197", "received packets: 300").is_err());
        assert!(Counts::parse("sent packets: 1\n").is_err());
    }

    #[test]
    fn clients_count_up_from_the_first_hardware_address() {
        assert_eq!(mac(0), "00:0c:01:02:03:04");
        assert_eq!(mac(50_000), "00:0c:01:02:c6:54");
    }
}
