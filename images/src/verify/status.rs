//! Status lines of `gpgv` (`--status-fd`), and their meaning here. Pure.
//!
//! The lines are those of GnuPG's doc/DETAILS, "Format of the --status-fd output". Its exit code is no
//! verdict: it is 0 for a good signature by a key that has expired.

use thiserror::Error;

use crate::catalog::model::ExpiredKey;

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Fingerprint of the primary key.
    pub fingerprint: String,
    /// Time of the signature, in seconds since 1970.
    pub made_at: u64,
    /// True if the key has expired since.
    pub key_has_expired: bool,
}

/// Reasons to refuse a signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The file is not what was signed.
    #[error("bad signature: the file or its signature was changed or truncated")]
    Bad,
    /// Signed by a key that is not pinned.
    #[error("signed by another key: {0}")]
    OtherKey(String),
    /// The key has expired.
    #[error(
        "signed by an expired key ({key}, expired {at} seconds after 1970); name a newer key (`key` in [override.NAME], docs/images.md)"
    )]
    ExpiredKey {
        /// Fingerprint of the primary key.
        key: String,
        /// Expiry time, in seconds since 1970.
        at: u64,
    },
    /// The key was revoked.
    #[error("signed by a revoked key: {0}")]
    Revoked(String),
    /// The signature itself has expired.
    #[error("the signature has expired")]
    ExpiredSignature,
    /// The signature file has no signature.
    #[error("no OpenPGP signature found in the signature file")]
    None,
}

const PREFIX: &str = "[GNUPG:] ";

/// Status of one signature.
#[derive(Debug, Default)]
struct Report<'s> {
    good: bool,
    bad: bool,
    expired_key: bool,
    revoked: bool,
    expired_signature: bool,
    /// Key id of a key that is not there.
    unknown_key: Option<&'s str>,
    /// Expiry time of the key, in seconds since 1970.
    key_expired_at: Option<u64>,
    /// Time of the signature, in seconds since 1970.
    made_at: u64,
    /// Fingerprint of the primary key.
    primary: Option<&'s str>,
}

