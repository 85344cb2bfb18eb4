//! Fitting of a scenario to an image of another family: the kernel options in its specs and expectations are
//! translated to those of the image's system. Files need no change, because every image is also served under
//! CoreOS's names.

use std::fs;
use std::path::{Path, PathBuf};

use image_catalog::Family;
use image_catalog::family::{Spelled, extra_options, spell};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::load::{DataCheck, FILE_NAME};
use super::model::{Image, Scenario};
use super::problem::InvalidScenario;
use crate::untrusted::tree::{Limits, Tree, TreeError};

/// Maximum size of a file that may be a spec.
const SPEC_LIMIT_BYTES: u64 = 64 << 20;

/// Image that a scenario is fitted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// Name of the image in reports.
    pub image: String,
    /// Family, which determines the names of boot options.
    pub family: Family,
    /// Kernel options that the image needs in addition to a spec's.
    pub kernel_options: Vec<String>,
    /// Minimum memory of a machine in MiB; nodes with less are raised to it.
    pub memory_mib: u32,
    /// File of the root file system, for images that need it in a kernel option.
    pub rootfs: Option<String>,
}

/// Reason why a scenario does not fit an image.
#[derive(Debug, Error)]
pub enum FitError {
    /// An option has no equivalent in the image's system.
    #[error("unsupported option on {image}: `{option}` in {file} ({why})")]
    Unsupported {
        /// File with the option.
        file: PathBuf,
        option: String,
        image: String,
        why: &'static str,
    },
    /// A file of the scenario cannot be read or written.
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A spec is not valid JSON.
    #[error("{path}: {source}")]
    Spec {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// The fitted scenario cannot be written as TOML.
    #[error("cannot write the fitted scenario: {0}")]
    Toml(#[from] toml::ser::Error),
    /// The fitted scenario is invalid.
    #[error("the fitted scenario is invalid")]
    Invalid(#[from] InvalidScenario),
}

impl Fit {
    /// Writes the fitted scenario to `folder` and loads it from there.
    ///
    /// # Errors
    /// [`FitError`].
    pub fn apply(&self, scenario: &Scenario, folder: &Path) -> Result<Scenario, FitError> {
        let mut fitted = scenario.clone();
        fitted.image = Image {
            name: self.image.clone(),
        };
        let origin = scenario.dir.join(FILE_NAME);
        for node in &mut fitted.nodes {
            let mut options = Vec::new();
            for option in &node.expect.kernel_options {
                options.extend(self.spelled(option, &origin)?);
            }
            node.expect.kernel_options = options;
            node.memory_mib = node.memory_mib.max(self.memory_mib);
        }
        self.copy(
            &scenario.data_dir(),
            &folder.join("data"),
            &self.extra(scenario),
        )?;
        let path = folder.join(FILE_NAME);
        fs::write(&path, fitted.to_toml()?).map_err(at(&path))?;
        Ok(Scenario::load_with(folder, DataCheck::Skip)?)
    }

    fn extra(&self, scenario: &Scenario) -> Vec<String> {
        let (host, port) = (scenario.network.host(), scenario.network.http_port);
        let rootfs = self.rootfs.as_ref();
        let url = rootfs.map(|file| format!("http://{host}:{port}/assets/coreos/current/{file}"));
        extra_options(&self.kernel_options, url.as_deref())
    }

    fn spelled(&self, option: &str, file: &Path) -> Result<Option<String>, FitError> {
        match spell(self.family, option) {
            Spelled::As(option) => Ok(Some(option)),
            Spelled::NotNeeded => Ok(None),
            Spelled::Unsupported(why) => Err(FitError::Unsupported {
                file: file.to_owned(),
                option: option.to_owned(),
                image: self.image.clone(),
                why,
            }),
        }
    }

    /// Copies a folder; the `boot` section of specs is translated.
    fn copy(&self, from: &Path, to: &Path, extra: &[String]) -> Result<(), FitError> {
        let failed = |error: TreeError| at(&error.path)(error.source);
        let tree = Tree::survey(from, Limits::DATA, |_| false).map_err(failed)?;
        fs::create_dir_all(to).map_err(at(to))?;
        for found in &tree.found {
            let extension = found.relative.extension();
            let is_json = extension.is_some_and(|extension| extension == "json");
            if found.is_folder || !is_json || found.size_bytes > SPEC_LIMIT_BYTES {
                tree.copy(found, to).map_err(failed)?;
                continue;
            }
            let (path, target) = (from.join(&found.relative), to.join(&found.relative));
            let text = tree.read(found).map_err(failed)?;
            let text = match serde_json::from_slice::<Value>(&text) {
                Ok(spec) if spec.pointer("/boot/kernel").is_some() => {
                    let spec = self.spec(spec, &path, extra)?;
                    serde_json::to_vec_pretty(&spec)
                        .map_err(|source| FitError::Spec { path, source })?
                }
                // Not a spec, for example an Ignition config with a template.
                _ => text,
            };
            fs::write(&target, text).map_err(at(&target))?;
        }
        Ok(())
    }

    /// Translates a spec: `cmdline` is a table of options in bootcfg's layout, `args` a list in matchbox's.
    fn spec(&self, mut spec: Value, path: &Path, extra: &[String]) -> Result<Value, FitError> {
        if let Some(Value::Object(options)) = spec.pointer_mut("/boot/cmdline") {
            let mut spelled = Map::new();
            for (key, value) in std::mem::take(options) {
                let option = match value.as_str() {
                    None | Some("") => key,
                    Some(value) => format!("{key}={value}"),
                };
                spelled.extend(self.spelled(&option, path)?.map(pair));
            }
            spelled.extend(extra.iter().cloned().map(pair));
            *options = spelled;
        }
        if let Some(Value::Array(options)) = spec.pointer_mut("/boot/args") {
            let mut spelled = Vec::new();
            for option in options.iter().filter_map(Value::as_str) {
                spelled.extend(self.spelled(option, path)?.map(Value::from));
            }
            spelled.extend(extra.iter().cloned().map(Value::from));
            *options = spelled;
        }
        Ok(spec)
    }
}

fn pair(option: String) -> (String, Value) {
    match option.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.into()),
        None => (option, "".into()),
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> FitError + use<> {
    let path = path.to_owned();
    move |source| FitError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/ipxe-chainload");
        Scenario::load(&folder).unwrap()
    }

    fn fit(family: Family) -> Fit {
        Fit {
            image: "lookalike@1.0.0".into(),
            family,
            kernel_options: vec!["quiet".into(), "a.b=c".into()],
            memory_mib: 0,
            rootfs: Some("rootfs.img".into()),
        }
    }

    #[test]
    fn a_scenario_for_flatcar_has_its_options_in_specs_and_expectations() {
        let folder = tempfile::tempdir().unwrap();
        let (before, own) = (scenario(), folder.path().join("ipxe-chainload"));
        let fitted = fit(Family::Flatcar).apply(&before, &own).unwrap();
        assert_eq!(
            (fitted.name.as_str(), fitted.dir.as_path()),
            ("ipxe-chainload", own.as_path())
        );
        assert_eq!(fitted.image.name, "lookalike@1.0.0");
        let expected = &fitted.nodes[0].expect.kernel_options;
        for option in ["flatcar.autologin", "flatcar.first_boot=1"] {
            assert!(expected.iter().any(|there| there == option), "{expected:?}");
        }
        assert!(
            expected
                .iter()
                .any(|there| there.starts_with("ignition.config.url=http"))
        );
        let text = fs::read(own.join("data/specs/node1/spec.json")).unwrap();
        let spec: Value = serde_json::from_slice(&text).unwrap();
        let cmdline = &spec["boot"]["cmdline"];
        assert_eq!(cmdline["flatcar.autologin"], "");
        assert_eq!(cmdline["flatcar.first_boot"], "1");
        assert_eq!(cmdline["coreos.first_boot"], Value::Null);
        assert_eq!(
            (&cmdline["quiet"], &cmdline["a.b"]),
            (&"".into(), &"c".into())
        );
        assert_eq!(
            cmdline["coreos.live.rootfs_url"],
            "http://192.168.92.1:8080/assets/coreos/current/rootfs.img"
        );
        // Everything else is as it was.
        let same = |file: &str| {
            let data = before.data_dir();
            assert_eq!(
                fs::read(own.join("data").join(file)).unwrap(),
                fs::read(data.join(file)).unwrap()
            );
        };
        for file in ["config.yaml", "cloud/node1.yaml", "ignition/node1.json"] {
            same(file);
        }
    }

    #[test]
    fn a_scenario_for_coreos_itself_is_the_same_but_for_the_images_name() {
        let folder = tempfile::tempdir().unwrap();
        let (before, own) = (scenario(), folder.path().join("ipxe-chainload"));
        let plain = Fit {
            image: "coreos:stable@835.9.0".into(),
            family: Family::Coreos,
            kernel_options: Vec::new(),
            memory_mib: 0,
            rootfs: None,
        };
        let mut fitted = plain.apply(&before, &own).unwrap();
        assert!(!fitted.image.is_stand_in());
        (fitted.image, fitted.dir) = (before.image.clone(), before.dir.clone());
        assert_eq!(fitted, before);
    }

    #[test]
    fn machines_with_less_memory_than_the_image_needs_get_that_much() {
        let folder = tempfile::tempdir().unwrap();
        let mut before = scenario();
        before.nodes[0].memory_mib = 4096;
        let fit = Fit {
            memory_mib: 2048,
            ..fit(Family::Flatcar)
        };
        let fitted = fit.apply(&before, &folder.path().join("x")).unwrap();
        let memory: Vec<u32> = fitted.nodes.iter().map(|node| node.memory_mib).collect();
        assert_eq!(memory, [4096, 2048, 2048]);
    }

    #[test]
    fn a_scenario_that_fedora_coreos_cannot_do_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refused = fit(Family::FedoraCoreos).apply(&scenario(), &folder.path().join("x"));
        let error = refused.unwrap_err();
        let FitError::Unsupported {
            file, option, why, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(
            *why,
            "Fedora CoreOS does not support cloud-config: use Ignition"
        );
        assert!(option.starts_with("cloud-config-url"), "{error}");
        let scenario = |part: &std::ffi::OsStr| part == "ipxe-chainload";
        assert!(file.iter().any(scenario), "{error}");
    }
}
