//! Modes that were written in decimal and meant in octal.
//!
//! Source: `base/util/file.go` of Butane v0.29.0.

/// True for a mode that is unusual, and whose digits are a usual mode in octal.
pub(super) fn seems_decimal(mode: i64, is_directory: bool) -> bool {
    let is_decimal = (0..=7777).contains(&mode);
    let octal = i64::from_str_radix(&mode.to_string(), 8);
    is_decimal
        && octal.is_ok_and(|octal| !is_usual(mode, is_directory) && is_usual(octal, is_directory))
}

fn is_usual(mode: i64, is_directory: bool) -> bool {
    if mode == 0 {
        return true;
    }
    // Others, group, owner: each has what the ones before it have.
    let mut had = 0;
    for permissions in [mode & 7, mode >> 3 & 7, mode >> 6 & 7] {
        let may_read = permissions & 4 != 0;
        let may_execute = permissions & 1 != 0;
        if had & !permissions != 0 {
            return false;
        }
        // Execution for some of those who may read is strange, as is permission for anything without reading.
        if may_execute && had & 4 != 0 && had & 1 == 0 || permissions & 3 != 0 && !may_read {
            return false;
        }
        had |= permissions;
    }
    let (may_write, may_execute) = (had & 2 != 0, had & 1 != 0);
    if had & 4 == 0 {
        return false;
    }
    if is_directory {
        may_execute && mode & 0o4000 == 0 && (mode & 0o3000 == 0 || may_write)
    } else {
        let is_set_id = mode & 0o6000 != 0;
        mode & 0o1000 == 0 && !(is_set_id && (!may_execute || mode & 2 != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_mode_is_noticed() {
        for mode in [644, 755, 600, 777, 400, 4755] {
            assert!(seems_decimal(mode, false), "{mode}");
        }
        for mode in [0o644, 0o755, 0o600, 888, 7777, 1777, -1, 0] {
            assert!(!seems_decimal(mode, false), "{mode}");
        }
        assert!(seems_decimal(1777, true));
    }
}
