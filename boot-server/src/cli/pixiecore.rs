//! `boot-server pixiecore …`: Pixiecore's commands with Pixiecore's flags.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::arguments::go_bool;
use super::settings::maybe_empty;
use crate::config::{Config, FixedBoot, LogLevel, MetricsConfig, PixiecoreConfig, TftpConfig};
use crate::net::{InterfaceError, interface_of};

/// Reasons that a command of Pixiecore is not a configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error(
        "unsupported command: `pixiecore quick` (downloads a third-party system at every boot); name its kernel and initrd: boot-server pixiecore boot KERNEL INITRD --cmdline TEXT"
    )]
    Quick,
    #[error("unsupported command: booting over IPv6; use `pixiecore api` or `pixiecore boot`")]
    Ipv6,
    #[error("{0}; name it with --interface NAME or --listen-addr IP")]
    Interface(#[from] InterfaceError),
    /// A file of `--ipxe-…` cannot be found.
    #[error("{flag} {file}: {source}")]
    Nbp {
        flag: &'static str,
        file: PathBuf,
        source: io::Error,
    },
    /// A file of `--ipxe-…` has another name than firmware asks for.
    #[error("{flag}: the file must be called {name}, not {found}")]
    NbpName {
        flag: &'static str,
        name: &'static str,
        found: String,
    },
}

/// Text that is not a boolean of Go.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("write true or false")]
struct InvalidBool;

/// Text that is not a duration of Go.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("write a time as 5s, 500ms or 1m30s")]
struct InvalidDuration;

/// Pixiecore's commands.
#[derive(Debug, Subcommand)]
pub(super) enum Pixiecore {
    /// Boot machines as directed by an HTTP API.
    Api {
        /// URL prefix of the API; the server requests <URL>/v1/boot/<mac>.
        url: String,
        /// Timeout for API requests, e.g. 5s.
        #[arg(long, value_name = "TIME", default_value = "5s", value_parser = go_duration)]
        api_request_timeout: Duration,
        #[command(flatten)]
        flags: Flags,
    },
    /// Boot one kernel and its initrds on every machine.
    Boot {
        /// Kernel: a file, or an http or https URL.
        kernel: String,
        /// Initrds: files, or http or https URLs.
        initrd: Vec<String>,
        /// Kernel command line; {{ URL "…" }} expands to the URL at which machines fetch a file or URL.
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            allow_hyphen_values = true
        )]
        cmdline: String,
        /// Message that machines show before they boot.
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            allow_hyphen_values = true
        )]
        bootmsg: String,
        #[command(flatten)]
        flags: Flags,
    },
    #[command(hide = true)]
    Quick {
        #[arg(num_args = 0.., allow_hyphen_values = true, trailing_var_arg = true)]
        rest: Vec<String>,
    },
    #[command(hide = true)]
    Bootipv6 {
        #[arg(num_args = 0.., allow_hyphen_values = true, trailing_var_arg = true)]
        rest: Vec<String>,
    },
    #[command(hide = true)]
    Ipv6api {
        #[arg(num_args = 0.., allow_hyphen_values = true, trailing_var_arg = true)]
        rest: Vec<String>,
    },
}

