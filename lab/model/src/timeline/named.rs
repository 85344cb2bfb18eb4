//! Names of files as machines request them.

/// Requested TFTP file name without leading slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named(String);

impl Named {
    pub(super) fn of(file: &str) -> Named {
        Named(file.trim_start_matches(['/', '\\']).to_owned())
    }

    /// Returns the machine in the name of a boot loader's menu: PXELINUX tries `pxelinux.cfg/UUID` and
    /// `pxelinux.cfg/01-MAC`, GRUB `grub.cfg-01-MAC` (01 is the hardware type of Ethernet).
    pub(super) fn machine(&self) -> Option<&str> {
        let menu = match self.0.rsplit_once('/') {
            Some(("pxelinux.cfg", menu)) => menu,
            Some((_, file)) => file.strip_prefix("grub.cfg-")?,
            None => self.0.strip_prefix("grub.cfg-")?,
        };
        Some(menu.strip_prefix("01-").unwrap_or(menu))
    }
}
