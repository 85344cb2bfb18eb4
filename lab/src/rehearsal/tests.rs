//! Rehearsals of the sites in `scenarios/rollout/`, and of sites in which something is wrong.

use std::fs;

use boot_server_catalog::load::Source as DataSource;
use lab_model::scenario::{DataCheck, Image, MatchedBy, Scenario};
use lab_report::RunSummary;
use lab_report::exit_code::ExitCode;
use rollout::inventory::read;
use tempfile::tempdir;

use super::*;

fn scenarios_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn network(name: &str) -> Environment {
    let folder = scenarios_folder().join(name);
    Environment::of_scenario(&Scenario::load_with(&folder, DataCheck::Skip).unwrap()).unwrap()
}

/// A site: its directory and its machines.
struct Rack {
    data: PathBuf,
    snapshot: Snapshot,
    inventory: Inventory,
    /// In the place of the stand-in.
    image: TempDir,
    secure_boot: Option<KeySet>,
}

impl Rack {
    fn open(data: &Path, machines: &Path) -> Rack {
        let image = tempdir().unwrap();
        for file in [Image::KERNEL, Image::INITRD] {
            fs::write(image.path().join(file), file).unwrap();
        }
        Rack {
            data: data.to_owned(),
            snapshot: Snapshot::load(&DataSource::of(data)).0,
            inventory: read::read(machines).unwrap(),
            image,
            secure_boot: None,
        }
    }

    /// One of `scenarios/rollout/`.
    fn example(name: &str) -> Rack {
        let folder = scenarios_folder().join("rollout").join(name);
        let machines = ["toml", "yaml", "json", "csv"]
            .map(|kind| folder.join(format!("machines.{kind}")))
            .into_iter()
            .find(|file| file.is_file())
            .unwrap();
        Rack::open(&folder.join("data"), &machines)
    }

    fn rehearse_with(
        &self,
        environment: Environment,
        assets: Option<&Path>,
    ) -> Result<Rehearsal, RehearsalError> {
        let names = self.inventory.machines.iter();
        Rehearsal::prepare(&Request {
            data: &self.data,
            name: "rack".into(),
            snapshot: &self.snapshot,
            inventory: &self.inventory,
            wanted: names.map(|machine| machine.name.clone()).collect(),
            environment,
            assets,
            image: self.image.path(),
            image_name: Image::STAND_IN.into(),
            memory_mib: 1024,
            secure_boot: self.secure_boot,
        })
    }

    fn rehearse(&self, environment: &str) -> Rehearsal {
        self.rehearse_with(network(environment), None).unwrap()
    }
}

const EXAMPLES: [&str; 6] = [
    "etcd-cluster",
    "kubernetes",
    "matchbox-templates",
    "mixed-rack",
    "single-node-etcd",
    "uefi-http-boot",
];

/// Text of `scenario.toml` by its folder: every example in the network of iPXE, and one with BIOS machines only in
/// each of the others.
fn scenarios() -> BTreeMap<String, String> {
    let rehearsals = EXAMPLES
        .map(|name| (name, "ipxe-chainload"))
        .into_iter()
        .chain(
            ["pxe-dhcp", "proxy-dhcp", "pixiecore"].map(|network| ("single-node-etcd", network)),
        );
    let mut texts = BTreeMap::new();
    for (name, network) in rehearsals {
        for (index, unit) in Rack::example(name)
            .rehearse(network)
            .units
            .iter()
            .enumerate()
        {
            let scenario = Scenario {
                summary: format!("Rehearsal of {name} in the network {network}"),
                ..(*unit.scenario).clone()
            };
            let folder = format!("{name}-{network}-{}", index + 1);
            texts.insert(folder, scenario.to_toml().unwrap());
        }
    }
    texts
}

/// Rewrites the files instead with `UPDATE_REHEARSED=1`.
#[test]
fn rehearsals_of_the_examples_are_those_that_verdicts_are_tested_with() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/tests/rehearsed");
    let rehearsed = scenarios();
    if std::env::var_os("UPDATE_REHEARSED").is_some() {
        fs::remove_dir_all(&folder).unwrap();
        for (name, text) in &rehearsed {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("scenario.toml"), text).unwrap();
        }
    }
    let written = fs::read_dir(&folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path().join("scenario.toml")).unwrap();
        (entry.file_name().into_string().unwrap(), text)
    });
    let written: BTreeMap<String, String> = written.collect();
    assert!(
        written == rehearsed,
        "lab/model/tests/rehearsed is out of date; UPDATE_REHEARSED=1 rewrites it"
    );
}

