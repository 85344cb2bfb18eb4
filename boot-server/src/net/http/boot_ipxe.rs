//! `/boot.ipxe` and `/boot.ipxe.0` (a name that PXELINUX chainloads): the first iPXE script.

use super::answer::{Answer, TEXT};
use crate::proto::ipxe::BOOT_SCRIPT;

/// The same script for every machine; it comes back with the machine's attributes.
pub(crate) async fn handle() -> Answer {
    Answer::ok(TEXT, BOOT_SCRIPT, "boot.ipxe")
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
        }
    }
}
