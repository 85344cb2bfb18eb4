//! `--connect qemu+ssh://…`: a lab on another host. Laptop and host are one here, but for the user's home: that of who
//! logs in over SSH has nothing in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use test_support::{assert_line, eventually, has_line, is};

use crate::host::Host;
use crate::pty::OnTerminal;
use crate::support::{DEADLINE, Scenarios, printed, said};

/// Home of whoever logs in.
const HOME: &str = "/run/home";

/// URI of libvirt on the host, with the key for the login.
const URI: &str = "qemu+ssh://root@127.0.0.1:2222/system?keyfile=/run/laptop";

/// Commands that prepare the host for logins.
const SET_UP: &str = r#"
set -e
mkdir -m 700 -p /run/home/.ssh
sed 's|^root:.*|root:x:0:0:root:/run/home:/bin/sh|' /etc/passwd >/run/passwd
mount --bind /run/passwd /etc/passwd
dropbearkey -t ed25519 -f /run/host-key >/dev/null 2>&1
ssh-keygen -q -t ed25519 -N '' -f /run/laptop
cat /run/laptop.pub >/run/home/.ssh/authorized_keys
printf '[127.0.0.1]:2222 %s\n' "$(dropbearkey -y -f /run/host-key | grep ^ssh-)" >/run/home/.ssh/known_hosts
chmod 600 /run/home/.ssh/*
"#;

/// SSH server on the host.
const LISTEN: &str = "dropbear -s -r /run/host-key -p 127.0.0.1:2222 -P /run/dropbear.pid";

struct Pair {
    host: Host,
    scenarios: Scenarios,
    /// The laptop's, with the images of the user's.
    cache: tempfile::TempDir,
}

impl Pair {
    fn start() -> Pair {
        let host = Host::start();
        // The network of the cell that the host is: no run's on this libvirt, so that `gc` leaves it alone.
        for network in host.has("net-list") {
            let ended = host.command("virsh", &["net-destroy", &network]);
            assert!(ended.status.success(), "{}", printed(&ended));
        }
        let made = host.command("sh", &["-c", SET_UP]);
        assert!(made.status.success(), "{}", printed(&made));
        let scenarios = Scenarios::new();
        scenarios.copy("ipxe-chainload", "real").quick("node1");
        let image = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["images", "path"])
            .output()
            .unwrap();
        let image = PathBuf::from(String::from_utf8_lossy(&image.stdout).trim());
        let images = image.ancestors().nth(2).unwrap();
        let cache = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(images, cache.path().join("images")).unwrap();
        let pair = Pair {
            host,
            scenarios,
            cache,
        };
        pair.listen();
        pair
    }

    fn listen(&self) {
        let started = self.host.command("sh", &["-c", LISTEN]);
        assert!(started.status.success(), "{}", printed(&started));
    }

    fn words(&self, arguments: &[&str]) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let mut words = vec![
            env!("CARGO_BIN_EXE_lab").into(),
            "--scenarios".into(),
            text(&self.scenarios.folder()),
            "--cache".into(),
            text(self.cache.path()),
        ];
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        words
    }

    fn lab(&self, arguments: &[&str]) -> Output {
        let words = self.words(arguments);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.host.command(words[0], &words[1..])
    }

    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.lab(arguments);
        said(&output, arguments, code)
    }

    /// Folders of remote runs on the host.
    fn visits(&self) -> String {
        let script = format!("ls {HOME}/.cache/bootlab/remote/visits 2>/dev/null");
        let listed = self.host.command("sh", &["-c", &script]);
        String::from_utf8_lossy(&listed.stdout).trim().to_owned()
    }

    fn is_idle(&self) -> bool {
        self.host.has("list").is_empty() && self.host.has("net-list").is_empty()
    }
}

#[test]
fn a_lab_on_another_host_is_used_from_here() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root answers the ports of a host");
        return;
    }
    let pair = Pair::start();
    let artifacts: PathBuf = pair.scenarios.artifacts();
    let there = [
        "--accel",
        "tcg",
        "--connect",
        URI,
        "--artifacts",
        artifacts.to_str().unwrap(),
    ];

    let up = pair.lab(&[&["up", "real", "--detach"], &there[..]].concat());
    assert_eq!(up.status.code(), Some(0), "{}", printed(&up));
    assert_line(&printed(&up), "root@127.0.0.1: sending the image… MiB)");
    assert_line(
        &printed(&up),
        "The lab runs on root@127.0.0.1; the commands above also work from here.",
    );
    let machines = pair.host.has("list");
    assert!(
        machines.len() == 1 && machines[0].ends_with("-node1"),
        "{machines:?}"
    );
    let listed = pair.says(&["ps"], 0);
    assert_line(
        &listed,
        "…  real@bios  since …  http://192.168.92.…  on root@127.0.0.1",
    );
    assert_line(&listed, "  node1  52:54:00:…  192.168.92.…  pass");
    let node = ["node1", "--lab", "real"];
    let hostname = || pair.says(&[&["exec"], &node[..], &["--", "hostname"]].concat(), 0);
    assert_eq!(hostname().trim(), "ipxe-chainload-one");
    let failing = [&["exec"], &node[..], &["--", "(exit 7)"]].concat();
    pair.says(&failing, 7);

    // What is changed here is what it boots with there.
    let config = pair.scenarios.folder().join("real/data/config.yaml");
    let text = fs::read_to_string(&config).unwrap();
    assert_line(&text, "      hostname: ipxe-chainload-one");
    fs::write(
        &config,
        text.replace("hostname: ipxe-chainload-one", "hostname: changed"),
    )
    .unwrap();
    pair.says(&[&["reboot"], &node[..]].concat(), 0);
    eventually(DEADLINE, || {
        is(
            hostname().trim() == "changed",
            "the host name stays as it was",
        )
    });

    let picture = pair.scenarios.folder().join("picture.png");
    let said = pair.says(
        &[&["screenshot"], &node[..], &[picture.to_str().unwrap()]].concat(),
        0,
    );
    assert_eq!(said.trim(), picture.to_str().unwrap());
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let frames = pair.scenarios.folder().join("frames.pcapng");
    pair.says(&["capture", "real", "--write", frames.to_str().unwrap()], 0);
    assert!(
        fs::read(&frames)
            .unwrap()
            .starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
    );

    // What is up is not garbage.
    let swept = pair.says(&["gc", "--connect", URI], 0);
    assert_line(&swept, "No leftovers on ….");
    assert_eq!(pair.host.has("list"), machines);

    pair.says(&["down", "real"], 0);
    assert!(
        pair.is_idle() && pair.visits().is_empty(),
        "{}",
        pair.visits()
    );
    assert_is_a_run(&artifacts.join("latest"));
    assert!(pair.says(&["ps"], 0).lines().eq(["No lab is up."]));

    // Once more, all at once: what was brought is there still.
    fs::write(&config, text).unwrap();
    let junit = pair.scenarios.folder().join("junit.xml");
    let run = [
        &["run", "real", "--junit", junit.to_str().unwrap()],
        &there[..],
    ]
    .concat();
    let run = pair.lab(&run);
    assert_eq!(run.status.code(), Some(0), "{}", printed(&run));
    let sent = "root@127.0.0.1: sending …";
    assert!(!has_line(&printed(&run), sent), "{}", printed(&run));
    assert_line(&fs::read_to_string(&junit).unwrap(), "<testsuites…");
    assert!(
        pair.is_idle() && pair.visits().is_empty(),
        "{}",
        pair.visits()
    );

    for on_terminal in [false, true] {
        killed_here_it_ends_there(&pair, &there, on_terminal);
    }
    let swept = pair.says(&["gc", "--connect", URI], 0);
    assert_line(&swept, "removed visit …");
    let base = pair
        .host
        .command("ls", &[&format!("{HOME}/.cache/bootlab")]);
    assert_eq!(String::from_utf8_lossy(&base.stdout), "");
}

fn killed_here_it_ends_there(pair: &Pair, there: &[&str], on_terminal: bool) {
    let words = pair.words(&[&["up", "real"], there].concat());
    let mut up = Command::new("nsenter");
    up.args(["--target", pair.host.init(), "--all", "--"]);
    up.args(&words);
    let mut up = match on_terminal {
        true => Ok(OnTerminal::start(&up)),
        false => Err(up
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()),
    };
    eventually(DEADLINE, || {
        is(
            !pair.host.has("list").is_empty(),
            "the lab does not come up",
        )
    });
    let ours = "^[^ ]*lab --scenarios .* up real";
    let killed = pair.host.command("pkill", &["-KILL", "-f", ours]);
    assert!(killed.status.success(), "{}", printed(&killed));
    match &mut up {
        Ok(terminal) => drop(terminal.ends(DEADLINE)),
        Err(child) => drop(child.wait().unwrap()),
    }
    eventually(DEADLINE, || {
        is(
            pair.is_idle(),
            format!("{:?} is left", pair.host.has("list")),
        )
    });
}

fn assert_is_a_run(folder: &Path) {
    let run = fs::read_to_string(folder.join("run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let unit = &run["units"][0];
    let (scenario, firmware) = (&unit["scenario"], &unit["firmware"]);
    assert_eq!(
        (scenario, firmware),
        (&"real".into(), &"bios".into()),
        "{run:#}"
    );
    let console = folder.join("real@bios/attempt-1/nodes/node1/console.log");
    assert!(fs::metadata(console).unwrap().len() > 0);
}
