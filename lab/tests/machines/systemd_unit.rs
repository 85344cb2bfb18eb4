//! The unit that operators install, under a real systemd: in a machine that booted from the network, the boot
//! server is started by its own unit, without one word of it changed, and gives an address to a client there.
//!
//! That machine boots from a Pixiecore of the user's own, as a scenario may name it: the lab starts the command line.
//! The program is our boot server in Pixiecore mode, started as a stranger would be, telling the lab nothing.

use std::fs;
use std::path::Path;

use crate::support::{Scenarios, printed};

/// Commands that start Pixiecore for the machine and offer it the program.
const HOST_SCRIPT: &str = r#"
printf 'interface = "%s"\naddress = "%s"\n[pixiecore]\napi = "%s"\n[tftp]\n' \
    "$1" "$2" "$3" > /run/lab/pixiecore.toml
mkdir /run/lab/nothing /run/lab/nothing/specs
echo 'api_version: v1alpha1' > /run/lab/nothing/config.yaml
printf '[http]\nlisten = "%s:8090"\ndata = "/run/lab/nothing"\nassets = "%s"\n' "$2" "$4" > /run/lab/offer.toml
"$0" --config /run/lab/offer.toml &
offer=$!
"$0" --config /run/lab/pixiecore.toml &
trap "kill $offer $!" TERM
wait
wait
"#;

/// The boot server's own configuration in the machine.
const CONFIG: &str = r#"
interface = "lab0"

[dhcp]
subnet = "10.99.0.0/24"
first = "10.99.0.50"
last = "10.99.0.60"
lease_file = "/var/lib/boot-server/leases"

[tftp]
roots = ["/etc/boot-server/tftp"]

[http]
listen = "10.99.0.1:80"
data = "/etc/boot-server/data"
"#;

/// Fetches the program, and BusyBox for its clients, with nothing but bash; lays a cable to a client in a namespace of its own.
const PREPARE: &str = r#"
set -eux
mkdir -p /opt /etc/boot-server/tftp /etc/boot-server/data/specs
for file in boot-server busybox; do
  exec 3<>/dev/tcp/192.168.93.1/8090
  printf 'GET /assets/%s HTTP/1.0\r\n\r\n' $file >&3
  while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do :; done
  cat <&3 > /opt/$file
  exec 3>&-
done
chmod 755 /opt /opt/boot-server /opt/busybox
echo nbp > /etc/boot-server/tftp/nbp
echo 'api_version: v1alpha1' > /etc/boot-server/data/config.yaml
chmod -R a+rX /etc/boot-server
ip netns add client
ip link add lab0 type veth peer name lab1 netns client
ip address add 10.99.0.1/24 dev lab0
ip link set lab0 up
ip -n client link set lab1 up
"#;

/// Looks at the running unit from all sides.
const PROVE: &str = r#"
set -eux
pid() { systemctl show --property MainPID --value boot-server; }
status() { grep "^$1:" /proc/$(pid)/status; }
ask() {
  ip netns exec client /opt/busybox udhcpc -i lab1 -n -q -t 100 -T 1 -s /bin/true 2>&1 | tee /run/asked
  grep -q '10.99.0.50' /run/asked
}
# Not root, and with ports below 1024 and raw sockets as its only rights.
if status Uid | grep -qw 0; then exit 1; fi
status CapEff | grep -q 0000000000002400
status CapBnd | grep -q 0000000000002400
status NoNewPrivs | grep -q 1
status Seccomp | grep -q 2
ask
ip -n client address add 10.99.0.50/24 dev lab1
ip netns exec client /opt/busybox wget -q -O /run/healthy http://10.99.0.1/healthz
ip netns exec client /opt/busybox tftp -g -r nbp -l /run/nbp 10.99.0.1
grep -q nbp /run/nbp
test -s /var/lib/boot-server/leases
grep -q '"event":"dhcp' /var/log/boot-server/events.jsonl
# A reload is no restart.
first=$(pid)
systemctl reload boot-server
test "$(pid)" = "$first"
# Killed, it is back with the leases that it gave.
kill -KILL "$first"
tries=0
until [ "$(pid)" != "$first" ] && [ "$(pid)" != 0 ] && systemctl is-active --quiet boot-server; do
  tries=$((tries + 1)); [ $tries -lt 1000 ]; sleep 0.2
