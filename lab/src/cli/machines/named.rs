//! Scenarios of a command, given by name or as paths.

use std::path::{Path, PathBuf};

use lab_report::exit_code::ExitCode;

use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Scenarios by name, some of which were paths (`./netboot-tests`, `site/pxe`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// Folder that the paths lead to, unless all were names.
    pub(super) folder: Option<PathBuf>,
    /// Names in that folder; all scenarios when empty.
    pub(super) names: Vec<String>,
}

/// Reasons that paths do not select scenarios.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// The path leads nowhere.
    #[error("unknown folder of scenarios: {name} ({source})")]
    Unknown {
        name: String,
        source: std::io::Error,
    },
    /// The path leads into another folder than the paths before it.
    #[error(
        "several folders of scenarios: {0} is in another folder than the previous path; run `lab` once for each folder"
    )]
    Several(String),
}

/// Replaces paths in `names` by names, and the folder of scenarios by the folder to which the paths lead.
///
/// # Errors
/// [`CliError`] for paths that select no scenarios.
pub(super) fn resolve(folders: &mut Folders, names: &mut Vec<String>) -> Result<(), CliError> {
    let selected = selected(names).map_err(|why| refuse(ExitCode::NothingSelected, why))?;
    if let Some(folder) = selected.folder {
        folders.scenarios = folder;
    }
    *names = selected.names;
    Ok(())
}

/// Reads names that contain a slash as paths: to one scenario, or to a folder of scenarios.
///
/// # Errors
/// [`FolderError`].
pub(super) fn selected(names: &[String]) -> Result<Selected, FolderError> {
    let mut selected = Selected {
        folder: None,
        names: Vec::new(),
    };
    for name in names {
        if !name.contains('/') {
            selected.names.push(name.clone());
            continue;
        }
        let path = Path::new(name)
            .canonicalize()
            .map_err(|source| FolderError::Unknown {
                name: name.clone(),
                source,
            })?;
        let is_one = path.join("scenario.toml").is_file();
        let folder = match (is_one, path.parent(), path.file_name()) {
            (true, Some(parent), Some(last)) => {
                selected.names.push(last.to_string_lossy().into_owned());
                parent.to_owned()
            }
            _ => path,
        };
        if selected.folder.as_ref().is_some_and(|one| *one != folder) {
            return Err(FolderError::Several(name.clone()));
        }
        selected.folder = Some(folder);
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        for name in ["tests/one", "tests/two", "more/three"] {
            let folder = site.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("scenario.toml"), "").unwrap();
        }
        site
    }

    fn of(site: &tempfile::TempDir, paths: &[&str]) -> Result<Selected, FolderError> {
        let paths = paths.iter().map(|path| match path.contains('/') {
            true => format!("{}/{path}", site.path().display()),
            false => (*path).to_owned(),
        });
        selected(&paths.collect::<Vec<String>>())
    }

    #[test]
    fn selected_folder_of_scenarios_means_all_in_it() {
        let site = site();
        let found = of(&site, &["tests/"]).unwrap();
        let folder = site.path().canonicalize().unwrap().join("tests");
        assert_eq!(found.folder, Some(folder));
        assert_eq!(found.names, [""; 0]);
    }

    #[test]
    fn selected_paths_of_scenarios_are_names_in_their_folder() {
        let site = site();
        let found = of(&site, &["tests/two", "one", "tests/one/"]).unwrap();
        let folder = site.path().canonicalize().unwrap().join("tests");
        assert_eq!(found.folder, Some(folder));
        assert_eq!(found.names, ["two", "one", "one"]);
    }

    #[test]
    fn selected_names_alone_leave_the_folder_as_it_is() {
        let found = selected(&["one".to_owned()]).unwrap();
        assert_eq!((found.folder, found.names), (None, vec!["one".to_owned()]));
    }

    #[test]
    fn selected_paths_into_two_folders_or_to_nothing_are_refused() {
        let site = site();
        let two = of(&site, &["tests/one", "more/three"]).unwrap_err();
        assert!(matches!(two, FolderError::Several(_)), "{two}");
        let nothing = of(&site, &["tests/gone"]).unwrap_err();
        assert!(
            matches!(&nothing, FolderError::Unknown { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound),
            "{nothing}"
        );
    }
}
