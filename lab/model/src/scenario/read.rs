//! TOML parser that does not stop at the first mistake, unlike a derived one: every query of a [`Table`] or an
//! [`Item`] records problems and continues.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Located, Source, Wrong, nearest, one_of};

/// Table, and the keys queried so far.
pub(crate) struct Table<'s, 'i> {
    source: &'s Source,
    /// Name in messages: `[network]`, `[[node]]`, `the scenario`.
    title: &'static str,
    at: Range<usize>,
    entries: &'s DeTable<'i>,
    asked: RefCell<Vec<&'static str>>,
}

/// Value of a key.
#[derive(Clone, Copy)]
pub(crate) struct Item<'s, 'i> {
    source: &'s Source,
    key: &'s str,
    value: &'s Spanned<DeValue<'i>>,
}

impl<'s, 'i> Table<'s, 'i> {
    /// Returns the document itself, called `title` in messages.
    pub(crate) fn root(
        source: &'s Source,
        document: &'s Spanned<DeTable<'i>>,
        title: &'static str,
    ) -> Self {
        Table {
            source,
            title,
            at: 0..0,
            entries: document.get_ref(),
            asked: RefCell::default(),
        }
    }

    /// Returns the location of the table.
    pub(crate) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// Returns the value of `key`, if present.
    pub(crate) fn optional(&self, key: &'static str) -> Option<Item<'s, 'i>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let value = self.entries.get(key)?;
        Some(Item {
            source: self.source,
            key,
            value,
        })
    }

    /// Returns all entries, for a table whose keys are names of the user's.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'s str, Item<'s, 'i>)> + use<'s, 'i> {
        let source = self.source;
        self.entries.iter().map(move |(key, value)| {
            let key = key.get_ref().as_ref();
            (key, Item { source, key, value })
        })
    }

    /// Returns the value of `key`; `example` is shown if it is missing.
    pub(crate) fn required(&self, key: &'static str, example: &str) -> Option<Item<'s, 'i>> {
        let item = self.optional(key);
        if item.is_none() {
            self.source.wrong(
                self.at(),
                "in here",
                Wrong::new(
                    format!("missing key `{key}` in {}", self.title),
                    format!("add it, e.g. `{example}`"),
                ),
            );
        }
        item
    }

    /// Reports every key that was never queried.
    pub(crate) fn finish(self) {
        let asked = self.asked.into_inner();
        #[cfg(test)]
        tests::ASKED.with_borrow_mut(|all| all.entry(self.title).or_default().extend(&asked));
        for (key, _) in self.entries.iter() {
            let word = key.get_ref().as_ref();
            if asked.contains(&word) {
                continue;
            }
            let help = match nearest(word, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "{} has the keys {}",
                    self.title,
                    one_of(asked.iter().copied())
                ),
            };
            let what = format!("unknown key `{word}` in {}", self.title);
            self.source
                .wrong(key.span(), "unknown", Wrong::new(what, help));
        }
    }
}

impl<'s, 'i> Item<'s, 'i> {
    /// Returns the location of the value.
    pub(crate) fn at(&self) -> Range<usize> {
        self.value.span()
    }

    /// Reports that the value is wrong.
    pub(crate) fn wrong(&self, wrong: Wrong) {
        self.source.wrong(self.at(), "here", wrong);
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = self.value.get_ref().type_str();
        self.wrong(Wrong::new(
            format!("invalid type of `{}`: {found}", self.key),
            format!("it must be {wanted}"),
        ));
        None
    }

    fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            at: self.at(),
        }
    }

    /// Returns a text.
    pub(crate) fn text(&self) -> Option<Located<String>> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(self.located(text.to_owned())),
            None => self.wrong_type("a string in quotes"),
        }
    }

    /// Returns the result of `parse` on a text.
    pub(crate) fn parse<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Located<T>> {
        let text = self.text()?;
        match parse(&text.value) {
            Ok(value) => Some(self.located(value)),
            Err(wrong) => {
                self.wrong(wrong);
                None
            }
        }
    }

    /// Returns one of `choices`.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<Located<T>> {
        self.parse(|text| pick(self.key, text, choices))
    }

    /// Returns a whole number in `range`; messages name the `unit`.
    pub(crate) fn number(&self, range: RangeInclusive<u32>, unit: &str) -> Option<Located<u32>> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return self.wrong_type("a whole number");
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(self.located(number)),
            None => {
                self.wrong(Wrong::new(
                    format!("invalid `{}`: {integer} {unit}", self.key),
                    format!("it must be {} to {} {unit}", range.start(), range.end()),
                ));
                None
            }
        }
    }

    /// Returns a boolean.
    pub(crate) fn flag(&self) -> Option<Located<bool>> {
        match self.value.get_ref().as_bool() {
            Some(value) => Some(self.located(value)),
            None => self.wrong_type("`true` or `false`"),
        }
    }

    /// Returns the elements of an array.
    pub(crate) fn list(&self) -> Option<Vec<Item<'s, 'i>>> {
        match self.value.get_ref().as_array() {
            Some(values) => Some(values.iter().map(|value| Item { value, ..*self }).collect()),
            None => self.wrong_type("an array in square brackets"),
        }
    }

    /// Returns the number of elements, if the value is an array.
    pub(crate) fn length(&self) -> Option<usize> {
        Some(self.value.get_ref().as_array()?.len())
    }

    /// Returns the entries of a table whose keys the user chooses.
    pub(crate) fn entries(&self) -> Option<Vec<(String, Item<'s, 'i>)>> {
        let Some(entries) = self.value.get_ref().as_table() else {
            return self.wrong_type("a table");
        };
        let entry = |(key, value): (&Spanned<_>, &'s Spanned<DeValue<'i>>)| {
            let key: &std::borrow::Cow<str> = key.get_ref();
            (key.to_string(), Item { value, ..*self })
        };
        Some(entries.iter().map(entry).collect())
    }

    /// True if the value is a text.
    pub(crate) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// True if the value is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Returns a table, called `title` in messages.
    pub(crate) fn table(&self, title: &'static str) -> Option<Table<'s, 'i>> {
        let Some(entries) = self.value.get_ref().as_table() else {
            return self.wrong_type("a table");
        };
        Some(Table {
            source: self.source,
            title,
            at: self.at(),
            entries,
            asked: RefCell::default(),
        })
    }
}

/// Returns the choice called `text`.
fn pick<T: Copy>(key: &str, text: &str, choices: &[(&'static str, T)]) -> Result<T, Wrong> {
    let found = choices.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words = choices.iter().map(|(word, _)| *word);
        let help = match nearest(text, words.clone()) {
            Some(near) => format!("did you mean `{near}`? It must be {}", one_of(words)),
            None => format!("it must be {}", one_of(words)),
        };
        Wrong::new(format!("invalid `{key}`: `{text}`"), help)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};

    thread_local! {
        /// Keys that this thread asked for, by the titles of their tables.
        pub(crate) static ASKED: RefCell<BTreeMap<&'static str, BTreeSet<&'static str>>> =
            RefCell::default();
    }
}
