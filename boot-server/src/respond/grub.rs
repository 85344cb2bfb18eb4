//! `grub.cfg` by TFTP, rendered from the same groups as iPXE's scripts.
//!
//! GRUB says nothing of its machine when it asks, and knows none of iPXE's variables: the machine is
//! the one seen with the address that asks, and its attributes are filled in here.

use super::pxelinux::{RenderedConfig, labels};
use super::variables::{ExpandError, Machine, expand};
use crate::catalog::BootCatalog;
use crate::proto::grub;

/// Why there is no configuration for a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrubError {
    /// No group, or no usable profile.
    #[error("{0}")]
    NoMatch(String),
    /// The profile boots nothing.
    #[error("group `{0}`: nothing to boot")]
    NoBoot(String),
    /// A variable.
    #[error("group `{group}`: {source}")]
    Variable {
        /// The group that matched.
        group: String,
        /// Which one.
        source: ExpandError,
    },
}

/// Renders the menu of the machine. `assets_url` is where `/assets/` is by HTTP: what is there comes by
/// TFTP as well, and so GRUB needs no HTTP.
///
/// # Errors
/// [`GrubError`].
pub fn grub_config(
    catalog: &dyn BootCatalog,
    machine: &Machine,
    assets_url: Option<&str>,
) -> Result<RenderedConfig, GrubError> {
    let selection = catalog.select(&labels(machine));
    let selection = selection.map_err(GrubError::NoMatch)?;
    let group = selection.group;
    let Some(boot) = selection.boot else {
        return Err(GrubError::NoBoot(group));
    };
    let expanded = |text: &String| {
        expand(text, machine).map_err(|source| GrubError::Variable {
            group: group.clone(),
            source,
        })
    };
    let file = |text: &String| {
        let text = expanded(text)?;
        let below = assets_url.and_then(|url| text.strip_prefix(url));
        Ok(below.map_or_else(|| text.clone(), |below| format!("/assets/{below}")))
    };
    let kernel = file(&boot.kernel)?;
    let initrd: Vec<String> = boot.initrd.iter().map(file).collect::<Result<_, _>>()?;
    let options = boot.options.iter().map(expanded);
    let options: Vec<String> = options.collect::<Result<_, _>>()?;
    let text = grub::render(&kernel, &initrd, &options);
    Ok(RenderedConfig { text, group })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::{BootSettings, Labels, Selection};
    use crate::proto::mac::MacAddr;

    /// Boots the machine with one MAC.
    struct One;

    impl BootCatalog for One {
        fn select(&self, labels: &Labels) -> Result<Selection, String> {
            if labels.0.get("mac").map(String::as_str) != Some("02:00:00:00:00:01") {
                return Err("no group matched".into());
            }
            Ok(Selection {
                group: "one".into(),
                require: Default::default(),
                spec_id: "spec".into(),
                boot: Some(Arc::new(BootSettings {
                    kernel: "http://10.0.0.1:8080/assets/vmlinuz".into(),
                    initrd: vec!["/assets/initrd".into()],
                    options: vec!["mac=${net0/mac:hexhyp}".into(), "host=${hostname}".into()],
                })),
            })
        }
    }

    fn machine(last: u8, hostname: Option<&str>) -> Machine {
        Machine {
            mac: Some(MacAddr([2, 0, 0, 0, 0, last])),
            hostname: hostname.map(str::to_owned),
            ..Machine::default()
        }
    }

    #[test]
    fn the_menu_names_files_by_tftp_and_has_the_machines_attributes() {
        let url = Some("http://10.0.0.1:8080/assets/");
        let config = grub_config(&One, &machine(1, Some("n1")), url).unwrap();
        assert_eq!(config.group, "one");
        let wanted = "linux \"/assets/vmlinuz\" mac=02-00-00-00-00-01 host=n1\n";
        assert!(config.text.contains(wanted), "{}", config.text);
        assert!(config.text.contains("initrd  \"/assets/initrd\"\n"));
    }

    #[test]
    fn what_is_not_known_is_an_error_and_not_a_hole() {
        let unknown = grub_config(&One, &machine(2, None), None);
        assert_eq!(unknown, Err(GrubError::NoMatch("no group matched".into())));
        let error = grub_config(&One, &machine(1, None), None).unwrap_err();
        assert!(matches!(error, GrubError::Variable { .. }), "{error}");
    }
}
