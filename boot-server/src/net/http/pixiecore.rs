//! `/pixiecore/v1/boot/<mac>`: the server side of Pixiecore's API.
//!
//! The kernel options stay an object, as bootcfg 0.2.0 sends them: Pixiecore of that time wants
//! nothing else, and our own Pixiecore mode takes it too.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use boot_server_events::Identifier;
use serde::Serialize;

use super::App;
use super::answer::Answer;
use crate::catalog::labels::normal_mac;
use crate::catalog::profile::Profile;
use crate::catalog::snapshot::Layout;
use crate::catalog::{Labels, go_json};

/// Returns the boot settings of the machine with this MAC, as JSON.
pub(crate) async fn handle(State(app): State<Arc<App>>, Path(path): Path<String>) -> Answer {
    // Like the reference, ignores everything before the last slash.
    let text = path.rsplit('/').find(|part| !part.is_empty());
    answer(&app, text.unwrap_or("boot"))
}

/// Returns the path without a MAC; the reference takes the folder's name for one.
pub(crate) async fn handle_no_mac(State(app): State<Arc<App>>) -> Answer {
    answer(&app, "boot")
}

fn answer(app: &App, text: &str) -> Answer {
    let Some(mac) = normal_mac(text) else {
        let line = format!("address {text}: invalid MAC address");
        return Answer::error(StatusCode::BAD_REQUEST, &line, None, &line);
    };
    let snapshot = app.catalog.snapshot();
    let answer = match snapshot.bootable(&Labels::from_mac(&mac)) {
        Ok((group, profile)) => match boot_json(snapshot.layout, profile) {
            Ok(json) => {
                let detail = format!("{} {}", snapshot.layout.profile_word(), group.profile_id);
                Answer::rendered("application/json", json, detail)
                    .group(group.name.to_string(), group.require.keys())
            }
            Err(error) => Answer::not_found(&error.to_string()),
        },
        Err(refusal) => Answer::refused(&refusal),
    };
    answer.mac(Identifier::parse(&mac))
}

/// Renders a profile for Pixiecore. matchbox 0.6 sent its `args`, which no Pixiecore reads: the kernel got no
/// command line. So they come as `cmdline` text too.
fn boot_json(layout: Layout, profile: &Profile) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Boot<'a> {
        kernel: &'a str,
        initrd: &'a [String],
        cmdline: String,
        args: &'a [String],
    }
    match (layout, &profile.settings) {
        (Layout::Matchbox, Some(boot)) => go_json::to_string(&Boot {
            kernel: &boot.kernel,
            initrd: &boot.initrd,
            cmdline: boot.options.join(" "),
            args: &boot.options,
        }),
        _ => go_json::to_string(&profile.boot),
    }
}

#[cfg(test)]
mod tests {
    use boot_server_events::BootEvent;
    use boot_server_proto::mac::MacAddr;

    use crate::net::http::testing::get;

    #[tokio::test]
    async fn the_event_names_the_machine_that_is_asked_about() {
        let answer = get("/pixiecore/v1/boot/52-54-00-89-D8-10").await;
        assert_eq!(answer.status, 200);
        let BootEvent::HttpRequest { who, group, .. } = answer.event else {
            panic!("another event")
        };
        let mac = MacAddr([0x52, 0x54, 0, 0x89, 0xd8, 0x10]);
        assert_eq!(who.mac, Some(mac.into()));
        assert_eq!(group.as_deref(), Some("by-mac"));
    }
}
