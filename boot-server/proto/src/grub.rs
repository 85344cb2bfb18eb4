//! GRUB: the names it looks for its configuration under, and its text: a menu entry for EFI and one for BIOS, as matchbox writes it.
//!
//! Files are named as the profile has them, with GRUB's own device where it has one
//! (`(http;boot.example:8080)/assets/…`).

use std::borrow::Cow;

use super::mac::MacAddr;
use super::pxelinux::ConfigName;

/// The last name that GRUB asks for.
const CONFIG: &str = "grub.cfg";

/// Under which name GRUB asks for its configuration; `None` for other files.
///
/// Before `grub.cfg` GRUB 2.06 asks for names like PXELINUX's behind `grub.cfg-`: the UUID, `01-` and
/// the MAC, the address in hex with ever fewer digits (`grub_net_search_config_file`). Its manual
/// leaves out the `01-`, so that people do too.
pub fn config_name(file: &str) -> Option<ConfigName> {
    let rest = file.strip_prefix(CONFIG)?;
    if rest.is_empty() {
        return Some(ConfigName::Default);
    }
    let rest = rest.strip_prefix('-')?;
    let mac = rest.parse::<MacAddr>().ok().map(ConfigName::Mac);
    let name = mac.or_else(|| ConfigName::parse(rest));
    name.filter(|name| *name != ConfigName::Default)
}

/// Returns the file that GRUB asks for last in the folder in which it asks for this one.
pub fn last_asked(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{CONFIG}"),
        None => CONFIG.to_owned(),
    }
}

/// Returns a kernel option as GRUB reads it: in single quotes if it has one of GRUB's metacharacters, e.g. the `&` of a
/// URL, which would end the command (GRUB's manual, "Writing full configuration files directly": quoting). An option
/// that already has quotes or a backslash is left as it is.
#[must_use]
pub fn quoted(option: &str) -> Cow<'_, str> {
    let has = |characters: &[char]| option.contains(characters);
    match has(&['{', '}', '|', '&', '$', ';', '<', '>']) && !has(&['\'', '"', '\\']) {
        true => Cow::Owned(format!("'{option}'")),
        false => Cow::Borrowed(option),
    }
}

/// Returns the configuration that boots this kernel. There is no `initrd` line where there is no initrd: GRUB
/// stops at one with an error.
pub fn render(kernel: &str, initrd: &[String], options: &[String]) -> String {
    let mut text = "default=0\nfallback=1\ntimeout=1\n".to_owned();
    for (firmware, linux, initrd_command) in [
        ("EFI", "linuxefi", "initrdefi"),
        ("BIOS", "linux", "initrd"),
    ] {
        text.push_str(&format!(
            "menuentry \"CoreOS ({firmware})\" {{\necho \"Loading kernel\"\n{linux} \"{kernel}\""
        ));
        for option in options {
            text.push_str(&format!(" {option}"));
        }
        text.push('\n');
        if !initrd.is_empty() {
            text.push_str(&format!("echo \"Loading initrd\"\n{initrd_command} "));
            for file in initrd {
                text.push_str(&format!(" \"{file}\""));
            }
            text.push('\n');
        }
        text.push_str("}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_grub_asks_for_are_read() {
        let uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b";
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
        for (name, expected) in [
            ("grub.cfg", Some(ConfigName::Default)),
            (
                &format!("grub.cfg-{uuid}"),
                Some(ConfigName::Uuid(uuid.parse().unwrap())),
            ),
            ("grub.cfg-01-52-54-00-00-00-01", Some(ConfigName::Mac(mac))),
            ("grub.cfg-52-54-00-00-00-01", Some(ConfigName::Mac(mac))),
            (
                "grub.cfg-0A000082",
                Some(ConfigName::Address([10, 0, 0, 130].into())),
            ),
            ("grub.cfg-0A00", Some(ConfigName::AddressPrefix)),
            ("grub.cfg-default", None),
            ("grub.cfg-", None),
            ("grub.cfg.bak", None),
            ("menu.cfg", None),
        ] {
            assert_eq!(config_name(name), expected, "{name}");
        }
        assert_eq!(last_asked("boot/grub/grub.cfg-0A"), "boot/grub/grub.cfg");
        assert_eq!(last_asked("grub.cfg-0A"), "grub.cfg");
    }

    #[test]
    fn there_is_an_entry_for_each_firmware() {
        let text = render("/k", &["/a".into(), "/b".into()], &["x=1".into()]);
        assert!(text.contains("(EFI)\" {\necho \"Loading kernel\"\nlinuxefi \"/k\" x=1\n"));
        assert!(
            text.ends_with("linux \"/k\" x=1\necho \"Loading initrd\"\ninitrd  \"/a\" \"/b\"\n}\n")
        );
    }

    #[test]
    fn without_an_initrd_there_is_no_line_for_it() {
        assert!(!render("/k", &[], &[]).contains("initrd"));
    }

    #[test]
    fn quoted_url_with_two_parameters_is_one_word() {
        for (option, expected) in [
            ("console=ttyS0", "console=ttyS0"),
            ("u=http://h/c?a=1&b=2", "'u=http://h/c?a=1&b=2'"),
            ("a=1;b", "'a=1;b'"),
            ("a=\"1 & 2\"", "a=\"1 & 2\""),
            ("a='&'", "a='&'"),
        ] {
            assert_eq!(quoted(option), expected);
        }
    }
}
