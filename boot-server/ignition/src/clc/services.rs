//! Services that have sections of their own: docker, etcd, flannel, and updates with locksmith.

use std::fmt::Write;

use super::options::{Section, Sections};
use crate::finding::Reason;
use crate::go::dataurl::escape;
use crate::go::quote::quoted;
use crate::path::Path;
use crate::schema::spec2;
use crate::value::{Struct, Value};

/// Variables of locksmith's options.
const LOCKSMITH: [(&str, &str); 8] = [
    ("reboot_strategy", "REBOOT_STRATEGY"),
    ("window_start", "LOCKSMITHD_REBOOT_WINDOW_START"),
    ("window_length", "LOCKSMITHD_REBOOT_WINDOW_LENGTH"),
    ("group", "LOCKSMITHD_GROUP"),
    ("etcd_endpoints", "LOCKSMITHD_ENDPOINT"),
    ("etcd_cafile", "LOCKSMITHD_ETCD_CAFILE"),
    ("etcd_certfile", "LOCKSMITHD_ETCD_CERTFILE"),
    ("etcd_keyfile", "LOCKSMITHD_ETCD_KEYFILE"),
];

/// Adds the units and files of services to an Ignition config.
///
/// # Errors
/// A service has dynamic data, which needs a platform.
pub(super) fn add(
    config: &Struct,
    sections: &Sections,
    ignition: &mut Struct,
) -> Result<(), (Path, Reason)> {
    let mut units = Vec::new();
    if config.has("docker") {
        let flags: Vec<&str> = config.child("docker").texts("flags").collect();
        let contents = format!("[Service]\nEnvironment=\"DOCKER_OPTS={}\"", flags.join(" "));
        units.push(unit("docker.service", "20-clct-docker.conf", contents));
    }
    if let Some(etcd) = &sections.etcd {
        let exec = "/usr/lib/coreos/etcd-wrapper $ETCD_OPTS";
        let contents = service(exec, "ETCD_IMAGE_TAG", etcd, "etcd")?;
        units.push(unit(
            "etcd-member.service",
            "20-clct-etcd-member.conf",
            contents,
        ));
    }
    if let Some(flannel) = &sections.flannel {
        let exec = "/usr/lib/coreos/flannel-wrapper $FLANNEL_OPTS";
        let mut contents = service(exec, "FLANNEL_IMAGE_TAG", flannel, "flannel")?;
        let network = config.child("flannel").text("network_config");
        if !network.is_empty() {
            contents.push_str(&network_setup(&flannel.options, network));
        }
        units.push(unit("flanneld.service", "20-clct-flannel.conf", contents));
    }
    if !units.is_empty() {
        ignition
            .child_mut("systemd")
            .list_mut("units")
            .splice(0..0, units);
    }
    let update = update_conf(config);
    if !update.is_empty() {
        let contents =
            Struct::default().with("source", format!("data:,{}", escape(update.as_bytes())));
        let file = Struct::default()
            .with("filesystem", "root")
            .with("path", "/etc/coreos/update.conf")
            .with("mode", 0o644)
            .with("contents", contents);
        ignition
            .child_mut("storage")
            .list_mut("files")
            .push(file.into());
    }
    Ok(())
}

fn unit(name: &str, dropin: &str, contents: String) -> Value {
    let dropin = Struct::default()
        .with("name", dropin)
        .with("contents", contents);
    let unit = Struct::default()
        .with("name", name)
        .with("enable", true)
        .with("dropins", vec![dropin]);
    unit.into()
}

/// Writes the drop-in of a service with its options as flags.
fn service(
    exec: &str,
    tag: &str,
    section: &Section,
    name: &'static str,
) -> Result<String, (Path, Reason)> {
    let mut text = "[Service]\n".to_owned();
    if let Some(version) = &section.version {
        let _ = writeln!(text, "Environment=\"{tag}=v{version}\"");
    }
    let _ = write!(text, "ExecStart=\nExecStart={exec}");
    if let Some((shape, minor)) = section.shape {
        for field in shape.fields_in(minor) {
            let value = match section.options.get(field.name) {
                Some(Value::Text(text)) => quoted(text),
                Some(Value::Int(number)) => number.to_string(),
                Some(Value::Bool(value)) => value.to_string(),
                _ => continue,
            };
            if value.contains(['{', '}']) {
                return Err((Path::of(&[name]).key(field.name), Reason::NoPlatform));
            }
            let _ = write!(text, " \\\n  --{}={value}", field.flag_name());
        }
    }
    Ok(text)
}

/// Writes flannel's network to etcd before flannel starts.
fn network_setup(options: &Struct, network: &str) -> String {
    let mut line = "\nExecStartPre=/usr/bin/etcdctl".to_owned();
    for (option, flag) in [
        ("etcd_endpoints", "endpoints"),
        ("etcd_cafile", "ca-file"),
        ("etcd_certfile", "cert-file"),
        ("etcd_keyfile", "key-file"),
    ] {
        if let Some(value) = options.opt_text(option) {
            let _ = write!(line, " --{flag}={}", quoted(value));
        }
    }
    let _ = write!(line, " set /coreos.com/network/config {}", quoted(network));
    line
}

fn update_conf(config: &Struct) -> String {
    let update = config.child("update");
    let mut text = String::new();
    if let Some(group) = update.opt_text("group") {
        let _ = write!(text, "GROUP={}", group.to_lowercase());
    }
    if let Some(server) = update.opt_text("server") {
        let _ = write!(text, "\nSERVER={server}");
    }
    let locksmith = config.child("locksmith");
    for field in spec2::LOCKSMITH.fields {
        let variable = LOCKSMITH.iter().find(|(name, _)| *name == field.name);
        if let (Some(value), Some((_, variable))) = (locksmith.opt_text(field.name), variable) {
            let _ = write!(text, "\n{variable}={}", quoted(value));
        }
    }
    text
}
