//! Framing of a command's answer on a console with other writers. Pure: bytes in, an [`Answer`] or a
//! [`Disturbance`] out.
//!
//! An answer is `<NONCE begin>OUTPUT<NONCE end STATUS CRC LENGTH>`. The nonce is random and used once, so that
//! no program in the guest can print a marker in advance. CRC and length are those of POSIX `cksum` over
//! command, status and output, computed in the guest; where only `crc32` exists, its eight digits replace both. They detect a kernel message in the output, a lost byte,
//! and a command that did not arrive as typed.

use lab_model::evidence::disturbance::Disturbance;
use uuid::Uuid;

use super::console::clean;

/// Maximum length of an answer, including noise.
const LIMIT_BYTES: usize = 16 << 20;

/// Maximum length of an end marker after its nonce: status, checksum and length.
const END_LIMIT_BYTES: usize = 64;

/// Number of digits that `crc32` prints.
const CRC32_DIGITS: usize = 8;

/// Shell functions that frame answers; typed once into a shell.
///
/// `lab_run NONCE COMMAND` executes the command in a subshell, stores output and status, and prints the answer;
/// `lab_say NONCE` prints the same answer again. An answer without line breaks reaches the terminal in one
/// `write`, which only the kernel can interrupt. The busybox of Debian's installer has `crc32` and no `cksum`.
pub(super) const FUNCTIONS: &str = concat!(
    r"lab_say(){ printf '\n<%s begin>%s<%s end %d %s>\n' ",
    r#""$1" "$lab_o" "$1" "$lab_s" "$(printf '%s\n%s\n%s' "$lab_c" "$lab_s" "$lab_o"|lab_sum)"; }; "#,
    r"lab_sum(){ if command -v cksum >/dev/null; then cksum; else crc32; fi; }; ",
    r#"lab_run(){ lab_c=$2; lab_o=$(eval "$2" 2>&1); lab_s=$?; lab_say "$1"; }"#,
    "\n"
);

/// Answer of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Exit status of the command.
    pub status: i32,
    /// Output including standard error, without control sequences.
    pub output: String,
}

/// Returns a nonce that no program in the guest can guess.
pub(super) fn new_nonce() -> String {
    let random = Uuid::new_v4().simple().to_string();
    random.chars().take(16).collect()
}

/// Reader of one answer.
#[derive(Debug)]
pub(super) struct Framing<'a> {
    command: &'a str,
    begin: Vec<u8>,
    end: Vec<u8>,
    has_begun: bool,
    /// Bytes since the begin marker; before it, the last few bytes, which may be its start.
    held: Vec<u8>,
    /// Number of bytes of `held` that contain no start of a marker.
    searched: usize,
}

