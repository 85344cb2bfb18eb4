//! Reading a YAML map field by field, as leniently as coreos-cloudinit's YAML library does, and
//! decoding the contents of files.

use std::collections::HashSet;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::ConfigError;
use super::raw::to_bytes;
use super::yaml::{Node, Value};

/// Largest content of one file after unpacking, in bytes.
const MAX_CONTENT_BYTES: u64 = 256 * 1024 * 1024;

/// Reads the keys of one map, and remembers which keys were asked for and what was passed over.
#[derive(Debug)]
pub struct Reader<'a> {
    map: &'a Node,
    known: HashSet<String>,
    notes: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    /// Creates a reader of `map`; of anything but a map, every key is absent.
    #[must_use]
    pub fn new(map: &'a Node) -> Self {
        let mut notes = Vec::new();
        if !matches!(map.value, Value::Map(_)) && !map.is_null() {
            notes.push((map.line, "not a map of keys and values".to_owned()));
        }
        Reader {
            map,
            known: HashSet::new(),
            notes,
        }
    }

    /// Returns the value of `key`; absent when it is null.
    fn take(&mut self, key: &str) -> Option<&'a Node> {
        self.known.insert(key.to_owned());
        self.map.entry(key).filter(|node| !node.is_null())
    }

    fn note(&mut self, node: &Node, text: String) {
        self.notes.push((node.line, text));
    }

    /// Returns a text; numbers and booleans are the text they are written with.
    pub fn text(&mut self, key: &str) -> String {
        match self.take(key) {
            None => String::new(),
            Some(Node {
                value: Value::Scalar { text, .. },
                ..
            }) => text.clone(),
            Some(node) => {
                self.note(node, format!("{key} is not a string"));
                String::new()
            }
        }
    }

    /// Returns a list of texts.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            self.note(node, format!("{key} is not a list"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Value::Scalar { text, .. } => texts.push(text.clone()),
                _ => self.note(item, format!("an entry of {key} is not a string")),
            }
        }
        texts
    }

    /// A boolean in any of YAML 1.1's spellings, without quotes.
    pub fn flag(&mut self, key: &str) -> bool {
        let Some(node) = self.take(key) else {
            return false;
        };
        if let Value::Scalar { text, plain: true } = &node.value {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => return true,
                "false" | "no" | "off" | "n" => return false,
                _ => {}
            }
        }
        self.note(node, format!("{key} is not a boolean"));
        false
    }

    /// Returns a number other than 0, written without quotes.
    pub fn number(&mut self, key: &str) -> Option<f64> {
        let node = self.take(key)?;
        match &node.value {
            Value::Scalar { text, plain: true } => match text.replace('_', "").parse::<f64>() {
                Ok(number) if number.is_finite() => return Some(number).filter(|n| *n != 0.0),
                _ => self.note(node, format!("{key} is not a number")),
            },
            _ => self.note(node, format!("{key} is not a number")),
        }
        None
    }

    /// Returns the line of `key`'s value, or the map's own line.
    #[must_use]
    pub fn line_of(&self, key: &str) -> usize {
        self.map.entry(key).map_or(self.map.line, |node| node.line)
    }

    /// Reads each map of a list.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn each<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&mut Reader<'_>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some(node) = self.take(key) else {
            return Ok(Vec::new());
        };
        let Value::List(items) = &node.value else {
            self.note(node, format!("{key} is not a list"));
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for item in items {
            if !matches!(item.value, Value::Map(_)) {
                self.note(item, format!("an entry of {key} is not a map"));
                continue;
            }
            let mut reader = Reader::new(item);
            all.push(read(&mut reader)?);
            self.notes.extend(reader.leftovers());
        }
        Ok(all)
    }

    /// Reads the map under `key`, if there is one.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn inside(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Reader<'_>) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let Some(node) = self.take(key) else {
            return Ok(());
        };
        let mut reader = Reader::new(node);
        read(&mut reader)?;
        self.notes.extend(reader.leftovers());
        Ok(())
    }

    /// Returns all ignored parts, unknown keys included, by line.
    fn leftovers(mut self) -> Vec<(usize, String)> {
        if let Value::Map(entries) = &self.map.value {
            for (key, node) in entries {
                if !self.known.contains(key) {
                    self.notes.push((node.line, format!("unknown key {key}")));
                }
            }
        }
        self.notes
    }

    /// Returns the parts ignored in this map and all inside it, in the order of lines.
    #[must_use]
    pub fn finish(self) -> Vec<String> {
        let mut notes = self.leftovers();
        notes.sort_by_key(|(line, _)| *line);
        notes
            .into_iter()
            .map(|(line, text)| format!("line {line}: {text}"))
            .collect()
    }
}

