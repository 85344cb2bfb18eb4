//! What a TFTP name stands for: a file below one of the served folders, or a rendered configuration.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use super::folder::{Folder, FolderError};
use crate::catalog::BootCatalog;
use crate::proto::autoexec::{self, AUTOEXEC};
use crate::proto::pxelinux::{CONFIG_FOLDER, ConfigName};
use crate::proto::tftp::ErrorCode;
use crate::respond::{Machine, RenderedConfig, grub_config, pxelinux_config};

/// Where Debian's packages put NBPs and what they load: `ipxe`, `pxelinux`, `syslinux-common`.
const DEBIAN_NBP_FOLDERS: [&str; 3] = [
    "/usr/lib/ipxe",
    "/usr/lib/PXELINUX",
    "/usr/lib/syslinux/modules/bios",
];
/// The name below which the HTTP service's assets are found.
const ASSETS: &str = "assets/";

/// The file that GRUB looks for in its folder, `grub/` or the NBP's own.
const GRUB_CONFIG: &str = "grub.cfg";

/// The contents of a file being sent.
#[derive(Debug)]
pub(super) enum Content {
    /// In memory.
    Text(Vec<u8>),
    /// On disk, with its length when it was opened.
    File(File, u64),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Content::Text(text) => text.len() as u64,
            Content::File(_, len) => *len,
        }
    }

    /// Appends the bytes from `offset` on.
    ///
    /// # Errors
    /// The file became shorter, or the disk fails.
    pub(super) fn read_into(&self, offset: u64, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Content::Text(text) => {
                let from = usize::try_from(offset).map_err(io::Error::other)?;
                let part = text.get(from..from.saturating_add(len));
                out.extend(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Content::File(file, _) => {
                let start = out.len();
                out.resize(start + len, 0);
                file.read_exact_at(out.get_mut(start..).unwrap_or_default(), offset)
            }
        }
    }
}

/// A name that was found.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) content: Content,
    /// For a rendered configuration: the group that matched.
    pub(super) group: Option<String>,
}

impl Opened {
    fn rendered(config: RenderedConfig) -> Opened {
        Opened {
            content: Content::Text(config.text.into_bytes()),
            group: Some(config.group),
        }
    }
}

/// A name that is not served, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) reason: String,
}

impl Refusal {
    fn not_found(reason: impl Into<String>) -> Refusal {
        Refusal {
            code: ErrorCode::FileNotFound,
            reason: reason.into(),
        }
    }

    fn denied(reason: impl Into<String>) -> Refusal {
        Refusal {
            code: ErrorCode::AccessViolation,
            reason: reason.into(),
        }
    }
}

/// The NBPs that TFTP serves, for firmware that fetches them by HTTP.
pub(super) struct Nbps {
    pub(super) context: Arc<Context>,
    files: TftpFiles,
}

impl Nbps {
    /// `roots` come before Debian's folders.
    pub(super) fn new(context: Arc<Context>, roots: &[PathBuf]) -> Nbps {
        let files = TftpFiles::new(Arc::clone(&context), roots, None, None, None);
        Nbps { context, files }
    }

    /// Finds an NBP by its name below the folders.
    ///
    /// # Errors
    /// [`Refusal`]: not there, or not allowed.
    pub(super) fn open(&self, name: &str) -> Result<(File, u64), Refusal> {
        match self.files.open_below_roots(name)?.content {
            Content::File(file, len) => Ok((file, len)),
            Content::Text(_) => Err(Refusal::not_found("no file")),
        }
    }
}

/// All that TFTP serves.
pub(super) struct TftpFiles {
    context: Arc<Context>,
    /// Searched in order; the last ones are the packages'.
    folders: Vec<Folder>,
    assets: Option<Folder>,
    assets_url: Option<String>,
    catalog: Option<Arc<dyn BootCatalog>>,
}

impl TftpFiles {
    /// `roots` come before Debian's folders; `assets_url` is where `/assets/` is by HTTP.
    pub(super) fn new(
        context: Arc<Context>,
        roots: &[PathBuf],
        assets: Option<Folder>,
        assets_url: Option<String>,
        catalog: Option<Arc<dyn BootCatalog>>,
    ) -> TftpFiles {
        TftpFiles::with_nbp_folders(
            context,
            roots,
            DEBIAN_NBP_FOLDERS.map(PathBuf::from).to_vec(),
            assets,
            assets_url,
            catalog,
        )
    }

