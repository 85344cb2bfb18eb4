//! Resolution of a TFTP name: a file below one of the served folders, or a rendered configuration.

use std::fs::{File, Metadata};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use boot_server_events::sha256_hex;
use boot_server_policy::{SHIM_FOLDER, SIGNED_PROGRAMS, SignedProgram};
use boot_server_proto::autoexec::{self, AUTOEXEC};
use boot_server_proto::grub;
use boot_server_proto::pxelinux::{CONFIG_FOLDER, ConfigName};
use boot_server_proto::tftp::ErrorCode;

use super::context::Context;
use super::folder::{Folder, FolderError};
use super::unchanged::Version;
use crate::catalog::BootCatalog;
use crate::config::Explain;
use crate::respond::{Machine, RenderedConfig, grub_config, pxelinux_config};

/// Folders of Debian's packages with NBPs and the files they load: `ipxe`, `pxelinux`, `syslinux-common`.
const DEBIAN_NBP_FOLDERS: [&str; 3] = [
    "/usr/lib/ipxe",
    "/usr/lib/PXELINUX",
    "/usr/lib/syslinux/modules/bios",
];
/// The name below which the HTTP service's assets are found.
const ASSETS: &str = "assets/";

/// The contents of a file being sent.
#[derive(Debug)]
pub(super) enum Content {
    /// Content held in memory.
    Text(Vec<u8>),
    /// On disk, as it was when it was opened.
    File(File, Version),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Content::Text(text) => text.len() as u64,
            Content::File(_, version) => version.size(),
        }
    }

    /// SHA-256 in hexadecimal of content in memory; `None` for a file, which is never read for this.
    pub(super) fn sha256(&self) -> Option<String> {
        match self {
            Content::Text(text) => Some(sha256_hex(text)),
            Content::File(..) => None,
        }
    }

    /// Appends the bytes from `offset` on.
    ///
    /// # Errors
    /// The file was changed, or the disk fails.
    pub(super) fn read_into(&self, offset: u64, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Content::Text(text) => {
                let from = usize::try_from(offset).map_err(io::Error::other)?;
                let part = text.get(from..from.saturating_add(len));
                out.extend(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Content::File(file, version) => {
                let start = out.len();
                out.resize(start + len, 0);
                file.read_exact_at(out.get_mut(start..).unwrap_or_default(), offset)?;
                version.check(file)
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
    /// Label keys that this group requires, sorted.
    pub(super) selectors: Option<Vec<String>>,
}

impl Opened {
    fn rendered(config: RenderedConfig) -> Opened {
        Opened {
            content: Content::Text(config.text.into_bytes()),
            group: Some(config.group),
            selectors: Some(config.selectors),
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

/// Folder that Debian's signed GRUB asks for its menu in (its `prefix`).
const GRUB_FOLDER: &str = "grub";

/// The NBPs that TFTP serves, for firmware that fetches them by HTTP, and the menu of the GRUB among them.
pub(super) struct Nbps {
    pub(super) context: Arc<Context>,
    files: TftpFiles,
}

impl Nbps {
    /// `roots` come before Debian's folders; `assets_url` is where `/assets/` is by HTTP.
    pub(super) fn new(
        context: Arc<Context>,
        roots: &[PathBuf],
        assets_url: Option<String>,
        catalog: Option<Arc<dyn BootCatalog>>,
    ) -> Nbps {
        let files = TftpFiles::new(Arc::clone(&context), roots, None, assets_url, catalog);
        Nbps { context, files }
    }

    /// Finds a file that GRUB asks for in its folder: its menu, as TFTP serves it, or a file of the folders.
    ///
    /// # Errors
    /// [`Refusal`]: not there, not allowed, or no menu for this machine.
    pub(super) fn open_for_grub(&self, name: &str, peer: SocketAddr) -> Result<Opened, Refusal> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        self.files.open(&format!("{GRUB_FOLDER}/{name}"), peer)
    }

    /// Finds an NBP by its name below the folders.
    ///
    /// # Errors
    /// [`Refusal`]: not there, or not allowed.
    pub(super) fn open(&self, name: &str) -> Result<(File, Metadata), Refusal> {
        // shim asks for `//grubx64.efi` (rhboot/shim#436).
        let opened = self.files.open_below_roots(name.trim_start_matches('/'))?;
        match opened.content {
            Content::File(file, _) => match file.metadata() {
                Ok(metadata) => Ok((file, metadata)),
                Err(error) => Err(Refusal::denied(error.to_string())),
            },
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
    explain: Explain,
}

impl TftpFiles {
    /// Tells others the reasons of refusals.
    pub(super) fn explaining(self, explain: Explain) -> TftpFiles {
        TftpFiles { explain, ..self }
    }

    /// Returns the error message that a refused client receives.
    pub(super) fn told_to(&self, peer: SocketAddr, code: ErrorCode, reason: &'_ str) -> String {
        let own = IpAddr::V4(self.context.interface.address);
        let is_this_host = peer.ip().is_loopback() || peer.ip() == own;
        match (self.explain.tells(is_this_host), code) {
            (true, _) => reason.to_owned(),
            (false, ErrorCode::FileNotFound) => "file not found".to_owned(),
            (false, ErrorCode::AccessViolation) => "access denied".to_owned(),
            (false, _) => "failed: see the server's log".to_owned(),
        }
    }

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

    pub(super) fn with_nbp_folders(
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
            explain: Explain::default(),
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
            let below = below.trim_start_matches('/');
            return open_below(assets, below)?.ok_or_else(|| Refusal::not_found("no such asset"));
        }
        match self.open_below_roots(name) {
            // A file of that name in a root is the operator's own: it goes before ours.
            Err(refusal) if refusal.code == ErrorCode::FileNotFound => {
                let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
                match (grub::config_name(base), &self.catalog) {
                    _ if base == AUTOEXEC => self.autoexec().ok_or(refusal),
                    // GRUB must continue to the operator's own file.
                    (Some(_), _) if self.open_below_roots(&grub::last_asked(name)).is_ok() => {
                        Err(refusal)
                    }
                    (Some(asked), Some(catalog)) => self.render_grub(&**catalog, asked, peer),
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
            selectors: None,
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
        match signed_program(name) {
            Some(program) => open_program(program),
            None => Err(Refusal::not_found("no such file")),
        }
    }

    fn render_pxelinux(
        &self,
        catalog: &dyn BootCatalog,
        name: &str,
        peer: SocketAddr,
    ) -> Result<Opened, Refusal> {
        let name = ConfigName::parse(name)
            .ok_or_else(|| Refusal::not_found("not a file name that PXELINUX requests"))?;
        let machine = self.machine(peer)?;
        let rendered = pxelinux_config(catalog, name, machine, self.assets_url.as_deref())
            .map_err(|error| Refusal::not_found(error.to_string()))?;
        Ok(Opened::rendered(rendered))
    }

    fn render_grub(
        &self,
        catalog: &dyn BootCatalog,
        name: ConfigName,
        peer: SocketAddr,
    ) -> Result<Opened, Refusal> {
        let machine = self.machine(peer)?;
        let rendered = grub_config(catalog, name, machine, self.assets_url.as_deref())
            .map_err(|error| Refusal::not_found(error.to_string()))?;
        Ok(Opened::rendered(rendered))
    }

    /// Returns the known identity of the client.
    fn machine(&self, peer: SocketAddr) -> Result<Machine, Refusal> {
        let SocketAddr::V4(peer) = peer else {
            return Err(Refusal::not_found("the client has no IPv4 address"));
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

/// Returns the program that a name in shim's folder means. shim doubles the slash before the name of its second stage
/// (rhboot/shim#436).
fn signed_program(name: &str) -> Option<SignedProgram> {
    let below = name.strip_prefix(SHIM_FOLDER)?.strip_prefix('/')?;
    let below = below.trim_start_matches('/');
    let mut programs = SIGNED_PROGRAMS.into_iter();
    programs.find(|program| program.name == below)
}

/// Opens a program of Debian's packages.
fn open_program(program: SignedProgram) -> Result<Opened, Refusal> {
    let SignedProgram { file, package, .. } = program;
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    open_below(&Folder::of_packages(folder), name)?.ok_or_else(|| {
        Refusal::not_found(format!("{file} is missing; install the package {package}"))
    })
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
        content: Content::File(file, Version::of(&metadata)),
        group: None,
        selectors: None,
    }))
}
