//! From a template's text to a [`Program`]: `parse.go` of Go's `text/template/parse`.
//!
//! The grammar, the order of checks and the messages are Go's. Blocks, templates in templates and parentheses are
//! kept on stacks of our own, so that no text can exhaust the thread's.

mod code;
pub(crate) mod error;
mod lex;
mod number;
mod pipeline;
mod tokens;
mod tree;
mod unquote;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use self::code::{BUILTINS, Signature};

use self::error::SyntaxError;
use self::lex::{Item, Kind, Lexer};
use self::tree::{Block, BlockKind, OpenTree, TreeKind};
use crate::error::{ParseError, Place};
use crate::program::{Label, NameId, Node, NodeId, OpId, Program, Statement, Variables};

/// Nodes, statements and steps of a text: each takes some hundred bytes of memory.
const MOST_NODES: usize = 500_000;

/// The parser of one text.
struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    program: Program,
    ids: HashMap<Arc<str>, NameId>,
    is_function: &'t dyn Fn(&str) -> bool,
    /// The template that is being parsed, innermost last.
    trees: Vec<OpenTree<'t>>,
    /// Nodes, statements and steps so far.
    size: usize,
    /// True if the tree around the innermost has already reported the mistake.
    is_reported_outside: bool,
}

/// Parses a text with this name.
pub(crate) fn parse(
    name: &str,
    text: &Arc<str>,
    is_function: &dyn Fn(&str) -> bool,
) -> Result<Program, ParseError> {
    let mut parser = Parser {
        text,
        lexer: Lexer::new(text),
        program: Program::default(),
        ids: HashMap::new(),
        is_function,
        trees: Vec::new(),
        size: 0,
        is_reported_outside: false,
    };
    let main = parser.intern(name);
    parser.program.text = Arc::clone(text);
    parser.program.main = main;
    parser.program.dollar = parser.intern("$");
    parser.trees.push(OpenTree::new(main, TreeKind::Main, 0));
    if let Err(kind) = parser.run() {
        return Err(parser.error(name, kind));
    }
    Ok(parser.program)
}

type Parsed<T = ()> = Result<T, SyntaxError>;

impl<'t> Parser<'t> {
    fn error(&self, name: &str, kind: SyntaxError) -> ParseError {
        let outer = self.trees.len().saturating_sub(2);
        let tree = match self.is_reported_outside {
            true => self.trees.get(outer),
            false => self.trees.last(),
        };
        let latest = tree.map(|tree| tree.tokens.latest());
        let (latest, line) = latest.map_or((0, 0), |item| (item.start, item.line));
        let innermost = self.trees.last();
        let start = match (&kind, innermost) {
            // What was opened and is not closed, or the action that closes nothing.
            (SyntaxError::UnexpectedEnd, Some(tree)) => {
                tree.blocks.last().map_or(tree.start, |block| block.start)
            }
            (SyntaxError::UnexpectedControl(_) | SyntaxError::SecondElse, Some(tree)) => {
                tree.action_start
            }
            _ => latest,
        };
        let action_line = tree.map_or(0, |tree| tree.action_line);
        let is_token = matches!(kind, SyntaxError::Token(_));
        ParseError {
            template: name.to_owned(),
            place: Place::of(self.text, start),
            line,
            action_line: (is_token && action_line != 0 && action_line != line)
                .then_some(action_line),
            kind,
        }
    }

    fn run(&mut self) -> Parsed {
        loop {
            let is_top =
                matches!(self.tree()?.kind, TreeKind::Main) && self.tree()?.blocks.is_empty();
            let ahead = match is_top {
                true => self.peek()?,
                false => self.peek_non_space()?,
            };
            match ahead.kind {
                Kind::Eof if is_top => {
                    let main = self.trees.pop();
                    return main.map_or(Ok(()), |main| self.add(main));
                }
                Kind::Eof => return Err(SyntaxError::UnexpectedEnd),
                Kind::LeftDelim if is_top => {
                    let delim = self.next()?;
                    if self.next_non_space()?.kind == Kind::Define {
                        self.define(delim.start)?;
                    } else {
                        self.tree()?.tokens.backup_with(delim);
                        self.text_or_action()?;
                    }
                }
                _ => self.text_or_action()?,
            }
            self.check_size()?;
        }
    }

    /// Refuses a text whose program would take too much memory.
    fn check_size(&self) -> Parsed {
        match self.size > MOST_NODES {
            true => Err(SyntaxError::TooLarge(MOST_NODES)),
            false => Ok(()),
        }
    }

