//! Butane configs against what `butane` v0.29.0 and matchbox 0.11.0 made of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write;
use std::io::Read;

use flate2::read::GzDecoder;
use ignition_translate::{
    Finding, Options, Output, Refusal, Severity, Translation, translate_butane,
};
use serde_json::Value;
use support::{compare, folder};

/// Configs whose results differ on purpose, and why.
const CONFIGS: &[(&str, &str)] = &[
    ("butane-configs-0800", NESTED),
    ("butane-configs-0801", NESTED),
];
const NESTED: &str =
    "an error in a nested config is reported at the nested config, not at line 1 of the text";
const VERSION_MATRIX: &[(&str, &str)] = &[];

/// Configs that are served differently on purpose, and why.
const SERVED: &[(&str, &str)] = &[
    ("butane-configs-0834", OLD_EXPERIMENT),
    ("butane-configs-0868", MACHINE_CONFIG),
];
const OLD_EXPERIMENT: &str =
    "the older Butane takes more in an experimental version than the newer one";
const MACHINE_CONFIG: &str =
    "matchbox reads a MachineConfig as Ignition, and serves an empty config without a version";
const SERVED_VERSIONS: &[(&str, &str)] = &[("butane-version-matrix-0300", OLD_EXPERIMENT)];
/// Body that matchbox serves for a config newer than Ignition 3.4.
const EMPTY: &str = r#"{"ignition":{"config":{"replace":{"verification":{}}},"proxy":{},"security":{"tls":{}},"timeouts":{},"version":""},"kernelArguments":{},"passwd":{},"storage":{},"systemd":{}}"#;

#[test]
fn configs_are_translated_as_butane_does() {
    compare("butane/configs.jsonl", CONFIGS, differs_from_butane);
}

#[test]
fn every_version_is_translated_as_butane_does() {
    compare(
        "butane/version-matrix.jsonl",
        VERSION_MATRIX,
        differs_from_butane,
    );
}

#[test]
fn config_is_served_as_matchbox_does() {
    compare("butane/configs.jsonl", SERVED, differs_from_matchbox);
    compare(
        "butane/version-matrix.jsonl",
        SERVED_VERSIONS,
        differs_from_matchbox,
    );
}

/// Contents of a MachineConfig are limited by its version; source: `config/openshift` of Butane v0.29.0.
#[test]
fn machine_config_has_what_its_version_supports() {
    let translated = |version: &str, rest: &str| {
        let config = format!(
            "variant: openshift\nversion: {version}\nmetadata: {{name: a, labels: \
             {{machineconfiguration.openshift.io/role: worker}}}}\n{rest}"
        );
        let options = Options {
            output: Output::Ignition,
            ..Options::default()
        };
        translate_butane(config.as_bytes(), &options).result
    };
    let fips = "openshift: {fips: true}\nstorage: {luks: [{name: a, device: /dev/vda, clevis: {tpm2: true}}]}\n";
    for (version, has_cipher) in [("4.13.0", true), ("4.19.0", true), ("4.20.0", false)] {
        let config = translated(version, fips).unwrap();
        assert_eq!(config.contains("aes-cbc-essiv"), has_cipher, "{version}");
    }
    let grub = "grub: {users: [{name: a, password_hash: grub.pbkdf2.sha512.1}]}\n";
    assert_eq!(translated("4.18.0", grub), Err(Refusal::Source));
    assert!(translated("4.19.0", grub).is_ok());
    let headers = "storage: {files: [{path: /a, contents: {source: 'data:,a', http_headers: [{name: a, value: b}]}}]}\n";
    assert_eq!(translated("4.14.0", headers), Err(Refusal::Source));
}

