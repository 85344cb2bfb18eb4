//! Values as Go types them: JSON decoded into `interface{}`, and the constants of a template.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Entries of a map in key order, the order in which Go ranges over and prints them.
pub type Map = BTreeMap<Arc<str>, Value>;

/// A value that a template reads, computes or prints.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A nil `interface{}`: JSON's `null`.
    Nil,
    /// A Go `bool`.
    Bool(bool),
    /// `int`: a constant without a fraction, a length, an index.
    Int(i64),
    /// `uint64`: an integer of YAML that does not fit `int`.
    Uint(u64),
    /// `uint8`: an element of a string.
    Byte(u8),
    /// `float64`: any number that `encoding/json` decodes.
    Float(f64),
    /// `complex128`: real and imaginary part.
    Complex(f64, f64),
    /// `string`: bytes, which `slice` can cut in the middle of a character.
    String(Arc<[u8]>),
    /// A Go `[]interface {}`.
    List(List),
    /// A Go `map[string]interface {}`.
    Map(Arc<Map>),
    /// `map[string]string`; all values are [`Value::String`].
    StringMap(Arc<Map>),
}

impl Value {
    /// Returns a list of these items.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(List::new(items.into_iter().collect()))
    }

    /// Returns Go's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "interface {}",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint64",
            Value::Byte(_) => "uint8",
            Value::Float(_) => "float64",
            Value::Complex(..) => "complex128",
            Value::String(_) => "string",
            Value::List(_) => "[]interface {}",
            Value::Map(_) => "map[string]interface {}",
            Value::StringMap(_) => "map[string]string",
        }
    }

    /// True if `if` takes the value for true: it is not the zero value of its type and not empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(bool) => *bool,
            Value::Int(int) => *int != 0,
            Value::Uint(uint) => *uint != 0,
            Value::Byte(byte) => *byte != 0,
            Value::Float(float) => *float != 0.0,
            Value::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) | Value::StringMap(map) => !map.is_empty(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.as_bytes().into())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.type_name())
    }
}

/// A slice of Go: a window on shared items.
#[derive(Clone)]
pub struct List {
    items: Arc<[Value]>,
    start: usize,
    end: usize,
}

impl List {
    /// Returns a list of these items.
    pub fn new(items: Arc<[Value]>) -> List {
        let end = items.len();
        List {
            items,
            start: 0,
            end,
        }
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// True if the list has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the item at an index.
    pub fn get(&self, index: usize) -> Option<&Value> {
        let at = self.start + index;
        // Go's decoder leaves room behind the last item, and `slice` reaches into it.
        (at < self.end).then(|| self.items.get(at).unwrap_or(&Value::Nil))
    }

    /// Returns the items.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Returns the capacity of a slice that `encoding/json` filled item by item.
    pub(crate) fn capacity(&self) -> usize {
        let whole = match self.items.len() {
            0 => 0,
            len => len.checked_next_power_of_two().unwrap_or(len),
        };
        whole.max(self.end) - self.start
    }

    /// Returns the items from one index to another, which the caller holds against the capacity.
    pub(crate) fn slice(&self, from: usize, to: usize) -> List {
        List {
            items: Arc::clone(&self.items),
            start: self.start + from,
            end: self.start + to,
        }
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}
