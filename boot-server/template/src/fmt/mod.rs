//! Go's package `fmt`, as far as values of templates reach: `Sprint`, `Sprintf`, `Sprintln`.

mod directive;
mod float;
mod printer;
pub(crate) mod quote;
mod sink;

pub(crate) use printer::Printer;
pub(crate) use sink::{Allowance, Sink};

use crate::exec::error::Exhausted;
use crate::value::Value;

/// Values within values that are printed. JSON readers allow 128.
pub(crate) const MOST_NESTED: usize = 200;

/// Longest text of a value in an error message, in bytes.
const LONGEST_SHOWN: usize = 4096;

/// The text that `{{.}}` writes, for people.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&text_of(self, 'v', usize::MAX))
    }
}

/// Returns the text of a value by a verb, for messages, cut where it is long.
pub(crate) fn display(value: &Value, verb: char) -> String {
    text_of(value, verb, LONGEST_SHOWN)
}

/// Returns the text of a value by a verb, of at most so many bytes.
pub(crate) fn text_of(value: &Value, verb: char, most: usize) -> String {
    let mut allowance = Allowance::new(most);
    let mut printer = Printer::new(Sink::new(&mut allowance));
    let is_whole = printer.print(value, verb).is_ok();
    let mut text = String::from_utf8_lossy(&printer.into_bytes()).into_owned();
    if !is_whole {
        text.push_str("...");
    }
    text
}

/// `fmt.Sprint`: a space only between two values that are not strings.
pub(crate) fn sprint(printer: &mut Printer<'_>, values: &[Value]) -> Result<(), Exhausted> {
    let mut follows_string = true;
    for value in values {
        let is_string = matches!(value, Value::String(_));
        if !is_string && !follows_string {
            printer.literal(b" ")?;
        }
        printer.print(value, 'v')?;
        follows_string = is_string;
    }
    Ok(())
}

/// `fmt.Sprintln`: spaces between all values, and a newline.
pub(crate) fn sprintln(printer: &mut Printer<'_>, values: &[Value]) -> Result<(), Exhausted> {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.literal(b" ")?;
        }
        printer.print(value, 'v')?;
    }
    printer.literal(b"\n")
}

pub(crate) use directive::sprintf;
