//! Formatting of numbers for people.

/// Formats bytes in decimal units: `512 bytes`, `1.4 kB`, `54.3 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count == 1 {
        return "1 byte".into();
    }
    if count < 1000 {
        return format!("{count} bytes");
    }
    let mut value = count as f64;
    let mut unit = "";
    for name in UNITS {
        value /= 1000.0;
        unit = name;
        // A value that would round to `1000.0` moves to the next unit.
        if value < 999.95 {
            break;
        }
    }
    format!("{value:.1} {unit}")
}

/// Formats seconds with a suitable precision: `0.003 s`, `1.24 s`, `38.2 s`, `4 min 12 s`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{seconds:.3} s")
    } else if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 119.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        match whole % 60 {
            0 => format!("{} min", whole / 60),
            rest => format!("{} min {rest} s", whole / 60),
        }
    }
}

/// Formats a duration in whole seconds: `42 s`, `4 min 12 s`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    if whole < 60 {
        format!("{whole} s")
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// Returns the seconds between two times in microseconds; negative if the second is earlier.
#[must_use]
pub fn seconds_between(from_us: u64, to_us: u64) -> f64 {
    (to_us as f64 - from_us as f64) / 1e6
}

/// Formats a count with its noun: `1 machine`, `3 machines`.
#[must_use]
pub fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_leaves_a_whole_number() {
        let told = [0, 1, 999, 1000, 999_949, 999_950, 54_321_000].map(bytes);
        let expected = [
            "0 bytes",
            "1 byte",
            "999 bytes",
            "1.0 kB",
            "999.9 kB",
            "1.0 MB",
            "54.3 MB",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn seconds_lose_digits_as_they_grow() {
        let told = [0.0031, 0.9999, 1.236, 38.24, 119.97, 252.0].map(seconds);
        let expected = [
            "0.003 s",
            "1.00 s",
            "1.24 s",
            "38.2 s",
            "2 min",
            "4 min 12 s",
        ];
        assert_eq!(told, expected);
    }
}
