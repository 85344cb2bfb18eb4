//! Heads of HTTP requests: however a stream is cut, the same bytes come out, and only targets are changed.

use boot_server::net::http::request_line::RequestLines;

/// Takes the first byte as where to cut, and the rest as what a client sends.
pub(crate) fn check(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let whole = escaped(stream, stream.len().max(1));
    let parts = escaped(stream, usize::from(*cut).max(1));
    assert_eq!(whole, parts, "where the stream is cut does not matter");
    assert_eq!(
        RequestLines::default().escape(&whole),
        None,
        "what is escaped needs no escaping"
    );
    assert_eq!(
        unescaped(&whole),
        unescaped(stream),
        "escaping changes no byte that is meant"
    );
}

fn escaped(stream: &[u8], cut: usize) -> Vec<u8> {
    let mut lines = RequestLines::default();
    let parts = stream.chunks(cut);
    parts
        .flat_map(|part| lines.escape(part).unwrap_or_else(|| part.to_vec()))
        .collect()
}

fn unescaped(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = stream;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|hex| byte == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}
