//! Code shared by the endpoints that answer for one machine: the labels of the query, the group and file named
//! in the event, and the refusal.

use go_template::Budget;

use super::App;
use super::answer::{Answer, TEXT};
use crate::catalog::snapshot::{Folder, Layout, Refusal, ServedConfig, Snapshot};
use crate::catalog::{BootSettings, Labels, raw_text};

/// The most that a template takes which is rendered in the thread that answers: far less than a millisecond.
const AT_ONCE: Budget = Budget {
    steps: 5_000,
    bytes: 256 << 10,
};

/// Maximum number of templates rendered at once on separate threads.
pub(super) const MOST_SLOW_RENDERS: usize = 2;

impl App {
    /// Serves the machine's config in a folder, by `serve` with its text and description.
    pub(super) async fn config(
        &self,
        folder: Folder,
        query: Option<String>,
        serve: impl FnOnce(Vec<u8>, String) -> Answer,
    ) -> Answer {
        let render = move |snapshot: &Snapshot, labels: &Labels, query: &str, budget| {
            snapshot.config_within(folder, labels, query, budget)
        };
        self.rendered(folder, query.unwrap_or_default(), render, serve)
            .await
    }

    /// Serves what `render` makes of a file in a folder within a budget.
    ///
    /// A slow template is rendered on a separate thread, so that it does not delay other requests.
    pub(super) async fn rendered(
        &self,
        folder: Folder,
        query: String,
        render: impl Fn(&Snapshot, &Labels, &str, Budget) -> Result<ServedConfig, Refusal>
        + Send
        + 'static,
        serve: impl FnOnce(Vec<u8>, String) -> Answer,
    ) -> Answer {
        let labels = Labels::from_query(&query);
        let snapshot = self.catalog.snapshot();
        let mut config = render(&snapshot, &labels, &query, AT_ONCE);
        if config.as_ref().is_err_and(|refusal| refusal.is_over_budget) {
            let turn = self.slow_renders.clone().acquire_owned().await;
            let slowly = move || {
                let _turn = turn;
                render(&snapshot, &labels, &query, Budget::default())
            };
            if let Ok(rendered) = tokio::task::spawn_blocking(slowly).await {
                config = rendered;
            }
        }
        match config {
            Ok(config) => {
                let detail = format!("{}/{}", folder.name(), config.file);
                serve(raw_text::to_bytes(config.text), detail)
                    .group(config.group, config.selectors)
                    .file(config.file)
            }
            Err(refusal) => Answer::refused(&refusal),
        }
    }

    /// Returns the machine's boot settings as a script.
    pub(super) fn boot_script(
        &self,
        query: Option<String>,
        render: impl FnOnce(&BootSettings, &Labels, Layout) -> String,
    ) -> Answer {
        let labels = Labels::from_query(&query.unwrap_or_default());
        let snapshot = self.catalog.current();
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use crate::net::http::testing::get_of;

    /// On one thread, as a connection has it: what is rendered there would be ready before anything else.
    #[tokio::test]
    async fn a_template_that_takes_long_keeps_no_other_request_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let profile = r#"{"id": "p", "generic_id": "slow"}"#;
        write("profiles/p.json", profile);
        let list = vec!["1"; 300].join(",");
        let group = format!(r#"{{"id": "g", "profile": "p", "metadata": {{"l": [{list}]}}}}"#);
        write("groups/g.json", &group);
        write(
            "generic/slow",
            "{{range .l}}{{range $.l}}{{end}}{{end}}done",
        );
        let order = Mutex::new(Vec::new());
        let answered = |path: &'static str| {
            let (order, data) = (&order, dir.path());
            async move {
                let answer = get_of(data, path).await;
                order.lock().unwrap().push((path, answer.status));
                answer.body
            }
        };
        let (slow, _) = tokio::join!(answered("/generic"), answered("/metadata"));
        assert_eq!(slow, "done");
        let order = order.into_inner().unwrap();
        assert_eq!(order, [("/metadata", 200), ("/generic", 200)]);
    }
}
