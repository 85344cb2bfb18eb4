//! Flags of the server, and their effect on the configuration.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use ipnet::Ipv4Net;

use crate::config::{
    Config, DhcpConfig, HttpConfig, LogFormat, LogLevel, MetricsConfig, ProxyDhcpConfig, RpcConfig,
};

/// Settings that replace or override the configuration file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Settings {
    /// The configuration file (TOML); a name ending in .yaml is bootcfg's groups file instead.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Network interface that serves DHCP, proxyDHCP and TFTP.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// The server's IPv4 address on that interface, if the interface has several.
    #[arg(long, value_name = "IP")]
    interface_address: Option<Ipv4Addr>,
    /// Address and port of the HTTP boot config service [default: 127.0.0.1:8080].
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The boot config data directory; enables the HTTP service.
    #[arg(long, value_name = "DIR")]
    data_path: Option<PathBuf>,
    /// The folder served as /assets/; an empty value serves no folder.
    #[arg(long, value_name = "DIR", value_parser = maybe_empty())]
    assets_path: Option<PathBuf>,
    /// The folder served as /images/, and as /assets/ unless --assets-path is given (bootcfg 0.1's flag).
    #[arg(long, value_name = "DIR", value_parser = maybe_empty())]
    images_path: Option<PathBuf>,
    /// Serve HTTPS instead of HTTP.
    #[arg(long)]
    web_ssl: bool,
    /// PEM file with the certificate chain for --web-ssl.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    web_cert_file: Option<PathBuf>,
    /// PEM file with the private key for --web-ssl.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    web_key_file: Option<PathBuf>,
    /// Key ring for signing responses (`.sig`, `.asc`); set its passphrase in BOOT_SERVER_PASSPHRASE.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    key_ring_path: Option<PathBuf>,
    /// Address range to lease by DHCP, e.g. 172.17.0.43-172.17.0.99/24.
    #[arg(long, value_name = "FIRST-LAST/PREFIX")]
    dhcp_range: Option<DhcpRange>,
    /// Default router for clients of --dhcp-range.
    #[arg(long, value_name = "IP")]
    dhcp_router: Option<Ipv4Addr>,
    /// File that stores leases across restarts.
    #[arg(long, value_name = "FILE")]
    lease_file: Option<PathBuf>,
    /// Send boot options by proxyDHCP, beside another DHCP server.
    #[arg(long)]
    proxy_dhcp: bool,
    /// Folder to serve by TFTP; enables TFTP, as --dhcp-range and --proxy-dhcp do.
    #[arg(long, value_name = "DIR")]
    tftp_root: Option<PathBuf>,
    /// iPXE script to boot instead of the server's own /boot.ipxe.
    #[arg(long, value_name = "URL")]
    script_url: Option<String>,
    /// Append events as JSON lines to a file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Address and port of a separate listener for /metrics and /healthz.
    #[arg(long, value_name = "HOST:PORT")]
    metrics_address: Option<SocketAddr>,
    /// User to switch to when started as root; keeps only CAP_NET_BIND_SERVICE and CAP_NET_RAW.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Log level for standard error.
    #[arg(long, value_name = "LEVEL", value_enum, ignore_case = true)]
    log_level: Option<LogLevel>,
    /// Log format: one readable line per boot step, or JSON.
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    #[command(flatten)]
    rpc: RpcSettings,
}

/// Flags of matchbox's gRPC API. Without an address the others have no effect, as in matchbox.
#[derive(Debug, Default, Args)]
struct RpcSettings {
    /// Address and port of the gRPC API; enables it.
    #[arg(long, value_name = "HOST:PORT")]
    rpc_address: Option<String>,
    /// PEM file with the authorities of gRPC clients' certificates [default: /etc/matchbox/ca.crt].
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    ca_file: Option<PathBuf>,
    /// PEM file with the gRPC API's certificate chain [default: /etc/matchbox/server.crt].
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    cert_file: Option<PathBuf>,
    /// PEM file with the gRPC API's private key [default: /etc/matchbox/server.key].
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    key_file: Option<PathBuf>,
}

