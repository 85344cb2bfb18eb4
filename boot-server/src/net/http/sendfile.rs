//! Files that go from the page cache to the socket without passing through this program.
//!
//! hyper takes a body as bytes and writes them to its stream. So the body of a file is made of
//! *placeholders*: slices of one static region, as long as the parts of the file they stand for. The
//! stream below hyper knows them by their address and sends the file's bytes in their place, with
//! `sendfile`. hyper's framing stays as it is, and a body whose stream is another one (TLS, tests) is read
//! and written as usual.
//!
//! The two halves share a queue of the parts. hyper writes a vectored stream's parts in order and
//! without copying; should it ever copy one, the stream would see ordinary bytes while the queue
//! holds a part, and breaks the connection before any wrong byte has left.
//!
//! A file that is changed meanwhile breaks the connection too: each part is followed by a look at its size and
//! modification time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::net::unchanged::Version;

/// Maximum number of bytes per placeholder: with fewer, hyper's overhead shows in comparison with nginx.
const PART_BYTES: usize = 1024 * 1024;
/// Bytes read at once into the page cache.
const LOAD_BYTES: usize = 128 * 1024;
/// Bytes copied at once from file systems that know no `sendfile`.
const COPY_BYTES: usize = 64 * 1024;

/// Never written and never sent: only its addresses matter, so it takes no memory either.
static PLACEHOLDER: [u8; PART_BYTES] = [0; PART_BYTES];

fn is_placeholder(bytes: &[u8]) -> bool {
    PLACEHOLDER.as_ptr_range().contains(&bytes.as_ptr())
}

/// Part of a file that a placeholder represents.
#[derive(Debug)]
struct FilePart {
    file: Arc<File>,
    version: Version,
    offset: u64,
    len: usize,
}

/// The parts of files that a connection is about to send, shared by bodies and stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileQueue(Arc<Mutex<VecDeque<FilePart>>>);

impl FileQueue {
    fn parts(&self) -> MutexGuard<'_, VecDeque<FilePart>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.parts().is_empty()
    }
}

/// A part of a file as a body of placeholders.
#[derive(Debug)]
pub(crate) struct FileBody {
    file: Arc<File>,
    version: Version,
    queue: FileQueue,
    offset: u64,
    left: u64,
    /// Bringing the next part into the page cache.
    loading: Option<JoinHandle<()>>,
}

