//! URLs of NoCloud seeds: that cloud-init reads them as meant, and that each machine is served its seed.

use boot_server_catalog::nocloud::{InvalidSeedRequest, Seed, SeedFile, SeedRequest, SeedSource};
use boot_server_catalog::snapshot::Folder;

use super::{Booted, url};
use crate::plan::target_of;
use crate::validate::finding::Findings;

/// Path below which boot-server has the seeds of all machines.
const FOLDER: &str = "/nocloud";
/// In the place of a `/` of a variable, so that `${net0/mac}` is one part of a path.
const HIDDEN: &str = "\u{1}";

/// Looks at the seed of a spec or profile.
pub(super) fn check(booted: &Booted<'_>, findings: &mut Findings) {
    let mut options = booted.options.iter().rev();
    let found = options.find_map(|option| Some((option, Seed::of_option(&option.text())?)));
    let Some((option, seed)) = found else {
        return;
    };
    let mut tell = |rule, message: String, help: String| {
        booted.tell(findings, rule, option.at, message, help);
    };
    if seed.source == SeedSource::Nocloud {
        let message = "cloud-init 22.4 (Debian 12) loads the seed of `ds=nocloud` and ignores it";
        let help = "write `ds=nocloud-net`, which all versions use";
        tell("seed-ignored", message.to_owned(), help.to_owned());
    }
    let url = with_hidden_slashes(&seed.url_of(SeedFile::UserData));
    let Some((path, query)) = target_of(&url) else {
        let message = format!("missing path in the URL of the seed: `{}`", seed.url);
        let help = "write http://HOST/nocloud/uuid=${uuid}&mac=${mac:hexhyp}/";
        return tell("seed-url-invalid", message, help.to_owned());
    };
    if !path.starts_with(FOLDER) {
        return elsewhere(&seed, &mut tell);
    }
    match SeedRequest::parse(path, query) {
        Ok(request) => {
            let query = request.query.replace(HIDDEN, "/");
            url::served(booted, Folder::Cloud, option, &query, &mut tell);
        }
        Err(InvalidSeedRequest::NotFilledIn(label)) => {
            let message = format!("cloud-init 22.4 (Debian 12) does not fill in `{label}`");
            let help = "send the label with a setting of iPXE: ${serial}, ${uuid}, ${mac:hexhyp}";
            tell("seed-dmi-value", message, help.to_owned());
        }
        Err(invalid) => {
            let help = match &invalid {
                InvalidSeedRequest::NotSeparated { .. } => "write `/` at the end of the URL",
                _ => "write http://HOST/nocloud/LABEL=VALUE&LABEL=VALUE/",
            };
            let message = invalid.to_string().replace(HIDDEN, "/");
            tell("seed-url-invalid", message, help.to_owned());
        }
    }
}

/// A seed of another server, of which only the form is known.
fn elsewhere(seed: &Seed, tell: &mut dyn FnMut(&'static str, String, String)) {
    let is_separated = seed.url.contains("%s") || seed.url.ends_with(['/', '=']);
    if !is_separated {
        let message = format!(
            "the URL of the seed has no `/` at its end: cloud-init requests `{}`",
            seed.url_of(SeedFile::MetaData)
        );
        let help = "write `/` at the end of the URL";
        tell("seed-url-invalid", message, help.to_owned());
    }
}

/// Returns a URL whose variables have no `/`.
fn with_hidden_slashes(url: &str) -> String {
    let mut parts = url.split("${");
    let mut hidden = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        hidden.push_str("${");
        match part.split_once('}') {
            Some((variable, rest)) => {
                hidden.push_str(&variable.replace('/', HIDDEN));
                hidden.push('}');
                hidden.push_str(rest);
            }
            None => hidden.push_str(part),
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_of_variables_are_hidden_and_others_stay() {
        let hidden = with_hidden_slashes("http://h/a/${net0/mac:hexhyp}&u=${uuid}/${");
        assert_eq!(hidden, "http://h/a/${net0\u{1}mac:hexhyp}&u=${uuid}/${");
    }
}
