//! Tests of the JSON reader against Go's rules.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Sample {
    id: String,
    selector: BTreeMap<String, String>,
    metadata: serde_json::Map<String, Value>,
    boot: Option<Boot>,
    count: u32,
    on: bool,
    any: Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Boot {
    kernel: String,
    initrd: Option<Vec<String>>,
}

fn sample(text: &str) -> Sample {
    from_str(text).unwrap()
}

#[test]
fn key_in_any_case_is_the_field_and_map_keys_stay() {
    let read = sample(r#"{"ID":"a","sElector":{"Mac":"x"},"BOOT":{"Kernel":"k","INITRD":["i"]}}"#);
    assert_eq!(read.id, "a");
    assert_eq!(read.selector, BTreeMap::from([("Mac".into(), "x".into())]));
    let boot = read.boot.unwrap();
    assert_eq!(
        (boot.kernel.as_str(), boot.initrd),
        ("k", Some(vec!["i".into()]))
    );
    // As Go folds letters.
    assert_eq!(
        sample("{\"\u{17f}elector\":{\"a\":\"b\"}}").selector.len(),
        1
    );
    assert_eq!(
        sample("{\"boot\":{\"\u{212a}ernel\":\"k\"}}")
            .boot
            .unwrap()
            .kernel,
        "k"
    );
    assert_eq!(sample(r#"{"selectors":{"a":"b"}}"#), Sample::default());
}

#[test]
fn key_given_twice_last_one_counts_and_maps_are_merged() {
    let read = sample(
        r#"{"id":"a","ID":"b","id":null,"selector":{"a":"1","b":"1"},"Selector":{"b":"2"},
            "boot":{"kernel":"k"},"boot":{"initrd":["i"]},"metadata":{"x":{"y":1},"x":{"z":2}}}"#,
    );
    assert_eq!(read.id, "b");
    let both = BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(read.selector, both);
    let boot = read.boot.unwrap();
    assert_eq!(
        (boot.kernel.as_str(), boot.initrd),
        ("k", Some(vec!["i".into()]))
    );
    assert_eq!(Value::Object(read.metadata), json!({"x": {"z": 2}}));
    assert_eq!(sample(r#"{"boot":{"kernel":"k"},"boot":null}"#).boot, None);
}

#[test]
fn null_leaves_every_value_at_its_default() {
    let text = r#"{"id":null,"selector":null,"metadata":null,"boot":null,"count":null,"on":null}"#;
    assert_eq!(sample(text), Sample::default());
    assert_eq!(sample(r#"{"selector":{"mac":null}}"#).selector["mac"], "");
    assert_eq!(
        sample(r#"{"boot":{"initrd":[null]}}"#)
            .boot
            .unwrap()
            .initrd
            .unwrap(),
        [""]
    );
    assert_eq!(sample("null"), Sample::default());
}

#[test]
fn half_a_character_becomes_the_replacement_character() {
    for (written, read) in [
        (r"\ud800", "\u{fffd}"),
        (r"\udc00x", "\u{fffd}x"),
        (r"\ud800\u0041", "\u{fffd}A"),
        (r"\ud800\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud83d\ude00", "\u{1f600}"),
        (r"\\ud800", r"\ud800"),
        (r"\uD800\n", "\u{fffd}\n"),
    ] {
        let text = format!(r#"{{"id":"{written}","any":{{"k":["{written}"]}}}}"#);
        let sample = sample(&text);
        assert_eq!(sample.id, read, "{written}");
        assert_eq!(sample.any, json!({"k": [read]}), "{written}");
    }
}

#[test]
fn wrong_shape_is_refused_at_its_place() {
    for (text, line, column) in [
        ("[]", 1, 1),
        ("\"x\"", 1, 1),
        ("{\"a\":1,\n \"id\": 7}", 2, 8),
        ("{\"selector\":{\n\"n\": 1}}", 2, 6),
        ("{\"selector\":[]}", 1, 13),
        ("{\"boot\":[]}", 1, 9),
        ("{\"boot\":{\"initrd\":\n\"x\"}}", 2, 1),
        ("{\"boot\":{\"initrd\":[\"a\",\n {}]}}", 2, 2),
        ("{\"count\": -1}", 1, 11),
        ("{\"on\": \"yes\"}", 1, 8),
    ] {
        let error = from_str::<Sample>(text).unwrap_err();
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{text}: {error}"
        );
        assert!(!error.is_syntax, "{text}");
    }
}

#[test]
fn text_that_is_not_json_is_refused_at_its_place() {
    for (text, line) in [("", 1), ("{\n\"id\":\n", 3), ("{} x", 1), ("{\"a\":1,}", 1)] {
        let error = from_str::<Sample>(text).unwrap_err();
        assert_eq!(
            (error.line, error.is_syntax),
            (line, true),
            "{text}: {error}"
        );
    }
}

#[test]
fn first_value_of_a_stream_is_read_and_the_rest_left() {
    let read: Sample = first_from_slice(b" {\"id\":\"a\xff\"} {\"id\":").unwrap();
    assert_eq!(read.id, "a\u{fffd}");
    assert!(first_from_slice::<Sample>(b"").unwrap_err().is_syntax);
    assert!(first_from_slice::<Sample>(b"[] {}").is_err());
}

#[test]
fn keys_are_listed_with_their_places() {
    let text =
        "{\"a\": {\"x\": [1, {\"no\": 2}]},\n \"Boot\": {\"k\\\"\": 1}, \"boot\": {\"l\": 2}}";
    let names = |within| -> Vec<(String, usize, usize)> {
        let keys = keys(text, within).into_iter();
        keys.map(|key| (key.name, key.line, key.column)).collect()
    };
    assert_eq!(
        names(None),
        [
            ("a".into(), 1, 2),
            ("Boot".into(), 2, 2),
            ("boot".into(), 2, 22)
        ]
    );
    assert_eq!(
        names(Some("boot")),
        [("k\"".into(), 2, 11), ("l".into(), 2, 31)]
    );
    assert_eq!(place_of_key(text, "BOOT"), Some((2, 2)));
    assert_eq!(place_of_key(text, "none"), None);
}

proptest::proptest! {
    #[test]
    fn any_json_is_read_as_serde_json_reads_it(
        texts in proptest::collection::vec("\\PC{0,9}", 0..6),
        numbers in proptest::collection::vec(proptest::num::i32::ANY, 0..3),
    ) {
        let json = json!({"id": texts.concat(), "metadata": {"t": texts, "n": numbers, "o": {"p": {}, "l": []}}});
        for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
            let read: Sample = from_str(&text).unwrap();
            proptest::prop_assert_eq!(json!({"id": read.id, "metadata": read.metadata}), json.clone());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\":,a\\\\u\\dd8 \n]{0,40}") {
        let ours = from_str::<Value>(&text);
        let theirs = serde_json::from_str::<Value>(&text);
        // Half a character is the only thing that we take and serde_json does not.
        proptest::prop_assert!(ours.is_ok() || theirs.is_err());
    }
}
