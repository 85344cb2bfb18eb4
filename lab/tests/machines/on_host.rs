//! `--connect`: network and machines on a libvirt that is the host's own. Here that is the private one of a cell which
//! was kept: seen from inside it is a host with nothing else on it.

use std::process::Command;

use test_support::{assert_line, eventually, has_line, is};

use crate::host::Host;
use crate::stays::nothing_is_left;
use crate::support::{DEADLINE, is_up, printed, said};

/// A machine of somebody else.
const FOREIGN: &str = "lab-facade-web";

#[test]
fn a_lab_on_the_hosts_libvirt_leaves_what_is_not_its_own_alone() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root answers the ports of a host");
        return;
    }
    let host = Host::start();
    let scenario = host.scenarios.copy("ipxe-chainload", "real").quick("node1");
    let network = host.scenarios.folder().join("somebody.xml");
    let xml =
        "<network><name>somebody</name><ip address='10.99.1.1' netmask='255.255.255.0'/></network>";
    std::fs::write(&network, xml).unwrap();
    let made = host.command("virsh", &["net-create", network.to_str().unwrap()]);
    assert!(made.status.success(), "{}", printed(&made));

    // Names that look like a run's: dates and words have only hexadecimal digits, too.
    let foreign = host.scenarios.folder().join("foreign.xml");
    let network = "<network><name>lab-100200-net</name>\
                   <ip address='10.99.2.1' netmask='255.255.255.0'/></network>";
    std::fs::write(&foreign, network).unwrap();
    let made = host.command("virsh", &["net-create", foreign.to_str().unwrap()]);
    assert!(made.status.success(), "{}", printed(&made));
    let machine = "<domain type='qemu'><name>lab-facade-web</name><memory unit='MiB'>32</memory>\
                   <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
    std::fs::write(&foreign, machine).unwrap();
    let made = host.command("virsh", &["create", "--paused", foreign.to_str().unwrap()]);
    assert!(made.status.success(), "{}", printed(&made));

    // The host is a cell itself, whose own network is no run's on this libvirt either.
    let networks = host.has("net-list");
    for name in ["lab-100200-net", "somebody"] {
        assert!(networks.iter().any(|other| other == name), "{networks:?}");
    }

    let artifacts = host.scenarios.artifacts();
    let artifacts = ["--artifacts", artifacts.to_str().unwrap()];
    let on_host = ["--connect", "qemu:///system"];
    let words = [&["up", "real", "--detach"], &on_host[..], &artifacts].concat();
    let up = host.lab(&words);
    assert_eq!(up.status.code(), Some(0), "{}", printed(&up));
    let all = host.has("list");
    run_of(&all);
    let named = host.lab(&["exec", "node1", "--lab", "real", "--", "hostname"]);
    assert_eq!(
        String::from_utf8_lossy(&named.stdout).trim(),
        "ipxe-chainload-one"
    );
    // Its subnet is taken now.
    let clash = host.lab(&[&["run", "real"], &on_host[..], &artifacts].concat());
    assert_eq!(clash.status.code(), Some(69), "{}", printed(&clash));
    assert_line(&printed(&clash), "…192.168.92.0/24…");

    // What is up is not garbage.
    host.lab(&["gc"]);
    assert_eq!(host.has("list"), all);

    // Ended in order, nothing is left to be swept.
    let down = host.lab(&["down", "real"]);
    assert_eq!(down.status.code(), Some(0), "{}", printed(&down));
    nothing_is_left_on(&host, &networks);
    let nothing = printed(&host.lab(&["gc"]));
    assert_line(&nothing, "No leftovers on qemu:///system.");

    // Everything of it is killed at once: its machine goes with the connection, its network stays.
    scenario.up_early();
    is_up(&host.lab(&words));
    let run = run_of(&host.has("list"));
    let killed = host.command("pkill", &["-KILL", "-f", "unshare.*cell-init"]);
    assert!(killed.status.success(), "{}", printed(&killed));
    // Processes that are killed take a moment to end.
    eventually(DEADLINE, || {
        let swept = printed(&host.lab(&["gc"]));
        let is_swept = has_line(&swept, &format!("removed network {run}-net"));
        is(is_swept, swept)
    });
    eventually(DEADLINE, || {
        let all = host.has("list");
        is(all == [FOREIGN], format!("{all:?}"))
    });
    nothing_is_left_on(&host, &networks);
    let again = printed(&host.lab(&["gc"]));
    assert_line(&again, "No leftovers on qemu:///system.");
}

/// The name of the run whose only machine is among these, beside the foreign one.
fn run_of(machines: &[String]) -> String {
    let mut ours = machines.iter().filter(|name| *name != FOREIGN);
    match (
        ours.next().map(|name| name.strip_suffix("-node1")),
        ours.next(),
    ) {
        (Some(Some(run)), None) => run.to_owned(),
        _ => panic!("{machines:?}"),
    }
}

