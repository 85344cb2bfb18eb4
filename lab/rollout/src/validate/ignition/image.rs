//! Ignition of images: the newest config that each image can read, by the version in the kernel's path.
//!
//! An image's version tells when it was made, and no image has an Ignition that was released later:
//! coreos-installer#1591 and #1749 are reports of machines whose config was newer than that. The table says what an
//! image cannot read; an older Ignition in an image stays unnoticed.

use std::collections::BTreeMap;

use boot_server_catalog::checked::Checked;
use boot_server_catalog::ignition::version_of;
use boot_server_catalog::problem::place_of;
use boot_server_catalog::snapshot::Folder;

use crate::validate::context::{Context, named};
use crate::validate::finding::Findings;

/// Day of a calendar, as a number that orders: 20230221.
type Date = u32;

const fn day(year: u32, month: u32, day: u32) -> Date {
    year * 10_000 + month * 100 + day
}

/// First Ignition that reads a minor version of specification 3, and the day of its release.
///
/// Source: <https://coreos.github.io/ignition/specs>, days from Ignition's release notes. Fedora CoreOS 43.20260217.3.1
/// does not read 3.6.0 (coreos-installer#1591), and was made on the day of that release.
const RELEASES: [(u32, &str, Date); 7] = [
    (0, "2.0.0", day(2019, 6, 3)),
    (1, "2.3.0", day(2020, 5, 5)),
    (2, "2.7.0", day(2020, 10, 14)),
    (3, "2.11.0", day(2021, 6, 25)),
    (4, "2.15.0", day(2023, 2, 21)),
    (5, "2.20.0", day(2024, 10, 22)),
    (6, "2.26.0", day(2026, 2, 17)),
];

/// First Flatcar whose Ignition reads specification 3; those before have Ignition 0.x, which reads up to 2.3.0.
///
/// Source: Flatcar's documentation of Ignition ("Ignition v3").
const FLATCAR_WITH_3: u32 = 3185;

/// Newest version of specification 2, which Ignition 0.x reads.
const LAST_OF_2: (u32, u32) = (2, 3);

/// An image, as far as the path of its kernel tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Image {
    family: Family,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    ContainerLinux,
    Flatcar,
    FedoraCoreos,
}

impl Image {
    /// Recognises an image by the path of its kernel or initrd.
    fn of_path(path: &str) -> Option<Image> {
        let words = || path.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        let numbers = |word: &str| -> Option<Vec<u32>> {
            word.trim_matches('.')
                .split('.')
                .map(|part| part.parse().ok())
                .collect()
        };
        let version = |fits: &dyn Fn(&[u32]) -> bool| {
            let mut words = words();
            let word = words.find(|word| numbers(word).is_some_and(|numbers| fits(&numbers)))?;
            Some(word.trim_matches('.').to_owned())
        };
        // Four numbers, the second one the day of the build.
        let is_fedora =
            |numbers: &[u32]| matches!(numbers, [30..=99, 20_190_101..=20_991_231, 1..=20, _]);
        if let Some(version) = version(&is_fedora) {
            let family = Family::FedoraCoreos;
            return Some(Image { family, version });
        }
        let family = match path {
            path if path.contains("flatcar") => Family::Flatcar,
            path if path.contains("coreos") && !path.contains("fedora") => Family::ContainerLinux,
            _ => return None,
        };
        let is_linux = |numbers: &[u32]| matches!(numbers, [300..=9999, _, _]);
        let version = version(&is_linux)?;
        Some(Image { family, version })
    }

    fn number(&self, index: usize) -> u32 {
        let part = self.version.split('.').nth(index);
        part.and_then(|part| part.parse().ok()).unwrap_or(0)
    }

    /// Returns the day on which the image was branched or built.
    fn date(&self) -> Date {
        match self.family {
            Family::FedoraCoreos => self.number(1),
            Family::Flatcar | Family::ContainerLinux => day_of_release(self.number(0)),
        }
    }

    /// Returns the reason that the image cannot read a version of configs; none where nothing is known.
    fn why_unreadable(&self, (major, minor): (u32, u32)) -> Option<String> {
        let reads_3 = match self.family {
            Family::FedoraCoreos => true,
            Family::Flatcar => self.number(0) >= FLATCAR_WITH_3,
            Family::ContainerLinux => false,
        };
        if major < 3 {
            let only_3 = self.family == Family::FedoraCoreos;
            return only_3.then(|| "its Ignition reads version 3 only".to_owned());
        }
        if !reads_3 {
            let (major, minor) = LAST_OF_2;
            return Some(format!("its Ignition reads up to {major}.{minor}.0"));
        }
        let date = self.date();
        let (_, first, released) = RELEASES.iter().find(|(spec, ..)| *spec == minor)?;
        let (last, ..) = RELEASES.iter().rev().find(|(.., day)| *day < date)?;
        (date <= *released)
            .then(|| format!("its Ignition is older than {first} and reads up to 3.{last}.0"))
    }

    fn name(&self) -> String {
        let family = match self.family {
            Family::ContainerLinux => "Container Linux",
            Family::Flatcar => "Flatcar",
            Family::FedoraCoreos => "Fedora CoreOS",
        };
        format!("{family} {}", self.version)
    }
}

