//! Configs as each machine gets them: rendered, and held against the rules of their language.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use boot_server_catalog::ignition::{
    ConfigLanguage, Language, is_raw, translate, untranslated, version_of,
};
use boot_server_catalog::problem::{place_after, place_of};
use boot_server_catalog::snapshot::{Folder, Layout, Unrendered};
use boot_server_catalog::template::{ConfigText, MissingKey, Why, format_mistake};

use super::context::{Context, Subject, named};
use super::finding::{Findings, Source};
use super::tree::At;
use super::{cloud_config, cloud_init, ignition};

/// A config of Ignition 3 that our own rules have nothing against.
pub(super) struct CleanIgnition {
    pub(super) source: Source,
    pub(super) text: String,
}

/// Renders every config for each recipient, and checks the result.
pub(super) fn check(context: &Context<'_>, findings: &mut Findings) -> Vec<CleanIgnition> {
    let mut users: HashMap<(Folder, &str), Vec<&Subject<'_>>> = HashMap::new();
    for subject in &context.subjects {
        let Some(profile) = subject.profile else {
            continue;
        };
        for folder in Folder::ALL {
            if let Some(file) = folder.file(profile) {
                users.entry((folder, file)).or_default().push(subject);
            }
        }
    }
    let mut clean = Vec::new();
    for (folder, file, text) in context.snapshot.configs() {
        let Some(source) = context.source(&format!("{}/{file}", folder.name())) else {
            continue;
        };
        let config = Config {
            context,
            folder,
            file,
            text,
            source,
            readers: Readers::of(context, folder, file),
        };
        let users = users.get(&(folder, &**file)).map_or(&[][..], |users| users);
        clean.extend(config.check(users, findings));
    }
    clean
}

/// A config that profiles name.
struct Config<'a> {
    context: &'a Context<'a>,
    folder: Folder,
    file: &'a Arc<str>,
    text: &'a ConfigText,
    source: Source,
    readers: Readers,
}

/// Programs that read a file of `cloud/`.
#[derive(Debug, Clone, Copy, Default)]
struct Readers {
    /// Some profile names the file and a NoCloud seed.
    cloud_init: bool,
    /// Some profile names the file and no seed.
    coreos_cloudinit: bool,
}

impl Readers {
    fn of(context: &Context<'_>, folder: Folder, file: &str) -> Readers {
        let mut readers = Readers::default();
        for profile in context.snapshot.profiles() {
            if folder == Folder::Cloud && folder.file(profile).is_some_and(|named| **named == *file)
            {
                match profile.seed() {
                    Some(_) => readers.cloud_init = true,
                    None => readers.coreos_cloudinit = true,
                }
            }
        }
        readers
    }
}

