//! JSON read into types as Go's `encoding/json` reads it, because that is what the replaced programs do.
//!
//! Keys of a type match in any letter case. Keys of a map stay as written. The last one of two equal keys
//! counts; two maps or objects under one key are merged. `null` leaves a value at its default. A lone
//! surrogate (`\ud800`) and bytes that are not UTF-8 become U+FFFD. Values of unknown keys are not looked
//! at. Only an object fills a type with named fields, never a list.
//!
//! Source: the documentation of Go's `encoding/json`, `Unmarshal`.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

/// Text that is not JSON, or not of the wanted shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidJson {
    /// Description of the problem, without its place.
    pub message: String,
    /// Line, counted from 1; 0 for an unknown place.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// True if the text is not JSON at all.
    pub is_syntax: bool,
}

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.line {
            0 => Ok(()),
            line => write!(f, " at line {line} column {}", self.column),
        }
    }
}

impl std::error::Error for InvalidJson {}

impl de::Error for InvalidJson {
    fn custom<T: fmt::Display>(message: T) -> InvalidJson {
        InvalidJson {
            message: message.to_string(),
            line: 0,
            column: 0,
            is_syntax: false,
        }
    }
}

impl From<serde_json::Error> for InvalidJson {
    fn from(error: serde_json::Error) -> InvalidJson {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        InvalidJson {
            message: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
            line,
            column,
            is_syntax: !error.is_data(),
        }
    }
}

/// A key of an object, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key as written.
    pub name: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

/// Reads a text.
///
/// # Errors
/// The text is not JSON, or not of this shape.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, InvalidJson> {
    from_str_by(text, |_| true)
}

