//! A scenario may name a Pixiecore of the user's own: the lab starts the command line and boots from it.
//!
//! The program here is our boot server in Pixiecore mode, started as a stranger would be: by a command
//! line, telling the lab nothing.

use crate::support::{Scenarios, printed};

/// Writes a configuration from what the lab fills in, then becomes the server.
const SCRIPT: &str = r#"
printf 'interface = "%s"\naddress = "%s"\n[pixiecore]\napi = "%s"\n[tftp]\n' \
    "$1" "$2" "$3" > /run/lab/pixiecore.toml
exec "$0" --config /run/lab/pixiecore.toml
"#;

#[test]
fn a_machine_boots_from_a_pixiecore_that_is_only_a_command_line() {
    let scenarios = Scenarios::new();
    let server = assert_cmd::cargo::cargo_bin!("lab").with_file_name("boot-server");
    scenarios
        .copy("pixiecore", "own-pixiecore")
        .quick("node2")
        .edit_toml(|scenario| {
            let words = [
                "/bin/sh",
                "-c",
                SCRIPT,
                server.to_str().unwrap(),
                "{interface}",
                "{address}",
                "{api}",
            ];
            let mut command = toml::Table::new();
            command.insert("command".into(), words.to_vec().into());
            scenario["services"]["pixiecore"] = command.into();
        });
    let output = scenarios.lab_run().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let verdict = scenarios.verdict("own-pixiecore@bios");
    assert_eq!(verdict["verdict"], "pass", "{}", printed(&output));
}
