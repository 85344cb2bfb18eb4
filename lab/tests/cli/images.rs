//! Images of the user's own that are refused before anything is started.

use std::fs;
use std::process::Output;

use crate::own_image::{Own, simulated};
use crate::support::{Scenarios, printed};

fn is_refused(output: &Output, scenarios: &Scenarios, said: &[&str]) {
    let all = printed(output);
    assert_eq!(output.status.code(), Some(2), "{all}");
    for said in said {
        assert!(all.contains(said), "no `{said}` in:\n{all}");
    }
    assert!(
        !scenarios.artifacts().exists(),
        "a refused run leaves no artifacts"
    );
}

#[test]
fn an_image_that_is_not_in_the_cache_is_refused_with_the_command_that_fetches_it() {
    let (own, scenarios) = (Own::new("flatcar"), simulated());
    let said = ["image not in the cache: `mine`", "lab images fetch mine"];
    is_refused(&own.run(&scenarios, "mine"), &scenarios, &said);
    let said = ["unknown image `mien`", "did you mean `mine`?"];
    is_refused(&own.run(&scenarios, "mien"), &scenarios, &said);
}

#[test]
fn an_image_whose_system_cannot_do_what_the_scenario_asks_for_is_refused() {
    let (own, scenarios) = (Own::new("fedora-coreos"), simulated());
    let fetched = own.images(&["fetch", "mine"]);
    assert!(fetched.status.success(), "{}", printed(&fetched));
    let said = [
        "`cloud-config-url",
        "mine@7",
        "Fedora CoreOS does not support cloud-config",
    ];
    is_refused(&own.run(&scenarios, "mine"), &scenarios, &said);
}

#[test]
fn a_mistake_in_ones_own_catalog_is_told_with_file_line_and_column() {
    let own = Own::new("flatcra");
    let output = own.images(&["list"]);
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(2), "{all}");
    for said in [
        "images.toml:2:10",
        "unknown value `flatcra`",
        "did you mean",
        "`flatcar`",
    ] {
        assert!(all.contains(said), "no `{said}` in:\n{all}");
    }
}

#[test]
fn a_file_that_is_not_as_its_hash_says_is_no_success_and_is_cleared_with_what_nobody_has() {
    let own = Own::new("flatcar");
    let kernel = own.folder.path().join("flatcar_production_pxe.vmlinuz");
    fs::write(&kernel, "another").unwrap();
    let output = own.images(&["fetch", "mine"]);
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(100), "{all}");
    assert!(all.contains("(SHA-256 mismatch: "), "{all}");
    let output = own.images(&["gc"]);
    assert!(output.status.success(), "{}", printed(&output));
    let objects = own.folder.path().join("cache/images/store/sha256");
    let left = fs::read_dir(objects).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the initrd was good, and belongs to no image");
}
