//! The tokens of one template, with the lookahead of Go's parser: `parse.go`, `next` to `backup3`.
//!
//! Each `{{define}}` and `{{block}}` has a lookahead of its own, which decides the line that Go's errors name.

use super::lex::{Item, Kind, Lexer};

#[derive(Debug)]
pub(super) struct Lookahead<'t> {
    /// The token read last, and what was put back behind it.
    items: [Item<'t>; 3],
    peeked: usize,
}

impl<'t> Lookahead<'t> {
    pub(super) fn new() -> Lookahead<'t> {
        Lookahead {
            items: [Item::none(), Item::none(), Item::none()],
            peeked: 0,
        }
    }

    /// Returns the token that was read last.
    pub(super) fn latest(&self) -> &Item<'t> {
        &self.items[0]
    }

    pub(super) fn next(&mut self, lexer: &mut Lexer<'t>) -> Item<'t> {
        match self.peeked.checked_sub(1) {
            Some(peeked) => self.peeked = peeked,
            None => self.items[0] = lexer.next_item(),
        }
        self.items
            .get(self.peeked)
            .cloned()
            .unwrap_or_else(Item::none)
    }

    pub(super) fn backup(&mut self) {
        self.peeked += 1;
    }

    /// Puts a token back before the one that was put back already.
    pub(super) fn backup_with(&mut self, before: Item<'t>) {
        self.items[1] = before;
        self.peeked = 2;
    }

    /// Puts two tokens back before the one that was put back already.
    pub(super) fn backup_with_two(&mut self, first: Item<'t>, second: Item<'t>) {
        self.items[1] = second;
        self.items[2] = first;
        self.peeked = 3;
    }

    pub(super) fn peek(&mut self, lexer: &mut Lexer<'t>) -> Item<'t> {
        let item = self.next(lexer);
        self.backup();
        item
    }

    pub(super) fn next_non_space(&mut self, lexer: &mut Lexer<'t>) -> Item<'t> {
        loop {
            let item = self.next(lexer);
            if item.kind != Kind::Space {
                return item;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self, lexer: &mut Lexer<'t>) -> Item<'t> {
        let item = self.next_non_space(lexer);
        self.backup();
        item
    }
}