    fn with_nbp_folders(
        context: Arc<Context>,
        roots: &[PathBuf],
        nbp_folders: Vec<PathBuf>,
        assets: Option<Folder>,
        assets_url: Option<String>,
        catalog: Option<Arc<dyn BootCatalog>>,
    ) -> TftpFiles {
        // A link may lead from one served folder to another.
        let served: Vec<PathBuf> = roots
            .iter()
            .chain(&nbp_folders)
            .cloned()
            .chain(assets.as_ref().map(|assets| assets.root().to_owned()))
            .collect();
        let roots = roots.iter().map(|root| Folder::new(root, &served));
        let packages = nbp_folders.into_iter().map(Folder::of_packages);
        TftpFiles {
            context,
            folders: roots.chain(packages).collect(),
            assets,
            assets_url,
            catalog,
        }
    }

    /// Finds what a client asks for.
    ///
    /// # Errors
    /// [`Refusal`]: not there, not allowed, or not renderable.
    pub(super) fn open(&self, asked: &str, peer: SocketAddr) -> Result<Opened, Refusal> {
        let name = asked.replace('\\', "/");
        if let Some(file) = self
            .context
            .policy()
            .pixiecore_file(&name)
            .map(str::to_owned)
        {
            return self.open_below_roots(&file);
        }
        let name = name.trim_start_matches('/');
        if let Some((_, config)) = name.rsplit_once(CONFIG_FOLDER)
            && let Some(catalog) = &self.catalog
        {
            return self.render_pxelinux(&**catalog, config, peer);
        }
        if let (Some(below), Some(assets)) = (name.strip_prefix(ASSETS), &self.assets) {
            return open_below(assets, below)?.ok_or_else(|| Refusal::not_found("no such asset"));
        }
        match self.open_below_roots(name) {
            // A file of that name in a root is the operator's own: it goes before ours.
            Err(refusal) if refusal.code == ErrorCode::FileNotFound => {
                let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
                match (base, &self.catalog) {
                    (AUTOEXEC, _) => self.autoexec().ok_or(refusal),
                    (GRUB_CONFIG, Some(catalog)) => self.render_grub(&**catalog, peer),
                    _ => Err(refusal),
                }
            }
            found => found,
        }
    }

    /// iPXE asks for its script beside the NBP, in whatever folder that was.
    fn autoexec(&self) -> Option<Opened> {
        let policy = self.context.policy();
        let url = policy.script_url()?;
        Some(Opened {
            content: Content::Text(autoexec::render(url).into_bytes()),
            group: None,
        })
    }

    fn open_below_roots(&self, name: &str) -> Result<Opened, Refusal> {
        // Some boot ROMs ask for layer 0 of a boot item under its name with `.0` (PXE 2.1, §2.2.4).
        let names = [Some(name), name.strip_suffix(".0")];
        for name in names.into_iter().flatten() {
            for folder in &self.folders {
                if let Some(opened) = open_below(folder, name)? {
                    return Ok(opened);
                }
            }
        }
        Err(Refusal::not_found("no such file"))
    }

    fn render_pxelinux(
        &self,
        catalog: &dyn BootCatalog,
        name: &str,
        peer: SocketAddr,
    ) -> Result<Opened, Refusal> {
        let name = ConfigName::parse(name)
            .ok_or_else(|| Refusal::not_found("no name that PXELINUX asks for"))?;
        let machine = self.machine(peer)?;
        let rendered = pxelinux_config(catalog, name, machine, self.assets_url.as_deref())
            .map_err(|error| Refusal::not_found(error.to_string()))?;
        Ok(Opened::rendered(rendered))
    }

    fn render_grub(&self, catalog: &dyn BootCatalog, peer: SocketAddr) -> Result<Opened, Refusal> {
        let rendered = grub_config(catalog, &self.machine(peer)?, self.assets_url.as_deref())
            .map_err(|error| Refusal::not_found(error.to_string()))?;
        Ok(Opened::rendered(rendered))
    }

    /// What is known of the machine that asks.
    fn machine(&self, peer: SocketAddr) -> Result<Machine, Refusal> {
        let SocketAddr::V4(peer) = peer else {
            return Err(Refusal::not_found("no IPv4 client"));
        };
        let neighbour = self.context.neighbours.lookup(*peer.ip());
        Ok(Machine {
            uuid: neighbour.and_then(|neighbour| neighbour.uuid),
            mac: neighbour.map(|neighbour| neighbour.mac),
            address: Some(*peer.ip()),
            hostname: None,
        })
    }
}

