//! `/ipxe?labels`: the script that boots this machine.

use std::sync::Arc;

use axum::extract::{RawQuery, State};

use super::App;
use super::answer::Answer;

/// Renders the boot settings of the machine's profile.
pub(crate) async fn handle(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    app.boot_script(query, |boot, labels, layout| {
        layout.ipxe_script(boot, labels)
    })
}

#[cfg(test)]
mod tests {
    use boot_server_events::BootEvent;
    use boot_server_proto::mac::MacAddr;

    use crate::net::http::testing::get;

    #[tokio::test]
    async fn the_event_names_machine_group_and_spec() {
        let answer = get("/ipxe?mac=52-54-00-89-D8-10&uuid=ABC").await;
        assert_eq!(answer.status, 200);
        let BootEvent::HttpRequest {
            who,
            group,
            detail,
            bytes,
            ..
        } = answer.event
        else {
            panic!("another event")
        };
        let mac = MacAddr([0x52, 0x54, 0, 0x89, 0xd8, 0x10]);
        assert_eq!(who.mac, Some(mac.into()));
        assert_eq!(group.as_deref(), Some("by-mac"));
        assert_eq!(detail.text(), "spec etcd");
        assert_eq!(bytes, answer.body.len() as u64);
    }

    #[tokio::test]
    async fn a_missing_spec_is_told_by_name() {
        let answer = get("/ipxe?uuid=dangling").await;
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.body,
            "404 page not found\ngroup `dangling`: spec `missing`: file not found: \
             `specs/missing/spec.json`\n"
        );
    }
}
