//! Single values of a machine list: what they may be, and what would be right when they are not.

use boot_server_proto::mac::MacAddr;
use uuid::Uuid;

/// Problem of a value, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct InvalidValue {
    pub(super) message: String,
    pub(super) help: String,
}

fn invalid<T>(message: String, help: impl Into<String>) -> Result<T, InvalidValue> {
    Err(InvalidValue {
        message,
        help: help.into(),
    })
}

/// Longest name of a machine: it names files and virtual machines.
const MAX_NAME: usize = 63;

/// Validates a machine name, which names folders, virtual machines and lines of reports.
pub(super) fn name(text: &str) -> Result<String, InvalidValue> {
    match usable_name(text) {
        Some(right) if right == text => Ok(right),
        Some(right) => invalid(
            format!("invalid machine name `{text}`"),
            format!("use letters, digits, `.`, `_` and `-`, at most {MAX_NAME}: write `{right}`"),
        ),
        None => invalid(
            format!("invalid machine name `{text}`"),
            "use letters, digits, `.`, `_` and `-`",
        ),
    }
}

/// Returns the nearest text that a machine may be called; none when nothing of it can stay.
pub(super) fn usable_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for letter in text.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => name.push(letter),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_matches(|c| matches!(c, '-' | '.'));
    let name: String = name.chars().take(MAX_NAME).collect();
    (!name.is_empty()).then_some(name)
}

/// Returns the address of a network card, lowercase with colons, from any notation that is in use.
pub(super) fn mac(text: &str) -> Result<String, InvalidValue> {
    let message = format!("invalid MAC `{text}`");
    let Ok(mac) = text.parse::<MacAddr>() else {
        return invalid(message, right_mac(text));
    };
    match mac.0 {
        [0, 0, 0, 0, 0, 0] => invalid(
            format!("invalid MAC `{text}` (no card has it)"),
            "omit the MAC if it is unknown",
        ),
        [255, 255, 255, 255, 255, 255] => invalid(
            format!("invalid MAC `{text}` (broadcast address)"),
            "write the card's own address",
        ),
        _ if mac.is_multicast() => invalid(
            format!("invalid MAC `{text}` (group address)"),
            "write the card's own address: its first byte is even",
        ),
        _ => Ok(mac.to_string()),
    }
}

/// Returns the intended MAC, as far as it can be guessed.
fn right_mac(text: &str) -> String {
    let usual = "write six bytes, as 52:54:00:12:34:56";
    let parts: Vec<&str> = text.split([':', '-', ' ']).collect();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let padded = match parts.as_slice() {
        [whole] if whole.len() == 12 && digits(whole) => Some((*whole).to_owned()),
        six if six.len() == 6 && six.iter().all(|p| matches!(p.len(), 1 | 2) && digits(p)) => {
            Some(six.iter().map(|part| format!("{part:0>2}")).collect())
        }
        _ => None,
    };
    if let Some(padded) = padded {
        let bytes: Vec<&str> = (0..12)
            .step_by(2)
            .filter_map(|at| padded.get(at..at + 2))
            .collect();
        return format!("write `{}`", bytes.join(":").to_ascii_lowercase());
    }
    let odd = text
        .chars()
        .find(|c| !c.is_ascii_hexdigit() && !matches!(c, ':' | '-' | '.'));
    match odd {
        Some(odd) => format!("{usual}; `{odd}` is not a hexadecimal digit"),
        None if parts.len() > 1 => format!("{usual}; this has {}", parts.len()),
        None => usual.to_owned(),
    }
}

