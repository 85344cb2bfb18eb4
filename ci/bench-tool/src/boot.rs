//! Time to boot: from power-on to the kernel's first line, a BIOS machine with the network card's iPXE
//! ROM. dnsmasq with the libvirt guide's settings (beside our boot config service) against boot-server
//! alone: same machine, same files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::Bench;
use crate::cable::{SERVERS, run};
use crate::server::Server;
use crate::table::{Better, Row, Section, median, turns};

/// A machine that has not started its kernel by then never will.
const DEADLINE: Duration = Duration::from_secs(180);
/// Interval at which the console is read.
const LOOK: Duration = Duration::from_millis(5);
/// First text that a kernel prints.
const FIRST_LINE: &str = "Linux version";
/// The servers' address on the machine's network.
const SERVER: &str = "10.55.0.1";
const HTTP: ([u8; 4], u16) = ([10, 55, 0, 1], 8080);

/// A way to serve the machine.
#[derive(Debug, Clone, Copy)]
enum Side {
    Alone,
    Dnsmasq,
}

/// Returns the row.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let sides = [
        ("boot-server alone", Side::Alone),
        ("dnsmasq + config service", Side::Dnsmasq),
    ];
    let name = "BIOS machine, iPXE ROM of its card";
    let mut rows = Vec::new();
    if bench.wants(name) {
        let kernel = bench.kernel.as_deref();
        let kernel = kernel.context("missing kernel: ci/bench passes it with --kernel")?;
        let folder = prepare(bench, kernel)?;
        let mut values = vec![Vec::new(); sides.len()];
        // The first round warms up.
        for round in 0..=bench.repeats {
            for n in turns(round, sides.len()) {
                let (side, kind) = sides[n];
                let servers = start(bench, &folder, kind)?;
                let seconds = power_on(bench, &folder, Boot::Network).with_context(|| {
                    let words: Vec<String> = servers.iter().map(Server::last_words).collect();
                    format!("{side}: {}", words.join("\n"))
                })?;
                eprintln!("boot: {side}: {seconds:.2} s");
                if round > 0 {
                    values[n].push(seconds);
                }
            }
        }
        let mut bare = Vec::new();
        for _ in 0..bench.repeats {
            bare.push(power_on(bench, &folder, Boot::Kernel)?);
        }
        rows.push(Row {
            name: name.into(),
            values,
            limit: median(&bare),
            ..Row::default()
        });
    }
    Ok(Section {
        title: "Time to boot: from power-on to the kernel's first line, s".into(),
        note: "A virtual machine (QEMU without KVM) that boots from the network, dnsmasq as the libvirt guide \
               sets it up. Less is better. The limit is the same kernel handed to the machine by QEMU, \
               without a network."
            .into(),
        servers: sides.map(|(name, _)| name.to_owned()).to_vec(),
        better: Better::Less,
        target: Some(0.33),
        rows,
    })
}

/// Makes the machine's network and the files that are served.
fn prepare(bench: &Bench, kernel: &Path) -> anyhow::Result<PathBuf> {
    for words in [
        "link add br0 type bridge forward_delay 0",
        &format!("address add {SERVER}/24 dev br0"),
        "link set br0 up",
        "tuntap add tap0 mode tap",
        "link set tap0 master br0 up",
    ] {
        run(bench.cable.command("ip").args(words.split(' ')))?;
    }
    // So that it can be seen from here when they listen.
    let route = format!("route add 10.55.0.0/24 via {}", SERVERS[0]);
    run(Command::new("ip").args(route.split(' ')))?;
    let folder = bench.folder.path().join("boot");
    for name in ["data/specs/bench", "data/cloud", "data/ignition", "assets"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    let copied = std::fs::copy(kernel, folder.join("assets/vmlinuz"));
    copied.with_context(|| format!("copying {}", kernel.display()))?;
    // Its time to unpack an initrd is not measured: there is none to speak of.
    run(Command::new("sh")
        .args([
            "-c",
            ": >empty && echo empty | cpio --quiet -o -H newc | gzip >assets/initrd.gz",
        ])
        .current_dir(&folder))?;
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write(
        "data/config.yaml",
        "api_version: v1alpha1\ngroups:\n  - name: default\n    spec: bench\n".into(),
    )?;
    write(
        "data/specs/bench/spec.json",
        r#"{"id": "bench", "boot": {"kernel": "/assets/vmlinuz", "initrd": ["/assets/initrd.gz"],
            "cmdline": {"earlyprintk": "ttyS0", "console": "ttyS0", "panic": "-1"}}}"#
            .into(),
    )?;
    let http =
        format!("[http]\nlisten = \"{SERVER}:8080\"\ndata = \"data\"\nassets = \"assets\"\n");
    write(
        "config-service.toml",
        format!("events = \"/dev/null\"\n{http}"),
    )?;
    write(
        "alone.toml",
        format!(
            "interface = \"br0\"\nrouter_advertisement = true\nevents = \"/dev/null\"\n\
             [dhcp]\nsubnet = \"10.55.0.0/24\"\nfirst = \"10.55.0.43\"\nlast = \"10.55.0.99\"\n\
             router = \"{SERVER}\"\nlease_file = \"leases\"\n[tftp]\n{http}"
        ),
    )?;
    Ok(folder)
}

