//! Single values of a catalog file: each is parsed once, into what it means, or told with its place and
//! what would be right.

use toml::Spanned;

use super::check::{Checked, Reader};
use super::name::is_word;
use super::problem::one_of;

/// Hex digits of a fingerprint of version 4 (RFC 4880, section 12.2), the only one in use for images.
const FINGERPRINT_DIGITS: usize = 40;

impl Reader<'_> {
    /// Fingerprints, with or without spaces.
    pub(super) fn fingerprints(&self, written: &[Spanned<String>]) -> Checked<Vec<String>> {
        let mut fingerprints = Vec::new();
        for one in written {
            let digits: String = one.get_ref().split_whitespace().collect();
            let good = digits.len() == FINGERPRINT_DIGITS
                && digits.chars().all(|digit| digit.is_ascii_hexdigit());
            if !good {
                return Err(self.text.wrong(
                    one.span(),
                    format!("invalid fingerprint `{}`", one.get_ref()),
                    format!("write {FINGERPRINT_DIGITS} hex digits, as printed by `gpg --show-keys FILE`; a key id is too short to be safe"),
                ));
            }
            fingerprints.push(digits.to_ascii_uppercase());
        }
        Ok(fingerprints)
    }

    /// Returns a mirror's address, without a slash at its end.
    pub(super) fn mirror(&self, mirror: Option<&Spanned<String>>) -> Checked<Option<String>> {
        let Some(mirror) = mirror else {
            return Ok(None);
        };
        self.template(mirror, &[])?;
        Ok(Some(mirror.get_ref().trim_end_matches('/').to_owned()))
    }

    pub(super) fn template(&self, url: &Spanned<String>, needed: &[&str]) -> Checked<()> {
        let text = url.get_ref();
        if !(text.starts_with("https://") || text.starts_with("http://")) {
            let what = format!("invalid URL `{text}`");
            return Err(self.text.wrong(
                url.span(),
                what,
                "write a URL that begins with https:// or http://",
            ));
        }
        if let Some(missing) = needed.iter().find(|part| !text.contains(**part)) {
            let what = format!("missing {missing} in the URL");
            return Err(self.text.wrong(
                url.span(),
                what,
                format!("write {missing} at its position in the publisher's URLs"),
            ));
        }
        Ok(())
    }

    pub(super) fn hex(
        &self,
        text: Option<&Spanned<String>>,
        digits: usize,
    ) -> Checked<Option<String>> {
        let Some(text) = text else { return Ok(None) };
        let good = text.get_ref().len() == digits
            && text
                .get_ref()
                .chars()
                .all(|digit| digit.is_ascii_hexdigit());
        if good {
            return Ok(Some(text.get_ref().to_ascii_lowercase()));
        }
        let what = format!("invalid hash `{}`", text.get_ref());
        Err(self
            .text
            .wrong(text.span(), what, format!("write {digits} hex digits")))
    }

    pub(super) fn needed<'s>(
        &self,
        value: Option<&'s Spanned<String>>,
        at: &std::ops::Range<usize>,
        key: &str,
        meaning: &str,
    ) -> Checked<&'s Spanned<String>> {
        value.ok_or_else(|| {
            let help = format!("add `{key} = \"…\"`: {meaning}");
            self.text
                .wrong(at.clone(), format!("missing `{key}`"), help)
        })
    }

    pub(super) fn word(&self, word: &Spanned<String>, what: &str) -> Checked<()> {
        if is_word(word.get_ref()) {
            return Ok(());
        }
        let problem = format!("invalid value `{}` for {what}", word.get_ref());
        let help =
            "start with a letter or digit, and use only letters, digits, `.`, `_`, `+` and `-`";
        Err(self.text.wrong(word.span(), problem, help))
    }

    pub(super) fn choice<T: Copy>(
        &self,
        word: &Spanned<String>,
        known: &[(&'static str, T)],
    ) -> Checked<T> {
        let text = word.get_ref();
        let found = known.iter().find(|(name, _)| name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let what = format!("unknown value `{text}`");
            self.text.wrong(word.span(), what, one_of(text, names))
        })
    }
}
