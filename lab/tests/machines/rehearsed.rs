//! `lab rehearse`: a rehearsal in which one of two machines has to turn red, in the network of a dnsmasq of the site's
//! own, and one of only the machine that changes, in that of a `boot-server.toml`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use test_support::assert_line;

use crate::rehearsal::{rehearse, site};
use crate::support::{copy_all, printed};

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

fn run_json(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("runs/latest/run.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Name and verdict of each machine of the run.
fn verdicts(run: &Value) -> Vec<(String, Value)> {
    let units = run["units"].as_array().unwrap().iter();
    let nodes = units.flat_map(|unit| unit["nodes"].as_array().unwrap());
    nodes
        .map(|node| {
            (
                node["name"].as_str().unwrap().to_owned(),
                node["verdict"].clone(),
            )
        })
        .collect()
}

#[test]
fn the_machine_whose_unit_fails_turns_red_in_the_network_of_the_sites_own_dnsmasq() {
    let site = site();
    let folder = site.path();
    // The site knows its boot config service by name, and dnsmasq gives addresses, iPXE and the script.
    for spec in ["etcd", "client"] {
        let file = folder.join(format!("data/specs/{spec}/spec.json"));
        replace(&file, "192.168.94.1:8080", "bootcfg.example.com:8080");
    }
    let conf = "port=53\ninterface=rack7\nbind-dynamic\nno-resolv\nno-hosts\nuser=dnsmasq\n\
                dhcp-range=192.168.94.100,192.168.94.150,255.255.255.0,12h\n\
                dhcp-userclass=set:ipxe,iPXE\nenable-tftp\ntftp-root=/usr/lib/ipxe\n\
                dhcp-boot=tag:!ipxe,undionly.kpxe\n\
                dhcp-boot=tag:ipxe,http://bootcfg.example.com:8080/boot.ipxe\n\
                address=/elsewhere.example.com/192.168.94.7\n";
    fs::write(folder.join("dnsmasq.conf"), conf).unwrap();
    let unit = folder.join("data/cloud/client.yaml");
    replace(
        &unit,
        "/usr/bin/test -s /etc/profile.d/etcdctl.sh",
        "/usr/bin/test -s /etc/gone",
    );

    let output = rehearse(
        folder,
        &[
            "--network",
            "dnsmasq.conf",
            "--only",
            "etcd1,client1",
            "--memory",
            "512",
            "--display",
        ],
    );
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(100), "{all}");
    let run = run_json(folder);
    let verdicts = verdicts(&run);
    let [(etcd1, good), (client1, bad)] = verdicts.as_slice() else {
        panic!("{verdicts:?}");
    };
    assert_eq!((etcd1.as_str(), client1.as_str()), ("etcd1", "client1"));
    assert_eq!(good["verdict"], "pass", "{all}");
    assert_eq!(
        (&bad["verdict"], &bad["stage"]),
        (&"fail".into(), &"config-applied".into()),
        "{all}"
    );
    assert_eq!(
        bad["why"],
        "the console says `[FAILED] Failed to start etcd-client.service.`, and one failure more",
        "{bad:#}"
    );

    // A picture of the one that failed, and of no other.
    let attempt = run["units"][0]["attempts"][0]["artifacts"]
        .as_str()
        .unwrap();
    let nodes = folder.join("runs/latest").join(attempt).join("nodes");
    let has_picture = |node: &str| {
        let files = fs::read_dir(nodes.join(node)).unwrap().flatten();
        files
            .filter(|file| {
                file.path()
                    .extension()
                    .is_some_and(|kind| kind == "png" || kind == "ppm")
            })
            .count()
    };
    assert_eq!(
        (has_picture("client1"), has_picture("etcd1")),
        (1, 0),
        "{all}"
    );

    let rehearsal = &run["rehearsal"];
    let seconds = |key: &str| rehearsal[key].as_f64().unwrap();
    let whole = run["seconds"].as_f64().unwrap();
    assert!(
        seconds("boot_seconds") > 0.0 && seconds("harness_seconds") > 0.0,
        "{rehearsal:#}"
    );
    assert!((seconds("boot_seconds") + seconds("harness_seconds") - whole).abs() < 0.1);
    let stand_in =
        "/assets/coreos/current: the stand-in under these names, not CoreOS itself (2 machines)";
    assert_eq!(rehearsal["images"], serde_json::json!([stand_in]));
    let open = [
        "unit etcd2.service: belongs to CoreOS, which the stand-in does not contain",
        "its users and their keys: no login is tested",
    ];
    assert_eq!(rehearsal["unproven"]["etcd1"], serde_json::json!(open));
    let page = fs::read_to_string(folder.join("runs/latest/index.html")).unwrap();
    assert_line(&page, "…>Not checked</h2>…unit etcd2.service…");
    let junit = fs::read_to_string(folder.join("runs/latest/junit.xml")).unwrap();
    assert_line(&junit, "…<property name=\"rehearsal\" value=\"…");
}

#[test]
fn only_the_machine_that_changes_is_booted_in_the_network_of_a_boot_server_toml() {
    let site = site();
    let folder = site.path();
    copy_all(&folder.join("data"), &folder.join("before"));
    let config = "interface = \"eth0\"\naddress = \"192.168.94.1\"\n[dhcp]\nsubnet = \"192.168.94.0/24\"\n\
                  first = \"192.168.94.50\"\nlast = \"192.168.94.99\"\nlease_file = \"leases\"\n[tftp]\n\
                  [http]\nlisten = \"192.168.94.1:8080\"\ndata = \"/var/lib/bootcfg\"\n";
    fs::write(folder.join("boot-server.toml"), config).unwrap();
    replace(
        &folder.join("data/cloud/etcd.yaml"),
        "etcd on",
        "etcd, new, on",
    );

    let output = rehearse(
        folder,
        &[
            "--network",
            "boot-server.toml",
            "--changed",
            "./before",
            "--memory",
            "512",
        ],
    );
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    assert_line(&all, "Machines whose plan differs from ./before: 1 of 3.");
    let verdicts = verdicts(&run_json(folder));
    assert_eq!(verdicts.len(), 1, "{all}");
    assert_eq!(
        (verdicts[0].0.as_str(), &verdicts[0].1["verdict"]),
        ("etcd1", &"pass".into())
    );
    // What the configuration would write on the host stays unwritten.
    assert!(!folder.join("leases").exists());
}
