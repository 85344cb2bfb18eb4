use super::*;

fn text(status: u16, body: &str) -> Answer {
    Answer {
        status,
        media_type: "text/plain".to_owned(),
        body: body.to_owned(),
    }
}

fn explained(version: Version, request: &str, there: &str, here: &str) -> Option<Documented> {
    documented(version, request, &text(200, there), &text(200, here))
}

#[test]
fn first_script_of_an_older_version_differs_by_its_labels_only() {
    let of_011 = "chain ipxe?mac=${mac:hexhyp}&serial=${serial}&arch=${buildarch:uristring}\n";
    let of_09 = "chain ipxe?mac=${mac:hexhyp}&serial=${serial}\n";
    let of_04 = "chain ipxe?mac=${net0/mac:hexhyp}&serial=${serial}\n";
    let explained = |version, there: &str| explained(version, "/boot.ipxe", there, of_011);
    assert_eq!(
        explained(Version::Matchbox09, of_09),
        Some(Documented::FirstScript)
    );
    assert_eq!(
        explained(Version::Bootcfg04, of_04),
        Some(Documented::FirstScript)
    );
    for (version, there) in [
        (Version::Matchbox011, of_09),
        (Version::Matchbox09, of_04),
        (Version::Bootcfg02, of_09),
        (
            Version::Matchbox09,
            "chain ipxe?mac=${mac:hexhyp}&x=y&serial=${serial}\n",
        ),
    ] {
        assert_eq!(explained(version, there), None, "{version} {there}");
    }
}

#[test]
fn initrds_on_one_line_are_those_on_lines_of_their_own_before_0_9() {
    let there = "#!ipxe\nkernel /k a\ninitrd /i1 /i2 \nboot\n";
    let here = "#!ipxe\nkernel /k a\ninitrd /i1\ninitrd /i2\nboot\n";
    let explained =
        |version, there: &str, here: &str| explained(version, "/ipxe?mac=x", there, here);
    for version in [Version::Bootcfg02, Version::Matchbox06, Version::Matchbox08] {
        assert_eq!(
            explained(version, there, here),
            Some(Documented::InitrdLines)
        );
    }
    assert_eq!(explained(Version::Matchbox09, there, here), None);
    let other = here.replace("/i2", "/i3");
    assert_eq!(explained(Version::Matchbox06, there, &other), None);
    let (there, here) = ("kernel /k\ninitrd \nboot\n", "kernel /k\nboot\n");
    assert_eq!(
        explained(Version::Bootcfg02, there, here),
        Some(Documented::InitrdLines)
    );
}

#[test]
fn initrds_with_names_are_explained_for_uefi_only() {
    let there = "kernel /k a\ninitrd /i1\ninitrd /i2\nboot\n";
    let here = "kernel /k initrd=initrd0 initrd=initrd1 a\n\
                initrd --name initrd0 /i1\ninitrd --name initrd1 /i2\nboot\n";
    let explained = |request| explained(Version::Matchbox09, request, there, here);
    assert_eq!(
        explained("/ipxe?platform=efi&mac=x"),
        Some(Documented::InitrdNames)
    );
    assert_eq!(explained("/ipxe?mac=x"), None);
}

#[test]
fn metadata_of_bootcfg_0_2_is_compared_by_the_values_behind_gos_mistake() {
    let there = "N=%!s(int=1)\nMAC=x\nOK=%!s(bool=true)\n";
    let explained =
        |there: &str, here: &str| explained(Version::Bootcfg02, "/metadata?a", there, here);
    assert_eq!(
        explained(there, "MAC=x\nN=1\nOK=true\n"),
        Some(Documented::MetadataValues)
    );
    assert_eq!(explained(there, "MAC=x\nN=2\nOK=true\n"), None);
    assert_eq!(explained("A=%!s(\n", "A=\n"), None);
}