impl Config<'_> {
    fn check(&self, users: &[&Subject<'_>], findings: &mut Findings) -> Option<CleanIgnition> {
        if matches!(self.text, ConfigText::Plain(_)) {
            let text = self.source.text.to_string();
            let looked = self.look(&text, &|at| at, findings);
            return self.clean(looked, text);
        }
        let mut missing: BTreeMap<String, (At, Vec<&str>)> = BTreeMap::new();
        let mut looked_at: HashSet<String> = HashSet::new();
        let mut told = HashSet::new();
        let mut clean = None;
        for user in users {
            match self.rendered(user) {
                Rendered::Missing(names) => {
                    for (name, at) in names {
                        let entry = missing.entry(name).or_insert((at, Vec::new()));
                        entry.1.push(&user.name);
                    }
                }
                Rendered::Failed(why, at) => {
                    let message = format!("for {}: {why}", user.name);
                    if told.insert(("template-failed", None, why)) {
                        let help = "configs are Go templates; their values come from the group's `metadata`";
                        let problem = self.source.problem("template-failed", at, message, help);
                        findings.add(problem);
                    }
                }
                Rendered::Text(text) => {
                    if !looked_at.insert(text.clone()) {
                        continue;
                    }
                    let lines = Lines::new(&self.source.text, &text);
                    if let Some(mistake) = format_mistake(&text)
                        && format_mistake(&self.source.text).is_none()
                        && told.insert(("template-format", None, mistake.to_owned()))
                    {
                        let at = place_of(&text, mistake).unwrap_or_default();
                        let message = format!("`{mistake}` is served (for {})", user.name);
                        let help = "give each verb of `printf` a value of its type: %v takes any, %.0f \
                                    a number, %s and %q a text";
                        let at = lines.in_source(at.into());
                        findings.add(self.source.problem("template-format", at, message, help));
                    }
                    let mut found = Findings::default();
                    let looked = self.look(&text, &|at| lines.in_source(at), &mut found);
                    // The same mistake reads otherwise for each machine: the first of a line is the first.
                    let mut of_line: HashMap<(&str, Option<usize>), usize> = HashMap::new();
                    for finding in found.sorted() {
                        let mut problem = finding.problem;
                        let place = (finding.rule.id, problem.line);
                        let number = of_line.entry(place).or_default();
                        *number += 1;
                        if told.insert((place.0, place.1, number.to_string())) {
                            problem.message = format!("{} (for {})", problem.message, user.name);
                            findings.add(problem);
                        }
                    }
                    clean = clean.or_else(|| self.clean(looked, text));
                }
            }
        }
        for (name, (at, who)) in missing {
            let what = match self.context.snapshot.layout {
                Layout::Bootcfg => "`<no value>` is served instead",
                Layout::Matchbox => "these machines are answered 404",
            };
            let message = format!("missing value of `{name}` for {}", named(&who));
            let help = format!("add `{name}` to the `metadata` of their groups; without it {what}");
            findings.add(
                self.source
                    .problem("template-missing-key", at, message, help),
            );
        }
        clean
    }

    /// Looks at a rendered text by the rules of its language.
    fn look(&self, text: &str, place: &dyn Fn(At) -> At, findings: &mut Findings) -> Looked {
        let mut looked = Looked::default();
        match self.folder {
            Folder::Cloud => {
                if self.readers.cloud_init {
                    cloud_init::check(&self.source, text, place, findings);
                }
                if self.readers.coreos_cloudinit {
                    cloud_config::check(&self.source, text, place, "", findings);
                }
            }
            Folder::Ignition => {
                if let Some(language) = self.translated_from(text) {
                    looked = self.translated(text, language, place, findings);
                } else {
                    let language = self.language(text);
                    looked.major =
                        ignition::check(&self.source, text, language, place, "", findings);
                }
            }
            Folder::Generic => {}
        }
        looked
    }

    /// Returns the form of an Ignition config that is not translated.
    fn language(&self, text: &str) -> Language {
        match self.context.snapshot.layout {
            Layout::Bootcfg => Language::of_file(self.file),
            Layout::Matchbox if is_raw(self.file) => Language::Json,
            Layout::Matchbox => untranslated(text, self.context.snapshot.ignition_mode()),
        }
    }

    fn translated_from(&self, text: &str) -> Option<ConfigLanguage> {
        if self.context.snapshot.layout != Layout::Matchbox || is_raw(self.file) {
            return None;
        }
        boot_server_catalog::ignition::language(text, self.context.snapshot.ignition_mode())
    }

    /// Reports what the translator of a config says.
    fn translated(
        &self,
        text: &str,
        language: ConfigLanguage,
        place: &dyn Fn(At) -> At,
        findings: &mut Findings,
    ) -> Looked {
        let translation = translate(text, language, self.context.snapshot.ignition_mode());
        for note in &translation.notes {
            let (rule, help) = match note.is_error {
                true => ("translation-refused", "correct the config"),
                false => ("translation-warning", "the config is served as translated"),
            };
            let message = format!("{}: {}", language.name(), note.message);
            let at = place(note.place.into());
            findings.add(self.source.problem(rule, at, message, help));
        }
        let result = translation.result.ok();
        let major = result.as_deref().and_then(version_of).and_then(|version| {
            let (major, _) = version.split_once('.')?;
            major.parse().ok()
        });
        Looked { major, result }
    }

    fn clean(&self, looked: Looked, text: String) -> Option<CleanIgnition> {
        (looked.major == Some(3)).then(|| CleanIgnition {
            source: self.source.clone(),
            text: looked.result.unwrap_or(text),
        })
    }

    fn rendered(&self, user: &Subject<'_>) -> Rendered {
        let Subject {
            labels,
            query,
            group,
            ..
        } = user;
        let snapshot = self.context.snapshot;
        let rendered = snapshot.rendered(self.folder, self.file, group, labels, query);
        let why = match rendered {
            Ok(text) if text.contains("<no value>") => None,
            Ok(text) => return Rendered::Text(text),
            Err(why) => Some(why),
        };
        let error = why.as_ref().and_then(Unrendered::template);
        let met = match (&why, error.map(|error| &error.why)) {
            (None, _) => None,
            (_, Some(Why::MissingKey(key))) => Some(key),
            (Some(why), _) => {
                let at = error.and_then(|error| error.place).unwrap_or_default();
                return Rendered::Failed(why.to_string(), at.into());
            }
        };
        let outputs = outputs(&self.source.text);
        let lacking = |output: &&Output| {
            let probe = ConfigText::parse(&format!("{{{{.{}}}}}", output.name), MissingKey::Error);
            let probed = probe.and_then(|probe| {
                snapshot.rendered_text(&probe, self.folder, group, labels, query)
            });
            probed.is_err()
        };
        let always = outputs.iter().filter(|output| !output.is_conditional);
        let mut lacked: Vec<&Output> = always.filter(lacking).collect();
        let mut missing: Vec<(String, At)> = Vec::new();
        match met {
            // What is under a condition may not be reached; the engine says what it met.
            Some(name) => {
                let met = |output: &&Output| output.name.rsplit('.').next() == Some(name);
                match outputs.iter().find(met) {
                    Some(output) => lacked.push(output),
                    None => {
                        let at = error.and_then(|error| error.place);
                        missing.push((name.clone(), at.unwrap_or_default().into()));
                    }
                }
            }
            None if lacked.is_empty() => lacked.extend(outputs.iter().filter(lacking)),
            None => {}
        }
        for output in lacked {
            if missing.iter().all(|(other, _)| *other != output.name) {
                missing.push((output.name.clone(), output.at));
            }
        }
        match missing.is_empty() {
            true => Rendered::Failed(
                "the template renders `<no value>`".to_owned(),
                At::default(),
            ),
            false => Rendered::Missing(missing),
        }
    }
}

