//! Decisions on retries: which errors are worth another attempt, and when. Pure.

use std::time::Duration;

use super::{FetchError, Patience};

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Failure of an attempt.
#[derive(Debug)]
pub(super) enum Fault {
    /// The failure may be temporary.
    Passing(String),
    /// The failure is permanent.
    Final(FetchError),
}

impl Fault {
    /// Classifies an error of the HTTP library.
    pub(super) fn of(error: &reqwest::Error) -> Fault {
        Fault::Passing(chain(error))
    }

    /// Classifies a status other than success: a server's own trouble is temporary (5xx, and 408 and 429 of RFC
    /// 9110 and RFC 6585), a refusal is not.
    pub(super) fn of_status(url: &str, status: reqwest::StatusCode) -> Fault {
        let passing = status.is_server_error() || [408, 429].contains(&status.as_u16());
        if passing {
            return Fault::Passing(format!("the server answers {status}"));
        }
        Fault::Final(FetchError::Status {
            url: url.to_owned(),
            status: status.to_string(),
        })
    }
}

/// Returns an error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// The pauses between attempts: each twice as long as the one before.
#[derive(Debug)]
pub(super) struct Pauses {
    attempts: u32,
    made: u32,
    pause: Duration,
}

impl Pauses {
    pub(super) fn new(patience: &Patience) -> Pauses {
        Pauses {
            attempts: patience.attempts.max(1),
            made: 1,
            pause: patience.first_pause,
        }
    }

    /// Returns the delay before the next attempt, and the reason that the last one failed.
    ///
    /// # Errors
    /// The final error: the fault is permanent, or this was the last attempt.
    pub(super) fn after(
        &mut self,
        fault: Fault,
        url: &str,
        have: u64,
    ) -> Result<(String, Duration), FetchError> {
        let why = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Passing(why) => why,
        };
        match self.next() {
            Some(pause) => Ok((why, pause)),
            None => Err(FetchError::GaveUp {
                url: url.to_owned(),
                attempts: self.made,
                have,
                why,
            }),
        }
    }

    /// Returns the pause before the next attempt; `None` when there is to be none.
    fn next(&mut self) -> Option<Duration> {
        if self.made >= self.attempts {
            return None;
        }
        self.made += 1;
        let pause = self.pause.min(LONGEST_PAUSE);
        self.pause = self.pause.saturating_mul(2);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_come_to_an_end() {
        let patience = Patience {
            attempts: 8,
            ..Patience::default()
        };
        let mut pauses = Pauses::new(&patience);
        let seconds: Vec<u64> = std::iter::from_fn(|| pauses.next())
            .map(|p| p.as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses.made, 8);
    }

    #[test]
    fn a_servers_trouble_passes_and_a_refusal_does_not() {
        for (status, passing) in [
            (500, true),
            (503, true),
            (429, true),
            (408, true),
            (404, false),
            (403, false),
        ] {
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            let fault = Fault::of_status("http://x", status);
            assert_eq!(matches!(fault, Fault::Passing(_)), passing, "{status}");
        }
    }
}
