//! Frames on an impaired link. Pure: random decisions come from a seeded sequence, so that the same frames have
//! the same fate in every run.

use std::time::Duration;

use super::model::{Direction, Link};

/// Delay of a reordered frame: long enough for the next frames of a transfer to overtake it.
const OVERTAKEN_BY: Duration = Duration::from_millis(4);

/// Decides the fate of one direction's frames.
#[derive(Debug, Clone)]
pub struct Impairment {
    link: Link,
    state: u64,
}

impl Impairment {
    /// Starts the sequence for one direction of this link.
    #[must_use]
    pub fn new(link: Link, direction: Direction) -> Impairment {
        let own = match direction {
            Direction::Out => 0x4f55_5400,
            Direction::In => 0x494e_0000,
        };
        Impairment {
            link,
            state: u64::from(link.seed) << 32 | own,
        }
    }

    /// Returns the delays after which copies of the next frame arrive: none if it is lost, two if it is
    /// duplicated.
    pub fn arrivals(&mut self) -> Vec<Duration> {
        // Every frame draws all random numbers, so that one setting does not shift another's sequence.
        let lost = self.percent() < self.link.loss_percent;
        let doubled = self.percent() < self.link.duplicate_percent;
        let overtaken = self.percent() < self.link.reorder_percent;
        if lost {
            return Vec::new();
        }
        let mut delay = Duration::from_millis(self.link.delay_ms.into());
        if overtaken {
            delay += OVERTAKEN_BY;
        }
        vec![delay; if doubled { 2 } else { 1 }]
    }

    /// Returns a number from 0 to 99, by SplitMix64 (Steele, Lea and Flood, 2014).
    fn percent(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(mixed % 100).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(link: Link) -> Vec<Vec<Duration>> {
        let mut impairment = Impairment::new(link, Direction::Out);
        (0..10_000).map(|_| impairment.arrivals()).collect()
    }

    #[test]
    fn about_as_many_frames_are_lost_doubled_and_overtaken_as_asked_for() {
        let link = Link {
            loss_percent: 20,
            duplicate_percent: 10,
            reorder_percent: 5,
            delay_ms: 7,
            seed: 1,
        };
        let fates = fates(link);
        let count = |what: fn(&Vec<Duration>) -> bool| fates.iter().filter(|f| what(f)).count();
        assert!((1_850..2_150).contains(&count(|fate| fate.is_empty())));
        assert!((700..900).contains(&count(|fate| fate.len() == 2)));
        let late = count(|fate| fate.first().is_some_and(|d| d.as_millis() == 11));
        assert!((320..480).contains(&late), "{late}");
        assert!(fates.iter().flatten().all(|d| d.as_millis() >= 7));
    }

    #[test]
    fn the_same_seed_brings_the_same_fates_and_each_direction_has_its_own() {
        let link = Link {
            loss_percent: 30,
            ..Link::default()
        };
        assert_eq!(fates(link), fates(link));
        assert_ne!(fates(link), fates(Link { seed: 2, ..link }));
        let mut back = Impairment::new(link, Direction::In);
        let back: Vec<_> = (0..10_000).map(|_| back.arrivals()).collect();
        assert_ne!(fates(link), back);
    }

    #[test]
    fn a_link_without_impairments_passes_everything_at_once() {
        assert!(
            fates(Link::default())
                .iter()
                .all(|f| *f == [Duration::ZERO])
        );
    }
}