/// Result of a look at a config.
#[derive(Default)]
struct Looked {
    /// Major version of the Ignition specification, when nothing is wrong with the config.
    major: Option<u8>,
    /// Ignition config that the config is translated to.
    result: Option<String>,
}

enum Rendered {
    Text(String),
    /// Variables that have no value, and where the first use of each is.
    Missing(Vec<(String, At)>),
    /// Problem, and its position in the template.
    Failed(String, At),
}

/// A variable that a template writes out.
#[derive(Debug, PartialEq, Eq)]
struct Output {
    name: String,
    at: At,
    /// Only under a condition.
    is_conditional: bool,
}

/// Returns the variables that a template writes out, `{{.a.b}}`, where `.` is the whole of the values.
fn outputs(text: &str) -> Vec<Output> {
    let mut found = Vec::new();
    let mut blocks: Vec<bool> = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest.get(open..).and_then(|rest| rest.find("}}")) else {
            break;
        };
        let action = rest.get(open + 2..open + close).unwrap_or_default();
        let start = text.len() - rest.len() + open;
        let action = action.trim_start_matches('-').trim_end_matches('-').trim();
        match action.split_whitespace().next().unwrap_or_default() {
            "range" | "with" | "define" | "block" => blocks.push(true),
            "if" => blocks.push(false),
            "end" => {
                blocks.pop();
            }
            word => {
                let path = word.strip_prefix('.').unwrap_or_default();
                let known = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
                let moved = blocks.iter().any(|moves| *moves);
                if !path.is_empty() && path.chars().all(known) && !moved {
                    let at = place_after(text.get(..start).unwrap_or_default());
                    found.push(Output {
                        name: path.to_owned(),
                        at: at.into(),
                        is_conditional: !blocks.is_empty(),
                    });
                }
            }
        }
        rest = rest.get(open + close + 2..).unwrap_or_default();
    }
    found
}

/// Map from rendered lines to template lines.
struct Lines {
    /// Template line by rendered line; 0 for a rendered line without one. Empty when the lines are the same.
    source_lines: Vec<usize>,
}

impl Lines {
    fn new(source: &str, rendered: &str) -> Lines {
        let (old, new): (Vec<&str>, Vec<&str>) =
            (source.lines().collect(), rendered.lines().collect());
        let mut source_lines = Vec::new();
        if old.len() != new.len() {
            source_lines = vec![0; new.len()];
            for op in similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new) {
                let (old, new) = (op.old_range(), op.new_range());
                for (offset, line) in new.enumerate() {
                    let last = old.end.saturating_sub(1).max(old.start);
                    let from = (old.start + offset).min(last);
                    if let Some(slot) = source_lines.get_mut(line) {
                        *slot = from + 1;
                    }
                }
            }
        }
        Lines { source_lines }
    }

    fn in_source(&self, at: At) -> At {
        match self.source_lines.get(at.line.wrapping_sub(1)) {
            Some(line) => At {
                line: *line,
                column: at.column,
            },
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_where_the_dot_is_the_whole() {
        let text = "a {{.b}}\n{{ .c.d | printf \"%s\" }}{{range .e}}{{.f}}{{end}}{{if .g}}{{- .h -}}\n{{end}}";
        let found: Vec<_> = outputs(text)
            .into_iter()
            .map(|output| {
                let at = output.at;
                (output.name, at.line, at.column, output.is_conditional)
            })
            .collect();
        let expected = [("b", 1, 3, false), ("c.d", 2, 1, false), ("h", 2, 59, true)];
        let expected = expected.map(|(name, line, column, is)| (name.to_owned(), line, column, is));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_is_found_in_the_template_that_it_comes_from() {
        let source = "a\n{{range .x}}\nb {{.}}\n{{end}}\nc\n";
        let rendered = "a\n\nb 1\n\nb 2\n\nc\n";
        let lines = Lines::new(source, rendered);
        let at = |line| lines.in_source(At { line, column: 1 }).line;
        assert_eq!((at(1), at(7)), (1, 5));
        assert!((2..=4).contains(&at(3)));
    }
}
