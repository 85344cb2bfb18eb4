//! Location of a site's boot config service, derived from its own configs, and the files that its machines load
//! from it. Pure.
//!
//! Kernel options carry the address of the service (`cloud-config-url=http://192.168.95.1:8080/cloud?…`), so a
//! copy of the site has to have that address, or answer to that name.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::plan::{Booted, MachinePlan};

/// Paths of the boot config service, and the folder of assets below it.
const ENDPOINTS: [&str; 3] = ["/cloud", "/ignition", "/generic"];
const ASSETS: &str = "/assets/";

/// Port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// Location of the boot config service as machines see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Address, where a config has a numeric one.
    pub address: Option<Ipv4Addr>,
    /// Port, where a config has one.
    pub port: Option<u16>,
    /// Names by which configs call it.
    pub names: Vec<String>,
}

/// Reasons that a machine, or the whole site, cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// Two addresses or ports for one service.
    #[error(
        "conflict: configs name two boot config services, {one} ({of_one}) and {other} ({of_other}); choose the machines of one service with --only"
    )]
    Two {
        /// Authority of a URL.
        one: String,
        /// A machine that has it.
        of_one: String,
        /// Authority of the other URL.
        other: String,
        /// A machine that has that.
        of_other: String,
    },
    /// TLS, for which the copy has no certificate.
    #[error(
        "unsupported: {url} of {machine} is HTTPS (a copy of the site has no certificate for it)"
    )]
    Https {
        /// URL of the file.
        url: String,
        /// Name of the machine.
        machine: String,
    },
}

/// A URL's parts, as far as they matter here.
struct Url<'a> {
    is_tls: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

/// Parses a text as a URL; none for paths and for hosts known only on the network.
fn url(text: &str) -> Option<Url<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let is_tls = scheme.eq_ignore_ascii_case("https");
    let is_web = is_tls || scheme.eq_ignore_ascii_case("http");
    let authority_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_ends);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, HTTP_PORT),
    };
    (is_web && !host.is_empty() && !host.contains("${")).then_some(Url {
        is_tls,
        host,
        port,
        path,
    })
}

/// True if a path belongs to the service itself.
fn is_of_service(path: &str) -> bool {
    ENDPOINTS.contains(&path) || path.starts_with(ASSETS)
}

/// Returns the URLs of the service in a machine's boot settings.
fn urls(booted: &Booted) -> impl Iterator<Item = &str> {
    let options = booted.command_line.split_whitespace();
    let values = options.filter_map(|option| Some(option.split_once('=')?.1));
    let files = std::iter::once(&booted.kernel).chain(&booted.initrd);
    let files = files.filter_map(|file| file.split_whitespace().last());
    values
        .map(|value| value.trim_matches('"'))
        .chain(files)
        .filter(|text| url(text).is_some_and(|url| is_of_service(url.path)))
        .chain(booted.seed.iter().map(|seed| seed.url.as_str()))
}

/// Finds out where the service of these machines is.
///
/// # Errors
/// [`SiteError`] when they don't agree, or name one that can't be copied.
pub fn of<'a>(machines: impl Iterator<Item = &'a MachinePlan>) -> Result<Site, SiteError> {
    let mut site = Site::default();
    let mut names = BTreeSet::new();
    // Who said first where it is.
    let mut address: Option<(Ipv4Addr, &str)> = None;
    let mut port: Option<(u16, &str)> = None;
    for machine in machines {
        let Ok(booted) = &machine.outcome else {
            continue;
        };
        for text in urls(booted) {
            let Some(url) = url(text) else { continue };
            if url.is_tls {
                return Err(SiteError::Https {
                    url: text.to_owned(),
                    machine: machine.name.clone(),
                });
            }
            let two = |one: String, of_one: &str, other: String| SiteError::Two {
                one,
                of_one: of_one.to_owned(),
                other,
                of_other: machine.name.clone(),
            };
            match (url.host.parse::<Ipv4Addr>(), address) {
                (Ok(found), Some((known, whose))) if found != known => {
                    return Err(two(known.to_string(), whose, found.to_string()));
                }
                (Ok(found), _) => {
                    address.get_or_insert((found, &machine.name));
                }
                (Err(_), _) => {
                    names.insert(url.host.to_owned());
                }
            }
            match port {
                Some((known, whose)) if known != url.port => {
                    let (one, other) = (format!("port {known}"), format!("port {}", url.port));
                    return Err(two(one, whose, other));
                }
                _ => {
                    port.get_or_insert((url.port, &machine.name));
                }
            }
        }
    }
    site.address = address.map(|(address, _)| address);
    site.port = port.map(|(port, _)| port);
    site.names = names.into_iter().collect();
    Ok(site)
}

/// File that the boot config service does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is no file below /assets/ of the boot config service, and other servers are not copied"
)]
pub struct NotAnAsset(String);

