//! A data directory of matchbox as gRPC clients see and change it: the 16 calls, without network.
//!
//! Get and list read the files, as matchbox does; select answers by the state that is in force. A change is checked,
//! written and put in force by [`DataDir::change`]. Reads and writes files: not for an async task.

mod go_text;
pub mod name;
pub mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

use boot_server_catalog::Labels;
use boot_server_catalog::files::{Root, Unreadable};
use boot_server_catalog::snapshot::{Layout, Refusal};
use boot_server_rpc::storagepb::{Group, Profile};
use boot_server_rpc::tonic::Code;

use self::name::{InvalidName, Kind};
use self::record::InvalidRecord;
use crate::catalog::change::{Change, ChangeError};
use crate::catalog::data_dir::DataDir;

/// Reasons that a call fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The id or name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A put without its group or profile; the process of matchbox 0.9 dies of it.
    #[error("missing {0} in the request")]
    Nothing(&'static str),
    /// A message that is no group or profile.
    #[error("{0}")]
    Record(#[from] InvalidRecord),
    /// A file that is no group or profile.
    #[error("{file}: {error}")]
    File {
        /// Path in the data directory.
        file: String,
        /// Mistake in the file.
        error: InvalidRecord,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No folder of this kind exists yet.
    #[error("folder not found: `{0}`")]
    NoFolder(&'static str),
    /// The data directory cannot be opened.
    #[error("cannot open the data directory: {0}")]
    Directory(std::io::Error),
    /// No group matches, or the profile of the one that does is missing.
    #[error(transparent)]
    NoMatch(#[from] Refusal),
    /// The change is refused, or failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The data directory has the other layout.
    #[error("unsupported: a data directory of bootcfg (matchbox's has `groups` and `profiles`)")]
    Layout,
}

impl StoreError {
    /// Returns the status code: matchbox's, and other ones for what matchbox accepts.
    pub fn code(&self) -> Code {
        match self {
            StoreError::NoMatch(_) => Code::NotFound,
            StoreError::Name(name) if !name.is_refused_by_matchbox() => Code::InvalidArgument,
            StoreError::Nothing(_) => Code::InvalidArgument,
            StoreError::Change(ChangeError::Refused { is_own, .. }) => match is_own {
                true => Code::InvalidArgument,
                false => Code::FailedPrecondition,
            },
            StoreError::Layout => Code::FailedPrecondition,
            StoreError::Name(_)
            | StoreError::Record(_)
            | StoreError::File { .. }
            | StoreError::Unreadable(_)
            | StoreError::NoFolder(_)
            | StoreError::Directory(_)
            | StoreError::Change(_) => Code::Unknown,
        }
    }
}

/// The calls on one data directory. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    data_dir: Arc<DataDir>,
}

impl Store {
    /// Returns the calls on a data directory.
    pub fn new(data_dir: Arc<DataDir>) -> Store {
        Store { data_dir }
    }

    /// Writes a group.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_group(&self, group: Option<Group>) -> Result<(), StoreError> {
        let group = group.ok_or(StoreError::Nothing("group"))?;
        let text = record::group_to_text(&group)?;
        self.put(Kind::Group, &group.id, text.into_bytes())
    }

    /// Writes a profile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_profile(&self, profile: Option<Profile>) -> Result<(), StoreError> {
        let profile = profile.ok_or(StoreError::Nothing("profile"))?;
        let text = record::profile_to_text(&profile)?;
        self.put(Kind::Profile, &profile.id, text.into_bytes())
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put(&self, kind: Kind, name: &str, content: Vec<u8>) -> Result<(), StoreError> {
        self.change(kind, name, Some(content.into()))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(&self, kind: Kind, name: &str) -> Result<(), StoreError> {
        self.change(kind, name, None)
    }

    fn change(&self, kind: Kind, name: &str, content: Option<Arc<[u8]>>) -> Result<(), StoreError> {
        self.root()?;
        let file = kind.file(name)?;
        Ok(self.data_dir.change(Change { file, content })?)
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, kind: Kind, name: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.root()?.read_bytes(&kind.file(name)?)?)
    }

    /// Reads a group.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn group(&self, id: &str) -> Result<Group, StoreError> {
        self.read(Kind::Group, id, record::group_from_text)
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn profile(&self, id: &str) -> Result<Profile, StoreError> {
        self.read(Kind::Profile, id, record::profile_from_text)
    }

    fn read<T>(
        &self,
        kind: Kind,
        id: &str,
        parse: fn(&str) -> Result<T, InvalidRecord>,
    ) -> Result<T, StoreError> {
        let bytes = self.get(kind, id)?;
        parse(&String::from_utf8_lossy(&bytes)).map_err(|error| StoreError::File {
            file: format!("{}/{id}.json", kind.folder()),
            error,
        })
    }

    /// Reads all groups, by the names of their files. Files that are no groups are left out.
    ///
    /// # Errors
    /// The folder is missing, or cannot be read.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.list(Kind::Group, |id| self.group(id))
    }

    /// Reads all profiles, as [`Store::groups`] does groups.
    ///
    /// # Errors
    /// As there.
    pub fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        self.list(Kind::Profile, |id| self.profile(id))
    }

    fn list<T>(
        &self,
        kind: Kind,
        read: impl Fn(&str) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let root = self.root()?;
        let folder = kind.folder();
        if !root.is_folder(folder) {
            return Err(StoreError::NoFolder(folder));
        }
        let names = root.names(folder)?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(".json"));
        Ok(ids.filter_map(|id| read(id).ok()).collect())
    }

    /// Returns the group of a machine with these labels.
    ///
    /// # Errors
    /// [`StoreError::NoMatch`].
    pub fn select_group(&self, labels: BTreeMap<String, String>) -> Result<Group, StoreError> {
        self.root()?;
        let id = Arc::clone(&self.data_dir.snapshot().group(&Labels(labels))?.id);
        self.group(&id)
    }

    /// Returns the profile of a machine with these labels.
    ///
    /// # Errors
    /// [`StoreError::NoMatch`].
    pub fn select_profile(&self, labels: BTreeMap<String, String>) -> Result<Profile, StoreError> {
        self.root()?;
        let snapshot = self.data_dir.snapshot();
        let group = snapshot.group(&Labels(labels))?;
        self.profile(&group.profile_id)
            .map_err(|error| Refusal::without_group(error.to_string()).into())
    }

    /// Opens the directory, if it has matchbox's layout.
    fn root(&self) -> Result<Root, StoreError> {
        if self.data_dir.current().layout != Layout::Matchbox {
            return Err(StoreError::Layout);
        }
        Root::open(self.data_dir.root()).map_err(StoreError::Directory)
    }
}
