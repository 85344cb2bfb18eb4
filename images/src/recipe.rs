//! Recipes of the images that are built on this host (`images/stand-in/`, `images/cloud-init/`), compiled in so that an
//! installed `lab` has them. `images/common/` has the steps that are the same for all.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{ImageError, ImageKind};

/// Level of the build that reads a file: a change to it rebuilds that level, and those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Packages from the network.
    Base,
    /// The project's own files on top.
    Assembly,
}

/// File of the recipe.
#[derive(Debug)]
pub(crate) struct RecipeFile {
    pub(crate) path: &'static str,
    pub(crate) content: &'static str,
    pub(crate) level: Level,
}

/// Recipe of an image.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Name of the image in the catalog.
    pub(crate) name: &'static str,
    /// Kind of the image in its manifest.
    pub(crate) kind: ImageKind,
    /// All files.
    pub(crate) files: &'static [RecipeFile],
}

macro_rules! files {
    ($($level:ident of $folder:literal: $($path:literal)*;)*) => {
        &[
            $($(RecipeFile {
                path: $path,
                content: include_str!(concat!("../", $folder, "/", $path)),
                level: Level::$level,
            },)*)*
        ]
    };
}

/// Recipe of the stand-in.
pub(crate) const STAND_IN: Recipe = Recipe {
    name: "stand-in",
    kind: ImageKind::StandIn,
    files: files! {
        Base of "common":
            "base.sh"
            "kernel.sh"
            "strip.sh"
        ;
        Base of "stand-in":
            "customize.sh"
            "modules"
            "packages"
            "strip"
        ;
        Assembly of "common":
            "pack.sh"
        ;
        Assembly of "stand-in":
            "assemble.sh"
            "initramfs/init"
            "initramfs/kargs"
            "initramfs/setfiles"
            "initramfs/udhcpc"
            "rootfs/etc/inputrc"
            "rootfs/etc/selinux/config"
            "rootfs/etc/sudoers.d/core"
            "rootfs/usr/bin/update-ssh-keys"
            "rootfs/usr/lib/stand-in/console-login"
            "rootfs/usr/lib/stand-in/lease"
            "rootfs/usr/lib/stand-in/placeholder"
            "rootfs/usr/lib/systemd/journald.conf.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/network/zz-default.network"
            "rootfs/usr/lib/systemd/system-preset/99-stand-in.preset"
            "rootfs/usr/lib/systemd/system.conf.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/system/cloud-config.service"
            "rootfs/usr/lib/systemd/system/console-login.service"
            "rootfs/usr/lib/systemd/system/docker.service"
            "rootfs/usr/lib/systemd/system/etcd.service"
            "rootfs/usr/lib/systemd/system/etcd2.service"
            "rootfs/usr/lib/systemd/system/flanneld.service"
            "rootfs/usr/lib/systemd/system/fleet.service"
            "rootfs/usr/lib/systemd/system/journal-forward.service"
            "rootfs/usr/lib/systemd/system/lease.service"
            "rootfs/usr/lib/systemd/system/locksmithd.service"
            "rootfs/usr/lib/systemd/system/oem-cloudinit.service"
            "rootfs/usr/lib/systemd/system/sshd-keygen.service"
            "rootfs/usr/lib/systemd/system/sshd.service"
            "rootfs/usr/lib/systemd/system/sshd.socket"
            "rootfs/usr/lib/systemd/system/sshd@.service"
            "rootfs/usr/lib/systemd/system/systemd-modules-load.service.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/system/systemd-networkd.service.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/system/systemd-sysctl.service.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/system/systemd-tmpfiles-setup.service.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/system/systemd-udev-trigger.service.d/10-stand-in.conf"
            "rootfs/usr/lib/systemd/system/update-engine.service"
            "rootfs/usr/lib/systemd/system/user-config.target"
            "rootfs/usr/share/coreos/update.conf"
            "rootfs/usr/share/ssh/sshd_config"
            "units"
        ;
    },
};

/// Recipe of the image with Debian's cloud-init.
pub(crate) const DEBIAN_CLOUD_INIT: Recipe = Recipe {
    name: "debian-cloud-init",
    kind: ImageKind::DebianCloudInit,
    files: files! {
        Base of "common":
            "base.sh"
            "kernel.sh"
            "strip.sh"
        ;
        Base of "cloud-init":
            "customize.sh"
            "modules"
            "packages"
            "strip"
        ;
        Assembly of "common":
            "pack.sh"
        ;
        Assembly of "cloud-init":
            "assemble.sh"
            "initramfs/init"
            "rootfs/etc/cloud/cloud.cfg.d/99_lab.cfg"
            "rootfs/root/.bash_profile"
            "rootfs/root/.inputrc"
            "rootfs/usr/lib/lab/login"
            "rootfs/usr/lib/systemd/journald.conf.d/10-lab.conf"
            "rootfs/usr/lib/systemd/system.conf.d/10-lab.conf"
            "rootfs/usr/lib/systemd/system/lab-login.service"
        ;
    },
};

impl Recipe {
    /// Writes the recipe into `folder`; scripts (`#!`) come out executable.
    ///
    /// # Errors
    /// [`ImageError::File`].
    pub(crate) fn unpack(&self, folder: &Path) -> Result<(), ImageError> {
        for file in self.files {
            let path = folder.join(file.path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(ImageError::file(parent))?;
            }
            std::fs::write(&path, file.content).map_err(ImageError::file(&path))?;
            let mode = if file.content.starts_with("#!") {
                0o755
            } else {
                0o644
            };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
                .map_err(ImageError::file(&path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                on_disk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn every_file_of_a_recipe_is_compiled_in() {
        for (recipe, own) in [(&STAND_IN, "stand-in"), (&DEBIAN_CLOUD_INIT, "cloud-init")] {
            let mut found = Vec::new();
            for folder in ["common", own] {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
                on_disk(&root, &root, &mut found);
            }
            found.sort();
            let mut listed: Vec<&str> = recipe.files.iter().map(|file| file.path).collect();
            listed.sort_unstable();
            assert_eq!(listed, found, "{}", recipe.name);
        }
    }

    #[test]
    fn scripts_come_out_executable_and_data_do_not() {
        let folder = tempfile::tempdir().unwrap();
        STAND_IN.unpack(folder.path()).unwrap();
        let mode = |path: &str| {
            std::fs::metadata(folder.path().join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode("initramfs/init"), 0o755);
        assert_eq!(mode("packages"), 0o644);
    }
}
