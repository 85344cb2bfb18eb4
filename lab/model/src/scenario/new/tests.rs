//! Tests of new scenarios: no placeholder is left, and names and identities are valid.

use super::*;

#[test]
fn no_placeholder_is_left() {
    for kind in Kind::ALL {
        let nodes = Identity::pair([Uuid::from_u128(1), Uuid::from_u128(2)]);
        for (path, text) in kind.files("first-try", &nodes) {
            let left = text.split('@').nth(1).filter(|word| {
                !word.is_empty()
                    && word
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            });
            assert_eq!(left, None, "{kind:?}: {}", path.display());
        }
    }
}

#[test]
fn two_scenarios_share_no_identity() {
    let one = Identity::pair([Uuid::new_v4(), Uuid::new_v4()]);
    let other = Identity::pair([Uuid::new_v4(), Uuid::new_v4()]);
    let all = [&one[0], &one[1], &other[0], &other[1]];
    for (index, identity) in all.iter().enumerate() {
        for later in &all[index + 1..] {
            assert_ne!(identity.uuid, later.uuid);
            assert_ne!(identity.mac, later.mac);
        }
    }
}

#[test]
fn a_name_has_to_fit_into_a_host_name() {
    for good in ["a", "rack-7", "x2"] {
        assert_eq!(check_name(good), Ok(()));
    }
    let long = "a".repeat(41);
    for bad in [
        "",
        "..",
        "a/b",
        "Rack",
        "a b",
        "-a",
        "a-",
        "ü",
        "_templates",
        &long,
    ] {
        assert_eq!(check_name(bad), Err(BadName(bad.into())));
    }
}
