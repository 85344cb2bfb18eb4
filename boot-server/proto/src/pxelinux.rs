//! PXELINUX: the names it looks for its configuration under, and the configuration's text.

use std::fmt::Write;
use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::mac::MacAddr;

/// The folder of configurations, beside the NBP.
pub const CONFIG_FOLDER: &str = "pxelinux.cfg/";

/// Under which name PXELINUX asks. It asks for the names in this order, those of the address with
/// ever fewer digits, and takes the first that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigName {
    /// The machine's UUID.
    Uuid(Uuid),
    /// `01-` and its MAC with hyphens.
    Mac(MacAddr),
    /// Client address as eight hex digits.
    Address(Ipv4Addr),
    /// The first digits of an address: a network's machines.
    AddressPrefix,
    /// The last name.
    Default,
}

impl ConfigName {
    /// Reads the part of a path behind `pxelinux.cfg/`; `None` for names that PXELINUX does not use.
    pub fn parse(name: &str) -> Option<ConfigName> {
        if name == "default" {
            return Some(ConfigName::Default);
        }
        if let Some(mac) = name.strip_prefix("01-") {
            return mac.parse().ok().map(ConfigName::Mac);
        }
        if name.len() == 36
            && let Ok(uuid) = Uuid::try_parse(name)
        {
            return Some(ConfigName::Uuid(uuid));
        }
        let is_hex = name.bytes().all(|byte| byte.is_ascii_hexdigit());
        match name.len() {
            8 if is_hex => {
                let bits = u32::from_str_radix(name, 16).ok()?;
                Some(ConfigName::Address(Ipv4Addr::from_bits(bits)))
            }
            1..8 if is_hex => Some(ConfigName::AddressPrefix),
            _ => None,
        }
    }
}

/// A configuration of one entry that boots without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Path of the kernel on the TFTP server.
    pub kernel: String,
    /// Paths of the initrds, in order.
    pub initrds: Vec<String>,
    /// The kernel's options.
    pub options: Vec<String>,
}

/// Reasons that a configuration cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A value has a character that would end its line or its list.
    #[error("`{0}` cannot be written into a PXELINUX configuration")]
    Character(String),
}

impl Config {
    /// Returns the text of the configuration.
    ///
    /// # Errors
    /// [`RenderError`]: a value with a line break, or a file name with a comma or a space.
    pub fn render(&self) -> Result<String, RenderError> {
        let breaks_line = |text: &str| text.contains(['\n', '\r', '\0']);
        for file in self.initrds.iter().chain([&self.kernel]) {
            if breaks_line(file) || file.contains([',', ' ', '\t']) {
                return Err(RenderError::Character(file.clone()));
            }
        }
        if let Some(option) = self.options.iter().find(|option| breaks_line(option)) {
            return Err(RenderError::Character(option.clone()));
        }
        let mut text = String::from("DEFAULT boot\nPROMPT 0\nTIMEOUT 0\n\nLABEL boot\n");
        let _ = writeln!(text, "  KERNEL {}", self.kernel);
        if !self.initrds.is_empty() {
            let _ = writeln!(text, "  INITRD {}", self.initrds.join(","));
        }
        if !self.options.is_empty() {
            let _ = writeln!(text, "  APPEND {}", self.options.join(" "));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_pxelinux_asks_for_are_read() {
        let uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b";
        let address = Ipv4Addr::new(192, 168, 122, 77);
        for (name, expected) in [
            (uuid, Some(ConfigName::Uuid(uuid.parse().unwrap()))),
            (
                "01-52-54-00-00-00-01",
                Some(ConfigName::Mac(MacAddr([0x52, 0x54, 0, 0, 0, 1]))),
            ),
            ("C0A87A4D", Some(ConfigName::Address(address))),
            ("C0A87A4", Some(ConfigName::AddressPrefix)),
            ("C", Some(ConfigName::AddressPrefix)),
            ("default", Some(ConfigName::Default)),
            ("06-52-54-00-00-00-01", None),
            ("", None),
            ("C0A87A4D0", None),
            ("menu.cfg", None),
        ] {
            assert_eq!(ConfigName::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn a_configuration_boots_its_one_entry_at_once() {
        let config = Config {
            kernel: "assets/vmlinuz".into(),
            initrds: vec!["assets/a.gz".into(), "assets/b.gz".into()],
            options: vec!["console=ttyS0".into(), "quiet".into()],
        };
        assert_eq!(
            config.render().unwrap(),
            "DEFAULT boot\nPROMPT 0\nTIMEOUT 0\n\nLABEL boot\n  KERNEL assets/vmlinuz\n  \
             INITRD assets/a.gz,assets/b.gz\n  APPEND console=ttyS0 quiet\n"
        );
    }

    #[test]
    fn values_that_would_write_lines_of_their_own_are_refused() {
        let config = |kernel: &str, option: &str| Config {
            kernel: kernel.into(),
            initrds: vec![],
            options: vec![option.into()],
        };
        assert!(config("k", "a\nINITRD evil").render().is_err());
        assert!(config("k b", "a").render().is_err());
        assert!(config("k,b", "a").render().is_err());
        assert!(config("k", "a b").render().is_ok());
    }
}
