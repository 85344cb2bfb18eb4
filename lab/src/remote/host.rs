//! Parser of libvirt URIs of hosts reached over SSH (<https://libvirt.org/uri.html#ssh-transport>).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

/// Host reached over SSH, and its libvirt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Name or address, as passed to `ssh`.
    pub name: String,
    /// User name; default of `ssh` if `None`.
    pub user: Option<String>,
    /// SSH port; default of `ssh` if `None`.
    pub port: Option<u16>,
    /// Private key file.
    pub keyfile: Option<PathBuf>,
    /// True to accept any host key.
    pub no_verify: bool,
    /// True to never prompt for a password.
    pub no_tty: bool,
    /// URI of the host's libvirt, as seen from that host.
    pub libvirt: String,
}

/// Mistakes in the URI of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHostUri {
    /// The text is not a URI.
    #[error("{0}; example: `qemu+ssh://root@host/system`")]
    Url(#[from] url::ParseError),
    /// The URI names no host.
    #[error("missing host name; example: `qemu+ssh://root@host/system`")]
    NoHost,
    /// The URI has a password.
    #[error("unsupported: password in the URI; `ssh` prompts for it")]
    Password,
    /// The URI names a user's own libvirt.
    #[error("unsupported: a session libvirt has no networks; use `/system`")]
    Session,
    /// The URI names no libvirt.
    #[error("unsupported path: `{0}`; example: `qemu+ssh://root@host/system`")]
    Path(String),
    /// A parameter that libvirt or this program does not know.
    #[error("unknown parameter: `{0}` (known: `keyfile`, `no_verify`, `no_tty` and `socket`)")]
    Parameter(String),
}

impl Host {
    /// Parses the URI; returns `None` for a libvirt of this host.
    ///
    /// # Errors
    /// [`InvalidHostUri`].
    pub fn of(uri: &str) -> Result<Option<Host>, InvalidHostUri> {
        if !uri.starts_with("qemu+ssh:") {
            return Ok(None);
        }
        let url = Url::parse(uri)?;
        let name = url.host_str().filter(|name| !name.is_empty());
        let name = name.ok_or(InvalidHostUri::NoHost)?;
        if url.password().is_some() {
            return Err(InvalidHostUri::Password);
        }
        match url.path() {
            "/system" => {}
            "/session" => return Err(InvalidHostUri::Session),
            other => return Err(InvalidHostUri::Path(other.to_owned())),
        }
        let mut host = Host {
            name: name.trim_matches(['[', ']']).to_owned(),
            user: (!url.username().is_empty()).then(|| url.username().to_owned()),
            port: url.port(),
            keyfile: None,
            no_verify: false,
            no_tty: false,
            libvirt: "qemu:///system".into(),
        };
        for (key, value) in url.query_pairs() {
            match &*key {
                "keyfile" => host.keyfile = Some(PathBuf::from(&*value)),
                "no_verify" => host.no_verify = value == "1",
                "no_tty" => host.no_tty = value == "1",
                "socket" => host.libvirt = format!("qemu+unix:///system?socket={value}"),
                other => return Err(InvalidHostUri::Parameter(other.to_owned())),
            }
        }
        Ok(Some(host))
    }

    /// Returns the destination argument of `ssh`.
    #[must_use]
    pub fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns further options of `ssh`.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(port) = self.port {
            options.extend(["-p".into(), port.to_string()]);
        }
        if let Some(keyfile) = &self.keyfile {
            options.extend(["-i".into(), keyfile.display().to_string()]);
        }
        let mut set = |option: &str| options.extend(["-o".into(), option.into()]);
        if self.no_verify {
            set("StrictHostKeyChecking=no");
        }
        if self.no_tty {
            set("BatchMode=yes");
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(uri: &str) -> Host {
        Host::of(uri).unwrap().unwrap()
    }

    #[test]
    fn a_uri_says_what_ssh_has_to_know() {
        let plain = host("qemu+ssh://host.example/system");
        assert_eq!(plain.destination(), "host.example");
        assert_eq!(plain.options(), Vec::<String>::new());
        assert_eq!(plain.libvirt, "qemu:///system");
        let full = host("qemu+ssh://root@[fd00::1]:2222/system?keyfile=/k&no_verify=1&no_tty=1");
        assert_eq!(full.destination(), "root@fd00::1");
        let options = full.options().join(" ");
        assert_eq!(
            options,
            "-p 2222 -i /k -o StrictHostKeyChecking=no -o BatchMode=yes"
        );
        let socket = host("qemu+ssh://host/system?socket=/run/x");
        assert_eq!(socket.libvirt, "qemu+unix:///system?socket=/run/x");
    }

    #[test]
    fn what_is_of_this_host_goes_nowhere() {
        for here in [
            "qemu:///system",
            "qemu+unix:///system",
            "test:///default",
            "x",
        ] {
            assert_eq!(Host::of(here), Ok(None), "{here}");
        }
    }

    #[test]
    fn what_can_not_be_meant_is_told() {
        let why = |uri: &str| Host::of(uri).unwrap_err();
        let path = InvalidHostUri::Path(String::new());
        assert_eq!(why("qemu+ssh:///system"), InvalidHostUri::NoHost);
        assert_eq!(why("qemu+ssh://host/session"), InvalidHostUri::Session);
        assert_eq!(why("qemu+ssh://host"), path);
        assert_eq!(
            path.to_string(),
            "unsupported path: ``; example: `qemu+ssh://root@host/system`"
        );
        let password = why("qemu+ssh://me:secret@host/system");
        assert_eq!(password, InvalidHostUri::Password);
        let unknown = why("qemu+ssh://host/system?command=/x");
        assert_eq!(unknown, InvalidHostUri::Parameter("command".into()));
        let port = InvalidHostUri::Url(url::ParseError::InvalidPort);
        assert_eq!(why("qemu+ssh://host:port/system"), port);
    }

    #[test]
    fn a_host_is_never_an_option() {
        // `ssh` is told where its options end, too.
        let odd = Host::of("qemu+ssh://-oProxyCommand=x/system");
        assert!(odd.is_err() || odd.unwrap().unwrap().name.starts_with('-'));
    }
}
