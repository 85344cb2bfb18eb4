//! Adaptation of one scenario to images of several families: the names under which their files are served, and
//! the spelling of a spec's kernel options, which are written for CoreOS. Pure.
//!
//! CoreOS: the origin documents (`coreos.autologin`, `coreos.first_boot`, `coreos.config.url`,
//! `cloud-config-url`). Flatcar: <https://www.flatcar.org/docs/latest/migrating-from-coreos/>. Fedora CoreOS:
//! "Running Fedora CoreOS directly from RAM" (coreos/fedora-coreos-docs, live-booting.adoc). cloud-init: its NoCloud data
//! source takes its seed from `ds=nocloud-net;s=URL`, which no option of CoreOS can be translated to.

use crate::{Family, Role};
use crate::{INITRD_FILE, KERNEL_FILE};

/// Returns the name by which scenarios request the file with this role; none for a file that only a kernel
/// option names.
#[must_use]
pub fn served_as(role: Role) -> Option<&'static str> {
    match role {
        Role::Kernel => Some(KERNEL_FILE),
        Role::Initrd => Some(INITRD_FILE),
        Role::Rootfs => None,
    }
}

/// Returns the assets of an image: which name leads to which of its files. Every file has its own name, and
/// kernel and initrd have CoreOS's besides, so that a scenario's specs work unchanged.
#[must_use]
pub fn assets<'f>(files: impl IntoIterator<Item = (Role, &'f str)>) -> Vec<(String, String)> {
    let mut assets = Vec::new();
    for (role, name) in files {
        assets.push((name.to_owned(), name.to_owned()));
        if let Some(alias) = served_as(role).filter(|alias| *alias != name) {
            assets.push((alias.to_owned(), name.to_owned()));
        }
    }
    assets
}

/// Translation of a kernel option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spelled {
    /// The option in the family's spelling.
    As(String),
    /// Omitted: the system does this by default.
    NotNeeded,
    /// Omitted: the system does not support it.
    Unsupported(&'static str),
}

/// Translates `option` (`key` or `key=value`, as CoreOS has it) to the spelling of `family`.
#[must_use]
pub fn spell(family: Family, option: &str) -> Spelled {
    let (key, value) = option
        .split_once('=')
        .map_or((option, None), |(key, value)| (key, Some(value)));
    let with = |key: &str| {
        Spelled::As(match value {
            Some(value) => format!("{key}={value}"),
            None => key.to_owned(),
        })
    };
    match (family, key) {
        (Family::Flatcar, "coreos.autologin") => with("flatcar.autologin"),
        (Family::Flatcar, "coreos.first_boot") => with("flatcar.first_boot"),
        (Family::Flatcar, "coreos.oem.id") => with("flatcar.oem.id"),
        (Family::Flatcar | Family::FedoraCoreos, "coreos.config.url") => {
            with("ignition.config.url")
        }
        (Family::FedoraCoreos, "coreos.first_boot") => Spelled::As("ignition.firstboot".into()),
        (Family::FedoraCoreos, "coreos.oem.id") => with("ignition.platform.id"),
        (Family::FedoraCoreos, "coreos.autologin") => Spelled::NotNeeded,
        (Family::FedoraCoreos, "cloud-config-url") => {
            Spelled::Unsupported("Fedora CoreOS does not support cloud-config: use Ignition")
        }
        (
            Family::DebianInstaller,
            "cloud-config-url" | "coreos.autologin" | "coreos.config.url" | "coreos.first_boot"
            | "coreos.oem.id",
        ) => Spelled::Unsupported(
            "Debian's installer is configured by a preseed, not by CoreOS's options",
        ),
        (Family::CloudInit, "coreos.autologin") => with("lab.autologin"),
        (Family::CloudInit, "cloud-config-url") => Spelled::Unsupported(
            "cloud-init loads a seed, not a coreos-cloudinit config: use `ds=nocloud-net;s=URL/`",
        ),
        (Family::CloudInit, "coreos.first_boot" | "coreos.config.url" | "coreos.oem.id") => {
            Spelled::Unsupported("cloud-init does not read Ignition configs: use a NoCloud seed")
        }
        _ => Spelled::As(option.to_owned()),
    }
}

