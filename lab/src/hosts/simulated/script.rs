//! iPXE scripts, limited to the commands that boot servers use: `dhcp`, `chain`, `kernel`, `initrd`, `imgfetch`,
//! `imgargs`, `imgfree`, `boot`, `autoboot`, chained by `&&` and `||`, with `${…}` replaced. Pure.

use std::collections::BTreeMap;

/// Command of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Run another script or program.
    Chain(String),
    /// Load the kernel, which gets these options.
    Kernel { file: String, options: Vec<String> },
    /// Load an initrd.
    Initrd(String),
    /// Load a file that is neither, such as Pixiecore's report that the boot begins.
    Fetch {
        file: String,
        /// True if the script goes on without the file: `||` without a command.
        may_fail: bool,
    },
    /// Replace the kernel's options.
    Options(Vec<String>),
    /// Start the kernel; options here replace its own.
    Boot { options: Vec<String> },
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
    let (line, may_fail) = match line.strip_suffix("||") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    let mut file = String::new();
    while let Some(word) = words.next() {
        match word {
            "--name" | "-n" | "--timeout" | "-t" => drop(words.next()),
            option if option.starts_with('-') => {}
            operand => {
                file = operand.to_owned();
                break;
            }
        }
    }
    let options = words.map(str::to_owned).collect();
    match word {
        "chain" | "imgexec" => Command::Chain(file),
        "kernel" | "imgselect" => Command::Kernel { file, options },
        "initrd" => Command::Initrd(file),
        "imgfetch" => Command::Fetch { file, may_fail },
        "imgargs" => Command::Options(options),
        "boot" => Command::Boot { options },
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
    use boot_server_proto::pixiecore;

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
                Command::Kernel {
                    file: "/assets/vmlinuz".into(),
                    options: vec!["initrd=initrd0".into(), "console=ttyS0".into()],
                },
                Command::Initrd("/assets/initrd".into()),
                Command::Boot { options: vec![] }
            ]
        );
    }

    #[test]
    fn parse_pixiecores_script_boots_with_the_options_of_its_last_line() {
        let script = pixiecore::Script {
            kernel: "http://h/_/file?name=k",
            initrd: &["http://h/_/file?name=i".into()],
            booting: "http://h/_/booting?mac=1",
            cmdline: "console=ttyS0 uuid=${uuid}",
        };
        let options = [
            "initrd=initrd0",
            "console=ttyS0",
            "uuid=16e7d8a7-bfa9-428b-9117-363341bb330b",
        ];
        assert_eq!(
            parse(&script.render(), &settings()).unwrap(),
            [
                Command::Kernel {
                    file: "http://h/_/file?name=k".into(),
                    options: vec![],
                },
                Command::Initrd("http://h/_/file?name=i".into()),
                Command::Fetch {
                    file: "http://h/_/booting?mac=1".into(),
                    may_fail: true,
                },
                Command::Skip,
                Command::Boot {
                    options: options.map(str::to_owned).to_vec()
                },
            ]
        );
    }

    #[test]
    fn parse_imgargs_replaces_the_options_of_the_kernel() {
        assert_eq!(
            parse(
                "#!ipxe\nimgfetch http://h/x\nimgargs vmlinuz a=1 b\n",
                &settings()
            )
            .unwrap(),
            [
                Command::Fetch {
                    file: "http://h/x".into(),
                    may_fail: false,
                },
                Command::Options(vec!["a=1".into(), "b".into()]),
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
