//! `host` declarations of ISC dhcpd, wherever in its configuration they stand (dhcpd.conf(5)), and those that
//! it writes to its lease file when it is told of hosts while it runs (dhcpd.leases(5)).
//!
//! Keywords are read in any letter case, and `include` inserts a file at its position.

use std::path::Path;
use std::rc::Rc;

use boot_server_catalog::problem::{Problem, Severity};

use super::gather::{Found, Gathered};
use super::include::Includes;

pub(super) fn is_likely(text: &str) -> bool {
    let tokens = tokens(&Rc::from(Path::new("")), text);
    let pairs = || tokens.iter().zip(tokens.iter().skip(1));
    let has = |first: &str, second: &str| pairs().any(|(a, b)| a.is(first) && b.is(second));
    has("hardware", "ethernet")
        || has("authoritative", ";")
        || pairs().any(|(a, b)| a.is("include") && b.quoted)
        || (tokens.iter().any(|token| token.is("subnet"))
            && tokens.iter().any(|token| token.is("netmask")))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    file: Rc<Path>,
    line: usize,
    text: String,
    /// True if the token was quoted, and so is not a punctuation mark.
    quoted: bool,
}

impl Token {
    /// True for a sign or a keyword, which may be in any letter case.
    fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word)
    }

    fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

/// Words, texts in quotes, and the signs `{`, `}`, `;`, `,`, `=`; without comments.
fn tokens(file: &Rc<Path>, text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            let mut text = String::new();
            let quoted = letter == '"';
            match letter {
                '#' => break,
                letter if letter.is_whitespace() => continue,
                '"' => {
                    while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                        text.push(match letter {
                            '\\' => letters.next().unwrap_or('\\'),
                            other => other,
                        });
                    }
                }
                '{' | '}' | ';' | ',' | '=' => text.push(letter),
                word => {
                    text.push(word);
                    let in_word = |letter: &char| {
                        !letter.is_whitespace()
                            && !matches!(letter, '{' | '}' | ';' | ',' | '=' | '"' | '#')
                    };
                    while let Some(letter) = letters.next_if(in_word) {
                        text.push(letter);
                    }
                }
            }
            tokens.push(Token {
                file: Rc::clone(file),
                line: index + 1,
                text,
                quoted,
            });
        }
    }
    tokens
}

/// Returns the tokens of a file, with each `include` replaced by the tokens of its file.
fn expanded(
    file: &Path,
    text: &str,
    includes: &mut Includes,
    gathered: &mut Gathered,
) -> Vec<Token> {
    let mut whole: Vec<Token> = Vec::new();
    let mut tokens = tokens(&Rc::from(file), text).into_iter().peekable();
    let mut at_start = true;
    while let Some(token) = tokens.next() {
        if at_start
            && token.is("include")
            && let Some(name) = tokens.next_if(|next| next.quoted)
        {
            let brought = includes.file(
                &token.place(),
                &name.text,
                gathered,
                |includes, file, text, gathered| expanded(file, text, includes, gathered),
            );
            whole.extend(brought.unwrap_or_default());
            tokens.next_if(|next| next.is(";"));
            continue;
        }
        at_start = ["{", "}", ";"].iter().any(|sign| token.is(sign));
        whole.push(token);
    }
    whole
}

/// A host that is declared, and what is known of it.
#[derive(Debug, Default)]
struct Host {
    place: String,
    /// The name it is declared by.
    name: String,
    found: Found,
    /// The server wrote it to its lease file.
    is_dynamic: bool,
    is_deleted: bool,
    /// True if the declared name is sent to the host; none while no block decides it.
    name_is_told: Option<bool>,
}