/// Opens a file below a folder; `None` when there is none.
fn open_below(folder: &Folder, name: &str) -> Result<Option<Opened>, Refusal> {
    let file = match folder.open(name) {
        Ok(file) => file,
        Err(FolderError::Missing(_)) => return Ok(None),
        Err(error) => return Err(Refusal::denied(error.to_string())),
    };
    let failed = |error: io::Error| Refusal::denied(format!("{name}: {error}"));
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    // Advice only: without it the kernel reads ahead less.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
    Ok(Some(Opened {
        content: Content::File(file, metadata.len()),
        group: None,
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::BootConfig;
    use crate::event::EventSink;
    use crate::net::interface::Interface;
    use crate::net::neighbours::Neighbours;
    use crate::policy::Policy;

    const PEER: &str = "10.0.0.7:2070";
    const SCRIPT: &str = "#!ipxe\ndhcp && chain --autofree http://10.0.0.1/s || autoboot\n";

    fn files(root: &Path, assets: &Path) -> TftpFiles {
        let interface = Interface::find("lo", None).unwrap();
        let script = Some("http://10.0.0.1/s".to_owned());
        let policy = Policy::boot(interface.address, BootConfig::default(), script);
        let events = EventSink::channel().0;
        let context = Context::new(interface, Neighbours::default(), events, policy);
        let assets = Some(Folder::from(assets.to_owned()));
        let nbp_folders = vec![root.with_file_name("nbp")];
        TftpFiles::with_nbp_folders(context, &[root.to_owned()], nbp_folders, assets, None, None)
    }

    fn read(files: &TftpFiles, name: &str) -> Result<String, ErrorCode> {
        let opened = files
            .open(name, PEER.parse().unwrap())
            .map_err(|refusal| refusal.code)?;
        let mut out = Vec::new();
        opened
            .content
            .read_into(0, opened.content.len() as usize, &mut out)
            .unwrap();
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn names_are_found_below_the_folders_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let (root, assets) = (folder.path().join("root"), folder.path().join("assets"));
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir_all(&assets).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("undionly.kpxe"), "nbp").unwrap();
        std::fs::write(root.join("sub/f"), "f").unwrap();
        std::fs::create_dir_all(root.join("own")).unwrap();
        std::fs::write(root.join("own/autoexec.ipxe"), "own").unwrap();
        std::fs::write(assets.join("vmlinuz"), "kernel").unwrap();
        std::os::unix::fs::symlink("sub/f", root.join("inside")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("outside")).unwrap();
        std::os::unix::fs::symlink("../nbp/ipxe.efi", root.join("served")).unwrap();
        std::fs::create_dir_all(folder.path().join("nbp")).unwrap();
        std::fs::write(folder.path().join("boot.efi"), "efi").unwrap();
        std::fs::write(folder.path().join("nbp/snponly.efi"), "snp").unwrap();
        std::os::unix::fs::symlink("../boot.efi", folder.path().join("nbp/ipxe.efi")).unwrap();
        std::os::unix::fs::symlink("../nbp/snponly.efi", root.join("snp")).unwrap();
        let files = files(&root, &assets);
        for (name, expected) in [
            ("undionly.kpxe", Ok("nbp")),
            ("/undionly.kpxe", Ok("nbp")),
            ("undionly.kpxe.0", Ok("nbp")),
            ("autoexec.ipxe", Ok(SCRIPT)),
            ("/efi/autoexec.ipxe", Ok(SCRIPT)),
            ("own/autoexec.ipxe", Ok("own")),
            ("\\sub\\f", Ok("f")),
            ("sub//f", Ok("f")),
            ("./sub/f", Ok("f")),
            ("inside", Ok("f")),
            ("ipxe.efi", Ok("efi")),
            ("snp", Ok("snp")),
            ("served", Err(ErrorCode::AccessViolation)),
            ("assets/vmlinuz", Ok("kernel")),
            ("/assets/vmlinuz", Ok("kernel")),
            ("//assets/vmlinuz", Ok("kernel")),
            ("vmlinuz", Err(ErrorCode::FileNotFound)),
            ("sub", Err(ErrorCode::FileNotFound)),
            ("", Err(ErrorCode::FileNotFound)),
            ("undionly.kpxe/x", Err(ErrorCode::FileNotFound)),
            ("outside", Err(ErrorCode::AccessViolation)),
            ("../secret", Err(ErrorCode::AccessViolation)),
            ("sub/../../secret", Err(ErrorCode::AccessViolation)),
            ("..\\secret", Err(ErrorCode::AccessViolation)),
            ("assets/../secret", Err(ErrorCode::AccessViolation)),
            ("assets//etc/passwd", Err(ErrorCode::AccessViolation)),
        ] {
            assert_eq!(read(&files, name), expected.map(str::to_owned), "{name}");
        }
    }
}
