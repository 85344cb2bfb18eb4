//! `$private_ipv4` and its like, replaced in the text before it is read.

/// The four variables, longest first is not needed: none is the beginning of another.
const VARIABLES: [(&str, &str); 4] = [
    ("$private_ipv4", "COREOS_PRIVATE_IPV4"),
    ("$private_ipv6", "COREOS_PRIVATE_IPV6"),
    ("$public_ipv4", "COREOS_PUBLIC_IPV4"),
    ("$public_ipv6", "COREOS_PUBLIC_IPV6"),
];

/// Values of the variables. A machine booted over the network has no metadata, so the values come from
/// `COREOS_*` environment variables; without them the variables become empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Substitutions {
    values: [String; 4],
}

impl Substitutions {
    /// Takes the values from `lookup`, by the names of their environment variables.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Substitutions {
            values: VARIABLES.map(|(_, key)| lookup(key).unwrap_or_default()),
        }
    }

    /// `text` with the variables replaced; `\$private_ipv4` keeps the variable and loses the
    /// backslash. Of the same variable right after itself every second one stays, as the reference's
    /// regular expression has it (`initialize/env.go`): it needs a character before the variable,
    /// which the match before has taken.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut just_replaced = None;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            let found = VARIABLES
                .iter()
                .zip(&self.values)
                .find(|((name, _), _)| after.starts_with(name));
            let touching = just_replaced.take().filter(|_| before.is_empty());
            let Some(((name, _), value)) = found else {
                out.push_str(before);
                out.push('$');
                rest = after.get(1..).unwrap_or_default();
                continue;
            };
            if let Some(unescaped) = before.strip_suffix('\\') {
                out.push_str(unescaped);
                out.push_str(name);
            } else if touching == Some(*name) {
                out.push_str(name);
            } else {
                out.push_str(before);
                out.push_str(value);
                just_replaced = Some(*name);
            }
            rest = after.get(name.len()..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    /// Returns the variables that have a value, by their environment names, sorted.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        VARIABLES
            .iter()
            .zip(&self.values)
            .filter(|(_, value)| !value.is_empty())
            .map(|((_, key), value)| (*key, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substitutions() -> Substitutions {
        Substitutions::from_lookup(|key| (key == "COREOS_PRIVATE_IPV4").then(|| "10.0.0.5".into()))
    }

    #[test]
    fn known_variables_are_replaced_and_others_stay() {
        assert_eq!(
            substitutions().apply("a=$private_ipv4:80,$private_ipv4 $nope $public_ipv4."),
            "a=10.0.0.5:80,10.0.0.5 $nope ."
        );
    }

    #[test]
    fn a_backslash_keeps_the_variable() {
        assert_eq!(
            substitutions().apply(r"\$private_ipv4 \\$private_ipv4"),
            r"$private_ipv4 \$private_ipv4"
        );
    }
}
