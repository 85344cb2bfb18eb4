//! Go's `url.Parse`: which texts are URLs, and their scheme.

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// Scheme in lower case; empty for a relative reference.
    pub(crate) scheme: String,
    /// Text behind the scheme of a URL without slashes.
    pub(crate) opaque: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    query: &'a str,
    fragment: &'a str,
    has_authority: bool,
}

/// A text that is not a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

impl Url<'_> {
    /// Returns the first value of a parameter of the query; an empty one if it has no value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// Writes the URL as Go's `String` does: with a path whose characters are escaped.
impl std::fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            if self.has_authority {
                write!(f, "//{}", self.host)?;
            }
            f.write_str(&escaped(self.path))?;
        } else {
            f.write_str(self.opaque)?;
        }
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", escaped(self.fragment))?;
        }
        Ok(())
    }
}

/// Escapes what may not stand in a path; escapes that are there stay.
fn escaped(path: &str) -> String {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@/[]%".contains(&byte);
    let mut escaped = String::new();
    for byte in path.bytes() {
        if is_allowed(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Parses a URL.
pub(crate) fn parse(text: &str) -> Result<Url<'_>, Invalid> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) || !escapes_are_valid(fragment) {
        return Err(Invalid);
    }
    let (scheme, rest) = split_scheme(text)?;
    let scheme = scheme.to_ascii_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut url = Url {
        scheme,
        opaque: "",
        host: "",
        path: rest,
        query,
        fragment,
        has_authority: false,
    };
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest;
            url.path = "";
            return Ok(url);
        }
        if rest
            .split('/')
            .next()
            .is_some_and(|segment| segment.contains(':'))
        {
            return Err(Invalid);
        }
    }
    let has_authority = !url.scheme.is_empty() || !rest.starts_with("///");
    if has_authority && let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        url.host = host_of(authority)?;
        url.path = path;
        url.has_authority = true;
    }
    if escapes_are_valid(url.path) {
        Ok(url)
    } else {
        Err(Invalid)
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str), Invalid> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index > 0 => return Ok((&text[..index], &text[index + 1..])),
            b':' => return Err(Invalid),
            _ => break,
        }
    }
    Ok(("", text))
}

fn host_of(authority: &str) -> Result<&str, Invalid> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    let is_user = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(is_user) || !escapes_are_valid(user) {
        return Err(Invalid);
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(address) => match address.rfind(']') {
            Some(end) => (&address[..end], &address[end + 1..]),
            None => return Err(Invalid),
        },
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if !is_port || !host_chars_are_valid(name) {
        return Err(Invalid);
    }
    Ok(host)
}

fn host_chars_are_valid(host: &str) -> bool {
    let is_host = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    // An escape stands for a byte that is not ASCII, or for the % before an address's zone.
    let escapes = host.match_indices('%').all(|(at, _)| {
        host.get(at + 1..at + 3).is_some_and(|hex| {
            u8::from_str_radix(hex, 16).is_ok_and(|byte| byte >= 0x80 || byte == b'%')
        })
    });
    escapes && host.chars().all(is_host)
}

fn escapes_are_valid(text: &str) -> bool {
    text.match_indices('%').all(|(at, _)| {
        let hex = text.as_bytes().get(at + 1..at + 3);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_go_does_not_parse_is_invalid() {
        for text in [
            "://x",
            "http://[::1",
            "http://[::1]a",
            "http://h:port/",
            "http://a b/",
            "a:b%",
            "/%zz",
            "1:b",
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.is_err(), text != "a:b%", "{text}: {parsed:?}");
        }
    }

    #[test]
    fn scheme_host_and_path_are_split() {
        let url = parse("HTTP://u@h:80/p?versionId=#f").expect("valid");
        assert_eq!(
            (url.scheme.as_str(), url.host, url.path),
            ("http", "h:80", "/p")
        );
        assert_eq!(url.parameter("versionId"), Some(""));
        assert_eq!(parse("arn:aws:s3").expect("valid").opaque, "aws:s3");
        assert_eq!(parse("a/b").expect("valid").scheme, "");
    }
}
