//! Templates and blocks that are open while their content is parsed.

use std::collections::HashMap;

use super::tokens::Lookahead;
use crate::program::{Label, NameId, NodeId, OpId, Statement, Tree};

/// Origin of a template.
#[derive(Debug, Clone, Copy)]
pub(super) enum TreeKind {
    /// Main text of the template.
    Main,
    /// Body of a `{{define}}`.
    Define,
    /// `{{block}}`, which executes it too.
    Block { node: NodeId, pipe: OpId },
}

/// A template whose end was not reached.
pub(super) struct OpenTree<'t> {
    pub(super) name: NameId,
    pub(super) kind: TreeKind,
    pub(super) tokens: Lookahead<'t>,
    pub(super) code: Vec<Statement>,
    pub(super) blocks: Vec<Block>,
    pub(super) variables: Scope,
    /// Loops around this place.
    pub(super) range_depth: usize,
    /// Line of the action that is being read; 0 between actions.
    pub(super) action_line: usize,
    /// Offset of the last action, in bytes.
    pub(super) action_start: usize,
    /// Offset of the template, in bytes.
    pub(super) start: usize,
    /// True if only space and comments were seen.
    pub(super) is_blank: bool,
}

impl OpenTree<'_> {
    pub(super) fn new(name: NameId, kind: TreeKind, start: usize) -> Self {
        OpenTree {
            name,
            kind,
            tokens: Lookahead::new(),
            code: Vec::new(),
            blocks: Vec::new(),
            variables: Scope::default(),
            range_depth: 0,
            action_line: 0,
            action_start: start,
            start,
            is_blank: true,
        }
    }

    /// Changes a statement that was written before its targets were known.
    pub(super) fn code_mut(&mut self, at: Option<Label>, change: impl FnOnce(&mut Statement)) {
        let statement = at.and_then(|at| self.code.get_mut(at as usize));
        if let Some(statement) = statement {
            change(statement);
        }
    }
}

impl From<OpenTree<'_>> for Tree {
    fn from(tree: OpenTree<'_>) -> Tree {
        Tree {
            name: tree.name,
            code: tree.code,
            is_blank: tree.is_blank,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    If,
    Range,
    With,
}

/// A block whose `{{end}}` was not reached.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    /// The statement that decides about the body being parsed.
    pub(super) head: Label,
    /// Jumps to the end.
    pub(super) ends: Vec<Label>,
    pub(super) in_else: bool,
    /// Variables that were declared before it.
    pub(super) variables: usize,
    /// Offset of the block, in bytes.
    pub(super) start: usize,
}

/// The variables that are declared at a place.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: Vec<NameId>,
    count: HashMap<NameId, usize>,
}

impl Scope {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn has(&self, name: NameId) -> bool {
        self.count.get(&name).is_some_and(|count| *count > 0)
    }

    pub(super) fn push(&mut self, name: NameId) {
        self.names.push(name);
        *self.count.entry(name).or_default() += 1;
    }

    pub(super) fn truncate(&mut self, length: usize) {
        for name in self.names.drain(length.min(self.names.len())..) {
            if let Some(count) = self.count.get_mut(&name) {
                *count -= 1;
            }
        }
    }
}

impl Statement {
    /// Sets where the statement goes when its pipeline is not true, or empty.
    pub(super) fn go_otherwise(&mut self, to: Label) {
        match self {
            Statement::If { otherwise, .. }
            | Statement::With { otherwise, .. }
            | Statement::Range { otherwise, .. } => *otherwise = to,
            _ => {}
        }
    }

    /// Sets where the block that the statement belongs to ends.
    pub(super) fn end_at(&mut self, label: Label) {
        match self {
            Statement::Jump { to } => *to = label,
            Statement::Range { end, .. } => *end = label,
            _ => {}
        }
    }
}
