//! Parser of the injections in `fault.toml`.

use std::net::Ipv4Addr;

use boot_server_events::EVENT_NAMES;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::model::{
    Barrier, CannedAnswer, Direction, Injections, Kill, Link, MachineChange, Moment, ProxyFlaw,
    RelayFlaw, Rewrite, Role, RouterChange, ServerChange, ServerPart, Station, SwitchChange,
    TftpFlaw, WebFlaw,
};
use crate::scenario::problem::{Source, Wrong};
use crate::scenario::read::{Item, Table};
use crate::scenario::{VLAN_MAX, VLAN_MIN, card_mac};
use crate::timeline::StageName;

/// Reads every section that injects something; mistakes are added to `source`.
pub(super) fn read(root: &Table, source: &Source) -> Injections {
    let section = |key, title| root.optional(key).and_then(|item| item.table(title));
    Injections {
        machine: section("machine", "[machine]").map_or_else(MachineChange::default, machine),
        server: section("server", "[server]")
            .map_or_else(ServerChange::default, |table| server(table, source)),
        link: section("link", "[link]").and_then(link),
        rewrites: each(root, "rewrite", rewrite),
        barriers: each(root, "barrier", barrier),
        stations: each(root, "station", station),
        router: section("router", "[router]").map_or_else(RouterChange::default, router),
        switch: section("switch", "[switch]").map_or_else(SwitchChange::default, switch),
        kill: section("kill", "[kill]").and_then(kill),
    }
}

fn each<T>(root: &Table, key: &'static str, read: fn(&Item) -> Option<T>) -> Vec<T> {
    let list = root.optional(key).and_then(|item| item.list());
    list.unwrap_or_default().iter().filter_map(read).collect()
}

fn is_set(table: &Table, key: &'static str) -> bool {
    let flag = table.optional(key).and_then(|item| item.flag());
    flag.is_some_and(|flag| flag.value)
}

fn machine(table: Table) -> MachineChange {
    let node = table.optional("node").and_then(|item| item.text());
    let change = MachineChange {
        node: node.map(|node| node.value),
        without_rng: is_set(&table, "without_rng"),
        uuid: table
            .optional("uuid")
            .and_then(|item| item.parse(uuid))
            .map(|uuid| uuid.value),
        stale_keys: is_set(&table, "stale_keys"),
        boots_from: table
            .optional("boots_from")
            .and_then(|item| item.text())
            .map(|network| network.value),
    };
    table.finish();
    change
}

fn server(table: Table, source: &Source) -> ServerChange {
    let parts = [
        ("dhcp", ServerPart::Dhcp),
        ("proxy_dhcp", ServerPart::ProxyDhcp),
        ("tftp", ServerPart::Tftp),
        ("http", ServerPart::Http),
    ];
    let without = table.optional("without").and_then(|item| item.list());
    let set = table.optional("set").is_some_and(|item| item.is_table());
    let change = ServerChange {
        without: without
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.choice(&parts))
            .map(|part| part.value)
            .collect(),
        // The keys belong to the boot server and are checked when they are applied to its configuration.
        set: set
            .then(|| sub_table(source.text()))
            .flatten()
            .unwrap_or_default(),
    };
    table.finish();
    change
}

/// Returns `[server.set]` as plain values.
fn sub_table(text: &str) -> Option<toml::Table> {
    let document: toml::Table = text.parse().ok()?;
    document.get("server")?.get("set")?.as_table().cloned()
}

fn link(table: Table) -> Option<Link> {
    let number = |key, limit, unit| {
        let item = table.optional(key);
        let number = item.and_then(|item| item.number(0..=limit, unit));
        number.map_or(0, |number| number.value)
    };
    let link = Link {
        loss_percent: number("loss_percent", 100, "percent"),
        duplicate_percent: number("duplicate_percent", 100, "percent"),
        reorder_percent: number("reorder_percent", 100, "percent"),
        delay_ms: number("delay_ms", 10_000, "ms"),
        seed: number("seed", u32::MAX, ""),
    };
    table.finish();
    Some(link)
}

