//! iPXE script text: the script that sends a machine's attributes back, and the one that boots it.
//!
//! `${…}` is iPXE's own and passes through; iPXE fills it in.

use std::collections::BTreeMap;

/// The chain line of the first script, up to where labels of its own may follow.
const CHAIN: &str = "chain ipxe?uuid=${uuid}&mac=${net0/mac:hexhyp}&domain=${domain}\
                     &hostname=${hostname}&serial=${serial}";

/// Where a script is to run; it decides whether the kernel must be told its initrds by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Platform {
    /// BIOS, or not known.
    #[default]
    Unknown,
    /// UEFI: iPXE of before March 2021 (such as Debian 12's) gives the kernel no initrd but by
    /// `initrd=NAME`. Later ones do, and the option does no harm there.
    Efi,
}

impl Platform {
    /// From the label `platform`, which is iPXE's setting of that name: `efi` or `pcbios`.
    pub fn from_label(value: &str) -> Platform {
        match value {
            "efi" => Platform::Efi,
            _ => Platform::Unknown,
        }
    }
}

/// The first script: comes back for `ipxe` beside wherever it was fetched from, with the machine's
/// attributes as labels, followed by the query that this script itself was asked with.
///
/// So `/boot.ipxe?platform=efi` adds a label of one's own; without a query the text is the
/// reference's.
pub fn boot_script(query: &str) -> String {
    match query.is_empty() {
        true => format!("#!ipxe\n{CHAIN}\n"),
        false => format!("#!ipxe\n{CHAIN}&{query}\n"),
    }
}

/// Kernel options in one line: `key=value`, a bare `key` where the value is empty.
pub fn render_cmdline(cmdline: &BTreeMap<String, String>) -> String {
    let options: Vec<String> = cmdline
        .iter()
        .map(|(key, value)| match value.is_empty() {
            true => key.clone(),
            false => format!("{key}={value}"),
        })
        .collect();
    options.join(" ")
}

/// The script that fetches kernel and initrds and boots them.
///
/// bootcfg 0.2.0 writes one `initrd` line whatever the number of initrds. iPXE (`imgfetch` in
/// `image_cmd.c`) takes one URI and everything after it as arguments, and fails a line without a
/// URI; so there is one line for each here, and none for none. With one initrd both are the same to
/// the byte, down to the space at the end of the line.
pub fn render(
    kernel: &str,
    initrd: &[String],
    cmdline: &BTreeMap<String, String>,
    platform: Platform,
) -> String {
    let mut script = format!("#!ipxe\nkernel {kernel}");
    if platform == Platform::Efi {
        for index in 0..initrd.len() {
            script.push_str(&format!(" initrd=initrd{index}"));
        }
    }
    if !cmdline.is_empty() {
        script.push(' ');
        script.push_str(&render_cmdline(cmdline));
    }
    script.push('\n');
    for (index, uri) in initrd.iter().enumerate() {
        let name = match platform {
            Platform::Efi => format!("--name initrd{index} "),
            Platform::Unknown => String::new(),
        };
        script.push_str(&format!("initrd {name}{uri} \n"));
    }
    script.push_str("boot\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_initrd_has_a_line_of_its_own() {
        let cmdline = [("z", "1"), ("a", "x=${uuid}&y"), ("flag", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let script = render(
            "/k",
            &["/a".into(), "/b".into()],
            &cmdline.into(),
            Platform::Unknown,
        );
        assert_eq!(
            script,
            "#!ipxe\nkernel /k a=x=${uuid}&y flag z=1\ninitrd /a \ninitrd /b \nboot\n"
        );
    }

    #[test]
    fn a_spec_without_initrd_has_no_initrd_line() {
        assert_eq!(
            render("/k", &[], &BTreeMap::new(), Platform::Efi),
            "#!ipxe\nkernel /k\nboot\n"
        );
    }

    #[test]
    fn an_efi_kernel_is_told_its_initrds_by_name() {
        let cmdline = [("quiet".to_owned(), String::new())].into();
        let script = render("/k", &["/a".into(), "/b".into()], &cmdline, Platform::Efi);
        assert_eq!(
            script,
            "#!ipxe\nkernel /k initrd=initrd0 initrd=initrd1 quiet\ninitrd --name initrd0 /a \n\
             initrd --name initrd1 /b \nboot\n"
        );
    }

    #[test]
    fn the_first_scripts_own_query_follows_the_machines_attributes() {
        assert!(boot_script("").ends_with("&serial=${serial}\n"));
        assert!(boot_script("platform=efi").ends_with("&serial=${serial}&platform=efi\n"));
    }
}
