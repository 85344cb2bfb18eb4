//! Threads that answer HTTP: one for each processor, each with connections of its own. All HTTP servers
//! of a program share one set.
//!
//! A connection stays on its thread. Runtimes that move work between threads wake one of them for
//! each part of a large file, only to find nothing to do; and a busy download would keep DHCP waiting,
//! which runs on another thread this way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads. Clones share them; they end when the last clone is dropped, and what still runs on them
/// with them.
#[derive(Debug, Clone)]
pub struct Workers(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    handles: Vec<Handle>,
    next: AtomicUsize,
    _running: DropGuard,
}

impl Workers {
    /// Starts a thread for each processor.
    ///
    /// # Errors
    /// The kernel gives no thread, or no descriptor.
    pub fn start() -> io::Result<Workers> {
        let stop = CancellationToken::new();
        let count = thread::available_parallelism().map_or(1, usize::from);
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let stopped = stop.clone().cancelled_owned();
            let run = move || runtime.block_on(stopped);
            thread::Builder::new().name("http".into()).spawn(run)?;
        }
        Ok(Workers(Arc::new(Threads {
            handles,
            next: AtomicUsize::new(0),
            _running: stop.drop_guard(),
        })))
    }

    /// Returns the thread whose turn it is.
    pub(in crate::net) fn next(&self) -> Handle {
        let Threads { handles, next, .. } = &*self.0;
        let n = next.fetch_add(1, Ordering::Relaxed);
        let handle = handles.get(n % handles.len().max(1));
        handle.cloned().unwrap_or_else(Handle::current)
    }
}
