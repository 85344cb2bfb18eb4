//! Comparison of boot programs with this host's: a truncated file begins like the original.

use std::path::Path;

/// Debian's folders of boot programs, in the boot server's search order.
const FOLDERS: [&str; 2] = ["/usr/lib/ipxe", "/usr/lib/PXELINUX"];

/// Comparison of a file with this host's program of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Equal to the original.
    Same(String),
    /// Truncated copy of the original.
    CutOff {
        /// Path of the original.
        path: String,
        /// Size of the original.
        bytes: usize,
    },
    /// Another program, or no program of this name.
    Unknown,
}

/// Compares a file that was loaded under `name`, a path or URL.
pub(super) fn compare(name: &str, file: &[u8]) -> Comparison {
    let name = name.rsplit('/').next().unwrap_or_default();
    let sound = !name.is_empty() && name != "..";
    let mut originals = FOLDERS.iter().filter_map(|folder| {
        let path = Path::new(folder).join(name);
        let bytes = std::fs::read(&path).ok()?;
        Some((path.display().to_string(), bytes))
    });
    let original = sound.then(|| originals.next()).flatten();
    match original {
        Some((path, original)) if original == file => Comparison::Same(path),
        Some((path, original)) if original.starts_with(file) => Comparison::CutOff {
            path,
            bytes: original.len(),
        },
        _ => Comparison::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_whole_cut_and_other_files_are_told_apart() {
        let path = "/usr/lib/ipxe/undionly.kpxe";
        let original = std::fs::read(path).unwrap();
        let whole = compare("tftp://192.168.92.1/undionly.kpxe", &original);
        assert_eq!(whole, Comparison::Same(path.into()));
        let cut = compare("undionly.kpxe", &original[..40_000]);
        let bytes = original.len();
        assert_eq!(
            cut,
            Comparison::CutOff {
                path: path.into(),
                bytes
            }
        );
        let mut other = original.clone();
        other[50_000] ^= 1;
        assert_eq!(compare("undionly.kpxe", &other), Comparison::Unknown);
        for name in ["", "..", "../../etc/passwd", "none.kpxe"] {
            assert_eq!(compare(name, &original), Comparison::Unknown);
        }
    }
}
