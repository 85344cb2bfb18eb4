//! Failures of cloud-init, by consoles of real machines with Debian's 22.4.2 (`scenarios/systems/faults`).

use super::inside::answers;
use super::*;

const SEED: &str = "/nocloud/uuid=1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11";

/// The machine loads its user-data, and its console goes on so.
fn took(lines: &[&str]) -> Story {
    let mut story = answers(&format!("{SEED}/user-data"), 200, "node1.yaml");
    for line in lines {
        story.console(line);
    }
    story
}

#[test]
fn user_data_of_an_unknown_kind_is_refused() {
    let warning = "Unhandled non-multipart (text/x-not-multipart) userdata: 'b'#clod-config'...'";
    let story = took(&[
        &format!(
            "[   46.090852] cloud-init[206]: 2026-12-01 00:43:29,418 - __init__.py[WARNING]: {warning}"
        ),
        "[   73.013381] cloud-init[293]: Cloud-init v. 22.4.2 finished at Tue, 01 Dec 2026 00:43:56 +0000. \
         Datasource DataSourceNoCloudNet [seed=cmdline,http://192.168.92.1/][dsmode=net].  Up 72.94 seconds",
    ]);
    story.is_explained(Cause::ConfigRefused, &["node1.yaml", warning]);
}

#[test]
fn cloud_config_that_is_not_yaml_is_refused_at_its_line() {
    let story = took(&[
        "[   51.046913] cloud-init[206]: 2026-12-01 00:45:29,868 - util.py[WARNING]: Failed loading yaml blob. \
         Invalid format at line 2 column 22: \"mapping values are not allowed here",
        "[   51.282123] cloud-init[206]: 2026-12-01 00:45:30,104 - cloud_config.py[WARNING]: Failed at merging \
         in cloud config part from part-001: empty cloud config",
    ]);
    story.is_explained(
        Cause::ConfigRefused,
        &["Invalid format at line 2 column 22"],
    );
}

#[test]
fn command_that_fails_is_a_failed_step_although_the_config_was_taken() {
    let story = took(&[
        "[   81.526516] cloud-init[284]: 2026-12-01 00:44:06,293 - cc_scripts_user.py[WARNING]: Failed to run \
         module scripts-user (scripts in /var/lib/cloud/instance/scripts)",
        "[   83.191175] cloud-init[284]: Cloud-init v. 22.4.2 finished at Tue, 01 Dec 2026 00:44:07 +0000. \
         Datasource DataSourceNoCloudNet [seed=cmdline,http://192.168.92.1/][dsmode=net].  Up 83.10 seconds",
        "[FAILED] Failed to start cloud-final.service.",
    ]);
    story.is_explained(
        Cause::ConfigStepFailed,
        &["Failed to run module scripts-user"],
    );
}

#[test]
fn seed_that_was_loaded_and_not_used_is_ignored() {
    let ended = "[   67.638897] cloud-init[257]: Cloud-init v. 22.4.2 finished at Tue, 01 Dec 2026 00:43:53 \
                 +0000. Datasource DataSourceNone.  Up 67.59 seconds";
    let mut story = took(&[
        ended,
        "[   67.675230] cloud-init[257]: 2026-12-01 00:43:53,973 - cc_final_message.py[WARNING]: Used \
         fallback datasource",
    ]);
    let option = format!("ds=nocloud;s=http://192.168.92.1:8080{SEED}/");
    story.node.expect.kernel_options.push(option);
    let found = story.is_explained(Cause::SeedIgnored, &["did not use it", "DataSourceNone"]);
    assert!(found.remedy.contains("ds=nocloud-net;s="), "{found:?}");
}

#[test]
fn seed_url_without_a_slash_is_wrong_and_not_a_missing_config() {
    let mut story = answers(&format!("{SEED}meta-data"), 404, "no file of a seed");
    if let Observation::Server { entry, .. } = &mut story.attempt.records.last_mut().unwrap().seen
        && let BootEvent::HttpRequest { query, .. } = &mut entry.what
    {
        // cloud-init sends no query unless its URL has one.
        query.clear();
    }
    story.is_explained(
        Cause::ConfigUrlWrong,
        &["no `/` at its end", "cloud-init appended `meta-data`"],
    );
    let story = answers(&format!("{SEED}/user-data"), 404, "file not found");
    story.is_explained(Cause::ConfigNotFound, &["file not found"]);
}
