//! Go's `text/template`, executed as Go 1.19 does, within a [`Budget`].
//!
//! The configs that machines boot with are Go templates, and people rely on what Go makes of them: trim markers,
//! numbers, messages. The structure of the lexer, the parser and the executor follows Go's own, which is
//! copyright (c) 2009 The Go Authors, under the licence in `LICENSE-GO`. What differs, and why, is in
//! `docs/differences-templates.md`.
//!
//! Differences in kind: no text and no value can exhaust the stack, because nothing recurses on what a text nests;
//! parsing takes time linear in the text; and each render is counted against a budget.
//!
//! Left to others: files, JSON, and which values a template sees.

mod error;
mod exec;
mod fmt;
mod parse;
mod program;
mod unicode;
mod value;

use std::collections::HashMap;
use std::sync::Arc;

pub use error::{
    CallError, ExecError, Exhausted, FunctionError, ParseError, Place, Reason, SyntaxError,
};
pub use exec::budget::Budget;
pub use value::{List, Map, Value};

use exec::Settings;
use program::Program;

/// Handling of a missing map key: Go's option `missingkey`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// A missing key is printed as `<no value>`.
    #[default]
    Default,
    /// The zero value of the map's elements.
    Zero,
    /// A missing key is an error.
    Error,
}

/// A function that a caller gives to templates, from a string to a string.
pub type Function = Arc<dyn Fn(&str) -> Result<String, FunctionError> + Send + Sync>;

/// Functions by name.
pub type Functions = HashMap<String, Function>;

/// A parsed template with everything that it defines.
pub struct Template {
    name: String,
    program: Program,
    missing_key: MissingKey,
    functions: Functions,
}

/// A rendered text, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text. Go's strings are bytes: `slice` can cut a character.
    pub bytes: Vec<u8>,
    /// Steps that were taken of the budget's.
    pub steps: u64,
}

impl Template {
    /// Parses a text. The name is that of error messages and of `{{template}}`.
    ///
    /// # Errors
    /// The text is not a template; the message is Go's.
    pub fn parse(name: &str, text: &str, missing_key: MissingKey) -> Result<Template, ParseError> {
        Template::parse_with(name, text, missing_key, Functions::new())
    }

    /// Parses a text that may use further functions.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_with(
        name: &str,
        text: &str,
        missing_key: MissingKey,
        functions: Functions,
    ) -> Result<Template, ParseError> {
        let is_function =
            |name: &str| parse::BUILTINS.contains(&name) || functions.contains_key(name);
        let program = parse::parse(name, &text.into(), &is_function)?;
        Ok(Template {
            name: name.to_owned(),
            program,
            missing_key,
            functions,
        })
    }

    /// Executes the template. Without data, `.` is nothing at all.
    ///
    /// # Errors
    /// The template cannot be executed with these values, or not within the budget.
    pub fn render(&self, data: Option<&Value>, budget: Budget) -> Result<Rendered, ExecError> {
        let settings = Settings {
            template: &self.name,
            missing_key: self.missing_key,
            functions: &self.functions,
        };
        let (bytes, steps) = exec::execute(&self.program, settings, data, budget)?;
        Ok(Rendered { bytes, steps })
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
