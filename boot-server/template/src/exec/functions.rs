//! The functions that every template has: `funcs.go` of Go's `text/template`.

use std::sync::Arc;

use super::arguments::Reflected;
use super::error::{Exhausted, Reason};
use super::{Done, Machine, compare, escape, pipeline};
use crate::fmt::{Printer, Sink, sprint, sprintf, sprintln};
use crate::parse::Signature;
use crate::program::{NameId, NodeId};
use crate::value::Value;

/// A function's own objection.
type Returned<T> = Result<T, String>;

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
        returned.map_err(|message| {
            self.at = Some(node);
            Reason::Call {
                function: name.to_owned(),
                message,
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
            return Err("expected string".to_owned());
        };
        let function = self.settings.functions.get(name);
        let function = function.ok_or_else(|| format!("{name:?} is not a defined function"))?;
        function(&String::from_utf8_lossy(text))
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

/// Message of Go's `reflect` for an untyped nil.
const NO_TYPE: &str = "reflect: call of reflect.Value.Type on zero Value";

fn first(arguments: &[Reflected]) -> &Reflected {
    arguments.first().unwrap_or(&Reflected::Nothing)
}

fn as_int(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn length(arguments: &[Reflected]) -> Returned<i64> {
    match first(arguments) {
        Reflected::Nothing => Err(NO_TYPE.to_owned()),
        Reflected::Interface(Value::Nil) => Err("len of nil pointer".to_owned()),
        Reflected::Interface(value) | Reflected::Concrete(value) => match value {
            Value::String(text) => Ok(as_int(text.len())),
            Value::List(list) => Ok(as_int(list.len())),
            Value::Map(map) | Value::StringMap(map) => Ok(as_int(map.len())),
            other => Err(format!("len of type {}", other.type_name())),
        },
    }
}

/// Returns an index as a number that is not beyond the capacity.
fn position(index: &Reflected, capacity: usize) -> Returned<usize> {
    let number = match index {
        Reflected::Nothing => return Err("cannot index slice/array with nil".to_owned()),
        Reflected::Concrete(Value::Int(int)) => *int,
        Reflected::Concrete(Value::Uint(uint)) => *uint as i64,
        Reflected::Concrete(Value::Byte(byte)) => i64::from(*byte),
        other => {
            let found = other.type_name();
            return Err(format!("cannot index slice/array with type {found}"));
        }
    };
    let position = usize::try_from(number).ok();
    position
        .filter(|position| *position <= capacity)
        .ok_or_else(|| format!("index out of range: {number}"))
}

fn index(arguments: &[Reflected]) -> Returned<Reflected> {
    let mut item = first(arguments).clone().unwrapped();
    if item == Reflected::Nothing {
        return Err("index of untyped nil".to_owned());
    }
    for index in arguments.iter().skip(1) {
        let index = index.clone().unwrapped();
        let Some(value) = item.value() else {
            return Err("index of nil pointer".to_owned());
        };
        item = match value {
            Value::String(text) => {
                let at = position(&index, text.len())?;
                let byte = text.get(at).copied();
                let byte = byte.ok_or("reflect: string index out of range")?;
                Reflected::Concrete(Value::Byte(byte))
            }
            Value::List(list) => {
                let at = position(&index, list.len())?;
                let item = list.get(at).cloned();
                Reflected::Interface(item.ok_or("reflect: slice index out of range")?)
            }
            Value::Map(map) => {
                let found = entry(map, &index)?.cloned();
                Reflected::Interface(found.unwrap_or(Value::Nil))
            }
            Value::StringMap(map) => {
                let found = entry(map, &index)?.cloned();
                Reflected::Concrete(found.unwrap_or_else(|| Value::from("")))
            }
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

/// Looks a key up in a map.
fn entry<'m>(map: &'m crate::value::Map, key: &Reflected) -> Returned<Option<&'m Value>> {
    match key {
        Reflected::Nothing => Err("value is nil; should be of type string".to_owned()),
        Reflected::Concrete(Value::String(key)) => {
            Ok(std::str::from_utf8(key).ok().and_then(|key| map.get(key)))
        }
        other => {
            let found = other.type_name();
            Err(format!("value has type {found}; should be string"))
        }
    }
}

fn slice(arguments: &[Reflected]) -> Returned<Reflected> {
    let item = first(arguments).clone().unwrapped();
    let Some(value) = item.value() else {
        return Err("slice of untyped nil".to_owned());
    };
    let indexes = arguments.get(1..).unwrap_or_default();
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let (length, capacity) = match value {
        Value::String(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::String(text) => (text.len(), text.len()),
        Value::List(list) => (list.len(), list.capacity()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut bounds = [0, length, capacity];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, capacity)?;
    }
    let [from, to, most] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    if indexes.len() == 3 && to > most {
        return Err(format!("invalid slice index: {to} > {most}"));
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
        None => Err("call of nil".to_owned()),
        Some(value) => Err(format!("non-function of type {}", value.type_name())),
    }
}
