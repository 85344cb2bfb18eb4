//! From a template's text to tokens, one at a time: `lex.go` of Go's `text/template/parse`.

use std::collections::VecDeque;

use crate::fmt::quote::{quote_text, unicode_name};
use crate::unicode::{is_alphanumeric, is_print};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const OPEN_COMMENT: &str = "/*";
const CLOSE_COMMENT: &str = "*/";
/// Length of a trim marker: `-` and the space beside it.
const TRIM_MARKER: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Bool,
    /// A printable ASCII character that means nothing by itself, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    /// True for words that are not names. Go counts `.` among them.
    fn is_keyword(self) -> bool {
        matches!(
            self,
            Kind::Block
                | Kind::Break
                | Kind::Continue
                | Kind::Dot
                | Kind::Define
                | Kind::Else
                | Kind::End
                | Kind::If
                | Kind::Nil
                | Kind::Range
                | Kind::Template
                | Kind::With
        )
    }

    fn of_word(word: &str) -> Kind {
        match word {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "range" => Kind::Range,
            "nil" => Kind::Nil,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        }
    }
}

/// A token.
#[derive(Debug, Clone)]
pub(super) struct Item<'t> {
    pub(super) kind: Kind,
    /// Offset of the item, in bytes.
    pub(super) start: usize,
    /// Text of the item, or the message of an error.
    pub(super) text: std::borrow::Cow<'t, str>,
    /// Line on which it begins, counted from 1.
    pub(super) line: usize,
}

impl<'t> Item<'t> {
    /// Returns the token after the end, as a closed channel of Go gives it.
    pub(super) fn none() -> Item<'t> {
        Item {
            kind: Kind::Error,
            start: 0,
            text: "".into(),
            line: 0,
        }
    }

    /// Returns the token as Go's messages name it.
    pub(super) fn described(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.text.clone().into_owned(),
            kind if kind.is_keyword() => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let begin: String = self.text.chars().take(10).collect();
                format!("{}...", quote_text(&begin))
            }
            _ => quote_text(&self.text),
        }
    }
}

/// The next thing to scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    InsideAction,
    Done,
}

