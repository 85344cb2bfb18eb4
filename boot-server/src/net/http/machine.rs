//! What the endpoints that answer for one machine share: the labels of the query, the group and file
//! named in the event, and the refusal.

use super::App;
use super::answer::{Answer, TEXT};
use crate::catalog::snapshot::{Folder, Layout};
use crate::catalog::{BootSettings, Labels, raw_text};

impl App {
    /// The machine's config in a folder, served as `serve` does with its text and what it is.
    pub(super) fn config(
        &self,
        folder: Folder,
        query: Option<String>,
        serve: impl FnOnce(Vec<u8>, String) -> Answer,
    ) -> Answer {
        let query = query.unwrap_or_default();
        let labels = Labels::from_query(&query);
        match self.catalog.snapshot().config(folder, &labels, &query) {
            Ok(config) => {
                let detail = format!("{}/{}", folder.name(), config.file);
                serve(raw_text::to_bytes(config.text), detail).group(config.group, config.selectors)
            }
            Err(refusal) => Answer::refused(&refusal),
        }
    }

    /// The machine's boot settings as a script.
    pub(super) fn boot_script(
        &self,
        query: Option<String>,
        render: impl FnOnce(&BootSettings, &Labels, Layout) -> String,
    ) -> Answer {
        let labels = Labels::from_query(&query.unwrap_or_default());
        let snapshot = self.catalog.snapshot();
        match snapshot.boot(&labels) {
            Ok((group, boot)) => {
                let script = render(&boot, &labels, snapshot.layout);
                let detail = format!("{} {}", snapshot.layout.profile_word(), group.profile_id);
                Answer::rendered(TEXT, script, detail)
                    .group(group.name.to_string(), group.require.keys())
            }
            Err(refusal) => Answer::refused(&refusal),
        }
    }
}
