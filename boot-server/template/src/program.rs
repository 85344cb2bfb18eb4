//! A parsed template: flat code, and the nodes that error messages show.
//!
//! Nothing here refers to itself by pointers, so that a template of any nesting is walked, printed and dropped
//! without recursion.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fmt::quote::quote_text;
use crate::value::Value;

/// Index of a [`Node`].
pub(crate) type NodeId = u32;
/// Index of a name: a field, a variable, a template, a function.
pub(crate) type NameId = u32;
/// Index of an [`Op`].
pub(crate) type OpId = u32;
/// Index of a [`Statement`] of one template.
pub(crate) type Label = u32;

/// An action of a template's body.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    /// Writes a part of the text.
    Text { start: u32, end: u32 },
    /// Evaluates a pipeline, and writes what comes out.
    Print { pipe: OpId },
    /// Evaluates a pipeline that declares or assigns variables.
    Evaluate { pipe: OpId },
    /// Begins a block: variables end with it, and `.` is what it was.
    Enter,
    /// Goes on elsewhere if a pipeline is not true.
    If { pipe: OpId, otherwise: Label },
    /// The same, and makes `.` the value.
    With { pipe: OpId, otherwise: Label },
    /// Ends a block.
    Leave,
    /// Goes on elsewhere.
    Jump { to: Label },
    /// Begins to iterate; continues at `otherwise` if nothing is to be iterated over.
    Range {
        pipe: OpId,
        variables: Variables,
        otherwise: Label,
        end: Label,
    },
    /// Goes to the next iteration, `{{continue}}` too.
    Next,
    /// A `{{break}}` action.
    Break,
    /// Executes another template.
    Template {
        node: NodeId,
        name: NameId,
        pipe: Option<OpId>,
    },
}

/// The variables that an iteration sets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Variables {
    /// Names in the order of the text: with two, the first is the index.
    pub(crate) names: [Option<NameId>; 2],
}

/// The type of a function's parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// Any value (`interface{}`).
    Any,
    /// `reflect.Value`: nothing at all is a value too.
    Reflected,
    /// A Go `string`.
    Text,
}

/// A step of a pipeline, on a stack of values.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Errors from here on are this node's.
    At(NodeId),
    /// Pushes a constant.
    Constant(Value),
    /// Pushes the dot `.`.
    Dot,
    /// Pushes a variable.
    Variable(NameId),
    /// Replaces the top by its field. With arguments it would have to be a method.
    Field { name: NameId, has_arguments: bool },
    /// Evaluates another pipeline.
    Pipe(OpId),
    /// Pushes what `nil` is as an argument.
    NilArgument(Parameter),
    /// Makes the top an argument.
    Argument(Parameter),
    /// Calls a function with the topmost values, behind them the value of the stage before.
    Call {
        function: NameId,
        arguments: u32,
        is_piped: bool,
        node: NodeId,
    },
    /// `and`, `or`: jumps if the top decides, and otherwise removes it unless it is the last.
    Decide { or: bool, is_last: bool, to: OpId },
    /// Goes on elsewhere.
    Jump(OpId),
    /// Removes the value below the top.
    RemoveSecond,
    /// Removes the top.
    Remove,
    /// Takes the top out of its `interface{}`, as the end of a stage does.
    Unwrap,
    /// Declares a variable with the top as its value.
    Declare(NameId),
    /// Gives a variable the top as its value.
    Assign(NameId),
    /// Is an error.
    Fail(Arc<str>),
    /// Ends a pipeline; its value is on top.
    Return,
}

/// A part of an action, as error messages show it.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Pipe {
        variables: Box<[NameId]>,
        commands: Box<[NodeId]>,
    },
    Command(Box<[NodeId]>),
    /// A variable, and fields of it.
    Variable(Box<[NameId]>),
    Fields(Box<[NameId]>),
    Chain {
        of: NodeId,
        fields: Box<[NameId]>,
    },
    Identifier(NameId),
    Dot,
    Nil,
    /// A constant as it is written.
    Literal {
        start: u32,
        end: u32,
    },
    Template {
        name: NameId,
        pipe: Option<NodeId>,
    },
}

/// Template defined in a text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) name: NameId,
    pub(crate) code: Vec<Statement>,
    /// True if the template has only space and comments.
    pub(crate) is_blank: bool,
}

