//! The variables of a render, found by name in constant time.

use super::arguments::Reflected;
use crate::program::NameId;

#[derive(Debug)]
pub(super) struct Scope {
    variables: Vec<(NameId, Reflected)>,
    /// Stack positions by variable name, the innermost last.
    by_name: Vec<Vec<usize>>,
    /// Index of the first variable of the template being executed.
    first: usize,
}

impl Scope {
    pub(super) fn new(names: usize) -> Scope {
        Scope {
            variables: Vec::new(),
            by_name: vec![Vec::new(); names],
            first: 0,
        }
    }

    pub(super) fn mark(&self) -> usize {
        self.variables.len()
    }

    /// Hides all variables, and returns what [`Scope::leave`] needs to show them again.
    pub(super) fn enter(&mut self) -> usize {
        std::mem::replace(&mut self.first, self.variables.len())
    }

    /// Forgets the variables since [`Scope::enter`].
    pub(super) fn leave(&mut self, first: usize) {
        let own = self.first;
        self.truncate(own);
        self.first = first;
    }

    pub(super) fn declare(&mut self, name: NameId, value: Reflected) {
        if let Some(places) = self.by_name.get_mut(name as usize) {
            places.push(self.variables.len());
        }
        self.variables.push((name, value));
    }

    pub(super) fn assign(&mut self, name: NameId, value: Reflected) -> bool {
        let place = self.place(name);
        let variable = place.and_then(|place| self.variables.get_mut(place));
        match variable {
            Some((_, old)) => {
                *old = value;
                true
            }
            None => false,
        }
    }

    pub(super) fn value(&self, name: NameId) -> Option<&Reflected> {
        let (_, value) = self.variables.get(self.place(name)?)?;
        Some(value)
    }

    fn place(&self, name: NameId) -> Option<usize> {
        let place = *self.by_name.get(name as usize)?.last()?;
        (place >= self.first).then_some(place)
    }

    pub(super) fn truncate(&mut self, length: usize) {
        while self.variables.len() > length {
            if let Some((name, _)) = self.variables.pop()
                && let Some(places) = self.by_name.get_mut(name as usize)
            {
                places.pop();
            }
        }
    }
}