impl FileBody {
    /// Returns the `len` bytes from `offset` on, to be sent by the stream that shares the queue.
    pub(in crate::net) fn new(
        file: File,
        version: Version,
        queue: FileQueue,
        offset: u64,
        len: u64,
    ) -> FileBody {
        // Advice only: without it the kernel reads ahead less.
        let _ = rustix::fs::fadvise(&file, offset, None, rustix::fs::Advice::Sequential);
        FileBody {
            file: Arc::new(file),
            version,
            queue,
            offset,
            left: len,
            loading: None,
        }
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let len = PART_BYTES.min(usize::try_from(self.left).unwrap_or(PART_BYTES));
        let Some(placeholder) = PLACEHOLDER.get(..len).filter(|_| len > 0) else {
            return Poll::Ready(None);
        };
        if self.loading.is_none() && !is_cached(&self.file, self.offset, len) {
            // A disk must not keep this thread from answering others.
            let (file, offset) = (Arc::clone(&self.file), self.offset);
            let load = move || load(&file, offset, len);
            self.loading = Some(tokio::task::spawn_blocking(load));
        }
        if let Some(loading) = &mut self.loading {
            let _ = ready!(Pin::new(loading).poll(context));
            self.loading = None;
        }
        self.queue.parts().push_back(FilePart {
            file: Arc::clone(&self.file),
            version: self.version,
            offset: self.offset,
            len,
        });
        self.offset += len as u64;
        self.left -= len as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(placeholder)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// True if a part's first and last bytes are in the page cache; the bytes between mostly are then. File systems
/// that cannot tell count as cached: they are read where they are sent.
fn is_cached(file: &File, offset: u64, len: usize) -> bool {
    let last = offset + (len as u64).saturating_sub(1);
    [offset, last].into_iter().all(|at| {
        let mut byte = [0];
        let mut bytes = [IoSliceMut::new(&mut byte)];
        let read = rustix::io::preadv2(file, &mut bytes, at, ReadWriteFlags::NOWAIT);
        !matches!(read, Err(rustix::io::Errno::AGAIN))
    })
}

/// Reads a part so that it is in the page cache. What goes wrong here goes wrong again when it is sent.
fn load(file: &File, offset: u64, len: usize) {
    let mut buffer = vec![0; len.min(LOAD_BYTES)];
    let end = offset + len as u64;
    for at in (offset..end).step_by(LOAD_BYTES) {
        if file.read_at(&mut buffer, at).is_err() {
            return;
        }
    }
}

/// TCP stream that replaces placeholders by files.
#[derive(Debug)]
pub(crate) struct FileStream {
    stream: TcpStream,
    queue: FileQueue,
    /// The file system of a file sent knows no `sendfile`.
    copies: bool,
}

impl FileStream {
    /// Returns the stream, and the queue for the bodies that it is to send.
    pub(crate) fn new(stream: TcpStream) -> (FileStream, FileQueue) {
        let queue = FileQueue::default();
        let stream = FileStream {
            stream,
            queue: queue.clone(),
            copies: false,
        };
        (stream, queue)
    }

    fn poll_send_part(
        &mut self,
        context: &mut Context<'_>,
        asked: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let mut parts = self.queue.parts();
            let part = parts
                .front_mut()
                .ok_or_else(|| io::Error::other("a placeholder that stands for no file"))?;
            let len = part.len.min(asked);
            let stream = &self.stream;
            let copies = self.copies;
            let sent = stream.try_io(Interest::WRITABLE, || match copies {
                true => copy(stream, part, len),
                false => {
                    let mut offset = part.offset;
                    let sent = rustix::fs::sendfile(stream, &*part.file, Some(&mut offset), len);
                    sent.map_err(io::Error::from)
                }
            });
            match sent {
                // The length was promised: the connection cannot continue.
                Ok(0) => {
                    drop(parts);
                    self.discard();
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(sent) => {
                    // What was handed over are the file's own pages: those of a file that is cut off meanwhile
                    // are zeros by now.
                    if let Err(error) = part.version.check(&part.file) {
                        drop(parts);
                        self.discard();
                        return Poll::Ready(Err(error));
                    }
                    part.offset += sent as u64;
                    part.len -= sent;
                    if part.len == 0 {
                        parts.pop_front();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && !copies => {
                    drop(parts);
                    self.copies = true;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Makes the end of the connection a reset, which takes back what has not left yet.
    fn discard(&self) {
        // Without it the client only gets more of what is wrong before the same end.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Returns an error when hyper did something else with a placeholder than to hand it on.
    fn expect_no_parts(&self) -> io::Result<()> {
        match self.queue.is_empty() {
            true => Ok(()),
            false => Err(io::Error::other("a part of a file lost its placeholder")),
        }
    }
}

/// Copies a part to the socket through this program, in place of `sendfile`.
fn copy(stream: &TcpStream, part: &FilePart, len: usize) -> io::Result<usize> {
    let mut buffer = vec![0; len.min(COPY_BYTES)];
    let read = part.file.read_at(&mut buffer, part.offset)?;
    let bytes = buffer.get(..read).unwrap_or_default();
    Ok(rustix::io::write(stream, bytes)?)
}

impl AsyncRead for FileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for FileStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_placeholder(bytes) {
            return self.poll_send_part(context, bytes.len());
        }
        // hyper writes so only what it has copied together.
        self.expect_no_parts()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let is_file = |slice: &IoSlice<'_>| is_placeholder(slice);
        let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
        let slices = slices.get(empty..).unwrap_or_default();
        if let Some(first) = slices.first().filter(|slice| is_file(slice)) {
            return self.poll_send_part(context, first.len());
        }
        let until = slices.iter().position(is_file).unwrap_or(slices.len());
        let plain = slices.get(..until).unwrap_or_default();
        Pin::new(&mut self.stream).poll_write_vectored(context, plain)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written all that it took from bodies.
        self.expect_no_parts()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "sendfile_tests.rs"]
mod tests;