done
ip -n client address flush dev lab1
ask
# A configuration that cannot be: told, and not tried again.
echo 'interfce = "lab0"' >> /etc/boot-server/boot-server.toml
if systemctl restart boot-server; then exit 1; fi
test "$(systemctl show --property ExecMainStatus --value boot-server)" = 2
test "$(systemctl show --property NRestarts --value boot-server)" = 0
sed -i '$d' /etc/boot-server/boot-server.toml
systemctl restart boot-server
"#;

/// A text as the lines of a YAML block that stands `depth` spaces deep.
fn block(text: &str, depth: usize) -> String {
    let indent = " ".repeat(depth);
    text.trim_start_matches('\n')
        .lines()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

fn oneshot(name: &str, description: &str, depends: &str, script: &str) -> String {
    format!(
        "    - name: {name}\n      command: start\n      content: |\n        [Unit]\n        \
         Description={description}\n        {depends}\n        [Service]\n        Type=oneshot\n        \
         RemainAfterExit=yes\n        StandardError=journal+console\n        ExecStart=/bin/bash {script}\n"
    )
}

fn cloud_config(unit: &str) -> String {
    let mut text = "#cloud-config\nhostname: pixiecore-two\nwrite_files:\n".to_owned();
    for (path, content) in [
        ("/etc/boot-server/boot-server.toml", CONFIG),
        ("/etc/lab/prepare.sh", PREPARE),
        ("/etc/lab/prove.sh", PROVE),
    ] {
        text += &format!("  - path: {path}\n    content: |\n{}", block(content, 6));
    }
    text += "coreos:\n  units:\n";
    text += &oneshot(
        "prepare.service",
        "Fetches the boot server",
        "Before=boot-server.service",
        "/etc/lab/prepare.sh",
    );
    text += &format!(
        "    - name: boot-server.service\n      command: start\n      content: |\n{}      drop_ins:\n        \
         - name: 10-where.conf\n          content: |\n            [Unit]\n            Requires=prepare.service\n            \
         After=prepare.service\n            [Service]\n            StandardError=journal+console\n            ExecStart=\n            \
         ExecStart=/opt/boot-server --config /etc/boot-server/boot-server.toml\n",
        block(unit, 8)
    );
    text += &oneshot(
        "prove.service",
        "Looks at the running boot server",
        "Wants=boot-server.service\n        After=boot-server.service",
        "/etc/lab/prove.sh",
    );
    text
}

#[test]
fn the_unit_starts_serves_reloads_and_recovers_under_systemd() {
    let scenarios = Scenarios::new();
    let server = assert_cmd::cargo::cargo_bin!("lab").with_file_name("boot-server");
    let offered = tempfile::tempdir().unwrap();
    fs::copy("/bin/busybox", offered.path().join("busybox")).unwrap();
    // Half of it is lines for debuggers, which the machine would fetch too.
    let stripped = offered.path().join("boot-server");
    let done = std::process::Command::new("strip")
        .arg("-o")
        .args([&stripped, &server])
        .status()
        .unwrap();
    assert!(done.success());
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../boot-server/packaging/boot-server.service");
    let cloud_config = cloud_config(&fs::read_to_string(unit).unwrap());
    scenarios
        .copy("pixiecore", "systemd-unit")
        .quick("node2")
        .edit_toml(|scenario| {
            let words = [
                "/bin/sh",
                "-c",
                HOST_SCRIPT,
                server.to_str().unwrap(),
                "{interface}",
                "{address}",
                "{api}",
                offered.path().to_str().unwrap(),
            ];
            let mut command = toml::Table::new();
            command.insert("command".into(), words.to_vec().into());
            scenario["services"]["pixiecore"] = command.into();
            let expect = scenario["node"][0]["expect"].as_table_mut().unwrap();
            expect.insert(
                "units_active".into(),
                vec!["boot-server.service", "prove.service"].into(),
            );
            // Files of the cloud-config that is not this machine's any more.
            let files = expect["file"].as_array_mut().unwrap();
            files.retain(|file| file["path"].as_str() == Some("/etc/lab/ignition"));
        });
    fs::write(
        scenarios
            .folder()
            .join("systemd-unit/data/cloud/node2.yaml"),
        cloud_config,
    )
    .unwrap();
    let output = scenarios.lab_run().output().unwrap();
    let console = scenarios
        .artifacts()
        .join("latest/systemd-unit@bios/attempt-1/nodes/node2/console.log");
    let console = fs::read_to_string(console).unwrap_or_default();
    let all = format!("{}\n{console}", printed(&output));
    assert_eq!(output.status.code(), Some(0), "{all}");
    assert_eq!(
        scenarios.verdict("systemd-unit@bios")["verdict"],
        "pass",
        "{all}"
    );
}