    /// Returns the innermost template. There always is one while parsing.
    fn tree(&mut self) -> Parsed<&mut OpenTree<'t>> {
        self.trees.last_mut().ok_or(SyntaxError::UnexpectedEnd)
    }

    fn next(&mut self) -> Parsed<Item<'t>> {
        let tree = self.trees.last_mut().ok_or(SyntaxError::UnexpectedEnd)?;
        Ok(tree.tokens.next(&mut self.lexer))
    }

    fn peek(&mut self) -> Parsed<Item<'t>> {
        let tree = self.trees.last_mut().ok_or(SyntaxError::UnexpectedEnd)?;
        Ok(tree.tokens.peek(&mut self.lexer))
    }

    fn next_non_space(&mut self) -> Parsed<Item<'t>> {
        let tree = self.trees.last_mut().ok_or(SyntaxError::UnexpectedEnd)?;
        Ok(tree.tokens.next_non_space(&mut self.lexer))
    }

    fn peek_non_space(&mut self) -> Parsed<Item<'t>> {
        let tree = self.trees.last_mut().ok_or(SyntaxError::UnexpectedEnd)?;
        Ok(tree.tokens.peek_non_space(&mut self.lexer))
    }

    fn backup(&mut self) -> Parsed {
        self.tree()?.tokens.backup();
        Ok(())
    }

    fn expect(&mut self, kind: Kind, context: &'static str) -> Parsed<Item<'t>> {
        let item = self.next_non_space()?;
        match item.kind == kind {
            true => Ok(item),
            false => Err(unexpected(&item, context)),
        }
    }

    fn intern(&mut self, name: &str) -> NameId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let name: Arc<str> = name.into();
        let id = id_of(self.program.names.len());
        self.program.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    fn node(&mut self, node: Node, at: usize) -> NodeId {
        self.size += 1;
        self.program.nodes.push((node, id_of(at)));
        id_of(self.program.nodes.len() - 1)
    }

    fn emit(&mut self, statement: Statement) -> Parsed {
        self.size += 1;
        self.tree()?.code.push(statement);
        Ok(())
    }

    /// Returns the label of the next statement.
    fn here(&mut self) -> Parsed<Label> {
        Ok(id_of(self.tree()?.code.len()))
    }

    fn text_or_action(&mut self) -> Parsed {
        let item = self.next_non_space()?;
        match item.kind {
            Kind::Text => {
                let tree = self.tree()?;
                if tree.blocks.is_empty() {
                    tree.is_blank &= item.text.trim().is_empty();
                }
                let end = item.start + item.text.len();
                self.emit(Statement::Text {
                    start: id_of(item.start),
                    end: id_of(end),
                })
            }
            Kind::LeftDelim => {
                let tree = self.tree()?;
                tree.action_line = item.line;
                tree.action_start = item.start;
                self.action()
            }
            _ => Err(unexpected(&item, "input")),
        }
    }

    fn action(&mut self) -> Parsed {
        let item = self.next_non_space()?;
        match item.kind {
            Kind::Else => return self.else_control(),
            Kind::End => return self.end_control(),
            _ => self.tree()?.is_blank = false,
        }
        match item.kind {
            Kind::If => return self.open_block(BlockKind::If, "if"),
            Kind::Range => return self.open_block(BlockKind::Range, "range"),
            Kind::With => return self.open_block(BlockKind::With, "with"),
            Kind::Block => return self.block(),
            Kind::Template => self.template()?,
            Kind::Break => self.loop_control("{{break}}", Statement::Break)?,
            Kind::Continue => self.loop_control("{{continue}}", Statement::Next)?,
            _ => {
                self.backup()?;
                let pipe = self.pipeline("command", Kind::RightDelim)?;
                let statement = match pipe.variables.names[0] {
                    None => Statement::Print { pipe: pipe.code },
                    Some(_) => Statement::Evaluate { pipe: pipe.code },
                };
                self.emit(statement)?;
            }
        }
        self.tree()?.action_line = 0;
        Ok(())
    }

    fn loop_control(&mut self, name: &'static str, statement: Statement) -> Parsed {
        let item = self.next_non_space()?;
        if item.kind != Kind::RightDelim {
            return Err(unexpected(&item, name));
        }
        match self.tree()?.range_depth {
            0 => Err(SyntaxError::OutsideRange(name)),
            _ => self.emit(statement),
        }
    }

    /// `{{if}}`, `{{range}}` or `{{with}}`, up to the block's content.
    fn open_block(&mut self, kind: BlockKind, context: &'static str) -> Parsed {
        let variables = self.tree()?.variables.len();
        let start = self.tree()?.action_start;
        self.emit(Statement::Enter)?;
        let head = self.head(kind, context)?;
        let tree = self.tree()?;
        tree.range_depth += usize::from(kind == BlockKind::Range);
        tree.blocks.push(Block {
            kind,
            head,
            ends: Vec::new(),
            in_else: false,
            variables,
            start,
        });
        Ok(())
    }

    /// Returns the pipeline of a block, and the statement that evaluates it; where that goes otherwise is
    /// filled in later.
    fn head(&mut self, kind: BlockKind, context: &'static str) -> Parsed<Label> {
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let head = self.here()?;
        let (pipe, variables, otherwise) = (pipe.code, pipe.variables, 0);
        self.emit(match kind {
            BlockKind::If => Statement::If { pipe, otherwise },
            BlockKind::With => Statement::With { pipe, otherwise },
            BlockKind::Range => Statement::Range {
                pipe,
                variables,
                otherwise,
                end: 0,
            },
        })?;
        Ok(head)
    }

    fn else_control(&mut self) -> Parsed {
        let ahead = self.peek_non_space()?;
        let is_else_if = ahead.kind == Kind::If;
        if !is_else_if {
            self.expect(Kind::RightDelim, "else")?;
        }
        let tree = self.tree()?;
        tree.action_line = 0;
        let Some(block) = tree.blocks.last_mut() else {
            return self.stray("{{else}}");
        };
        if block.in_else {
            return Err(SyntaxError::SecondElse);
        }
        let kind = block.kind;
        let chains = is_else_if && kind == BlockKind::If;
        block.in_else = !chains;
        if kind == BlockKind::Range {
            tree.range_depth -= 1;
        }
        self.close_body()?;
        if !chains {
            return Ok(());
        }
        // As Go does, `{{else if}}` continues the block: an arm after the other, not one within the other.
        self.next()?;
        let head = self.head(BlockKind::If, "if")?;
        if let Some(block) = self.tree()?.blocks.last_mut() {
            block.head = head;
        }
        Ok(())
    }

    /// Ends the body of a block before its `{{else}}`.
    fn close_body(&mut self) -> Parsed {
        let jump = self.here()?;
        let is_loop = self
            .tree()?
            .blocks
            .last()
            .is_some_and(|block| block.kind == BlockKind::Range);
        self.emit(match is_loop {
            true => Statement::Next,
            false => Statement::Jump { to: 0 },
        })?;
        let tree = self.tree()?;
        let here = id_of(tree.code.len());
        let Some(block) = tree.blocks.last_mut() else {
            return Ok(());
        };
        if !is_loop {
            block.ends.push(jump);
        }
        tree.code_mut(block_head(&tree.blocks), |statement| {
            statement.go_otherwise(here)
        });
        Ok(())
    }

    fn end_control(&mut self) -> Parsed {
        self.expect(Kind::RightDelim, "end")?;
        let tree = self.tree()?;
        tree.action_line = 0;
        let Some(block) = tree.blocks.last() else {
            return self.end_tree();
        };
        let (kind, in_else) = (block.kind, block.in_else);
        if !in_else && kind == BlockKind::Range {
            tree.range_depth -= 1;
            self.emit(Statement::Next)?;
        }
        let tree = self.tree()?;
        let here = id_of(tree.code.len());
        let Some(block) = tree.blocks.pop() else {
            return Ok(());
        };
        if !in_else {
            tree.code_mut(Some(block.head), |statement| statement.go_otherwise(here));
        }
        tree.code_mut(Some(block.head), |statement| statement.end_at(here));
        for jump in block.ends {
            tree.code_mut(Some(jump), |statement| statement.end_at(here));
        }
        tree.variables.truncate(block.variables);
        self.emit(Statement::Leave)
    }

    /// `{{end}}` or `{{else}}` where no block is open.
    fn stray(&mut self, token: &'static str) -> Parsed {
        match self.tree()?.kind {
            TreeKind::Main => Err(SyntaxError::UnexpectedControl(token)),
            TreeKind::Define => Err(SyntaxError::Unexpected {
                token: token.to_owned(),
                context: "define clause",
            }),
            TreeKind::Block { .. } => {
                self.is_reported_outside = true;
                Err(SyntaxError::Unexpected {
                    token: token.to_owned(),
                    context: "block clause",
                })
            }
        }
    }

    /// `{{define "name"}}`, whose keyword is read.
    fn define(&mut self, start: usize) -> Parsed {
        self.trees.push(OpenTree::new(0, TreeKind::Define, start));
        let item = self.next_non_space()?;
        let name = self.template_name(&item, "define clause")?;
        self.expect(Kind::RightDelim, "define clause")?;
        self.tree()?.name = name;
        Ok(())
    }

    /// `{{block "name" pipeline}}`, whose keyword is read.
    fn block(&mut self) -> Parsed {
        let item = self.next_non_space()?;
        let name = self.template_name(&item, "block clause")?;
        let pipe = self.pipeline("block clause", Kind::RightDelim)?;
        let node = Node::Template {
            name,
            pipe: Some(pipe.node),
        };
        let node = self.node(node, item.start);
        let pipe = pipe.code;
        let start = self.tree()?.action_start;
        self.trees
            .push(OpenTree::new(name, TreeKind::Block { node, pipe }, start));
        Ok(())
    }

    fn end_tree(&mut self) -> Parsed {
        match self.tree()?.kind {
            TreeKind::Main => self.stray("{{end}}"),
            TreeKind::Define => {
                self.check_name()?;
                let tree = self.trees.pop();
                tree.map_or(Ok(()), |tree| self.add(tree))
            }
            TreeKind::Block { node, pipe } => {
                self.check_name()?;
                let Some(tree) = self.trees.pop() else {
                    return Ok(());
                };
                let name = tree.name;
                self.add(tree)?;
                self.emit(Statement::Template {
                    node,
                    name,
                    pipe: Some(pipe),
                })?;
                self.tree()?.action_line = 0;
                Ok(())
            }
        }
    }

    /// Refuses a second template of the innermost one's name, while its tokens are still at hand for the error.
    fn check_name(&mut self) -> Parsed {
        let tree = self.tree()?;
        let (name, is_blank) = (tree.name, tree.is_blank);
        let defined = self.program.trees.get(&name);
        match defined.is_some_and(|defined| !defined.is_blank) && !is_blank {
            true => Err(SyntaxError::MultipleDefinition(
                self.program.name(name).to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Adds a template to the program; a blank one replaces no other.
    fn add(&mut self, tree: OpenTree<'t>) -> Parsed {
        let name = tree.name;
        if self
            .program
            .trees
            .get(&name)
            .is_some_and(|defined| !defined.is_blank)
        {
            if tree.is_blank {
                return Ok(());
            }
            let name = self.program.name(name).to_owned();
            self.trees.push(tree);
            return Err(SyntaxError::MultipleDefinition(name));
        }
        self.program.trees.insert(name, tree.into());
        Ok(())
    }

    /// `{{template "name"}}` or `{{template "name" pipeline}}`, whose keyword is read.
    fn template(&mut self) -> Parsed {
        const CONTEXT: &str = "template clause";
        let item = self.next_non_space()?;
        let name = self.template_name(&item, CONTEXT)?;
        let pipe = match self.next_non_space()?.kind {
            Kind::RightDelim => None,
            _ => {
                self.backup()?;
                Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
            }
        };
        let shown = pipe.as_ref().map(|pipe| pipe.node);
        let node = self.node(Node::Template { name, pipe: shown }, item.start);
        let pipe = pipe.map(|pipe| pipe.code);
        self.emit(Statement::Template { node, name, pipe })
    }

    fn template_name(&mut self, item: &Item<'t>, context: &'static str) -> Parsed<NameId> {
        if !matches!(item.kind, Kind::String | Kind::RawString) {
            return Err(unexpected(item, context));
        }
        let name = unquote::unquote(&item.text).map_err(|_| SyntaxError::InvalidLiteral)?;
        Ok(self.intern(&String::from_utf8_lossy(&name)))
    }
}

/// A pipeline that was parsed.
struct Pipe {
    node: NodeId,
    code: OpId,
    variables: Variables,
}

fn block_head(blocks: &[Block]) -> Option<Label> {
    blocks.last().map(|block| block.head)
}

fn unexpected(item: &Item<'_>, context: &'static str) -> SyntaxError {
    match item.kind {
        Kind::Error => SyntaxError::Token(item.text.clone().into_owned()),
        _ => SyntaxError::Unexpected {
            token: item.described(),
            context,
        },
    }
}

/// Indexes are small: texts are.
fn id_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
