//! `/` and every unknown path: 404, and the list of endpoints.

use std::sync::Arc;

use axum::extract::State;

use super::App;
use super::answer::{Answer, TEXT};
use crate::catalog::snapshot::Layout;

/// `/`: bootcfg 0.2.0 had no page here, so it stays a 404; its text helps a person on.
/// matchbox says its name.
pub(crate) async fn handle(State(app): State<Arc<App>>) -> Answer {
    if app.catalog.snapshot().layout == Layout::Matchbox {
        return Answer::rendered(TEXT, "matchbox\n", "name");
    }
    Answer::not_found(
        "this is a boot config service; endpoints: /boot.ipxe /ipxe /grub /cloud /ignition \
         /generic /metadata /spec/ID /pixiecore/v1/boot/MAC /assets/ /explain",
    )
}

/// Any other path.
pub(crate) async fn no_endpoint() -> Answer {
    Answer::not_found("unknown endpoint")
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get;

    #[tokio::test]
    async fn the_root_lists_the_endpoints() {
        let answer = get("/").await;
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("/boot.ipxe"), "{}", answer.body);
    }
}
