//! iPXE variables in boot settings, expanded by the server for boot loaders that cannot.

use std::net::Ipv4Addr;

use uuid::Uuid;

use boot_server_proto::mac::MacAddr;

/// Known identity of the machine that the text is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// UUID of the machine, if known.
    pub uuid: Option<Uuid>,
    /// MAC of the machine, if known.
    pub mac: Option<MacAddr>,
    /// Address of the machine, if known.
    pub address: Option<Ipv4Addr>,
    /// Host name, if known.
    pub hostname: Option<String>,
}

/// Reasons that a text could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A variable that is none of those a server can know.
    #[error("`${{{0}}}` cannot be expanded without iPXE")]
    Unsupported(String),
    /// The value is not known of this machine.
    #[error("unknown value of `${{{0}}}` for this machine")]
    Unknown(String),
    /// `${` without its `}`.
    #[error("unterminated variable: `{0}`")]
    Unterminated(String),
}

/// Replaces `${…}` by what iPXE would put there.
///
/// # Errors
/// [`ExpandError`]: better no answer than one with holes.
pub fn expand(text: &str, machine: &Machine) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let unterminated = || ExpandError::Unterminated(format!("${{{after}"));
        let (name, tail) = after.split_once('}').ok_or_else(unterminated)?;
        out.push_str(before);
        out.push_str(&value(name, machine)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(expression: &str, machine: &Machine) -> Result<String, ExpandError> {
    let (name, format) = match expression.split_once(':') {
        Some((name, format)) => (name, Some(format)),
        None => (expression, None),
    };
    let unsupported = || ExpandError::Unsupported(expression.to_owned());
    // `net0/` is the first network device, `netX/` the one that booted: for us the one that asks.
    let setting = name
        .strip_prefix("net0/")
        .or(name.strip_prefix("netX/"))
        .unwrap_or(name);
    let value = match (setting, format) {
        ("mac", None | Some("hex")) => machine.mac.map(|mac| mac.to_string()),
        ("mac", Some("hexhyp")) => machine.mac.map(|mac| mac.hyphenated()),
        ("mac", Some("hexraw")) => machine.mac.map(|mac| mac.to_string().replace(':', "")),
        ("uuid", None | Some("uuid")) => machine.uuid.map(|uuid| uuid.to_string()),
        ("ip", None | Some("ipv4")) => machine.address.map(|address| address.to_string()),
        // A host name has no character that `uristring` would change.
        ("hostname", None | Some("string" | "uristring")) => machine.hostname.clone(),
        _ => return Err(unsupported()),
    };
    value.ok_or_else(|| ExpandError::Unknown(expression.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            uuid: Some("16e7d8a7-bfa9-428b-9117-363341bb330b".parse().unwrap()),
            mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, 1])),
            address: Some(Ipv4Addr::new(10, 0, 0, 7)),
            hostname: None,
        }
    }

    #[test]
    fn the_guides_cloud_config_url_is_expanded() {
        let text = "http://x/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}&m=${mac}&ip=${net0/ip}";
        assert_eq!(
            expand(text, &machine()).unwrap(),
            "http://x/cloud?uuid=16e7d8a7-bfa9-428b-9117-363341bb330b&mac=52-54-00-00-00-01\
             &m=52:54:00:00:00:01&ip=10.0.0.7"
        );
        assert_eq!(
            expand("no variables, $5 {x}", &machine()).unwrap(),
            "no variables, $5 {x}"
        );
    }

    #[test]
    fn what_cannot_be_expanded_is_an_error_that_names_it() {
        for (text, error) in [
            ("a ${serial}", ExpandError::Unsupported("serial".into())),
            (
                "${mac:base64}",
                ExpandError::Unsupported("mac:base64".into()),
            ),
            ("${hostname}", ExpandError::Unknown("hostname".into())),
            ("x ${uuid", ExpandError::Unterminated("${uuid".into())),
        ] {
            assert_eq!(expand(text, &machine()), Err(error));
        }
    }
}
