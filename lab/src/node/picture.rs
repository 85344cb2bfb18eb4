//! A picture of a machine's display: where the serial console is silent, firmware may have said why there.

use std::fs;
use std::path::Path;

use super::life::Witness;
use crate::evidence::Seen;
use crate::hypervisor::Hypervisor;

/// Keeps a picture of the domain's display among the node's artifacts.
pub(super) async fn keep_picture(
    name: &str,
    node: &str,
    artifacts: &Path,
    hypervisor: &Hypervisor,
    witness: &Witness,
) {
    // A machine that is gone has no display any more; that it is gone has been told.
    let picture = match hypervisor.screenshot(name).await {
        Ok(picture) => picture,
        Err(error) => return tracing::info!(%error, "no picture"),
    };
    let extension = if picture.kind == "image/png" {
        "png"
    } else {
        "ppm"
    };
    let file = format!("screen.{extension}");
    match fs::write(artifacts.join(&file), picture.bytes) {
        Ok(()) => witness.saw(Seen::Screen {
            file: format!("nodes/{node}/{file}"),
        }),
        Err(error) => tracing::warn!(%error, file, "not kept"),
    }
}
