//! Values of a config: what a Butane config says, and the Ignition config made of it.

use std::collections::BTreeMap;

/// A value. What is not set is not there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
    /// Text that is not UTF-8: from `!!binary` or from a local file.
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Struct(Struct),
    Labels(BTreeMap<String, String>),
}

/// Fields by name, in no particular order: a schema orders them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Struct {
    fields: Vec<(&'static str, Value)>,
}

static EMPTY: Struct = Struct { fields: Vec::new() };

impl Value {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Value {
        match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text),
            Err(error) => Value::Bytes(error.into_bytes()),
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn as_struct(&self) -> Option<&Struct> {
        match self {
            Value::Struct(fields) => Some(fields),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Value {
        Value::Struct(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl Struct {
    /// Returns the struct with one more field, for structs written in code.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Struct {
        self.set(name, value);
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find_map(|(key, value)| (*key == name).then_some(value))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.fields
            .iter_mut()
            .find_map(|(key, value)| (*key == name).then_some(value))
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.get_mut(name) {
            Some(old) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.fields.iter().position(|(key, _)| *key == name)?;
        Some(self.fields.remove(at).1)
    }

    /// True if nothing in the struct is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.iter().all(|(_, value)| is_empty(value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.fields.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns a text, the empty one if it is not set.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.opt_text(name).unwrap_or_default()
    }

    pub(crate) fn opt_text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    pub(crate) fn opt_int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn opt_bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.opt_bool(name) == Some(true)
    }

    pub(crate) fn list(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// Returns the structs of a list.
    pub(crate) fn structs(&self, name: &str) -> impl Iterator<Item = &Struct> {
        self.list(name).iter().filter_map(Value::as_struct)
    }

    /// Returns the texts of a list.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.list(name).iter().filter_map(Value::as_text)
    }

    /// Returns an inner struct, an empty one if it is not set.
    pub(crate) fn child(&self, name: &str) -> &Struct {
        self.get(name).and_then(Value::as_struct).unwrap_or(&EMPTY)
    }

    /// Returns an inner struct to change, and makes it if it is not set.
    pub(crate) fn child_mut(&mut self, name: &'static str) -> &mut Struct {
        if !matches!(self.get(name), Some(Value::Struct(_))) {
            self.set(name, Struct::default());
        }
        match self.get_mut(name) {
            Some(Value::Struct(fields)) => fields,
            _ => unreachable!("set above"),
        }
    }

    /// Returns a list to change, and makes it if it is not set.
    pub(crate) fn list_mut(&mut self, name: &'static str) -> &mut Vec<Value> {
        if !matches!(self.get(name), Some(Value::List(_))) {
            self.set(name, Value::List(Vec::new()));
        }
        match self.get_mut(name) {
            Some(Value::List(items)) => items,
            _ => unreachable!("set above"),
        }
    }
}

/// True for a value that Go's `omitempty` leaves out where the field is not a pointer: nothing in it is set.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Bytes(_) => false,
        Value::List(items) => items.is_empty(),
        Value::Struct(fields) => fields.is_empty(),
        Value::Labels(labels) => labels.is_empty(),
    }
}
