//! `host` declarations of ISC dhcpd, wherever in its configuration they stand (dhcpd.conf(5)).

use std::path::Path;

use boot_server::catalog::problem::{Problem, Severity};

use super::gather::{Found, Gathered};

pub(super) fn is_likely(text: &str) -> bool {
    let tokens = tokens(text);
    let mut pairs = tokens.windows(2).map(|pair| (pair.first(), pair.get(1)));
    let mut has = |first: &str, second: &str| {
        pairs
            .any(|(a, b)| a.is_some_and(|a| a.text == first) && b.is_some_and(|b| b.text == second))
    };
    has("hardware", "ethernet")
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
    /// It stood in quotes, so that it is no sign.
    quoted: bool,
}

impl Token {
    fn is(&self, sign: &str) -> bool {
        !self.quoted && self.text == sign
    }
}

/// Words, texts in quotes, and the signs `{`, `}`, `;`, `,`, `=`; without comments.
fn tokens(text: &str) -> Vec<Token> {
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
                line: index + 1,
                text,
                quoted,
            });
        }
    }
    tokens
}

/// What holds in a block: whether hosts are told the name they are declared by.
#[derive(Debug, Default)]
struct Scope {
    names_are_told: bool,
    host: Option<(usize, Found)>,
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    let mut scopes = vec![Scope::default()];
    let mut statement: Vec<Token> = Vec::new();
    for token in tokens(text) {
        if token.is("{") {
            let outer = scopes.last().is_some_and(|scope| scope.names_are_told);
            let mut scope = Scope {
                names_are_told: outer,
                host: None,
            };
            if let [keyword, name] = statement.as_slice()
                && keyword.is("host")
            {
                let found = Found {
                    names: vec![name.text.clone()],
                    ..Found::default()
                };
                scope.host = Some((keyword.line, found));
            }
            scopes.push(scope);
            statement.clear();
        } else if token.is("}") {
            statement.clear();
            let ended = scopes.pop();
            if scopes.is_empty() {
                let message = "a `}` closes nothing";
                let help = "see that each block is opened by one `{`";
                let problem = Problem::of_file(Severity::Error, path, message, help);
                return Err(vec![problem.at(text, token.line, 1)]);
            }
            if let Some((line, mut found)) = ended.and_then(|scope| {
                let names_are_told = scope.names_are_told;
                let (line, mut found) = scope.host?;
                if names_are_told && found.hostname.is_none() {
                    found.hostname = found.names.first().cloned();
                }
                Some((line, found))
            }) {
                found.names.dedup();
                gathered.add(format!("{}:{line}", path.display()), found);
            }
        } else if token.is(";") {
            if let Some(scope) = scopes.last_mut() {
                scope.statement(&statement, gathered);
            }
            statement.clear();
        } else {
            statement.push(token);
        }
    }
    match scopes.len() {
        1 => Ok(()),
        open => {
            let message = format!("blocks that are open at its end: {}", open - 1);
            let help = "see that each `{` has its `}`";
            Err(vec![Problem::of_file(Severity::Error, path, message, help)])
        }
    }
}

impl Scope {
    fn statement(&mut self, statement: &[Token], gathered: &mut Gathered) {
        let words: Vec<&str> = statement.iter().map(|token| token.text.as_str()).collect();
        if let ["use-host-decl-names", switch] = words.as_slice() {
            self.names_are_told = matches!(*switch, "on" | "true");
        }
        let Some((_, found)) = &mut self.host else {
            return;
        };
        match words.as_slice() {
            ["hardware", "ethernet", mac] => found.macs.push((*mac).to_owned()),
            ["hardware", kind, ..] => gathered.without(format!("addresses of {kind} networks")),
            ["option", "host-name", name] => found.hostname = Some((*name).to_owned()),
            ["option", "domain-name", domain] => {
                found
                    .labels
                    .insert("domain".to_owned(), (*domain).to_owned());
            }
            ["fixed-address" | "fixed-address6" | "fixed-prefix6", ..] => {
                gathered.without("IP addresses");
            }
            ["option", option, ..] => gathered.without(format!("option {option}")),
            [other, ..] => gathered.without(format!("`{other}` of hosts")),
            [] => {}
        }
    }
}
