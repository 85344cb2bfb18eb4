//! Query → labels: any query gives labels whose MACs are normalised, and the same ones each time.

use boot_server::catalog::Labels;

/// Reads the bytes as the part of a URL behind `?`.
pub(crate) fn check(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else {
        return;
    };
    let labels = Labels::from_query(query);
    for (key, value) in &labels.0 {
        if key.eq_ignore_ascii_case("mac") {
            // 6, 8 or 20 bytes: all that Go's ParseMAC takes.
            let pairs: Vec<&str> = value.split(':').collect();
            assert!(
                [6, 8, 20].contains(&pairs.len()),
                "a `mac` label is a MAC: {value}"
            );
            let lowercase_hex = |pair: &&str| {
                pair.len() == 2 && pair.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            };
            assert!(
                pairs.iter().all(lowercase_hex),
                "a `mac` label is normalised: {value}"
            );
        }
    }
    assert_eq!(labels, Labels::from_query(query));
}
