//! The code of a command, in the order in which Go evaluates it: `evalCommand` to `evalArg` of `exec.go`.
//!
//! What Go finds wrong only when it executes (a wrong number of arguments, a constant with arguments) is code that
//! fails.

use super::number::Number;
use super::pipeline::{Operand, OperandKind};
use super::{Parser, id_of};
use crate::program::{NameId, NodeId, Op, Parameter};
use crate::value::Value;

impl Parser<'_> {
    pub(super) fn op(&mut self, op: Op) {
        self.size += 1;
        self.program.ops.push(op);
    }

    fn fail(&mut self, message: String) {
        self.op(Op::Fail(message.into()));
    }

    /// Writes the code of a command. `is_piped`: the value of the stage before is on the stack.
    pub(super) fn command(&mut self, node: NodeId, arguments: &[Operand], is_piped: bool) {
        let Some((first, rest)) = arguments.split_first() else {
            return;
        };
        let has_arguments = !rest.is_empty() || is_piped;
        let not_a_function = |parser: &mut Self| {
            if has_arguments {
                let shown = parser.program.context(first.node);
                parser.fail(format!("can't give argument to non-function {shown}"));
            }
        };
        if let OperandKind::Function(name) = first.kind {
            return self.function(first.node, name, node, rest, is_piped);
        }
        if is_piped {
            self.op(Op::Remove);
        }
        match &first.kind {
            OperandKind::Function(_) => {}
            OperandKind::Fields(names) => {
                self.op(Op::At(first.node));
                self.op(Op::Dot);
                self.fields(names, has_arguments);
            }
            OperandKind::Chain(of, names) => {
                self.op(Op::At(first.node));
                self.argument(of, None);
                self.fields(names, has_arguments);
            }
            OperandKind::Pipe(code) => {
                not_a_function(self);
                self.op(Op::Pipe(*code));
            }
            OperandKind::Variable(names) => {
                self.op(Op::At(first.node));
                match names.as_slice() {
                    [name] => {
                        self.op(Op::Variable(*name));
                        not_a_function(self);
                    }
                    [name, fields @ ..] => {
                        self.op(Op::Variable(*name));
                        self.fields(fields, has_arguments);
                    }
                    [] => {}
                }
            }
            constant => {
                self.op(Op::At(first.node));
                not_a_function(self);
                match constant {
                    OperandKind::Dot => self.op(Op::Dot),
                    OperandKind::Nil => self.fail("nil is not a command".to_owned()),
                    constant => self.constant(first.node, constant),
                }
            }
        }
    }

    fn fields(&mut self, names: &[NameId], has_arguments: bool) {
        for (index, name) in names.iter().enumerate() {
            self.op(Op::Field {
                name: *name,
                has_arguments: has_arguments && index + 1 == names.len(),
            });
        }
    }

    fn constant(&mut self, node: NodeId, constant: &OperandKind) {
        let value = match constant {
            OperandKind::Bool(bool) => Value::Bool(*bool),
            OperandKind::Text(text) => text.clone(),
            OperandKind::Other(Number::Int(int)) => Value::Int(*int),
            OperandKind::Other(Number::Float(float)) => Value::Float(*float),
            OperandKind::Other(Number::Complex(real, imaginary)) => {
                Value::Complex(*real, *imaginary)
            }
            _ => {
                let text = self.program.context(node);
                return self.fail(format!("{text} overflows int"));
            }
        };
        self.op(Op::Constant(value));
    }

    /// Writes the code of a function's call.
    fn function(
        &mut self,
        identifier: NodeId,
        name: NameId,
        node: NodeId,
        arguments: &[Operand],
        is_piped: bool,
    ) {
        self.op(Op::At(identifier));
        let signature = Signature::of(self.program.name(name));
        let given = arguments.len();
        let all = given + usize::from(is_piped);
        let fixed = signature.fixed.len();
        let wanted = match signature.variadic {
            Some(_) if all < fixed => Some(format!("at least {fixed} got {given}")),
            None if all != fixed => Some(format!("{fixed} got {all}")),
            _ => None,
        };
        if let Some(wanted) = wanted {
            let name = self.program.name(name);
            let message = format!("wrong number of args for {name}: want {wanted}");
            return self.fail(message);
        }
        let short_circuits = match self.program.name(name) {
            "and" => Some(false),
            "or" => Some(true),
            _ => None,
        };
        if let Some(or) = short_circuits {
            return self.and_or(or, arguments, is_piped);
        }
        for (index, argument) in arguments.iter().enumerate() {
            let parameter = signature.fixed.get(index).copied().or(signature.variadic);
            self.argument(argument, parameter.or(Some(Parameter::Any)));
        }
        self.op(Op::Call {
            function: name,
            arguments: id_of(given),
            is_piped,
            node,
        });
    }

    /// `and` and `or` evaluate no more than they need.
    fn and_or(&mut self, or: bool, arguments: &[Operand], is_piped: bool) {
        let mut decisions = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            self.argument(argument, Some(Parameter::Reflected));
            decisions.push(self.program.ops.len());
            self.op(Op::Decide {
                or,
                is_last: index + 1 == arguments.len() && !is_piped,
                to: 0,
            });
        }
        if is_piped && !arguments.is_empty() {
            // Undecided, the piped value is the result; decided, it lies below the result.
            let after = id_of(self.program.ops.len() + 2);
            self.op(Op::Jump(after));
            self.decide_at(&decisions);
            self.op(Op::RemoveSecond);
        } else {
            self.decide_at(&decisions);
        }
    }

    fn decide_at(&mut self, decisions: &[usize]) {
        let here = id_of(self.program.ops.len());
        for decision in decisions {
            if let Some(Op::Decide { to, .. }) = self.program.ops.get_mut(*decision) {
                *to = here;
            }
        }
    }

    /// Writes the code of an argument. Without a parameter, its fields are looked at and nothing else.
    fn argument(&mut self, operand: &Operand, parameter: Option<Parameter>) {
        let Operand { node, kind } = operand;
        self.op(Op::At(*node));
        match kind {
            OperandKind::Dot => self.op(Op::Dot),
            OperandKind::Fields(names) => {
                self.op(Op::Dot);
                self.fields(names, false);
            }
            OperandKind::Variable(names) => {
                if let Some((name, fields)) = names.split_first() {
                    self.op(Op::Variable(*name));
                    self.fields(fields, false);
                }
            }
            OperandKind::Pipe(code) => self.op(Op::Pipe(*code)),
            OperandKind::Function(name) => self.function(*node, *name, *node, &[], false),
            OperandKind::Chain(of, names) => {
                self.argument(of, None);
                self.fields(names, false);
            }
            OperandKind::Nil => {
                return match parameter {
                    Some(Parameter::Text) => self.fail("cannot assign nil to string".to_owned()),
                    parameter => {
                        self.op(Op::NilArgument(parameter.unwrap_or(Parameter::Reflected)));
                    }
                };
            }
            constant => {
                let is_text = matches!(constant, OperandKind::Text(_));
                if parameter == Some(Parameter::Text) && !is_text {
                    let shown = self.program.context(*node);
                    return self.fail(format!("expected string; found {shown}"));
                }
                return self.constant(*node, constant);
            }
        }
        if let Some(parameter) = parameter {
            self.op(Op::Argument(parameter));
        }
    }
}

/// The parameters of a function.
pub(crate) struct Signature {
    pub(crate) fixed: &'static [Parameter],
    pub(crate) variadic: Option<Parameter>,
}

impl Signature {
    pub(crate) fn of(name: &str) -> Signature {
        use Parameter::{Any, Reflected, Text};
        let (fixed, variadic): (&'static [Parameter], _) = match name {
            "and" | "or" | "call" | "index" | "slice" | "eq" => (&[Reflected], Some(Reflected)),
            "len" | "not" => (&[Reflected], None),
            "ne" | "lt" | "le" | "gt" | "ge" => (&[Reflected, Reflected], None),
            "print" | "println" | "html" | "js" | "urlquery" => (&[], Some(Any)),
            "printf" => (&[Text], Some(Any)),
            // Functions of the caller.
            _ => (&[Text], None),
        };
        Signature { fixed, variadic }
    }
}

/// The functions that every template has.
pub(crate) const BUILTINS: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery",
];
