//! Services of the user that are read as written, and their effect on the rest of the scenario.

use std::path::Path;

use super::super::{ConfigService, DhcpService, InvalidScenario, Scenario};
use super::*;

const STACK: &str = r#"summary = "Machines boot from Kea, a TFTP server and nginx"
firmware = ["bios", "uefi"]

[network]
subnet = "192.168.90.0/24"

[[service]]
name = "files"
command = ["nginx", "-p", "{state}", "-c", "{dir}/nginx.conf"]
plays = ["http"]
after = ["kea", "prepare"]
ready = { http = "http://{address}/", within_seconds = 5 }
restart = "always"
stop = "QUIT"

[[service]]
name = "kea"
command = ["/usr/sbin/kea-dhcp4", "-c", "{dir}/kea-dhcp4.json"]
plays = ["dhcp"]
address = "192.168.90.2"
ready = { log = "DHCP4_STARTED" }
user = "nobody"
env = { KEA_PIDFILE_DIR = "{state}" }
capabilities = ["CAP_NET_RAW", "net_bind_service"]

[[service]]
name = "prepare"
command = ["true"]
ready = { exit = 0 }

[[node]]
name = "node1"
uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b"
mac = "52:54:00:a1:9c:ae"
expect = { hostname = "node1" }
"#;

fn parse(text: &str) -> Result<Scenario, InvalidScenario> {
    Scenario::parse("mine", Path::new("scenarios/mine"), text)
}

#[test]
fn service_is_read_with_all_its_keys_and_needs_no_section_of_ours() {
    let scenario = parse(STACK).unwrap();
    assert_eq!(scenario.services.dhcp, DhcpService::None);
    assert!(!scenario.has_own_config());
    let kea = scenario.custom_service(Part::Dhcp).unwrap();
    assert_eq!(
        (kea.program(), kea.title()),
        ("kea-dhcp4", "kea (dhcp)".into())
    );
    assert_eq!(scenario.address_of(kea).to_string(), "192.168.90.2");
    let kept = kea.capabilities.as_ref().unwrap();
    assert_eq!(*kept, ["net_raw", "net_bind_service"]);
    let files = scenario.custom_service(Part::Http).unwrap();
    assert_eq!(scenario.address_of(files), scenario.network.host());
    assert_eq!(
        (files.restart, files.stop),
        (Restart::Always, StopSignal::Quit)
    );
    assert_eq!(files.ready.as_ref().unwrap().within, Duration::from_secs(5));
    let prepare = &scenario.custom_services[2];
    assert_eq!(prepare.title(), "prepare (true)");
    assert_eq!(prepare.ready.as_ref().unwrap().when, ReadyWhen::Exit(0));
}

#[test]
fn service_reads_back_from_the_resolved_scenario() {
    let scenario = parse(STACK).unwrap();
    let again = parse(&scenario.to_toml().unwrap()).unwrap();
    assert_eq!(again, scenario);
}

#[test]
fn start_order_is_after_the_named_services_and_else_as_written() {
    let scenario = parse(STACK).unwrap();
    let order = start_order(&scenario.custom_services);
    let names: Vec<&str> = order.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["kea", "prepare", "files"]);
}

#[test]
fn own_config_beside_a_service_runs_if_asked_for_or_needed() {
    let with = |services: &str| {
        let text = STACK
            .replace("plays = [\"dhcp\"]", "plays = []")
            .replace("[[node]]", &format!("[services]\n{services}\n[[node]]"));
        let text = text.replace(
            "{ hostname",
            "{ matched_by = \"mac\", group = \"a\", hostname",
        );
        parse(&text).unwrap()
    };
    assert!(!with("dhcp = \"none\"").has_own_config());
    assert!(with("dhcp = \"none\"\nconfig = \"boot-server\"").has_own_config());
    assert!(with("dhcp = \"boot-server\"").has_own_config());
    let none = with("dhcp = \"none\"\nconfig = \"none\"");
    assert_eq!(none.services.config, Some(ConfigService::None));
    assert!(!none.has_own_config());
}

#[test]
fn group_is_required_where_our_config_service_reports_it() {
    let text = STACK.replace("[[node]]", "[services]\nconfig = \"boot-server\"\n[[node]]");
    let invalid = parse(&text).unwrap_err();
    let told: Vec<String> = invalid.problems.iter().map(ToString::to_string).collect();
    let missing = |key: &str| format!("missing key `{key}` in [node.expect]");
    assert_eq!(told, [missing("matched_by"), missing("group")]);
}

#[test]
fn pool_leaves_out_addresses_of_services() {
    let pool = |address: &str| {
        let scenario = parse(&STACK.replace("192.168.90.2", address)).unwrap();
        let (first, last) = scenario.pool();
        format!("{first} {last}")
    };
    assert_eq!(pool("192.168.90.2"), "192.168.90.3 192.168.90.254");
    assert_eq!(pool("192.168.90.254"), "192.168.90.2 192.168.90.253");
    assert_eq!(pool("192.168.90.100"), "192.168.90.101 192.168.90.254");
}

#[test]
fn placeholder_is_replaced_and_other_braces_are_left() {
    let value = |placeholder: Placeholder| format!("<{}>", placeholder.word());
    let text = "{\"a\": \"{interface}\", \"b\": {dir}/${dir} {unheard} {{address}} {";
    let expanded = expand(text, value);
    assert_eq!(
        expanded,
        "{\"a\": \"<interface>\", \"b\": <dir>/${dir} {unheard} {<address>} {"
    );
}

#[test]
fn order_with_very_many_names_is_checked_at_once() {
    let mut text = STACK.to_owned();
    let names: Vec<String> = (0..60).map(|number| format!("s{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let before: Vec<String> = names
            .iter()
            .take(number)
            .map(|one| format!("{one:?}"))
            .collect();
        let after = before.join(", ");
        text.push_str(&format!(
            "[[service]]\nname = \"{name}\"\ncommand = [\"true\"]\nafter = [{after}]\n"
        ));
    }
    assert_eq!(parse(&text).unwrap().custom_services.len(), 63);
}

#[test]
fn parse_root_of_its_own_is_one_and_has_no_capabilities() {
    let with =
        |after: &str, keys: &str| parse(&STACK.replacen(after, &format!("{after}\n{keys}"), 1));
    let files = "stop = \"QUIT\"";
    let told = |invalid: InvalidScenario| {
        let problems = invalid.problems.iter();
        problems
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let image = "image = \"containers-storage:localhost/web:1\"";
    let scenario = with(files, image).unwrap();
    let web = &scenario.custom_services[0];
    assert!(web.has_root());
    assert_eq!(web.image_name(), Some("localhost/web:1"));
    assert!(with(files, "rootfs = \"web.tar\"").unwrap().custom_services[0].has_root());
    let both = told(with(files, &format!("{image}\nrootfs = \"web.tar\"")).unwrap_err());
    assert_eq!(both, "`image` together with `rootfs`");
    let pulled = told(with(files, "image = \"docker://web\"").unwrap_err());
    assert_eq!(pulled, "unsupported image: `docker://web`");
    let kea = "user = \"nobody\"";
    let limited = told(with(kea, "rootfs = \"kea.tar\"").unwrap_err());
    assert_eq!(
        limited,
        "unsupported: `capabilities` together with a root of its own"
    );
}