#[test]
fn pixiecores_command_line_is_explained_and_another_kernel_is_not() {
    let there = r#"{"kernel":"/k","args":["a=b"]}"#;
    let here = r#"{"kernel":"/k","cmdline":"a=b","args":["a=b"]}"#;
    let request = "/pixiecore/v1/boot/52:54:00:00:00:01";
    let of_06 = |there: &str, here: &str| explained(Version::Matchbox06, request, there, here);
    assert_eq!(of_06(there, here), Some(Documented::PixiecoreCmdline));
    assert_eq!(of_06(there, &here.replace("/k", "/other")), None);
    let nothing = documented(
        Version::Matchbox06,
        request,
        &text(200, "null"),
        &text(404, "404 page not found\nprofile `x` boots nothing\n"),
    );
    assert_eq!(nothing, Some(Documented::PixiecoreNothing));
}

#[test]
fn ignition_is_compared_without_its_version_where_versions_are_known_to_differ() {
    let config = |version: &str, user: &str| {
        format!(
            r#"{{"ignition":{{"version":"{version}","config":{{}}}},"passwd":{{"users":[{{"name":"{user}"}}]}}}}"#
        )
    };
    let (of_20, of_22) = (config("2.0.0", "core"), config("2.2.0", "core"));
    let explained =
        |version, there: &str, here: &str| explained(version, "/ignition?a", there, here);
    assert_eq!(
        explained(Version::Matchbox06, &of_20, &of_22),
        Some(Documented::IgnitionVersion)
    );
    assert_eq!(explained(Version::Matchbox09, &of_20, &of_22), None);
    assert_eq!(
        explained(Version::Matchbox06, &of_20, &config("2.2.0", "root")),
        None
    );
    assert_eq!(
        explained(Version::Matchbox06, &of_20, &config("3.4.0", "core")),
        None
    );
    assert_eq!(
        explained(
            Version::Matchbox010,
            &config("3.3.0", "core"),
            &config("3.4.0", "core")
        ),
        Some(Documented::IgnitionVersion)
    );
}

#[test]
fn empty_config_of_0_11_is_explained_and_a_refusal_by_0_9_is_not() {
    let empty = text(200, r#"{"ignition":{"version":""}}"#);
    let full = text(200, r#"{"ignition":{"version":"3.5.0"}}"#);
    let refused = text(404, "404 page not found\n");
    let explained = |version, there, here| documented(version, "/ignition?a", there, here);
    let (of_09, of_011) = (Version::Matchbox09, Version::Matchbox011);
    assert_eq!(
        explained(of_011, &empty, &full),
        Some(Documented::IgnitionServed)
    );
    assert_eq!(
        explained(of_011, &refused, &full),
        Some(Documented::IgnitionServed)
    );
    assert_eq!(
        explained(of_011, &empty, &refused),
        Some(Documented::IgnitionRefused)
    );
    assert_eq!(explained(of_011, &full, &refused), None);
    assert_eq!(explained(of_09, &empty, &full), None);
    assert_eq!(explained(of_09, &refused, &full), None);
    let of_02 = explained(Version::Bootcfg02, &refused, &full);
    assert_eq!(of_02, Some(Documented::IgnitionServed));
}

#[test]
fn contents_are_compared_unpacked() {
    let packed = |level, content: &str| {
        use std::io::Write;
        let mut encoder =
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(content.as_bytes()).unwrap();
        let bytes = STANDARD.encode(encoder.finish().unwrap());
        format!(r#"{{"storage":{{"files":[{{"contents":{{"source":"data:;base64,{bytes}"}}}}]}}}}"#)
    };
    let text = "abcabcabd".repeat(100);
    let (there, here) = (packed(0, &text), packed(9, &text));
    assert_ne!(there, here);
    let explained =
        |there: &str, here: &str| explained(Version::Matchbox011, "/ignition?a", there, here);
    assert_eq!(explained(&there, &here), Some(Documented::Compression));
    assert_eq!(explained(&there, &packed(9, "other")), None);
}
