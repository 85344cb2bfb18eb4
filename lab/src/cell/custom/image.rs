//! Container images of services, exported by podman before the cell starts: podman's storage belongs to the user, and a
//! cell has other user ids.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lab_model::scenario::Scenario;
use tempfile::TempDir;
use tokio::process::Command;

/// Reason why an image cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The folder of the archives cannot be created.
    #[error("cannot export the image {image}: {source}")]
    File {
        image: String,
        source: std::io::Error,
    },
    /// podman refused.
    #[error("cannot export the image {image}: `podman {command}` failed: {last}")]
    Podman {
        image: String,
        /// Subcommand of podman that failed.
        command: &'static str,
        /// Last line of its output.
        last: String,
    },
}

/// Root file systems of images as archives, by the name of the service; removed on drop.
#[derive(Debug, Default)]
pub struct ExportedImages {
    pub archives: BTreeMap<String, PathBuf>,
    _folder: Option<TempDir>,
}

/// Exports the images of the scenario's services.
///
/// # Errors
/// [`ImageError`] of the first image that cannot be exported, such as one that is not in podman's storage.
pub async fn export(scenario: &Scenario) -> Result<ExportedImages, ImageError> {
    let mut exported = ExportedImages::default();
    for service in &scenario.custom_services {
        let Some(image) = service.image_name() else {
            continue;
        };
        let failed = |source| ImageError::File {
            image: image.to_owned(),
            source,
        };
        if exported._folder.is_none() {
            exported._folder = Some(tempfile::tempdir().map_err(failed)?);
        }
        let folder = exported
            ._folder
            .as_ref()
            .map_or(Path::new("/"), TempDir::path);
        let archive = folder.join(format!("{}.tar", service.name));
        // An image without a command needs one here; it is never executed.
        let create = ["create", "--pull=never", "--", image, "/"];
        let container = podman(image, &create).await?;
        let file = archive.display().to_string();
        let done = podman(image, &["export", "--output", &file, &container]).await;
        podman(image, &["rm", &container]).await?;
        done?;
        exported.archives.insert(service.name.clone(), archive);
    }
    Ok(exported)
}

/// Runs podman and returns the last line of its standard output.
async fn podman(image: &str, arguments: &[&str]) -> Result<String, ImageError> {
    let mut command = Command::new("podman");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.map_err(|source| ImageError::File {
        image: image.to_owned(),
        source,
    })?;
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().last().unwrap_or_default().to_owned()
    };
    if output.status.success() {
        return Ok(last(&output.stdout));
    }
    let command = match arguments.first() {
        Some(&"create") => "create",
        Some(&"export") => "export",
        _ => "rm",
    };
    Err(ImageError::Podman {
        image: image.to_owned(),
        command,
        last: last(&output.stderr),
    })
}
