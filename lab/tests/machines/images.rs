//! An image of the user's own takes the place of the one that a scenario names.

use std::fs;

use serde_json::Value;

use crate::own_image::{Own, simulated};
use crate::support::printed;

#[test]
fn an_image_of_ones_own_takes_the_place_of_the_one_that_the_scenario_names() {
    let (own, scenarios) = (Own::new("flatcar"), simulated());
    let fetched = own.images(&["fetch", "mine"]);
    assert!(fetched.status.success(), "{}", printed(&fetched));
    let verified = own.images(&["verify", "mine"]);
    assert!(verified.status.success(), "{}", printed(&verified));
    let output = own.run(&scenarios, "mine");
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert_eq!(
        scenarios.verdict("one@bios")["verdict"],
        "pass",
        "{}",
        printed(&output)
    );
    let latest = scenarios.artifacts().join("latest");
    let run: Value = serde_json::from_slice(&fs::read(latest.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["units"][0]["image"], "mine@7");
    // The kernel was asked for by the name that the spec has, and with Flatcar's options.
    let spec = fs::read(latest.join("scenarios/one/data/specs/node1/spec.json")).unwrap();
    let spec: Value = serde_json::from_slice(&spec).unwrap();
    let has = |option: &str| spec["boot"]["cmdline"].get(option).is_some();
    assert!(
        has("flatcar.first_boot") && !has("coreos.first_boot"),
        "{spec:#}"
    );
}