fn start(bench: &Bench, folder: &Path, side: Side) -> anyhow::Result<Vec<Server>> {
    let ours = |config: &str| {
        let mut command = bench.cable.command(&bench.boot_server);
        command.arg("--config").arg(folder.join(config));
        Server::start(command, folder, config)
    };
    let mut servers = match side {
        Side::Alone => vec![ours("alone.toml")?],
        Side::Dnsmasq => {
            // CoreOS on baremetal, `virtual-hardware.md`, on this subnet.
            let mut command = bench.cable.command("dnsmasq");
            command.args([
                "--no-daemon",
                "--port=0",
                "--interface=br0",
                "--bind-interfaces",
                "--no-hosts",
                "--user=root",
                "--dhcp-range=10.55.0.43,10.55.0.99",
                &format!("--dhcp-option=3,{SERVER}"),
                &format!(
                    "--dhcp-leasefile={}",
                    folder.join("dnsmasq.leases").display()
                ),
                "--enable-tftp",
                "--tftp-root=/usr/lib/ipxe",
                "--dhcp-userclass=set:ipxe,iPXE",
                "--dhcp-boot=tag:#ipxe,undionly.kpxe",
                &format!("--dhcp-boot=tag:ipxe,http://{SERVER}:8080/boot.ipxe"),
                "--log-dhcp",
            ]);
            let mut dnsmasq = Server::start(command, folder, "dnsmasq")?;
            dnsmasq.wait_until(|log| log.contains("DHCP, IP range"))?;
            vec![ours("config-service.toml")?, dnsmasq]
        }
    };
    for server in servers.iter_mut().take(1) {
        server.wait_for_port(HTTP.into())?;
    }
    Ok(servers)
}

/// Source of the machine's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    Network,
    Kernel,
}

/// Seconds from power-on to the kernel's first line; the machine is off again afterwards.
fn power_on(bench: &Bench, folder: &Path, boot: Boot) -> anyhow::Result<f64> {
    let console = folder.join("console");
    std::fs::write(&console, "")?;
    let mut command = bench.cable.command("qemu-system-x86_64");
    command
        .args([
            "-machine",
            "pc",
            "-accel",
            "tcg",
            "-m",
            "512",
            "-nodefaults",
            "-display",
            "none",
        ])
        .args([
            "-no-reboot",
            "-serial",
            &format!("file:{}", console.display()),
        ]);
    match boot {
        Boot::Network => command.args([
            "-netdev",
            "tap,id=n0,ifname=tap0,script=no,downscript=no",
            "-device",
            "virtio-net-pci,netdev=n0",
            "-boot",
            "n",
        ]),
        Boot::Kernel => command
            .args(["-append", "earlyprintk=ttyS0 console=ttyS0 panic=-1"])
            .arg("-kernel")
            .arg(folder.join("assets/vmlinuz"))
            .arg("-initrd")
            .arg(folder.join("assets/initrd.gz")),
    };
    let began = Instant::now();
    let mut machine = Server::start(command, folder, "machine")?;
    while began.elapsed() < DEADLINE {
        let text = std::fs::read(&console)?;
        let seen = began.elapsed().as_secs_f64();
        if String::from_utf8_lossy(&text).contains(FIRST_LINE) {
            return Ok(seen);
        }
        ensure!(
            machine.is_running()?,
            "the machine went off: {}",
            machine.last_words()
        );
        std::thread::sleep(LOOK);
    }
    let text = std::fs::read(&console)?;
    bail!(
        "no kernel within {DEADLINE:?}; its console:\n{}",
        String::from_utf8_lossy(&text)
    )
}
