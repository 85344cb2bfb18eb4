//! Executes a [`Program`]: `exec.go` of Go's `text/template`.
//!
//! Blocks, templates in templates and pipelines in parentheses are frames on stacks of our own. What is executed,
//! written and compared is counted against a [`Budget`].

mod arguments;
pub(crate) mod budget;
mod compare;
pub(crate) mod error;
mod escape;
mod functions;
mod pipeline;
mod scope;

use std::sync::Arc;

use self::arguments::Reflected;
use self::budget::{Budget, Meter};
use self::error::Reason;
use self::scope::Scope;
use crate::error::{ExecError, Place};
use crate::fmt::{Printer, Sink, display};
use crate::program::{Label, NameId, NodeId, OpId, Program, Statement, Tree, Variables};
use crate::value::Value;
use crate::{Functions, MissingKey};

/// Templates within templates, as Go allows them.
const MOST_TEMPLATES: usize = 100_000;

/// Settings of an execution.
pub(crate) struct Settings<'p> {
    pub(crate) template: &'p str,
    pub(crate) missing_key: MissingKey,
    pub(crate) functions: &'p Functions,
}

/// A template that another one executes.
struct Call<'p> {
    tree: &'p Tree,
    /// The next statement.
    next: usize,
    dot: Reflected,
    /// Blocks and variables that are its callers'.
    blocks: usize,
    variables: usize,
}

/// A block that is being executed.
struct OpenBlock {
    /// Variables that were declared before it.
    variables: usize,
    /// Value of `.` outside the block.
    dot: Reflected,
    iteration: Option<Iteration>,
}

/// A `range` under way.
struct Iteration {
    items: Items,
    next: usize,
    variables: Variables,
    /// Number of variables at the begin of each iteration.
    mark: usize,
    body: usize,
    end: Label,
}

enum Items {
    List(crate::value::List),
    Map(Vec<(Value, Reflected)>),
}

impl Items {
    fn get(&self, index: usize) -> Option<(Value, Reflected)> {
        match self {
            Items::List(list) => {
                let item = list.get(index)?.clone();
                Some((
                    Value::Int(i64::try_from(index).ok()?),
                    Reflected::Interface(item),
                ))
            }
            Items::Map(entries) => entries.get(index).cloned(),
        }
    }
}

pub(crate) struct Machine<'p> {
    program: &'p Program,
    settings: Settings<'p>,
    meter: Meter,
    output: Vec<u8>,
    scope: Scope,
    calls: Vec<Call<'p>>,
    blocks: Vec<OpenBlock>,
    /// Values of the pipelines being evaluated.
    stack: Vec<Reflected>,
    /// The node that errors are at.
    at: Option<NodeId>,
}

type Done<T = ()> = Result<T, Reason>;

/// Executes a program.
pub(crate) fn execute(
    program: &Program,
    settings: Settings<'_>,
    data: Option<&Value>,
    budget: Budget,
) -> Result<(Vec<u8>, u64), ExecError> {
    let data = data.map_or(Reflected::Nothing, |data| Reflected::of(data.clone()));
    let mut machine = Machine {
        program,
        settings,
        meter: Meter::new(budget),
        output: Vec::new(),
        scope: Scope::new(program.names.len()),
        calls: Vec::new(),
        blocks: Vec::new(),
        stack: Vec::new(),
        at: None,
    };
    let done = machine
        .call(program.main, data)
        .and_then(|()| machine.run());
    match done {
        Ok(()) => Ok((machine.output, machine.meter.steps())),
        Err(reason) => Err(machine.error(reason)),
    }
}

impl<'p> Machine<'p> {
    fn error(&self, reason: Reason) -> ExecError {
        let (at, context) = match self.at {
            Some(node) => (self.program.position(node), self.program.context(node)),
            None => (0, String::new()),
        };
        let tree = self.calls.last().map(|call| call.tree.name);
        let definition = tree.map_or("", |name| self.program.name(name));
        ExecError {
            template: self.settings.template.into(),
            definition: definition.into(),
            place: Place::of(&self.program.text, at),
            context: context.into(),
            reason,
        }
    }

    /// Begins to execute a template.
    fn call(&mut self, name: NameId, dot: Reflected) -> Done {
        let Some(tree) = self.program.trees.get(&name) else {
            let name = self.program.name(name).to_owned();
            return Err(Reason::UnknownTemplate(name));
        };
        let variables = self.scope.enter();
        self.scope.declare(self.program.dollar, dot.clone());
        self.calls.push(Call {
            tree,
            next: 0,
            dot,
            blocks: self.blocks.len(),
            variables,
        });
        Ok(())
    }

    fn run(&mut self) -> Done {
        while let Some(call) = self.calls.last_mut() {
            let tree = call.tree;
            let Some(statement) = tree.code.get(call.next) else {
                let variables = call.variables;
                self.blocks.truncate(call.blocks);
                self.calls.pop();
                self.scope.leave(variables);
                continue;
            };
            call.next += 1;
            self.meter.step()?;
            self.statement(statement)?;
        }
        Ok(())
    }

    fn dot(&self) -> Reflected {
        self.calls
            .last()
            .map_or(Reflected::Nothing, |call| call.dot.clone())
    }

    fn set_dot(&mut self, dot: Reflected) {
        if let Some(call) = self.calls.last_mut() {
            call.dot = dot;
        }
    }

    fn go_to(&mut self, label: Label) {
        if let Some(call) = self.calls.last_mut() {
            call.next = label as usize;
        }
    }

