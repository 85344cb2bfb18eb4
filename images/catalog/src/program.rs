//! Boot programs of Debian's packages, in the versions of its releases: `shim:13`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Debian's release, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DebianRelease {
    Bookworm,
    Trixie,
}

impl DebianRelease {
    /// All, oldest first.
    pub const ALL: [DebianRelease; 2] = [DebianRelease::Bookworm, DebianRelease::Trixie];

    /// Returns the number in names.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            DebianRelease::Bookworm => 12,
            DebianRelease::Trixie => 13,
        }
    }

    /// Returns the release with the number `text`.
    #[must_use]
    pub fn from_number(text: &str) -> Option<DebianRelease> {
        let mut all = DebianRelease::ALL.into_iter();
        all.find(|release| release.number().to_string() == text)
    }

    /// Returns the name in archives.
    #[must_use]
    pub fn codename(self) -> &'static str {
        match self {
            DebianRelease::Bookworm => "bookworm",
            DebianRelease::Trixie => "trixie",
        }
    }
}

/// Boot program of a package.
#[derive(Debug, PartialEq, Eq)]
struct BootProgram {
    name: &'static str,
    package: &'static str,
    /// Path in the package.
    file: File,
}

/// Path of a boot program in its package.
#[derive(Debug, PartialEq, Eq)]
enum File {
    /// The same in all releases.
    Same(&'static str),
    Renamed {
        bookworm: &'static str,
        trixie: &'static str,
    },
}

const PROGRAMS: [BootProgram; 5] = [
    BootProgram {
        name: "shim",
        package: "shim-signed",
        file: File::Same("usr/lib/shim/shimx64.efi.signed"),
    },
    BootProgram {
        name: "mok-manager",
        package: "shim-helpers-amd64-signed",
        file: File::Same("usr/lib/shim/mmx64.efi.signed"),
    },
    BootProgram {
        name: "grub",
        package: "grub-efi-amd64-signed",
        file: File::Same("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"),
    },
    BootProgram {
        name: "ipxe",
        package: "ipxe",
        file: File::Renamed {
            bookworm: "usr/lib/ipxe/ipxe.efi",
            trixie: "usr/lib/ipxe/ipxe-amd64.efi",
        },
    },
    BootProgram {
        name: "undionly",
        package: "ipxe",
        file: File::Same("usr/lib/ipxe/undionly.kpxe"),
    },
];

/// Name of a boot program and of the release that it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramName {
    program: &'static BootProgram,
    pub release: DebianRelease,
}

/// iPXE of a Debian release, for BIOS and UEFI: `ipxe:13`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpxePackage {
    pub release: DebianRelease,
}

/// The text names no iPXE.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown boot program: `{0}` (use `ipxe:12` or `ipxe:13`)")]
pub struct UnknownIpxe(pub String);

impl IpxePackage {
    /// Returns the programs, by the names under which boot servers serve them.
    pub fn programs(self) -> impl Iterator<Item = (&'static str, ProgramName)> {
        let named = [("ipxe.efi", "ipxe"), ("undionly.kpxe", "undionly")];
        named.into_iter().filter_map(move |(file, name)| {
            let program = PROGRAMS.iter().find(|program| program.name == name)?;
            let release = self.release;
            Some((file, ProgramName { program, release }))
        })
    }
}

impl fmt::Display for IpxePackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ipxe:{}", self.release.number())
    }
}

impl FromStr for IpxePackage {
    type Err = UnknownIpxe;

    fn from_str(text: &str) -> Result<IpxePackage, UnknownIpxe> {
        let all = DebianRelease::ALL.into_iter();
        all.map(|release| IpxePackage { release })
            .find(|one| one.to_string() == text)
            .ok_or_else(|| UnknownIpxe(text.to_owned()))
    }
}

/// The text names no boot program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown boot program: `{0}`")]
pub struct UnknownProgram(pub String);

impl ProgramName {
    /// Returns all names.
    pub fn all() -> impl Iterator<Item = ProgramName> {
        let releases = DebianRelease::ALL.into_iter();
        releases.flat_map(|release| {
            let programs = PROGRAMS.iter();
            programs.map(move |program| ProgramName { program, release })
        })
    }

    /// Returns the package that has the program.
    #[must_use]
    pub fn package(&self) -> &'static str {
        self.program.package
    }

    /// Returns the path of the program in the package.
    #[must_use]
    pub fn file(&self) -> &'static str {
        match (&self.program.file, self.release) {
            (File::Same(file), _) => file,
            (File::Renamed { bookworm, .. }, DebianRelease::Bookworm) => bookworm,
            (File::Renamed { trixie, .. }, DebianRelease::Trixie) => trixie,
        }
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.program.name, self.release.number())
    }
}

impl FromStr for ProgramName {
    type Err = UnknownProgram;

    fn from_str(text: &str) -> Result<ProgramName, UnknownProgram> {
        let mut all = ProgramName::all();
        all.find(|name| name.to_string() == text)
            .ok_or_else(|| UnknownProgram(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_of_a_name_gives_the_package_of_the_release() {
        let grub: ProgramName = "grub:13".parse().unwrap();
        assert_eq!(grub.release.codename(), "trixie");
        assert_eq!(grub.package(), "grub-efi-amd64-signed");
        for wrong in ["grub", "grub:11", "Grub:13", "grub:13 ", ""] {
            let unknown = Err(UnknownProgram(wrong.to_owned()));
            assert_eq!(wrong.parse::<ProgramName>(), unknown);
        }
        let ipxe = |release: &str| {
            let name: ProgramName = format!("ipxe:{release}").parse().unwrap();
            name.file().to_owned()
        };
        assert_eq!(ipxe("12"), "usr/lib/ipxe/ipxe.efi");
        assert_eq!(ipxe("13"), "usr/lib/ipxe/ipxe-amd64.efi");
        assert_eq!(ProgramName::all().count(), 10);
        let both: IpxePackage = "ipxe:13".parse().unwrap();
        let programs: Vec<(&str, String)> = both
            .programs()
            .map(|(file, program)| (file, program.to_string()))
            .collect();
        let expected = [("ipxe.efi", "ipxe:13"), ("undionly.kpxe", "undionly:13")];
        assert_eq!(
            programs,
            expected.map(|(file, name)| (file, name.to_owned()))
        );
        let unknown = Err(UnknownIpxe("grub:13".into()));
        assert_eq!("grub:13".parse::<IpxePackage>(), unknown);
    }
}
