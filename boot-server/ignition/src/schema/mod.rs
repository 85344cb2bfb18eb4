//! Shapes of configs as data: which keys a struct has, in the order in which Go writes them, and since which version.
//!
//! One shape serves a Butane struct and the Ignition struct made of it: they have the same fields in camel case and
//! snake case, but for Butane's sugar, which is never written.

pub(crate) mod etcd;
pub(crate) mod release;
pub(crate) mod spec2;
pub(crate) mod spec3;

use crate::value::{Struct, Value, is_empty};

/// Minor version of the Ignition 3 specification that a field belongs to.
pub(crate) type Minor = u8;

/// A struct.
pub(crate) struct Shape {
    /// Name, by which validators know it.
    pub(crate) name: &'static str,
    pub(crate) key: Key,
    pub(crate) fields: &'static [Field],
}

/// Field by which entries of a list are told apart.
pub(crate) enum Key {
    /// Entries are never told apart.
    None,
    /// A text field.
    Field(&'static str),
    /// A partition's number, or else its label.
    Partition,
}

/// A field of a struct.
pub(crate) struct Field {
    /// Name in YAML.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) written: Written,
    /// Name in JSON where camel case does not tell it.
    json: Option<&'static str>,
    since: Minor,
    /// Minor version that no longer has the field.
    until: Minor,
    /// Minor version in which a text that was always written became optional.
    optional_since: Minor,
    /// True for a list that may have equal entries.
    pub(crate) is_repeatable: bool,
    /// Group of lists that share their keys.
    pub(crate) group: Option<&'static str>,
}

/// Kind of a field.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Int,
    /// A number that is not negative.
    Uint,
    Bool,
    Texts,
    Struct(&'static Shape),
    List(&'static Shape),
    Labels,
}

/// When a field is written to JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// When it is set.
    IfSet,
    /// Always, as an empty text if it is not set.
    Always,
    /// When it is neither unset nor 0, false or empty.
    IfNotZero,
    /// When it is set, even to a struct in which nothing is set: a pointer to a struct.
    IfPresent,
    /// Never: sugar of Butane.
    Never,
    /// When it is set, and no config can set it: the version of the specification.
    Generated,
}

impl Field {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Field {
        Field {
            name,
            kind,
            written: Written::IfSet,
            json: None,
            since: 0,
            until: Minor::MAX,
            optional_since: 0,
            is_repeatable: false,
            group: None,
        }
    }

    pub(crate) const fn since(mut self, minor: Minor) -> Field {
        self.since = minor;
        self
    }

    pub(crate) const fn until(mut self, minor: Minor) -> Field {
        self.until = minor;
        self
    }

    pub(crate) const fn always(mut self) -> Field {
        self.written = Written::Always;
        self
    }

    /// Marks a text that is always written before a minor version and optional from then on.
    pub(crate) const fn always_before(mut self, minor: Minor) -> Field {
        self.optional_since = minor;
        self
    }

    pub(crate) const fn if_not_zero(mut self) -> Field {
        self.written = Written::IfNotZero;
        self
    }

    pub(crate) const fn if_present(mut self) -> Field {
        self.written = Written::IfPresent;
        self
    }

    pub(crate) const fn sugar(mut self) -> Field {
        self.written = Written::Never;
        self
    }

    pub(crate) const fn repeatable(mut self) -> Field {
        self.is_repeatable = true;
        self
    }

    pub(crate) const fn group(mut self, name: &'static str) -> Field {
        self.group = Some(name);
        self
    }

    pub(crate) const fn json(mut self, name: &'static str) -> Field {
        self.json = Some(name);
        self
    }

    pub(crate) const fn generated(mut self) -> Field {
        self.written = Written::Generated;
        self
    }

    pub(crate) fn is_in(&self, minor: Minor) -> bool {
        self.since <= minor && minor < self.until
    }

    pub(crate) fn is_sugar(&self) -> bool {
        self.written == Written::Never
    }

    pub(crate) fn written_in(&self, minor: Minor) -> Written {
        if minor < self.optional_since {
            Written::Always
        } else {
            self.written
        }
    }

    /// Returns the name as a flag of a command.
    pub(crate) fn flag_name(&self) -> String {
        self.json
            .map_or_else(|| self.name.replace('_', "-"), str::to_owned)
    }

    /// Returns the name in JSON.
    pub(crate) fn json_name(&self) -> String {
        if let Some(name) = self.json {
            return name.to_owned();
        }
        let (name, suffix) = match self.name.strip_suffix("_mib") {
            Some(name) => (name, "MiB"),
            None => (self.name, ""),
        };
        let mut words = name.split('_');
        let mut camel = words.next().unwrap_or_default().to_owned();
        for word in words {
            let mut letters = word.chars();
            camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            camel.push_str(letters.as_str());
        }
        camel + suffix
    }
}

/// Creates a field of the tables.
const fn f(name: &'static str, kind: Kind) -> Field {
    Field::new(name, kind)
}

/// Creates a struct whose entries in lists are never told apart.
const fn shape(name: &'static str, fields: &'static [Field]) -> Shape {
    Shape {
        name,
        key: Key::None,
        fields,
    }
}

impl Shape {
    pub(crate) fn fields_in(&self, minor: Minor) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(move |field| field.is_in(minor))
    }

    /// Returns the field that a key of a config sets.
    pub(crate) fn field(&self, key: &str, minor: Minor) -> Option<&'static Field> {
        self.fields_in(minor)
            .find(|field| field.name == key && field.written != Written::Generated)
    }

    /// Returns the key of a list's entry of this shape.
    pub(crate) fn key_of(&self, entry: &Struct) -> String {
        match self.key {
            Key::None => String::new(),
            Key::Field(name) => entry.text(name).to_owned(),
            Key::Partition => match (
                entry.opt_int("number").unwrap_or(0),
                entry.opt_text("label"),
            ) {
                (0, Some(label)) => format!("label:{label}"),
                (0, None) => String::new(),
                (number, _) => format!("number:{number}"),
            },
        }
    }
}

/// True for 0, false and the empty text.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        value => is_empty(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_name_is_in_camel_case() {
        for (name, json) in [
            ("size_mib", "sizeMiB"),
            ("http_response_headers", "httpResponseHeaders"),
            ("type_guid", "typeGuid"),
            ("no_create_home", "noCreateHome"),
            ("path", "path"),
        ] {
            assert_eq!(Field::new(name, Kind::Text).json_name(), json);
        }
    }
}