/// Reads a text into a type of which only some names count, because the others are another format's.
///
/// # Errors
/// As [`from_str`].
pub fn from_str_by<T: DeserializeOwned>(
    text: &str,
    counts: fn(&'static str) -> bool,
) -> Result<T, InvalidJson> {
    let text = without_lone_surrogates(text);
    serde_json::from_str::<de::IgnoredAny>(&text)?;
    read(&text, counts)
}

/// Reads the first JSON value of a stream, as Go's `json.Decoder` does; what follows is not looked at.
///
/// # Errors
/// As [`from_str`].
pub fn first_from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidJson> {
    let text = String::from_utf8_lossy(bytes);
    let text = without_lone_surrogates(&text);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<de::IgnoredAny>();
    match values.next() {
        Some(first) => first?,
        // The error of an empty text.
        None => serde_json::from_str::<de::IgnoredAny>("")?,
    };
    let end = values.byte_offset();
    read(text.get(..end).unwrap_or(&text), |_| true)
}

fn read<T: DeserializeOwned>(
    text: &str,
    counts: fn(&'static str) -> bool,
) -> Result<T, InvalidJson> {
    let root = Raw::root(text);
    T::deserialize(Occurrences {
        all: vec![root],
        counts,
    })
    .map_err(|error| root.placed(error))
}

/// Returns the keys of an object with their places: those of the whole text, or of the objects under the key
/// `within`. None of a text that is not JSON.
pub fn keys(text: &str, within: Option<&str>) -> Vec<Key> {
    let text = without_lone_surrogates(text);
    if serde_json::from_str::<de::IgnoredAny>(&text).is_err() {
        return Vec::new();
    }
    let root = Raw::root(&text).entries();
    let entries: Vec<(Raw<'_>, Raw<'_>)> = match within {
        None => root,
        Some(name) => root
            .into_iter()
            .filter(|(key, _)| is_key(&key.string(), name))
            .flat_map(|(_, value)| value.entries())
            .collect(),
    };
    let keys = entries.into_iter().map(|(key, _)| {
        let (line, column) = key.place();
        Key {
            name: key.string(),
            line,
            column,
        }
    });
    keys.collect()
}

/// Returns line and column of a key at the top of a text, in any letter case; none where it is missing.
pub fn place_of_key(text: &str, name: &str) -> Option<(usize, usize)> {
    let found = keys(text, None)
        .into_iter()
        .find(|key| is_key(&key.name, name))?;
    Some((found.line, found.column))
}

/// True if Go takes a key of a text for the field of this name.
///
/// Beside the letters of ASCII, Go folds U+017F (`ſ`) to `s` and U+212A (the Kelvin sign) to `k`.
pub fn is_key(written: &str, name: &str) -> bool {
    let fold = |char: char| match char {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    written.chars().map(fold).eq(name.chars().map(fold))
}

/// Returns the text with `\ufffd` in place of escapes that are half a character. The length is unchanged.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut changed: Option<String> = None;
    let bytes = text.as_bytes();
    let mut position = 0;
    while let Some(found) = text.get(position..).and_then(|rest| rest.find('\\')) {
        let at = position + found;
        let Some(unit) = escaped_unit(bytes, at) else {
            position = (at + 2).min(text.len());
            // The character behind the backslash may have several bytes.
            while !text.is_char_boundary(position) {
                position += 1;
            }
            continue;
        };
        let is_low = |unit: u16| (0xdc00..0xe000).contains(&unit);
        let is_high = (0xd800..0xdc00).contains(&unit);
        if is_high && escaped_unit(bytes, at + 6).is_some_and(is_low) {
            position = at + 12;
            continue;
        }
        if is_high || is_low(unit) {
            let text = changed.get_or_insert_with(|| text.to_owned());
            text.replace_range(at + 2..at + 6, "fffd");
        }
        position = at + 6;
    }
    changed.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Returns the UTF-16 unit of an escape `\uXXXX` at this place.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// A value's part of a text that is known to be JSON.
#[derive(Clone, Copy)]
struct Raw<'a> {
    document: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Raw<'a> {
    fn root(document: &'a str) -> Raw<'a> {
        let start = document.len() - document.trim_start_matches(is_space).len();
        let end = document.trim_end_matches(is_space).len();
        Raw {
            document,
            start: start.min(end),
            end,
        }
    }

    fn text(self) -> &'a str {
        self.document.get(self.start..self.end).unwrap_or_default()
    }

    fn is_null(self) -> bool {
        self.text() == "null"
    }

    fn place(self) -> (usize, usize) {
        let before = self.document.get(..self.start).unwrap_or_default();
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        (
            before.matches('\n').count() + 1,
            last_line.chars().count() + 1,
        )
    }

    /// Returns an error of reading this value, at the value's place unless it has one already.
    fn placed(self, error: InvalidJson) -> InvalidJson {
        if error.line > 0 {
            return error;
        }
        let (line, column) = self.place();
        InvalidJson {
            line,
            column,
            ..error
        }
    }

    /// Error that `serde_json` reported for this value alone.
    fn of_value(self, error: serde_json::Error) -> InvalidJson {
        self.placed(InvalidJson {
            line: 0,
            is_syntax: false,
            ..InvalidJson::from(error)
        })
    }

    fn string(self) -> String {
        serde_json::from_str(self.text()).unwrap_or_default()
    }

    /// Returns the values of a list, or keys and values of an object, one after the other.
    fn parts(self) -> Vec<Raw<'a>> {
        let bytes = self.document.as_bytes();
        let mut parts = Vec::new();
        let mut position = self.start + 1;
        while position + 1 < self.end {
            match bytes.get(position) {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | b':') => position += 1,
                _ => {
                    let end = value_end(bytes, position).min(self.end - 1);
                    parts.push(Raw {
                        document: self.document,
                        start: position,
                        end,
                    });
                    position = end.max(position + 1);
                }
            }
        }
        parts
    }

    fn entries(self) -> Vec<(Raw<'a>, Raw<'a>)> {
        if !self.text().starts_with('{') {
            return Vec::new();
        }
        let parts = self.parts();
        let pairs = parts.chunks_exact(2);
        pairs
            .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
            .collect()
    }
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

/// Returns the end of the value that begins here.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut position = start;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                position += 1;
                while let Some(byte) = bytes.get(position).filter(|byte| **byte != b'"') {
                    position += if *byte == b'\\' { 2 } else { 1 };
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return position,
            b']' | b'}' => depth -= 1,
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' if depth == 0 => return position,
            _ => {}
        }
        position += 1;
        if depth == 0 && matches!(byte, b'"' | b']' | b'}') {
            return position;
        }
    }
    position
}

/// Every value that a text has for one field, in order.
struct Occurrences<'a> {
    all: Vec<Raw<'a>>,
    counts: fn(&'static str) -> bool,
}

impl<'a> Occurrences<'a> {
    fn of(value: Raw<'a>, counts: fn(&'static str) -> bool) -> Occurrences<'a> {
        Occurrences {
            all: vec![value],
            counts,
        }
    }

    fn last(&self) -> Option<Raw<'a>> {
        self.all.last().copied()
    }

    /// Returns the last one that is not `null`, which leaves a value as it is.
    fn last_value(&self) -> Option<Raw<'a>> {
        let mut all = self.all.iter().rev();
        all.find(|raw| !raw.is_null()).copied()
    }

    /// Returns the entries of all objects together.
    fn merged(&self, expected: &dyn de::Expected) -> Result<Vec<(Raw<'a>, Raw<'a>)>, InvalidJson> {
        let mut entries = Vec::new();
        for raw in self.all.iter().filter(|raw| !raw.is_null()) {
            if !raw.text().starts_with('{') {
                return Err(raw.placed(de::Error::invalid_type(kind(raw.text()), expected)));
            }
            entries.extend(raw.entries());
        }
        Ok(entries)
    }
}

