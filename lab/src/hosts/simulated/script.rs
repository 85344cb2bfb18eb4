//! iPXE scripts, limited to the commands that boot servers use: `dhcp`, `chain`, `kernel`, `initrd`, `boot`,
//! `autoboot`, chained by `&&` and `||`, with `${…}` replaced. Pure.

use std::collections::BTreeMap;

/// Command of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Run another script or program.
    Chain(String),
    /// Load the kernel.
    Kernel(String),
    /// Load an initrd.
    Initrd(String),
    /// Start the kernel.
    Boot,
    /// Configure the network, or continue as without a script: both have been done already.
    Skip,
    /// Command that simulated machines do not support.
    Unknown(String),
}

/// Parses the commands of a script; `None` if the text is not an iPXE script.
pub(super) fn parse(text: &str, settings: &BTreeMap<&str, String>) -> Option<Vec<Command>> {
    let mut lines = text.lines();
    if !lines.next()?.starts_with("#!ipxe") {
        return None;
    }
    let commands = lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        // Commands after `||` run when the others failed; the boot has failed by then.
        .filter_map(|line| line.split(" || ").next())
        .flat_map(|line| line.split(" && "))
        .map(|line| command(&expand(line, settings)))
        .collect();
    Some(commands)
}

fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    let mut operand = || {
        while let Some(word) = words.next() {
            match word {
                "--name" | "-n" | "--timeout" | "-t" => drop(words.next()),
                option if option.starts_with('-') => {}
                operand => return operand.to_owned(),
            }
        }
        String::new()
    };
    match word {
        "chain" | "imgexec" => Command::Chain(operand()),
        "kernel" | "imgselect" => Command::Kernel(operand()),
        "initrd" => Command::Initrd(operand()),
        "boot" => Command::Boot,
        "dhcp" | "autoboot" | "imgfree" | "echo" => Command::Skip,
        other => Command::Unknown(other.to_owned()),
    }
}

/// Replaces the machine's settings; unknown ones are empty, as in iPXE.
pub(super) fn expand(text: &str, settings: &BTreeMap<&str, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            filled.push_str("${");
            rest = after;
            continue;
        };
        filled.push_str(settings.get(name).map_or("", String::as_str));
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use boot_server_proto::ipxe::{Dialect, Platform, boot_script, render};

    use super::*;

    fn settings() -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("uuid", "16e7d8a7-bfa9-428b-9117-363341bb330b".into()),
            ("net0/mac:hexhyp", "52-54-00-a1-9c-ae".into()),
        ])
    }

    #[test]
    fn the_server_s_first_script_leads_on_with_the_machine_s_labels() {
        let script = boot_script("platform=efi", Dialect::Bootcfg);
        assert_eq!(
            parse(&script, &settings()).unwrap(),
            [Command::Chain(
                "ipxe?uuid=16e7d8a7-bfa9-428b-9117-363341bb330b&mac=52-54-00-a1-9c-ae&domain=&hostname=\
                 &serial=&platform=efi"
                    .into()
            )]
        );
    }

    #[test]
    fn the_server_s_second_script_loads_kernel_and_initrd() {
        let script = render(
            "/assets/vmlinuz",
            &["/assets/initrd".into()],
            &["console=ttyS0".into()],
            Platform::Efi,
            Dialect::Bootcfg,
        );
        assert_eq!(
            parse(&script, &settings()).unwrap(),
            [
                Command::Kernel("/assets/vmlinuz".into()),
                Command::Initrd("/assets/initrd".into()),
                Command::Boot
            ]
        );
    }

    #[test]
    fn what_is_no_script_is_none_and_what_is_unknown_is_said() {
        assert_eq!(parse("404 page not found\n", &settings()), None);
        assert_eq!(
            parse("#!ipxe\nsanboot x || shell\n", &settings()).unwrap(),
            [Command::Unknown("sanboot".into())]
        );
    }
}