/// Returns the first valid signature, or the reason that none is valid.
pub(super) fn judge(
    status: &str,
    fingerprints: &[String],
    expired: ExpiredKey,
) -> Result<Signed, Refusal> {
    let reports = read(status);
    if reports.iter().any(|report| report.bad) {
        return Err(Refusal::Bad);
    }
    let mut refusal = Refusal::None;
    for report in &reports {
        match judge_one(report, fingerprints, expired) {
            Ok(signed) => return Ok(signed),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn judge_one(
    report: &Report<'_>,
    fingerprints: &[String],
    expired: ExpiredKey,
) -> Result<Signed, Refusal> {
    if let Some(key) = report.unknown_key {
        return Err(Refusal::OtherKey(key.to_owned()));
    }
    let primary = report.primary.ok_or(Refusal::None)?.to_owned();
    if !fingerprints.contains(&primary) {
        return Err(Refusal::OtherKey(primary));
    }
    if report.revoked {
        return Err(Refusal::Revoked(primary));
    }
    if report.expired_signature {
        return Err(Refusal::ExpiredSignature);
    }
    if report.expired_key {
        let before = report
            .key_expired_at
            .is_some_and(|expired_at| report.made_at < expired_at);
        if expired == ExpiredKey::Refuse || !before {
            return Err(Refusal::ExpiredKey {
                key: primary,
                at: report.key_expired_at.unwrap_or_default(),
            });
        }
    } else if !report.good {
        return Err(Refusal::None);
    }
    Ok(Signed {
        fingerprint: primary,
        made_at: report.made_at,
        key_has_expired: report.expired_key,
    })
}

fn read(status: &str) -> Vec<Report<'_>> {
    let mut reports: Vec<Report<'_>> = Vec::new();
    for line in status.lines().filter_map(|line| line.strip_prefix(PREFIX)) {
        let mut words = line.split(' ');
        let keyword = words.next().unwrap_or_default();
        let arguments: Vec<&str> = words.collect();
        if keyword == "NEWSIG" || reports.is_empty() {
            reports.push(Report::default());
        }
        let Some(report) = reports.last_mut() else {
            continue;
        };
        match keyword {
            "GOODSIG" => report.good = true,
            "BADSIG" => report.bad = true,
            "EXPKEYSIG" => report.expired_key = true,
            "REVKEYSIG" => report.revoked = true,
            "EXPSIG" => report.expired_signature = true,
            "NO_PUBKEY" => report.unknown_key = arguments.first().copied(),
            "KEYEXPIRED" => report.key_expired_at = arguments.first().and_then(|t| t.parse().ok()),
            "VALIDSIG" => {
                report.made_at = arguments.get(2).and_then(|t| t.parse().ok()).unwrap_or(0);
                report.primary = arguments.last().copied();
            }
            _ => {}
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A";

    fn of(lines: &[&str], expired: ExpiredKey) -> Result<Signed, Refusal> {
        let text: String = lines.iter().map(|l| format!("{PREFIX}{l}\n")).collect();
        judge(&text, &[KEY.to_owned()], expired)
    }

    fn valid(made_at: u64, primary: &str) -> String {
        format!("VALIDSIG {KEY} 2026-01-01 {made_at} 0 4 0 1 10 00 {primary}")
    }

    #[test]
    fn a_good_signature_by_the_pinned_key_counts() {
        let signed = of(
            &["NEWSIG", "GOODSIG E25D x", &valid(5, KEY)],
            ExpiredKey::Refuse,
        )
        .unwrap();
        assert_eq!((signed.made_at, signed.fingerprint.as_str()), (5, KEY));
    }

    #[test]
    fn a_good_signature_by_another_key_does_not() {
        let other = "0".repeat(40);
        let lines = ["NEWSIG", "GOODSIG E25D x", &valid(5, &other)];
        assert_eq!(
            of(&lines, ExpiredKey::Refuse),
            Err(Refusal::OtherKey(other))
        );
        let lines = ["NEWSIG", "ERRSIG 1234 1 10 00 5 9 -", "NO_PUBKEY 1234"];
        let other = Refusal::OtherKey("1234".into());
        assert_eq!(of(&lines, ExpiredKey::Refuse), Err(other));
    }

    #[test]
    fn one_bad_signature_spoils_the_good_ones() {
        let lines = [
            "NEWSIG",
            "GOODSIG E25D x",
            &valid(5, KEY),
            "NEWSIG",
            "BADSIG E25D x",
        ];
        assert_eq!(of(&lines, ExpiredKey::Refuse), Err(Refusal::Bad));
    }

    #[test]
    fn an_expired_key_counts_only_where_the_catalog_says_so_and_only_for_what_it_signed_before() {
        let lines = [
            "NEWSIG",
            "KEYEXPIRED 100",
            "EXPKEYSIG E25D x",
            &valid(99, KEY),
        ];
        let refusal = Refusal::ExpiredKey {
            key: KEY.into(),
            at: 100,
        };
        assert_eq!(of(&lines, ExpiredKey::Refuse), Err(refusal.clone()));
        assert!(
            of(&lines, ExpiredKey::IfSignedBefore)
                .unwrap()
                .key_has_expired
        );
        let late = [
            "NEWSIG",
            "KEYEXPIRED 100",
            "EXPKEYSIG E25D x",
            &valid(100, KEY),
        ];
        assert_eq!(of(&late, ExpiredKey::IfSignedBefore), Err(refusal));
    }

    #[test]
    fn a_revoked_key_never_counts() {
        let lines = ["NEWSIG", "REVKEYSIG E25D x", &valid(5, KEY)];
        let refusal = Refusal::Revoked(KEY.into());
        assert_eq!(of(&lines, ExpiredKey::IfSignedBefore), Err(refusal));
    }

    #[test]
    fn no_signature_at_all_is_none() {
        assert_eq!(of(&["NODATA 4"], ExpiredKey::Refuse), Err(Refusal::None));
        assert_eq!(of(&[], ExpiredKey::Refuse), Err(Refusal::None));
        assert_eq!(
            of(&["NEWSIG", &valid(5, KEY)], ExpiredKey::Refuse),
            Err(Refusal::None)
        );
    }
}
