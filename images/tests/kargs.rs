//! The initramfs reads the kernel command line as CoreOS does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Command;

/// Returns the initramfs's reading of a command line: true if Ignition runs, and its URL.
fn read(cmdline: &str) -> (bool, String) {
    let kargs = concat!(env!("CARGO_MANIFEST_DIR"), "/stand-in/initramfs/kargs");
    let script = ". \"$0\"; cmdline=$1; first_boot && echo yes || echo no; config_url";
    let output = Command::new("sh")
        .args(["-euc", script, kargs, cmdline])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let first_boot = match lines.next() {
        Some("yes") => true,
        Some("no") => false,
        other => panic!("{other:?}, {}", String::from_utf8_lossy(&output.stderr)),
    };
    (first_boot, lines.next().unwrap_or_default().to_owned())
}

#[test]
fn a_bare_first_boot_key_is_true_and_an_empty_one_false() {
    for key in [
        "coreos.first_boot",
        "flatcar.first_boot",
        "ignition.firstboot",
    ] {
        assert!(read(&format!("quiet {key} x")).0, "{key}");
        assert!(read(&format!("{key}=1")).0, "{key}");
        for value in ["", "0", "no", "off"] {
            assert!(!read(&format!("{key}={value}")).0, "{key}={value}");
        }
    }
    assert!(!read("console=ttyS0 xcoreos.first_boot coreos.first_bootx").0);
}

#[test]
fn the_last_of_several_values_wins() {
    assert!(!read("coreos.first_boot=1 coreos.first_boot=0").0);
    assert_eq!(
        read("coreos.config.url=http://a/ coreos.config.url=http://b/?x=*").1,
        "http://b/?x=*"
    );
}

#[test]
fn all_three_names_of_the_config_url_are_known() {
    for key in [
        "coreos.config.url",
        "flatcar.config.url",
        "ignition.config.url",
    ] {
        assert_eq!(read(&format!("{key}=http://a/b")).1, "http://a/b", "{key}");
    }
    assert_eq!(read("coreos.config.url= flatcar.config.url").1, "");
}
