//! Placeholders in command lines, environment variables and template files.

/// Placeholder and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    Address,
    Assets,
    Data,
    Dir,
    Host,
    Interface,
    Log,
    Name,
    Netmask,
    Network,
    State,
    Subnet,
}

impl Placeholder {
    /// All placeholders, by name.
    pub const ALL: [Placeholder; 12] = [
        Placeholder::Address,
        Placeholder::Assets,
        Placeholder::Data,
        Placeholder::Dir,
        Placeholder::Host,
        Placeholder::Interface,
        Placeholder::Log,
        Placeholder::Name,
        Placeholder::Netmask,
        Placeholder::Network,
        Placeholder::State,
        Placeholder::Subnet,
    ];

    /// Returns the word between the braces.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Placeholder::Address => "address",
            Placeholder::Assets => "assets",
            Placeholder::Data => "data",
            Placeholder::Dir => "dir",
            Placeholder::Host => "host",
            Placeholder::Interface => "interface",
            Placeholder::Log => "log",
            Placeholder::Name => "name",
            Placeholder::Netmask => "netmask",
            Placeholder::Network => "network",
            Placeholder::State => "state",
            Placeholder::Subnet => "subnet",
        }
    }

    /// Returns the placeholder of this word.
    pub(super) fn of(word: &str) -> Option<Placeholder> {
        Placeholder::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// Replaces every known placeholder in `text`. Other words in braces are left as they are, because they have a
/// meaning in many configuration languages.
#[must_use]
pub fn expand(text: &str, value: impl Fn(Placeholder) -> String) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, word, after)) = next_word(rest) {
        expanded.push_str(before);
        match Placeholder::of(word) {
            Some(placeholder) => expanded.push_str(&value(placeholder)),
            None => {
                expanded.push('{');
                expanded.push_str(word);
                expanded.push('}');
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

/// Returns the words in braces that are no placeholders.
pub(super) fn unknown(text: &str) -> Vec<&str> {
    let mut unknown = Vec::new();
    let mut rest = text;
    while let Some((_, word, after)) = next_word(rest) {
        if Placeholder::of(word).is_none() {
            unknown.push(word);
        }
        rest = after;
    }
    unknown
}

/// Returns the text before the next word in braces, the word, and the text after it. A word follows no `$`, which
/// begins a variable of a shell or an iPXE script.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    let is_word = |word: &str| {
        let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
        !word.is_empty() && word.chars().all(is_letter)
    };
    text.match_indices('{').find_map(|(start, _)| {
        let (before, from) = text.split_at(start);
        let (word, after) = from.strip_prefix('{')?.split_once('}')?;
        (is_word(word) && !before.ends_with('$')).then_some((before, word, after))
    })
}