/// Returns the path below `/assets/` of a kernel or initrd as written in a spec, with iPXE's options before it;
/// the error states the reason that it has none.
///
/// # Errors
/// The file is not the boot config service's.
pub fn asset(file: &str) -> Result<String, NotAnAsset> {
    let file = file.split_whitespace().last().unwrap_or_default();
    let path = match url(file) {
        Some(url) => url.path.to_owned(),
        None if file.contains("://") => file
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|at| rest.get(at..).unwrap_or_default()))
            .unwrap_or_default()
            .to_owned(),
        // Relative to the script, which is at the top.
        None => format!("/{}", file.trim_start_matches('/')),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let below = path.strip_prefix(ASSETS).unwrap_or_default();
    let is_sound = !below.is_empty()
        && below
            .split('/')
            .all(|part| !["", ".", ".."].contains(&part));
    match is_sound {
        true => Ok(below.to_owned()),
        false => Err(NotAnAsset(file.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{Document, PlannedSeed};

    fn machine(name: &str, kernel: &str, command_line: &str) -> MachinePlan {
        MachinePlan {
            name: name.into(),
            request: "/ipxe".into(),
            outcome: Ok(Booted {
                group: "g".into(),
                by: String::new(),
                why: String::new(),
                profile: "p".into(),
                kernel: kernel.into(),
                initrd: Vec::new(),
                command_line: command_line.into(),
                script: Document {
                    request: "/ipxe".into(),
                    file: None,
                    text: Arc::from(""),
                },
                configs: Vec::new(),
                seed: None,
            }),
            unmet: Vec::new(),
        }
    }

    fn site(machines: &[MachinePlan]) -> Result<Site, String> {
        of(machines.iter()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_site_is_where_its_configs_say() {
        let found = site(&[
            machine(
                "a",
                "/assets/k",
                "quiet cloud-config-url=http://10.0.0.7:8080/cloud?x=http://9.9.9.9/cloud",
            ),
            machine(
                "b",
                "--name k http://boot.example.com:8080/assets/k",
                "other=http://1.2.3.4:1/elsewhere coreos.config.url=\"http://10.0.0.7:8080/ignition?a=b\"",
            ),
            machine(
                "c",
                "/assets/k",
                "cloud-config-url=http://${next-server}:1/cloud",
            ),
        ]);
        assert_eq!(
            found,
            Ok(Site {
                address: Some(Ipv4Addr::new(10, 0, 0, 7)),
                port: Some(8080),
                names: vec!["boot.example.com".into()],
            })
        );
        assert_eq!(site(&[machine("a", "/assets/k", "")]), Ok(Site::default()));
    }

    #[test]
    fn a_site_is_where_its_seeds_are() {
        let mut seeded = machine("a", "/assets/k", "");
        seeded.outcome.as_mut().unwrap().seed = Some(PlannedSeed {
            option: String::new(),
            url: "http://10.0.0.7:8080/nocloud/uuid=1/".into(),
            files: Vec::new(),
        });
        let found = site(&[seeded]).unwrap();
        assert_eq!(found.address, Some(Ipv4Addr::new(10, 0, 0, 7)));
        assert_eq!(found.port, Some(8080));
    }

    #[test]
    fn two_services_and_tls_cannot_be_copied() {
        let one = machine("a", "/assets/k", "u=http://10.0.0.7:8080/cloud");
        let address = machine("b", "/assets/k", "u=http://10.0.0.8:8080/cloud");
        let port = machine("b", "/assets/k", "u=http://10.0.0.7/cloud");
        let tls = machine("b", "https://10.0.0.7:8080/assets/k", "");
        let said = site(&[one.clone(), address]).unwrap_err();
        assert!(said.contains("10.0.0.7 (a) and 10.0.0.8 (b)"), "{said}");
        let said = site(&[one.clone(), port]).unwrap_err();
        assert!(said.contains("port 8080 (a) and port 80 (b)"), "{said}");
        let said = site(&[one, tls]).unwrap_err();
        assert!(
            said.contains("https://10.0.0.7:8080/assets/k of b"),
            "{said}"
        );
    }

    #[test]
    fn an_asset_is_found_however_its_spec_names_it() {
        for file in [
            "/assets/coreos/1/k",
            "assets/coreos/1/k",
            "--name main http://h:1/assets/coreos/1/k?x#y",
            "http://${next-server}:8080/assets/coreos/1/k",
        ] {
            assert_eq!(asset(file).as_deref(), Ok("coreos/1/k"), "{file}");
        }
        for file in ["http://mirror/k", "/k", "/assets/../k", "", "tftp://h/k"] {
            let named = file.split_whitespace().last().unwrap_or_default();
            assert_eq!(asset(file), Err(NotAnAsset(named.to_owned())));
        }
    }
}
