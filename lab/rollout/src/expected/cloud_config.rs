//! Effects of a cloud-config on a machine, as coreos-cloudinit applies it.

use guest_agent::config::{CloudConfig, Substitutions, Unit};
use guest_agent::userdata::{self, UserData};

use super::{ExpectedState, ROOT, System, units};

/// Variables that coreos-cloudinit replaces with addresses that only the machine knows.
const ADDRESSES: [&str; 4] = [
    "$private_ipv4",
    "$public_ipv4",
    "$private_ipv6",
    "$public_ipv6",
];

/// The id of `core` in CoreOS.
const CORE_ID: u32 = 500;

/// Mode of files that ask for none.
const DEFAULT_MODE: u32 = 0o644;

pub(super) fn read(text: &str, system: System, expected: &mut ExpectedState) {
    // Left as they are, so that they are found in what they would have become part of.
    let stay = |name: &str| Some(format!("${}", name.strip_prefix("COREOS_")?.to_lowercase()));
    match userdata::parse(text, &Substitutions::from_lookup(stay)) {
        Ok(UserData::CloudConfig(config)) => config_of(&config, system, expected),
        Ok(UserData::Script(_)) => expected
            .unproven
            .push("its user-data is a script, whose effects are unknown".into()),
        Ok(UserData::Ignition | UserData::Empty) => {}
        Err(error) => {
            expected.hopeless = Some(format!(
                "coreos-cloudinit refuses its cloud-config: {error}"
            ));
        }
    }
}

fn config_of(config: &CloudConfig, system: System, expected: &mut ExpectedState) {
    if !config.hostname.is_empty() {
        if has_address(&config.hostname) {
            let what = "host name: contains an address that only the machine knows";
            expected.unproven.push(what.into());
        } else {
            expected.hostname = Some(config.hostname.clone());
            // hostnamectl sets the name, and rewrites the file.
            expected.files.remove("/etc/hostname");
        }
    }
    for file in &config.write_files {
        let path = guest_agent::apply::files::clean(&file.path);
        let path = path.to_string_lossy();
        if has_address(&String::from_utf8_lossy(&file.content)) {
            expected.files.remove(&*path);
            expected.unproven.push(format!(
                "file {path}: contains an address that only the machine knows"
            ));
            continue;
        }
        let mode = match file.permissions.as_str() {
            "" => Some(DEFAULT_MODE),
            octal => u32::from_str_radix(octal, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777),
        };
        let Some(mode) = mode else {
            expected.hopeless = Some(format!(
                "coreos-cloudinit refuses permissions {:?} of {path}",
                file.permissions
            ));
            continue;
        };
        match owner(&file.owner) {
            Some(owner) => expected.file(&path, &file.content, &owner, mode),
            None => {
                expected.files.remove(&*path);
                expected
                    .unproven
                    .push(format!("file {path}: unknown owner `{}`", file.owner));
            }
        }
    }
    for unit in &config.units {
        unit_of(unit, system, expected);
    }
    if !config.users.is_empty() || !config.ssh_authorized_keys.is_empty() {
        expected
            .unproven
            .push("its users and their keys: no login is tested".into());
    }
    let own = [
        ("etcd", !config.etcd.is_empty()),
        ("etcd2", !config.etcd2.is_empty()),
        ("fleet", !config.fleet.is_empty()),
        ("flannel", !config.flannel.is_empty()),
        ("locksmith", !config.locksmith.is_empty()),
    ];
    for (name, _) in own.into_iter().filter(|(_, is_there)| *is_there) {
        expected
            .unproven
            .push(format!("`coreos.{name}`: its effect on the service"));
    }
}

/// Returns user and group by name; none for unknown numbers.
fn owner(owner: &str) -> Option<String> {
    let named = |who: &str| match who.parse::<u32>() {
        Ok(0) => Some("root".to_owned()),
        Ok(CORE_ID) => Some("core".to_owned()),
        Ok(_) => None,
        Err(_) => Some(who.to_owned()),
    };
    match owner.split_once(':') {
        _ if owner.is_empty() => Some(ROOT.to_owned()),
        Some((user, group)) => Some(format!("{}:{}", named(user)?, named(group)?)),
        // chown(1) leaves the group as it is.
        None => Some(format!("{}:root", named(owner)?)),
    }
}

fn has_address(text: &str) -> bool {
    ADDRESSES.iter().any(|address| text.contains(address))
}

fn unit_of(unit: &Unit, system: System, expected: &mut ExpectedState) {
    let name = &unit.name;
    let kind = name.rsplit('.').next().unwrap_or_default();
    let folder = match kind {
        "network" | "netdev" | "link" => "network",
        _ => "system",
    };
    let top = if unit.runtime { "run" } else { "etc" };
    let place = format!("/{top}/systemd/{folder}");
    let mut texts = vec![(format!("{place}/{name}"), &unit.content)];
    let drop_ins = unit.drop_ins.iter();
    texts.extend(drop_ins.map(|one| (format!("{place}/{name}.d/{}", one.name), &one.content)));
    for (path, content) in texts.into_iter().filter(|(_, content)| !content.is_empty()) {
        match has_address(content) {
            true => expected.unproven.push(format!(
                "unit {path}: contains an address that only the machine knows"
            )),
            false => expected.file(&path, content.as_bytes(), ROOT, DEFAULT_MODE),
        }
    }
    if unit.mask {
        expected.files.remove(&format!("{place}/{name}"));
        expected.unproven.push(format!("unit {name}: its masking"));
    } else if folder == "system" && matches!(unit.command.as_str(), "start" | "restart") {
        units::started(name, &unit.content, system, expected);
    }
}
