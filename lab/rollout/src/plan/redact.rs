//! Secrets out of a text that is posted where others read it.
//!
//! Each is replaced by the beginning of its SHA-256, so that a change of it stays visible. This finds what
//! has the form of a secret: private keys, SSH keys, crypt(3) hashes, and the values of keys that name one.

use super::sha256;

/// Start of a PEM key's first line.
const BEGIN: &str = "-----BEGIN";
/// Start of a PEM key's last line.
const END: &str = "-----END";

/// Keys whose value is one.
const NAMES: [&str; 7] = [
    "passwd",
    "password",
    "password_hash",
    "passwordhash",
    "secret",
    "token",
    "psk",
];

/// Beginnings of an SSH public key.
const SSH_KEYS: [&str; 5] = ["ssh-rsa", "ssh-ed25519", "ssh-dss", "ecdsa-sha2-", "sk-"];

/// Beginnings of a hash of crypt(3).
const HASHES: [&str; 8] = ["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$gy$"];

/// Returns the text without secrets, line by line.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        let begin = line.find(BEGIN).filter(|at| {
            let marker = line.get(*at..).unwrap_or_default();
            marker.contains("PRIVATE")
        });
        let end_of_key = line.find(END);
        match (in_key, begin, end_of_key) {
            // In JSON and in `data:` URLs a key is in one line.
            (_, Some(begin), Some(end_of_key)) if begin < end_of_key => {
                let (before, rest) = line.split_at(begin);
                let (key, after) = rest.split_at(end_of_key - begin);
                kept.push_str(&redact_line(before));
                kept.push_str(&hidden("private key", key));
                let (end_of_key, after) = after.split_at(END.len());
                kept.push_str(end_of_key);
                kept.push_str(&redact(after));
            }
            (true, None, None) => {
                let body = line.trim_start();
                kept.push_str(line.get(..line.len() - body.len()).unwrap_or_default());
                kept.push_str(&hidden("private key", body));
            }
            (_, begin, end_of_key) => {
                in_key = begin.is_some() || (in_key && end_of_key.is_none());
                kept.push_str(&redact_line(line));
            }
        }
        kept.push_str(end);
    }
    kept
}

fn hidden(what: &str, secret: &str) -> String {
    let hash = sha256(secret);
    format!("<{what} {}>", hash.get(..12).unwrap_or_default())
}

fn redact_line(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let is_edge =
            |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '=');
        let start = rest.find(|c: char| !is_edge(c)).unwrap_or(rest.len());
        let (edge, after) = rest.split_at(start);
        text.push_str(edge);
        let end = after.find(is_edge).unwrap_or(after.len());
        let (word, after) = after.split_at(end);
        rest = after;
        let is_ssh = SSH_KEYS.iter().any(|start| word.starts_with(start));
        let hash = HASHES.iter().find_map(|start| word.find(start));
        if is_ssh && rest.starts_with(' ') {
            // The key itself is the next word; its comment stays.
            let body = rest.trim_start();
            let end = body.find(is_body_end).unwrap_or(body.len());
            let (key, after) = body.split_at(end);
            text.push_str(word);
            text.push(' ');
            match key.starts_with("AAAA") {
                true => text.push_str(&hidden("key", key)),
                false => text.push_str(key),
            }
            rest = after;
        } else if let Some(at) = hash {
            let (before, secret) = word.split_at(at);
            text.push_str(before);
            text.push_str(&hidden("password hash", secret));
        } else if let Some((between, secret)) = named_value(word, rest) {
            text.push_str(word);
            text.push_str(between);
            text.push_str(&hidden("secret", secret));
            rest = rest.get(between.len() + secret.len()..).unwrap_or_default();
        } else {
            text.push_str(word);
        }
    }
    text
}

fn is_body_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '\\')
}

/// Splits a secret's value from the separator after its key; none for other words and for values that continue
/// in other lines.
fn named_value<'a>(word: &str, rest: &'a str) -> Option<(&'a str, &'a str)> {
    let name = word.trim_end_matches(':').to_ascii_lowercase();
    let name = name.rsplit('.').next()?.replace('-', "_");
    if !NAMES.contains(&name.as_str()) {
        return None;
    }
    let is_between = |c: char| matches!(c, ' ' | '\t' | ':' | '=' | '"' | '\'');
    let value = rest.trim_start_matches(is_between);
    let between = rest.get(..rest.len() - value.len())?;
    if !word.ends_with(':') && !between.contains([':', '=']) {
        return None;
    }
    let end = match between.chars().last() {
        Some(quote @ ('"' | '\'')) => value.find(quote),
        _ => value.find([',', '}']),
    };
    let secret = value.get(..end.unwrap_or(value.len()))?.trim_end();
    let goes_on = secret.is_empty() || secret.starts_with(['{', '[', '|', '>']);
    (!goes_on).then_some((between, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIEhJREVNRQ";

    #[test]
    fn secrets_are_replaced_and_the_rest_stays() {
        let text = format!(
            "#cloud-config\n\
             ssh_authorized_keys:\n\
             -  - ssh-ed25519 {KEY} core@laptop\n\
             +  - \"ssh-rsa {KEY} other\"\n\
             users:\n\
             - name: core\n\
             +  passwd: $6$salt$abcdefgh\n\
             +  password: hunter2\n\
             {{\"passwordHash\": \"$y$j9T$salt$hash\", \"name\": \"core\"}}\n\
             {{\"token\": \"abc\"}}\n\
             discovery: https://discovery.etcd.io/x\n\
             password_file: /etc/x\n\
             \x20   -----BEGIN RSA PRIVATE KEY-----\n\
             \x20   MIIEhidden\n\
             \x20   -----END RSA PRIVATE KEY-----\n\
             {{\"a\": \"data:,-----BEGIN%20PRIVATE%20KEY-----%0AMIIEinline%0A-----END%20PRIVATE\", \
             \"b\": \"-----BEGIN PRIVATE KEY-----\\nMIIEagain\\n-----END PRIVATE KEY-----\"}}\n\
             cost: $5 and $6\n"
        );
        let redacted = redact(&text);
        insta::assert_snapshot!(redacted);
        for secret in [
            KEY,
            "abcdefgh",
            "hunter2",
            "$hash",
            "MIIEhidden",
            "MIIEinline",
            "\"abc\"",
        ] {
            assert!(!redacted.contains(secret), "{secret}");
        }
        assert_eq!(redacted.lines().count(), text.lines().count());
    }

    #[test]
    fn a_secret_that_changes_still_changes() {
        let of = |secret: &str| redact(&format!("passwd: $6$s${secret}\n"));
        assert_ne!(of("one"), of("two"));
        assert_eq!(of("one"), of("one"));
    }

    #[test]
    fn what_follows_a_key_stays() {
        let text = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nhostname: x\n\
                    -----BEGIN CERTIFICATE-----\nMIIEpublic\n-----END CERTIFICATE-----\n";
        let redacted = redact(text);
        assert!(redacted.contains("hostname: x") && redacted.contains("MIIEpublic"));
        assert!(!redacted.contains("abc"), "{redacted}");
    }
}
