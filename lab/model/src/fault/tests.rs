//! `fault.toml`, what is wrong with it, and what a fault makes of its scenario.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use super::*;
use crate::diagnosis::Cause;
use crate::scenario::{DhcpService, Firmware};
use crate::timeline::StageName;
use crate::verdict::NodeVerdict;

const GOOD: &str = r#"summary = "Nobody answers"
scenario = "ipxe-chainload"
firmware = "bios"
nodes = ["node1"]
machines = "simulated"

[expect]
verdict = "fail"
stage = "dhcp"
cause = "no-dhcp-server"

[[change]]
file = "scenario.toml"
replace = 'dhcp = "boot-server"'
with = 'dhcp = "none"'

[server]
without = ["tftp"]

[server.set.dhcp]
probe_ms = 300

[link]
loss_percent = 5

[[barrier]]
protocol = "tcp"
port = 8080

[[station]]
role = "web"
address = "192.168.92.200"
stall_after = 1000

[kill]
after = "tftp_request"
"#;

/// The project's scenarios.
fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn parsed(text: &str) -> Result<Fault, String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("mine");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("fault.toml"), text).unwrap();
    load(Collection::Faults, &dir).map_err(|error| {
        let told = rendered(&error);
        told.replace(&folder.path().display().to_string(), "FOLDER")
    })
}

/// An error as a user sees it, without colours.
pub(super) fn rendered(error: &dyn Diagnostic) -> String {
    let mut told = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut told, error)
        .unwrap();
    told
}

/// The good fault with `from` replaced, which has to be there, refused.
fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "nothing to change: {from}");
    parsed(&GOOD.replacen(from, to, 1)).expect_err("the change should be refused")
}

#[test]
fn a_good_fault_is_read_whole() {
    let fault = parsed(GOOD).unwrap();
    let expected = Expectation::Fail {
        stage: StageName::Dhcp,
        cause: Cause::NoDhcpServer,
    };
    assert_eq!(fault.expect, expected);
    assert_eq!(fault.firmware, Firmware::Bios);
    assert!(!fault.machines.is_virtual());
    let injections = fault.injections;
    assert_eq!(injections.server.without, [ServerPart::Tftp]);
    assert!(injections.server.set.contains_key("dhcp"));
    assert_eq!(injections.link.unwrap().loss_percent, 5);
    assert_eq!(injections.barriers.len(), 1);
    let web = Role::Web(WebFlaw::StallAfter(1000));
    assert_eq!(injections.stations.first().unwrap().role, web);
    let moment = injections.kill.unwrap().moment;
    assert!(matches!(moment, Moment::Event { name, .. } if name == "tftp_request"));
}

