//! Ignition configs → the forms in which they are handed out.

use super::{Options, Output, openshift};
use crate::render::{Style, indented, to_json};
use crate::schema::release::{Release, Variant};
use crate::schema::{Minor, spec3};
use crate::value::{Struct, Value};

/// Minor version of the Ignition specification in which matchbox 0.11 writes every config.
const MATCHBOX_SPEC: Minor = 4;

pub(super) fn render(
    config: &Struct,
    ignition: &Struct,
    release: &Release,
    options: &Options,
) -> String {
    let json = |style| to_json(ignition, &spec3::BASE, release.spec, style);
    match options.output {
        Output::Butane if release.variant == Variant::Openshift => {
            openshift::machine_config(config, &json(Style::OmitEmpty))
        }
        Output::Butane | Output::Ignition => json(Style::OmitEmpty),
        Output::Pretty => indented(&json(Style::OmitEmpty)),
        Output::Matchbox011 if release.spec < MATCHBOX_SPEC => {
            let ignition = upgraded(ignition.clone());
            to_json(&ignition, &spec3::BASE, MATCHBOX_SPEC, Style::KeepEmpty)
        }
        Output::Matchbox011 => json(Style::KeepEmpty),
    }
}

/// Translates an older config to Ignition 3.4, as Ignition's `config/v3_4/translate` does.
fn upgraded(mut ignition: Struct) -> Struct {
    ignition.child_mut("ignition").set("version", "3.4.0");
    let storage = ignition.child_mut("storage");
    for name in ["directories", "files"] {
        if !storage.has(name) {
            continue;
        }
        for node in storage.list_mut(name) {
            if let Value::Struct(node) = node
                && let Some(mode) = node.opt_int("mode")
            {
                // Older versions ignore the special bits.
                node.set("mode", mode & !0o7000);
            }
        }
    }
    ignition
}
