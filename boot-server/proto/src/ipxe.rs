//! iPXE script text: the script that sends a machine's attributes back, and the one that boots it.
//!
//! `${…}` is iPXE's own and passes through; iPXE fills it in.

/// Program whose script text is reproduced to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// bootcfg 0.2.0: the MAC of `net0`, and a space at the end of `initrd` lines.
    Bootcfg,
    /// matchbox: the MAC of the interface that booted, and since 0.11 the architecture of iPXE's build.
    Matchbox,
}

/// Platform that a script runs on; it decides if the kernel must be told its initrds by name.
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

/// Returns the first script: comes back for `ipxe` beside wherever it was fetched from, with the machine's
/// attributes as labels, followed by the query that this script itself was asked with.
///
/// So `/boot.ipxe?platform=efi` adds a label of one's own; without a query the text is the
/// reference's. Of two labels of one name the first counts, so that ours gives way to the query's.
pub fn boot_script(query: &str, dialect: Dialect) -> String {
    let mac = match dialect {
        Dialect::Bootcfg => "${net0/mac:hexhyp}",
        Dialect::Matchbox => "${mac:hexhyp}",
    };
    let has_arch = query
        .split('&')
        .any(|pair| pair.split('=').next() == Some("arch"));
    let arch = match dialect {
        Dialect::Matchbox if !has_arch => "&arch=${buildarch:uristring}",
        Dialect::Matchbox | Dialect::Bootcfg => "",
    };
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("&{query}"),
    };
    format!(
        "#!ipxe\nchain ipxe?uuid=${{uuid}}&mac={mac}&domain=${{domain}}&hostname=${{hostname}}\
         &serial=${{serial}}{arch}{query}\n"
    )
}

/// Returns the script that fetches kernel and initrds and boots them.
///
/// bootcfg 0.2.0 writes one `initrd` line whatever the number of initrds. iPXE (`imgfetch` in
/// `image_cmd.c`) takes one URI and everything after it as arguments, and fails a line without a
/// URI; so there is one line for each here, and none for none. With one initrd both are the same to
/// the byte, down to the space at the end of the line.
///
/// An initrd may be written with iPXE's own options before it (`--name main http://…`).
pub fn render(
    kernel: &str,
    initrd: &[String],
    options: &[String],
    platform: Platform,
    dialect: Dialect,
) -> String {
    let told = options.iter().any(|option| option.starts_with("initrd="));
    let naming = platform == Platform::Efi && !told;
    let mut script = format!("#!ipxe\nkernel {kernel}");
    let mut lines = String::new();
    for (index, written) in initrd.iter().enumerate() {
        lines.push_str("initrd ");
        if naming {
            let own = own_name(written);
            let name = own.map_or_else(|| format!("initrd{index}"), str::to_owned);
            script.push_str(&format!(" initrd={name}"));
            if own.is_none() {
                lines.push_str(&format!("--name {name} "));
            }
        }
        lines.push_str(written);
        lines.push_str(match dialect {
            Dialect::Bootcfg => " \n",
            Dialect::Matchbox => "\n",
        });
    }
    for option in options {
        script.push(' ');
        script.push_str(option);
    }
    script.push('\n');
    script.push_str(&lines);
    script.push_str("boot\n");
    script
}

/// Returns the name that an initrd is written with.
fn own_name(written: &str) -> Option<&str> {
    let mut words = written.split_whitespace();
    words.find(|word| matches!(*word, "--name" | "-n"))?;
    words.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_initrd_has_a_line_of_its_own() {
        let options = ["a=x=${uuid}&y".into(), "flag".into()];
        let initrd = ["/a".into(), "/b".into()];
        let render = |dialect| render("/k", &initrd, &options, Platform::Unknown, dialect);
        assert_eq!(
            render(Dialect::Bootcfg),
            "#!ipxe\nkernel /k a=x=${uuid}&y flag\ninitrd /a \ninitrd /b \nboot\n"
        );
        assert_eq!(
            render(Dialect::Matchbox),
            "#!ipxe\nkernel /k a=x=${uuid}&y flag\ninitrd /a\ninitrd /b\nboot\n"
        );
    }

    #[test]
    fn a_spec_without_initrd_has_no_initrd_line() {
        assert_eq!(
            render("/k", &[], &[], Platform::Efi, Dialect::Bootcfg),
            "#!ipxe\nkernel /k\nboot\n"
        );
    }

    #[test]
    fn an_efi_kernel_is_told_its_initrds_by_name() {
        let initrd = ["/a".into(), "/b".into()];
        let options = ["quiet".into()];
        let script = render("/k", &initrd, &options, Platform::Efi, Dialect::Bootcfg);
        assert_eq!(
            script,
            "#!ipxe\nkernel /k initrd=initrd0 initrd=initrd1 quiet\ninitrd --name initrd0 /a \n\
             initrd --name initrd1 /b \nboot\n"
        );
    }

    #[test]
    fn boot_script_of_matchbox_sends_arch_unless_the_query_has_it() {
        let script = |query| boot_script(query, Dialect::Matchbox);
        assert!(script("").ends_with("&serial=${serial}&arch=${buildarch:uristring}\n"));
        assert!(script("a=b").ends_with("&arch=${buildarch:uristring}&a=b\n"));
        assert!(script("march=b").ends_with("&arch=${buildarch:uristring}&march=b\n"));
        assert!(script("a=b&arch=arm64").ends_with("&serial=${serial}&a=b&arch=arm64\n"));
        assert!(!boot_script("", Dialect::Bootcfg).contains("arch"));
    }

    #[test]
    fn the_first_scripts_own_query_follows_the_machines_attributes() {
        assert!(boot_script("", Dialect::Bootcfg).ends_with("&serial=${serial}\n"));
        assert!(
            boot_script("platform=efi", Dialect::Bootcfg)
                .ends_with("&serial=${serial}&platform=efi\n")
        );
    }

    #[test]
    fn names_that_a_profile_gives_its_initrds_stay() {
        let initrd = ["--name main http://h/i".into(), "/b".into()];
        let render =
            |options: &[String]| render("/k", &initrd, options, Platform::Efi, Dialect::Matchbox);
        assert_eq!(
            render(&[]),
            "#!ipxe\nkernel /k initrd=main initrd=initrd1\ninitrd --name main http://h/i\n\
             initrd --name initrd1 /b\nboot\n"
        );
        assert_eq!(
            render(&["initrd=main".into()]),
            "#!ipxe\nkernel /k initrd=main\ninitrd --name main http://h/i\ninitrd /b\nboot\n"
        );
    }
}
