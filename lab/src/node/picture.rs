//! Screenshot of a machine's display: if the serial console is silent, firmware may have printed its reason
//! there.

use std::fs;
use std::io;
use std::path::Path;

use lab_model::evidence::Observation;
use thiserror::Error;

use super::context::NodeRecorder;
use crate::hypervisor::{Hypervisor, Picture};

/// File name of a screenshot among a node's artifacts.
const FILE: &str = "screen.png";

/// Reason why a screenshot cannot be saved.
#[derive(Debug, Error)]
pub enum PictureError {
    /// The format is unknown or the image is damaged.
    #[error("libvirt handed out a picture of type {0} that cannot be read")]
    Unknown(String),
    /// The image cannot be written as PNG.
    #[error("a picture cannot be written as PNG: {0}")]
    Png(#[from] png::EncodingError),
}

/// Saves a screenshot of the domain's display among the node's artifacts.
pub(super) async fn keep_picture(
    name: &str,
    node: &str,
    artifacts: &Path,
    hypervisor: &Hypervisor,
    recorder: &NodeRecorder,
) {
    // A machine that has ended has no display; its end was already recorded.
    let picture = match hypervisor.screenshot(name).await {
        Ok(picture) => picture,
        Err(error) => return tracing::info!(%error, "no picture"),
    };
    let kept = as_png(picture)
        .map_err(io::Error::other)
        .and_then(|png| fs::write(artifacts.join(FILE), png));
    match kept {
        Ok(()) => recorder.saw(Observation::Screen {
            file: format!("nodes/{node}/{FILE}"),
        }),
        Err(error) => tracing::warn!(%error, FILE, "not kept"),
    }
}

/// Converts the screenshot to PNG: libvirt before 9.10 returns QEMU's own format.
///
/// # Errors
/// [`PictureError`] if the format is neither PNG nor PPM.
pub fn as_png(picture: Picture) -> Result<Vec<u8>, PictureError> {
    if picture.kind == "image/png" {
        return Ok(picture.bytes);
    }
    let (width, height, pixels) =
        read_ppm(&picture.bytes).ok_or(PictureError::Unknown(picture.kind))?;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(png)
}

/// Returns width, height and pixels of an image in Netpbm's format P6 with 8 bits per colour (ppm(5)), as QEMU
/// writes it: without comments.
fn read_ppm(bytes: &[u8]) -> Option<(u32, u32, &[u8])> {
    let mut rest = bytes.strip_prefix(b"P6")?;
    let mut numbers = [0; 3];
    for number in &mut numbers {
        rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, after) = rest.split_at_checked(digits)?;
        *number = std::str::from_utf8(text).ok()?.parse().ok()?;
        rest = after;
    }
    let [width, height, 255] = numbers else {
        return None;
    };
    let pixels = rest.get(1..)?;
    let length = u64::from(width) * u64::from(height) * 3;
    (u64::try_from(pixels.len()) == Ok(length)).then_some((width, height, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ppm(bytes: &[u8]) -> Picture {
        Picture {
            kind: "image/x-portable-pixmap".into(),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn qemus_own_format_becomes_png_pixel_by_pixel() {
        let png = as_png(ppm(b"P6\n2 1\n255\n\x01\x02\x03\xfe\xff\x00")).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let shape = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((shape.width, shape.height), (2, 1));
        assert_eq!(pixels, b"\x01\x02\x03\xfe\xff\x00");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [
            &b"P6\n2 1\n255\nshort"[..],
            b"P5\n1 1\n255\n\0",
            b"",
            b"P6\n1 1\n65535\n\0\0\0",
        ] {
            assert!(matches!(as_png(ppm(bytes)), Err(PictureError::Unknown(_))));
        }
    }
}
