//! Services of the user (`[[service]]`): bundled stacks of other programs, the lab's own boot server as one of them, and
//! services that fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use test_support::assert_line;

use crate::support::{ScenarioCopy, Scenarios, copy_all, printed, project_scenarios};

/// The boot server beside the `lab` program.
fn boot_server() -> PathBuf {
    let lab = PathBuf::from(assert_cmd::cargo::cargo_bin!("lab"));
    let program = lab.with_file_name("boot-server");
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// Replaces the lab's own servers by a `boot-server` whose events nobody reads.
fn with_plain_boot_server(copy: ScenarioCopy, plays: &[&str], sections: &str) -> ScenarioCopy {
    let program = boot_server();
    let config = format!(
        "interface = \"{{interface}}\"\naddress = \"{{address}}\"\n{sections}\n[tftp]\n\
         [http]\nlisten = \"{{address}}:8080\"\ndata = \"{{data}}\"\nassets = \"{{assets}}\"\n"
    );
    fs::write(copy.toml().with_file_name("boot-server.toml.in"), config).unwrap();
    copy.edit_toml(|scenario| {
        let is_proxy = plays.contains(&"proxy-dhcp");
        scenario.remove("services");
        if is_proxy {
            let dhcp = toml::Table::from_iter([("dhcp".to_owned(), "libvirt".into())]);
            scenario.insert("services".into(), dhcp.into());
        }
        scenario.insert("machines".into(), "simulated".into());
        let text = format!(
            "name = \"plain\"\ncommand = [{:?}, \"--config\", \"{{dir}}/boot-server.toml\"]\n\
             plays = {plays:?}\nready = {{ tcp = 8080 }}\n",
            program.display().to_string()
        );
        let service: toml::Table = text.parse().unwrap();
        scenario.insert("service".into(), vec![service].into());
    })
}

/// The config service and Pixiecore as two programs, as in real deployments.
fn with_plain_pixiecore(copy: ScenarioCopy) {
    let program = boot_server();
    let write = |file: &str, text: &str| {
        fs::write(copy.toml().with_file_name(file), text).unwrap();
    };
    write(
        "api.toml.in",
        "[http]\nlisten = \"{host}:8080\"\ndata = \"{data}\"\nassets = \"{assets}\"\n",
    );
    write(
        "plain.toml.in",
        "interface = \"{interface}\"\naddress = \"{address}\"\n\
         [pixiecore]\napi = \"http://{host}:8080/pixiecore\"\n[tftp]\n",
    );
    copy.edit_toml(|scenario| {
        let dhcp = toml::Table::from_iter([("dhcp".to_owned(), "libvirt".into())]);
        scenario.insert("services".into(), dhcp.into());
        scenario.insert("machines".into(), "simulated".into());
        let service = |name: &str, keys: &str| -> toml::Table {
            let text = format!(
                "name = \"{name}\"\ncommand = [{:?}, \"--config\", \"{{dir}}/{name}.toml\"]\n{keys}",
                program.display().to_string()
            );
            text.parse().unwrap()
        };
        let services = vec![
            service("api", "plays = [\"config\"]\nready = { tcp = 8080 }"),
            service(
                "plain",
                "plays = [\"proxy-dhcp\", \"tftp\", \"http\"]\nready = { udp = 4011 }\nafter = [\"api\"]",
            ),
        ];
        scenario.insert("service".into(), services.into());
    });
}

/// The two environments whose simulated faults are defined, without any server of the lab.
fn plain_environments() -> Scenarios {
    let scenarios = Scenarios::new();
    with_plain_boot_server(
        scenarios.copy("ipxe-chainload", "ipxe-chainload"),
        &["dhcp", "tftp", "http", "config"],
        "[boot]\nchainload_ipxe = true\n[dhcp]\nsubnet = \"192.168.92.0/24\"\nfirst = \"192.168.92.2\"\n\
         last = \"192.168.92.254\"\nprobe_ms = 0\nlease_seconds = 3600",
    );
    with_plain_boot_server(
        scenarios.copy("proxy-dhcp", "proxy-dhcp"),
        &["proxy-dhcp", "tftp", "http", "config"],
        "[proxy_dhcp]",
    );
    scenarios
}

/// Lines of the evidence of an attempt.
fn evidence(scenarios: &Scenarios, unit: &str) -> Vec<Value> {
    let attempt = scenarios.artifacts().join("latest").join(unit);
    let file = attempt.join("attempt-1/evidence.jsonl");
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn plain_boot_server_is_judged_by_wire_and_console_alone() {
    let scenarios = plain_environments();
    with_plain_pixiecore(scenarios.copy("pixiecore", "pixiecore"));
    // Simulated machines do not run PXELINUX; they boot by iPXE from the same server.
    let pxe_dhcp = scenarios
        .copy("pxe-dhcp", "pxe-dhcp")
        .edit_toml(|scenario| {
            scenario.remove("boot");
        });
    with_plain_boot_server(
        pxe_dhcp,
        &["dhcp", "tftp", "http", "config"],
        "[dhcp]\nsubnet = \"192.168.90.0/24\"\nfirst = \"192.168.90.2\"\nlast = \"192.168.90.254\"\n\
         probe_ms = 0",
    );
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    for unit in [
        "ipxe-chainload@bios",
        "ipxe-chainload@uefi",
        "ipxe-chainload@uefi-http",
        "proxy-dhcp@bios",
        "proxy-dhcp@uefi",
        "pxe-dhcp@bios",
        "pixiecore@bios",
        "pixiecore@uefi",
    ] {
        let records = evidence(&scenarios, unit);
        let is = |record: &Value, seen: &str| record["seen"] == seen;
        assert!(!records.iter().any(|one| is(one, "server")), "{unit}");
        let lines = records.iter().filter(|one| is(one, "service_line"));
        let mut of_service = lines.filter(|one| one["service"] == "plain");
        assert!(of_service.any(|one| one["stream"] == "stdout"), "{unit}");
    }
}

/// Faults of the lab's own server, which an operator makes in `boot-server.toml`, written as changes of that file.
fn as_change_of_the_config(fault: &mut toml::Table, config: &str) {
    let Some(server) = fault.remove("server") else {
        return;
    };
    let mut changed: toml::Table = config.parse().unwrap();
    for section in server
        .get("without")
        .and_then(|one| one.as_array())
        .into_iter()
        .flatten()
    {
        changed.remove(section.as_str().unwrap());
    }
    for (section, values) in server
        .get("set")
        .and_then(|one| one.as_table())
        .into_iter()
        .flatten()
    {
        let empty = || toml::Value::Table(toml::Table::new());
        let section = changed.entry(section.clone()).or_insert_with(empty);
        section
            .as_table_mut()
            .unwrap()
            .extend(values.as_table().unwrap().clone());
    }
    let change = toml::Table::from_iter([
        ("file".to_owned(), "boot-server.toml.in".into()),
        ("replace".to_owned(), config.into()),
        ("with".to_owned(), toml::to_string(&changed).unwrap().into()),
    ]);
    let changes = fault
        .entry("change")
        .or_insert_with(|| toml::Value::Array(Vec::new()));
    changes.as_array_mut().unwrap().push(change.into());
}

/// Copies every simulated fault that can apply to a server whose events are not read. Returns the expected causes.
fn plain_faults(scenarios: &Scenarios) -> Vec<(String, Option<String>)> {
    let faults = scenarios.folder().join("faults");
    let mut expected = Vec::new();
    for entry in fs::read_dir(project_scenarios().join("faults")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        scenarios.copy(&format!("faults/{name}"), &format!("faults/{name}"));
        let file = faults.join(&name).join("fault.toml");
        let mut fault: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
        let base = fault["scenario"].as_str().unwrap().to_owned();
        let is_simulated = fault.get("machines").and_then(|one| one.as_str()) == Some("simulated");
        // The trigger of a kill is an event of the lab's own server.
        let applies = is_simulated
            && ["ipxe-chainload", "proxy-dhcp"].contains(&base.as_str())
            && !fault.contains_key("kill");
        if !applies {
            fs::remove_dir_all(faults.join(&name)).unwrap();
            continue;
        }
        let config = scenarios.folder().join(&base).join("boot-server.toml.in");
        as_change_of_the_config(&mut fault, &fs::read_to_string(config).unwrap());
        fs::write(&file, toml::to_string(&fault).unwrap()).unwrap();
        let cause = fault["expect"].get("cause").and_then(|one| one.as_str());
        expected.push((name, cause.map(str::to_owned)));
    }
    expected
}

/// Loss at random: without the server's events, a transfer that lost its first blocks may look like a dead server.
const BY_CHANCE: (&str, [&str; 2]) = ("packet-loss-25", ["packet-loss", "tftp-server-died"]);

#[test]
fn fault_of_a_plain_boot_server_has_the_cause_that_events_would_show() {
    let scenarios = plain_environments();
    let expected = plain_faults(&scenarios);
    assert!(expected.len() > 20, "{expected:?}");
    let mut run = scenarios.lab_run();
    run.args(["--faults", "--machines", "simulated"]);
    let all = printed(&run.output().unwrap());
    let file = scenarios.artifacts().join("latest/faults.json");
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{error}: {all}"));
    let results: Vec<Value> = serde_json::from_str(&text).unwrap();
    for (name, cause) in expected {
        let result = results.iter().find(|one| one["name"] == name.as_str());
        let found = &result.unwrap_or_else(|| panic!("{name}: {all}"))["found"];
        let found = match found["found"].as_str() {
            Some("fail") => found["cause"].as_str().unwrap_or("unexplained"),
            other => other.unwrap_or_default(),
        };
        if name == BY_CHANCE.0 {
            assert!(BY_CHANCE.1.contains(&found), "{name}: {found}\n{all}");
            continue;
        }
        let wanted = cause.as_deref().unwrap_or("pass");
        assert_eq!(found, wanted, "{name}\n{all}");
    }
    // A cause names the service that it concerns, with its program.
    let explained = scenarios
        .artifacts()
        .join("latest/fault/kernel-not-found@bios/attempt-1/nodes/node1/explain.txt");
    let text = fs::read_to_string(explained).unwrap();
    assert_line(&text, "…plain (dhcp, tftp, http, config)…");
    assert_line(&text, "…program boot-server; it printed `…");
}

/// The bundled stacks of other programs, with simulated machines.
fn stacks() -> Scenarios {
    let scenarios = Scenarios::new();
    for name in ["dnsmasq-alone", "kea-stack"] {
        let copy = scenarios.copy(&format!("stacks/{name}"), name);
        copy.edit_toml(|scenario| {
            scenario.insert("machines".into(), "simulated".into());
        });
    }
    scenarios
}

#[test]
fn bundled_stacks_boot_their_machines_with_nothing_of_ours() {
    let scenarios = stacks();
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    for unit in ["dnsmasq-alone@uefi", "kea-stack@uefi-http"] {
        let records = evidence(&scenarios, unit);
        assert!(!records.iter().any(|one| one["seen"] == "server"), "{unit}");
        let left: Vec<&Value> = records
            .iter()
            .filter(|one| one["seen"] == "service_left")
            .collect();
        assert!(left.is_empty(), "{unit}: {left:?}");
    }
}

/// `dnsmasq-alone` with one simulated machine and a further service, or another web server.
fn with_helper(scenarios: &Scenarios, name: &str, helper: &str) -> ScenarioCopy {
    let service: toml::Table = helper.parse().unwrap();
    let copy = scenarios.copy("stacks/dnsmasq-alone", name);
    copy.quick("node1").edit_toml(|scenario| {
        scenario.insert("machines".into(), "simulated".into());
        let services = scenario["service"].as_array_mut().unwrap();
        services.retain(|one| one["name"] != service["name"]);
        services.push(service.into());
    })
}

/// A web server that dies instead of giving the kernel.
const DYING_SERVER: &str = "import http.server, os, sys
class Server(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if 'vmlinuz' in self.path:
            os.write(2, b'lost the database\\n')
            os._exit(4)
        super().do_GET()
os.chdir('www')
http.server.ThreadingHTTPServer((sys.argv[1], 80), Server).serve_forever()
";

/// A service `helper` that is a shell script.
fn helper(script: &str, keys: &str) -> String {
    format!("name = \"helper\"\ncommand = [\"sh\", \"-c\", {script:?}]\n{keys}")
}

#[test]
fn service_that_fails_is_infra_with_its_last_words_and_what_it_leaves_is_leaked() {
    let scenarios = Scenarios::new();
    with_helper(
        &scenarios,
        "never-ready",
        &helper(
            "echo waiting for the database >&2; sleep 100",
            "ready = { udp = 9, within_seconds = 1 }",
        ),
    );
    with_helper(
        &scenarios,
        "ends-early",
        &helper("echo no such option >&2; exit 3", "ready = { tcp = 9 }"),
    );
    with_helper(
        &scenarios,
        "prepares-in-vain",
        &helper("echo no space left >&2; exit 1", "ready = { exit = 0 }"),
    );
    with_helper(
        &scenarios,
        "leaves-a-process",
        &helper(
            "setsid sleep 1000 & trap : TERM; while true; do sleep 0.1; done",
            "address = \"192.168.97.9\"",
        ),
    );
    // A daemon has left the group of its parent, which ends as it should.
    with_helper(
        &scenarios,
        "leaves-a-daemon",
        &helper(
            "mkdir {state}/m && mount -t tmpfs none {state}/m; setsid sleep 1000 & exec sleep 1000",
            "",
        ),
    );
    let dying = with_helper(
        &scenarios,
        "dies",
        "name = \"files\"\ncommand = [\"python3\", \"server.py\", \"{address}\"]\nplays = [\"http\", \"config\"]\n\
         address = \"192.168.97.3\"\nready = { tcp = 80 }\n",
    );
    fs::write(dying.toml().with_file_name("server.py"), DYING_SERVER).unwrap();
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(102), "{all}");
    for (name, words) in [
        (
            "prepares-in-vain",
            [
                "service helper ended before it was ready: exit status: 1",
                "no space left",
            ],
        ),
        (
            "never-ready",
            [
                "service helper timed out after 1 s: waiting for a socket on UDP port 9",
                "waiting for the database",
            ],
        ),
        (
            "ends-early",
            [
                "service helper ended before it was ready: exit status: 3",
                "no such option",
            ],
        ),
        (
            "dies",
            [
                "files (http, config) ended by itself: exit status: 4",
                "lost the database",
            ],
        ),
    ] {
        let verdict = scenarios.verdict(&format!("{name}@bios"));
        assert_eq!(verdict["verdict"], "infra", "{name}: {verdict:#}\n{all}");
        let why = verdict["why"].as_str().unwrap();
        for word in words {
            assert!(
                why.contains(word),
                "{name} does not say `{word}`: {why}\n{all}"
            );
        }
    }
    for (name, left) in [
        (
            "leaves-a-process",
            ["did not end within 3 s", "(sleep) was left running"],
        ),
        (
            "leaves-a-daemon",
            ["(sleep) was left running", "helper/state/m"],
        ),
    ] {
        let verdict = scenarios.verdict(&format!("{name}@bios"));
        assert_eq!(verdict["verdict"], "leaked", "{name}: {verdict:#}\n{all}");
        let what = verdict["what"].as_str().unwrap();
        assert!(left.iter().all(|one| what.contains(one)), "{name}: {what}");
    }
}

/// The helper ends once, and a program that prepares something waits for its second life before the machine starts.
#[test]
fn service_that_is_always_restarted_serves_again_and_one_that_prepares_may_end() {
    let scenarios = Scenarios::new();
    let copy = with_helper(
        &scenarios,
        "comes-back",
        &helper(
            "if mkdir {state}/was; then echo first life; sleep 0.2; exit 3; fi; \
             echo second life; mkdir {state}/again; exec sleep 1000",
            "restart = \"always\"\nready = { log = \"first\" }",
        ),
    );
    copy.edit_toml(|scenario| {
        let waiter: toml::Table = "name = \"waiter\"\nready = { exit = 0 }\nafter = [\"helper\"]\n\
             command = [\"sh\", \"-c\", \"until [ -d {state}/../../helper/state/again ]; do sleep 0.1; done\"]"
            .parse()
            .unwrap();
        scenario["service"].as_array_mut().unwrap().push(waiter.into());
    });
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    let records = evidence(&scenarios, "comes-back@bios");
    let ended: Vec<&Value> = records
        .iter()
        .filter(|one| one["seen"] == "service_ended")
        .collect();
    let [ended] = ended.as_slice() else {
        panic!("{ended:?}\n{all}");
    };
    assert_eq!(ended["service"], "helper");
    let detail = ended["detail"].as_str().unwrap();
    assert_eq!(detail, "exit status: 3; first life (started again)");
    assert!(records.iter().any(|one| one["line"] == "second life"));
}

#[test]
fn service_that_a_fault_kills_is_a_cause_and_not_infra() {
    let scenarios = Scenarios::new();
    with_helper(
        &scenarios,
        "base",
        &helper(
            "if mkdir {state}/was; then echo first life; else echo second life; fi; exec sleep 1000",
            "",
        ),
    );
    let fault = |name: &str, firmware: &str, text: &str| {
        let folder = scenarios.folder().join("faults").join(name);
        fs::create_dir_all(&folder).unwrap();
        let head = format!(
            "summary = \"{name}\"\nscenario = \"base\"\nfirmware = \"{firmware}\"\nnodes = [\"node1\"]\n\
             machines = \"simulated\"\nboot_seconds = 60\n"
        );
        fs::write(folder.join("fault.toml"), head + text).unwrap();
    };
    // The delays let transfers last longer than the lab needs to see a stage.
    fault(
        "killed-mid-file",
        "uefi",
        "[expect]\nverdict = \"fail\"\nstage = \"nbp\"\ncause = \"service-died\"\n\
         [link]\ndelay_ms = 20\n[kill]\nservice = \"dnsmasq\"\nstage = \"nbp\"\n",
    );
    fault(
        "killed-and-restarted",
        "bios",
        "[expect]\nverdict = \"pass\"\n[link]\ndelay_ms = 20\n\
         [kill]\nservice = \"helper\"\nstage = \"script\"\nrestart_ms = 100\n",
    );
    let mut run = scenarios.lab_run();
    run.args(["--faults", "--machines", "simulated"]);
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let records = evidence(&scenarios, "fault/killed-and-restarted@bios");
    let killed = records.iter().filter(|one| one["seen"] == "service_killed");
    assert_eq!(killed.count(), 1);
    assert!(records.iter().any(|one| one["line"] == "second life"));
}

/// An archive of a root with nothing but BusyBox and its libraries, in the place of an exported container.
fn busybox_root(archive: &Path) {
    let root = tempfile::tempdir().unwrap();
    let listed = Command::new("ldd")
        .arg("/usr/bin/busybox")
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in libraries.chain(["/usr/bin/busybox"]) {
        let to = root.path().join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(root.path(), mode).unwrap();
    for folder in ["bin", "etc"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    // Links of a root lead into the root.
    std::os::unix::fs::symlink("/usr/bin/busybox", root.path().join("bin/sh")).unwrap();
    std::os::unix::fs::symlink("/usr/bin", root.path().join("sbin")).unwrap();
    fs::write(
        root.path().join("etc/passwd"),
        "root:x:0:0::/:/bin/sh\nweb:x:1:1::/:/bin/sh\n",
    )
    .unwrap();
    let packed = Command::new("tar")
        .args(["--create", "--file"])
        .args([
            archive,
            Path::new("--directory"),
            root.path(),
            Path::new("."),
        ])
        .status()
        .unwrap();
    assert!(packed.success());
}

/// Output of `lab run` of these scenarios by an ordinary user, whose cell is a user namespace.
fn run_as_ordinary_user(scenarios: &Scenarios) -> Output {
    if !rustix::process::geteuid().is_root() {
        return scenarios.lab_run().output().unwrap();
    }
    // The user sees this folder only.
    let artifacts = scenarios.artifacts();
    copy_all(&scenarios.folder(), &artifacts.join("scenarios"));
    let lab = assert_cmd::cargo::cargo_bin!("lab");
    let target = lab.ancestors().nth(2).unwrap();
    Command::new(project_scenarios().join("../ci/as-ordinary-user"))
        .arg(&artifacts)
        .args(["run", "/mnt/runs/scenarios", "--artifacts", "/mnt/runs"])
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap()
}

#[test]
fn service_in_a_root_of_its_own_serves_an_ordinary_user_with_the_programs_of_that_root() {
    let scenarios = Scenarios::new();
    let copy = with_helper(
        &scenarios,
        "own-root",
        "name = \"files\"\nrootfs = \"root.tar\"\nplays = [\"http\", \"config\"]\naddress = \"192.168.97.3\"\n\
         ready = { http = \"http://{address}/default.ipxe\" }\n\
         command = [\"sh\", \"-c\", \"busybox ls / >&2; busybox ln -s {assets} www/assets && exec busybox httpd -f -p {address}:80 -h www\"]\n",
    );
    busybox_root(&copy.toml().with_file_name("root.tar"));
    with_helper(
        &scenarios,
        "no-program",
        &helper("true", "rootfs = \"root.tar\"\nuser = \"nobody\""),
    );
    busybox_root(&scenarios.folder().join("no-program/root.tar"));
    let output = run_as_ordinary_user(&scenarios);
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(75), "{all}");
    assert_eq!(
        scenarios.verdict("own-root@bios")["verdict"],
        "pass",
        "{all}"
    );
    let log = "latest/own-root@bios/attempt-1/files/stderr.log";
    let log = fs::read_to_string(scenarios.artifacts().join(log)).unwrap();
    // The root's own folders, and those that the lab shows in it.
    assert!(
        log.contains("sbin") && log.contains("proc") && !log.contains("home"),
        "{log}"
    );
    let verdict = scenarios.verdict("no-program@bios");
    let why = verdict["why"].as_str().unwrap();
    assert_eq!(
        why,
        "service helper ended before it was ready: exit status: 1; lab: cannot become nobody: not in the root's /etc/passwd"
    );
}

#[test]
fn program_of_a_service_that_is_not_installed_is_named_with_its_service() {
    let scenarios = Scenarios::new();
    with_helper(
        &scenarios,
        "absent",
        "name = \"helper\"\ncommand = [\"no-such-program\"]\n",
    );
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(69), "{all}");
    assert_line(
        &all,
        "…not found: no-such-program (service `helper` of scenario `absent`)",
    );
    // podman is not where this run looks for programs.
    let image = "image = \"containers-storage:localhost/stack:1\"\n";
    with_helper(&scenarios, "absent", &helper("true", image));
    let folder = tempfile::tempdir().unwrap();
    let mut run = scenarios.lab_run();
    let output = run.env("PATH", folder.path()).output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(69), "{all}");
    assert_line(
        &all,
        "…not found: podman (image of service `helper` of scenario `absent`)",
    );
    assert_line(&all, "…sudo apt-get install podman");
}

#[test]
fn directory_that_only_grpc_clients_filled_boots_each_machine() {
    let scenarios = Scenarios::new();
    scenarios.copy("stacks/grpc", "grpc");
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    for unit in ["grpc@bios", "grpc@uefi"] {
        let records = evidence(&scenarios, unit);
        let lines = records.iter().filter(|one| one["service"] == "boot");
        let texts: Vec<&str> = lines.filter_map(|one| one["line"].as_str()).collect();
        let events = texts
            .iter()
            .filter_map(|text| serde_json::from_str::<Value>(text).ok());
        let calls = events.filter(|event| event["event"] == "rpc_call");
        assert_eq!(calls.count(), 5, "{unit}: {texts:?}");
    }
}
