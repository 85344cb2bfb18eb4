//! From a query string to [`Labels`], read as Go's `net/url` and `net.ParseMAC` read it.
//!
//! Existing scripts rely on the details: the first of several values counts, a pair with a bad
//! escape or a `;` is dropped, a MAC may come in any of Go's notations.

use super::Labels;

/// Bytes of the address lengths that `net.ParseMAC` accepts: EUI-48, EUI-64, IP over InfiniBand.
const HARDWARE_ADDRESS_LENGTHS: [usize; 3] = [6, 8, 20];

impl Labels {
    /// Reads the labels of a request from its raw query (without the `?`).
    pub fn from_query(query: &str) -> Labels {
        let mut labels = Labels::default();
        // `mac` keys whose first value is not a MAC address; later values of the same key do not count either.
        let mut dropped: Vec<String> = Vec::new();
        for (key, value) in query_pairs(query) {
            if labels.0.contains_key(&key) || dropped.contains(&key) {
                continue;
            }
            match normal_value(&key, value) {
                Some(value) => {
                    labels.0.insert(key, value);
                }
                None => dropped.push(key),
            }
        }
        labels
    }

    /// Reads a single label of a request from its raw query.
    pub fn one_of_query(query: &str, name: &str) -> Option<String> {
        let (key, value) = query_pairs(query).find(|(key, _)| key == name)?;
        normal_value(&key, value)
    }

    /// Returns the labels of a machine known only by its MAC, lowercase with colons.
    pub fn from_mac(mac: impl Into<String>) -> Labels {
        Labels([("mac".to_owned(), mac.into())].into())
    }

    /// Returns the value of a label; absent and empty are the same to a requirement.
    pub fn value(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
}

/// Returns the decoded `key=value` pairs of a query, in order, as Go's `url.ParseQuery` keeps them.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(key)?, unescape(value)?))
        })
}

/// Returns the normalised value of a label; `None` for a `mac` that is not a MAC address.
fn normal_value(key: &str, value: String) -> Option<String> {
    match key.eq_ignore_ascii_case("mac") {
        true => normal_mac(&value),
        false => Some(value),
    }
}

/// Decodes `%41` and `+`; `None` when an escape is incomplete. Bytes that are no UTF-8 are replaced.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into()))
}

/// Normalizes a hardware address in colon, hyphen (iPXE's `hexhyp`) or dotted notation to lowercase with
/// colons; `None` for other text.
pub fn normal_mac(text: &str) -> Option<String> {
    let (separator, width) = match text.bytes().position(|b| !b.is_ascii_hexdigit())? {
        2 => (text.get(2..3)?, 2),
        4 => (".", 4),
        _ => return None,
    };
    if !matches!(separator, ":" | "-" | ".") || (separator == "." && width == 2) {
        return None;
    }
    let mut digits = String::with_capacity(text.len());
    for part in text.split(separator) {
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        digits.extend(part.chars().map(|c| c.to_ascii_lowercase()));
    }
    if !HARDWARE_ADDRESS_LENGTHS.contains(&(digits.len() / 2)) {
        return None;
    }
    let mut mac = String::with_capacity(digits.len() * 3 / 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            mac.push(':');
        }
        mac.push(digit);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(query: &str) -> Vec<(String, String)> {
        Labels::from_query(query).0.into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn the_first_of_several_values_counts() {
        assert_eq!(labels("uuid=a&uuid=b"), [pair("uuid", "a")]);
        assert_eq!(labels("mac=garbage&mac=52:54:00:89:d8:10"), []);
    }

    proptest::proptest! {
        #[test]
        fn one_label_is_the_one_among_all(
            query in "(mac|MAC|m%61c|uuid|x|a;b|%4)?(=(52:54:00:89:d8:10|5254|u|%75|%|\\+)?)?(&(mac|MAC|m%61c|uuid|x)?(=(52-54-00-89-d8-11|u2|%75)?)?){0,4}",
        ) {
            let all = Labels::from_query(&query);
            for name in ["mac", "MAC", "uuid", "x", "y"] {
                let one = Labels::one_of_query(&query, name);
                proptest::prop_assert_eq!(one.as_ref(), all.0.get(name));
            }
        }
    }

    #[test]
    fn pairs_with_a_semicolon_or_a_broken_escape_are_dropped() {
        assert_eq!(labels("a=1;b=2&c=%4&d=%zz&e=%41+b"), [pair("e", "A b")]);
    }

    #[test]
    fn every_notation_of_a_mac_becomes_lowercase_with_colons() {
        for text in ["52:54:00:89:D8:10", "52-54-00-89-d8-10", "5254.0089.d810"] {
            assert_eq!(
                labels(&format!("mac={text}")),
                [pair("mac", "52:54:00:89:d8:10")]
            );
        }
        assert_eq!(
            normal_mac("0200.5e10.0000.0001").as_deref(),
            Some("02:00:5e:10:00:00:00:01")
        );
    }

    #[test]
    fn a_value_that_is_no_mac_drops_the_label() {
        for text in [
            "",
            "garbage",
            "52:54:00:89:d8",
            "52:54-00:89:d8:10",
            "52.54.00.89.d8.10",
            "525400.89d810",
            "52:54:00:89:d8:1",
            "5254:0089:d810",
            "52:54:00:89:d8:10:11",
        ] {
            assert_eq!(labels(&format!("mac={text}")), [], "{text}");
        }
    }

    #[test]
    fn a_key_in_capitals_is_normalised_but_keeps_its_name() {
        assert_eq!(
            labels("MAC=52-54-00-89-d8-10"),
            [pair("MAC", "52:54:00:89:d8:10")]
        );
    }
}