/// Flags that both commands share.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Network interface that reaches the machines [default: that of --listen-addr, or the only one].
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// IPv4 address to listen on.
    #[arg(short, long, value_name = "IP", default_value = "0.0.0.0")]
    listen_addr: Ipv4Addr,
    /// Port of the HTTP server.
    #[arg(short, long, default_value_t = 80)]
    port: u16,
    /// Port for /metrics and /healthz; 0 disables them.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    status_port: u16,
    /// Receive DHCP without binding port 67, beside a DHCP server that does not share the port.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_name = "BOOL", hide_default_value = true, value_parser = go_switch, action = clap::ArgAction::Set)]
    dhcp_no_bind: bool,
    /// iPXE for BIOS machines, instead of undionly.kpxe.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    ipxe_bios: Option<PathBuf>,
    /// iPXE for BIOS machines with an iPXE ROM; the file must be named ipxe.pxe.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    ipxe_ipxe: Option<PathBuf>,
    /// iPXE for 32-bit UEFI machines; the file must be named ipxe-i386.efi.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    ipxe_efi32: Option<PathBuf>,
    /// iPXE for 64-bit UEFI machines, instead of ipxe.efi.
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    ipxe_efi64: Option<PathBuf>,
    /// Also log ignored messages and the reasons.
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_name = "BOOL", hide_default_value = true, value_parser = go_switch, action = clap::ArgAction::Set)]
    debug: bool,
    /// Accepted for compatibility with Pixiecore; log lines always have a timestamp.
    #[arg(short = 't', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_name = "BOOL", hide_default_value = true, value_parser = go_switch, action = clap::ArgAction::Set)]
    log_timestamps: bool,
    /// User to switch to when started as root.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Pixiecore {
    /// Returns the equivalent configuration.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(super) fn config(self) -> Result<Config, CommandError> {
        match self {
            Pixiecore::Api {
                url,
                api_request_timeout,
                flags,
            } => flags.config(PixiecoreConfig {
                api: url,
                api_timeout_ms: u64::try_from(api_request_timeout.as_millis()).unwrap_or(u64::MAX),
                ..PixiecoreConfig::default()
            }),
            Pixiecore::Boot {
                kernel,
                initrd,
                cmdline,
                bootmsg,
                flags,
            } => flags.config(PixiecoreConfig {
                boot: Some(FixedBoot {
                    kernel,
                    initrd,
                    cmdline,
                    message: bootmsg,
                }),
                ..PixiecoreConfig::default()
            }),
            Pixiecore::Quick { .. } => Err(CommandError::Quick),
            Pixiecore::Bootipv6 { .. } | Pixiecore::Ipv6api { .. } => Err(CommandError::Ipv6),
        }
    }
}

impl Flags {
    fn config(self, pixiecore: PixiecoreConfig) -> Result<Config, CommandError> {
        let address = Some(self.listen_addr).filter(|address| !address.is_unspecified());
        let interface = match self.interface {
            Some(name) => name,
            None => interface_of(address)?,
        };
        let mut config = Config {
            interface: Some(interface),
            address,
            user: self.user,
            ..Config::default()
        };
        let mut roots = Vec::new();
        for (flag, file, name) in [
            ("--ipxe-bios", &self.ipxe_bios, None),
            ("--ipxe-efi64", &self.ipxe_efi64, None),
            ("--ipxe-ipxe", &self.ipxe_ipxe, Some("ipxe.pxe")),
            ("--ipxe-efi32", &self.ipxe_efi32, Some("ipxe-i386.efi")),
        ] {
            let Some(file) = file.as_ref().filter(|file| !file.as_os_str().is_empty()) else {
                continue;
            };
            let (folder, found) = own_nbp(flag, file, name)?;
            match flag {
                "--ipxe-bios" => config.boot.bios_nbp = found,
                "--ipxe-efi64" => config.boot.efi_x64_nbp = found,
                _ => {}
            }
            roots.push(folder);
        }
        config.tftp = Some(TftpConfig { roots });
        if self.status_port != 0 {
            let listen = (self.listen_addr, self.status_port).into();
            config.metrics = Some(MetricsConfig { listen });
        }
        if self.debug {
            config.log.level = LogLevel::Debug;
        }
        config.pixiecore = Some(PixiecoreConfig {
            port: self.port,
            no_bind: self.dhcp_no_bind,
            ..pixiecore
        });
        Ok(config)
    }
}

/// Returns the value of a switch, as Pixiecore takes it: `--debug`, `--debug=true`, `--debug=false`.
fn go_switch(text: &str) -> Result<bool, InvalidBool> {
    go_bool(text).ok_or(InvalidBool)
}

