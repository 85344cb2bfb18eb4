//! `/boot.ipxe` and `/boot.ipxe.0` (a name that PXELINUX chainloads): the first iPXE script.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use boot_server_proto::ipxe::boot_script;

use super::App;
use super::answer::{Answer, TEXT};

/// Returns the same script for every machine; it comes back with the machine's attributes, and with the query
/// that this script is asked with.
pub(crate) async fn handle(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    let dialect = app.catalog.snapshot().layout.dialect();
    let script = boot_script(&query.unwrap_or_default(), dialect);
    Answer::rendered(TEXT, script, "boot.ipxe")
}

#[cfg(test)]
mod tests {
    use crate::net::http::testing::get;

    #[tokio::test]
    async fn both_names_give_the_script_that_comes_back() {
        for path in ["/boot.ipxe", "/boot.ipxe.0"] {
            let answer = get(path).await;
            assert_eq!(answer.status, 200);
            let start = "#!ipxe\nchain ipxe?uuid=${uuid}&mac=";
            assert!(answer.body.starts_with(start), "{}", answer.body);
            assert!(answer.body.ends_with("&serial=${serial}\n"));
        }
        let efi = get("/boot.ipxe?platform=efi").await;
        assert!(efi.body.ends_with("&platform=efi\n"), "{}", efi.body);
    }
}
