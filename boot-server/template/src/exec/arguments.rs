//! Values as Go's `reflect` sees them.

use crate::value::Value;

/// A `reflect.Value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reflected {
    /// An untyped nil: a zero `reflect.Value`.
    Nothing,
    /// An `interface{}`: an item of a list or map, which may be nil.
    Interface(Value),
    /// A value of a type of its own; never [`Value::Nil`].
    Concrete(Value),
}

impl Reflected {
    /// `reflect.ValueOf`.
    pub(super) fn of(value: Value) -> Reflected {
        match value {
            Value::Nil => Reflected::Nothing,
            value => Reflected::Concrete(value),
        }
    }

    /// Returns what is inside of an `interface{}`.
    pub(super) fn unwrapped(self) -> Reflected {
        match self {
            Reflected::Interface(value) => Reflected::of(value),
            other => other,
        }
    }

    /// Returns the value; none for nothing and nil.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Reflected::Nothing | Reflected::Interface(Value::Nil) => None,
            Reflected::Interface(value) | Reflected::Concrete(value) => Some(value),
        }
    }

    /// Returns the value as an argument of type `interface{}`.
    pub(super) fn into_value(self) -> Value {
        match self {
            Reflected::Nothing => Value::Nil,
            Reflected::Interface(value) | Reflected::Concrete(value) => value,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Reflected::Nothing | Reflected::Interface(_) => "interface {}",
            Reflected::Concrete(value) => value.type_name(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.value().is_some_and(Value::is_true)
    }
}
