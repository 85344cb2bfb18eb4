//! Parser of `[[service]]`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

use super::super::problem::{Located, Wrong, nearest, one_of};
use super::super::read::Item;
use super::super::text::{filled, word};
use super::placeholder::{Placeholder, unknown};
use super::{
    Part, Ready, ReadyWhen, Restart, STORAGE, Service, ServiceAddress, StopSignal,
    WITHIN_SECONDS_DEFAULT, WITHIN_SECONDS_MAX,
};

/// Signs of readiness, with an example of each.
const SIGNS: [&str; 5] = ["tcp", "udp", "http", "log", "exit"];

/// Names of capabilities(7) up to Linux 6.1.
const CAPABILITIES: [&str; 41] = [
    "audit_control",
    "audit_read",
    "audit_write",
    "block_suspend",
    "bpf",
    "checkpoint_restore",
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "ipc_lock",
    "ipc_owner",
    "kill",
    "lease",
    "linux_immutable",
    "mac_admin",
    "mac_override",
    "mknod",
    "net_admin",
    "net_bind_service",
    "net_broadcast",
    "net_raw",
    "perfmon",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_admin",
    "sys_boot",
    "sys_chroot",
    "sys_module",
    "sys_nice",
    "sys_pacct",
    "sys_ptrace",
    "sys_rawio",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "syslog",
    "wake_alarm",
];

/// Readable parts of a service.
#[derive(Debug)]
pub(in crate::scenario) struct DraftService {
    pub(in crate::scenario) name: Option<Located<String>>,
    pub(super) command: Option<Vec<String>>,
    pub(super) rootfs: Option<Located<String>>,
    pub(super) image: Option<Located<String>>,
    pub(super) plays: Vec<Located<Part>>,
    pub(in crate::scenario) address: Option<Located<ServiceAddress>>,
    pub(in crate::scenario) network: Option<Located<String>>,
    ready: Option<Ready>,
    user: Option<String>,
    env: BTreeMap<String, String>,
    capabilities: Option<Vec<String>>,
    /// Location of `capabilities`, if it is present.
    pub(super) capabilities_at: Option<Range<usize>>,
    restart: Restart,
    stop: StopSignal,
    pub(super) after: Vec<Located<String>>,
}

impl DraftService {
    /// Returns the location of this role, if the service has it.
    pub(in crate::scenario) fn part(&self, part: Part) -> Option<Range<usize>> {
        let found = self.plays.iter().find(|one| one.value == part);
        found.map(|one| one.at.clone())
    }

    /// Returns the service, if all required parts are present.
    pub(in crate::scenario) fn build(self) -> Option<Service> {
        Some(Service {
            name: self.name?.value,
            command: self.command?,
            rootfs: self.rootfs.map(|rootfs| rootfs.value.into()),
            image: self.image.map(|image| image.value),
            plays: self.plays.into_iter().map(|part| part.value).collect(),
            address: self.address.map_or(ServiceAddress::Shared, |a| a.value),
            network: self.network.map(|name| name.value),
            ready: self.ready,
            user: self.user,
            env: self.env,
            capabilities: self.capabilities,
            restart: self.restart,
            stop: self.stop,
            after: self.after.into_iter().map(|name| name.value).collect(),
        })
    }
}

/// Parses one table.
pub(in crate::scenario) fn read(item: &Item) -> Option<DraftService> {
    let table = item.table("[[service]]")?;
    let parts = Part::ALL.map(|part| (part.name(), part));
    let restarts = [("never", Restart::Never), ("always", Restart::Always)];
    let signals = [
        ("TERM", StopSignal::Term),
        ("INT", StopSignal::Int),
        ("QUIT", StopSignal::Quit),
        ("HUP", StopSignal::Hup),
        ("KILL", StopSignal::Kill),
    ];
    let list = |key| {
        let items = table.optional(key).and_then(|item| item.list());
        items.unwrap_or_default()
    };
    let service = DraftService {
        name: table
            .required("name", "name = \"kea\"")
            .and_then(|item| item.parse(|text| word(text, "service name"))),
        command: table
            .required(
                "command",
                "command = [\"kea-dhcp4\", \"-c\", \"{dir}/kea-dhcp4.json\"]",
            )
            .and_then(|item| command(&item)),
        rootfs: table
            .optional("rootfs")
            .and_then(|item| item.parse(|text| filled(text, "rootfs"))),
        image: table.optional("image").and_then(|item| item.parse(image)),
        plays: list("plays")
            .iter()
            .filter_map(|item| item.choice(&parts))
            .collect(),
        address: table
            .optional("address")
            .and_then(|item| item.parse(address)),
        network: table.optional("network").and_then(|item| item.text()),
        ready: table.optional("ready").and_then(|item| ready(&item)),
        user: table
            .optional("user")
            .and_then(|item| item.parse(|text| filled(text, "user")))
            .map(|user| user.value),
        env: table
            .optional("env")
            .map(|item| env(&item))
            .unwrap_or_default(),
        capabilities: table
            .optional("capabilities")
            .and_then(|item| item.list())
            .map(|items| {
                let parsed = items.iter().filter_map(|item| item.parse(capability));
                parsed.map(|name| name.value).collect()
            }),
        capabilities_at: table.optional("capabilities").map(|item| item.at()),
        restart: table
            .optional("restart")
            .and_then(|item| item.choice(&restarts))
            .map_or(Restart::Never, |restart| restart.value),
        stop: table
            .optional("stop")
            .and_then(|item| item.choice(&signals))
            .map_or(StopSignal::Term, |signal| signal.value),
        after: list("after")
            .iter()
            .filter_map(|item| item.text())
            .collect(),
    };
    table.finish();
    Some(service)
}

