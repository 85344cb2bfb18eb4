//! Directories with which nothing is wrong.

use std::path::Path;

use rollout::validate::{Level, Report, Request, report, validate};

use super::{INITRD, folders, machines, project, write_assets};

fn validated(folder: &Path) -> Report {
    let assets = tempfile::tempdir().unwrap();
    write_assets(assets.path());
    // The lab makes this initrd of `https-boot` for each run.
    std::fs::copy(
        assets.path().join(INITRD),
        assets.path().join("authority.cpio"),
    )
    .unwrap();
    let listed = machines(folder);
    validate(&Request {
        root: folder.join("data"),
        machines: listed.as_ref(),
        assets: Some(assets.path().to_owned()),
        ..Request::default()
    })
}

/// A scenario whose business is every key of cloud-config, or a guide of its time, has those as well that are not for
/// images of today.
const DEPRECATED: &str = "cloud-config-deprecated";

#[test]
fn the_scenarios_have_no_error_and_no_warning() {
    let scenarios = folders(&project().join("scenarios"));
    let scenarios: Vec<_> = scenarios
        .iter()
        .filter(|f| f.join("data").is_dir())
        .collect();
    assert!(scenarios.len() >= 4, "{scenarios:?}");
    for scenario in scenarios {
        let mut report = validated(scenario);
        if [
            "cloud-config-full",
            "ignition",
            "libvirt-guide",
            "libvirt-guide-alone",
        ]
        .iter()
        .any(|name| scenario.ends_with(name))
        {
            let found = report.findings.len();
            report
                .findings
                .retain(|finding| finding.rule.id != DEPRECATED);
            assert_ne!(report.findings.len(), found, "{}", scenario.display());
        }
        expect_good(&report, scenario);
    }
}

#[test]
fn the_rollouts_have_no_error_and_no_warning_and_know_their_machines() {
    let rollouts = folders(&project().join("scenarios/rollout"));
    assert!(rollouts.len() >= 6, "{rollouts:?}");
    for rollout in rollouts {
        let report = validated(&rollout);
        expect_good(&report, &rollout);
        assert!(report.machines >= 3, "{}", rollout.display());
    }
}

fn expect_good(report: &Report, folder: &Path) {
    assert!(report.groups > 0, "{}", folder.display());
    let bad = report
        .findings
        .iter()
        .any(|finding| finding.level() > Level::Info);
    assert!(!bad, "{}:\n{}", folder.display(), report::text(report));
}
