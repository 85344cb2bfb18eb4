//! Contents → data URLs.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::go::dataurl::escape;
use crate::go::deflate;

/// Contents in a data URL.
pub(super) struct Encoded {
    pub(super) url: String,
    /// Compression to name; none if the config names it already.
    pub(super) compression: Option<&'static str>,
}

/// Encodes contents in the shortest way: escaped, as base64, or compressed.
///
/// Contents whose compression the config names are compressed already.
pub(super) fn encode(contents: &[u8], compression: &str, may_compress: bool) -> Encoded {
    let mut opaque = format!(",{}", escape(contents));
    let base64 = format!(";base64,{}", STANDARD.encode(contents));
    if base64.len() < opaque.len() {
        opaque = base64;
    }
    if !compression.is_empty() {
        return Encoded {
            url: format!("data:{opaque}"),
            compression: None,
        };
    }
    let mut named = "";
    if may_compress {
        let length = ";base64,".len() + deflate::gzip_length(contents).div_ceil(3) * 4;
        if length + "gzip".len() < opaque.len()
            && let Some(packed) = gzip(contents)
        {
            opaque = format!(";base64,{}", STANDARD.encode(packed));
            named = "gzip";
        }
    }
    Encoded {
        url: format!("data:{opaque}"),
        compression: Some(named),
    }
}

fn gzip(contents: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(contents).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_encoding_is_chosen() {
        assert_eq!(encode(b"a b", "", true).url, "data:,a%20b");
        assert_eq!(
            encode(b"\xff\xfe\xfd\xff\xfe\xfd", "", true).url,
            "data:;base64,//79//79"
        );
        let long = "tide ".repeat(100);
        let packed = encode(long.as_bytes(), "", true);
        assert_eq!(packed.compression, Some("gzip"));
        assert!(packed.url.starts_with("data:;base64,H4sI"));
        assert_eq!(encode(long.as_bytes(), "", false).compression, Some(""));
        assert_eq!(encode(long.as_bytes(), "gzip", true).compression, None);
    }
}
