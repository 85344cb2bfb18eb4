//! The functions that every template has: `funcs.go` of Go's `text/template`.

use std::sync::Arc;

use super::arguments::Reflected;
use super::error::{CallError, Exhausted, Reason};
use super::{Done, Machine, compare, escape, pipeline};
use crate::fmt::{Printer, Sink, sprint, sprintf, sprintln};
use crate::parse::Signature;
use crate::program::{NameId, NodeId};
use crate::value::Value;

/// A function's own objection.
type Returned<T> = Result<T, CallError>;

impl Machine<'_> {
    /// Calls a function with the topmost values of the stack.
    pub(super) fn function(
        &mut self,
        function: NameId,
        count: usize,
        is_piped: bool,
        node: NodeId,
    ) -> Done<Reflected> {
        let program = self.program;
        let name = program.name(function);
        let mut arguments = self.stack.split_off(self.stack.len().saturating_sub(count));
        if is_piped {
            let signature = Signature::of(name);
            let parameter = signature.fixed.get(arguments.len()).copied();
            let piped = self.pop();
            let parameter = parameter.or(signature.variadic);
            arguments.push(match parameter {
                Some(parameter) => pipeline::argument(piped, parameter)?,
                None => piped,
            });
        }
        self.meter.work(text_length(&arguments))?;
        let returned = match name {
            "print" | "println" | "printf" | "html" | "js" | "urlquery" => {
                let values = arguments.into_iter().map(Reflected::into_value).collect();
                return Ok(Reflected::of(self.text_function(name, values)?));
            }
            "len" => length(&arguments).map(Value::Int).map(Reflected::of),
            "not" => Ok(Reflected::of(Value::Bool(!first(&arguments).is_true()))),
            "index" => index(&arguments),
            "slice" => match slice(&arguments) {
                Ok(part) => {
                    self.meter
                        .bytes
                        .take(text_length(std::slice::from_ref(&part)))?;
                    Ok(part)
                }
                refused => refused,
            },
            "call" => call(&arguments),
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => {
                let holds = compare::compare(name, arguments);
                holds.map(|holds| Reflected::of(Value::Bool(holds)))
            }
            own => match self.own_function(own, &arguments) {
                Ok(text) => {
                    self.meter.bytes.take(text.len())?;
                    Ok(Reflected::of(Value::from(&*text)))
                }
                Err(objection) => Err(objection),
            },
        };
        returned.map_err(|error| {
            self.at = Some(node);
            Reason::Call {
                function: name.to_owned(),
                error: Box::new(error),
            }
        })
    }

    /// Returns a function that formats its arguments.
    fn text_function(&mut self, name: &str, mut values: Vec<Value>) -> Result<Value, Exhausted> {
        if let ("html" | "js" | "urlquery", false) = (name, values.is_empty()) {
            for value in &mut values {
                if *value == Value::Nil {
                    *value = Value::from("<no value>");
                }
            }
        }
        let mut printer = Printer::new(Sink::new(&mut self.meter.bytes));
        match name {
            "println" => sprintln(&mut printer, &values)?,
            "printf" => {
                if let Some((Value::String(format), values)) = values.split_first() {
                    sprintf(&mut printer, format, values)?;
                }
            }
            _ => sprint(&mut printer, &values)?,
        }
        let text = printer.into_bytes();
        self.meter.work(text.len())?;
        let text = match name {
            "html" => escape::html(&text),
            "js" => escape::js(&text),
            "urlquery" => escape::urlquery(&text),
            _ => return Ok(Value::String(text.into())),
        };
        self.meter.bytes.take(text.len())?;
        Ok(Value::String(text.into()))
    }

    /// Returns a function of the caller.
    fn own_function(&self, name: &str, arguments: &[Reflected]) -> Returned<String> {
        let Some(Value::String(text)) = first(arguments).value() else {
            return Err(CallError::NotAString);
        };
        let function = self.settings.functions.get(name);
        let function = function.ok_or_else(|| CallError::UnknownFunction(name.to_owned()))?;
        Ok(function(&String::from_utf8_lossy(text))?)
    }
}

/// Returns the bytes of the texts among values, which a function may read or copy.
fn text_length(values: &[Reflected]) -> usize {
    let lengths = values.iter().map(|value| match value.value() {
        Some(Value::String(text)) => text.len(),
        _ => 0,
    });
    lengths.sum()
}

fn first(arguments: &[Reflected]) -> &Reflected {
    arguments.first().unwrap_or(&Reflected::Nothing)
}

