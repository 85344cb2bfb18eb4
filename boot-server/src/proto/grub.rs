//! GRUB configuration text: a menu entry for EFI and one for BIOS, as matchbox writes it.
//!
//! Files are named as the profile has them, with GRUB's own device where it has one
//! (`(http;boot.example:8080)/assets/…`).

/// The configuration that boots this kernel. There is no `initrd` line where there is no initrd:
/// GRUB stops at one with an error.
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
}