/// Asserts that the host has its own machine and networks, and nothing of a lab.
fn nothing_is_left_on(host: &Host, networks: &[String]) {
    assert_eq!(host.has("list"), [FOREIGN]);
    assert_eq!(host.has("net-list"), networks);
    let folders = host.command("ls", &["/run/bootlab"]);
    assert_eq!(String::from_utf8_lossy(&folders.stdout), "");
}

/// Cable between the host and the desk.
const CABLE: &str = r#"
set -e
ip netns add desk
ip link add desk type veth peer name machine netns desk
ip link set desk up
ip -n desk link set machine up
"#;

/// Asks for an address as a machine on the desk would.
const ASK: &str =
    "ip netns exec desk busybox udhcpc -i machine -f -n -q -t 3 -T 1 -s /bin/true 2>&1";

#[test]
fn a_machine_on_the_desk_is_answered_by_the_lab() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root takes an interface from a host");
        return;
    }
    let host = Host::start();
    let desk = host.scenarios.copy("ipxe-chainload", "desk");
    desk.quick("node1").up_early();
    let laid = host.command("sh", &["-c", CABLE]);
    assert!(laid.status.success(), "{}", printed(&laid));
    let asked = || printed(&host.command("sh", &["-c", ASK]));
    assert_line(&asked(), "udhcpc: no lease, failing");
    let desk = || {
        host.command("ip", &["link", "show", "desk"])
            .status
            .success()
    };
    assert!(desk());

    let artifacts = host.scenarios.artifacts().join("desk");
    let up = [
        "up", "desk", "--detach", "--accel", "tcg", "--attach", "desk",
    ];
    let place = ["--artifacts", artifacts.to_str().unwrap()];
    // Nobody can be asked here.
    let unasked = host.lab(&[&up[..], &place].concat());
    assert_eq!(unasked.status.code(), Some(2), "{}", printed(&unasked));
    assert_line(
        &printed(&unasked),
        "…: --attach removes desk from this host until the lab is down; confirm with --yes",
    );
    let up = host.lab(&[&up[..], &place, &["--yes"]].concat());
    is_up(&up);
    let hints = printed(&up);
    assert_line(
        &hints,
        "  lab console node1 … serial console; Ctrl-] detaches",
    );
    assert_line(
        &hints,
        "  lab down … stop the lab and remove everything in it",
    );
    assert!(!desk(), "the host has it still");
    eventually(DEADLINE, || {
        let answered = asked();
        is(
            has_line(&answered, "udhcpc: lease of 192.168.92.… obtained…"),
            answered,
        )
    });

    let down = host.lab(&["down", "desk"]);
    let is_down = said(&down, &["down", "desk"], 0);
    assert_line(&is_down, "… desk@bios is down.");
    assert_line(&printed(&host.lab(&["ps"])), "No lab is up.");
    nothing_is_left(&artifacts);
    assert!(desk(), "the host does not have it back");
    assert_line(&asked(), "udhcpc: no lease, failing");
}

#[test]
fn a_lab_goes_with_the_host_that_it_was_on() {
    let host = Host::start();
    let gone = host.scenarios.copy("ipxe-chainload", "gone");
    gone.quick("node1").up_early();
    let artifacts = host.scenarios.artifacts();
    let place = ["--accel", "tcg", "--artifacts", artifacts.to_str().unwrap()];
    is_up(&host.lab(&[&["up", "gone", "--detach"], &place[..]].concat()));
    let run = std::fs::read_link(artifacts.join("latest")).unwrap();
    let run = run.to_string_lossy().into_owned();
    let (_, id) = run.rsplit_once('-').unwrap();
    let machines = || {
        let domain = format!("guest=lab-{id}-node1");
        let found = Command::new("pgrep")
            .args(["-f", &domain])
            .output()
            .unwrap();
        String::from_utf8_lossy(&found.stdout).lines().count()
    };
    assert_eq!(
        machines(),
        1,
        "its machine can't be seen, so its absence would prove nothing"
    );
    let lab = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(arguments)
            .output()
            .unwrap();
        printed(&output)
    };
    let notes = || {
        let image = lab(&["images", "path"]);
        let image = image
            .lines()
            .find(|line| line.contains("/images/"))
            .unwrap();
        let cache = std::path::Path::new(image).ancestors().nth(3).unwrap();
        let notes = std::fs::read_dir(cache.join("alive")).unwrap().flatten();
        let notes = notes.map(|note| note.file_name().to_string_lossy().into_owned());
        notes.filter(|note| note.starts_with(id)).count()
    };
    // Seen from outside there is a note, and nothing that could be reached.
    assert!(!lab(&["ps"]).contains(id));
    assert_eq!(notes(), 1);

    drop(host);
    eventually(DEADLINE, || is(machines() == 0, "the machine runs on"));
    assert!(!lab(&["ps"]).contains(id));
    assert_eq!(notes(), 0, "a note of it stays");
}
