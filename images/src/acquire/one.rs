//! Fetch of one file of an image: its signature first, then its bytes, then the verification. Only a verified
//! file is stored.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{AcquireError, NotGood};
use super::{Event, METADATA_LIMIT_BYTES, Tell, no_such_version, pass_on};
use crate::catalog::Wanted;
use crate::catalog::model::Location;
use crate::fetch::partial::Partial;
use crate::fetch::{Client, Step};
use crate::release::{Release, RemoteFile};
use crate::store::{SignedBy, Store, StoredFile, Verified};
use crate::verify::signature::{self, SignatureError};
use crate::verify::{content, digest};

/// No detached signature is longer, in bytes.
const SIGNATURE_LIMIT_BYTES: usize = 64 << 10;
/// Chunk size for copying a local file, in bytes.
const COPY_BYTES: usize = 1 << 20;

/// File being fetched.
pub(super) struct One<'o> {
    pub(super) wanted: &'o Wanted,
    pub(super) release: &'o Release,
    pub(super) file: &'o RemoteFile,
    pub(super) store: &'o Store,
    pub(super) tell: Tell<'o>,
    pub(super) stop: &'o AtomicBool,
}

impl One<'_> {
    pub(super) fn fetch(&self, client: &Client) -> Result<Verified, AcquireError> {
        // What is short comes first: without it the rest would be for nothing.
        let signature = self.signature(client)?;
        let listed = self.listed_digests(client)?;
        let from = self.file.location.to_string();
        if let Some(file) = self.reuse(&from, signature.as_deref(), &listed) {
            (self.tell)(Event::Good { file: &file });
            return Ok(Verified { file, signature });
        }
        let mut partial = Partial::open(&self.store.partial(), &from)?;
        match &self.file.location {
            Location::Url(url) => client
                .download(url, &mut partial, &mut |step| self.hear(&step))
                .map_err(|error| no_such_version(self.wanted, &self.release.version, error))?,
            Location::Path(path) => self.copy(path, &mut partial)?,
        }
        partial.sync()?;
        match self.verify(partial.path(), &from, signature.as_deref(), &listed) {
            Ok(file) => {
                self.store.insert(partial.path(), &file.sha256)?;
                partial.moved();
                (self.tell)(Event::Good { file: &file });
                Ok(Verified { file, signature })
            }
            Err(error) => {
                partial.discard();
                Err(error)
            }
        }
    }

    /// Returns the file, if its hash is known and the store has it already, for another image or from a fetch
    /// that another file ended. It is verified all the same.
    fn reuse(
        &self,
        from: &str,
        signature: Option<&[u8]>,
        listed: &Option<digest::Listed>,
    ) -> Option<StoredFile> {
        let object = self.store.object(self.file.digests.sha256.as_deref()?);
        self.verify(&object, from, signature, listed).ok()
    }

    fn hear(&self, step: &Step<'_>) -> bool {
        pass_on(&self.file.name, step, self.tell);
        !self.stop.load(Ordering::Relaxed)
    }

    fn signature(&self, client: &Client) -> Result<Option<Vec<u8>>, AcquireError> {
        Ok(match &self.file.signature {
            None => None,
            Some(Location::Url(url)) => Some(
                client
                    .short(url, SIGNATURE_LIMIT_BYTES, &mut |step| {
                        self.hear(&step);
                    })
                    .map_err(|error| no_such_version(self.wanted, &self.release.version, error))?,
            ),
            Some(Location::Path(path)) => {
                Some(std::fs::read(path).map_err(AcquireError::file(path))?)
            }
        })
    }

    /// Returns the hashes in the publisher's list, where there is one. It is no more than a help against
    /// damage: what makes the file trustworthy is its signature, which therefore has to be there.
    fn listed_digests(&self, client: &Client) -> Result<Option<digest::Listed>, AcquireError> {
        let Some(url) = &self.file.digests_url else {
            return Ok(None);
        };
        let Some(text) = client.short_if_there(url, METADATA_LIMIT_BYTES, &mut |step| {
            self.hear(&step);
        })?
        else {
            return Ok(None);
        };
        let digests = digest::parse_digests(&String::from_utf8_lossy(&text), &self.file.name);
        if digests.is_empty() {
            return Err(AcquireError::NoDigest {
                url: url.clone(),
                name: self.file.name.clone(),
            });
        }
        Ok(Some(digest::Listed {
            url: url.clone(),
            digests,
        }))
    }

    fn copy(&self, path: &Path, partial: &mut Partial) -> Result<(), AcquireError> {
        let error = || AcquireError::file(path);
        let mut file = std::fs::File::open(path).map_err(error())?;
        partial.restart(None)?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let read = file.read(&mut buffer).map_err(error())?;
            match buffer.get(..read) {
                Some(chunk) if !chunk.is_empty() => partial.append(chunk)?,
                _ => return Ok(()),
            }
        }
    }

    fn verify(
        &self,
        path: &Path,
        from: &str,
        signature: Option<&[u8]>,
        listed: &Option<digest::Listed>,
    ) -> Result<StoredFile, AcquireError> {
        let not_good = |why: NotGood| AcquireError::NotGood {
            from: from.to_owned(),
            why,
        };
        let hashes = digest::of_file(path).map_err(AcquireError::file(path))?;
        let known = &self.file.digests;
        digest::compare(&hashes, known, "the published release")
            .map_err(|why| not_good(why.into()))?;
        if let Some(listed) = listed {
            digest::compare(&hashes, &listed.digests, &listed.url)
                .map_err(|why| not_good(why.into()))?;
        }
        let signed_by = match (signature, &self.wanted.entry.key) {
            (Some(signature), Some(key)) => {
                let signed =
                    signature::check(path, signature, key).map_err(|why| not_good(why.into()))?;
                Some(SignedBy {
                    fingerprint: signed.fingerprint,
                    made_at: signed.made_at,
                    key_had_expired: signed.key_has_expired,
                })
            }
            // The catalog lets no file through that has neither.
            _ if !known.is_empty() => None,
            _ => {
                let none = SignatureError::Refused(signature::Refusal::None);
                return Err(not_good(none.into()));
            }
        };
        content::check(path, self.file.role)
            .map_err(AcquireError::file(path))?
            .map_err(|why| not_good(why.into()))?;
        Ok(StoredFile {
            role: self.file.role,
            name: self.file.name.clone(),
            size_bytes: hashes.size_bytes,
            sha256: hashes.sha256,
            from: from.to_owned(),
            digest_checked: !known.is_empty() || listed.is_some(),
            signed_by,
            is_packaged: false,
        })
    }
}