fn router(table: Table) -> RouterChange {
    let address_of = |key| {
        let item = table.optional(key)?;
        item.parse(address).map(|address| address.value)
    };
    let flaw = table
        .optional("flaw")
        .and_then(|item| item.choice(&RELAY_FLAWS));
    let link = address_of("link").map(RelayFlaw::OtherLink);
    let narrow = table
        .optional("narrow")
        .and_then(|item| item.number(NARROW, "bytes"));
    let change = RouterChange {
        flaw: link.or(flaw.map(|flaw| flaw.value)),
        second_link: address_of("second_link"),
        narrow: narrow.and_then(|bytes| u16::try_from(bytes.value).ok()),
        unplugged: is_set(&table, "unplugged"),
    };
    table.finish();
    change
}

fn switch(table: Table) -> SwitchChange {
    let vlan = |item: &Item| {
        let vlan = item.number(VLAN_MIN..=VLAN_MAX, "as a VLAN id")?;
        u16::try_from(vlan.value).ok()
    };
    let port = table.optional("port").and_then(|item| item.text());
    let without = table.optional("without").and_then(|item| item.list());
    let change = SwitchChange {
        port: port.map(|port| port.value),
        without: without
            .unwrap_or_default()
            .iter()
            .filter_map(vlan)
            .collect(),
        native: table.optional("native").as_ref().and_then(vlan),
    };
    table.finish();
    change
}

const RELAY_FLAWS: [(&str, RelayFlaw); 2] = [
    ("no-giaddr", RelayFlaw::NoGiaddr),
    ("drops-option-82", RelayFlaw::DropsOption82),
];

/// MTUs that a link may have: datagrams of DHCP pass.
const NARROW: std::ops::RangeInclusive<u32> = 576..=1499;

fn rewrite(item: &Item) -> Option<Rewrite> {
    let table = item.table("[[rewrite]]")?;
    let text = |key, example| {
        let item = table.required(key, example)?;
        let text = item.parse(|text| match text.is_empty() {
            true => Err(Wrong::new(
                "the text to replace is empty",
                "write the text to change in transit",
            )),
            false => Ok(text.to_owned()),
        })?;
        Some((item, text.value))
    };
    let directions = [("machine", Direction::In), ("servers", Direction::Out)];
    let direction = table
        .optional("toward")
        .and_then(|item| item.choice(&directions));
    let from = text("replace", "replace = \"text as it was sent\"");
    let to = text("with", "with = \"text as long as it\"");
    table.finish();
    let ((_, from), (item, to)) = (from?, to?);
    if from.len() != to.len() {
        item.wrong(Wrong::new(
            format!("`with` has {} bytes, `replace` {}", to.len(), from.len()),
            "write two texts of the same length: TCP counts the sent bytes",
        ));
    }
    Some(Rewrite {
        direction: direction.map_or(Direction::In, |direction| direction.value),
        from,
        to,
    })
}

fn barrier(item: &Item) -> Option<Barrier> {
    let table = item.table("[[barrier]]")?;
    let protocol = table
        .required("protocol", "protocol = \"tcp\"")
        .and_then(|item| item.choice(&[("tcp", "tcp"), ("udp", "udp")]));
    let port = table
        .required("port", "port = 8080")
        .and_then(|item| item.number(1..=65_535, ""));
    let tells = is_set(&table, "tells");
    table.finish();
    Some(Barrier {
        protocol: protocol?.value.to_owned(),
        port: u16::try_from(port?.value).ok()?,
        tells,
    })
}

