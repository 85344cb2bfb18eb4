//! `lab add-node`: adds a machine to the network of a persistent lab.

use boot_server_proto::mac::MacAddr;
use clap::Args;
use lab_model::scenario::{Node, card_mac};
use lab_report::exit_code::ExitCode;
use uuid::Uuid;

use super::login::Wait;
use super::{ask, unknown};
use crate::cell::control::{ControlRequest, NewNode};
use crate::cli::error::{CliError, refuse};
use crate::persistent::{PersistentLab, PersistentNode, Registry};

/// Arguments of `lab add-node`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddNodeArguments {
    /// Name of the machine [default: the next free one]
    #[arg(value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(long, value_name = "LAB")]
    lab: Option<String>,
    /// SMBIOS UUID [default: random]
    #[arg(long, value_name = "UUID")]
    uuid: Option<Uuid>,
    /// MAC address of the network card [default: random, 52:54:00:…]
    #[arg(long, value_name = "MAC", value_parser = card_mac)]
    mac: Option<MacAddr>,
    /// SMBIOS serial number [default: NAME]
    #[arg(long, value_name = "TEXT")]
    serial: Option<String>,
    /// Memory in MiB [default: as the first machine]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=65_536))]
    memory: Option<u32>,
    #[command(flatten)]
    wait: Wait,
}

/// Adds the machine and waits for its login.
pub(super) async fn run(
    registry: &Registry,
    arguments: &AddNodeArguments,
) -> Result<ExitCode, CliError> {
    let mut lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let name = arguments.name.clone().unwrap_or_else(|| next_name(&lab));
    let mac = arguments.mac.unwrap_or_else(random_mac);
    let uuid = arguments.uuid.unwrap_or_else(Uuid::new_v4);
    let node = PersistentNode {
        verdict: "added".into(),
        ..PersistentNode::of(&lab.run_id, &Node::stranger(&name, uuid, mac, 0))
    };
    let request = ControlRequest::AddNode(NewNode {
        name,
        uuid,
        mac: mac.to_string(),
        serial: arguments.serial.clone(),
        memory_mib: arguments.memory,
    });
    let asked = lab.clone();
    let add = || {
        ask(&asked, &request)?;
        println!("{}  {}  {}", node.name, node.mac, node.uuid);
        lab.nodes.push(node.clone());
        registry
            .add(&lab)
            .map_err(|error| refuse(ExitCode::Internal, error))
    };
    arguments.wait.after(&asked, &node, "is on", add).await
}

/// Name that a machine cannot have.
#[derive(Debug, thiserror::Error)]
#[error("use lower-case letters, digits and hyphens only, e.g. `node4`")]
struct NameError;

/// Parses the name of a machine, which becomes part of file names and of its libvirt name.
fn name(text: &str) -> Result<String, NameError> {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = !text.is_empty() && text.len() <= 40 && text.chars().all(is_fine);
    match is_name && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err(NameError),
    }
}

fn next_name(lab: &PersistentLab) -> String {
    let free = (lab.nodes.len() + 1..)
        .map(|number| format!("node{number}"))
        .find(|name| lab.node(name).is_none());
    free.unwrap_or_default()
}

/// Returns a random MAC address in QEMU's range (52:54:00).
fn random_mac() -> MacAddr {
    let [a, b, c, ..] = *Uuid::new_v4().as_bytes();
    MacAddr([0x52, 0x54, 0x00, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistent::tests::alive;

    #[test]
    fn a_free_name_is_found() {
        assert_eq!(next_name(&alive("4f2a11", &["node1", "node2"])), "node3");
        assert_eq!(next_name(&alive("4f2a11", &["node1", "node3"])), "node4");
    }

    #[test]
    fn a_name_fits_into_file_names() {
        assert!(name("worker-10").is_ok());
        for bad in ["", "-x", "a/b", "Node", "a b", &"x".repeat(41)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn random_addresses_are_those_of_one_machine() {
        assert!(random_mac().to_string().starts_with("52:54:00:"));
        assert_ne!(random_mac(), random_mac());
    }
}
