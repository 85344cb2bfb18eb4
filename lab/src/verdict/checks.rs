//! stub
use crate::node::shell::Answer;
/// c
#[derive(Debug, Clone)]
pub struct Check { /// n
 pub name: String, /// c
 pub command: String, /// e
 pub expected: String }
impl Check { /// j
 pub fn judge(&self, a: &Answer) -> (String, bool) { (a.output.clone(), a.output == self.expected) } }
/// c
pub fn checks(_n: &crate::scenario::Node) -> Vec<Check> { vec![Check{name:"hostname".into(),command:"hostname".into(),expected:"node1".into()}] }
