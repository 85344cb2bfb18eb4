//! Scripts served as user-data: what the shell makes of the URLs in them.

use boot_server_catalog::snapshot::Folder;

use crate::validate::context::Context;
use crate::validate::finding::Findings;
use crate::validate::tree::At;

/// Looks at every config that is a script.
pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (folder, file, _) in context.snapshot.configs() {
        if folder == Folder::Ignition {
            continue;
        }
        let Some(source) = context.source(&format!("{}/{file}", folder.name())) else {
            continue;
        };
        if !source.text.starts_with("#!") {
            continue;
        }
        for (index, line) in source.text.lines().enumerate() {
            if let Some(column) = bare_ampersand(line) {
                let at = At {
                    line: index + 1,
                    column,
                };
                let message = "an & in a URL without quotes: the shell ends the command here";
                let help = "put the URL in quotes";
                findings.add(source.problem("shell-ampersand", at, message, help));
            }
        }
    }
}

/// Returns the column of the first `&` in a URL's query outside quotes.
fn bare_ampersand(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut word = String::new();
    let mut escaped = false;
    for (index, char) in line.chars().enumerate() {
        if escaped {
            escaped = false;
            word.push(char);
            continue;
        }
        match (char, quote) {
            ('\\', None | Some('"')) => escaped = true,
            ('"' | '\'', None) => quote = Some(char),
            (char, Some(open)) if char == open => quote = None,
            ('#', None) if word.is_empty() => return None,
            (' ' | '\t' | ';' | '|' | '(' | ')', None) => word.clear(),
            ('&', None) => {
                let url = word.contains("http://") || word.contains("https://");
                let rest: String = line.chars().skip(index + 1).collect();
                let key = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let value = rest.trim_start_matches(key).starts_with('=');
                if url && word.contains('?') && value && rest.starts_with(key) {
                    return Some(index + 1);
                }
                word.clear();
            }
            (char, _) => word.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::bare_ampersand;

    #[test]
    fn only_an_ampersand_in_a_bare_url_is_found() {
        for (line, column) in [
            ("curl http://h/i?a=1&b=2 -o x", Some(20)),
            ("curl \"http://h/i?a=1&b=2\"", None),
            ("curl 'http://h/i?a=1&b=2'", None),
            ("curl http://h/i?a=1\\&b=2", None),
            ("curl http://h/i?a=1 & sleep 1", None),
            ("curl http://h/i?a=1 && b=2", None),
            ("# curl http://h/i?a=1&b=2", None),
            ("URL=http://h/i?uuid=${u}&os=installed", Some(25)),
        ] {
            assert_eq!(bare_ampersand(line), column, "{line}");
        }
    }
}