pub(super) struct Lexer<'t> {
    input: &'t str,
    pos: usize,
    start: usize,
    /// Line at `pos`.
    line: usize,
    /// Line at `start`.
    start_line: usize,
    paren_depth: usize,
    state: State,
    items: VecDeque<Item<'t>>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(input: &'t str) -> Lexer<'t> {
        Lexer {
            input,
            pos: 0,
            start: 0,
            line: 1,
            start_line: 1,
            paren_depth: 0,
            state: State::Text,
            items: VecDeque::new(),
        }
    }

    /// Returns the next token.
    pub(super) fn next_item(&mut self) -> Item<'t> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return item;
            }
            self.state = match self.state {
                State::Text => self.text(),
                State::InsideAction => self.inside_action(),
                State::Done => return Item::none(),
            };
        }
    }

    fn rest(&self) -> &'t str {
        self.input.get(self.pos..).unwrap_or_default()
    }

    fn pending(&self) -> &'t str {
        self.input.get(self.start..self.pos).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.pos += char.len_utf8();
        self.line += usize::from(char == '\n');
        Some(char)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.peek().is_some_and(|char| valid.contains(char));
        if accepted {
            self.next();
        }
        accepted
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn emit(&mut self, kind: Kind) {
        self.items.push_back(Item {
            kind,
            start: self.start,
            text: self.pending().into(),
            line: self.start_line,
        });
        self.start = self.pos;
        self.start_line = self.line;
    }

    /// Skips what was not counted yet.
    fn ignore(&mut self) {
        self.line += newlines(self.pending());
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<String>) -> State {
        self.items.push_back(Item {
            kind: Kind::Error,
            start: self.start,
            text: message.into().into(),
            line: self.start_line,
        });
        State::Done
    }

    fn text(&mut self) -> State {
        let Some(length) = self.rest().find(OPEN) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                self.line += newlines(self.pending());
                self.emit(Kind::Text);
            }
            self.emit(Kind::Eof);
            return State::Done;
        };
        self.pos += length;
        let action = self.rest().get(OPEN.len()..).unwrap_or_default();
        let trimmed = match is_left_trim_marker(action) {
            true => self.pending().len() - self.pending().trim_end_matches(is_space).len(),
            false => 0,
        };
        self.pos -= trimmed;
        if self.pos > self.start {
            self.line += newlines(self.pending());
            self.emit(Kind::Text);
        }
        self.pos += trimmed;
        self.ignore();
        self.left_delim()
    }

    fn left_delim(&mut self) -> State {
        self.pos += OPEN.len();
        let marker = match is_left_trim_marker(self.rest()) {
            true => TRIM_MARKER,
            false => 0,
        };
        let is_comment = |rest: &str| rest.starts_with(OPEN_COMMENT);
        if self.rest().get(marker..).is_some_and(is_comment) {
            self.pos += marker;
            self.ignore();
            return self.comment();
        }
        self.emit(Kind::LeftDelim);
        self.pos += marker;
        self.ignore();
        self.paren_depth = 0;
        State::InsideAction
    }

    fn comment(&mut self) -> State {
        self.pos += OPEN_COMMENT.len();
        let Some(length) = self.rest().find(CLOSE_COMMENT) else {
            return self.error("unclosed comment");
        };
        self.pos += length + CLOSE_COMMENT.len();
        let Some(trims) = self.at_right_delim() else {
            return self.error("comment ends before closing delimiter");
        };
        if trims {
            self.pos += TRIM_MARKER;
        }
        self.pos += CLOSE.len();
        if trims {
            self.pos += leading_space(self.rest());
        }
        self.ignore();
        State::Text
    }

    /// Tells if an action ends here, and if so, whether the space after it is trimmed.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        let marked = || {
            rest.get(TRIM_MARKER..)
                .is_some_and(|rest| rest.starts_with(CLOSE))
        };
        match is_right_trim_marker(rest) && marked() {
            true => Some(true),
            false => rest.starts_with(CLOSE).then_some(false),
        }
    }

    fn right_delim(&mut self) -> State {
        let trims = is_right_trim_marker(self.rest());
        if trims {
            self.pos += TRIM_MARKER;
            self.ignore();
        }
        self.pos += CLOSE.len();
        self.emit(Kind::RightDelim);
        if trims {
            self.pos += leading_space(self.rest());
            self.ignore();
        }
        State::Text
    }

    fn inside_action(&mut self) -> State {
        if self.at_right_delim().is_some() {
            return match self.paren_depth {
                0 => self.right_delim(),
                _ => self.error("unclosed left paren"),
            };
        }
        let Some(char) = self.peek() else {
            return self.error("unclosed action");
        };
        if is_space(char) {
            return self.space();
        }
        if char == '+' || char == '-' || char.is_ascii_digit() || self.at_fraction() {
            return self.number();
        }
        if is_alphanumeric(char) {
            return self.identifier();
        }
        self.next();
        match char {
            '=' => self.emit(Kind::Assign),
            ':' => match self.next() {
                Some('=') => self.emit(Kind::Declare),
                _ => return self.error("expected :="),
            },
            '|' => self.emit(Kind::Pipe),
            '"' => return self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => {
                return self.quoted('\'', Kind::CharConstant, "unterminated character constant");
            }
            '`' => return self.raw_string(),
            '$' => return self.field_or_variable(Kind::Variable),
            '.' => return self.field_or_variable(Kind::Field),
            '(' => {
                self.emit(Kind::LeftParen);
                self.paren_depth += 1;
            }
            ')' => {
                self.emit(Kind::RightParen);
                match self.paren_depth.checked_sub(1) {
                    Some(depth) => self.paren_depth = depth,
                    None => {
                        return self.error(format!("unexpected right paren {}", unicode_name(')')));
                    }
                }
            }
            char if char.is_ascii() && is_print(char) => self.emit(Kind::Char),
            char => {
                let message = format!("unrecognized character in action: {}", unicode_name(char));
                return self.error(message);
            }
        }
        State::InsideAction
    }

    /// True at a `.` that begins a number.
    fn at_fraction(&self) -> bool {
        let mut bytes = self.rest().bytes();
        bytes.next() == Some(b'.') && bytes.next().is_none_or(|byte| byte.is_ascii_digit())
    }

    fn space(&mut self) -> State {
        let length = leading_space(self.rest());
        let last = self.rest().get(length.saturating_sub(1)..);
        let closes = |rest: &str| {
            is_right_trim_marker(rest)
                && rest
                    .get(TRIM_MARKER..)
                    .is_some_and(|rest| rest.starts_with(CLOSE))
        };
        // The last of the spaces belongs to the trim marker of the delimiter.
        let length = match last.is_some_and(closes) {
            true => length.saturating_sub(1),
            false => length,
        };
        if length == 0 {
            return self.right_delim();
        }
        self.pos += length;
        self.line += newlines(self.pending());
        self.emit(Kind::Space);
        State::InsideAction
    }

    fn identifier(&mut self) -> State {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(Kind::of_word(self.pending()));
        State::InsideAction
    }

    /// Scans a name behind `.` or `$`.
    fn field_or_variable(&mut self, kind: Kind) -> State {
        if self.at_terminator() {
            self.emit(match kind {
                Kind::Variable => Kind::Variable,
                _ => Kind::Dot,
            });
            return State::InsideAction;
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind);
        State::InsideAction
    }

    fn bad_character(&mut self) -> State {
        let char = self.peek().unwrap_or_default();
        self.error(format!("bad character {}", unicode_name(char)))
    }

    /// True where a name may end.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(char) => is_space(char) || self.rest().starts_with(CLOSE),
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> State {
        loop {
            match self.next() {
                Some('\\') => match self.next() {
                    None | Some('\n') => return self.error(unterminated),
                    Some(_) => {}
                },
                None | Some('\n') => return self.error(unterminated),
                Some(char) if char == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        State::InsideAction
    }

    fn raw_string(&mut self) -> State {
        let Some(length) = self.rest().find('`') else {
            return self.error("unterminated raw quoted string");
        };
        self.pos += length + 1;
        self.line += newlines(self.pending());
        self.emit(Kind::RawString);
        State::InsideAction
    }

    fn number(&mut self) -> State {
        if !self.scan_number() {
            return self.bad_number();
        }
        if !matches!(self.peek(), Some('+' | '-')) {
            self.emit(Kind::Number);
            return State::InsideAction;
        }
        if !self.scan_number() || !self.pending().ends_with('i') {
            return self.bad_number();
        }
        self.emit(Kind::Complex);
        State::InsideAction
    }

    fn bad_number(&mut self) -> State {
        self.error(format!("bad number syntax: {}", quote_text(self.pending())))
    }

    /// Scans a possible number; its value is parsed later.
    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        let (mut is_decimal, mut is_hex) = (true, false);
        if self.accept("0") {
            if self.accept("xX") {
                (digits, is_decimal, is_hex) = ("0123456789abcdefABCDEF_", false, true);
            } else if self.accept("oO") {
                (digits, is_decimal) = ("01234567_", false);
            } else if self.accept("bB") {
                (digits, is_decimal) = ("01_", false);
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match (is_decimal, is_hex) {
            (true, _) => "eE",
            (_, true) => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        match self.peek().is_some_and(is_alphanumeric) {
            true => {
                self.next();
                false
            }
            false => true,
        }
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

fn is_left_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn is_right_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}
