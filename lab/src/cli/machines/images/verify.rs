//! `lab images verify`: verifies the cached images again.

use images::acquire::verify;
use images::catalog::ImageName;
use images::catalog::model::Source;
use images::store::Stored;
use lab_report::exit_code::ExitCode;

use super::{Failure, catalog, choose, fetch::good, find, store};
use crate::cli::Folders;

pub(super) fn run(folders: &Folders, image: Option<&ImageName>) -> Result<(), Failure> {
    let (catalog, store) = (catalog(folders)?, store(folders)?);
    let stored = match image {
        None => store.list(),
        Some(image) => {
            let wanted = find(&catalog, image)?;
            if wanted.entry.source == Source::Built {
                return built(folders, image);
            }
            let missing = || Failure::new(ExitCode::InvalidInput, super::chosen::not_here(image));
            vec![store.find(&wanted).ok_or_else(missing)?]
        }
    };
    if stored.is_empty() {
        eprintln!("No published images in the cache.");
    }
    let bad = stored.iter().filter(|stored| {
        let entry = catalog.entry(&stored.record.name);
        let key = entry.and_then(|entry| entry.key.as_ref());
        match verify(stored, key) {
            Ok(()) => {
                println!("{}: good", name(stored));
                for file in &stored.record.files {
                    println!("  {}", good(file));
                }
                false
            }
            Err(error) => {
                println!("{}: BAD: {error}", name(stored));
                true
            }
        }
    });
    match bad.count() {
        0 => Ok(()),
        bad => {
            let message = format!(
                "damaged images in the cache: {bad}; `lab images fetch` downloads them again"
            );
            Err(Failure::new(ExitCode::Failed, message))
        }
    }
}

/// Verifies a built image against its manifest; a cached one that differs in size would have been rebuilt.
fn built(folders: &Folders, image: &ImageName) -> Result<(), Failure> {
    let chosen = choose(folders, image)?;
    let damaged =
        images::damaged(&chosen.folder).map_err(|error| Failure::new(ExitCode::Internal, error))?;
    if let Some(file) = damaged.first() {
        let path = chosen.folder.join(file);
        let message = format!(
            "{image} does not match its manifest: {}; remove the folder to rebuild it",
            path.display()
        );
        return Err(Failure::new(ExitCode::Failed, message));
    }
    println!("{image}: good; built on this host, hashes match its manifest");
    Ok(())
}

fn name(stored: &Stored) -> String {
    format!("{}@{}", stored.record.label, stored.record.version)
}