/// Returns the day that a version of Container Linux or Flatcar counts to: days since 1 July 2013.
fn day_of_release(days: u32) -> Date {
    // Days since 1 March 2012, the first day of a cycle of four years without exceptions until 2100.
    let days = days + 487;
    let (cycle, day) = (days / 1461, days % 1461);
    let year = (day / 365).min(3);
    let day = day - year * 365;
    // Months from March, in a pattern of 153 days for five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (2012 + 4 * cycle + year, month + 3),
        _ => (2013 + 4 * cycle + year, month - 9),
    };
    self::day(year, month, day)
}

/// Reports configs whose version the Ignition of a machine's image cannot read.
pub(in crate::validate) fn check(context: &Context<'_>, findings: &mut Findings) {
    let checked = Checked::default();
    let mut unreadable: BTreeMap<(String, String, Image, String), Vec<&str>> = BTreeMap::new();
    for subject in &context.subjects {
        let image = subject.profile.and_then(|profile| {
            let boot = profile.boot.as_ref()?;
            let files = std::iter::once(&boot.kernel).chain(boot.initrd.iter().flatten());
            files.map(String::as_str).find_map(Image::of_path)
        });
        let Some(image) = image else { continue };
        let (labels, query) = (&subject.labels, &subject.query);
        let served = context
            .snapshot
            .config_checked(Folder::Ignition, labels, query, &checked);
        let Ok(served) = served else { continue };
        let Some(version) = version_of(&served.text) else {
            continue;
        };
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        let numbers = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if let Some(why) = image.why_unreadable(numbers) {
            let key = (served.file, version, image, why);
            unreadable.entry(key).or_default().push(&subject.name);
        }
    }
    for ((file, version, image, why), who) in unreadable {
        let Some(source) = context.source(&format!("ignition/{file}")) else {
            continue;
        };
        let has_version = source.text.contains("variant") || version.starts_with('3');
        let at = has_version
            .then(|| place_of(&source.text, "version"))
            .flatten();
        let at = at.unwrap_or((1, 1));
        let message = format!(
            "unreadable Ignition version {version} for {} ({}): {why}",
            named(&who),
            image.name()
        );
        let help = "boot a newer image, or write the config for an older version; a Butane config keeps its own \
                    version with `[http] ignition = \"as-butane\"`";
        findings.add(source.problem("ignition-too-new", at.into(), message, help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(path: &str) -> Option<String> {
        Image::of_path(path).map(|image| image.name())
    }

    #[test]
    fn image_is_recognised_by_the_path_of_its_kernel() {
        for (path, name) in [
            (
                "/assets/coreos/1185.3.0/coreos_production_pxe.vmlinuz",
                "Container Linux 1185.3.0",
            ),
            (
                "http://h/assets/flatcar/3510.2.0/flatcar_production_pxe.vmlinuz",
                "Flatcar 3510.2.0",
            ),
            (
                "/assets/fedora-coreos/fedora-coreos-39.20231101.3.0-live-kernel-x86_64",
                "Fedora CoreOS 39.20231101.3.0",
            ),
            (
                "--name main https://h/streams/stable/builds/38.20230322.3.0/x86_64/k.img",
                "Fedora CoreOS 38.20230322.3.0",
            ),
        ] {
            assert_eq!(image(path).as_deref(), Some(name));
        }
        for path in [
            "/assets/k",
            "/assets/flatcar/current/k",
            "/assets/debian/12.5.0/linux",
            "",
        ] {
            assert_eq!(image(path), None, "{path}");
        }
    }

    #[test]
    fn version_of_flatcar_counts_days() {
        for (days, date) in [
            (0, day(2013, 7, 1)),
            (184, day(2014, 1, 1)),
            (973, day(2016, 2, 29)),
            (3185, day(2022, 3, 21)),
        ] {
            assert_eq!(day_of_release(days), date);
        }
    }

    #[test]
    fn image_reads_what_was_released_before_it() {
        let reads = |path: &str, version| {
            Image::of_path(path)
                .unwrap()
                .why_unreadable(version)
                .is_none()
        };
        for (path, newest) in [
            ("fedora-coreos-43.20260217.3.1-k", (3, 5)),
            ("fedora-coreos-37.20230218.3.0-k", (3, 3)),
            ("fedora-coreos-31.20200505.3.0-k", (3, 0)),
            ("flatcar/3185.0.0/k", (3, 3)),
            ("flatcar/3510.2.0/k", (3, 3)),
            ("flatcar/3602.2.0/k", (3, 4)),
            ("flatcar/2905.2.0/k", (2, 3)),
            ("coreos/2512.3.0/k", (2, 3)),
        ] {
            assert!(reads(path, newest), "{path}");
            let next = match newest {
                (2, _) => (3, 0),
                (major, minor) => (major, minor + 1),
            };
            assert!(!reads(path, next), "{path}");
        }
        assert!(!reads("fedora-coreos-43.20260217.3.1-k", (2, 2)));
        assert!(reads("flatcar/3510.2.0/k", (2, 2)));
    }
}
