//! Shards: the part of the units that one of several computers runs.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Shard `number` of `count`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    count: u32,
}

/// Reason why a text is not a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShard {
    /// Not of the form `M/N`.
    #[error("invalid shard: `{0}` (use M/N, e.g. 1/3 for the first of three)")]
    Form(String),
    /// Number of shards out of range: zero or more than [`Shard::COUNT_LIMIT`].
    #[error(
        "invalid number of shards: {0} (must be 1 to {limit}; use M/N, e.g. 1/3 for the first of three)",
        limit = Shard::COUNT_LIMIT
    )]
    Count(u32),
    /// Shard number out of range.
    #[error("invalid shard: {number}/{count} (must be 1 to {count})")]
    Range { number: u32, count: u32 },
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Shard, InvalidShard> {
        let form = || InvalidShard::Form(text.to_owned());
        let (number, count) = text.split_once('/').ok_or_else(form)?;
        let number: u32 = number.parse().map_err(|_| form())?;
        let count: u32 = count.parse().map_err(|_| form())?;
        if !(1..=Shard::COUNT_LIMIT).contains(&count) {
            return Err(InvalidShard::Count(count));
        }
        if (1..=count).contains(&number) {
            Ok(Shard { number, count })
        } else {
            Err(InvalidShard::Range { number, count })
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl Shard {
    /// Maximum number of shards of a run.
    pub const COUNT_LIMIT: u32 = 4096;

    /// Returns the number of shards.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// True if the unit of this name is in the shard. Only the name decides, so that new scenarios move no
    /// others.
    #[must_use]
    pub fn has(self, unit: &str) -> bool {
        let digest = Sha256::digest(unit.as_bytes());
        let start = digest.first_chunk::<8>().copied().unwrap_or_default();
        u64::from_be_bytes(start) % u64::from(self.count) == u64::from(self.number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: [&str; 5] = [
        "pxe-dhcp@bios",
        "proxy-dhcp@bios",
        "proxy-dhcp@uefi",
        "ipxe-chainload@uefi-http",
        "pixiecore@bios",
    ];

    #[test]
    fn every_unit_is_in_exactly_one_shard() {
        for count in 1..=7 {
            for unit in UNITS {
                let shards = (1..=count).map(|number| Shard { number, count });
                assert_eq!(shards.filter(|shard| shard.has(unit)).count(), 1, "{unit}");
            }
        }
    }

    #[test]
    fn units_stay_in_their_shards() {
        let second: Shard = "2/3".parse().unwrap();
        let has: Vec<&str> = UNITS.into_iter().filter(|unit| second.has(unit)).collect();
        insta::assert_debug_snapshot!(has);
    }

    #[test]
    fn what_is_no_shard_is_refused_with_what_would_be() {
        let said = |text: &str| text.parse::<Shard>().unwrap_err().to_string();
        let form = "(use M/N, e.g. 1/3 for the first of three)";
        assert_eq!(said("3"), format!("invalid shard: `3` {form}"));
        assert_eq!(said("a/3"), format!("invalid shard: `a/3` {form}"));
        assert_eq!(said("0/3"), "invalid shard: 0/3 (must be 1 to 3)");
        assert_eq!(said("4/3"), "invalid shard: 4/3 (must be 1 to 3)");
        assert_eq!("1/0".parse::<Shard>(), Err(InvalidShard::Count(0)));
        assert_eq!("1/4096".parse::<Shard>().unwrap().count(), 4096);
        for count in [4097, u32::MAX] {
            let refused = format!("1/{count}").parse::<Shard>();
            assert_eq!(refused, Err(InvalidShard::Count(count)));
        }
        assert_eq!(
            said("1/0"),
            "invalid number of shards: 0 (must be 1 to 4096; use M/N, e.g. 1/3 for the first of three)"
        );
    }
}
