//! `eq` and its kin. Numbers of different types are not compared, as in Go.

use std::cmp::Ordering;

use super::arguments::Reflected;
use super::error::CallError;
use crate::fmt::display;
use crate::value::Value;

/// The types that Go compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Complex,
    Int,
    Uint,
    Float,
    Text,
    Other,
}

fn kind(value: Option<&Value>) -> Kind {
    match value {
        Some(Value::Bool(_)) => Kind::Bool,
        Some(Value::Complex(..)) => Kind::Complex,
        Some(Value::Int(_)) => Kind::Int,
        Some(Value::Uint(_) | Value::Byte(_)) => Kind::Uint,
        Some(Value::Float(_)) => Kind::Float,
        Some(Value::String(_)) => Kind::Text,
        _ => Kind::Other,
    }
}

/// Evaluates a comparison by the name of its function.
pub(super) fn compare(function: &str, arguments: Vec<Reflected>) -> Result<bool, CallError> {
    let arguments: Vec<Reflected> = arguments.into_iter().map(Reflected::unwrapped).collect();
    let values: Vec<Option<&Value>> = arguments.iter().map(Reflected::value).collect();
    let (first, others) = values.split_first().ok_or(CallError::MissingArgument)?;
    let second = others.first().copied().flatten();
    match function {
        "eq" => equal_any(*first, others),
        "ne" => equal_any(*first, others).map(|equal| !equal),
        "lt" => less(*first, second),
        "le" => less_or_equal(*first, second),
        "gt" => less_or_equal(*first, second).map(|holds| !holds),
        _ => less(*first, second).map(|holds| !holds),
    }
}

/// True if the first value equals any of the others.
fn equal_any(first: Option<&Value>, others: &[Option<&Value>]) -> Result<bool, CallError> {
    if others.is_empty() {
        return Err(CallError::MissingArgument);
    }
    for other in others {
        if equal(first, *other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn integer(value: Option<&Value>) -> Option<i128> {
    match value? {
        Value::Int(int) => Some(i128::from(*int)),
        Value::Uint(uint) => Some(i128::from(*uint)),
        Value::Byte(byte) => Some(i128::from(*byte)),
        _ => None,
    }
}

fn equal(first: Option<&Value>, second: Option<&Value>) -> Result<bool, CallError> {
    if let (Some(first), Some(second)) = (integer(first), integer(second)) {
        return Ok(first == second);
    }
    let (Some(left), Some(right)) = (first, second) else {
        return Ok(first.is_none() && second.is_none());
    };
    match (kind(first), kind(second)) {
        (Kind::Other, Kind::Other) => match (left, right) {
            (Value::List(_), Value::List(_))
            | (Value::Map(_) | Value::StringMap(_), Value::Map(_) | Value::StringMap(_)) => {
                Err(CallError::Incomparable {
                    value: display(right, 's'),
                    type_name: right.type_name(),
                })
            }
            _ => Err(CallError::IncomparableTypes {
                left: display(left, 's'),
                left_type: left.type_name(),
                right_type: right.type_name(),
                right: display(right, 'v'),
            }),
        },
        (one, other) if one != other => Err(CallError::IncompatibleTypes),
        _ => Ok(left == right),
    }
}

fn less(first: Option<&Value>, second: Option<&Value>) -> Result<bool, CallError> {
    let (one, other) = (kind(first), kind(second));
    if one == Kind::Other || other == Kind::Other {
        return Err(CallError::InvalidType);
    }
    if let (Some(first), Some(second)) = (integer(first), integer(second)) {
        return Ok(first < second);
    }
    if one != other {
        return Err(CallError::IncompatibleTypes);
    }
    let order = match (first, second) {
        (Some(Value::Float(first)), Some(Value::Float(second))) => first.partial_cmp(second),
        (Some(Value::String(first)), Some(Value::String(second))) => Some(first.cmp(second)),
        _ => return Err(CallError::InvalidType),
    };
    Ok(order == Some(Ordering::Less))
}

fn less_or_equal(first: Option<&Value>, second: Option<&Value>) -> Result<bool, CallError> {
    match less(first, second)? {
        true => Ok(true),
        false => equal(first, second),
    }
}
