//! Every mistake in a scenario is told with its place and what would be right: the rendered reports.

use std::fs;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use super::*;

const GOOD: &str = r#"summary = "BIOS machines boot PXELINUX by TFTP"
firmware = ["bios"]

[network]
subnet = "192.168.90.0/24"

[services]
dhcp = "boot-server"

[boot]
bios = "pxelinux"

[[node]]
name = "node1"
uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b"
mac = "52:54:00:a1:9c:ae"

[node.expect]
matched_by = "uuid"
group = "node1"
cloud_config = "node1.yaml"
hostname = "node1"

[[node.expect.file]]
path = "/home/core/cloud"
content = "written for node1\n"
owner = "core:core"
mode = "0644"

[[node]]
name = "node2"
uuid = "264cd073-ca62-44b3-98c0-50aad5b5f819"
mac = "52:54:00:b2:2f:86"
memory_mib = 2048

[node.expect]
matched_by = "mac"
group = "node2"
units_active = ["lab-node2.service"]
kernel_options = ["console=ttyS0"]
"#;

pub(super) fn render(report: &dyn Diagnostic) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, report)
        .unwrap();
    text
}

pub(super) fn parse(text: &str) -> Result<Scenario, InvalidScenario> {
    Scenario::parse("mine", Path::new("scenarios/mine"), text)
}

/// The good scenario with `from` replaced, which has to be there.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "nothing to change: {from}");
    GOOD.replacen(from, to, 1)
}

fn report(from: &str, to: &str) -> String {
    render(&parse(&changed(from, to)).expect_err("the change should be refused"))
}

/// Names of mistakes, each with a text of the good scenario and what is written instead.
macro_rules! mistakes {
    ($($name:ident: $from:expr => $to:expr;)*) => {
        const MISTAKES: &[(&str, &str, &str)] = &[$((stringify!($name), $from, $to)),*];
    };
}

/// One listing of all reports, which shows each mistake that a changed sentence is used for.
#[test]
fn each_mistake_is_refused_with_its_place_and_what_would_be_right() {
    let listed = MISTAKES
        .iter()
        .map(|(name, from, to)| format!("# {name}\n{}\n", report(from, to).trim_end()));
    insta::assert_snapshot!(listed.collect::<Vec<String>>().join("\n"));
}