/// A block.
#[derive(Debug, Default)]
struct Scope {
    /// The first of the hosts that end in it.
    first_host: usize,
    names_are_told: Option<bool>,
    /// The host whose block it is.
    host: Option<Host>,
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    let tokens = expanded(path, text, &mut Includes::of(path), gathered);
    let mut hosts: Vec<Host> = Vec::new();
    let mut scopes = vec![Scope::default()];
    let mut statement: Vec<Token> = Vec::new();
    for token in tokens {
        if token.is("{") {
            let host = match statement.as_slice() {
                [keyword, name] if keyword.is("host") => Some(Host {
                    place: keyword.place(),
                    name: name.text.clone(),
                    ..Host::default()
                }),
                _ => None,
            };
            scopes.push(Scope {
                first_host: hosts.len(),
                names_are_told: None,
                host,
            });
            statement.clear();
        } else if token.is("}") {
            statement.clear();
            let ended = scopes.pop().unwrap_or_default();
            if scopes.is_empty() {
                let message = "unmatched `}`";
                let help = "open each block with one `{`";
                let problem = Problem::of_file(Severity::Error, &token.file, message, help);
                let problem = match &*token.file == path {
                    true => problem.at(text, token.line, 1),
                    false => problem,
                };
                return Err(vec![problem]);
            }
            ended.end(&mut hosts);
        } else if token.is(";") {
            if let Some(scope) = scopes.last_mut() {
                scope.statement(&statement, gathered);
            }
            statement.clear();
        } else {
            statement.push(token);
        }
    }
    match scopes.pop() {
        Some(outermost) if scopes.is_empty() => outermost.end(&mut hosts),
        _ => {
            let message = format!("unclosed blocks at the end: {}", scopes.len());
            let help = "close each `{` with a `}`";
            return Err(vec![Problem::of_file(Severity::Error, path, message, help)]);
        }
    }
    for host in hosts {
        host.add(gathered);
    }
    Ok(())
}

impl Scope {
    /// Ends a block: its own host is noted, and what the block says of names holds for all hosts in it, also
    /// for those before the statement.
    fn end(self, hosts: &mut Vec<Host>) {
        if let Some(mut host) = self.host {
            host.name_is_told = self.names_are_told;
            // In the lease file a later declaration counts; `deleted` takes back any earlier one.
            if host.is_dynamic || host.is_deleted {
                hosts.retain(|other| other.name != host.name);
            }
            if !host.is_deleted {
                hosts.push(host);
            }
            return;
        }
        let first = self.first_host.min(hosts.len());
        for host in hosts.iter_mut().skip(first) {
            host.name_is_told = host.name_is_told.or(self.names_are_told);
        }
    }

    fn statement(&mut self, statement: &[Token], gathered: &mut Gathered) {
        let lower: Vec<String> = statement
            .iter()
            .map(|token| token.text.to_ascii_lowercase())
            .collect();
        let keys: Vec<&str> = lower.iter().map(String::as_str).collect();
        let text = |at: usize| {
            statement
                .get(at)
                .map(|token| token.text.clone())
                .unwrap_or_default()
        };
        if let ["use-host-decl-names", switch] = keys.as_slice() {
            self.names_are_told = Some(matches!(*switch, "on" | "true"));
        }
        let Some(host) = &mut self.host else {
            return;
        };
        let found = &mut host.found;
        match keys.as_slice() {
            ["hardware", "ethernet", _] => found.macs.push(text(2)),
            ["hardware", kind, ..] => gathered.without(format!("addresses of {kind} networks")),
            ["option", "host-name", _] => found.hostname = Some(text(2)),
            ["supersede" | "default" | "send", "host-name", "=", _] => {
                found.hostname = Some(text(3));
            }
            ["option", "domain-name", _] => {
                found.labels.insert("domain".to_owned(), text(2));
            }
            ["supersede" | "default" | "send", "domain-name", "=", _] => {
                found.labels.insert("domain".to_owned(), text(3));
            }
            ["dynamic"] => host.is_dynamic = true,
            ["deleted"] => host.is_deleted = true,
            ["use-host-decl-names", _] => {}
            ["fixed-address" | "fixed-address6" | "fixed-prefix6", ..] => {
                gathered.without("IP addresses");
            }
            ["option", option, ..] => gathered.without(format!("option {option}")),
            [other, ..] => gathered.without(format!("`{other}` of hosts")),
            [] => {}
        }
    }
}

impl Host {
    fn add(self, gathered: &mut Gathered) {
        let mut found = self.found;
        if self.name_is_told == Some(true) && found.hostname.is_none() {
            found.hostname = Some(self.name.clone());
        }
        // Names in the lease file are made by programs.
        let told = found.hostname.clone().filter(|_| self.is_dynamic);
        found.names = told.into_iter().chain([self.name]).collect();
        found.names.dedup();
        gathered.add(self.place, found);
    }
}