/// Reasons that flags are not a configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    /// A flag of the DHCP server without its pool.
    #[error("{0} needs --dhcp-range, or [dhcp] in a configuration file")]
    NeedsDhcp(&'static str),
    #[error("--web-ssl needs --web-cert-file and --web-key-file")]
    NeedsCertificate,
    /// A flag of the HTTP service without its data directory.
    #[error("{0} configures the HTTP service, which also needs --data-path DIR")]
    NeedsData(&'static str),
    #[error("folder not found: {flag} {path}; create it, or write {flag}= to serve no folder")]
    FolderNotFound { flag: &'static str, path: PathBuf },
    #[error("{flag} {text}: {why}; write HOST:PORT, e.g. 0.0.0.0:8080")]
    Address {
        flag: &'static str,
        text: String,
        why: InvalidAddress,
    },
}

/// Mistakes in the address of a service.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidAddress {
    #[error("invalid port")]
    Port,
    #[error("missing port")]
    NoPort,
    #[error(transparent)]
    Lookup(#[from] io::Error),
    #[error("the name has no address")]
    NoAddress,
}

/// Text that is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write FIRST-LAST/PREFIX, e.g. 172.17.0.43-172.17.0.99/24")]
struct InvalidRange;

/// The addresses of a pool and its subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DhcpRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
    subnet: Ipv4Net,
}

impl std::str::FromStr for DhcpRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<DhcpRange, InvalidRange> {
        let (range, prefix) = text.split_once('/').ok_or(InvalidRange)?;
        let (first, last) = range.split_once('-').ok_or(InvalidRange)?;
        let first = first.trim().parse().map_err(|_| InvalidRange)?;
        let last = last.trim().parse().map_err(|_| InvalidRange)?;
        let prefix = prefix.parse().map_err(|_| InvalidRange)?;
        let subnet = Ipv4Net::new(first, prefix).map_err(|_| InvalidRange)?;
        let subnet = subnet.trunc();
        Ok(DhcpRange {
            first,
            last,
            subnet,
        })
    }
}

impl Settings {
    /// Only a configuration file.
    pub(super) fn of_file(path: &Path) -> Settings {
        Settings {
            config: Some(path.to_owned()),
            ..Settings::default()
        }
    }

    /// Returns the configuration file to read: none when `--config` names bootcfg's groups file.
    pub(super) fn config_file(&self) -> Option<&Path> {
        self.config.as_deref().filter(|path| !is_yaml(path))
    }

