//! Butane and Container Linux Configs → Ignition: any text ends with a config that is JSON or with a refusal, findings
//! have a place in the text, and the result is the same each time.

use ignition_translate::{
    ClcTranslation, Finding, Options, Output, Severity, Translation, translate_butane,
    translate_clc,
};

/// Longest config for each byte of a text and some more: a text of few bytes does not make a huge config.
const GROWTH: usize = 512;

/// Reads a Container Linux Config behind a first `c`, and a Butane config behind any other byte.
pub(crate) fn check(data: &[u8]) {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    if *first == b'c' {
        let translation = translate_clc(text);
        let again = translate_clc(text);
        assert_eq!(format!("{translation:?}"), format!("{again:?}"));
        let ClcTranslation { result, findings } = translation;
        hold(text, result.ok(), &findings);
        return;
    }
    let translated = |output| {
        let options = Options {
            output,
            ..Options::default()
        };
        translate_butane(text, &options)
    };
    let Translation { result, findings } = translated(Output::Ignition);
    let again = translated(Output::Ignition);
    assert_eq!(format!("{result:?}"), format!("{:?}", again.result));
    assert_eq!(format!("{findings:?}"), format!("{:?}", again.findings));
    hold(text, result.ok(), &findings);
    let Translation { result, findings } = translated(Output::Matchbox011);
    hold(text, result.ok(), &findings);
}

fn hold(text: &[u8], config: Option<String>, findings: &[Finding]) {
    let lines = text.split(|&byte| byte == b'\n' || byte == b'\r').count();
    for finding in findings {
        if let Some(place) = finding.place {
            assert!((1..=lines + 1).contains(&place.line), "{finding:?}");
            assert!(place.column >= 1, "{finding:?}");
        }
    }
    let Some(config) = config else {
        return;
    };
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    assert!(!findings.iter().any(is_error), "{findings:?}");
    assert!(config.len() <= GROWTH * (text.len() + 64));
    let json: serde_json::Value = serde_json::from_str(&config).expect("a config is JSON");
    assert!(json["ignition"]["version"].is_string(), "{config}");
}
