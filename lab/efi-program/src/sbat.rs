//! SBAT: generations of a program's components, and the lowest ones that are accepted (`SBAT.md` of shim).

/// Component of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Name, such as `grub` or `grub.debian`.
    pub name: String,
    pub generation: u32,
}

/// Lowest generations that are accepted; components without one are not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Level(pub Vec<Component>);

impl Level {
    /// Parses the lines of shim's variable `SbatLevel`.
    #[must_use]
    pub fn read(text: &[u8]) -> Level {
        Level(read(text))
    }

    /// Returns the first component that is too old, and its lowest accepted generation.
    #[must_use]
    pub fn outdated<'c>(&self, components: &'c [Component]) -> Option<(&'c Component, u32)> {
        components.iter().find_map(|component| {
            let mut limits = self.0.iter();
            let limit = limits.find(|limit| limit.name == component.name)?;
            (component.generation < limit.generation).then_some((component, limit.generation))
        })
    }
}

/// Parses CSV lines: name, generation, and columns for people. Lines of another form are left out.
pub(crate) fn read(text: &[u8]) -> Vec<Component> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let component = |line: &str| {
        let mut columns = line.split(',');
        let name = columns.next()?.trim();
        let generation = columns.next()?.trim().parse().ok()?;
        let is_word = |c: char| c.is_ascii_graphic();
        (!name.is_empty() && name.chars().all(is_word)).then(|| Component {
            name: name.to_owned(),
            generation,
        })
    };
    text.lines().filter_map(component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outdated_names_the_component_below_the_level() {
        let components =
            read(b"sbat,1,SBAT Version\ngrub,4,Free Software Foundation\nx\n,1\n\0grub,9");
        assert_eq!(components.len(), 2, "{components:?}");
        let level = Level::read(b"sbat,1,2025021800\nshim,4\ngrub,5\n");
        let (old, limit) = level.outdated(&components).expect("grub is too old");
        assert_eq!((old.name.as_str(), old.generation, limit), ("grub", 4, 5));
        assert_eq!(Level::read(b"grub,4\n").outdated(&components), None);
    }
}
