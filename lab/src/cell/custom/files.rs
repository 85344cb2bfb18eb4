//! Copy of a scenario's folder for one service.
//!
//! A file whose name ends in `.in` is a template: it is written without the ending, and its placeholders are
//! replaced. All other files are copied unchanged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lab_model::scenario::{Placeholder, expand};
use lab_model::untrusted::tree::{Limits, Tree, TreeError};

/// Ending of a template's name.
const TEMPLATE: &str = "in";

/// Reason why the folder is not copied.
#[derive(Debug)]
pub(super) enum CopyError {
    Tree(TreeError),
    Template { file: PathBuf, source: io::Error },
}

/// Copies the folder `from` to `to`, without the root file systems of services.
///
/// # Errors
/// [`CopyError`].
pub(super) fn copy(
    from: &Path,
    to: &Path,
    roots: &[PathBuf],
    value: impl Fn(Placeholder) -> String,
) -> Result<(), CopyError> {
    let is_root = |path: &Path| {
        roots
            .iter()
            .any(|root| path == root || from.join(path) == *root)
    };
    let tree = Tree::survey(from, Limits::DATA, is_root).map_err(CopyError::Tree)?;
    fs::create_dir_all(to).map_err(|source| CopyError::Template {
        file: to.to_owned(),
        source,
    })?;
    for found in &tree.found {
        let is_template = found
            .relative
            .extension()
            .is_some_and(|one| one == TEMPLATE);
        if found.is_folder || !is_template {
            tree.copy(found, to).map_err(CopyError::Tree)?;
            continue;
        }
        let text = tree.read(found).map_err(CopyError::Tree)?;
        let file = to.join(found.relative.with_extension(""));
        let failed = |source| CopyError::Template {
            file: found.relative.clone(),
            source,
        };
        let text = String::from_utf8(text)
            .map_err(|_| failed(io::Error::other("a template must be UTF-8 text")))?;
        fs::write(&file, expand(&text, &value)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(placeholder: Placeholder) -> String {
        match placeholder {
            Placeholder::Interface => "lab-4f2a11-p0".into(),
            other => format!("<{}>", other.word()),
        }
    }

    #[test]
    fn template_is_written_without_its_ending_and_other_files_as_they_are() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        fs::create_dir(from.path().join("conf")).unwrap();
        fs::create_dir(from.path().join("root")).unwrap();
        std::os::unix::fs::symlink("/", from.path().join("root/link")).unwrap();
        let text = "{ \"interfaces\": [ \"{interface}\" ] }\n";
        fs::write(from.path().join("conf/kea.json.in"), text).unwrap();
        fs::write(from.path().join("plain.json"), text).unwrap();
        copy(from.path(), to.path(), &["root".into()], value).unwrap();
        let read = |file: &str| fs::read_to_string(to.path().join(file)).unwrap();
        assert_eq!(
            read("conf/kea.json"),
            "{ \"interfaces\": [ \"lab-4f2a11-p0\" ] }\n"
        );
        assert_eq!(read("plain.json"), text);
        assert!(!to.path().join("conf/kea.json.in").exists());
        assert!(!to.path().join("root").exists());
    }

    #[test]
    fn template_that_is_not_text_is_refused_by_name() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        fs::write(from.path().join("kernel.in"), [0xff, 0xfe]).unwrap();
        let error = copy(from.path(), to.path(), &[], value).unwrap_err();
        assert!(
            matches!(error, CopyError::Template { file, .. } if file == Path::new("kernel.in"))
        );
    }
}
