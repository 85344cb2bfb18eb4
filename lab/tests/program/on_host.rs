//! `--connect`: network and machines on a libvirt that is the host's own. Here that is the private one of a cell which
//! was kept: seen from inside it is a host with nothing else on it.

use crate::host::Host;
use crate::support::{Scenarios, printed};

#[test]
fn a_lab_on_the_hosts_libvirt_leaves_what_is_not_its_own_alone() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root answers the ports of a host");
        return;
    }
    let host = Host::start();
    host.scenarios.copy("pxe-dhcp", "real").quick("node1");
    let network = host.scenarios.folder().join("somebody.xml");
    let xml =
        "<network><name>somebody</name><ip address='10.99.1.1' netmask='255.255.255.0'/></network>";
    std::fs::write(&network, xml).unwrap();
    let made = host.command("virsh", &["net-create", network.to_str().unwrap()]);
    assert!(made.status.success(), "{}", printed(&made));

    let artifacts = host.scenarios.artifacts();
    let artifacts = ["--artifacts", artifacts.to_str().unwrap()];
    let on_host = ["--connect", "qemu:///system"];
    let up = [&["up", "real", "--detach"], &on_host[..], &artifacts].concat();
    let up = host.lab(&up);
    assert_eq!(up.status.code(), Some(0), "{}", printed(&up));
    let machines = host.has("list");
    assert!(
        machines.len() == 1 && machines[0].ends_with("-node1"),
        "{machines:?}"
    );
    let named = host.lab(&["exec", "node1", "--lab", "real", "--", "hostname"]);
    assert!(
        String::from_utf8_lossy(&named.stdout).contains("pxe-dhcp-one"),
        "{}",
        printed(&named)
    );
    // Its subnet is taken now.
    let clash = host.lab(&[&["run", "real"], &on_host[..], &artifacts].concat());
    assert_eq!(clash.status.code(), Some(69), "{}", printed(&clash));
    assert!(
        printed(&clash).contains("192.168.90.0/24"),
        "{}",
        printed(&clash)
    );

    // What is up is not garbage.
    host.lab(&["gc"]);
    assert_eq!(host.has("list"), machines);

    // Everything of it is killed at once: its machine goes with the connection, its network stays.
    let run = machines[0].trim_end_matches("-node1").to_owned();
    let killed = host.command("pkill", &["-KILL", "-f", "unshare.*cell-init"]);
    assert!(killed.status.success(), "{}", printed(&killed));
    let swept = host.lab(&["gc"]);
    assert!(
        printed(&swept).contains(&format!("removed network {run}-net")),
        "{}",
        printed(&swept)
    );
    assert_eq!(host.has("list"), Vec::<String>::new());
    assert_eq!(host.has("net-list"), ["somebody"]);
    let again = host.lab(&["gc"]);
    assert!(
        printed(&again).contains("Nothing is left"),
        "{}",
        printed(&again)
    );

    // Brought up and ended in order, nothing is left to be swept.
    let run = [&["run", "real", "--quiet"], &on_host[..], &artifacts].concat();
    let run = host.lab(&run);
    assert_eq!(run.status.code(), Some(0), "{}", printed(&run));
    assert_eq!(host.has("list"), Vec::<String>::new());
    assert_eq!(host.has("net-list"), ["somebody"]);
    let folders = host.command("ls", &["/run/bootlab"]);
    assert_eq!(String::from_utf8_lossy(&folders.stdout), "");
}

#[test]
fn where_no_machine_can_be_put_is_told() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "real");
    for (uri, why) in [
        ("qemu:///session", "no networks"),
        ("qemu+tls://host/system", "run `lab` there"),
        ("qemu+ssh://host/session", "no networks"),
        ("test:///default", "boots no machine"),
    ] {
        let run = scenarios
            .lab_run()
            .args(["real", "--connect", uri])
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{}", printed(&run));
        assert!(printed(&run).contains(why), "{}", printed(&run));
    }
}
