//! Output of a service: complete in its log, and line by line as evidence, up to a limit.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab_model::evidence::OutputStream;
use lab_model::untrusted::plain;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::cell::services::{self, ServiceEvent};

/// Maximum number of lines of one service in the evidence; the log has all.
const LINES_MAX: usize = 2000;

/// Maximum length of a line in the evidence, in bytes.
const LINE_BYTES_MAX: usize = 1000;

/// Destination of a service's lines.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) service: String,
    told: mpsc::UnboundedSender<ServiceEvent>,
    /// Receives each line, for a sign in the output.
    heard: mpsc::UnboundedSender<String>,
    count: Arc<AtomicUsize>,
}

impl Lines {
    pub(super) fn new(
        service: &str,
        told: mpsc::UnboundedSender<ServiceEvent>,
        heard: mpsc::UnboundedSender<String>,
    ) -> Lines {
        Lines {
            service: service.to_owned(),
            told,
            heard,
            count: Arc::default(),
        }
    }

    fn line(&self, stream: OutputStream, bytes: &[u8]) {
        let line = plain(&String::from_utf8_lossy(bytes)).trim_end().to_owned();
        if line.is_empty() {
            return;
        }
        // Nobody waits for a sign any more, or the attempt is over.
        let _ = self.heard.send(line.clone());
        if self.count.fetch_add(1, Ordering::Relaxed) < LINES_MAX {
            let _ = self.told.send(ServiceEvent::Line {
                service: self.service.clone(),
                stream,
                line,
            });
        }
    }
}

/// Copies a stream to its log until it ends, and passes on its lines.
pub(super) async fn follow(
    mut stream: impl AsyncRead + Unpin,
    kind: OutputStream,
    mut log: File,
    lines: Lines,
) -> io::Result<()> {
    let mut chunk = vec![0; 8192];
    let mut line = Vec::new();
    loop {
        let length = stream.read(&mut chunk).await?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        log.write_all(read)?;
        for &byte in read {
            if byte == b'\n' {
                lines.line(kind, &line);
                line.clear();
            } else if line.len() < LINE_BYTES_MAX {
                line.push(byte);
            }
        }
    }
    lines.line(kind, &line);
    Ok(())
}

/// Returns the name of a stream's log.
pub(super) fn log_name(kind: OutputStream) -> &'static str {
    match kind {
        OutputStream::Stdout => "stdout.log",
        OutputStream::Stderr => "stderr.log",
    }
}

/// Returns the last lines of the logs in `folder`, standard error first.
pub(super) fn last_lines(folder: &Path) -> String {
    let kinds = [OutputStream::Stderr, OutputStream::Stdout].into_iter();
    let said: Vec<String> = kinds
        .filter_map(|kind| services::last_lines(&folder.join(log_name(kind))))
        .collect();
    match said.is_empty() {
        true => services::NOTHING.into(),
        false => said.join("\n"),
    }
}
