//! Parts of user-data that is a MIME message, and the kind that cloud-init takes each for.

use boot_server_catalog::nocloud::UserDataKind;
use mail_parser::{Encoding, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::validate::tree::At;

/// Part of a message, other than a multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Position of the first line of the content.
    pub(super) at: At,
    /// True if the lines of the content are those of the message.
    pub(super) is_verbatim: bool,
    pub(super) kind: PartKind,
    /// Content, decoded.
    pub(super) text: String,
}

/// Kind of a part (cloud-init 22.4.2: `user_data.py`, `handlers/`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PartKind {
    /// YAML, whatever its first line is.
    CloudConfig,
    /// Jinja template.
    Jinja,
    /// Code that handles parts of other types.
    Handler,
    /// Another type that cloud-init knows, such as a script, or a compressed part.
    Other,
    /// A type of which cloud-init looks at the content, and the content is of no kind that it knows.
    NoKind(String),
    /// A type that only a handler of the message may know.
    Unknown(String),
}

/// Types of parts whose content tells the kind. Scripts are sometimes declared for other content.
const BY_CONTENT: [&str; 3] = [SCRIPT, "text/plain", "text/x-not-multipart"];
/// Type of a script.
const SCRIPT: &str = "text/x-shellscript";
/// Other types that cloud-init knows.
const OTHERS: [&str; 16] = [
    "text/cloud-boothook",
    "text/cloud-config-archive",
    "text/cloud-config-jsonp",
    "text/x-include-url",
    "text/x-include-once-url",
    "text/x-shellscript-per-boot",
    "text/x-shellscript-per-instance",
    "text/x-shellscript-per-once",
    "application/gzip",
    "application/gzip-compressed",
    "application/gzipped",
    "application/x-compress",
    "application/x-compressed",
    "application/x-gunzip",
    "application/x-gzip",
    "application/x-gzip-compressed",
];

/// Returns the parts of a message; `None` for text that is not a message.
pub(super) fn parts(text: &str) -> Option<Vec<Part>> {
    let message = MessageParser::default().parse(text)?;
    let of_content = |part: &&MessagePart<'_>| {
        !matches!(part.body, PartType::Multipart(_) | PartType::Message(_))
    };
    let parts = message.parts.iter().filter(of_content);
    Some(parts.map(|part| read(text, part)).collect())
}

fn read(message: &str, part: &MessagePart<'_>) -> Part {
    let before = usize::try_from(part.offset_body).ok();
    let before = before
        .and_then(|offset| message.get(..offset))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(part.contents()).into_owned();
    // RFC 2045, 5.2: a part without a type is plain text.
    let content_type = part.content_type().map_or_else(
        || "text/plain".to_owned(),
        |of| format!("{}/{}", of.ctype(), of.subtype().unwrap_or("plain")),
    );
    Part {
        at: At {
            line: before.lines().count() + 1,
            column: 1,
        },
        is_verbatim: part.encoding == Encoding::None,
        kind: kind(content_type.to_ascii_lowercase(), &text),
        text,
    }
}

fn kind(content_type: String, text: &str) -> PartKind {
    match content_type.as_str() {
        "text/cloud-config" => PartKind::CloudConfig,
        "text/jinja2" => PartKind::Jinja,
        "text/part-handler" => PartKind::Handler,
        of if BY_CONTENT.contains(&of) => match UserDataKind::of(text) {
            Some(UserDataKind::CloudConfig) => PartKind::CloudConfig,
            Some(UserDataKind::Jinja) => PartKind::Jinja,
            Some(UserDataKind::Script | UserDataKind::Mime | UserDataKind::Other) => {
                PartKind::Other
            }
            None if of == SCRIPT => PartKind::Other,
            None => PartKind::NoKind(content_type),
        },
        of if OTHERS.contains(&of) => PartKind::Other,
        _ => PartKind::Unknown(content_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "\
Content-Type: multipart/mixed; boundary=\"b\"
MIME-Version: 1.0

--b
Content-Type: text/cloud-config; charset=\"us-ascii\"

#cloud-config
hostname: a
--b
Content-Type: text/plain
Content-Transfer-Encoding: base64

I2Nsb3VkLWNvbmZpZwp0aW1lem9uZTogNwo=
--b
Content-Type: text/x-shellscript

#!/bin/sh
--b
Content-Type: text/plain

hello
--b
Content-Type: text/x-own
Content-Disposition: attachment; filename=\"x\"

hello
--b--
";

    #[test]
    fn parts_have_their_kind_and_the_line_where_they_begin() {
        let found = parts(MESSAGE).unwrap();
        let of = |part: &Part| (part.at.line, part.is_verbatim, part.kind.clone());
        let kinds: Vec<_> = found.iter().map(of).collect();
        assert_eq!(
            kinds,
            [
                (7, true, PartKind::CloudConfig),
                (13, false, PartKind::CloudConfig),
                (17, true, PartKind::Other),
                (21, true, PartKind::NoKind("text/plain".into())),
                (26, true, PartKind::Unknown("text/x-own".into())),
            ]
        );
        assert_eq!(found[1].text, "#cloud-config\ntimezone: 7\n");
    }
}
