//! `/grub?labels`: the menu by which GRUB boots this machine.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use boot_server_proto::grub;

use super::App;
use super::answer::Answer;

/// Renders the boot settings of the machine's profile.
pub(crate) async fn handle(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    app.boot_script(query, |boot, _, _| {
        grub::render(&boot.kernel, &boot.initrd, &boot.options)
    })
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::{get, get_matchbox};

    #[tokio::test]
    async fn both_layouts_have_menus() {
        let answer = get_matchbox("/grub?serial=S1").await;
        assert!(
            answer.body.contains("linuxefi \"http://other/k\"\n"),
            "{}",
            answer.body
        );
        let answer = get("/grub?mac=52-54-00-89-D8-10").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with("default=0\n"), "{}", answer.body);
    }
}
