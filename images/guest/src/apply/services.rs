//! Expansion of `coreos.{etcd,etcd2,fleet,flannel,locksmith,update,oem}` and `manage_etc_hosts` to the files
//! and units that a user would have written.

use super::{ApplyError, Machine, files};
use crate::config::{CloudConfig, DropIn, File, Oem, Unit, Update};

/// Returns the files.
///
/// # Errors
/// [`ApplyError::RebootStrategy`], [`ApplyError::EtcHosts`], or [`ApplyError::File`] when the
/// machine's own update.conf does not read.
pub fn files(config: &CloudConfig, machine: &Machine<'_>) -> Result<Vec<File>, ApplyError> {
    let mut all = Vec::new();
    if !config.oem.id.is_empty() {
        all.push(file("/etc/oem-release", oem_release(&config.oem)));
    }
    if config.update != Update::default() {
        all.push(file(
            "/etc/coreos/update.conf",
            update_conf(&config.update, machine)?,
        ));
    }
    match config.manage_etc_hosts.as_str() {
        "" => {}
        "localhost" => {
            all.push(file(
                "/etc/hosts",
                format!("127.0.0.1 {}\n", machine.system.hostname()),
            ));
        }
        other => return Err(ApplyError::EtcHosts(other.to_owned())),
    }
    if !config.flannel.is_empty() {
        let lines: Vec<String> = config
            .flannel
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        all.push(file("/run/flannel/options.env", lines.join("\n")));
    }
    Ok(all)
}

fn file(path: &str, content: String) -> File {
    File {
        path: path.to_owned(),
        content: content.into_bytes(),
        ..File::default()
    }
}

fn oem_release(oem: &Oem) -> String {
    format!(
        "ID={}\nVERSION_ID={}\nNAME={:?}\nHOME_URL={:?}\nBUG_REPORT_URL={:?}\n",
        oem.id, oem.version_id, oem.name, oem.home_url, oem.bug_report_url
    )
}

/// Returns the machine's update.conf (its own, or else the image's) with the options put in.
fn update_conf(update: &Update, machine: &Machine<'_>) -> Result<String, ApplyError> {
    if !matches!(
        update.reboot_strategy.as_str(),
        "" | "best-effort" | "etcd-lock" | "reboot" | "off"
    ) {
        return Err(ApplyError::RebootStrategy(update.reboot_strategy.clone()));
    }
    let mut old = String::new();
    for path in ["/etc/coreos/update.conf", "/usr/share/coreos/update.conf"] {
        let path = files::clean(path);
        match std::fs::read_to_string(files::under(machine.root, &path)) {
            Ok(text) => {
                old = text;
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(ApplyError::File { path, source }),
        }
    }
    let mut options = vec![
        ("GROUP", &update.group),
        ("REBOOT_STRATEGY", &update.reboot_strategy),
        ("SERVER", &update.server),
    ];
    options.retain(|(_, value)| !value.is_empty());
    let mut new = String::new();
    for line in old.lines() {
        match options.iter().position(|(key, _)| line.starts_with(key)) {
            Some(index) => {
                let (key, value) = options.remove(index);
                new.push_str(&format!("{key}={value}\n"));
            }
            None => new.push_str(&format!("{line}\n")),
        }
    }
    for (key, value) in options {
        new.push_str(&format!("{key}={value}\n"));
    }
    Ok(new)
}

/// Returns the units. The four services are always there, so that a unit masked for this boot alone (`/run`,
/// empty or a link to `/dev/null`) is not any more.
#[must_use]
pub fn units(config: &CloudConfig) -> Vec<Unit> {
    let mut units: Vec<Unit> = [
        ("etcd.service", &config.etcd),
        ("etcd2.service", &config.etcd2),
        ("fleet.service", &config.fleet),
        ("locksmithd.service", &config.locksmith),
    ]
    .into_iter()
    .map(|(name, variables)| Unit {
        name: name.to_owned(),
        runtime: true,
        drop_ins: vec![DropIn {
            name: "20-cloudinit.conf".to_owned(),
            content: service_environment(variables),
        }],
        ..Unit::default()
    })
    .collect();
    let update = &config.update;
    if !update.reboot_strategy.is_empty() {
        let off = update.reboot_strategy == "off";
        units.push(Unit {
            name: "locksmithd.service".to_owned(),
            runtime: true,
            mask: off,
            command: if off { "stop" } else { "restart" }.to_owned(),
            ..Unit::default()
        });
    }
    if !update.group.is_empty() || !update.server.is_empty() {
        units.push(Unit {
            name: "update-engine.service".to_owned(),
            command: "restart".to_owned(),
            ..Unit::default()
        });
    }
    units
}

/// Returns a drop-in's text; empty, which means no drop-in, without variables.
fn service_environment(variables: &[(&str, String)]) -> String {
    if variables.is_empty() {
        return String::new();
    }
    let lines: String = variables
        .iter()
        .map(|(key, value)| format!("Environment=\"{key}={value}\"\n"))
        .collect();
    format!("[Service]\n{lines}")
}
