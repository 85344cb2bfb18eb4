//! Pipelines, commands and operands; their code is written by `code`. Parentheses open a pipeline within one; those that are open are on a stack.

use super::error::SyntaxError;
use super::lex::{Item, Kind};
use super::number::{self, Number};
use super::unquote::unquote;
use super::{Parsed, Parser, Pipe, id_of, unexpected};
use crate::program::{NameId, Node, NodeId, Op, OpId, Variables};
use crate::value::Value;

/// Context of a pipeline in parentheses.
const IN_PARENTHESES: &str = "parenthesized pipeline";

/// An operand of a command, and what its code needs that its node does not show.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) node: NodeId,
    pub(super) kind: OperandKind,
}

#[derive(Debug, Clone)]
pub(super) enum OperandKind {
    Pipe(OpId),
    Function(NameId),
    Fields(Vec<NameId>),
    /// A variable, then fields.
    Variable(Vec<NameId>),
    /// Fields of a pipeline or function.
    Chain(Box<Operand>, Vec<NameId>),
    Dot,
    Nil,
    Text(Value),
    Other(Number),
    Bool(bool),
}

/// A command that is being parsed.
struct OpenCommand {
    start: usize,
    arguments: Vec<Operand>,
}

/// A pipeline that is being parsed.
struct OpenPipe {
    start: usize,
    context: &'static str,
    end: Kind,
    variables: Vec<NameId>,
    assigns: bool,
    commands: Vec<(NodeId, Vec<Operand>)>,
    command: Option<OpenCommand>,
}

impl<'t> Parser<'t> {
    /// Parses a pipeline with its end.
    pub(super) fn pipeline(&mut self, context: &'static str, end: Kind) -> Parsed<Pipe> {
        let mut open = vec![self.begin_pipe(context, end)?];
        while let Some(pipe) = open.last_mut() {
            self.check_size()?;
            if pipe.command.is_none() {
                let item = self.next_non_space()?;
                if item.kind == pipe.end {
                    let Some(pipe) = open.pop() else { break };
                    let done = self.finish_pipe(pipe)?;
                    let Some(outer) = open.last_mut() else {
                        return Ok(done);
                    };
                    let operand = Operand {
                        node: done.node,
                        kind: OperandKind::Pipe(done.code),
                    };
                    self.end_operand(outer, Some(operand))?;
                } else if begins_operand(item.kind) {
                    self.backup()?;
                    pipe.command = Some(OpenCommand {
                        start: self.peek_non_space()?.start,
                        arguments: Vec::new(),
                    });
                } else {
                    return Err(unexpected(&item, pipe.context));
                }
                continue;
            }
            self.peek_non_space()?;
            let item = self.next_non_space()?;
            if item.kind == Kind::LeftParen {
                open.push(self.begin_pipe(IN_PARENTHESES, Kind::RightParen)?);
                continue;
            }
            let operand = self.term(&item)?;
            if operand.is_none() {
                self.backup()?;
            }
            self.end_operand(pipe, operand)?;
        }
        Err(SyntaxError::EmptyCommand)
    }