#[test]
fn load_kill_of_a_service_has_its_name_and_a_stage() {
    let of_service = |keys: &str| GOOD.replace("after = \"tftp_request\"", keys);
    let fault = parsed(&of_service("service = \"files\"\nstage = \"kernel\"")).unwrap();
    let kill = fault.injections.kill.unwrap();
    assert_eq!(kill.service(), Some("files"));
    let stage = StageName::Kernel;
    assert!(matches!(kill.moment, Moment::Stage { stage: found, .. } if found == stage));
    // Nothing at the machine's port begins the stage `checks`.
    let told = parsed(&of_service("service = \"files\"\nstage = \"checks\"")).unwrap_err();
    assert!(
        told.contains("`checks`") && told.contains("`ignition`"),
        "{told}"
    );
    assert!(
        parsed(&of_service("service = \"files\""))
            .unwrap_err()
            .contains("stage")
    );
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_was_meant() {
    insta::assert_snapshot!(refused("loss_percent", "los_percent"));
    insta::assert_snapshot!(refused("no-dhcp-server", "no-dhcp-servers"));
}

#[test]
fn mistakes_of_all_kinds_are_refused() {
    let mistakes = [
        ("stage = \"dhcp\"\n", ""),
        ("firmware = \"bios\"", "firmware = \"bois\""),
        ("nodes = [\"node1\"]", "nodes = []"),
        ("stall_after = 1000", ""),
        ("stall_after = 1000", "stall_after = 1\nstatus = 503"),
        ("192.168.92.200", "192.168.92.300"),
        ("loss_percent = 5", "loss_percent = 500"),
        ("file = \"scenario.toml\"", "file = \"../x\""),
        ("summary", "smmary"),
    ];
    let listed = mistakes.map(|(from, to)| {
        let told = refused(from, to);
        format!("# {from} → {to}\n{}\n", told.trim_end())
    });
    insta::assert_snapshot!(listed.join("\n"));
}

#[test]
fn a_fault_that_breaks_nothing_is_refused() {
    let (head, _) = GOOD.split_once("[[change]]").unwrap();
    let told = parsed(head).unwrap_err();
    insta::assert_snapshot!(told);
}

#[test]
fn a_fault_is_its_scenario_with_the_change_made_and_only_its_nodes() {
    let fault = parsed(GOOD).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (broken, injections) = materialise(
        &fault,
        &scenarios(),
        &folder.path().join("broken"),
        Treatment::Broken,
    )
    .unwrap();
    assert_eq!(broken.name, "fault/mine");
    assert_eq!(broken.services.dhcp, DhcpService::None);
    assert_eq!(broken.nodes.len(), 1);
    assert_eq!(broken.firmware, [Firmware::Bios]);
    assert_eq!(injections, fault.injections);

    let (control, injections) = materialise(
        &fault,
        &scenarios(),
        &folder.path().join("control"),
        Treatment::Control,
    )
    .unwrap();
    assert_eq!(control.services.dhcp, DhcpService::BootServer);
    assert_eq!(injections, Injections::default());
}

#[test]
fn a_change_of_text_that_is_not_there_is_an_error() {
    let mut fault = parsed(GOOD).unwrap();
    fault.changes = vec![Change {
        file: "data/config.yaml".into(),
        edit: Edit::Replace {
            from: "no such text".into(),
            to: String::new(),
        },
    }];
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("broken");
    let error = materialise(&fault, &scenarios(), &place, Treatment::Broken).unwrap_err();
    assert!(matches!(error, OverlayError::NotThere { .. }), "{error}");
    fault.changes.clear();
    fault.nodes = vec!["node9".into()];
    let error = materialise(&fault, &scenarios(), &place, Treatment::Broken).unwrap_err();
    assert!(
        matches!(&error, OverlayError::NoNode { node, .. } if node == "node9"),
        "{error}"
    );
}

#[test]
fn every_fault_of_the_project_fits_its_scenario() {
    for (root, least) in [(scenarios(), 25), (scenarios().join("systems"), 6)] {
        let faults = load_all(Collection::Faults, &root.join("faults")).unwrap();
        assert!(faults.len() >= least, "{}", faults.len());
        let folder = tempfile::tempdir().unwrap();
        for fault in faults {
            let place = folder.path().join(&fault.name);
            let made = materialise(&fault, &root, &place, Treatment::Broken);
            assert!(made.is_ok(), "{}", made.unwrap_err());
        }
    }
}

#[test]
fn only_the_expected_stage_and_cause_are_right() {
    let expected = Expectation::Fail {
        stage: StageName::Dhcp,
        cause: Cause::NoDhcpServer,
    };
    let fail = |stage| NodeVerdict::Fail {
        stage,
        waited_for: String::new(),
        why: "why".into(),
        missing: Vec::new(),
    };
    let is = |verdict: &NodeVerdict, causes: &[Cause]| found(verdict, causes).is(&expected);
    let ranked = [Cause::NoDhcpServer, Cause::PacketLoss];
    assert!(is(&fail(StageName::Dhcp), &ranked));
    assert!(!is(&fail(StageName::Nbp), &ranked), "another stage");
    assert!(!is(
        &fail(StageName::Dhcp),
        &[Cause::PacketLoss, Cause::NoDhcpServer]
    ));
    assert!(!is(&fail(StageName::Dhcp), &[]), "no cause");
    assert!(!is(&NodeVerdict::Pass, &[]), "a false pass");
    assert!(found(&NodeVerdict::Pass, &[]).is(&Expectation::Pass));
    assert!(!found(&fail(StageName::Dhcp), &ranked).is(&Expectation::Pass));
    let broken = NodeVerdict::Infra { why: "x".into() };
    assert!(!found(&broken, &[Cause::Infrastructure]).is(&expected));
    assert!(!found(&broken, &[]).is(&Expectation::Pass));
}