/// All templates of a text.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) text: Arc<str>,
    pub(crate) ops: Vec<Op>,
    pub(crate) nodes: Vec<(Node, u32)>,
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) trees: HashMap<NameId, Tree>,
    /// Name of the text itself.
    pub(crate) main: NameId,
    /// The variable `$`.
    pub(crate) dollar: NameId,
}

/// Longest text of an action in an error message, in bytes.
const LONGEST_CONTEXT: usize = 2000;

/// Returns the beginning of a text, at most so many bytes and a character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let end = (most..text.len()).find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Remaining parts of a node to be written.
enum Todo<'p> {
    Node(NodeId),
    Text(&'p str),
}

impl Program {
    pub(crate) fn name(&self, id: NameId) -> &str {
        self.names.get(id as usize).map_or("", |name| name)
    }

    pub(crate) fn source(&self, start: u32, end: u32) -> &str {
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// Returns the offset of a node, in bytes.
    pub(crate) fn position(&self, id: NodeId) -> usize {
        self.nodes
            .get(id as usize)
            .map_or(0, |(_, at)| *at as usize)
    }

    /// Returns a node as Go writes it, cut where it is long.
    pub(crate) fn context(&self, id: NodeId) -> String {
        let mut out = String::new();
        let mut todo = vec![Todo::Node(id)];
        while let Some(next) = todo.pop() {
            if out.len() > LONGEST_CONTEXT {
                let end = cut(&out, LONGEST_CONTEXT).len();
                out.truncate(end);
                out.push_str("...");
                break;
            }
            match next {
                Todo::Text(text) => out.push_str(text),
                Todo::Node(id) => {
                    let first = todo.len();
                    self.write_node(id, &mut out, &mut todo);
                    if let Some(added) = todo.get_mut(first..) {
                        added.reverse();
                    }
                }
            }
        }
        out
    }

    /// Writes what a node begins with, and lists the rest in order.
    fn write_node<'p>(&'p self, id: NodeId, out: &mut String, todo: &mut Vec<Todo<'p>>) {
        let Some((node, _)) = self.nodes.get(id as usize) else {
            return;
        };
        match node {
            Node::Pipe {
                variables,
                commands,
            } => {
                for (index, name) in variables.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    out.push_str(self.name(*name));
                }
                if !variables.is_empty() {
                    out.push_str(" := ");
                }
                for (index, command) in commands.iter().enumerate() {
                    if index > 0 {
                        todo.push(Todo::Text(" | "));
                    }
                    todo.push(Todo::Node(*command));
                }
            }
            Node::Command(arguments) => {
                for (index, argument) in arguments.iter().enumerate() {
                    if index > 0 {
                        todo.push(Todo::Text(" "));
                    }
                    self.push_operand(*argument, todo);
                }
            }
            Node::Fields(names) => self.push_fields(names, todo),
            Node::Variable(names) => {
                for (index, name) in names.iter().enumerate() {
                    out.push_str(if index > 0 { "." } else { "" });
                    out.push_str(self.name(*name));
                }
            }
            Node::Chain { of, fields } => {
                self.push_operand(*of, todo);
                self.push_fields(fields, todo);
            }
            Node::Identifier(name) => out.push_str(self.name(*name)),
            Node::Dot => out.push('.'),
            Node::Nil => out.push_str("nil"),
            Node::Literal { start, end } => {
                let text = self.source(*start, *end);
                out.push_str(cut(text, LONGEST_CONTEXT + 1));
            }
            Node::Template { name, pipe } => {
                out.push_str("{{template ");
                out.push_str(&quote_text(self.name(*name)));
                if let Some(pipe) = pipe {
                    todo.push(Todo::Text(" "));
                    todo.push(Todo::Node(*pipe));
                }
                todo.push(Todo::Text("}}"));
            }
        }
    }

    fn push_operand<'p>(&self, id: NodeId, todo: &mut Vec<Todo<'p>>) {
        let node = self.nodes.get(id as usize).map(|(node, _)| node);
        match node {
            Some(Node::Pipe { .. }) => {
                todo.extend([Todo::Text("("), Todo::Node(id), Todo::Text(")")]);
            }
            _ => todo.push(Todo::Node(id)),
        }
    }

    fn push_fields<'p>(&'p self, names: &[NameId], todo: &mut Vec<Todo<'p>>) {
        for name in names {
            todo.extend([Todo::Text("."), Todo::Text(self.name(*name))]);
        }
    }
}