fn kind(text: &str) -> de::Unexpected<'_> {
    match text.as_bytes().first() {
        Some(b'[') => de::Unexpected::Seq,
        Some(b'{') => de::Unexpected::Map,
        Some(b'"') => de::Unexpected::Other("string"),
        Some(b't' | b'f') => de::Unexpected::Other("boolean"),
        Some(b'n') => de::Unexpected::Unit,
        _ => de::Unexpected::Other("number"),
    }
}

/// Reads a single value by `serde_json`; `null` is the default.
macro_rules! single {
    ($($method:ident => $visit:ident($default:expr)),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidJson> {
            match self.last_value() {
                None => visitor.$visit($default),
                Some(raw) => serde_json::Deserializer::from_str(raw.text())
                    .$method(visitor)
                    .map_err(|error| raw.of_value(error)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Occurrences<'de> {
    type Error = InvalidJson;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidJson> {
        match self.last() {
            None => visitor.visit_unit(),
            Some(raw) => serde_json::Deserializer::from_str(raw.text())
                .deserialize_any(visitor)
                .map_err(|error| raw.of_value(error)),
        }
    }

    single! {
        deserialize_bool => visit_bool(false),
        deserialize_i8 => visit_i64(0),
        deserialize_i16 => visit_i64(0),
        deserialize_i32 => visit_i64(0),
        deserialize_i64 => visit_i64(0),
        deserialize_u8 => visit_u64(0),
        deserialize_u16 => visit_u64(0),
        deserialize_u32 => visit_u64(0),
        deserialize_u64 => visit_u64(0),
        deserialize_f32 => visit_f64(0.0),
        deserialize_f64 => visit_f64(0.0),
        deserialize_str => visit_str(""),
        deserialize_string => visit_str(""),
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidJson> {
        let after_null = self.all.iter().rposition(|raw| raw.is_null());
        let all = self.all.get(after_null.map_or(0, |last| last + 1)..);
        match all.unwrap_or_default() {
            [] => visitor.visit_none(),
            all => visitor.visit_some(Occurrences {
                all: all.to_vec(),
                counts: self.counts,
            }),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, InvalidJson> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidJson> {
        let Some(raw) = self.last_value() else {
            return visitor.visit_seq(Items {
                items: Vec::new().into_iter(),
                counts: self.counts,
            });
        };
        if !raw.text().starts_with('[') {
            return Err(raw.placed(de::Error::invalid_type(kind(raw.text()), &visitor)));
        }
        visitor.visit_seq(Items {
            items: raw.parts().into_iter(),
            counts: self.counts,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidJson> {
        let entries = self.merged(&visitor)?;
        visitor.visit_map(Entries {
            entries: entries.into_iter(),
            value: None,
            counts: self.counts,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidJson> {
        let mut fields: Vec<(&'static str, Vec<Raw<'de>>)> = Vec::new();
        for (key, value) in self.merged(&visitor)? {
            let written = key.string();
            let mut known = names.iter().filter(|name| (self.counts)(name));
            let exact = known.clone().find(|name| **name == written);
            let Some(name) = exact.or_else(|| known.find(|name| is_key(&written, name))) else {
                continue;
            };
            match fields.iter_mut().find(|(field, _)| field == name) {
                Some((_, all)) => all.push(value),
                None => fields.push((name, vec![value])),
            }
        }
        visitor.visit_map(Fields {
            fields: fields.into_iter(),
            value: None,
            counts: self.counts,
        })
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

struct Items<'a> {
    items: std::vec::IntoIter<Raw<'a>>,
    counts: fn(&'static str) -> bool,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = InvalidJson;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, InvalidJson> {
        let Some(raw) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(Occurrences::of(raw, self.counts))
            .map(Some)
            .map_err(|error| raw.placed(error))
    }
}

struct Entries<'a> {
    entries: std::vec::IntoIter<(Raw<'a>, Raw<'a>)>,
    value: Option<Raw<'a>>,
    counts: fn(&'static str) -> bool,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = InvalidJson;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, InvalidJson> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(Occurrences::of(key, self.counts))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, InvalidJson> {
        let missing = || <InvalidJson as de::Error>::custom("missing key");
        let raw = self.value.take().ok_or_else(missing)?;
        seed.deserialize(Occurrences::of(raw, self.counts))
            .map_err(|error| raw.placed(error))
    }
}

struct Fields<'a> {
    fields: std::vec::IntoIter<(&'static str, Vec<Raw<'a>>)>,
    value: Option<Vec<Raw<'a>>>,
    counts: fn(&'static str) -> bool,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = InvalidJson;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, InvalidJson> {
        let Some((name, values)) = self.fields.next() else {
            return Ok(None);
        };
        self.value = Some(values);
        let name: StrDeserializer<'_, InvalidJson> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, InvalidJson> {
        let all = self.value.take().unwrap_or_default();
        let last = all.last().copied();
        let value = Occurrences {
            all,
            counts: self.counts,
        };
        seed.deserialize(value).map_err(|error| match last {
            Some(raw) => raw.placed(error),
            None => error,
        })
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
