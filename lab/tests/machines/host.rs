//! A host with a libvirt of its own: the inside of a cell that was kept, which has its own network, processes and
//! mounts.

use std::process::{Command, Output};

use crate::support::{Scenarios, printed};

/// A cell that stays; inside it is a host with a libvirt of its own.
pub(crate) struct Host {
    holder: String,
    init: String,
    pub(crate) scenarios: Scenarios,
}

impl Host {
    /// Starts it.
    pub(crate) fn start() -> Host {
        let scenarios = Scenarios::new();
        let mut simulated = scenarios.copy("ipxe-chainload", "host");
        // The scenario's own subnet is for labs on this host.
        for file in [
            "scenario.toml",
            "data/specs/node1/spec.json",
            "data/specs/node2/spec.json",
            "data/specs/default/spec.json",
        ] {
            simulated = simulated.replace(file, "192.168.92.", "192.168.89.");
        }
        simulated.replace(
            "scenario.toml",
            "firmware = [\"bios\", \"uefi\", \"uefi-http\"]",
            "firmware = [\"bios\"]\nmachines = \"simulated\"",
        );
        let kept = scenarios
            .lab_run()
            .args(["host", "--keep", "always", "--quiet"])
            .output()
            .unwrap();
        let said = printed(&kept);
        let number_after = |words: &str| -> String {
            let (_, rest) = said.split_once(words).unwrap_or_else(|| panic!("{said}"));
            let digits = rest.chars().take_while(char::is_ascii_digit);
            digits.collect()
        };
        Host {
            holder: number_after("keeps running (processes "),
            init: number_after("nsenter --target "),
            scenarios,
        }
    }

    /// A program on it.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--all", "--", program]);
        command.args(arguments).env("NO_COLOR", "1");
        command.output().unwrap()
    }

    /// Its first process.
    pub(crate) fn init(&self) -> &str {
        &self.init
    }

    /// `lab` on it.
    pub(crate) fn lab(&self, arguments: &[&str]) -> Output {
        let folder = self.scenarios.folder();
        let folder = ["--scenarios", folder.to_str().unwrap()];
        let lab = env!("CARGO_BIN_EXE_lab");
        self.command(lab, &[&folder[..], arguments].concat())
    }

    /// Names of what libvirt has.
    pub(crate) fn has(&self, what: &str) -> Vec<String> {
        let listed = self.command("virsh", &["-q", what, "--name"]);
        assert!(listed.status.success(), "{}", printed(&listed));
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.holder]).output();
    }
}
