//! iPXE script text: the script that sends a machine's attributes back, and the one that boots it.
//!
//! `${…}` is iPXE's own and passes through; iPXE fills it in.

use std::collections::BTreeMap;

/// The first script: comes back for `/ipxe` beside wherever it was fetched from, with the machine's
/// attributes as labels.
pub const BOOT_SCRIPT: &str = "#!ipxe\n\
    chain ipxe?uuid=${uuid}&mac=${net0/mac:hexhyp}&domain=${domain}&hostname=${hostname}&serial=${serial}\n";

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
pub fn render(kernel: &str, initrd: &[String], cmdline: &BTreeMap<String, String>) -> String {
    let mut script = format!("#!ipxe\nkernel {kernel}");
    if !cmdline.is_empty() {
        script.push(' ');
        script.push_str(&render_cmdline(cmdline));
    }
    script.push('\n');
    for uri in initrd {
        script.push_str(&format!("initrd {uri} \n"));
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
        let script = render("/k", &["/a".into(), "/b".into()], &cmdline.into());
        assert_eq!(
            script,
            "#!ipxe\nkernel /k a=x=${uuid}&y flag z=1\ninitrd /a \ninitrd /b \nboot\n"
        );
    }

    #[test]
    fn a_spec_without_initrd_has_no_initrd_line() {
        assert_eq!(
            render("/k", &[], &BTreeMap::new()),
            "#!ipxe\nkernel /k\nboot\n"
        );
    }
}
