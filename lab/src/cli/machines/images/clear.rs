//! `lab images gc`: removes images from the cache.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::Args;
use images::store::gc::Limits;
use lab_report::exit_code::ExitCode;
use thiserror::Error;

use super::{Failure, built_images, cache, store, waiting};
use crate::cli::Folders;
use crate::persistent::Registry;

/// Arguments of `lab images gc`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ClearArguments {
    /// Remove images unused for this long: `30d`, `12h`, `0d`
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// Remove the longest-unused images until the cache is at most this size: `10G`, `500M`
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,
}

/// Value of an option that cannot be parsed.
#[derive(Debug, PartialEq, Eq, Error)]
enum LimitError {
    #[error("must be a number of days or hours, e.g. `30d` or `12h`")]
    Age,
    #[error("must be a number of bytes, e.g. `10G`, `500M` or `0`")]
    Size,
}

/// Age, given in days or hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Age(Duration);

impl FromStr for Age {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Age, LimitError> {
        let hours = if let Some(days) = text.strip_suffix('d') {
            days.parse::<u64>()
                .ok()
                .and_then(|days| days.checked_mul(24))
        } else {
            text.strip_suffix('h').and_then(|hours| hours.parse().ok())
        };
        let seconds = hours.and_then(|hours| hours.checked_mul(60 * 60));
        seconds
            .map(|seconds| Age(Duration::from_secs(seconds)))
            .ok_or(LimitError::Age)
    }
}

/// Size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl FromStr for Size {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Size, LimitError> {
        let units = [("K", 1_u64 << 10), ("M", 1 << 20), ("G", 1 << 30), ("", 1)];
        units
            .into_iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)))
            .and_then(|(number, bytes)| number.parse::<u64>().ok()?.checked_mul(bytes))
            .map(Size)
            .ok_or(LimitError::Size)
    }
}

pub(super) fn run(folders: &Folders, arguments: &ClearArguments) -> Result<(), Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::new(ExitCode::Internal, error);
    let limits = Limits {
        older_than: arguments.older_than.map(|age| age.0),
        at_most_bytes: arguments.max_size.map(|size| size.0),
    };
    let built = images::built::folders(&cache(folders)?);
    // An image that cannot be built here is not in use.
    let keep: Vec<_> = built_images(folders)
        .iter()
        .filter_map(|image| image.in_use().ok())
        .flatten()
        .collect();
    let cleared = store(folders)?
        .clear(limits, SystemTime::now(), &built, &keep, &mut waiting)
        .map_err(|error| internal(&error))?;
    for image in &cleared.images {
        println!("{}", image.display());
    }
    let up = Registry::new(&cache(folders)?).all();
    for image in &cleared.held {
        let uses = up.iter().filter(|lab| lab.image == *image);
        let names: Vec<String> = uses
            .map(|lab| format!("{} ({})", lab.run_id, lab.unit))
            .collect();
        let who = match names.as_slice() {
            [] => "a run or a kept cell".to_owned(),
            names => format!("lab {}", names.join(", ")),
        };
        eprintln!("Kept {}: in use by {who}.", image.display());
    }
    eprintln!(
        "Removed {} images ({} MiB); {} MiB remain.",
        cleared.images.len(),
        cleared.freed_bytes >> 20,
        cleared.kept_bytes >> 20
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_read_with_their_units() {
        assert_eq!(
            "30d".parse(),
            Ok(Age(Duration::from_secs(30 * 24 * 60 * 60)))
        );
        assert_eq!("12h".parse(), Ok(Age(Duration::from_secs(12 * 60 * 60))));
        assert_eq!("10G".parse(), Ok(Size(10 << 30)));
        assert_eq!("0".parse(), Ok(Size(0)));
        assert!("30".parse::<Age>().is_err() && "-1d".parse::<Age>().is_err());
        assert!("10T".parse::<Size>().is_err() && "99999999999999999999G".parse::<Size>().is_err());
    }
}