    /// Changes the configuration as the flags say.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub(super) fn apply(self, config: &mut Config) -> Result<(), SettingsError> {
        self.rpc.apply(config)?;
        let groups_file = self.config.filter(|path| is_yaml(path));
        set(&mut config.interface, self.interface);
        set(&mut config.address, self.interface_address);
        set(&mut config.events, self.events);
        set(&mut config.user, self.user);
        set(&mut config.boot.script_url, self.script_url);
        if let Some(listen) = self.metrics_address {
            config.metrics = Some(MetricsConfig { listen });
        }
        config.log.level = self.log_level.unwrap_or(config.log.level);
        config.log.format = self.log_format.unwrap_or(config.log.format);
        if let Some(range) = self.dhcp_range {
            let new = || DhcpConfig::new(range.subnet, range.first, range.last);
            let dhcp = config.dhcp.take().unwrap_or_else(new);
            config.dhcp = Some(DhcpConfig {
                subnet: range.subnet,
                first: range.first,
                last: range.last,
                ..dhcp
            });
        }
        for (flag, given) in [
            ("--dhcp-router", self.dhcp_router.is_some()),
            ("--lease-file", self.lease_file.is_some()),
        ] {
            if given && config.dhcp.is_none() {
                return Err(SettingsError::NeedsDhcp(flag));
            }
        }
        if let Some(dhcp) = &mut config.dhcp {
            set(&mut dhcp.router, self.dhcp_router);
            set(&mut dhcp.lease_file, self.lease_file);
        }
        if self.proxy_dhcp {
            config
                .proxy_dhcp
                .get_or_insert_with(ProxyDhcpConfig::default);
        }
        let boots = self.dhcp_range.is_some() || self.proxy_dhcp;
        if boots || self.tftp_root.is_some() {
            config
                .tftp
                .get_or_insert_default()
                .roots
                .extend(self.tftp_root);
        }
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        let pair = (
            self.web_cert_file.filter(named),
            self.web_key_file.filter(named),
        );
        let tls = match (self.web_ssl, pair.0, pair.1) {
            (true, Some(certificate), Some(key)) => Some((certificate, key)),
            (true, ..) => return Err(SettingsError::NeedsCertificate),
            (false, ..) => None,
        };
        let key_ring = self.key_ring_path.filter(named);
        let needs_http = [
            ("--data-path", self.data_path.is_some()),
            ("--address", self.address.is_some()),
            ("--assets-path", self.assets_path.is_some()),
            ("--images-path", self.images_path.is_some()),
            ("--config FILE.yaml", groups_file.is_some()),
            ("--web-ssl", tls.is_some()),
            ("--key-ring-path", key_ring.is_some()),
        ];
        let Some((flag, _)) = needs_http.iter().find(|(_, given)| *given) else {
            return Ok(());
        };
        let http = config.http.get_or_insert_with(HttpConfig::default);
        set_path(&mut http.data, self.data_path);
        if http.data.as_os_str().is_empty() {
            return Err(SettingsError::NeedsData(flag));
        }
        if let Some(address) = &self.address {
            http.listen = socket_address("--address", address)?;
        }
        if let Some(images) = self.images_path {
            http.images = folder("--images-path", images)?;
            http.assets = http.images.clone();
        }
        if let Some(assets) = self.assets_path {
            http.assets = folder("--assets-path", assets)?;
        }
        set(&mut http.key_ring, key_ring);
        set(&mut http.config, groups_file);
        if let Some((certificate, key)) = tls {
            (http.tls_certificate, http.tls_key) = (Some(certificate), Some(key));
        }
        Ok(())
    }
}

impl RpcSettings {
    fn apply(self, config: &mut Config) -> Result<(), SettingsError> {
        let given = self.rpc_address.filter(|address| !address.is_empty());
        if let Some(address) = given {
            let rpc = config.rpc.get_or_insert_with(RpcConfig::default);
            rpc.listen = socket_address("--rpc-address", &address)?;
        }
        let Some(rpc) = &mut config.rpc else {
            return Ok(());
        };
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        set_path(&mut rpc.client_ca, self.ca_file.filter(named));
        set_path(&mut rpc.tls_certificate, self.cert_file.filter(named));
        set_path(&mut rpc.tls_key, self.key_file.filter(named));
        Ok(())
    }
}

/// Returns a path that may be empty, which means none.
pub(super) fn maybe_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Returns the folder that a flag names; an empty text names none. bootcfg and matchbox refuse one that is not
/// there.
fn folder(flag: &'static str, path: PathBuf) -> Result<Option<PathBuf>, SettingsError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    match path.is_dir() {
        true => Ok(Some(path)),
        false => Err(SettingsError::FolderNotFound { flag, path }),
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml")
}

fn set<T>(value: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *value = given;
    }
}

fn set_path(value: &mut PathBuf, given: Option<PathBuf>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// Returns an address as Go takes it: `:8080` is every address, names are looked up.
fn socket_address(flag: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let wrong = |why| SettingsError::Address {
        flag,
        text: text.to_owned(),
        why,
    };
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().map_err(|_| wrong(InvalidAddress::Port))?;
        return Ok((IpAddr::from(Ipv4Addr::UNSPECIFIED), port).into());
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if !text.contains(':') {
        return Err(wrong(InvalidAddress::NoPort));
    }
    let mut found = text
        .to_socket_addrs()
        .map_err(|error| wrong(InvalidAddress::Lookup(error)))?;
    found.next().ok_or_else(|| wrong(InvalidAddress::NoAddress))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