impl<'a> Framing<'a> {
    pub(super) fn new(nonce: &str, command: &'a str) -> Framing<'a> {
        Framing {
            command,
            begin: format!("<{nonce} begin>").into_bytes(),
            end: format!("<{nonce} end ").into_bytes(),
            has_begun: false,
            held: Vec::new(),
            searched: 0,
        }
    }

    /// True if the begin marker was seen.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Processes console output; returns the answer once it is complete.
    pub(super) fn feed(&mut self, shown: &[u8]) -> Option<Result<Answer, Disturbance>> {
        self.held.extend_from_slice(shown);
        if !self.has_begun {
            let begin = find(&self.held, &self.begin);
            let end = find(&self.held, &self.end);
            match (begin, end) {
                (None, Some(_)) => return Some(Err(Disturbance::EndWithoutBegin)),
                (Some(begin), Some(end)) if end < begin => {
                    return Some(Err(Disturbance::EndWithoutBegin));
                }
                (Some(begin), _) => {
                    self.has_begun = true;
                    self.held.drain(..begin + self.begin.len());
                }
                (None, None) => {
                    let kept = self.held.len().min(self.begin.len());
                    self.held.drain(..self.held.len() - kept);
                    return None;
                }
            }
        }
        let rest = self.held.get(self.searched..).unwrap_or_default();
        let Some(end) = find(rest, &self.end).map(|at| at + self.searched) else {
            self.searched = self.held.len().saturating_sub(self.end.len());
            return (self.held.len() > LIMIT_BYTES).then_some(Err(Disturbance::TooLong));
        };
        let tail = self.held.get(end + self.end.len()..).unwrap_or_default();
        let Some(close) = tail.iter().position(|byte| *byte == b'>') else {
            self.searched = end;
            return (tail.len() > END_LIMIT_BYTES).then_some(Err(Disturbance::MalformedEnd));
        };
        let shown = self.held.get(..end).unwrap_or_default();
        let tail = tail.get(..close).unwrap_or_default();
        Some(self.judge(shown, tail))
    }

    fn judge(&self, shown: &[u8], tail: &[u8]) -> Result<Answer, Disturbance> {
        if find(shown, &self.begin).is_some() {
            return Err(Disturbance::SecondBegin);
        }
        let tail = std::str::from_utf8(tail).map_err(|_| Disturbance::MalformedEnd)?;
        let mut fields = tail.split(' ');
        let status: i32 = fields
            .next()
            .and_then(|status| status.parse().ok())
            .ok_or(Disturbance::MalformedEnd)?;
        let output = without_carriage_returns(shown);
        let mut summed = format!("{}\n{status}\n", self.command).into_bytes();
        summed.extend_from_slice(&output);
        let malformed = |_| Disturbance::MalformedEnd;
        let is_right = match (fields.next(), fields.next(), fields.next()) {
            (None | Some(""), None, _) => return Err(Disturbance::NoChecksum),
            (Some(crc), Some(length), None) => {
                let crc: u32 = crc.parse().map_err(malformed)?;
                let length: usize = length.parse().map_err(malformed)?;
                summed.len() == length && cksum(&summed) == crc
            }
            (Some(digits), None, _) if digits.len() == CRC32_DIGITS => {
                let crc = u32::from_str_radix(digits, 16).map_err(malformed)?;
                crc32(&summed) == crc
            }
            _ => return Err(Disturbance::MalformedEnd),
        };
        if !is_right {
            return Err(Disturbance::Checksum);
        }
        let lines: Vec<String> = output.split(|byte| *byte == b'\n').map(clean).collect();
        Ok(Answer {
            status,
            output: lines.join("\n"),
        })
    }
}

/// Reverts the terminal's `onlcr`, which sends each line feed as carriage return and line feed.
fn without_carriage_returns(shown: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(shown.len());
    for (index, byte) in shown.iter().enumerate() {
        if *byte != b'\r' || shown.get(index + 1) != Some(&b'\n') {
            output.push(*byte);
        }
    }
    output
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Returns the checksum of POSIX `cksum`: CRC-32 with polynomial 0x04C11DB7, most significant bit first, over
/// the bytes and then their number, complemented (IEEE 1003.1, `cksum`).
fn cksum(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x04C1_1DB7;
    let step = |crc: u32, byte: u8| {
        let mut crc = crc ^ (u32::from(byte) << 24);
        for _ in 0..8 {
            crc = match crc & 0x8000_0000 {
                0 => crc << 1,
                _ => (crc << 1) ^ POLYNOMIAL,
            };
        }
        crc
    };
    let mut crc = bytes.iter().fold(0, |crc, byte| step(crc, *byte));
    let mut length = bytes.len();
    while length != 0 {
        crc = step(crc, (length & 0xff) as u8);
        length >>= 8;
    }
    !crc
}

/// Returns the checksum of busybox's `crc32`: the CRC-32 of Ethernet (IEEE 802.3, clause 3.2.9), least significant bit
/// first.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            0 => crc >> 1,
            _ => (crc >> 1) ^ POLYNOMIAL,
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const NONCE: &str = "0123456789abcdef";

    /// Bytes that a real shell prints for `command`.
    fn said(command: &str) -> Vec<u8> {
        let script = format!("{FUNCTIONS}lab_run {NONCE} \"$1\"");
        let shell = Command::new("sh")
            .args(["-c", &script, "sh", command])
            .output()
            .unwrap();
        shell.stdout
    }

    /// Bytes that a shell with `crc32` and without `cksum` prints for `command`.
    fn said_with_crc32(command: &str, output: &str) -> Vec<u8> {
        let crc = crc32(format!("{command}\n0\n{output}").as_bytes());
        format!("\n<{NONCE} begin>{output}<{NONCE} end 0 {crc:08x}>\n").into_bytes()
    }

    #[test]
    fn feed_answer_with_crc32_is_read_and_a_changed_one_is_not() {
        // Printed by `printf abc | crc32` of busybox 1.35 in Debian 12's installer.
        assert_eq!(crc32(b"abc"), 0x3524_41c2);
        let shown = said_with_crc32("cat x", "one");
        let answer = read("cat x", &shown).unwrap().unwrap();
        assert_eq!((answer.status, answer.output.as_str()), (0, "one"));
        let changed = replaced(&shown, ">one<", ">two<");
        assert_eq!(read("cat x", &changed), Some(Err(Disturbance::Checksum)));
        let long = replaced(&shown, " end 0 ", " end 0 0");
        assert_eq!(read("cat x", &long), Some(Err(Disturbance::MalformedEnd)));
    }

    fn read(command: &str, shown: &[u8]) -> Option<Result<Answer, Disturbance>> {
        Framing::new(NONCE, command).feed(shown)
    }

    fn replaced(shown: &[u8], from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(shown.to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn cksum_of_known_bytes_is_that_of_coreutils() {
        assert_eq!(cksum(b""), 4_294_967_295);
        assert_eq!(cksum(b"123456789"), 930_766_865);
        assert_eq!(cksum(&[b'x'; 300]), 3_786_917_833);
    }

    #[test]
    fn feed_answer_of_a_posix_shell_is_read() {
        for (command, status, output) in [
            ("echo active", 0, "active"),
            ("printf 'a\\n\\nb'; echo c >&2; exit 3", 3, "a\n\nbc"),
            ("true", 0, ""),
            (
                "printf %s 'it'\"'\"'s %d $HOME \\n'",
                0,
                "it's %d $HOME \\n",
            ),
        ] {
            let answer = Answer {
                status,
                output: output.into(),
            };
            assert_eq!(read(command, &said(command)), Some(Ok(answer)), "{command}");
        }
    }

    #[test]
    fn feed_answer_in_any_pieces_is_the_same() {
        let command = "echo one; echo two";
        let shown = said(command);
        for size in 1..shown.len() {
            let mut framing = Framing::new(NONCE, command);
            let answer = shown.chunks(size).find_map(|piece| framing.feed(piece));
            assert_eq!(answer.unwrap().unwrap().output, "one\ntwo", "{size}");
        }
    }

    #[test]
    fn feed_line_ends_of_a_terminal_are_undone() {
        let command = "printf 'one\\ntwo\\r\\n\\033[1mthree\\033[0m'";
        let shown = String::from_utf8(said(command))
            .unwrap()
            .replace('\n', "\r\n");
        let answer = read(command, shown.as_bytes()).unwrap().unwrap();
        assert_eq!(answer.output, "one\ntwo\nthree");
    }

    /// V13: a message of the kernel in the content of a file.
    #[test]
    fn feed_noise_in_the_output_is_a_disturbance() {
        let command = "echo aGVsbG8=";
        let noisy = replaced(&said(command), "aGVs", "aGVs[   12.5] usb 1-1: new\r\n");
        assert_eq!(read(command, &noisy), Some(Err(Disturbance::Checksum)));
    }

    #[test]
    fn feed_each_changed_byte_of_an_answer_never_holds() {
        let command = "echo inactive";
        let shown = said(command);
        let right = read(command, &shown).unwrap().unwrap();
        for index in 0..shown.len() {
            for change in [b'a', b'\n', b' ', b'>', b'0'] {
                let mut changed = shown.clone();
                changed[index] = change;
                if let Some(Ok(answer)) = read(command, &changed) {
                    assert_eq!(answer, right, "byte {index} as {change}");
                }
            }
        }
    }

    #[test]
    fn feed_answer_to_another_command_is_a_disturbance() {
        let shown = said("echo active # systemctl is-active a.service");
        let asked = "echo active # systemctl is-active b.service";
        assert_eq!(read(asked, &shown), Some(Err(Disturbance::Checksum)));
    }

    #[test]
    fn feed_forged_markers_of_another_nonce_mean_nothing() {
        let command = "echo inactive";
        let mut shown = b"<begin-4>\nactive\n<end-4 0>\n<fedcba9876543210 begin>active\
                          <fedcba9876543210 end 0 1 2>\n"
            .to_vec();
        shown.extend(said(command));
        let answer = read(command, &shown).unwrap().unwrap();
        assert_eq!(answer.output, "inactive");
    }

    /// V5, second: an end without its begin, and a second begin.
    #[test]
    fn feed_second_begin_and_lone_end_are_disturbances() {
        let command = "echo x";
        let begin = format!("<{NONCE} begin>");
        let shown = said(command);
        let twice = replaced(&shown, &begin, &format!("{begin}{begin}"));
        assert_eq!(read(command, &twice), Some(Err(Disturbance::SecondBegin)));
        let lone = replaced(&shown, &begin, "");
        assert_eq!(
            read(command, &lone),
            Some(Err(Disturbance::EndWithoutBegin))
        );
    }

    #[test]
    fn feed_answer_without_checksum_is_a_disturbance() {
        let shown = format!("<{NONCE} begin>x<{NONCE} end 0 >");
        assert_eq!(
            read("echo x", shown.as_bytes()),
            Some(Err(Disturbance::NoChecksum))
        );
        let endless = format!("<{NONCE} begin>x<{NONCE} end {}", "0".repeat(100));
        assert_eq!(
            read("echo x", endless.as_bytes()),
            Some(Err(Disturbance::MalformedEnd))
        );
    }

    #[test]
    fn new_nonce_is_another_one_each_time() {
        let nonces: std::collections::BTreeSet<String> = (0..100).map(|_| new_nonce()).collect();
        assert_eq!(nonces.len(), 100);
        assert!(nonces.iter().all(|nonce| nonce.len() == 16));
    }
}
