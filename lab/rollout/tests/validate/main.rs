//! `validate` on whole directories: the good ones have no finding of level error or warning, and each of the
//! broken ones has exactly the one that it is made for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod broken;
mod good;
mod scale;
mod sets;

use std::fs;
use std::path::{Path, PathBuf};

use rollout::inventory::read::{Listed, read_listed};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folders in a folder, by name.
fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// The inventory in a folder, when it has one.
fn machines(folder: &Path) -> Option<Listed> {
    let files = ["toml", "yaml", "json", "csv"].map(|end| folder.join(format!("machines.{end}")));
    let file = files.into_iter().find(|file| file.is_file())?;
    match read_listed(&file) {
        Ok(listed) => Some(listed),
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// shim of Debian's package `shim-signed`.
const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";

/// MokManager of Debian's package `shim-helpers-amd64-signed`.
const MOK_MANAGER: &str = "/usr/lib/shim/mmx64.efi.signed";

/// An asset, by what it is.
fn asset(is: &str) -> Vec<u8> {
    match is {
        "bzimage" => {
            let mut head = vec![0; 1024];
            head[0x1fe..0x200].copy_from_slice(b"\x55\xaa");
            head[0x202..0x206].copy_from_slice(b"HdrS");
            head[0x236] = 1;
            head
        }
        "arm64" => {
            let mut head = vec![0; 1024];
            head[0x38..0x3c].copy_from_slice(b"ARM\x64");
            head
        }
        "gzip" => b"\x1f\x8b\x08\0rest".to_vec(),
        "elf" => b"\x7fELF\x02\x01\x01".to_vec(),
        "html" => b"<!DOCTYPE html><title>404</title>".to_vec(),
        "empty" => Vec::new(),
        "shim" => fs::read(SHIM).unwrap(),
        // It has a signature of 2011, and one of 2023.
        "shim-of-2011" => efi_program::with_kept_signatures(&fs::read(SHIM).unwrap(), |one| {
            one.issuer.ends_with("2011")
        })
        .unwrap(),
        // Debian signs its kernels with certificates of the same CA.
        "signed-kernel" => fs::read(MOK_MANAGER).unwrap(),
        other => panic!("no asset is `{other}`"),
    }
}

const KERNEL: &str = "coreos/current/coreos_production_pxe.vmlinuz";
const INITRD: &str = "coreos/current/coreos_production_pxe_image.cpio.gz";

/// The assets that all example directories boot.
fn write_assets(folder: &Path) {
    fs::create_dir_all(folder.join(KERNEL).parent().unwrap()).unwrap();
    fs::write(folder.join(KERNEL), asset("bzimage")).unwrap();
    fs::write(folder.join(INITRD), asset("gzip")).unwrap();
    let debian = folder.join("debian-cloud-init");
    fs::create_dir_all(&debian).unwrap();
    fs::write(debian.join("vmlinuz"), asset("bzimage")).unwrap();
    fs::write(debian.join("initrd"), asset("gzip")).unwrap();
}
