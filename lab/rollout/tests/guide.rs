//! The lists of machines in `docs/rollout.md` are such lists.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use rollout::inventory::Format;
use rollout::inventory::read::read_text;

/// The blocks of a language in the guide.
fn blocks(language: &str) -> Vec<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rollout.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let begin = format!("```{language}\n");
    let parts = guide.split(&begin).skip(1);
    parts
        .map(|part| part.split("\n```").next().unwrap().to_owned() + "\n")
        .collect()
}

#[test]
fn the_lists_in_the_guide_are_read() {
    for (language, format) in [("toml", Format::Toml), ("csv", Format::Csv)] {
        let blocks = blocks(language);
        assert!(!blocks.is_empty(), "{language}");
        for block in blocks {
            let listed = read_text(Path::new("machines"), &block, format).unwrap();
            assert!(!listed.inventory.machines.is_empty());
        }
    }
    let full = read_text(Path::new("machines"), &blocks("toml")[0], Format::Toml).unwrap();
    let machine = &full.inventory.machines[0];
    assert_eq!((machine.memory_mib, machine.cpus), (Some(65536), Some(32)));
    assert_eq!(machine.disks_gib, [480, 2048]);
}
