//! Images other than the stand-in, by the program: one's own takes the place of the one that a scenario
//! names, and what cannot be is refused before anything is started.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Scenarios, printed};

/// A cache of its own, and a catalog with an image of one's own in it.
struct Own {
    folder: tempfile::TempDir,
}

impl Own {
    /// An image of this family with files named as Flatcar's: the header of an x86 kernel (Linux's
    /// `Documentation/arch/x86/boot.rst`) and the first bytes of a gzip stream.
    fn new(family: &str) -> Own {
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
            let hash: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
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

    fn images(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lab"));
        command.arg("images").args(arguments);
        self.with(command).output().unwrap()
    }

    fn run(&self, scenarios: &Scenarios, image: &str) -> Output {
        let mut command = self.with(scenarios.lab_run());
        command.args(["--image", image]).output().unwrap()
    }
}

/// `ipxe-chainload` with one machine that is only simulated.
fn simulated() -> Scenarios {
    let scenarios = Scenarios::new();
    let copy = scenarios.copy("ipxe-chainload", "one");
    copy.quick("node1").edit_toml(|scenario| {
        scenario.insert("machines".into(), "simulated".into());
    });
    scenarios
}

fn is_refused(output: &Output, scenarios: &Scenarios, said: &[&str]) {
    let all = printed(output);
    assert_eq!(output.status.code(), Some(2), "{all}");
    for said in said {
        assert!(all.contains(said), "no `{said}` in:\n{all}");
    }
    assert!(
        !scenarios.artifacts().exists(),
        "a refused run leaves no artifacts"
    );
}

#[test]
fn an_image_of_ones_own_takes_the_place_of_the_one_that_the_scenario_names() {
    let (own, scenarios) = (Own::new("flatcar"), simulated());
    let fetched = own.images(&["fetch", "mine"]);
    assert!(fetched.status.success(), "{}", printed(&fetched));
    let verified = own.images(&["verify", "mine"]);
    assert!(verified.status.success(), "{}", printed(&verified));
    let output = own.run(&scenarios, "mine");
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert_eq!(
        scenarios.verdict("one@bios")["verdict"],
        "pass",
        "{}",
        printed(&output)
    );
    let latest = scenarios.artifacts().join("latest");
    let run: Value = serde_json::from_slice(&fs::read(latest.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["units"][0]["image"], "mine@7");
    // The kernel was asked for by the name that the spec has, and with Flatcar's options.
    let script =
        fs::read_to_string(latest.join("scenarios/one/data/specs/node1/spec.json")).unwrap();
    assert!(
        script.contains("flatcar.first_boot") && !script.contains("coreos.first_boot"),
        "{script}"
    );
}

#[test]
fn an_image_that_is_not_in_the_cache_is_refused_with_the_command_that_fetches_it() {
    let (own, scenarios) = (Own::new("flatcar"), simulated());
    let said = ["image not in the cache: `mine`", "lab images fetch mine"];
    is_refused(&own.run(&scenarios, "mine"), &scenarios, &said);
    let said = ["unknown image `mien`", "did you mean `mine`?"];
    is_refused(&own.run(&scenarios, "mien"), &scenarios, &said);
}

#[test]
fn an_image_whose_system_cannot_do_what_the_scenario_asks_for_is_refused() {
    let (own, scenarios) = (Own::new("fedora-coreos"), simulated());
    let fetched = own.images(&["fetch", "mine"]);
    assert!(fetched.status.success(), "{}", printed(&fetched));
    let said = [
        "`cloud-config-url",
        "mine@7",
        "Fedora CoreOS does not support cloud-config",
    ];
    is_refused(&own.run(&scenarios, "mine"), &scenarios, &said);
}

#[test]
fn a_mistake_in_ones_own_catalog_is_told_with_file_line_and_column() {
    let own = Own::new("flatcra");
    let output = own.images(&["list"]);
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(2), "{all}");
    for said in [
        "images.toml:2:10",
        "unknown value `flatcra`",
        "did you mean",
        "`flatcar`",
    ] {
        assert!(all.contains(said), "no `{said}` in:\n{all}");
    }
}

#[test]
fn a_file_that_is_not_as_its_hash_says_is_no_success_and_is_cleared_with_what_nobody_has() {
    let own = Own::new("flatcar");
    let kernel = own.folder.path().join("flatcar_production_pxe.vmlinuz");
    fs::write(&kernel, "another").unwrap();
    let output = own.images(&["fetch", "mine"]);
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(100), "{all}");
    assert!(all.contains("(SHA-256 mismatch: "), "{all}");
    let output = own.images(&["gc"]);
    assert!(output.status.success(), "{}", printed(&output));
    let objects = own.folder.path().join("cache/images/store/sha256");
    let left = fs::read_dir(objects).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the initrd was good, and belongs to no image");
}