/// Folder and name of an NBP of the operator's own.
fn own_nbp(
    flag: &'static str,
    file: &Path,
    name: Option<&'static str>,
) -> Result<(PathBuf, String), CommandError> {
    let file = file.canonicalize().map_err(|source| CommandError::Nbp {
        flag,
        file: file.to_owned(),
        source,
    })?;
    let found = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if let Some(name) = name.filter(|name| *name != found) {
        let found = found.to_owned();
        return Err(CommandError::NbpName { flag, name, found });
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    Ok((folder.to_owned(), found.to_owned()))
}

/// Returns a duration as Go writes it: `5s`, `1m30s`, `500ms`.
fn go_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| InvalidDuration)?;
    Duration::try_from(parsed)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or(InvalidDuration)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(subcommand)]
        command: Pixiecore,
    }

    fn config(words: &[&str]) -> Result<Config, String> {
        let words = std::iter::once("pixiecore").chain(words.iter().copied());
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        program.command.config().map_err(|error| error.to_string())
    }

    #[test]
    fn api_takes_pixiecores_flags() {
        let config = config(&[
            "api",
            "http://10.0.0.1:8080/pixiecore",
            "--listen-addr",
            "127.0.0.1",
            "--port=8000",
            "--status-port",
            "8001",
            "--dhcp-no-bind",
            "--api-request-timeout=1m30s",
            "--ipxe-bios=",
            "-d",
            "-t",
        ]);
        let config = config.unwrap();
        let pixiecore = config.pixiecore.clone().unwrap();
        assert_eq!(config.interface.as_deref(), Some("lo"));
        assert_eq!((pixiecore.port, pixiecore.no_bind), (8000, true));
        assert_eq!(pixiecore.api_timeout_ms, 90_000);
        assert_eq!(
            config.metrics.unwrap().listen,
            "127.0.0.1:8001".parse().unwrap()
        );
        assert_eq!(config.check(), []);
    }

    #[test]
    fn switch_with_a_value_is_read_as_pixiecore_reads_it() {
        for (switch, no_bind, is_debug) in [
            ("--dhcp-no-bind=true", true, false),
            ("--dhcp-no-bind=false", false, false),
            ("--dhcp-no-bind=1", true, false),
            ("--debug=true", false, true),
            ("-d=T", false, true),
            ("--log-timestamps=false", false, false),
        ] {
            let config = config(&["api", "http://h", "--interface=lo", switch]).unwrap();
            assert_eq!(config.pixiecore.unwrap().no_bind, no_bind, "{switch}");
            assert_eq!(config.log.level == LogLevel::Debug, is_debug, "{switch}");
        }
        // A switch takes no word after it: that is the URL of the API.
        let config = config(&["api", "--dhcp-no-bind", "http://h", "--interface=lo"]);
        assert_eq!(config.unwrap().pixiecore.unwrap().api, "http://h");
    }

    #[test]
    fn boot_takes_files_and_a_command_line_that_begins_with_a_dash() {
        let words = [
            "boot",
            "vmlinuz",
            "http://h/initrd",
            "more",
            "--cmdline",
            "-a console=ttyS0",
            "--interface=lo",
        ];
        let config = config(&words).unwrap();
        let boot = config.pixiecore.clone().unwrap().boot.unwrap();
        assert_eq!(boot.initrd, ["http://h/initrd", "more"]);
        assert_eq!(boot.cmdline, "-a console=ttyS0");
        assert_eq!(config.check(), []);
    }

    #[test]
    fn what_is_not_offered_is_answered_with_what_is() {
        for (words, says) in [
            (&["quick", "debian"][..], "pixiecore boot KERNEL"),
            (&["ipv6api", "--listen-addr=::"], "pixiecore api"),
            (
                &[
                    "api",
                    "http://h",
                    "--interface=lo",
                    "--ipxe-ipxe=/etc/passwd",
                ],
                "ipxe.pxe",
            ),
            (
                &["api", "http://h", "--interface=lo", "--ipxe-bios=/nothing"],
                "/nothing",
            ),
            (&["api", "http://h", "--listen-addr=192.0.2.9"], "192.0.2.9"),
            (&["api", "http://h", "--api-request-timeout=soon"], "500ms"),
        ] {
            let error = config(words).unwrap_err();
            assert!(error.contains(says), "{words:?}: {error}");
        }
    }
}
