//! Places inside a config: keys and indexes from its root.

use std::borrow::Cow;
use std::fmt;

/// Key of a mapping or index in a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Key of a mapping.
    Key(Cow<'static, str>),
    /// Index in a list, from 0.
    Index(usize),
}

/// Keys and indexes from the root of a config to a value in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// Returns the steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn of(keys: &[&'static str]) -> Path {
        Path(
            keys.iter()
                .map(|key| Step::Key(Cow::Borrowed(key)))
                .collect(),
        )
    }

    pub(crate) fn key(&self, key: impl Into<Cow<'static, str>>) -> Path {
        self.step(Step::Key(key.into()))
    }

    pub(crate) fn index(&self, index: usize) -> Path {
        self.step(Step::Index(index))
    }

    pub(crate) fn starts_with(&self, head: &Path) -> bool {
        self.0.starts_with(&head.0)
    }

    fn step(&self, step: Step) -> Path {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, ".{index}"),
        })
    }
}