fn differs_from_butane(vector: &Value) -> Result<(), String> {
    let args: Vec<&str> = vector["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap())
        .collect();
    let files_dir = folder("butane/files-dir");
    let mut options = Options::default();
    if args.contains(&"-d") {
        options.files_dir = Some(&files_dir);
    }
    if args.contains(&"-p") {
        options.output = Output::Pretty;
    }
    let translation = translate_butane(vector["config"].as_str().unwrap().as_bytes(), &options);
    let class = class_of(&translation);
    if class != vector["class"] {
        let said = vector["raw_errors"].as_str().unwrap_or_default();
        return Err(format!(
            "{class}, not {}: {:?} ({said})",
            vector["class"], translation.findings
        ));
    }
    let wanted = vector["result"]["stdout"].as_str().unwrap();
    let found = match &translation.result {
        Ok(_) if args.contains(&"-c") => String::new(),
        Ok(config) => decompressed(config) + "\n",
        Err(_) => String::new(),
    };
    if found != decompressed(wanted) {
        return Err(format!("{found}, not {}", decompressed(wanted)));
    }
    same_findings(
        &translation.findings,
        vector["raw_errors"].as_str().unwrap_or_default(),
    )
}

/// Compares what matchbox 0.11.0 served, which has an older Butane that does not know every version.
fn differs_from_matchbox(vector: &Value) -> Result<(), String> {
    let served = &vector["matchbox-0.11.0"];
    if served["status"] != 200 {
        return Ok(());
    }
    let options = Options {
        output: Output::Matchbox011,
        ..Options::default()
    };
    let translation = translate_butane(vector["config"].as_str().unwrap().as_bytes(), &options);
    let found = translation
        .result
        .map_err(|refusal| format!("{refusal:?}"))?;
    let wanted = served["body"].as_str().unwrap();
    if wanted == EMPTY && found.contains(r#""version":"3.7.0-experimental""#) {
        return Ok(());
    }
    if decompressed(&found) == decompressed(wanted) {
        Ok(())
    } else {
        Err(format!("{found}, not {wanted}"))
    }
}

fn class_of(translation: &Translation) -> &'static str {
    match &translation.result {
        Ok(_) if translation.findings.is_empty() => "accepted",
        Ok(_) => "accepted-with-warnings",
        Err(Refusal::Yaml(_) | Refusal::HeaderTypes(_)) => "refused-yaml",
        Err(Refusal::Header(_)) => "refused-header",
        Err(Refusal::Types(_)) => "refused-other",
        Err(Refusal::Source) => "refused-source",
        Err(Refusal::Generated) => "refused-generated",
    }
}

/// Compares severity, path and place of every finding. The order of unused keys is random in Butane.
fn same_findings(findings: &[Finding], raw_errors: &str) -> Result<(), String> {
    let mut found: Vec<String> = findings
        .iter()
        .map(|finding| {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let place = finding.place.unwrap();
            format!(
                "{severity} at {}, line {} col {}",
                finding.path, place.line, place.column
            )
        })
        .collect();
    let mut wanted: Vec<String> = raw_errors
        .lines()
        .filter(|line| line.starts_with("error at ") || line.starts_with("warning at "))
        .map(|line| match line.find(": ") {
            Some(end) => line[..end].to_owned(),
            None => line.to_owned(),
        })
        .collect();
    found.sort();
    wanted.sort();
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{found:#?}, not {wanted:#?}"))
    }
}

/// Replaces compressed data by what it decompresses to: the compressors differ, the contents may not.
fn decompressed(config: &str) -> String {
    const START: &str = "data:;base64,H4sI";
    let mut text = String::new();
    let mut rest = config;
    while let Some(at) = rest.find(START) {
        text.push_str(&rest[..at]);
        let end = rest[at..]
            .find(['"', '\n'])
            .map_or(rest.len(), |end| at + end);
        let packed = ignition_translate::decode_data_url(&rest[at..end]).unwrap();
        let mut contents = Vec::new();
        GzDecoder::new(packed.as_slice())
            .read_to_end(&mut contents)
            .unwrap();
        write!(text, "<gzip of {contents:?}>").unwrap();
        rest = &rest[end..];
    }
    text + rest
}
