//! Translated Ignition configs of a snapshot: made when the directory is loaded, one for each rendered text.
//!
//! A template may depend on the request, so each request renders it, as matchbox does. Which text the template
//! renders to decides the translation. Texts that groups' own labels lead to are translated at load; others, which
//! depend on more labels of a request, are translated once and kept within a bound.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::check::labels_of;
use super::files::Root;
use super::ignition::{self, IgnitionMode, InvalidIgnition};
use super::layout::{Folder, Layout};
use super::matching::Group;
use super::problem::{Problem, Severity};
use super::snapshot::Snapshot;
use super::template::ConfigText;

/// Most bytes of rendered configs that are translated when a directory is loaded; the rest follows when requested.
const MOST_AT_LOAD: usize = 64 << 20;
/// Most bytes of rendered configs and their translations that are kept of requests.
const MOST_KEPT: usize = 16 << 20;

type Made = Result<Arc<str>, InvalidIgnition>;

/// Translated configs by rendered text.
#[derive(Debug, Default)]
pub(super) struct Translations {
    mode: Option<IgnitionMode>,
    at_load: HashMap<String, Made>,
    of_requests: Mutex<Kept>,
}

/// Translations of texts that requests led to.
#[derive(Debug, Default)]
struct Kept {
    made: HashMap<String, Made>,
    bytes: usize,
}

impl Translations {
    pub(super) fn of(mode: Option<IgnitionMode>) -> Translations {
        Translations {
            mode,
            ..Translations::default()
        }
    }

    pub(super) fn mode(&self) -> Option<IgnitionMode> {
        self.mode
    }