/// Returns the vendor of a placeholder UUID that firmware shows in place of its own.
fn placeholder(text: &str) -> Option<&'static str> {
    /// UUIDs of boards that left the factory without one, in both byte orders.
    const UUIDS: [(&str, &str); 7] = [
        ("03000200-0400-0500-0006-000700080009", "AMI's placeholder"),
        ("00020003-0004-0005-0006-000700080009", "AMI's placeholder"),
        (
            "12345678-1234-5678-90ab-cddeefaabbcc",
            "a placeholder of board vendors",
        ),
        (
            "78563412-3412-7856-90ab-cddeefaabbcc",
            "a placeholder of board vendors",
        ),
        (
            "01234567-8910-1112-1314-151617181920",
            "a placeholder of board vendors",
        ),
        (
            "fefefefe-fefe-fefe-fefe-fefefefefefe",
            "a placeholder of board vendors",
        ),
        (
            "00000000-0000-0000-0000-000000000001",
            "a placeholder of board vendors",
        ),
    ];
    const TEXTS: [&str; 9] = [
        "not settable",
        "not present",
        "not specified",
        "not available",
        "to be filled by o.e.m.",
        "default string",
        "none",
        "n/a",
        "unknown",
    ];
    let lower = text.trim().to_ascii_lowercase();
    let digits = |text: &str| text.replace('-', "");
    let known = UUIDS
        .iter()
        .find(|(uuid, _)| digits(uuid) == digits(&lower));
    let text = TEXTS
        .contains(&lower.as_str())
        .then_some("shown by firmware without a UUID");
    known.map(|(_, whose)| *whose).or(text)
}

/// Returns an SMBIOS UUID, lowercase with hyphens, as iPXE sends it.
pub(super) fn uuid(text: &str) -> Result<String, InvalidValue> {
    if let Some(whose) = placeholder(text) {
        let message = format!("invalid UUID `{text}` ({whose}, shared by many machines)");
        return invalid(message, "omit the UUID: a MAC identifies the machine");
    }
    let known = Uuid::parse_str(text).ok();
    let hyphenated = text.len() == 36;
    match known {
        Some(uuid) if uuid.is_nil() || uuid.is_max() => invalid(
            format!("invalid UUID `{text}` (shown by firmware without a UUID)"),
            "omit the UUID",
        ),
        Some(uuid) if hyphenated => Ok(uuid.hyphenated().to_string()),
        Some(uuid) => invalid(
            format!("invalid UUID `{text}` (not in the form that firmware shows)"),
            format!("write `{}`", uuid.hyphenated()),
        ),
        None => {
            let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
            let others = text.chars().find(|c| !c.is_ascii_hexdigit() && *c != '-');
            let shape = "a UUID has 32 hexadecimal digits, as \
                         16e7d8a7-bfa9-428b-9117-363341bb330b";
            let help = match others {
                Some(other) => format!("{shape}; `{other}` is not a hexadecimal digit"),
                None if digits == 32 => format!("{shape}; the hyphens are misplaced"),
                None => format!("{shape}; this has {digits}"),
            };
            invalid(format!("invalid UUID `{text}`"), help)
        }
    }
}

/// Returns the bytes of a size with a binary unit, or how to write it.
fn bytes(text: &str, bare_unit: u64) -> Result<u64, InvalidValue> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let wrong = || InvalidValue {
        message: format!("invalid size `{text}`"),
        help: "write a whole number and a unit: `512 MiB`, `8 GiB`, `2 TiB`".to_owned(),
    };
    let number: u64 = number.replace('_', "").parse().map_err(|_| wrong())?;
    let (factor, decimal) = match unit.trim().to_ascii_lowercase().as_str() {
        "" => (bare_unit, false),
        "mib" => (1 << 20, false),
        "gib" => (1 << 30, false),
        "tib" => (1 << 40, false),
        "m" | "mb" => (1_000_000, true),
        "g" | "gb" => (1_000_000_000, true),
        "t" | "tb" => (1_000_000_000_000, true),
        _ => return Err(wrong()),
    };
    let bytes = number.checked_mul(factor).ok_or_else(wrong)?;
    if decimal {
        let unit = unit.trim();
        let first = unit.chars().next().unwrap_or('G').to_ascii_uppercase();
        return invalid(
            format!("ambiguous unit `{unit}` in `{text}`"),
            format!(
                "write `{number} {first}iB` for memory and disks of virtual machines; a disk sold as \
                 {number} {first}B has {} GiB",
                bytes >> 30
            ),
        );
    }
    Ok(bytes)
}

