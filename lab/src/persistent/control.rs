//! Client of a persistent lab's control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use thiserror::Error;

use super::PersistentLab;
use crate::cell::control::{ControlRequest, ControlResponse, SOCKET};

/// Time limit for an answer: creating a machine takes seconds, and longer on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// Error of a control request.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The lab cannot be reached.
    #[error("cannot reach the lab: {unit} ({source})")]
    Unreachable {
        unit: String,
        source: std::io::Error,
    },
    /// The lab refused the request.
    #[error("{0}")]
    Refused(String),
}

impl PersistentLab {
    /// Sends a request and returns the answer, which is never [`ControlResponse::Refused`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn ask(&self, request: &ControlRequest) -> Result<ControlResponse, ControlError> {
        match self.exchange(request) {
            Ok(ControlResponse::Refused { why }) => Err(ControlError::Refused(why)),
            Ok(reply) => Ok(reply),
            Err(source) => Err(ControlError::Unreachable {
                unit: self.unit.clone(),
                source,
            }),
        }
    }

    fn exchange(&self, request: &ControlRequest) -> std::io::Result<ControlResponse> {
        let mut stream = UnixStream::connect(self.from_outside(&self.folder().join(SOCKET)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}