/// Returns the kernel options of an image besides those of a scenario's spec; `rootfs_url` is where its root
/// file system is served, if it has one.
#[must_use]
pub fn extra_options(of_entry: &[String], rootfs_url: Option<&str>) -> Vec<String> {
    let rootfs = rootfs_url.map(|url| format!("coreos.live.rootfs_url={url}"));
    of_entry.iter().cloned().chain(rootfs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: [&str; 5] = [
        "console=ttyS0",
        "coreos.autologin",
        "cloud-config-url=http://s/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}",
        "coreos.first_boot=1",
        "coreos.config.url=http://s/ignition?uuid=${uuid}",
    ];

    fn spelled(family: Family) -> Vec<String> {
        let options = SPEC
            .iter()
            .filter_map(|option| match spell(family, option) {
                Spelled::As(option) => Some(option),
                Spelled::NotNeeded | Spelled::Unsupported(_) => None,
            });
        options.collect()
    }

    #[test]
    fn coreos_and_the_stand_in_take_a_spec_as_it_is() {
        assert_eq!(spelled(Family::Coreos), SPEC);
        assert_eq!(spelled(Family::StandIn), SPEC);
    }

    #[test]
    fn flatcar_has_its_own_names_and_keeps_cloud_config() {
        assert_eq!(
            spelled(Family::Flatcar),
            [
                "console=ttyS0",
                "flatcar.autologin",
                "cloud-config-url=http://s/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}",
                "flatcar.first_boot=1",
                "ignition.config.url=http://s/ignition?uuid=${uuid}",
            ]
        );
        let autologin = spell(Family::Flatcar, "coreos.autologin=ttyS0");
        assert_eq!(autologin, Spelled::As("flatcar.autologin=ttyS0".into()));
    }

    #[test]
    fn fedora_coreos_has_ignitions_names_and_cannot_take_cloud_config() {
        assert_eq!(
            spelled(Family::FedoraCoreos),
            [
                "console=ttyS0",
                "ignition.firstboot",
                "ignition.config.url=http://s/ignition?uuid=${uuid}",
            ]
        );
        let cloud = spell(Family::FedoraCoreos, "cloud-config-url=x");
        assert!(matches!(cloud, Spelled::Unsupported(_)));
        let extra = extra_options(
            &["ignition.platform.id=metal".into()],
            Some("http://s/rootfs"),
        );
        assert_eq!(
            extra,
            [
                "ignition.platform.id=metal",
                "coreos.live.rootfs_url=http://s/rootfs"
            ]
        );
    }

    #[test]
    fn cloud_init_takes_neither_coreos_configs_nor_ignition() {
        assert_eq!(
            spell(Family::CloudInit, "coreos.autologin=ttyS0"),
            Spelled::As("lab.autologin=ttyS0".into())
        );
        for option in &SPEC[2..] {
            let spelled = spell(Family::CloudInit, option);
            assert!(matches!(spelled, Spelled::Unsupported(_)), "{option}");
        }
        let seed = "ds=nocloud-net;s=http://s/nocloud/mac=${net0/mac:hexhyp}/";
        assert_eq!(spell(Family::CloudInit, seed), Spelled::As(seed.to_owned()));
    }

    #[test]
    fn every_image_is_served_under_coreos_names_and_its_own() {
        let flatcar = assets([
            (Role::Kernel, "flatcar_production_pxe.vmlinuz"),
            (Role::Initrd, "flatcar_production_pxe_image.cpio.gz"),
            (Role::Rootfs, "rootfs.img"),
        ]);
        let pair = |name: &str, file: &str| (name.to_owned(), file.to_owned());
        assert!(flatcar.contains(&pair(
            "coreos_production_pxe.vmlinuz",
            "flatcar_production_pxe.vmlinuz"
        )));
        assert!(flatcar.contains(&pair(
            "flatcar_production_pxe.vmlinuz",
            "flatcar_production_pxe.vmlinuz"
        )));
        assert_eq!(flatcar.len(), 5);
        assert_eq!(assets([(Role::Kernel, KERNEL_FILE)]).len(), 1);
    }
}