/// Reasons that a file's content does not decode.
#[derive(Debug, Error)]
pub enum EncodingError {
    /// No such `encoding`.
    #[error(
        "encoding {0:?} is none of b64, base64, gz, gzip, gz+b64, gzip+b64, gz+base64, gzip+base64"
    )]
    Unknown(String),
    /// The content is not base64.
    #[error("content is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The content is not gzip, or larger than any plausible file.
    #[error("content is not gzip: {0}")]
    Gzip(#[from] std::io::Error),
}

/// Decodes `content` by `encoding`.
///
/// # Errors
/// [`EncodingError`] when the encoding is unknown or the content is not in it.
pub fn decode_content(encoding: &str, content: &str) -> Result<Vec<u8>, EncodingError> {
    match encoding {
        "" => Ok(to_bytes(content)),
        "b64" | "base64" => decode_base64(content),
        "gz" | "gzip" => unpack(&to_bytes(content)),
        "gz+b64" | "gzip+b64" | "gz+base64" | "gzip+base64" => unpack(&decode_base64(content)?),
        other => Err(EncodingError::Unknown(other.to_owned())),
    }
}

/// Go's base64 reader passes over line breaks.
fn decode_base64(content: &str) -> Result<Vec<u8>, EncodingError> {
    let packed: String = content
        .chars()
        .filter(|c| !matches!(c, '\r' | '\n'))
        .collect();
    Ok(STANDARD.decode(packed)?)
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(MAX_CONTENT_BYTES + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > MAX_CONTENT_BYTES {
        return Err(std::io::Error::other(format!("more than {MAX_CONTENT_BYTES} bytes")).into());
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::super::raw::binary;
    use super::*;

    #[test]
    fn base64_of_several_lines_decodes() {
        assert_eq!(
            decode_content("base64", "aGVs\nbG8K\n").unwrap(),
            b"hello\n"
        );
    }

    #[test]
    fn binary_value_is_its_bytes_in_every_encoding() {
        let gzip = "H4sIAAAAAAACA0tUyMnMS+UCAAov+xcHAAAA";
        let text = binary(gzip).unwrap();
        let unpacked = decode_content("gzip+base64", gzip).unwrap();
        assert_eq!(decode_content("gz", &text).unwrap(), unpacked);
        assert_eq!(
            decode_content("", &text).unwrap(),
            STANDARD.decode(gzip).unwrap()
        );
        let hello = binary("aGVs\n bG8K").unwrap();
        assert_eq!(decode_content("", &hello).unwrap(), b"hello\n");
        // base64 of base64.
        let twice = binary(&STANDARD.encode(gzip)).unwrap();
        assert_eq!(decode_content("gz+b64", &twice).unwrap(), unpacked);
        assert_eq!(binary("?"), None);
    }

    #[test]
    fn an_unknown_encoding_is_named_with_the_known_ones() {
        let error = decode_content("rot13", "x").unwrap_err().to_string();
        assert!(
            error.contains("rot13") && error.contains("gzip+base64"),
            "{error}"
        );
    }

    #[test]
    fn bytes_that_are_not_gzip_are_refused() {
        assert!(matches!(
            decode_content("gz", "plain"),
            Err(EncodingError::Gzip(_))
        ));
    }
}