    /// Starts a pipeline: its place, and the variables that it declares or assigns.
    fn begin_pipe(&mut self, context: &'static str, end: Kind) -> Parsed<OpenPipe> {
        // A pipeline that is open takes more memory than a node.
        self.size += 2;
        let mut pipe = OpenPipe {
            start: self.peek_non_space()?.start,
            context,
            end,
            variables: Vec::new(),
            assigns: false,
            commands: Vec::new(),
            command: None,
        };
        loop {
            let variable = self.peek_non_space()?;
            if variable.kind != Kind::Variable {
                return Ok(pipe);
            }
            self.next()?;
            let after = self.peek()?;
            let next = self.peek_non_space()?;
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = next.kind == Kind::Assign;
                    self.next_non_space()?;
                    self.declare(&mut pipe, &variable)?;
                    return Ok(pipe);
                }
                Kind::Char if next.text == "," => {
                    self.next_non_space()?;
                    self.declare(&mut pipe, &variable)?;
                    if context != "range" || pipe.variables.len() >= 2 {
                        return Err(SyntaxError::TooManyDeclarations(context));
                    }
                    let second = self.peek_non_space()?.kind;
                    if !matches!(second, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                        return Err(SyntaxError::NotAVariable);
                    }
                }
                _ => {
                    let tokens = &mut self.tree()?.tokens;
                    match after.kind {
                        Kind::Space => tokens.backup_with_two(variable, after),
                        _ => tokens.backup_with(variable),
                    }
                    return Ok(pipe);
                }
            }
        }
    }

    fn declare(&mut self, pipe: &mut OpenPipe, variable: &Item<'t>) -> Parsed {
        let name = self.intern(&variable.text);
        pipe.variables.push(name);
        self.tree()?.variables.push(name);
        Ok(())
    }

    /// Takes an operand into the command, with the fields behind it, and looks at what follows.
    fn end_operand(&mut self, pipe: &mut OpenPipe, operand: Option<Operand>) -> Parsed {
        let operand = match operand {
            Some(operand) => Some(self.with_fields(operand)?),
            None => None,
        };
        let Some(command) = &mut pipe.command else {
            return Ok(());
        };
        command.arguments.extend(operand);
        let item = self.next()?;
        match item.kind {
            Kind::Space => return Ok(()),
            Kind::RightDelim | Kind::RightParen => self.backup()?,
            Kind::Pipe => {}
            _ => return Err(unexpected(&item, "operand")),
        }
        let Some(command) = pipe.command.take() else {
            return Ok(());
        };
        if command.arguments.is_empty() {
            return Err(SyntaxError::EmptyCommand);
        }
        let nodes = command.arguments.iter().map(|operand| operand.node);
        let node = Node::Command(nodes.collect());
        let node = self.node(node, command.start);
        pipe.commands.push((node, command.arguments));
        Ok(())
    }

    /// Adds the fields that follow an operand.
    fn with_fields(&mut self, operand: Operand) -> Parsed<Operand> {
        let first = self.peek()?;
        if first.kind != Kind::Field {
            return Ok(operand);
        }
        let at = first.start;
        let mut fields = Vec::new();
        while self.peek()?.kind == Kind::Field {
            let item = self.next()?;
            self.size += 1;
            self.check_size()?;
            fields.push(self.intern(item.text.get(1..).unwrap_or_default()));
        }
        let Operand { node, kind } = operand;
        let (shown, kind) = match kind {
            OperandKind::Fields(mut names) => {
                names.extend(fields);
                (
                    Node::Fields(names.clone().into()),
                    OperandKind::Fields(names),
                )
            }
            OperandKind::Variable(mut names) => {
                names.extend(fields);
                (
                    Node::Variable(names.clone().into()),
                    OperandKind::Variable(names),
                )
            }
            OperandKind::Pipe(_) | OperandKind::Function(_) | OperandKind::Chain(..) => {
                let shown = Node::Chain {
                    of: node,
                    fields: fields.clone().into(),
                };
                let of = Box::new(Operand { node, kind });
                (shown, OperandKind::Chain(of, fields))
            }
            _ => return Err(SyntaxError::FieldOfConstant(self.program.context(node))),
        };
        let node = self.node(shown, at);
        Ok(Operand { node, kind })
    }

    /// Makes an operand of a token; none if the token is not one.
    fn term(&mut self, item: &Item<'t>) -> Parsed<Option<Operand>> {
        let text = &*item.text;
        let literal = Node::Literal {
            start: id_of(item.start),
            end: id_of(item.start + text.len()),
        };
        let (node, kind) = match item.kind {
            Kind::Identifier => {
                if !(self.is_function)(text) {
                    return Err(SyntaxError::UnknownFunction(text.to_owned()));
                }
                let name = self.intern(text);
                (Node::Identifier(name), OperandKind::Function(name))
            }
            Kind::Dot => (Node::Dot, OperandKind::Dot),
            Kind::Nil => (Node::Nil, OperandKind::Nil),
            Kind::Variable => {
                let name = self.intern(text);
                if text != "$" && !self.tree()?.variables.has(name) {
                    return Err(SyntaxError::UndefinedVariable(text.to_owned()));
                }
                (
                    Node::Variable([name].into()),
                    OperandKind::Variable(vec![name]),
                )
            }
            Kind::Field => {
                let name = self.intern(text.get(1..).unwrap_or_default());
                (Node::Fields([name].into()), OperandKind::Fields(vec![name]))
            }
            Kind::Bool => (literal, OperandKind::Bool(text == "true")),
            Kind::CharConstant => (literal, OperandKind::Other(number::character(text)?)),
            Kind::Complex => (literal, OperandKind::Other(number::complex(text)?)),
            Kind::Number => (literal, OperandKind::Other(number::number(text)?)),
            Kind::String | Kind::RawString => {
                let bytes = unquote(text).map_err(|_| SyntaxError::InvalidLiteral)?;
                (literal, OperandKind::Text(Value::String(bytes.into())))
            }
            _ => return Ok(None),
        };
        let node = self.node(node, item.start);
        Ok(Some(Operand { node, kind }))
    }

    /// Checks a pipeline, and writes its code.
    fn finish_pipe(&mut self, pipe: OpenPipe) -> Parsed<Pipe> {
        if pipe.commands.is_empty() {
            return Err(SyntaxError::MissingValue(pipe.context));
        }
        for (index, (_, arguments)) in pipe.commands.iter().enumerate().skip(1) {
            let first = arguments.first().map(|operand| &operand.kind);
            if matches!(
                first,
                Some(
                    OperandKind::Bool(_)
                        | OperandKind::Dot
                        | OperandKind::Nil
                        | OperandKind::Other(_)
                        | OperandKind::Text(_)
                )
            ) {
                return Err(SyntaxError::NonExecutable(index + 1));
            }
        }
        let commands = pipe.commands.iter().map(|(node, _)| *node).collect();
        let shown = Node::Pipe {
            variables: pipe.variables.clone().into(),
            commands,
        };
        let node = self.node(shown, pipe.start);
        let code = id_of(self.program.ops.len());
        self.op(Op::At(node));
        for (index, (command, arguments)) in pipe.commands.iter().enumerate() {
            self.command(*command, arguments, index > 0);
            self.op(Op::Unwrap);
        }
        for name in &pipe.variables {
            self.op(match pipe.assigns {
                true => Op::Assign(*name),
                false => Op::Declare(*name),
            });
        }
        self.op(Op::Return);
        let mut names = pipe.variables.iter().copied();
        let variables = Variables {
            names: [names.next(), names.next()],
        };
        Ok(Pipe {
            node,
            code,
            variables,
        })
    }
}

fn begins_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::CharConstant
            | Kind::Complex
            | Kind::Dot
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::Nil
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParen
    )
}
