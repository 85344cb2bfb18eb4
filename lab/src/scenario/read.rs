//! Reads TOML by hand instead of by derive, because a derive stops at the first mistake: every
//! question asked of a [`Table`] or an [`Item`] notes what is wrong and goes on.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Located, Source, Wrong, nearest, one_of};

/// A table and the keys asked of it so far.
pub(crate) struct Table<'s, 'i> {
    source: &'s Source,
    /// How it is called in messages: `[network]`, `[[node]]`, `the scenario`.
    title: &'static str,
    at: Range<usize>,
    entries: &'s DeTable<'i>,
    asked: RefCell<Vec<&'static str>>,
}

/// The value of a key.
#[derive(Clone, Copy)]
pub(crate) struct Item<'s, 'i> {
    source: &'s Source,
    key: &'static str,
    value: &'s Spanned<DeValue<'i>>,
}

impl<'s, 'i> Table<'s, 'i> {
    /// The document itself, called `title` in messages.
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

    /// Where the table begins.
    pub(crate) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// The value of `key`, which need not be there.
    pub(crate) fn optional(&self, key: &'static str) -> Option<Item<'s, 'i>> {
        self.asked.borrow_mut().push(key);
        let value = self.entries.get(key)?;
        Some(Item {
            source: self.source,
            key,
            value,
        })
    }

    /// The value of `key`; `example` is what to write when it is missing.
    pub(crate) fn required(&self, key: &'static str, example: &str) -> Option<Item<'s, 'i>> {
        let item = self.optional(key);
        if item.is_none() {
            self.source.wrong(
                self.at(),
                "in here",
                Wrong::new(
                    format!("`{key}` is missing in {}", self.title),
                    format!("write for example `{example}`"),
                ),
            );
        }
        item
    }

    /// Notes every key that was never asked for.
    pub(crate) fn finish(self) {
        let asked = self.asked.into_inner();
        for (key, _) in self.entries.iter() {
            let word = key.get_ref().as_ref();
            if asked.contains(&word) {
                continue;
            }
            let help = match nearest(word, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{} knows {}", self.title, one_of(asked.iter().copied())),
            };
            let what = format!("unknown key `{word}` in {}", self.title);
            self.source
                .wrong(key.span(), "unknown", Wrong::new(what, help));
        }
    }
}

impl<'s, 'i> Item<'s, 'i> {
    /// Where the value stands.
    pub(crate) fn at(&self) -> Range<usize> {
        self.value.span()
    }

    /// Notes that the value is wrong.
    pub(crate) fn wrong(&self, wrong: Wrong) {
        self.source.wrong(self.at(), "here", wrong);
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = self.value.get_ref().type_str();
        self.wrong(Wrong::new(
            format!("`{}` is of type {found}", self.key),
            format!("it has to be {wanted}"),
        ));
        None
    }

    fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            at: self.at(),
        }
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<Located<String>> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(self.located(text.to_owned())),
            None => self.wrong_type("a text in quotes"),
        }
    }

    /// A text which `parse` makes something of.
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

    /// One word out of `choices`.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<Located<T>> {
        self.parse(|text| pick(self.key, text, choices))
    }

    /// A whole number in `range`; `unit` is said in the message.
    pub(crate) fn number(&self, range: RangeInclusive<u32>, unit: &str) -> Option<Located<u32>> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return self.wrong_type("a whole number");
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(self.located(number)),
            None => {
                self.wrong(Wrong::new(
                    format!("`{}` of {integer} {unit} is out of range", self.key),
                    format!("{} to {} {unit}", range.start(), range.end()),
                ));
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<Located<bool>> {
        match self.value.get_ref().as_bool() {
            Some(value) => Some(self.located(value)),
            None => self.wrong_type("`true` or `false`"),
        }
    }

    /// The elements of an array.
    pub(crate) fn list(&self) -> Option<Vec<Item<'s, 'i>>> {
        match self.value.get_ref().as_array() {
            Some(values) => Some(values.iter().map(|value| Item { value, ..*self }).collect()),
            None => self.wrong_type("a list in square brackets"),
        }
    }

    /// Number of elements, if the value is an array.
    pub(crate) fn length(&self) -> Option<usize> {
        Some(self.value.get_ref().as_array()?.len())
    }

    /// Whether it is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A table, called `title` in messages.
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

/// The choice called `text`.
fn pick<T: Copy>(key: &str, text: &str, choices: &[(&'static str, T)]) -> Result<T, Wrong> {
    let found = choices.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words = choices.iter().map(|(word, _)| *word);
        let help = match nearest(text, words.clone()) {
            Some(near) => format!("did you mean `{near}`? It can be {}", one_of(words)),
            None => format!("it can be {}", one_of(words)),
        };
        Wrong::new(format!("`{key}` cannot be `{text}`"), help)
    })
}
