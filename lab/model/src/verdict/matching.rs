//! Comparison of the attribute by which the answering group matched the machine with the expected one.

use crate::scenario::MatchedBy;

/// True if a group that requires these label keys matches by that attribute.
pub(super) fn is_by(wanted: MatchedBy, selectors: &[String]) -> bool {
    let found = match selectors {
        [] => MatchedBy::Default,
        [key] if key == "uuid" => MatchedBy::Uuid,
        [key] if key == "mac" => MatchedBy::Mac,
        _ => MatchedBy::Labels,
    };
    found == wanted
}

/// Describes the label keys.
pub(super) fn shown(selectors: &[String]) -> String {
    if selectors.is_empty() {
        "no label at all".to_owned()
    } else {
        selectors.join(" and ")
    }
}

/// Describes the expectation.
pub(super) fn expected(wanted: MatchedBy) -> &'static str {
    match wanted {
        MatchedBy::Uuid => "a match by uuid",
        MatchedBy::Mac => "a match by mac",
        MatchedBy::Default => "the default group",
        MatchedBy::Labels => "a match by other labels",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_matches_by_its_only_label_and_by_labels_when_it_requires_several() {
        let by = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
            let all = [
                MatchedBy::Uuid,
                MatchedBy::Mac,
                MatchedBy::Default,
                MatchedBy::Labels,
            ];
            let fitting: Vec<MatchedBy> =
                all.into_iter().filter(|one| is_by(*one, &keys)).collect();
            fitting
        };
        assert_eq!(by(&["uuid"]), [MatchedBy::Uuid]);
        assert_eq!(by(&["mac"]), [MatchedBy::Mac]);
        assert_eq!(by(&[]), [MatchedBy::Default]);
        assert_eq!(by(&["rack"]), [MatchedBy::Labels]);
        assert_eq!(by(&["mac", "uuid"]), [MatchedBy::Labels]);
    }
}
