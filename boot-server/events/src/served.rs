//! Answer to an HTTP request, as its event tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Folders of a data directory whose files are served as configs.
const FOLDERS: [&str; 3] = ["cloud/", "ignition/", "generic/"];

/// Answer to an HTTP request: the file for programs, the text for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "Recorded")]
pub struct Served {
    /// File of the data directory that was rendered, by its name in its folder; `None` for other answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(rename = "detail")]
    text: String,
}

/// Answer as it is recorded; events of older versions name a file only in the text.
#[derive(Deserialize, schemars::JsonSchema)]
struct Recorded {
    detail: String,
    file: Option<String>,
}

impl From<Recorded> for Served {
    fn from(recorded: Recorded) -> Served {
        match recorded.file {
            Some(file) => Served::new(recorded.detail, Some(file)),
            None => Served::from(recorded.detail),
        }
    }
}

impl Served {
    /// An answer in words, and the file that was rendered for it.
    pub fn new(text: impl Into<String>, file: Option<String>) -> Served {
        let text = text.into();
        Served { file, text }
    }

    /// The answer in words: spec id, config file or asset, or the reason for an error.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for Served {
    /// Reads the file out of the text of an event without one: `cloud/node1.yaml`, or a file name alone.
    fn from(text: String) -> Served {
        let is_path = !text.is_empty() && !text.contains(char::is_whitespace);
        let name = FOLDERS.iter().find_map(|folder| text.strip_prefix(folder));
        let file = is_path.then(|| name.unwrap_or(&text).to_owned());
        Served { file, text }
    }
}

impl From<&str> for Served {
    fn from(text: &str) -> Served {
        Served::from(text.to_owned())
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
