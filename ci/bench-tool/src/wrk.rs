//! wrk: its command line and what it tells.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// Result of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    /// Requests a second.
    pub(crate) rate: f64,
    /// The time, in milliseconds, that one request in a hundred takes longer than.
    pub(crate) p99_ms: f64,
}

/// Asks what a script says, over so many connections at once.
///
/// # Errors
/// A request failed, or was not answered with success.
pub(crate) fn run(
    address: SocketAddr,
    script: &Path,
    connections: u32,
    seconds: u64,
) -> anyhow::Result<Run> {
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{connections}"),
            &format!("-d{seconds}s"),
            "--latency",
            "-s",
        ])
        .arg(script)
        .arg(format!("http://{address}/"))
        .output()
        .context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "wrk: {}\n{text}{errors}",
        output.status
    );
    parse(&text).with_context(|| format!("wrk told:\n{text}{errors}"))
}

fn parse(text: &str) -> anyhow::Result<Run> {
    for wrong in ["Socket errors:", "Non-2xx"] {
        if let Some(line) = text.lines().find(|line| line.contains(wrong)) {
            bail!("requests failed: {}", line.trim());
        }
    }
    let after = |word: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(word));
        line.map(str::trim)
            .with_context(|| format!("there is no `{word}`"))
    };
    let run = Run {
        rate: after("Requests/sec:")?
            .parse()
            .context("requests a second")?,
        p99_ms: milliseconds(after("99%")?)?,
    };
    ensure!(run.rate > 0.0, "no request was answered");
    Ok(run)
}

/// Reads wrk's times: `812.00us`, `1.35ms`, `1.02s`.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            let number: f64 = number
                .parse()
                .with_context(|| format!("`{text}` is no time"))?;
            return Ok(number * factor);
        }
    }
    bail!("`{text}` is no time")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Running 4s test @ http://10.77.0.1:8081/\n  1 threads and 32 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.02ms  811.00us  11.20ms   78.10%\n    \
        Req/Sec    31.20k     1.10k   33.00k    70.00%\n  Latency Distribution\n     50%    0.90ms\n     \
        75%    1.31ms\n     90%    2.01ms\n     99%    3.70ms\n  124800 requests in 4.00s, 60.00MB read\n\
        Requests/sec:  31200.25\nTransfer/sec:     15.00MB\n";

    #[test]
    fn rate_and_slowest_hundredth_are_read() {
        let run = parse(TEXT).unwrap();
        assert_eq!(
            run,
            Run {
                rate: 31200.25,
                p99_ms: 3.7
            }
        );
    }

    #[test]
    fn failed_requests_are_errors() {
        let socket = format!("{TEXT}  Socket errors: connect 0, read 3, write 0, timeout 0\n");
        let status = format!("{TEXT}  Non-2xx or 3xx responses: 7\n");
        for text in [&socket, &status] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("requests failed: "), "{error}");
        }
        assert!(parse(&TEXT.replace("99%", "98%")).is_err());
        assert!(parse(&TEXT.replace("31200.25", "0.00")).is_err());
    }

    #[test]
    fn times_of_all_sizes_are_milliseconds() {
        let read = |text| milliseconds(text).map_err(|error| error.to_string());
        assert_eq!(read("812.00us"), Ok(0.812));
        assert_eq!(read("1.35ms"), Ok(1.35));
        assert_eq!(read("1.02s"), Ok(1020.0));
        assert!(read("fast").is_err());
    }
}
