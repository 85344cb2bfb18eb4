//! An image of the user's own, in a catalog of the user's own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use crate::support::Scenarios;

/// Separate image cache, and a catalog with a custom image.
pub(crate) struct Own {
    pub(crate) folder: tempfile::TempDir,
}

impl Own {
    /// An image of this family with files named as Flatcar's: the header of an x86 kernel (Linux's
    /// `Documentation/arch/x86/boot.rst`) and the first bytes of a gzip stream.
    pub(crate) fn new(family: &str) -> Own {
        let folder = tempfile::tempdir().unwrap();
        let mut kernel = vec![0; 40_000];
        kernel[0x1fe..0x200].copy_from_slice(b"\x55\xaa");
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        let files = [
            ("kernel", "flatcar_production_pxe.vmlinuz", kernel),
            (
                "initrd",
                "flatcar_production_pxe_image.cpio.gz",
                b"\x1f\x8bAn initrd.".repeat(3000),
            ),
        ];
        let mut text = format!("[image.mine]\nfamily = \"{family}\"\nversion = \"7\"\n");
        for (role, name, bytes) in files {
            let hash = hex::encode(Sha256::digest(&bytes));
            fs::write(folder.path().join(name), bytes).unwrap();
            text += &format!(
                "[[image.mine.file]]\nrole = \"{role}\"\npath = \"{name}\"\nsha256 = \"{hash}\"\n"
            );
        }
        fs::write(folder.path().join("images.toml"), text).unwrap();
        Own { folder }
    }

    fn catalog(&self) -> PathBuf {
        self.folder.path().join("images.toml")
    }

    fn with(&self, mut command: Command) -> Command {
        command.arg("--catalog").arg(self.catalog());
        command.arg("--cache").arg(self.folder.path().join("cache"));
        command.env("NO_COLOR", "1");
        command
    }

    pub(crate) fn images(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lab"));
        command.arg("images").args(arguments);
        self.with(command).output().unwrap()
    }

    pub(crate) fn run(&self, scenarios: &Scenarios, image: &str) -> Output {
        let mut command = self.with(scenarios.lab_run());
        command.args(["--image", image]).output().unwrap()
    }
}

/// `ipxe-chainload` with one machine that is only simulated.
pub(crate) fn simulated() -> Scenarios {
    let scenarios = Scenarios::new();
    let copy = scenarios.copy("ipxe-chainload", "one");
    copy.quick("node1").edit_toml(|scenario| {
        scenario.insert("machines".into(), "simulated".into());
    });
    scenarios
}
