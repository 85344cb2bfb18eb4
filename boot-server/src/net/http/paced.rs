//! Stream with a minimum rate: a write that makes no progress for too long ends it, and so does a peer that
//! reads too slowly, because it would hold its place forever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::request_line::RequestLines;

/// Bytes a second that a peer has to take of what waits for it.
const LEAST_RATE: u64 = 1024;

/// A stream with a bound on how slowly its peer may take what is written.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when a write waits for the peer.
    waiting: Option<Instant>,
    /// For how long writes have waited, and what was taken meanwhile, since the peer was last seen to be fast
    /// enough.
    waited: Duration,
    taken: u64,
    lines: RequestLines,
    /// Bytes that were read but did not fit the buffer.
    left: Vec<u8>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, stall: Duration) -> Paced<S> {
        Paced {
            stream,
            stall,
            timer: Box::pin(tokio::time::sleep(stall)),
            waiting: None,
            waited: Duration::ZERO,
            taken: 0,
            lines: RequestLines::default(),
            left: Vec::new(),
        }
    }

    /// Lets a finished write of so many bytes pass; one that waits is given `stall` from its beginning.
    fn pace<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = written {
            if let Some(since) = self.waiting.take() {
                self.waited += since.elapsed();
            }
            self.taken += result.as_ref().map_or(0, |written| bytes(written) as u64);
            if self.waited >= self.stall {
                if self.taken < LEAST_RATE * self.stall.as_secs() {
                    return Poll::Ready(Err(too_slow()));
                }
                self.waited = Duration::ZERO;
                self.taken = 0;
            }
            return Poll::Ready(result);
        }
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            self.timer.as_mut().reset(now + self.stall);
        }
        match self.timer.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(too_slow())),
        }
    }
}

fn too_slow() -> io::Error {
    let message = "the client reads the response too slowly";
    io::Error::new(io::ErrorKind::TimedOut, message)
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let read = buffer.filled().get(before..).unwrap_or_default();
            let Some(escaped) = self.lines.escape(read) else {
                return Poll::Ready(Ok(()));
            };
            buffer.set_filled(before);
            self.left = escaped;
        }
        let len = self.left.len().min(buffer.remaining());
        buffer.put_slice(self.left.get(..len).unwrap_or_default());
        self.left.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pace(context, written, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.pace(context, written, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.pace(context, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.pace(context, ended, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_the_stream() {
        let (near, _far) = tokio::io::duplex(8);
        let mut paced = Paced::new(near, Duration::from_secs(30));
        let started = Instant::now();
        let error = paced.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    /// Reads so many bytes every 20 s until it has `all`, or the stream ends.
    async fn read_slowly(mut far: tokio::io::DuplexStream, bytes: usize, all: usize) -> usize {
        let (mut read, mut part) = (0, vec![0; bytes]);
        while read < all {
            tokio::time::sleep(Duration::from_secs(20)).await;
            match far.read(&mut part).await.unwrap() {
                0 => break,
                len => read += len,
            }
        }
        read
    }

    #[tokio::test(start_paused = true)]
    async fn slow_peer_that_keeps_the_least_rate_gets_everything() {
        const ALL: usize = 4 << 20;
        let part = LEAST_RATE as usize * 30;
        let (near, far) = tokio::io::duplex(part);
        let mut paced = Paced::new(near, Duration::from_secs(30));
        let reader = tokio::spawn(read_slowly(far, part, ALL));
        paced.write_all(&vec![7; ALL]).await.unwrap();
        drop(paced);
        assert_eq!(reader.await.unwrap(), ALL);
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_takes_a_byte_now_and_then_ends_the_stream() {
        let (near, far) = tokio::io::duplex(64);
        let mut paced = Paced::new(near, Duration::from_secs(30));
        let reader = tokio::spawn(read_slowly(far, 64, 1 << 20));
        let started = Instant::now();
        let error = paced.write_all(&vec![7; 1 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(90));
        drop(paced);
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn time_between_answers_does_not_count() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut paced = Paced::new(near, Duration::from_secs(30));
        for _ in 0..10 {
            paced.write_all(b"answer").await.unwrap();
            far.read_exact(&mut [0; 6]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    }

    #[tokio::test]
    async fn escaped_bytes_that_have_no_room_are_read_next() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut paced = Paced::new(near, Duration::from_secs(30));
        far.write_all(b"GET /?\"\"\" HTTP/1.1\r\n").await.unwrap();
        drop(far);
        let (mut read, mut part) = (Vec::new(), [0; 5]);
        loop {
            match paced.read(&mut part).await.unwrap() {
                0 => break,
                len => read.extend_from_slice(&part[..len]),
            }
        }
        assert_eq!(read, b"GET /?%22%22%22 HTTP/1.1\r\n");
    }
}