/// Memory in MiB: a number of MiB, or one with a unit.
pub(super) fn memory_mib(text: &str) -> Result<u32, InvalidValue> {
    whole(text, bytes(text, 1 << 20)?, 20, "MiB")
}

/// Returns a disk in GiB: a number of GiB, or one with a unit.
pub(super) fn disk_gib(text: &str) -> Result<u32, InvalidValue> {
    whole(text, bytes(text, 1 << 30)?, 30, "GiB")
}

fn whole(text: &str, bytes: u64, shift: u32, unit: &str) -> Result<u32, InvalidValue> {
    let count = bytes >> shift;
    match u32::try_from(count) {
        Ok(count) if count > 0 && u64::from(count) << shift == bytes => Ok(count),
        Ok(count) => invalid(
            format!("invalid size `{text}`: not a positive whole number of {unit}"),
            format!("write `{} {unit}`", count.max(1)),
        ),
        Err(_) => invalid(
            format!("invalid size `{text}`: too large"),
            format!("write a number of {unit}, or a number with a unit"),
        ),
    }
}

/// Returns a number of processors.
pub(super) fn cpus(text: &str) -> Result<u32, InvalidValue> {
    match text.trim().parse() {
        Ok(count) if (1..=4096).contains(&count) => Ok(count),
        _ => invalid(
            format!("invalid number of processors `{text}`"),
            "write a whole number from 1 to 4096",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T: std::fmt::Debug>(result: Result<T, InvalidValue>) -> String {
        let error = result.unwrap_err();
        format!("{} ({})", error.message, error.help)
    }

    #[test]
    fn every_notation_of_a_mac_is_the_same() {
        for text in ["52:54:00:A1:9C:AE", "52-54-00-a1-9c-ae", "5254.00a1.9cae"] {
            assert_eq!(mac(text).unwrap(), "52:54:00:a1:9c:ae");
        }
    }

    #[test]
    fn a_wrong_mac_tells_what_would_be_right() {
        let told = [
            "525400A19CAE",
            "0:1:2:3:4:f",
            "52:54:00:a1:9c",
            "52:54:00:a1:9c:ag",
            "",
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
        ]
        .map(|text| help(mac(text)));
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_uuid_is_lower_case_and_a_wrong_one_tells_what_would_be_right() {
        assert_eq!(
            uuid("16E7D8A7-BFA9-428B-9117-363341BB330B").unwrap(),
            "16e7d8a7-bfa9-428b-9117-363341bb330b"
        );
        let told = [
            "16e7d8a7bfa9428b9117363341bb330b",
            "{16e7d8a7-bfa9-428b-9117-363341bb330b}",
            "16e7d8a7-bfa9-428b-9117-363341bb330",
            "16e7d8a7-bfa9-428b-9117-363341bb330g",
            "16e7d8a-7bfa9-428b-9117-363341bb330b",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        ]
        .map(|text| help(uuid(text)));
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(memory_mib("8 GiB"), Ok(8192));
        assert_eq!(memory_mib("1024"), Ok(1024));
        assert_eq!(memory_mib("1_536MiB"), Ok(1536));
        assert_eq!(disk_gib("20"), Ok(20));
        assert_eq!(disk_gib("2 tib"), Ok(2048));
        let told = [
            help(memory_mib("8 GB")),
            help(disk_gib("480GB")),
            help(disk_gib("512 MiB")),
            help(disk_gib("0")),
            help(memory_mib("lots")),
            help(memory_mib("-1")),
            help(memory_mib("9000000 TiB")),
            help(cpus("0")),
        ];
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_name_is_fit_for_files_and_virtual_machines() {
        assert_eq!(name("rack-7.node_1").unwrap(), "rack-7.node_1");
        assert_eq!(
            usable_name("etcd node / 1 ").as_deref(),
            Some("etcd-node-1")
        );
        assert_eq!(usable_name(".. /"), None);
        let told = [
            help(name("etcd node 1")),
            help(name("ä")),
            help(name("../x")),
        ];
        insta::assert_snapshot!(told.join("\n"));
    }
}
