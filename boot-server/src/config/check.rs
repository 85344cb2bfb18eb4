//! Checks of a configuration that need neither network nor files: what each value may be.

use super::{BiosLoader, Config};

/// A value that cannot be, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Keys from the top to the value; a number counts in a list.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl ConfigProblem {
    pub(super) fn new(
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigProblem {
        ConfigProblem {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            message: message.into(),
            help: help.into(),
        }
    }
}

impl Config {
    /// Everything that is wrong in it.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let packets = self.dhcp.is_some()
            || self.proxy_dhcp.is_some()
            || self.pixiecore.is_some()
            || self.tftp.is_some()
            || self.router_advertisement;
        if packets && self.interface.is_none() {
            problems.push(ConfigProblem::new(
                &[],
                "`interface` is missing",
                "name the network interface that machines are reached by: interface = \"virbr0\"",
            ));
        }
        if !packets && self.http.is_none() {
            problems.push(ConfigProblem::new(
                &[],
                "nothing to do",
                "add at least one of [dhcp], [proxy_dhcp], [pixiecore], [tftp], [http]",
            ));
        }
        let roles = [
            ("dhcp", self.dhcp.is_some()),
            ("proxy_dhcp", self.proxy_dhcp.is_some()),
            ("pixiecore", self.pixiecore.is_some()),
        ];
        let set: Vec<&str> = roles
            .iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| *name)
            .collect();
        if let [first, second, ..] = set.as_slice() {
            problems.push(ConfigProblem::new(
                &[second],
                format!("[{first}] and [{second}] exclude each other"),
                "one server answers port 67 in one way: keep one of them",
            ));
        }
        let gives_boot_files = self.dhcp.is_some() || self.proxy_dhcp.is_some();
        let has_script = self.http.is_some() || self.boot.script_url.is_some();
        if gives_boot_files && self.boot.bios == BiosLoader::Ipxe && !has_script {
            problems.push(ConfigProblem::new(
                &["boot"],
                "iPXE would have no script to boot",
                "add [http], or boot.script_url = \"http://…/boot.ipxe\"",
            ));
        }
        if let Some(dhcp) = &self.dhcp {
            dhcp.check(&mut problems);
        }
        problems
    }
}
