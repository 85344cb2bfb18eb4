//! Cache, image catalog and run id of a command.

use std::path::PathBuf;

use crate::cli::Folders;
use crate::cli::run_id::new_run_id;
use crate::remote::RemoteRun;

/// The cache folder is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no cache folder: XDG_CACHE_HOME and HOME are not set; name one with --cache")]
pub(super) struct NoCacheFolder;

impl Folders {
    /// Returns the run for which another host copied this `lab` here, if there is one.
    pub(super) fn visit(&self) -> Option<&RemoteRun> {
        self.visit.visit.as_ref()
    }

    /// Returns the cache folder: --cache, else the XDG cache directory.
    ///
    /// # Errors
    /// Fails if the environment names neither that directory nor a home.
    pub(super) fn cache(&self) -> Result<PathBuf, NoCacheFolder> {
        if let Some(cache) = &self.cache {
            return Ok(cache.clone());
        }
        xdg("XDG_CACHE_HOME", ".cache")
            .map(|base| base.join("bootlab"))
            .ok_or(NoCacheFolder)
    }

    /// Returns the id of this run.
    pub(super) fn run_id(&self) -> String {
        match self.visit() {
            Some(visit) => visit.run_id.clone(),
            None => new_run_id(),
        }
    }

    /// Returns the user's image catalog: --catalog, else the file in the XDG configuration directory if it
    /// exists.
    pub(super) fn catalog(&self) -> Option<PathBuf> {
        self.catalog.clone().or_else(|| {
            xdg("XDG_CONFIG_HOME", ".config")
                .map(|base| base.join("bootlab/images.toml"))
                .filter(|path| path.exists())
        })
    }
}

/// Returns the absolute folder in environment variable `name`, else `default` in the user's home.
fn xdg(name: &str, default: &str) -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(name).or_else(|| absolute("HOME").map(|home| home.join(default)))
}