fn command(item: &Item) -> Option<Vec<String>> {
    let words: Vec<String> = item
        .list()?
        .iter()
        .filter_map(|word| word.parse(with_placeholders))
        .map(|word| word.value)
        .collect();
    if item.length() == Some(0) || words.first().is_some_and(|program| program.is_empty()) {
        item.wrong(Wrong::new(
            "missing program in the command",
            "write the program and its arguments, e.g. `command = [\"dnsmasq\", \"--keep-in-foreground\"]`",
        ));
        return None;
    }
    Some(words)
}

/// Accepts a text whose words in braces are placeholders.
fn with_placeholders(text: &str) -> Result<String, Wrong> {
    let Some(word) = unknown(text).into_iter().next() else {
        return Ok(text.to_owned());
    };
    let known = || Placeholder::ALL.into_iter().map(Placeholder::word);
    let help = match nearest(word, known()) {
        Some(near) => format!("did you mean `{{{near}}}`?"),
        None => {
            let known: Vec<String> = known().map(|word| format!("{{{word}}}")).collect();
            format!("known: {}", one_of(known.iter().map(String::as_str)))
        }
    };
    Err(Wrong::new(
        format!("unknown placeholder: `{{{word}}}`"),
        help,
    ))
}

fn image(text: &str) -> Result<String, Wrong> {
    match text.strip_prefix(STORAGE) {
        Some(name) if !name.is_empty() && !name.starts_with('-') => Ok(text.to_owned()),
        _ => Err(Wrong::new(
            format!("unsupported image: `{text}`"),
            "the lab pulls nothing: `podman pull NAME` first, then write `containers-storage:NAME`",
        )),
    }
}

fn address(text: &str) -> Result<ServiceAddress, Wrong> {
    if text == "shared" {
        return Ok(ServiceAddress::Shared);
    }
    let address = text.parse::<Ipv4Addr>().map_err(|_| {
        Wrong::new(
            format!("invalid IPv4 address: `{text}`"),
            "use an IPv4 address of the subnet, e.g. `192.168.90.2`, or `shared`",
        )
    })?;
    Ok(ServiceAddress::Own(address))
}

fn ready(item: &Item) -> Option<Ready> {
    let table = item.table("ready")?;
    let port = |key| {
        let item: Item = table.optional(key)?;
        let port = item.number(1..=u16::MAX.into(), "as a port")?.value;
        u16::try_from(port).ok()
    };
    let text = |key, parse: fn(&str) -> Result<String, Wrong>| {
        let item: Item = table.optional(key)?;
        Some(item.parse(parse)?.value)
    };
    let exit = || {
        let code = table.optional("exit")?.number(0..=255, "as an exit code")?;
        u8::try_from(code.value).ok()
    };
    let given: Vec<&str> = SIGNS
        .into_iter()
        .filter(|key| table.optional(key).is_some())
        .collect();
    let signs = [
        port("tcp").map(ReadyWhen::Tcp),
        port("udp").map(ReadyWhen::Udp),
        text("http", url).map(ReadyWhen::Http),
        text("log", pattern).map(ReadyWhen::Log),
        exit().map(ReadyWhen::Exit),
    ];
    let within = table
        .optional("within_seconds")
        .and_then(|item| item.number(1..=WITHIN_SECONDS_MAX, "seconds"))
        .map_or(WITHIN_SECONDS_DEFAULT, |seconds| seconds.value);
    if given.len() != 1 {
        let what = match given.is_empty() {
            true => "missing sign in `ready`".to_owned(),
            false => format!("more than one sign in `ready`: {}", given.join(", ")),
        };
        let help = format!("write exactly one of {}", one_of(SIGNS));
        item.wrong(Wrong::new(what, help));
    }
    table.finish();
    let when = signs.into_iter().flatten().next()?;
    Some(Ready {
        when,
        within: Duration::from_secs(within.into()),
    })
}

fn url(text: &str) -> Result<String, Wrong> {
    if text.strip_prefix("http://").is_none_or(str::is_empty) {
        return Err(Wrong::new(
            format!("invalid URL: `{text}`"),
            "use an `http` URL, e.g. `http://{address}/health`",
        ));
    }
    with_placeholders(text)
}

fn pattern(text: &str) -> Result<String, Wrong> {
    match regex_lite::Regex::new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) => Err(Wrong::new("`log` is empty", "write a regular expression")),
        Err(error) => Err(Wrong::new(
            format!("invalid regular expression: `{text}` ({error})"),
            "use the syntax of Rust's regex, e.g. `DHCP4_STARTED|server ready`",
        )),
    }
}

fn env(item: &Item) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, value) in item.entries().unwrap_or_default() {
        let is_sound = !name.is_empty() && !name.contains(['=', '\0']);
        if !is_sound {
            value.wrong(Wrong::new(
                format!("invalid name of an environment variable: `{name}`"),
                "use letters, digits and underscores",
            ));
        } else if let Some(value) = value.parse(with_placeholders) {
            env.insert(name, value.value);
        }
    }
    env
}

fn capability(text: &str) -> Result<String, Wrong> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_prefix("cap_").unwrap_or(&lower);
    if CAPABILITIES.contains(&name) {
        return Ok(name.to_owned());
    }
    let help = match nearest(name, CAPABILITIES) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "use a name of capabilities(7), e.g. `net_bind_service`".into(),
    };
    Err(Wrong::new(format!("unknown capability: `{text}`"), help))
}
