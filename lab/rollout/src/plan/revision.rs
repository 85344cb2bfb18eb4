//! A directory as it was in a revision of the git repository that it lies in, taken out into a folder.
//!
//! The `git` program does it (`read-tree` and `checkout-index` with an index of their own): nothing of the
//! repository changes, neither its index nor its working tree.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Reasons that a revision is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The program git cannot be run.
    #[error("cannot run git: {0}; install it, or name a directory instead of a revision")]
    NoGit(#[source] std::io::Error),
    /// The directory is in no repository.
    #[error("not a git repository: {dir} ({why}); name a directory instead of a revision")]
    NoRepository {
        /// Path of the directory.
        dir: String,
        /// Message of git.
        why: GitMessage,
    },
    /// The revision is not known.
    #[error(
        "not found: `{revision}` is neither a directory nor a revision in the repository of {dir} ({why})"
    )]
    NoRevision {
        /// Revision as given by the user.
        revision: String,
        /// Path of the directory.
        dir: String,
        /// Message of git.
        why: GitMessage,
    },
    /// The directory was not there then.
    #[error("directory not found: `{folder}` in revision `{revision}`")]
    NoFolder {
        /// Revision as given by the user.
        revision: String,
        /// The directory, within the repository.
        folder: String,
    },
    /// Taking it out failed.
    #[error("cannot extract `{revision}` from the repository: {why}")]
    Checkout {
        /// Revision as given by the user.
        revision: String,
        /// Message of git.
        why: GitMessage,
    },
    /// No temporary folder could be created.
    #[error("cannot create a folder for a revision: {0}")]
    Folder(#[source] std::io::Error),
}

/// A directory of a revision; gone when dropped.
#[derive(Debug)]
pub struct Revision {
    folder: TempDir,
    /// The commit, in full.
    pub commit: String,
}

impl Revision {
    /// Takes a directory out of a revision of its repository.
    ///
    /// # Errors
    /// See [`RevisionError`].
    pub fn take_out(dir: &Path, revision: &str) -> Result<Revision, RevisionError> {
        let shown = dir.display().to_string();
        let git = Git { dir, index: None };
        let no_repository = |why| RevisionError::NoRepository {
            dir: shown.clone(),
            why,
        };
        let prefix = git.run(&["rev-parse", "--show-prefix"])?;
        let prefix = prefix.map_err(no_repository)?;
        let top = git.run(&["rev-parse", "--show-toplevel"])?;
        let top = PathBuf::from(top.map_err(no_repository)?);
        let commit = format!("{revision}^{{commit}}");
        let commit = git.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ])?;
        let commit = commit.map_err(|why| RevisionError::NoRevision {
            revision: revision.to_owned(),
            dir: shown.clone(),
            why,
        })?;
        let folder = tempfile::Builder::new()
            .prefix("lab-plan-")
            .tempdir()
            .map_err(RevisionError::Folder)?;
        let prefix = prefix.trim_end_matches('/');
        let tree = format!("{commit}:{prefix}");
        let tree = git.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &tree,
        ])?;
        let tree = tree.map_err(|_| RevisionError::NoFolder {
            revision: revision.to_owned(),
            folder: prefix.to_owned(),
        })?;
        let index = folder.path().join("index");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).map_err(RevisionError::Folder)?;
        // In a folder below, git would look only for the index's files of that folder.
        let git = Git {
            dir: &top,
            index: Some(&index),
        };
        let failed = |why| RevisionError::Checkout {
            revision: revision.to_owned(),
            why,
        };
        git.run(&["read-tree", &tree])?.map_err(failed)?;
        let prefix = format!("--prefix={}/", data.display());
        git.run(&["checkout-index", "--all", &prefix])?
            .map_err(failed)?;
        Ok(Revision { folder, commit })
    }

    /// True if the repository of a directory has a revision of this name.
    #[must_use]
    pub fn is_known(dir: &Path, revision: &str) -> bool {
        let commit = format!("{revision}^{{commit}}");
        let git = Git { dir, index: None };
        let found = git.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ]);
        matches!(found, Ok(Ok(_)))
    }

    /// Returns the path of the extracted directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// First line of what git says to standard error when it fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GitMessage(String);

struct Git<'a> {
    dir: &'a Path,
    index: Option<&'a Path>,
}

impl Git<'_> {
    /// Runs git and returns its output, or its error message.
    fn run(&self, arguments: &[&str]) -> Result<Result<String, GitMessage>, RevisionError> {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.dir).args(arguments);
        command.stdin(Stdio::null());
        if let Some(index) = self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        let output = command.output().map_err(RevisionError::NoGit)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Ok(match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => {
                let told = text(&output.stderr);
                let first = told.lines().next().unwrap_or_default();
                Err(GitMessage(match first.is_empty() {
                    true => "unknown to git".to_owned(),
                    false => first.to_owned(),
                }))
            }
        })
    }
}

#[cfg(test)]
#[path = "revision_tests.rs"]
mod tests;
