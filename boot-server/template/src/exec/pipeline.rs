//! Evaluates pipelines: the functions `eval…` of Go's `exec.go`.

use super::arguments::Reflected;
use super::error::Reason;
use super::{Done, Machine};
use crate::MissingKey;
use crate::program::{NameId, Op, OpId, Parameter};
use crate::value::Value;

impl Machine<'_> {
    /// Returns the value of a pipeline.
    pub(super) fn evaluate(&mut self, pipe: OpId) -> Done<Reflected> {
        let program = self.program;
        // Pipelines around the one being evaluated: where each goes on.
        let mut outer: Vec<OpId> = Vec::new();
        let mut next = pipe;
        self.stack.clear();
        while let Some(op) = program.ops.get(next as usize) {
            next += 1;
            self.meter.part()?;
            match op {
                Op::At(node) => self.at = Some(*node),
                Op::Constant(value) => self.stack.push(Reflected::Concrete(value.clone())),
                Op::Dot => self.stack.push(self.dot()),
                Op::Variable(name) => {
                    let value = self.scope.value(*name).cloned();
                    let undefined = || Reason::UndefinedVariable(program.name(*name).to_owned());
                    self.stack.push(value.ok_or_else(undefined)?);
                }
                Op::Field {
                    name,
                    has_arguments,
                } => {
                    let receiver = self.pop();
                    let field = self.field(&receiver, *name, *has_arguments)?;
                    self.stack.push(field);
                }
                Op::Pipe(inner) => {
                    self.meter.step()?;
                    outer.push(next);
                    next = *inner;
                }
                Op::NilArgument(Parameter::Reflected) => self.stack.push(Reflected::Nothing),
                Op::NilArgument(_) => self.stack.push(Reflected::Interface(Value::Nil)),
                Op::Argument(parameter) => {
                    let value = self.pop();
                    self.stack.push(argument(value, *parameter)?);
                }
                Op::Call {
                    function,
                    arguments,
                    is_piped,
                    node,
                } => {
                    self.meter.step()?;
                    let value = self.function(*function, *arguments as usize, *is_piped, *node)?;
                    self.stack.push(value);
                }
                Op::Decide { or, is_last, to } => {
                    let is_true = self.stack.last().is_some_and(Reflected::is_true);
                    if is_true == *or {
                        next = *to;
                    } else if !is_last {
                        self.stack.pop();
                    }
                }
                Op::Jump(to) => next = *to,
                Op::RemoveSecond => {
                    let top = self.pop();
                    self.stack.pop();
                    self.stack.push(top);
                }
                Op::Remove => {
                    self.stack.pop();
                }
                Op::Unwrap => {
                    let value = self.pop();
                    self.stack.push(value.unwrapped());
                }
                Op::Declare(name) => {
                    let value = self.stack.last().cloned().unwrap_or(Reflected::Nothing);
                    self.scope.declare(*name, value);
                }
                Op::Assign(name) => {
                    let value = self.stack.last().cloned().unwrap_or(Reflected::Nothing);
                    self.assign(*name, value)?;
                }
                Op::Fail(message) => return Err(Reason::Invalid(message.to_string())),
                Op::Return => match outer.pop() {
                    Some(back) => next = back,
                    None => break,
                },
            }
        }
        Ok(self.pop())
    }

    pub(super) fn pop(&mut self) -> Reflected {
        self.stack.pop().unwrap_or(Reflected::Nothing)
    }

    /// Returns a field of a value.
    fn field(
        &mut self,
        receiver: &Reflected,
        name: NameId,
        has_arguments: bool,
    ) -> Done<Reflected> {
        let field = self.program.name(name);
        self.meter.work(field.len())?;
        let is_strict = self.settings.missing_key == MissingKey::Error;
        let (map, is_of_strings) = match receiver {
            Reflected::Nothing if is_strict => return Err(Reason::KeyOfNil(field.to_owned())),
            Reflected::Nothing => return Ok(Reflected::Nothing),
            Reflected::Interface(Value::Nil) => {
                return Err(Reason::FieldOfNull("interface {}", field.to_owned()));
            }
            Reflected::Interface(Value::Map(map)) | Reflected::Concrete(Value::Map(map)) => {
                (map, false)
            }
            Reflected::Interface(Value::StringMap(map))
            | Reflected::Concrete(Value::StringMap(map)) => (map, true),
            other => return Err(Reason::NoField(field.to_owned(), other.type_name())),
        };
        if has_arguments {
            let message = format!("{field} is not a method but has arguments");
            return Err(Reason::Invalid(message));
        }
        match (map.get(field), self.settings.missing_key) {
            (Some(value), _) if is_of_strings => Ok(Reflected::of(value.clone())),
            (Some(value), _) => Ok(Reflected::Interface(value.clone())),
            (None, MissingKey::Default) => Ok(Reflected::Nothing),
            (None, MissingKey::Zero) if is_of_strings => Ok(Reflected::Concrete(Value::from(""))),
            (None, MissingKey::Zero) => Ok(Reflected::Interface(Value::Nil)),
            (None, MissingKey::Error) => Err(Reason::MissingKey(field.to_owned())),
        }
    }
}

/// Makes a value an argument of a type: Go's `validateType`.
pub(super) fn argument(value: Reflected, parameter: Parameter) -> Done<Reflected> {
    match (parameter, value) {
        (Parameter::Reflected, value) => Ok(value),
        (Parameter::Any, Reflected::Nothing) => Ok(Reflected::Interface(Value::Nil)),
        (Parameter::Any, value) => Ok(value),
        (Parameter::Text, Reflected::Nothing) => {
            Err(Reason::Invalid("invalid value; expected string".to_owned()))
        }
        (
            Parameter::Text,
            Reflected::Interface(text @ Value::String(_))
            | Reflected::Concrete(text @ Value::String(_)),
        ) => Ok(Reflected::Concrete(text)),
        (Parameter::Text, other) => {
            let found = match &other {
                Reflected::Interface(value) => value.type_name(),
                other => other.type_name(),
            };
            let message = format!("wrong type for value; expected string; got {found}");
            Err(Reason::Invalid(message))
        }
    }
}
