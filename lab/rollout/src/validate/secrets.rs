//! Secrets in what anybody on the network can ask for.

use std::collections::HashMap;

use boot_server_catalog::problem::place_after;
use boot_server_catalog::snapshot::{Folder, Layout};

use super::boot::options;
use super::context::Context;
use super::finding::{Findings, Source};

/// Beginnings of password hashes, by crypt(5).
const HASHES: [&str; 10] = [
    "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$sha1$",
];
/// Minimum number of characters after the prefix of a hash.
const HASH_CHARACTERS: usize = 12;

/// Looks at all configs and at the metadata of groups.
pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    // A config is safe when each profile that names it leads its machines to it by HTTPS.
    let mut safe: HashMap<(Folder, &str), bool> = HashMap::new();
    for profile in context.snapshot.profiles() {
        for folder in Folder::ALL {
            let Some(file) = folder.file(profile) else {
                continue;
            };
            let by_https =
                options::config_url(profile, folder).is_some_and(|url| url.starts_with("https://"));
            let entry = safe.entry((folder, file)).or_insert(true);
            *entry &= by_https;
        }
    }
    let mut files: Vec<String> = safe
        .iter()
        .filter(|(_, safe)| !**safe)
        .map(|((folder, file), _)| format!("{}/{file}", folder.name()))
        .collect();
    match context.snapshot.layout {
        Layout::Bootcfg => files.push("config.yaml".to_owned()),
        Layout::Matchbox => {
            let names = context.root.names("groups").unwrap_or_default();
            let names = names.into_iter().filter(|name| name.ends_with(".json"));
            files.extend(names.map(|name| format!("groups/{name}")));
        }
    }
    files.sort();
    for file in files {
        if let Some(source) = context.source(&file) {
            private_keys(&source, findings);
            password_hashes(&source, findings);
        }
    }
}

fn private_keys(source: &Source, findings: &mut Findings) {
    let mut before = 0;
    for line in source.text.split_inclusive('\n') {
        if let Some(found) = private_key(line) {
            let at = place_after(source.text.get(..before + found).unwrap_or_default());
            let message = "private key in a config that is served without TLS";
            let help = "generate or fetch the key on the machine after boot, or serve the config only by HTTPS (a signature does not hide it)";
            findings.add(source.problem("private-key", at.into(), message, help));
        }
        before += line.len();
    }
}

/// Returns the offset of a private key in a line: plain, with `%` escapes, or in base64.
fn private_key(line: &str) -> Option<usize> {
    const BEGIN: &str = "-----BEGIN";
    /// Base64 of [`BEGIN`].
    const ENCODED: &str = "LS0tLS1CRUdJTi";
    /// Base64 of "PRIVATE KEY", by where in a group of three bytes it begins.
    const WORDS: [&str; 3] = ["UFJJVkFURSBLRV", "BSSVZBVEUgS0VZ", "QUklWQVRFIEtFW"];
    if let Some(at) = line.find(BEGIN) {
        let rest = line.get(at..)?.replace("%20", " ").replace('+', " ");
        let header = rest.get(..rest.len().min(60)).unwrap_or(&rest);
        return header.contains("PRIVATE KEY").then_some(at);
    }
    let at = line.find(ENCODED)?;
    let rest = line.get(at..)?;
    let header = rest.get(..rest.len().min(100)).unwrap_or(rest);
    WORDS.iter().any(|word| header.contains(word)).then_some(at)
}

fn password_hashes(source: &Source, findings: &mut Findings) {
    let mut before = 0;
    for line in source.text.split_inclusive('\n') {
        if let Some(found) = password_hash(line) {
            let at = place_after(source.text.get(..before + found).unwrap_or_default());
            let message = "password hash in a config that is served without TLS";
            let help = "use SSH keys instead, or serve the config only by HTTPS (a signature does not hide it)";
            findings.add(source.problem("password-hash", at.into(), message, help));
        }
        before += line.len();
    }
}

fn password_hash(line: &str) -> Option<usize> {
    HASHES
        .iter()
        .filter_map(|begin| {
            let at = line.find(begin)?;
            let rest = line.get(at + begin.len()..)?;
            let known = |c: &char| c.is_ascii_alphanumeric() || "./$,=".contains(*c);
            let length = rest.chars().take_while(known).count();
            (length >= HASH_CHARACTERS).then_some(at)
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_found_however_they_are_written() {
        for line in [
            "      -----BEGIN RSA PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----",
            "\"source\": \"data:,-----BEGIN%20OPENSSH%20PRIVATE%20KEY-----%0A\"",
            // "-----BEGIN RSA PRIVATE KEY-----", "… EC PRIVATE KEY …" and "… PRIVATE KEY …" in base64.
            "data:;base64,LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=",
            "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg==",
            "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg==",
        ] {
            assert!(private_key(line).is_some(), "{line}");
        }
        for line in [
            "-----BEGIN CERTIFICATE-----",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==",
            "ssh-ed25519 AAAA",
        ] {
            assert_eq!(private_key(line), None, "{line}");
        }
    }

    #[test]
    fn password_hashes_are_found_and_variables_are_not_taken_for_them() {
        let hash = "passwd: $6$5s2u6/jR$un0AvWnqilcgaNB3Mkxd5yYv6mTlWfOoCYHZmfi3LDKVltj.E8XNKEcwWm";
        assert_eq!(password_hash(hash), Some(8));
        assert!(password_hash("\"passwordHash\": \"$y$j9T$abcdefghijkl$0123\"").is_some());
        for line in ["echo $1$2", "$6$ is short", "$private_ipv4", "a $5$ b"] {
            assert_eq!(password_hash(line), None, "{line}");
        }
    }
}
