//! `/etc/environment`: the machine's addresses for everyone's `EnvironmentFile=`.

use std::collections::BTreeMap;

use super::{ApplyError, Machine, files};
use crate::config::File;

/// Puts the known `COREOS_*` addresses into `/etc/environment`; an unchanged file is not touched.
///
/// # Errors
/// [`ApplyError::File`].
pub fn update(machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    let variables: BTreeMap<&str, String> = machine
        .substitutions
        .environment()
        .map(|(key, value)| (key, value.to_owned()))
        .collect();
    if variables.is_empty() {
        return Ok(());
    }
    let path = files::clean("/etc/environment");
    let old = match std::fs::read_to_string(files::under(machine.root, &path)) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ApplyError::File { path, source }),
    };
    let new = merge(&old, variables);
    if new != old {
        let file = File {
            path: path.to_string_lossy().into_owned(),
            content: new.into_bytes(),
            ..File::default()
        };
        files::write(&file, machine)?;
    }
    Ok(())
}

/// `old` with the variables' new values in their places, and those it does not have at its end.
fn merge(old: &str, mut variables: BTreeMap<&str, String>) -> String {
    let mut new = String::new();
    for line in old.lines() {
        let key = line.split_once('=').map_or("", |(key, _)| key);
        match variables.remove(key) {
            Some(value) => new.push_str(&format!("{key}={value}\n")),
            None => new.push_str(&format!("{line}\n")),
        }
    }
    for (key, value) in variables {
        new.push_str(&format!("{key}={value}\n"));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn values_are_replaced_in_place_and_new_ones_come_last() {
        let variables = [("COREOS_B", "2".to_owned()), ("COREOS_A", "1".to_owned())].into();
        assert_eq!(
            merge("# mine\nCOREOS_B=old\r\nX=y", variables),
            "# mine\nCOREOS_B=2\nX=y\nCOREOS_A=1\n"
        );
    }
}
