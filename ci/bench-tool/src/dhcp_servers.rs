//! The DHCP servers of the comparison, as they are set up: same pool, same lease time, leases on disk,
//! no line of log for a single exchange.

use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::cable::{Cable, SERVERS};
use crate::dhcp_kind::Kind;
use crate::leases::{FIRST, LAST, LEASE_SECONDS};
use crate::server::Server;

/// Starts one with a lease file and waits until it answers.
pub(crate) fn start(
    bench: &Bench,
    kind: Kind,
    folder: &Path,
    leases: &Path,
) -> anyhow::Result<Server> {
    let (command, ready) = match kind {
        Kind::Ours => (ours(bench, folder, leases)?, None),
        Kind::Dnsmasq => (dnsmasq(&bench.cable, leases), Some("DHCP, IP range")),
        Kind::Kea => (kea(&bench.cable, folder, leases)?, Some("DHCP4_STARTED")),
    };
    let mut server = Server::start(command, folder, kind.name())?;
    server.wait_until(|log| match ready {
        Some(word) => log.contains(word),
        // Our own says it in its log at the level `info`: its socket is what shows here.
        None => is_bound(&bench.cable),
    })?;
    Ok(server)
}

fn ours(bench: &Bench, folder: &Path, leases: &Path) -> anyhow::Result<Command> {
    let config = folder.join("boot-server.toml");
    let address = SERVERS[0];
    let text = format!(
        "interface = \"srv\"\naddress = \"{address}\"\nevents = \"/dev/null\"\n\
         [log]\nlevel = \"warn\"\n\
         [boot]\nscript_url = \"http://{address}/boot.ipxe\"\n\
         [dhcp]\nsubnet = \"10.77.0.0/16\"\nfirst = \"{FIRST}\"\nlast = \"{LAST}\"\n\
         lease_seconds = {LEASE_SECONDS}\nlease_file = {leases:?}\nprobe_ms = 0\n"
    );
    std::fs::write(&config, text)?;
    let mut command = bench.cable.command(&bench.boot_server);
    command.arg("--config").arg(&config);
    Ok(command)
}

fn dnsmasq(cable: &Cable, leases: &Path) -> Command {
    let mut command = cable.command("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=srv",
        "--bind-dynamic",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
        "--quiet-dhcp",
        "--no-ping",
        "--dhcp-authoritative",
        "--dhcp-lease-max=200000",
    ]);
    command.arg(format!(
        "--dhcp-range={FIRST},{LAST},255.255.0.0,{LEASE_SECONDS}"
    ));
    command.arg(format!("--dhcp-leasefile={}", leases.display()));
    command
}

fn kea(cable: &Cable, folder: &Path, leases: &Path) -> anyhow::Result<Command> {
    let config = folder.join("kea.json");
    let address = SERVERS[0];
    let text = format!(
        r#"{{"Dhcp4":{{"interfaces-config":{{"interfaces":["srv/{address}"],"dhcp-socket-type":"udp"}},
        "lease-database":{{"type":"memfile","persist":true,"lfc-interval":0,"name":{leases:?}}},
        "valid-lifetime":{LEASE_SECONDS},
        "subnet4":[{{"subnet":"10.77.0.0/16","pools":[{{"pool":"{FIRST}-{LAST}"}}]}}],
        "loggers":[{{"name":"kea-dhcp4","severity":"INFO","output_options":[{{"output":"stdout"}}]}},
        {{"name":"kea-dhcp4.leases","severity":"WARN"}},{{"name":"kea-dhcp4.packets","severity":"WARN"}}]}}}}"#
    );
    std::fs::write(&config, text)?;
    let mut command = cable.command("kea-dhcp4");
    command
        .env("KEA_PIDFILE_DIR", folder)
        .env("KEA_LOCKFILE_DIR", folder);
    command.arg("-c").arg(&config);
    Ok(command)
}

/// True if port 67 is bound at the far end.
fn is_bound(cable: &Cable) -> bool {
    let listed = cable
        .command("ss")
        .args(["-Hlnu", "sport", "=", ":67"])
        .output();
    listed.is_ok_and(|listed| !listed.stdout.is_empty())
}