mistakes! {
    a_file_that_is_not_toml_is_refused: "[network]" => "[network";
    an_unknown_key_is_named_with_the_one_that_was_meant: "memory_mib" => "memory_mb";
    an_unknown_key_like_no_other_is_answered_with_those_there_are: "subnet =" => "gateway = 1\nsubnet =";
    an_unknown_section_is_refused: "[boot]" => "[botched]\n[boot]";
    a_missing_key_is_answered_with_an_example: "mac = \"52:54:00:a1:9c:ae\"\n" => "";
    a_missing_section_is_answered_with_an_example: "[network]\nsubnet = \"192.168.90.0/24\"\n" => "";
    a_value_of_another_type_is_refused: "2048" => "\"2 GiB\"";
    a_mac_that_stands_twice_is_shown_at_both_places: "52:54:00:b2:2f:86" => "52-54-00-A1-9C-AE";
    a_uuid_that_stands_twice_is_shown_at_both_places:
        "264cd073-ca62-44b3-98c0-50aad5b5f819" => "16E7D8A7-bfa9-428b-9117-363341bb330b";
    a_node_name_that_stands_twice_is_shown_at_both_places: "name = \"node2\"" => "name = \"node1\"";
    text_that_is_no_mac_is_refused: "52:54:00:a1:9c:ae" => "52:54:00:a1:9c";
    a_multicast_mac_is_refused: "52:54:00:a1:9c:ae" => "53:54:00:a1:9c:ae";
    a_zero_mac_is_refused: "52:54:00:a1:9c:ae" => "00:00:00:00:00:00";
    text_that_is_no_uuid_is_refused: "16e7d8a7-bfa9" => "16e7d8a7bfa9";
    a_nil_uuid_is_refused:
        "16e7d8a7-bfa9-428b-9117-363341bb330b" => "00000000-0000-0000-0000-000000000000";
    a_node_name_with_odd_characters_is_refused: "name = \"node1\"" => "name = \"Node 1\"";
    text_that_is_no_subnet_is_refused: "192.168.90.0/24" => "192.168.90.0";
    a_host_address_as_subnet_is_refused: "192.168.90.0/24" => "192.168.90.1/24";
    a_loopback_subnet_is_refused: "192.168.90.0/24" => "127.0.0.0/24";
    a_multicast_subnet_is_refused: "192.168.90.0/24" => "239.1.0.0/24";
    a_reserved_subnet_is_refused: "192.168.90.0/24" => "250.1.0.0/24";
    a_link_local_subnet_is_refused: "192.168.90.0/24" => "169.254.0.0/16";
    a_subnet_of_half_the_world_is_refused: "192.168.90.0/24" => "10.0.0.0/8";
    no_firmware_at_all_is_refused: "[\"bios\"]" => "[]";
    an_unknown_firmware_is_refused: "[\"bios\"]" => "[\"bois\"]";
    a_firmware_named_twice_is_refused: "[\"bios\"]" => "[\"bios\", \"bios\"]";
    an_unknown_service_is_refused: "dhcp = \"boot-server\"" => "dhcp = \"kea\"";
    a_proxy_beside_the_pxe_enabled_dhcp_server_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"boot-server\"\nproxy_dhcp = \"boot-server\"";
    pixiecore_beside_a_proxy_is_refused:
        "dhcp = \"boot-server\"\n\n[boot]\nbios = \"pxelinux\"" =>
        "dhcp = \"libvirt\"\nproxy_dhcp = \"boot-server\"\npixiecore = \"boot-server\"";
    a_network_on_which_nobody_gives_boot_options_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"libvirt\"";
    a_pixiecore_command_without_a_program_is_refused:
        "dhcp = \"boot-server\"\n\n[boot]\nbios = \"pxelinux\"" =>
        "dhcp = \"libvirt\"\npixiecore = { command = [] }";
    pxelinux_for_uefi_machines_is_refused: "[\"bios\"]" => "[\"bios\", \"uefi\"]";
    pixiecore_for_machines_that_boot_by_http_is_refused:
        "[\"bios\"]\n\n[network]\nsubnet = \"192.168.90.0/24\"\n\n[services]\ndhcp = \"boot-server\"\n\n[boot]\nbios = \"pxelinux\"" =>
        "[\"uefi-http\"]\n\n[network]\nsubnet = \"192.168.90.0/24\"\n\n[services]\ndhcp = \"libvirt\"\npixiecore = \"boot-server\"";
    pxelinux_under_pixiecore_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"libvirt\"\npixiecore = \"boot-server\"";
    chainloading_ipxe_to_pxelinux_is_refused:
        "bios = \"pxelinux\"" => "bios = \"pxelinux\"\nchainload_ipxe = true";
    a_service_without_a_name_is_refused: "[boot]" => "[[service]]\ncommand = [\"nginx\"]\n[boot]";
    a_service_without_a_program_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = []\n[boot]";
    an_unknown_key_of_a_service_is_named_with_the_one_that_was_meant:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nadress = \"shared\"\n[boot]";
    an_unknown_role_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nplays = [\"htpt\"]\n[boot]";
    an_unknown_placeholder_is_named_with_the_one_that_was_meant:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\", \"-p\", \"{statt}\"]\n[boot]";
    an_unknown_placeholder_in_the_environment_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nenv = { FOLDER = \"{where}\" }\n[boot]";
    a_service_with_the_name_of_ours_is_refused:
        "[boot]" => "[[service]]\nname = \"server\"\ncommand = [\"nginx\"]\n[boot]";
    a_service_name_that_stands_twice_is_shown_at_both_places:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\n[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\n[boot]";
    a_role_of_the_boot_server_is_refused:
        "[boot]" => "[[service]]\nname = \"kea\"\ncommand = [\"kea-dhcp4\"]\nplays = [\"dhcp\"]\n[boot]";
    a_role_of_two_services_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"none\"\n[[service]]\nname = \"kea\"\ncommand = [\"kea-dhcp4\"]\nplays = [\"dhcp\"]\naddress = \"192.168.90.2\"\n[[service]]\nname = \"isc\"\ncommand = [\"dhcpd\"]\nplays = [\"dhcp\"]\naddress = \"192.168.90.3\"";
    a_service_outside_the_subnet_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\naddress = \"10.0.0.2\"\n[boot]";
    a_service_at_the_address_of_ours_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\naddress = \"192.168.90.1\"\n[boot]";
    two_services_at_one_address_are_shown_at_both_places:
        "[boot]" => "[[service]]\nname = \"a\"\ncommand = [\"nginx\"]\naddress = \"192.168.90.2\"\n[[service]]\nname = \"b\"\ncommand = [\"nginx\"]\naddress = \"192.168.90.2\"\n[boot]";
    an_order_after_an_unknown_service_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\n[[service]]\nname = \"api\"\ncommand = [\"api\"]\nafter = [\"filse\"]\n[boot]";
    an_order_in_a_circle_is_refused:
        "[boot]" => "[[service]]\nname = \"a\"\ncommand = [\"a\"]\nafter = [\"b\"]\n[[service]]\nname = \"b\"\ncommand = [\"b\"]\nafter = [\"a\"]\n[boot]";
    a_readiness_of_two_signs_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nready = { tcp = 80, udp = 69 }\n[boot]";
    a_readiness_without_a_sign_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nready = { within_seconds = 5 }\n[boot]";
    a_broken_regular_expression_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nready = { log = \"started (\" }\n[boot]";
    an_unknown_capability_is_refused:
        "[boot]" => "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\ncapabilities = [\"CAP_NET_BIND\"]\n[boot]";
    dnsmasq_without_a_configuration_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"dnsmasq\"";
    a_configuration_for_dnsmasq_without_one_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"boot-server\"\ndnsmasq_conf = \"/etc/dnsmasq.conf\"";
    two_configurations_are_refused:
        "dhcp = \"boot-server\"" =>
        "dhcp = \"dnsmasq\"\ndnsmasq_conf = \"/a\"\nboot_server_config = \"/b\"";
    https_for_bios_machines_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"boot-server\"\nhttps = \"valid\"";
    https_for_simulated_machines_is_refused:
        "[\"bios\"]\n\n[network]\nsubnet = \"192.168.90.0/24\"\n\n[services]\ndhcp = \"boot-server\"\n\n[boot]\nbios = \"pxelinux\"" =>
        "[\"uefi\"]\nmachines = \"simulated\"\n\n[network]\nsubnet = \"192.168.90.0/24\"\n\n[services]\ndhcp = \"boot-server\"\nhttps = \"valid\"";
    https_with_pixiecore_is_refused:
        "[\"bios\"]\n\n[network]\nsubnet = \"192.168.90.0/24\"\n\n[services]\ndhcp = \"boot-server\"\n\n[boot]\nbios = \"pxelinux\"" =>
        "[\"uefi\"]\n\n[network]\nsubnet = \"192.168.90.0/24\"\n\n[services]\ndhcp = \"libvirt\"\npixiecore = \"boot-server\"\nhttps = \"valid\"";
    an_unknown_certificate_is_refused:
        "dhcp = \"boot-server\"" => "dhcp = \"boot-server\"\nhttps = \"true\"";
    a_host_outside_its_subnet_is_refused:
        "[services]" => "[network]\naddress = \"10.0.0.1\"\n[services]";
    a_kernel_outside_the_assets_is_refused:
        "group = \"node1\"" => "group = \"node1\"\nkernel = \"/assets/../k\"";
    too_little_memory_is_refused: "2048" => "32";
    a_disk_in_words_is_refused: "2048" => "2048\ndisks_mib = [64, \"1 GiB\"]";
    a_disk_without_room_is_refused: "2048" => "2048\ndisks_mib = [64, 4]";
    a_deadline_of_no_time_is_refused: "[boot]" => "[deadline]\nboot_seconds = 0\n[boot]";
    a_silence_of_no_time_is_refused: "[boot]" => "[deadline]\ndhcp_seconds = 3\n[boot]";
    a_silence_in_words_is_refused: "[boot]" => "[deadline]\nload_seconds = \"90 s\"\n[boot]";
    an_unknown_silence_is_named_with_the_one_that_was_meant:
        "[boot]" => "[deadline]\nsytem_seconds = 90\nfirmware_seconds = 90\n[boot]";
    unknown_keys_of_secure_boot_are_refused: "2048" => "2048\nsecure_boot = \"2024\"";
    secure_boot_of_a_bios_machine_is_refused: "2048" => "2048\nsecure_boot = \"own\"";
    a_dbx_without_secure_boot_is_refused: "2048" => "2048\ndbx = [\"/usr/lib/shim/shimx64.efi.signed\"]";
    a_relative_path_in_dbx_is_refused: "2048" => "2048\ndbx = [\"shimx64.efi\"]";
    an_sbat_line_without_a_generation_is_refused: "2048" => "2048\nsbat_level = [\"sbat,1,2099010100\", \"grub\"]";
    an_sbat_level_without_its_version_is_refused: "2048" => "2048\nsecure_boot = true\nsbat_level = [\"grub,6\"]";
    uefi_secure_beside_other_firmware_is_refused: "[\"bios\"]" => "[\"bios\", \"uefi-secure\"]";
    a_program_outside_the_folders_is_refused:
        "[boot]" => "[[program]]\nname = \"../grubx64.efi\"\nfrom = \"grub:13\"\n[boot]";
    a_program_of_an_unknown_release_is_refused:
        "[boot]" => "[[program]]\nname = \"grubx64.efi\"\nfrom = \"grub:11\"\n[boot]";
    a_program_named_twice_is_shown_at_both_places:
        "[boot]" => "[[program]]\nname = \"a.efi\"\nfrom = \"kernel\"\n[[program]]\nname = \"a.efi\"\nfrom = \"shim:13\"\nsign = \"own\"\n[boot]";
    a_file_mode_in_letters_is_refused: "0644" => "rw-r--r--";
    an_owner_without_group_is_refused: "core:core" => "core";
    a_relative_file_path_is_refused: "/home/core/cloud" => "home/core/cloud";
    a_file_expected_twice_is_refused:
        "mode = \"0644\"\n" =>
        "mode = \"0644\"\n\n[[node.expect.file]]\npath = \"/home/core/cloud\"\ncontent = \"\"\nowner = \"root:root\"\nmode = \"0600\"\n";
    a_path_as_cloud_config_name_is_refused: "node1.yaml" => "../node1.yaml";
    a_host_name_with_an_underscore_is_refused: "hostname = \"node1\"" => "hostname = \"node_1\"";
    hash_with_too_few_digits_is_refused:
        "[[node.expect.file]]" => "[node.expect.sha256]\nkernel = \"abc\"\n\n[[node.expect.file]]";
    hash_of_a_config_that_is_not_expected_is_refused:
        "[[node.expect.file]]" =>
        "[node.expect.sha256]\nignition = \"abababababababababababababababababababababababababababababababab\"\n\n[[node.expect.file]]";
    hash_of_an_unknown_file_is_refused:
        "[[node.expect.file]]" => "[node.expect.sha256]\nkernels = \"abc\"\n\n[[node.expect.file]]";
    resets_without_end_are_refused: "hostname = \"node1\"" => "hostname = \"node1\"\nresets = 1000";
    flag_in_words_is_refused: "hostname = \"node1\"" => "hostname = \"node1\"\nconfig_may_fail = \"yes\"";
    two_kernel_options_in_one_are_refused: "console=ttyS0" => "console=ttyS0 quiet";
    a_unit_without_its_kind_is_refused: "lab-node2.service" => "lab-node2";
    a_node_that_expects_nothing_is_refused:
        "units_active = [\"lab-node2.service\"]\nkernel_options = [\"console=ttyS0\"]\n" => "";
}

/// The checks of `node2`, the last lines of the good scenario.
const CHECKS: &str =
    "units_active = [\"lab-node2.service\"]\nkernel_options = [\"console=ttyS0\"]\n";

/// V7: a machine of which nothing is expected could never fail.
#[test]
fn expectations_empty_lists_only_are_refused_at_their_place() {
    let lists = ["units_active = []", "kernel_options = []", "file = []"];
    let listed = (1..8_usize).map(|mask| {
        let written: Vec<&str> = (0..3)
            .filter(|bit| mask & (1 << bit) != 0)
            .map(|bit| lists[bit])
            .collect();
        report(CHECKS, &format!("{}\n", written.join("\n")))
    });
    insta::assert_snapshot!(listed.collect::<Vec<String>>().join("\n"));
}

#[test]
fn uefi_secure_gives_keys_to_nodes_that_name_none() {
    let text = GOOD
        .replace("[\"bios\"]", "[\"uefi-secure\"]")
        .replace("\n[boot]\nbios = \"pxelinux\"\n", "")
        .replace("memory_mib = 2048", "secure_boot = \"own\"");
    let scenario = parse(&text).unwrap();
    assert_eq!(scenario.firmware, [Firmware::Uefi]);
    let keys: Vec<_> = scenario.nodes.iter().map(|node| node.secure_boot).collect();
    let usual = SecureBootKeys::default();
    assert_eq!(keys, [Some(usual), Some(SecureBootKeys::Own)]);
    let again = parse(&scenario.to_toml().unwrap()).unwrap();
    assert_eq!(again.nodes, scenario.nodes);
}

#[test]
fn programs_and_refusals_survive_the_resolved_scenario() {
    let text = changed(
        "[boot]",
        "[[program]]\nname = \"a.efi\"\nfrom = \"shim:13\"\nkeep_signatures = []\nsign = \"stranger\"\n[boot]",
    );
    let hash = "ab".repeat(32);
    let text = text
        .replace("[\"bios\"]", "[\"uefi\"]")
        .replace("bios = \"pxelinux\"\n", "");
    let lines = format!(
        "2048\nsecure_boot = true\ndbx = [\"/x.efi\", \"{hash}\"]\nsbat_level = [\"sbat,1,2099010100\"]"
    );
    let scenario = parse(&text.replace("2048", &lines)).unwrap();
    assert_eq!(scenario.nodes[1].dbx[1], ForbiddenProgram::Hash([0xab; 32]));
    let again = parse(&scenario.to_toml().unwrap()).unwrap();
    assert_eq!(
        (again.programs, again.nodes),
        (scenario.programs, scenario.nodes)
    );
}

#[test]
fn expectations_empty_list_beside_a_check_is_accepted() {
    let text = changed(CHECKS, "units_active = []\nhostname = \"node2\"\n");
    assert!(parse(&text).is_ok());
}

#[test]
fn expectations_that_hold_on_every_machine_are_refused() {
    for (check, said) in [
        (
            "units_active = [\"-.mount\"]",
            "active on every systemd machine",
        ),
        (
            "units_active = [\"system.slice\"]",
            "active on every systemd machine",
        ),
        (
            "file = [{ path = \"/dev/null\", content = \"\", owner = \"root:root\", mode = \"0666\" }]",
            "the same on every machine",
        ),
    ] {
        let told = report(CHECKS, &format!("{check}\n"));
        assert!(told.contains(said), "{told}");
        assert!(told.contains("scenario.toml:39:"), "{told}");
    }
}

#[test]
fn expectations_one_file_spelled_in_two_ways_are_refused() {
    for path in [
        "/home//core/cloud",
        "/./home/core/cloud",
        "/home/core/./cloud",
    ] {
        let told = report("/home/core/cloud", path);
        let has = |line: &str| told.lines().any(|one| one == line);
        let mistake = format!("  × path not in its shortest form: `{path}`");
        assert!(
            has(&mistake) && has("  help: write `/home/core/cloud`"),
            "{told}"
        );
    }
}

#[test]
fn parse_resolved_node_without_checks_is_read() {
    let text = changed(CHECKS, "");
    assert!(parse(&text).is_err());
    let read = Scenario::parse_resolved("mine", Path::new("scenarios/mine"), &text).unwrap();
    assert!(read.node("node2").unwrap().expect.units_active.is_empty());
}

#[test]
fn a_scenario_without_machines_is_refused() {
    let (head, _) = GOOD.split_once("[[node]]").unwrap();
    insta::assert_snapshot!(render(&parse(head).unwrap_err()));
    let emptied = format!("node = []\n{head}");
    insta::assert_snapshot!(render(&parse(&emptied).unwrap_err()));
}

#[test]
fn a_subnet_too_small_for_the_machines_is_refused() {
    let mut text = changed("192.168.90.0/24", "192.168.90.0/29");
    text.push_str(
        "[[node]]\nname = \"node3\"\nuuid = \"39d2e747-2648-4d68-ae92-bbc70b245055\"\nmac = \"52:54:00:c3:61:77\"\nexpect = { matched_by = \"default\", group = \"default\", hostname = \"a\" }\n",
    );
    insta::assert_snapshot!(render(&parse(&text).unwrap_err()));
}

#[test]
fn all_mistakes_stand_in_one_report_in_the_order_of_the_lines() {
    let text = changed("0644", "9")
        .replace("192.168.90.0/24", "127.0.0.0/8")
        .replace("52:54:00:b2:2f:86", "52:54:00:a1:9c:ae")
        .replace("summary", "sumary");
    let invalid = parse(&text).unwrap_err();
    let said: Vec<String> = invalid.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn expectations_of_resets_and_hashes_read_back_from_the_resolved_scenario() {
    let hash = "ab".repeat(32);
    let keys = format!(
        "resets = 2\nconfig_may_fail = true\n\n[node.expect.sha256]\nkernel = \"{hash}\"\ninitrd = [\"{hash}\"]\n\n[[node.expect.file]]"
    );
    let scenario = parse(&changed("\n[[node.expect.file]]", &keys)).unwrap();
    let expect = &scenario.nodes[0].expect;
    assert_eq!((expect.resets, expect.config_may_fail), (2, true));
    assert_eq!(expect.sha256.kernel.as_ref().unwrap().as_str(), hash);
    let again = parse(&scenario.to_toml().unwrap()).unwrap();
    assert_eq!(again.nodes, scenario.nodes);
}

#[test]
fn a_good_scenario_is_read_whole() {
    let scenario = parse(GOOD).unwrap();
    assert_eq!(scenario.name, "mine");
    assert_eq!(scenario.network.host().to_string(), "192.168.90.1");
    let (first, last) = scenario.network.pool();
    assert_eq!(
        (first.to_string(), last.to_string()),
        ("192.168.90.2".into(), "192.168.90.254".into())
    );
    let names: Vec<_> = scenario
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(names, ["node1", "node2"]);
    insta::assert_snapshot!(scenario.to_toml().unwrap());
}

#[test]
fn a_disk_of_a_simulated_machine_and_too_many_disks_are_refused() {
    let text = changed("2048", "2048\ndisks_mib = [64, 128]");
    let disks = |text: &str| {
        parse(text)
            .unwrap()
            .node("node2")
            .unwrap()
            .disks_mib
            .clone()
    };
    assert_eq!(disks(&text), [64, 128]);
    let resolved = parse(&text).unwrap().to_toml().unwrap();
    assert_eq!(disks(&resolved), [64, 128]);
    let simulated = text
        .replace("[\"bios\"]", "[\"bios\"]\nmachines = \"simulated\"")
        .replace("[boot]\nbios = \"pxelinux\"\n", "");
    insta::assert_snapshot!(render(&parse(&simulated).unwrap_err()));
    let many = changed("2048", &format!("2048\ndisks_mib = {:?}", [64; 27]));
    insta::assert_snapshot!(render(&parse(&many).unwrap_err()));
}

#[test]
fn a_network_without_a_dhcp_server_of_ours_is_a_scenario_too() {
    for services in [
        "dhcp = \"none\"",
        "dhcp = \"none\"\nproxy_dhcp = \"boot-server\"",
    ] {
        let scenario = parse(&changed("dhcp = \"boot-server\"", services)).unwrap();
        assert_eq!(scenario.services.dhcp, DhcpService::None);
    }
}

#[test]
fn a_resolved_scenario_reads_as_itself() {
    for text in [
        GOOD.to_owned(),
        changed(
            "dhcp = \"boot-server\"\n\n[boot]\nbios = \"pxelinux\"",
            "dhcp = \"libvirt\"\npixiecore = { command = [\"pixiecore\", \"api\", \"{api}\"] }",
        ),
    ] {
        let scenario = parse(&text).unwrap();
        assert_eq!(parse(&scenario.to_toml().unwrap()).unwrap(), scenario);
    }
}

/// A scenario folder with a data directory that has all it needs.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("scenario.toml", GOOD);
    write(
        "data/config.yaml",
        "---\napi_version: v1alpha1\ngroups:\n  - name: node1\n    spec: one\n    require:\n      uuid: 1\n  - name: node2\n    spec: two\n",
    );
    write(
        "data/specs/one/spec.json",
        r#"{"id": "one", "cloud_id": "node1.yaml"}"#,
    );
    write(
        "data/specs/two/spec.json",
        r#"{"id": "two", "ignition_id": "two.json"}"#,
    );
    write("data/cloud/node1.yaml", "#cloud-config\n");
    write("data/ignition/two.json", "{}");
    dir
}

/// The report on the folder, with the folder's own name taken out.
fn folder_report(dir: &tempfile::TempDir) -> String {
    let invalid = Scenario::load(dir.path()).expect_err("the folder should be refused");
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut text = String::new();
    handler
        .with_width(400)
        .render_report(&mut text, &invalid)
        .unwrap();
    text.replace(dir.path().to_str().unwrap(), "DIR")
        .replace(name, "NAME")
}

#[test]
fn a_folder_that_has_everything_is_loaded() {
    let dir = folder();
    let scenario = Scenario::load(dir.path()).unwrap();
    assert!(scenario.data_dir().join("config.yaml").is_file());
}

#[test]
fn data_directory_in_matchbox_layout_has_what_is_named() {
    let dir = folder();
    let data = dir.path().join("data");
    fs::remove_file(data.join("config.yaml")).unwrap();
    fs::remove_dir_all(data.join("specs")).unwrap();
    let write = |file: &str, text: &str| {
        fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
        fs::write(data.join(file), text).unwrap();
    };
    let one = r#"{"id":"one","cloud_id":"node1.yaml"}"#;
    write(
        "groups/node1.json",
        r#"{"id":"node1","profile":"one","selector":{"uuid":"1"}}"#,
    );
    write("groups/node2.json", r#"{"id":"node2","profile":"two"}"#);
    write("profiles/one.json", one);
    write(
        "profiles/two.json",
        r#"{"id":"two","ignition_id":"two.json"}"#,
    );
    Scenario::load(dir.path()).unwrap();
    fs::remove_file(data.join("profiles/one.json")).unwrap();
    let report = folder_report(&dir);
    assert!(report.contains("profiles/one.json"), "{report}");
    write("profiles/one.json", one);
    fs::remove_file(data.join("groups/node2.json")).unwrap();
    let report = folder_report(&dir);
    insta::assert_snapshot!(report, @r#"
    lab::invalid_scenario

      × 1 problem in scenario `NAME`

    Error: 
      × unknown group: `node2`
        ╭─[DIR/scenario.toml:38:9]
     37 │ matched_by = "mac"
     38 │ group = "node2"
        ·         ───┬───
        ·            ╰── unknown
     39 │ units_active = ["lab-node2.service"]
        ╰────
      help: did you mean `node1`?
    "#);
}

#[test]
fn a_folder_without_scenario_toml_is_refused() {
    let dir = folder();
    fs::remove_file(dir.path().join("scenario.toml")).unwrap();
    insta::assert_snapshot!(folder_report(&dir));
}

#[test]
fn each_missing_data_file_is_named() {
    for missing in [
        "data/config.yaml",
        "data/specs/one/spec.json",
        "data/cloud/node1.yaml",
        "data/ignition/two.json",
    ] {
        let dir = folder();
        fs::remove_file(dir.path().join(missing)).unwrap();
        let name = missing.replace(['/', '.'], "-");
        insta::assert_snapshot!(format!("missing {name}"), folder_report(&dir));
    }
    let dir = folder();
    fs::remove_dir_all(dir.path().join("data")).unwrap();
    insta::assert_snapshot!("missing data", folder_report(&dir));
}

#[test]
fn a_group_that_is_not_in_the_config_is_named() {
    let dir = folder();
    fs::write(
        dir.path().join("scenario.toml"),
        changed("group = \"node2\"", "group = \"nod2\""),
    )
    .unwrap();
    insta::assert_snapshot!(folder_report(&dir));
}

#[test]
fn a_broken_config_and_a_broken_spec_are_shown_at_their_line() {
    let dir = folder();
    fs::write(
        dir.path().join("data/config.yaml"),
        "groups:\n  - name: node1\n    sepc: one\n",
    )
    .unwrap();
    insta::assert_snapshot!(folder_report(&dir));
    let dir = folder();
    fs::write(
        dir.path().join("data/specs/one/spec.json"),
        "{\"id\": \"one\",\n  cloud_id: 1}",
    )
    .unwrap();
    insta::assert_snapshot!(folder_report(&dir));
}

#[test]
fn a_missing_data_file_is_no_matter_when_the_data_is_not_looked_at() {
    let dir = folder();
    fs::remove_file(dir.path().join("data/cloud/node1.yaml")).unwrap();
    assert!(Scenario::load_with(dir.path(), DataCheck::Skip).is_ok());
}

#[test]
fn scenarios_are_chosen_by_name_each_once() {
    let scenario = |name: &str| Scenario {
        name: name.into(),
        ..parse(GOOD).unwrap()
    };
    let all = || vec![scenario("a"), scenario("b"), scenario("pxe-dhcp")];
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let chosen = |list: &[&str]| -> Vec<String> {
        select(all(), &names(list))
            .unwrap()
            .into_iter()
            .map(|s| s.name)
            .collect()
    };
    assert_eq!(chosen(&[]), ["a", "b", "pxe-dhcp"]);
    assert_eq!(chosen(&["b", "a", "b"]), ["b", "a"]);
    let unknown = select(all(), &names(&["pxe-dchp"])).unwrap_err();
    insta::assert_snapshot!(render(&unknown));
}

#[test]
fn one_report_covers_every_scenario_of_a_folder() {
    let root = tempfile::tempdir().unwrap();
    for (name, mode) in [("a", "9"), ("b", "0644"), ("c", "7")] {
        let dir = root.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("scenario.toml"), changed("0644", mode)).unwrap();
    }
    let invalid = load_all(root.path(), DataCheck::Skip).unwrap_err();
    assert_eq!(invalid.problems.len(), 2);
    let (valid, invalid) = load_valid(root.path(), DataCheck::Skip);
    assert_eq!(
        valid.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(invalid.unwrap().problems.len(), 2);
    fs::remove_dir_all(root.path().join("a")).unwrap();
    fs::remove_dir_all(root.path().join("c")).unwrap();
    let all = load_all(root.path(), DataCheck::Skip).unwrap();
    assert_eq!(
        all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
}

#[test]
fn a_file_of_a_service_lies_in_the_scenarios_folder_and_has_to_be_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/libvirt-guide");
    let guide = Scenario::load_with(&folder, DataCheck::Strict).unwrap();
    let conf = guide.services.dnsmasq_conf.unwrap();
    assert!(conf.is_absolute() && conf.ends_with("libvirt-guide/dnsmasq.conf"));

    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(
        folder.join("scenario.toml"),
        copy.path().join("scenario.toml"),
    )
    .unwrap();
    assert!(Scenario::load_with(copy.path(), DataCheck::Skip).is_ok());
    let error = Scenario::load_with(copy.path(), DataCheck::Strict).unwrap_err();
    let said = render(&error);
    let said = said.replace(&copy.path().display().to_string(), "FOLDER");
    let name = copy.path().file_name().unwrap().to_string_lossy();
    insta::assert_snapshot!(said.replace(&*name, "NAME"));
}
