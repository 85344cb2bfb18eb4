//! Tests of what TFTP names stand for.

use std::path::Path;
use std::sync::Arc;

use boot_server_events::sha256_hex;
use boot_server_proto::tftp::ErrorCode;

use super::context::Context;
use super::files::*;
use super::folder::Folder;
use crate::catalog::snapshot::Refusal;
use crate::catalog::{BootCatalog, BootSettings, Labels, Selection};
use crate::config::BootConfig;
use crate::event_sink::EventSink;
use crate::net::interface::Interface;
use crate::net::neighbours::Neighbours;
use crate::policy::Policy;

const PEER: &str = "10.0.0.7:2070";
const SCRIPT: &str = "#!ipxe\ndhcp && chain --autofree http://10.0.0.1/s || autoboot\n";

/// Boots every machine that says its MAC.
struct Known;

impl BootCatalog for Known {
    fn select(&self, labels: &Labels) -> Result<Selection, Refusal> {
        let mac = labels
            .0
            .get("mac")
            .ok_or_else(|| Refusal::without_group("no group matches"))?;
        Ok(Selection {
            group: mac.clone(),
            require: [("mac", mac)].into_iter().collect(),
            spec_id: "spec".into(),
            boot: Some(Arc::new(BootSettings {
                kernel: "/assets/vmlinuz".into(),
                initrd: Vec::new(),
                options: vec![format!("for={mac}")],
            })),
        })
    }
}

fn files(root: &Path, assets: &Path) -> TftpFiles {
    files_and(root, assets, None)
}

fn files_and(root: &Path, assets: &Path, catalog: Option<Arc<dyn BootCatalog>>) -> TftpFiles {
    let interface = Interface::find("lo", None).unwrap();
    let script = Some("http://10.0.0.1/s".to_owned());
    let policy = Policy::boot(interface.address, BootConfig::default(), script);
    let events = EventSink::channel().0;
    let context = Context::new(interface, Neighbours::default(), events, policy);
    let assets = Some(Folder::from(assets.to_owned()));
    let nbp_folders = vec![root.with_file_name("nbp")];
    TftpFiles::with_nbp_folders(
        context,
        &[root.to_owned()],
        nbp_folders,
        assets,
        None,
        catalog,
    )
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
        ("assets//vmlinuz", Ok("kernel")),
        ("//sub///f", Ok("f")),
        ("assets//etc/passwd", Err(ErrorCode::FileNotFound)),
    ] {
        assert_eq!(read(&files, name), expected.map(str::to_owned), "{name}");
    }
}

/// shim asks for `revocations_*.efi` and `shim_certificate_*.efi` first, and goes on when there are none.
#[test]
fn open_shims_folder_has_the_signed_programs_of_the_packages_unless_a_root_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("secureboot")).unwrap();
    std::fs::write(root.join("secureboot/mmx64.efi"), "own").unwrap();
    let files = files(&root, folder.path());
    let open = |name: &str| files.open(name, PEER.parse().unwrap());
    let signed = |file: &str| std::fs::metadata(file).unwrap().len();
    for (name, file) in [
        ("secureboot/bootx64.efi", "/usr/lib/shim/shimx64.efi.signed"),
        (
            "/secureboot//grubx64.efi",
            "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        ),
    ] {
        assert_eq!(open(name).unwrap().content.len(), signed(file), "{name}");
    }
    assert_eq!(read(&files, "secureboot/mmx64.efi"), Ok("own".to_owned()));
    for name in [
        "secureboot/revocations_sbat.efi",
        "secureboot/shim_certificate_0.efi",
        "secureboot",
        "secureboot/",
        "secureboot/../bootx64.efi",
        "bootx64.efi",
        "secureboot/x/bootx64.efi",
    ] {
        assert!(open(name).is_err(), "{name}");
    }
}

#[test]
fn rendered_menu_has_its_groups_selectors_and_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nbp"), "nbp").unwrap();
    let files = files_and(folder.path(), folder.path(), Some(Arc::new(Known)));
    let open = |name: &str| files.open(name, PEER.parse().unwrap()).unwrap();
    for name in [
        "pxelinux.cfg/01-52-54-00-00-00-01",
        "grub.cfg-01-52-54-00-00-00-01",
    ] {
        let opened = open(name);
        assert_eq!(opened.selectors, Some(vec!["mac".to_owned()]), "{name}");
        let text = read(&files, name).unwrap();
        assert_eq!(opened.content.sha256(), Some(sha256_hex(text.as_bytes())));
    }
    let nbp = open("nbp");
    assert_eq!((nbp.selectors, nbp.content.sha256()), (None, None));
}

#[test]
fn grub_finds_its_menu_under_its_mac_unless_the_operator_has_one_of_his_own() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("own")).unwrap();
    std::fs::write(root.join("own/grub.cfg"), "own").unwrap();
    let files = files_and(&root, folder.path(), Some(Arc::new(Known)));
    for name in [
        "grub.cfg-01-52-54-00-00-00-01",
        "/boot/grub/grub.cfg-01-52-54-00-00-00-01",
        "grub/grub.cfg-52-54-00-00-00-01",
    ] {
        let text = read(&files, name).unwrap();
        assert!(
            text.contains("\"/assets/vmlinuz\" for=52:54:00:00:00:01\n"),
            "{name}: {text}"
        );
    }
    assert_eq!(read(&files, "own/grub.cfg"), Ok("own".to_owned()));
    for name in [
        "own/grub.cfg-01-52-54-00-00-00-01",
        "grub.cfg-0A000007",
        "grub.cfg-0A00000",
        "grub.cfg",
    ] {
        assert_eq!(read(&files, name), Err(ErrorCode::FileNotFound), "{name}");
    }
}