    /// Returns the response for a rendered config.
    pub(super) fn served(&self, text: String) -> Result<String, InvalidIgnition> {
        if let Some(made) = self.at_load.get(&text) {
            return made.clone().map(|made| made.to_string());
        }
        // What is passed on takes no time, and needs no room.
        if ignition::language(&text, self.mode).is_none() {
            return ignition::served(&text, self.mode);
        }
        let kept = || {
            self.of_requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = kept().made.get(&text).cloned();
        let made = known.unwrap_or_else(|| {
            let made: Made = ignition::served(&text, self.mode).map(Arc::from);
            kept().keep(text, made.clone());
            made
        });
        made.map(|made| made.to_string())
    }
}

impl Kept {
    fn keep(&mut self, text: String, made: Made) {
        let bytes = text.len() + made.as_ref().map_or(0, |made| made.len());
        if bytes > MOST_KEPT {
            return;
        }
        if self.bytes + bytes > MOST_KEPT {
            *self = Kept::default();
        }
        self.bytes += bytes;
        self.made.insert(text, made);
    }
}

/// Translates what each group's machines would be served, and reports what the translators say.
pub(super) fn translate(snapshot: &mut Snapshot, root: &Root, problems: &mut Vec<Problem>) {
    let mode = snapshot.translations.mode;
    if snapshot.layout != Layout::Matchbox || mode == Some(IgnitionMode::Raw) {
        return;
    }
    let mut at_load: HashMap<String, Made> = HashMap::new();
    let mut told = HashSet::new();
    let mut bytes = 0;
    for group in snapshot.groups.iter() {
        let Some((file, config)) = translated_file(snapshot, group) else {
            continue;
        };
        let (labels, query) = labels_of(group, snapshot.layout);
        // A template that cannot be rendered is reported by the check of the directory.
        let Ok(text) = snapshot.rendered(Folder::Ignition, file, group, &labels, &query) else {
            continue;
        };
        if at_load.contains_key(&text) {
            continue;
        }
        let Some(language) = ignition::language(&text, mode) else {
            continue;
        };
        bytes += text.len();
        if bytes > MOST_AT_LOAD {
            let message = format!(
                "cannot translate all configs at load: they have more than {MOST_AT_LOAD} bytes"
            );
            let help = "configs after that are translated when they are requested; serve the largest as Ignition JSON";
            let path = root.path_of(Folder::Ignition.name());
            let problem = Problem::of_file(Severity::Warning, &path, message, help);
            problems.push(problem.of_rule("translation-warning"));
            break;
        }
        let translation = ignition::translate(&text, language, mode);
        let source = root
            .read_text(&format!("ignition/{file}"))
            .unwrap_or_default();
        let is_template = matches!(config, ConfigText::Template(_));
        // The values of a request may make of it what the group's own labels do not.
        let may_differ = is_template && source.contains(".request");
        for note in &translation.notes {
            if !told.insert((Arc::clone(file), note.message.clone(), note.place)) {
                continue;
            }
            let (severity, rule) = match note.is_error {
                true if may_differ => (Severity::Warning, "translation-refused"),
                true => (Severity::Error, "translation-refused"),
                false => (Severity::Warning, "translation-warning"),
            };
            let whose = match is_template {
                true => format!(" (for group `{}`)", group.name),
                false => String::new(),
            };
            let message = format!("{}: {}{whose}", language.name(), note.message);
            let help = match note.is_error {
                true => "correct the config; `lab butane FILE` translates it by hand",
                false => "the config is served; the translator questions this place",
            };
            let path = root.path_of(&format!("ignition/{file}"));
            let problem = Problem::of_file(severity, &path, message, help).of_rule(rule);
            let (line, column) = note.place;
            problems.push(problem.at(text.as_str(), line, column));
        }
        at_load.insert(text, translation.result.map(Arc::from).map_err(Into::into));
    }
    snapshot.translations.at_load = at_load;
}

/// Returns the Ignition config of a group's profile, unless its name says that it is raw.
fn translated_file<'a>(
    snapshot: &'a Snapshot,
    group: &Group,
) -> Option<(&'a Arc<str>, &'a ConfigText)> {
    let profile = snapshot.profile(&group.profile_id).ok()?;
    let file = Folder::Ignition.file(profile)?;
    let config = snapshot
        .configs
        .get(&(Folder::Ignition, Arc::clone(file)))?;
    let config = config.as_ref().ok()?;
    (!ignition::is_raw(file)).then_some((file, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;
    use crate::load::Source;

    fn directory(config: &str, metadata: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let group = format!(
            r#"{{"id":"a","profile":"p","selector":{{"mac":"52:54:00:00:00:01"}},"metadata":{metadata}}}"#
        );
        for (file, text) in [
            ("groups/a.json", group.as_str()),
            ("profiles/p.json", r#"{"id":"p","ignition_id":"c.yaml"}"#),
            ("ignition/c.yaml", config),
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn load(dir: &tempfile::TempDir) -> (Snapshot, Vec<String>) {
        let (snapshot, problems) = Snapshot::load(&Source::of(dir.path()));
        let told = problems.iter().map(|problem| {
            let path = problem.path.strip_prefix(dir.path()).unwrap();
            let line = problem.line.unwrap_or_default();
            format!(
                "{:?} {}:{line} {}",
                problem.severity,
                path.display(),
                problem.rule
            )
        });
        (snapshot, told.collect())
    }

    fn ask(snapshot: &Snapshot, query: &str) -> Result<String, String> {
        let config = snapshot.config(Folder::Ignition, &Labels::from_query(query), query);
        config
            .map(|config| config.text)
            .map_err(|refusal| refusal.reason)
    }

    const USER: &str = "variant: fcos\nversion: 1.5.0\npasswd:\n  users:\n    - name: {{.user}}\n";
    const MAC: &str = "mac=52-54-00-00-00-01";

    #[test]
    fn config_of_a_group_is_translated_at_load_and_not_for_requests() {
        let (snapshot, told) = load(&directory(USER, r#"{"user": "core"}"#));
        assert_eq!(told, [""; 0]);
        assert_eq!(snapshot.translations.at_load.len(), 1);
        assert!(ask(&snapshot, MAC).unwrap().contains(r#""name":"core""#));
        assert!(ask(&snapshot, &format!("{MAC}&os=installed")).is_ok());
        let kept = snapshot.translations.of_requests.into_inner().unwrap();
        assert!(kept.made.is_empty());
    }

    #[test]
    fn refused_config_is_an_error_of_the_load_with_its_line() {
        let (_, told) = load(&directory(USER, r#"{"user": "[1]"}"#));
        assert_eq!(told, ["Error ignition/c.yaml:5 translation-refused"]);
        let unused = format!("{USER}spare: 1\n");
        let (_, told) = load(&directory(&unused, r#"{"user": "core"}"#));
        assert_eq!(told, ["Warning ignition/c.yaml:6 translation-warning"]);
    }

    #[test]
    fn config_that_depends_on_the_request_is_translated_once_for_each_text() {
        let config = "variant: fcos\nversion: 1.5.0\npasswd:\n  users:\n    - name: {{.request.query.user}}\n";
        let (snapshot, told) = load(&directory(config, "{}"));
        assert_eq!(told, [""; 0], "a missing value is found by the check");
        for user in ["a", "b", "a"] {
            let found = ask(&snapshot, &format!("{MAC}&user={user}")).unwrap();
            assert!(found.contains(&format!(r#""name":"{user}""#)), "{found}");
        }
        let refused = ask(&snapshot, &format!("{MAC}&user=[1]")).unwrap_err();
        assert!(refused.contains("Butane config refused"), "{refused}");
        let kept = snapshot.translations.of_requests.into_inner().unwrap();
        assert_eq!(kept.made.len(), 3);
    }

    #[test]
    fn kept_translations_have_a_bound() {
        let mut kept = Kept::default();
        for number in 0..40 {
            let text = format!("{number}{}", "x".repeat(1 << 20));
            kept.keep(text, Ok("".into()));
            assert!(kept.bytes <= MOST_KEPT, "{}", kept.bytes);
        }
        assert!((1..16).contains(&kept.made.len()));
        kept.keep("x".repeat(MOST_KEPT + 1), Ok("".into()));
        assert!(kept.bytes <= MOST_KEPT);
    }
}