fn as_int(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn length(arguments: &[Reflected]) -> Returned<i64> {
    match first(arguments) {
        Reflected::Nothing => Err(CallError::NoType),
        Reflected::Interface(Value::Nil) => Err(CallError::LenOfNil),
        Reflected::Interface(value) | Reflected::Concrete(value) => match value {
            Value::String(text) => Ok(as_int(text.len())),
            Value::List(list) => Ok(as_int(list.len())),
            Value::Map(map) | Value::StringMap(map) => Ok(as_int(map.len())),
            other => Err(CallError::LenOfType(other.type_name())),
        },
    }
}

/// Returns an index as a number that is not beyond the capacity.
fn position(index: &Reflected, capacity: usize) -> Returned<usize> {
    let number = match index {
        Reflected::Nothing => return Err(CallError::IndexIsNil),
        Reflected::Concrete(Value::Int(int)) => *int,
        Reflected::Concrete(Value::Uint(uint)) => *uint as i64,
        Reflected::Concrete(Value::Byte(byte)) => i64::from(*byte),
        other => return Err(CallError::IndexOfType(other.type_name())),
    };
    let position = usize::try_from(number).ok();
    position
        .filter(|position| *position <= capacity)
        .ok_or(CallError::IndexOutOfRange(number))
}

fn index(arguments: &[Reflected]) -> Returned<Reflected> {
    let mut item = first(arguments).clone().unwrapped();
    if item == Reflected::Nothing {
        return Err(CallError::IndexOfUntypedNil);
    }
    for index in arguments.iter().skip(1) {
        let index = index.clone().unwrapped();
        let Some(value) = item.value() else {
            return Err(CallError::IndexOfNil);
        };
        item = match value {
            Value::String(text) => {
                let at = position(&index, text.len())?;
                let byte = text.get(at).copied();
                let byte = byte.ok_or(CallError::StringIndexOutOfRange)?;
                Reflected::Concrete(Value::Byte(byte))
            }
            Value::List(list) => {
                let at = position(&index, list.len())?;
                let item = list.get(at).cloned();
                Reflected::Interface(item.ok_or(CallError::SliceIndexOutOfRange)?)
            }
            Value::Map(map) => {
                let found = entry(map, &index)?.cloned();
                Reflected::Interface(found.unwrap_or(Value::Nil))
            }
            Value::StringMap(map) => {
                let found = entry(map, &index)?.cloned();
                Reflected::Concrete(found.unwrap_or_else(|| Value::from("")))
            }
            other => return Err(CallError::NotIndexable(other.type_name())),
        };
    }
    Ok(item)
}

/// Looks a key up in a map.
fn entry<'m>(map: &'m crate::value::Map, key: &Reflected) -> Returned<Option<&'m Value>> {
    match key {
        Reflected::Nothing => Err(CallError::KeyIsNil),
        Reflected::Concrete(Value::String(key)) => {
            Ok(std::str::from_utf8(key).ok().and_then(|key| map.get(key)))
        }
        other => Err(CallError::KeyOfType(other.type_name())),
    }
}

fn slice(arguments: &[Reflected]) -> Returned<Reflected> {
    let item = first(arguments).clone().unwrapped();
    let Some(value) = item.value() else {
        return Err(CallError::SliceOfNil);
    };
    let indexes = arguments.get(1..).unwrap_or_default();
    if indexes.len() > 3 {
        return Err(CallError::TooManyIndexes(indexes.len()));
    }
    let (length, capacity) = match value {
        Value::String(_) if indexes.len() == 3 => {
            return Err(CallError::ThreeIndexString);
        }
        Value::String(text) => (text.len(), text.len()),
        Value::List(list) => (list.len(), list.capacity()),
        other => return Err(CallError::NotSliceable(other.type_name())),
    };
    let mut bounds = [0, length, capacity];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, capacity)?;
    }
    let [from, to, most] = bounds;
    if from > to {
        return Err(CallError::InvalidSlice(from, to));
    }
    if indexes.len() == 3 && to > most {
        return Err(CallError::InvalidSlice(to, most));
    }
    Ok(Reflected::Concrete(match value {
        Value::List(list) => Value::List(list.slice(from, to)),
        Value::String(text) => {
            let part: Arc<[u8]> = text.get(from..to).unwrap_or_default().into();
            Value::String(part)
        }
        other => other.clone(),
    }))
}

/// `call`: JSON has no functions.
fn call(arguments: &[Reflected]) -> Returned<Reflected> {
    match first(arguments).value() {
        None => Err(CallError::CallOfNil),
        Some(value) => Err(CallError::NotAFunction(value.type_name())),
    }
}
