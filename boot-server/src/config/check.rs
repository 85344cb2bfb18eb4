//! Checks of a configuration that need neither network nor files: what each value may be.

use boot_server_policy::{BiosLoader, SHIM};

use crate::catalog::data_dir::Layout;

use super::http::HttpConfig;
use super::problem::ConfigProblem;
use super::root::Config;

impl Config {
    /// Everything that is wrong in it.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let packets = self.needs_interface();
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
                "no service configured",
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
                format!("conflict: [{first}] and [{second}] are mutually exclusive"),
                "a server answers port 67 in one mode: keep one section",
            ));
        }
        let gives_boot_files = self.dhcp.is_some() || self.proxy_dhcp.is_some();
        let has_script = self.http.is_some() || self.boot.script_url.is_some();
        if gives_boot_files && self.boot.bios == BiosLoader::Ipxe && !has_script {
            problems.push(ConfigProblem::new(
                &["boot"],
                "missing boot script for iPXE",
                "add [http], or boot.script_url = \"http://…/boot.ipxe\"",
            ));
        }
        if let Some(pixiecore) = &self.pixiecore {
            let (message, help) = match (pixiecore.api.is_empty(), &pixiecore.boot) {
                (true, None) => (
                    "missing boot source for Pixiecore mode",
                    "add api = \"http://…\", or [pixiecore.boot]",
                ),
                (false, Some(_)) => (
                    "conflict: `api` and [pixiecore.boot] are mutually exclusive",
                    "keep one of them",
                ),
                _ => ("", ""),
            };
            if !message.is_empty() {
                problems.push(ConfigProblem::new(&["pixiecore"], message, help));
            }
        }
        if self.pixiecore.is_some() && self.boot.efi_x64_nbp == SHIM {
            problems.push(ConfigProblem::new(
                &["boot", "efi_x64_nbp"],
                "`shim` is not available in Pixiecore mode, which boots by iPXE scripts only",
                "use [proxy_dhcp] instead of [pixiecore], or the file name of an iPXE",
            ));
        }
        if let Some(http) = &self.http {
            http.check(&mut problems);
        }
        if self.rpc.is_some() {
            let (message, help) = match self.http.as_ref().map(|http| http.layout) {
                None => (
                    "[rpc] without [http]",
                    "add [http] with the data directory that gRPC clients change",
                ),
                Some(Some(Layout::Bootcfg)) => (
                    "[rpc] with a data directory of bootcfg",
                    "gRPC clients change a directory of matchbox: migrate it, or remove [rpc]",
                ),
                Some(_) => ("", ""),
            };
            if !message.is_empty() {
                problems.push(ConfigProblem::new(&["rpc"], message, help));
            }
        }
        if let Some(dhcp) = &self.dhcp {
            dhcp.check(&mut problems);
        }
        problems
    }
}

impl HttpConfig {
    fn check(&self, problems: &mut Vec<ConfigProblem>) {
        let missing = match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => Some(("tls_certificate", "tls_key")),
            (None, Some(_)) => Some(("tls_key", "tls_certificate")),
            _ => None,
        };
        if let Some((there, missing)) = missing {
            problems.push(ConfigProblem::new(
                &["http", there],
                format!("`{there}` without `{missing}`"),
                format!("{missing} = \"FILE.pem\", or neither for plain HTTP"),
            ));
        }
        if self.max_groups_lost.is_some_and(|percent| percent > 100) {
            problems.push(ConfigProblem::new(
                &["http", "max_groups_lost"],
                "more than all of the groups",
                "a share in percent, e.g. 50",
            ));
        }
        for (key, limit) in [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
        ] {
            if limit == 0 {
                let message = "no client could connect";
                problems.push(ConfigProblem::new(&["http", key], message, "at least 1"));
            }
        }
    }
}
