//! Check of the configs of many machines: equal configs are checked once.
//!
//! To see whether a rendered text is what its folder is for takes some twenty times as long as to render it,
//! and most machines of a group are served the same to the byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use go_template::Budget;

use super::Labels;
use super::snapshot::{Folder, Refusal, ServedConfig, Snapshot};
use super::unavailable::InvalidRendered;

/// Cache of the checks of rendered texts, for one snapshot.
#[derive(Debug, Default)]
pub struct Checked(Mutex<HashMap<Rendered, Result<Arc<str>, InvalidRendered>>>);

/// A rendered text, and the folder and the file whose it is.
type Rendered = (Folder, Arc<str>, String);

impl Snapshot {
    /// Returns the machine's config in a folder, rendered and checked, as [`Snapshot::config`] has it.
    ///
    /// # Errors
    /// As there.
    pub fn config_checked(
        &self,
        folder: Folder,
        labels: &Labels,
        query: &str,
        checked: &Checked,
    ) -> Result<ServedConfig<Arc<str>>, Refusal> {
        self.config_by(folder, labels, query, Budget::default(), |file, text| {
            let Checked(known) = checked;
            let key = (folder, Arc::clone(file), text);
            let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(made) = lock().get(&key) {
                return made.clone();
            }
            let made = self.finish(folder, file, key.2.clone()).map(Arc::from);
            lock().insert(key, made.clone());
            made
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::load::Source;

    #[test]
    fn it_is_what_is_served_one_by_one() {
        let racks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/http");
        for rack in ["bootcfg-rack", "matchbox-rack"] {
            let (snapshot, _) = Snapshot::load(&Source::of(racks.join(rack)));
            let checked = Checked::default();
            let mut served = 0;
            let groups = snapshot.groups.iter().chain(snapshot.groups.iter());
            for group in groups {
                let query = group.require.text().replace(',', "&");
                let labels = Labels::from_query(&query);
                for folder in Folder::ALL {
                    let one = snapshot.config(folder, &labels, &query);
                    let one = one.map(|config| (config.group, config.file, config.text));
                    let again = snapshot.config_checked(folder, &labels, &query, &checked);
                    let again =
                        again.map(|config| (config.group, config.file, config.text.to_string()));
                    served += usize::from(one.is_ok());
                    assert_eq!(again, one, "{rack}: {query}");
                }
            }
            assert!(served > 5, "{rack}: {served}");
        }
    }
}