/// A line for each machine: what it is proved by.
fn shown(rehearsal: &Rehearsal) -> String {
    let mut text = String::new();
    for unit in &rehearsal.units {
        for node in &unit.scenario.nodes {
            let expect = &node.expect;
            let files: Vec<&str> = expect.files.iter().map(|file| file.path.as_str()).collect();
            text += &format!(
                "{} {}: {:?} {}; cloud {:?}, ignition {:?}, host name {:?}\n  active {:?}\n  files {files:?}\n",
                unit.name(),
                node.name,
                expect.matched_by,
                expect.group,
                expect.cloud_config,
                expect.ignition,
                expect.hostname,
                expect.units_active,
            );
        }
    }
    for (machine, things) in &rehearsal.unproven {
        text += &format!("{machine} leaves open: {things:#?}\n");
    }
    text
}

#[test]
fn every_machine_of_the_examples_is_cast() {
    let mut text = String::new();
    for name in EXAMPLES {
        let rack = Rack::example(name);
        let rehearsal = rack.rehearse("ipxe-chainload");
        assert_eq!(rehearsal.hopeless, [], "{name}");
        let nodes = rehearsal.units.iter().map(|unit| unit.scenario.nodes.len());
        assert_eq!(
            nodes.sum::<usize>(),
            rack.inventory.machines.len(),
            "{name}"
        );
        text += &format!("== {name}\n{}", shown(&rehearsal));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_twin_is_its_machine_as_far_as_it_can_be() {
    let rehearsal = Rack::example("mixed-rack").rehearse("ipxe-chainload");
    let mut nodes = rehearsal.units.iter().flat_map(|unit| &unit.scenario.nodes);
    let cache = nodes.find(|node| node.name == "cache1").unwrap();
    assert_eq!(cache.serial.as_deref(), Some("RACK7-0005"));
    assert_eq!(cache.expect.matched_by, MatchedBy::Labels);
    let firmwares: Vec<&str> = rehearsal.units.iter().map(|u| u.firmware.name()).collect();
    assert_eq!(firmwares, ["bios", "uefi", "uefi-http"]);
    let network = &rehearsal.units[0].scenario.network;
    assert_eq!(network.host().to_string(), "192.168.99.1");
}

#[test]
fn pixiecore_knows_a_machine_by_its_mac_only() {
    // etcd1 is matched by UUID: Pixiecore boots it as any other client, which its list does not expect.
    let mut rack = Rack::example("single-node-etcd");
    insta::assert_snapshot!(rack.rehearse("pixiecore").hopeless[0].why);
    for machine in &mut rack.inventory.machines {
        machine.expect = Default::default();
    }
    let rehearsal = rack.rehearse("pixiecore");
    let expect = &rehearsal.units[0].scenario.nodes[0].expect;
    assert_eq!(expect.boot_group(), "clients", "{expect:#?}");
    assert_eq!(expect.group, "etcd", "{expect:#?}");
    assert_eq!(expect.cloud_config.as_deref(), Some("etcd.yaml"));
}

/// A directory of one machine, with one change.
fn site(change: impl FnOnce(&Path)) -> (TempDir, Rack) {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    for (file, text) in [
        (
            "config.yaml",
            "api_version: v1alpha1\ngroups:\n- {name: all, spec: node, require: {mac: '52:54:00:00:00:01'}}\n",
        ),
        (
            "specs/node/spec.json",
            r#"{"id": "node", "boot": {"kernel": "/assets/os/1/vmlinuz", "initrd": ["/assets/os/1/initrd.gz"],
                "cmdline": {"cloud-config-url": "http://10.1.2.3:8080/cloud?mac=${net0/mac:hexhyp}"}},
                "cloud_id": "node.yaml"}"#,
        ),
        ("cloud/node.yaml", "#cloud-config\nhostname: node\n"),
        (
            "../machines.toml",
            "[[machines]]\nname = \"Node.1\"\nmacs = [\"52:54:00:00:00:01\", \"52:54:00:00:00:02\"]\nmemory = \"8 GiB\"\n",
        ),
    ] {
        let file = data.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    change(&data);
    let rack = Rack::open(&data, &folder.path().join("machines.toml"));
    (folder, rack)
}

fn replace(data: &Path, file: &str, from: &str, to: &str) {
    let path = data.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn what_the_list_does_not_say_is_made_up_and_said() {
    let (_folder, rack) = site(|_| {});
    let rehearsal = rack.rehearse("ipxe-chainload");
    let node = &rehearsal.units[0].scenario.nodes[0];
    assert_eq!((node.name.as_str(), node.memory_mib), ("node-1", 1024));
    assert_eq!(node.further_macs.len(), 1);
    assert_eq!(node.expect.kernel.as_deref(), Some("os/1/vmlinuz"));
    assert!(
        rehearsal.unproven["Node.1"][0].contains("UUID"),
        "{:?}",
        rehearsal.unproven
    );
    let again = rack.rehearse("ipxe-chainload");
    assert_eq!(node.uuid, again.units[0].scenario.nodes[0].uuid);
    assert_eq!(
        rehearsal.units[0].scenario.network.host().to_string(),
        "10.1.2.3"
    );
}

/// Returns the reason that the machine of this site is not booted.
fn hopeless(environment: &str, change: impl FnOnce(&Path)) -> (StageName, String) {
    let (_folder, rack) = site(change);
    let rehearsal = rack.rehearse(environment);
    assert!(rehearsal.units.is_empty());
    let [only] = rehearsal.hopeless.as_slice() else {
        panic!("{:?}", rehearsal.hopeless);
    };
    (only.stage, only.why.clone())
}

#[test]
fn a_machine_that_cannot_come_up_is_not_booted_and_has_failed() {
    let spec = "specs/node/spec.json";
    let list = "../machines.toml";
    let (stage, why) = hopeless("ipxe-chainload", |data| {
        replace(data, list, "\"52:54:00:00:00:01\", ", "");
    });
    assert_eq!(stage, StageName::Script);
    insta::assert_snapshot!(why);
    let (_, why) = hopeless("ipxe-chainload", |data| {
        replace(data, list, "memory", "expect.spec = \"other\"\nmemory");
    });
    insta::assert_snapshot!(why);
    let (stage, why) = hopeless("ipxe-chainload", |data| {
        replace(data, "cloud/node.yaml", "#cloud-config", "# cloud-config");
    });
    assert_eq!(stage, StageName::CloudConfig);
    insta::assert_snapshot!(why);
    let (stage, why) = hopeless("ipxe-chainload", |data| {
        replace(data, spec, "/assets/os/1/vmlinuz", "http://mirror/vmlinuz");
    });
    assert_eq!(stage, StageName::Kernel);
    insta::assert_snapshot!(why);
    let (_, why) = hopeless("ipxe-chainload", |data| {
        replace(
            data,
            spec,
            "initrd.gz\"",
            "initrd.gz\", \"/assets/os/1/rootfs.img\"",
        );
    });
    insta::assert_snapshot!(why);
    let (stage, why) = hopeless("pxe-dhcp", |data| {
        replace(data, list, "memory", "firmware = \"uefi\"\nmemory");
    });
    assert_eq!(stage, StageName::Nbp);
    insta::assert_snapshot!(why);
}

#[test]
fn what_has_failed_before_it_was_booted_fails_the_run() {
    let (_folder, rack) = site(|data| replace(data, "cloud/node.yaml", "#cloud", "# cloud"));
    let rehearsal = rack.rehearse("ipxe-chainload");
    let units = rehearsal.failures("Rack 7");
    assert_eq!(units[0].name(), "rack-7-not-booted@bios");
    let run = RunSummary {
        run_id: String::new(),
        started: String::new(),
        seconds: 0.0,
        processor_seconds: None,
        accelerator: String::new(),
        shard: None,
        whole: None,
        flaky_fails: false,
        units,
        rehearsal: None,
        folder: PathBuf::new(),
    };
    assert_eq!(run.exit_code(), ExitCode::Failed);
    let table = lab_report::table::render(&run, lab_report::table::Colour::Off);
    assert!(
        table.contains("Node.1") && table.contains("; not booted"),
        "{table}"
    );
}

#[test]
fn the_sites_own_kernels_are_served_where_they_are_all_there() {
    let (_folder, rack) = site(|_| {});
    let own = tempdir().unwrap();
    let put = |path: &str| {
        let path = own.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "own").unwrap();
    };
    let rehearse = || {
        rack.rehearse_with(network("ipxe-chainload"), Some(own.path()))
            .unwrap()
    };
    let places = |rehearsal: &Rehearsal| -> Vec<String> {
        let at = rehearsal
            .assets
            .iter()
            .map(|asset| asset.at.display().to_string());
        let mut at: Vec<String> = at.collect();
        at.sort();
        at
    };

    put("other/file");
    put("os/2/vmlinuz");
    put("os/1/keys.tar");
    let none = rehearse();
    assert_eq!(none.units[0].scenario.image.name, Image::STAND_IN);
    let stand_in = "/assets/os/1: the stand-in under these names, not CoreOS itself (1 machine)";
    assert_eq!(none.images, [stand_in]);
    assert_eq!(
        places(&none),
        [
            "os/1/initrd.gz",
            "os/1/keys.tar",
            "os/1/vmlinuz",
            "os/2",
            "other"
        ]
    );
    assert_eq!(none.units[0].scenario.nodes[0].memory_mib, 1024);

    put("os/1/vmlinuz");
    let half = rehearse();
    let missing = format!("missing in {}: os/1/initrd.gz", own.path().display());
    assert_eq!(half.hopeless[0].why, missing);

    put("os/1/initrd.gz");
    let whole = rehearse();
    assert_eq!(whole.units[0].scenario.image.name, "os-1");
    assert_eq!(
        whole.images,
        ["/assets/os/1: the site's own files (1 machine)"]
    );
    assert_eq!(places(&whole), ["os", "other"]);
}

#[test]
fn a_site_at_an_address_that_no_machine_reaches_is_refused() {
    let (_folder, rack) = site(|data| {
        replace(data, "specs/node/spec.json", "10.1.2.3", "127.0.0.1");
    });
    let error = rack
        .rehearse_with(network("ipxe-chainload"), None)
        .unwrap_err();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn machines_whose_names_become_the_same_stay_apart() {
    let (_folder, rack) = site(|data| {
        let list = "[[machines]]\nname = \"node-1\"\nmac = \"52:54:00:00:00:03\"\n";
        let path = data.join("../machines.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + list).unwrap();
        replace(
            data,
            "config.yaml",
            ", require: {mac: '52:54:00:00:00:01'}",
            "",
        );
    });
    let rehearsal = rack.rehearse("ipxe-chainload");
    let nodes = rehearsal.units[0].scenario.nodes.iter();
    let names: Vec<&str> = nodes.map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["node-1", "node-1-2"]);
}

#[test]
fn what_a_rehearsal_expects_is_what_the_scenarios_say_literally() {
    let mut machines = 0;
    for name in ["pxe-dhcp", "proxy-dhcp", "ipxe-chainload", "pixiecore"] {
        let folder = scenarios_folder().join(name);
        let scenario = Scenario::load(&folder).unwrap();
        let list = tempdir().unwrap();
        let file = list.path().join("machines.toml");
        let text: String = scenario
            .nodes
            .iter()
            .map(|node| {
                let Node {
                    name, uuid, mac, ..
                } = node;
                format!("[[machines]]\nname = \"{name}\"\nuuid = \"{uuid}\"\nmac = \"{mac}\"\n")
            })
            .collect();
        fs::write(&file, text).unwrap();
        let rehearsal = Rack::open(&folder.join("data"), &file).rehearse(name);
        assert_eq!(rehearsal.hopeless, [], "{name}");
        let twins = &rehearsal.units[0].scenario.nodes;
        for (twin, node) in twins.iter().zip(&scenario.nodes) {
            let (twin, literal) = (&twin.expect, &node.expect);
            let name = format!("{name} {}", node.name);
            assert_eq!(twin.boot_group(), literal.boot_group(), "{name}");
            assert_eq!(twin.group, literal.group, "{name}");
            assert_eq!(twin.cloud_config, literal.cloud_config, "{name}");
            assert_eq!(twin.ignition, literal.ignition, "{name}");
            assert_eq!(twin.hostname, literal.hostname, "{name}");
            for option in &literal.kernel_options {
                assert!(
                    twin.kernel_options.contains(option),
                    "{name}: no {option} in {:?}",
                    twin.kernel_options
                );
            }
            for file in &literal.files {
                assert!(twin.files.contains(file), "{name}: {file:?}");
            }
            machines += 1;
        }
    }
    assert_eq!(machines, 12);
}

fn of_file(name: &str, text: &str) -> Result<Environment, EnvironmentError> {
    let folder = tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    Environment::of_dhcp_file(&file)
}

const KEA: &str = "{ \"Dhcp4\": { // of the rack\n  \"interfaces-config\": { \"interfaces\": [ \"eth0\" ] },\n  \
                   \"next-server\": \"SUBNET.9\",\n  \"subnet4\": [ { \"subnet\": \"SUBNET.0/24\" } ]\n} }\n";

const DHCPD: &str = "subnet SUBNET.0 netmask 255.255.255.0 {\n  range SUBNET.100 SUBNET.199;\n}\n";

#[test]
fn prepare_with_the_file_of_a_dhcp_server_runs_that_server_beside_the_config_service() {
    let rack = Rack::example("single-node-etcd");
    // The site's configs name their server's address.
    let usual = rack.rehearse("ipxe-chainload");
    let host = usual.units[0].scenario.network.host();
    let [a, b, c, _] = host.octets();
    let subnet = format!("{a}.{b}.{c}");
    // One host of the site serves boot programs and configs.
    let one_host = DHCPD.replace("  range", &format!("  next-server {host};\n  range"));
    for (file, text, server, copy) in [
        ("kea-dhcp4.conf", KEA, "kea", "kea-dhcp4.json.in"),
        ("dhcpd.conf", DHCPD, "dhcpd", "dhcpd.conf"),
        ("one-host.conf", &one_host, "dhcpd", "dhcpd.conf"),
    ] {
        let environment = of_file(file, &text.replace("SUBNET", &subnet)).unwrap();
        let rehearsal = rack.rehearse_with(environment, None).unwrap();
        let scenario = &rehearsal.units[0].scenario;
        assert!(
            scenario.has_own_config() && !scenario.has_own_boot_options(),
            "{file}"
        );
        assert_eq!(scenario.network.host(), host, "{file}");
        let names: Vec<&str> = scenario
            .custom_services
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["tftp", server]);
        let written = fs::read_to_string(scenario.dir.join(copy)).unwrap();
        assert!(written.contains(&subnet), "{written}");
        let tftp = scenario.address_of(&scenario.custom_services[0]);
        let is_named = file.starts_with("kea");
        assert_eq!(
            tftp.octets()[3],
            if is_named { 9 } else { host.octets()[3] },
            "{file}"
        );
        // Group and file of each config are judged, as in any other rehearsal.
        let usual = &usual.units[0].scenario.nodes;
        assert_eq!(scenario.nodes, *usual, "{file}");
    }
}

#[test]
fn of_dhcp_file_mistake_names_file_line_and_what_would_be_right() {
    let mistake = |name: &str, text: &str| of_file(name, text).unwrap_err().to_string();
    let said = mistake(
        "kea-dhcp4.conf",
        &KEA.replace("SUBNET.0/24", "10.0.0.300/24"),
    );
    assert!(
        said.contains("kea-dhcp4.conf, line 4: ") && said.contains("192.168.90.0/24"),
        "{said}"
    );
    let said = mistake("dhcpd.conf", &DHCPD.replace("SUBNET.0", "10.0.0.5"));
    assert!(
        said.contains("dhcpd.conf, line 1: ") && said.contains("netmask"),
        "{said}"
    );
}

/// A scenario with one service, which gets the data directory by this word.
fn with_services(word: &str) -> Result<Rehearsal, RehearsalError> {
    let folder = tempdir().unwrap();
    let own = folder.path().join("own-stack");
    fs::create_dir(&own).unwrap();
    let rack = Rack::example("single-node-etcd");
    let host = rack.rehearse("ipxe-chainload").units[0]
        .scenario
        .network
        .host();
    let [a, b, c, _] = host.octets();
    let text = format!(
        "summary = \"of the user\"\nfirmware = [\"bios\"]\n[network]\nsubnet = \"{a}.{b}.{c}.0/24\"\n\
         [[service]]\nname = \"all\"\ncommand = [\"all-in-one\", \"--data={word}\"]\n\
         plays = [\"dhcp\", \"tftp\", \"http\", \"config\"]\naddress = \"{host}\"\n\
         [[node]]\nname = \"node1\"\nuuid = \"8f0c6f0e-7d1b-4a0e-9d5c-6a4f0f1c2b31\"\nmac = \"52:54:00:05:00:01\"\n\
         [node.expect]\nhostname = \"node1\"\n"
    );
    // The lab's own host has the first address.
    let text = text.replace("[[service]]", "address = \"ADDRESS\"\n[[service]]");
    let text = text.replace("ADDRESS", &format!("{a}.{b}.{c}.250"));
    fs::write(own.join("scenario.toml"), text).unwrap();
    fs::write(own.join("all.conf.in"), "listen={address}\n").unwrap();
    let scenario = Scenario::load_with(&own, DataCheck::Skip).unwrap();
    let environment = Environment::of_scenario(&scenario)?;
    rack.rehearse_with(environment, None)
}

#[test]
fn prepare_with_a_scenario_of_services_keeps_them_if_they_serve_the_directory() {
    let rehearsal = with_services("{data}").unwrap();
    let scenario = &rehearsal.units[0].scenario;
    assert_eq!(scenario.custom_services.len(), 1);
    assert!(scenario.dir.join("all.conf.in").is_file());
    assert!(scenario.data_dir().is_dir());
    assert!(!scenario.has_own_config());
    let refused = with_services("{dir}/files").unwrap_err().to_string();
    assert!(
        refused.contains("`own-stack`") && refused.contains("{data}"),
        "{refused}"
    );
}