fn station(item: &Item) -> Option<Station> {
    let table = item.table("[[station]]")?;
    let address_of = |item: Item| item.parse(address).map(|address| address.value);
    let role = table
        .required("role", "role = \"silent\"")
        .and_then(|item| item.choice(&ROLES))?;
    // A TFTP server takes the address of the one that machines are told of.
    let address = match role.value {
        Word::Tftp => None,
        _ => Some(
            table
                .required("address", "address = \"192.168.92.200\"")
                .and_then(address_of)?,
        ),
    };
    let mac = table.optional("mac").and_then(|item| item.parse(mac));
    let role = match role.value {
        Word::Silent => Some(Role::Silent),
        Word::DhcpServer => {
            let first = table
                .required("first", "first = \"192.168.92.210\"")
                .and_then(address_of);
            let last = table
                .required("last", "last = \"192.168.92.219\"")
                .and_then(address_of);
            let boot_file = table.optional("boot_file").and_then(|item| item.text());
            let next_server = table.optional("next_server").and_then(address_of);
            first.zip(last).map(|(first, last)| Role::DhcpServer {
                first,
                last,
                boot_file: boot_file.map(|file| file.value),
                next_server,
            })
        }
        Word::Leases => table
            .required("count", "count = 1")
            .and_then(|item| item.number(1..=64, "leases"))
            .map(|count| Role::Leases { count: count.value }),
        Word::Web => flaw(&table, &WEB_FLAWS).map(Role::Web),
        Word::Tftp => flaw(&table, &TFTP_FLAWS).map(Role::Tftp),
        Word::Proxy => table
            .required("flaw", "flaw = \"no-boot-file\"")
            .and_then(|item| item.choice(&PROXY_FLAWS))
            .map(|flaw| Role::Proxy(flaw.value)),
        Word::Answers => Some(Role::Answers(answer(&table))),
        Word::Requests => table
            .required("urls", "urls = [\"http://192.168.92.1:8080/boot.ipxe\"]")
            .and_then(|item| item.list())
            .map(|urls| Role::Requests {
                urls: urls
                    .iter()
                    .filter_map(|item| item.parse(url))
                    .map(|url| url.value)
                    .collect(),
            }),
        Word::Machine => table
            .required("uuid", "uuid = \"16e7d8a7-bfa9-428b-9117-363341bb330b\"")
            .and_then(|item| item.parse(uuid))
            .map(|uuid| Role::Machine { uuid: uuid.value }),
    };
    table.finish();
    Some(Station {
        address,
        mac: mac.map(|mac| mac.value),
        role: role?,
    })
}

#[derive(Clone, Copy)]
enum Word {
    Silent,
    DhcpServer,
    Leases,
    Web,
    Tftp,
    Proxy,
    Answers,
    Requests,
    Machine,
}

const ROLES: [(&str, Word); 9] = [
    ("silent", Word::Silent),
    ("dhcp-server", Word::DhcpServer),
    ("leases", Word::Leases),
    ("web", Word::Web),
    ("tftp", Word::Tftp),
    ("proxy", Word::Proxy),
    ("answers", Word::Answers),
    ("requests", Word::Requests),
    ("machine", Word::Machine),
];

/// The answer to every request: 200 with an empty body where nothing is said.
fn answer(table: &Table) -> CannedAnswer {
    let text = |key| table.optional(key).and_then(|item| item.text());
    let status = table
        .optional("status")
        .and_then(|item| item.number(100..=599, ""));
    let status = status.and_then(|status| u16::try_from(status.value).ok());
    CannedAnswer {
        status: status.unwrap_or(200),
        location: text("location").map(|location| location.value),
        body: text("body").map_or_else(String::new, |body| body.value),
    }
}

const PROXY_FLAWS: [(&str, ProxyFlaw); 2] = [
    ("no-vendor-class", ProxyFlaw::NoVendorClass),
    ("no-boot-file", ProxyFlaw::NoBootFile),
];

