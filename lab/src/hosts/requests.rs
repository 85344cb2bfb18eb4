//! A client that loads what a machine would load, and names the machine in its URLs.

use std::thread;
use std::time::Duration;

use crate::hosts::simulated;

/// Time between two rounds: several fall into each stage of a boot.
pub(super) const PAUSE: Duration = Duration::from_millis(300);

/// Loads all URLs in order, again and again, until it is killed.
pub(super) fn ask(urls: &[String]) -> ! {
    loop {
        for url in urls {
            match simulated::load(url) {
                Ok(bytes) => eprintln!("{url}: {} bytes", bytes.len()),
                Err(error) => eprintln!("{url}: {error}"),
            }
        }
        thread::sleep(PAUSE);
    }
}
