//! Names, MACs and UUIDs that a list has used already.

use std::collections::HashMap;

use super::source::Place;
use super::value::InvalidValue;

/// Names, MACs and UUIDs, with the machine and the place that had each first.
#[derive(Debug, Default)]
pub(super) struct Observation(HashMap<(&'static str, String), (String, Place)>);

impl Observation {
    /// Notes an id; what is wrong when it was there already.
    pub(super) fn once(
        &mut self,
        kind: &'static str,
        id: &str,
        machine: &str,
        at: Place,
    ) -> Option<InvalidValue> {
        if id.is_empty() {
            return None;
        }
        let key = (kind, id.to_owned());
        let Some((first, first_at)) = self.0.get(&key) else {
            self.0.insert(key, (machine.to_owned(), at));
            return None;
        };
        let (line, is_name) = (first_at.line, kind == "name");
        let message = match is_name {
            true => format!("duplicate machine name `{id}`: here and in line {line}"),
            false if first == machine => format!("duplicate {kind} {id} in `{machine}`"),
            false => {
                format!("duplicate {kind} {id}: `{machine}` here and `{first}` in line {line}")
            }
        };
        let help = match kind {
            "UUID" => {
                "each machine needs its own UUID; where firmware gives all machines the same, omit it and use `mac`"
            }
            "MAC" => "each card needs its own MAC",
            _ => "give each machine its own name",
        };
        Some(InvalidValue {
            message,
            help: help.to_owned(),
        })
    }
}
