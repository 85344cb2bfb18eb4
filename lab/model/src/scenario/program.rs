//! `[[program]]`: EFI programs that the lab prepares for a run and serves in place of the packages' own.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use image_catalog::ProgramName;
use serde::{Serialize, Serializer};

use super::problem::{Located, Source, Wrong};
use super::read::Item;

/// Folder of a name that is served below `/assets/`.
const ASSETS: &str = "assets";

/// `[[program]]`: an EFI program that is made for the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PreparedProgram {
    /// Path by which it is served by TFTP and below `/nbp/`, or by all servers if it begins with `assets/`.
    #[schemars(with = "String")]
    pub name: PathBuf,
    /// Origin: an absolute path, `kernel` for that of the image, or a program of another Debian release, such as `grub:13`.
    #[schemars(with = "String")]
    pub from: ProgramSource,
    /// Issuers of the signatures that are kept [default: all signatures].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_signatures: Option<Vec<String>>,
    /// Key that signs the program, beside the signatures that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<SigningKey>,
}

/// Origin of a prepared program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramSource {
    /// Kernel of the image.
    Kernel,
    /// File of the host.
    File(PathBuf),
    /// Program of a package of a Debian release.
    Package(ProgramName),
}

impl fmt::Display for ProgramSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramSource::Kernel => f.write_str("kernel"),
            ProgramSource::File(file) => write!(f, "{}", file.display()),
            ProgramSource::Package(name) => name.fmt(f),
        }
    }
}

impl Serialize for ProgramSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Key that signs a prepared program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SigningKey {
    /// The key of machines with `secure_boot = "own"`.
    Own,
    /// The key of machines with `secure_boot = "snakeoil"`.
    Snakeoil,
    /// A key that no machine knows.
    Stranger,
}

impl SigningKey {
    const ALL: [(&str, SigningKey); 3] = [
        ("own", SigningKey::Own),
        ("snakeoil", SigningKey::Snakeoil),
        ("stranger", SigningKey::Stranger),
    ];
}

impl PreparedProgram {
    /// Returns the path below `/assets/`, if the program is served there.
    #[must_use]
    pub fn asset(&self) -> Option<&Path> {
        self.name.strip_prefix(ASSETS).ok()
    }
}

/// Readable parts of a `[[program]]`.
#[derive(Debug)]
pub(super) struct DraftProgram {
    pub(super) name: Option<Located<PathBuf>>,
    from: Option<Located<ProgramSource>>,
    keep_signatures: Option<Vec<String>>,
    sign: Option<SigningKey>,
}

impl DraftProgram {
    pub(super) fn build(self) -> Option<PreparedProgram> {
        Some(PreparedProgram {
            name: self.name?.value,
            from: self.from?.value,
            keep_signatures: self.keep_signatures,
            sign: self.sign,
        })
    }
}

pub(super) fn read(item: &Item<'_, '_>) -> Option<DraftProgram> {
    let table = item.table("[[program]]")?;
    let issuers = table
        .optional("keep_signatures")
        .and_then(|item| item.list());
    let issuers = issuers.map(|list| {
        let texts = list.iter().filter_map(Item::text);
        texts.map(|text| text.value).collect()
    });
    let program = DraftProgram {
        name: table
            .required("name", "name = \"secureboot/grubx64.efi\"")
            .and_then(|item| item.parse(relative)),
        from: table
            .required("from", "from = \"grub:13\"")
            .and_then(|item| item.parse(origin)),
        keep_signatures: issuers,
        sign: table
            .optional("sign")
            .and_then(|item| item.choice(&SigningKey::ALL))
            .map(|sign| sign.value),
    };
    table.finish();
    Some(program)
}

/// Adds duplicate names to `source`.
pub(super) fn check(programs: &[DraftProgram], source: &Source) {
    let names: Vec<_> = programs
        .iter()
        .filter_map(|one| one.name.as_ref())
        .collect();
    for (index, name) in names.iter().enumerate() {
        let mut before = names.iter().take(index);
        if let Some(first) = before.find(|other| other.value == name.value) {
            source.clash(
                (name.at.clone(), "again here"),
                (first.at.clone(), "first here"),
                Wrong::new(
                    format!("duplicate name of a program: `{}`", name.value.display()),
                    "remove one of the sections",
                ),
            );
        }
    }
}

fn relative(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text);
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !text.is_empty() && path.components().all(is_name) {
        return Ok(path);
    }
    Err(Wrong::new(
        format!("invalid name of a program: `{text}`"),
        "write the path that machines ask for, without `/` at its beginning and without `..`",
    ))
}

fn origin(text: &str) -> Result<ProgramSource, Wrong> {
    match text {
        "kernel" => Ok(ProgramSource::Kernel),
        path if path.starts_with('/') => Ok(ProgramSource::File(path.into())),
        name => name.parse().map(ProgramSource::Package).map_err(
            |error: image_catalog::UnknownProgram| {
                Wrong::new(
                    error.to_string(),
                    format!(
                        "write an absolute path, `kernel`, or one of {}",
                        ProgramName::all()
                            .map(|name| format!("`{name}`"))
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                )
            },
        ),
    }
}