/// Key of a flaw, and its constructor from the key's number.
type FlawKey<T> = (&'static str, fn(u32) -> T);

const WEB_FLAWS: [FlawKey<WebFlaw>; 5] = [
    ("stall_after", |bytes| WebFlaw::StallAfter(bytes.into())),
    ("truncate_after", |bytes| {
        WebFlaw::TruncateAfter(bytes.into())
    }),
    ("short_file", |bytes| WebFlaw::ShortFile(bytes.into())),
    ("bytes_per_second", |bytes| WebFlaw::Rate(bytes.into())),
    ("status", |status| {
        WebFlaw::Status(u16::try_from(status).unwrap_or(u16::MAX))
    }),
];

const TFTP_FLAWS: [FlawKey<TftpFlaw>; 3] = [
    ("die_after", |bytes| TftpFlaw::DieAfter(bytes.into())),
    ("refuse_options", |_| TftpFlaw::RefuseOptions),
    ("silent_if_missing", |_| TftpFlaw::SilentIfMissing),
];

/// Returns the single flaw of a station.
fn flaw<T>(table: &Table, flaws: &[FlawKey<T>]) -> Option<T> {
    let mut found = None;
    for (key, make) in flaws {
        let Some(item) = table.optional(key) else {
            continue;
        };
        if found.is_some() {
            let what = format!("more than one flaw: `{key}`");
            item.wrong(Wrong::new(what, "a station has exactly one flaw"));
            continue;
        }
        found = match *key {
            "refuse_options" | "silent_if_missing" => item.flag().map(|_| make(0)),
            _ => item
                .number(0..=u32::MAX, "")
                .map(|number| make(number.value)),
        };
    }
    if found.is_none() {
        // Uses `required`, so that the message names the table and an example.
        let (key, _) = flaws.first()?;
        table.required(key, &format!("{key} = 1000000"));
    }
    found
}

/// Stages that a machine begins with a request at its own port.
pub(super) const REQUESTED: [StageName; 9] = [
    StageName::Dhcp,
    StageName::Proxy,
    StageName::Nbp,
    StageName::Script,
    StageName::Kernel,
    StageName::Initrd,
    StageName::Ignition,
    StageName::Generic,
    StageName::CloudConfig,
];

fn kill(table: Table) -> Option<Kill> {
    let is_of_service = table.optional("service").is_some() | table.optional("stage").is_some();
    let of_service = |key, example| {
        let is_wanted = is_of_service.then_some(key)?;
        table.required(is_wanted, example)
    };
    let service = of_service("service", "service = \"kea\"").and_then(|item| item.text());
    let stages = REQUESTED.map(|stage| (stage.name(), stage));
    let stage = of_service("stage", "stage = \"nbp\"").and_then(|item| item.choice(&stages));
    let after = (!is_of_service)
        .then(|| table.required("after", "after = \"tftp_request\""))
        .flatten()
        .and_then(|item| item.parse(event_name));
    let with = table
        .optional("with")
        .and_then(|item| item.parse(event_keys));
    let restart_ms = table
        .optional("restart_ms")
        .and_then(|item| item.number(0..=60_000, "ms"));
    table.finish();
    let moment = match is_of_service {
        true => Moment::Stage {
            service: service?.value,
            stage: stage?.value,
        },
        false => Moment::Event {
            name: after?.value,
            with: with.map(|with| with.value).unwrap_or_default(),
        },
    };
    Some(Kill {
        moment,
        restart_ms: restart_ms.map(|restart| restart.value),
    })
}

fn event_name(text: &str) -> Result<String, Wrong> {
    match EVENT_NAMES.contains(&text) {
        true => Ok(text.to_owned()),
        false => {
            let help = format!("one of {}", EVENT_NAMES.join(", "));
            Err(Wrong::new(format!("unknown event: `{text}`"), help))
        }
    }
}

fn event_keys(text: &str) -> Result<Map<String, Value>, Wrong> {
    serde_json::from_str(&format!("{{{text}}}")).map_err(|error| {
        let help = "keys of the event's JSON, e.g. `\"message\":\"offer\"`";
        Wrong::new(format!("invalid `with`: `{text}` ({error})"), help)
    })
}

fn uuid(text: &str) -> Result<Uuid, Wrong> {
    Uuid::try_parse(text).map_err(|error| {
        let help = "e.g. `16e7d8a7-bfa9-428b-9117-363341bb330b`";
        Wrong::new(format!("invalid UUID: `{text}` ({error})"), help)
    })
}

fn mac(text: &str) -> Result<String, Wrong> {
    card_mac(text)
        .map(|mac| mac.to_string())
        .map_err(|error| Wrong::new(error.to_string(), "e.g. `52:54:00:5c:01:01`"))
}

fn url(text: &str) -> Result<String, Wrong> {
    let is_known = ["http://", "tftp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    match is_known {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(
            format!("invalid URL: `{text}` (neither HTTP nor TFTP)"),
            "e.g. `http://192.168.92.1:8080/boot.ipxe`",
        )),
    }
}

fn address(text: &str) -> Result<Ipv4Addr, Wrong> {
    text.parse().map_err(|_| {
        let help = "write four numbers with dots, e.g. `192.168.92.200`";
        Wrong::new(format!("invalid IPv4 address: `{text}`"), help)
    })
}
