//! Loading of the configuration file: read, completed with the paths it is relative to, and checked; problems
//! are reported with their line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::of_command_line;
use super::settings::Settings;
use crate::catalog::problem::{Problem, Severity, place_after};
use crate::config::{Config, ConfigProblem};

/// Reads and checks a configuration file.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Config, Vec<Problem>> {
    load(Settings::of_file(path))
}

/// Reads the configuration file that the settings name, changes it as they say, and checks it.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn load(settings: Settings) -> Result<Config, Vec<Problem>> {
    let (mut config, path, text) = match settings.config_file().map(Path::to_owned) {
        Some(path) => {
            let (config, text) = parse(&path)?;
            (config, path, text)
        }
        None => (Config::default(), "command line".into(), String::new()),
    };
    settings
        .apply(&mut config)
        .map_err(|error| vec![of_command_line(&error)])?;
    let problems = config.check().into_iter().map(|problem| {
        let span = span_of(&text, &problem);
        let (message, help) = (problem.message, problem.help);
        at_span(
            Problem::of_file(Severity::Error, &path, message, help),
            &text,
            span,
        )
    });
    let problems: Vec<Problem> = problems.collect();
    match problems.is_empty() {
        true => Ok(config),
        false => Err(problems),
    }
}

/// Returns a file's configuration, with its paths made whole, and its text.
fn parse(path: &Path) -> Result<(Config, String), Vec<Problem>> {
    let error =
        |message: String, help: String| Problem::of_file(Severity::Error, path, message, help);
    let text = std::fs::read_to_string(path).map_err(|source| {
        vec![error(
            format!("cannot be read: {source}"),
            "name the configuration file".into(),
        )]
    })?;
    let mut config: Config = toml::from_str(&text).map_err(|source| {
        let message = source.message().to_owned();
        let help = nearest_key(&message).unwrap_or_default();
        vec![at_span(error(message, help), &text, source.span())]
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for relative in paths(&mut config) {
        *relative = folder.join(&*relative);
    }
    Ok((config, text))
}

/// Returns every path in a configuration.
fn paths(config: &mut Config) -> impl Iterator<Item = &mut PathBuf> {
    let http = config.http.as_mut().map(|http| {
        [
            Some(&mut http.data),
            http.config.as_mut(),
            http.key_ring.as_mut(),
            http.assets.as_mut(),
            http.images.as_mut(),
            http.tls_certificate.as_mut(),
            http.tls_key.as_mut(),
        ]
        .into_iter()
        .flatten()
        .chain(http.links_to.iter_mut())
    });
    let rpc = config.rpc.as_mut().map(|rpc| {
        [
            &mut rpc.tls_certificate,
            &mut rpc.tls_key,
            &mut rpc.client_ca,
        ]
    });
    let leases = config
        .dhcp
        .as_mut()
        .and_then(|dhcp| dhcp.lease_file.as_mut());
    let roots = config.tftp.as_mut().map(|tftp| tftp.roots.iter_mut());
    let events = config.events.as_mut();
    let events = events.filter(|path| path.as_path() != Path::new("-"));
    let single = [events, leases].into_iter().flatten();
    single
        .chain(http.into_iter().flatten())
        .chain(roots.into_iter().flatten())
        .chain(rpc.into_iter().flatten())
}

fn at_span(problem: Problem, text: &str, span: Option<Range<usize>>) -> Problem {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else {
        return problem;
    };
    let (line, column) = place_after(before);
    problem.at(text, line, column)
}

/// Returns the position of a value in the file; that of its table when the value is not written.
fn span_of(text: &str, problem: &ConfigProblem) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut span = None;
    let mut table = Some(document.get_ref());
    let mut list = None;
    for key in &problem.path {
        let value = match (table, list) {
            (Some(table), _) => table.get(key.as_str()),
            (None, Some(list)) => key.parse().ok().and_then(|n: usize| <[_]>::get(list, n)),
            (None, None) => None,
        };
        let Some(value) = value else { break };
        span = Some(value.span());
        (table, list) = match value.get_ref() {
            DeValue::Table(inner) => (Some(inner), None),
            DeValue::Array(inner) => (None, Some(inner.as_ref())),
            _ => (None, None),
        };
    }
    span
}

/// Returns the likely meaning of `unknown field …, expected one of …`.
fn nearest_key(message: &str) -> Option<String> {
    let mut names = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let unknown = names.next()?;
    let nearest = names.min_by_key(|name| strsim::damerau_levenshtein(name, unknown))?;
    Some(format!("did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Config, Vec<Problem>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boot-server.toml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn only_problem(text: &str) -> Problem {
        let mut problems = load_text(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    const GOOD: &str = r#"
interface = "lo"
[dhcp]
subnet = "10.0.0.0/24"
first = "10.0.0.10"
last = "10.0.0.20"
[[dhcp.reservation]]
mac = "52:54:00:00:00:01"
address = "10.0.0.200"
[http]
data = "data"
"#;

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boot-server.toml");
        std::fs::write(
            &path,
            format!("events = \"log/e\"\n{GOOD}\nassets = \"/srv\"\n"),
        )
        .unwrap();
        let config = read(&path).unwrap();
        assert_eq!(config.events, Some(folder.path().join("log/e")));
        let http = config.http.unwrap();
        assert_eq!(http.data, folder.path().join("data"));
        assert_eq!(http.assets, Some(PathBuf::from("/srv")));
    }

    #[test]
    fn an_unknown_key_is_answered_with_its_place_and_the_nearest_known_one() {
        let problem = only_problem("interfase = \"lo\"\n");
        assert_eq!((problem.line, problem.column), (Some(1), Some(1)));
        assert_eq!(problem.help, "did you mean `interface`?");
        let problem = only_problem("[boot]\nchainload-ipxe = true\n");
        assert_eq!(
            (problem.line, problem.help.as_str()),
            (Some(2), "did you mean `chainload_ipxe`?")
        );
    }

    #[test]
    fn impossible_values_are_reported_where_they_stand() {
        for (from, to, line, says) in [
            ("10.0.0.0/24", "10.0.0.1/24", 4, "10.0.0.0/24"),
            ("\"10.0.0.10\"", "\"10.0.1.10\"", 5, "10.0.1.10"),
            ("\"10.0.0.20\"", "\"10.0.0.9\"", 6, "before it begins"),
            ("\"10.0.0.20\"", "\"10.0.0.255\"", 6, "not a host address"),
            (
                "52:54:00:00:00:01",
                "52:54:00:00:00",
                8,
                "not a MAC address",
            ),
            ("10.0.0.200", "10.0.9.200", 9, "not a host address"),
            ("[http]\ndata = \"data\"", "", 1, "missing boot script"),
        ] {
            let problem = only_problem(&GOOD.replacen(from, to, 1));
            if line > 1 {
                assert_eq!(problem.line, Some(line), "{problem}");
            }
            let text = format!("{problem} {}", problem.help);
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = GOOD
            .replace("10.0.0.10", "10.9.0.10")
            .replace("10.0.0.200", "10.9.0.200")
            + "[proxy_dhcp]\n";
        let problems = load_text(&text).unwrap_err();
        let has = |says: &str| problems.iter().any(|p| p.message.contains(says));
        assert!(
            has("10.9.0.10 ") && has("10.9.0.200") && has("mutually exclusive"),
            "{problems:?}"
        );
    }
}
