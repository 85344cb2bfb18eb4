//! Asking a lab that stays for something.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use thiserror::Error;

use super::Alive;
use crate::cell::control::{Reply, SOCKET, Wish};

/// How long an answer may take: a machine is made in a few seconds, more on a host that has much to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why something was not done.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The lab was not reached.
    #[error("{unit} does not answer: {source}")]
    Unreachable {
        /// Which.
        unit: String,
        /// Why.
        source: std::io::Error,
    },
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

impl Alive {
    /// Asks for it; the answer is never [`Reply::Refused`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn ask(&self, wish: &Wish) -> Result<Reply, ControlError> {
        match self.exchange(wish) {
            Ok(Reply::Refused { why }) => Err(ControlError::Refused(why)),
            Ok(reply) => Ok(reply),
            Err(source) => Err(ControlError::Unreachable {
                unit: self.unit.clone(),
                source,
            }),
        }
    }

    fn exchange(&self, wish: &Wish) -> std::io::Result<Reply> {
        let mut stream = UnixStream::connect(self.from_outside(&self.folder().join(SOCKET)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(wish)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}