    fn statement(&mut self, statement: &'p Statement) -> Done {
        match statement {
            Statement::Text { start, end } => {
                let text = self.program.source(*start, *end).as_bytes();
                self.meter.bytes.take(text.len())?;
                self.output.extend_from_slice(text);
            }
            Statement::Print { pipe } => {
                let value = self.evaluate(*pipe)?;
                self.print(&value)?;
            }
            Statement::Evaluate { pipe } => {
                self.evaluate(*pipe)?;
            }
            Statement::Enter => self.blocks.push(OpenBlock {
                variables: self.scope.mark(),
                dot: self.dot(),
                iteration: None,
            }),
            Statement::If { pipe, otherwise } => {
                if !self.evaluate(*pipe)?.is_true() {
                    self.go_to(*otherwise);
                }
            }
            Statement::With { pipe, otherwise } => {
                let value = self.evaluate(*pipe)?;
                match value.is_true() {
                    true => self.set_dot(value),
                    false => self.go_to(*otherwise),
                }
            }
            Statement::Leave => {
                if let Some(block) = self.blocks.pop() {
                    self.scope.truncate(block.variables);
                    self.set_dot(block.dot);
                }
            }
            Statement::Jump { to } => self.go_to(*to),
            Statement::Range {
                pipe,
                variables,
                otherwise,
                end,
            } => self.range(*pipe, *variables, *otherwise, *end)?,
            Statement::Next => self.next_iteration()?,
            Statement::Break => {
                if let Some(end) = self.innermost_loop().map(|iteration| iteration.end) {
                    self.go_to(end);
                }
            }
            Statement::Template { node, name, pipe } => self.template(*node, *name, *pipe)?,
        }
        Ok(())
    }

    /// Writes a value as the output of an action.
    fn print(&mut self, value: &Reflected) -> Done {
        let Some(value) = value.value() else {
            self.meter.bytes.take(NO_VALUE.len())?;
            self.output.extend_from_slice(NO_VALUE);
            return Ok(());
        };
        if let Value::String(text) = value {
            self.meter.bytes.take(text.len())?;
            self.output.extend_from_slice(text);
            return Ok(());
        }
        let mut printer = Printer::new(Sink::new(&mut self.meter.bytes));
        printer.print(value, 'v')?;
        let text = printer.into_bytes();
        self.meter.work(text.len())?;
        self.output.extend_from_slice(&text);
        Ok(())
    }

    fn range(&mut self, pipe: OpId, variables: Variables, otherwise: Label, end: Label) -> Done {
        let value = self.evaluate(pipe)?;
        let items = match value.value() {
            None => Items::Map(Vec::new()),
            Some(Value::List(list)) => Items::List(list.clone()),
            Some(map @ (Value::Map(entries) | Value::StringMap(entries))) => {
                self.meter.take(entries.len() as u64)?;
                let entries = entries.iter().map(|(key, item)| {
                    let item = match map {
                        Value::StringMap(_) => Reflected::of(item.clone()),
                        _ => Reflected::Interface(item.clone()),
                    };
                    (Value::String(Arc::clone(key).into()), item)
                });
                Items::Map(entries.collect())
            }
            Some(other) => {
                return Err(Reason::NotIterable(display(other, 'v')));
            }
        };
        if items.get(0).is_none() {
            self.go_to(otherwise);
            return Ok(());
        }
        let body = self.calls.last().map_or(0, |call| call.next);
        let mark = self.scope.mark();
        if let Some(block) = self.blocks.last_mut() {
            block.iteration = Some(Iteration {
                items,
                next: 0,
                variables,
                mark,
                body,
                end,
            });
        }
        self.next_iteration()
    }

    /// Ends the blocks within the innermost loop, and returns it.
    fn innermost_loop(&mut self) -> Option<&mut Iteration> {
        let outside = self.calls.last().map_or(0, |call| call.blocks);
        while self.blocks.len() > outside {
            if self
                .blocks
                .last()
                .is_some_and(|block| block.iteration.is_some())
            {
                break;
            }
            self.blocks.pop();
        }
        let block = self.blocks.get_mut(outside..)?.last_mut()?;
        self.scope.truncate(block.iteration.as_ref()?.mark);
        block.iteration.as_mut()
    }

    fn next_iteration(&mut self) -> Done {
        let Some(iteration) = self.innermost_loop() else {
            return Ok(());
        };
        let Some((index, item)) = iteration.items.get(iteration.next) else {
            let end = iteration.end;
            self.go_to(end);
            return Ok(());
        };
        iteration.next += 1;
        let (body, variables) = (iteration.body, iteration.variables);
        let index = Reflected::of(index);
        let values = match variables.names {
            [Some(first), Some(second)] => vec![(first, index), (second, item.clone())],
            [Some(only), None] => vec![(only, item.clone())],
            _ => Vec::new(),
        };
        for (name, value) in values {
            self.assign(name, value)?;
        }
        self.set_dot(item);
        if let Some(call) = self.calls.last_mut() {
            call.next = body;
        }
        Ok(())
    }

    fn assign(&mut self, name: NameId, value: Reflected) -> Done {
        match self.scope.assign(name, value) {
            true => Ok(()),
            false => {
                let name = self.program.name(name).to_owned();
                Err(Reason::UndefinedVariable(name))
            }
        }
    }

    fn template(&mut self, node: NodeId, name: NameId, pipe: Option<OpId>) -> Done {
        self.at = Some(node);
        if !self.program.trees.contains_key(&name) {
            let name = self.program.name(name).to_owned();
            return Err(Reason::UnknownTemplate(name));
        }
        if self.calls.len() > MOST_TEMPLATES {
            return Err(Reason::TooDeep(MOST_TEMPLATES));
        }
        let dot = match pipe {
            Some(pipe) => self.evaluate(pipe)?,
            None => Reflected::Nothing,
        };
        self.call(name, dot)
    }
}

/// Text that Go writes for an untyped nil.
const NO_VALUE: &[u8] = b"<no value>";
