//! Loading of scenarios from their folders, and selection by name.

use std::fs;
use std::path::{Path, PathBuf};

use super::check;
use super::check_console::CheckConsole;
use super::data;
use super::draft::{self, Draft, DraftNode};
use super::expect::DraftExpect;
use super::model::{
    Boot, Deadline, DhcpService, EfiLoader, Expect, Image, Machines, MatchedBy, Node,
    PixiecoreService, ProxyDhcpService, Scenario, Services,
};
use super::problem::{InvalidScenario, Located, Problem, Source, nearest, one_of};
use super::program::DraftProgram;
use super::secure_boot::SecureBootKeys;
use super::service::DraftService;
use super::topology::{self, DraftNetwork, DraftNic, Networks};

/// Name of the file that marks a folder as a scenario.
pub const FILE_NAME: &str = "scenario.toml";

/// Validation of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataCheck {
    /// Every named file and group must exist.
    Strict,
    /// No validation: defects are left for the machines to find, or the directory no longer exists.
    Skip,
}

impl Scenario {
    /// Loads the scenario in `dir`, with its data directory.
    ///
    /// # Errors
    /// All mistakes in either, in one report.
    pub fn load(dir: &Path) -> Result<Scenario, InvalidScenario> {
        Scenario::load_with(dir, DataCheck::Strict)
    }

    /// Loads the scenario in `dir`.
    ///
    /// # Errors
    /// All mistakes in it, in one report.
    pub fn load_with(dir: &Path, data: DataCheck) -> Result<Scenario, InvalidScenario> {
        let path = dir.join(FILE_NAME);
        let name = dir
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let text = fs::read_to_string(&path).map_err(|error| {
            let what = format!("cannot read {}: {error}", path.display());
            let problem = Problem::nowhere(what, "a scenario is a folder with a `scenario.toml`");
            InvalidScenario::new(title(&name), vec![problem])
        })?;
        read(&name, dir, Source::new(&path, text), data)
    }

    /// Parses the scenario of an attempt from the text of its `scenario.resolved.toml`. Nodes without
    /// expectations are accepted, because earlier versions could run them.
    ///
    /// # Errors
    /// All mistakes in it, in one report.
    pub fn parse_resolved(name: &str, dir: &Path, text: &str) -> Result<Scenario, InvalidScenario> {
        let source = Source::new(&dir.join(FILE_NAME), text.to_owned());
        let draft = draft::read(&source);
        if draft.was_read {
            check::fitting(&draft, &source);
        }
        finished(name, dir, source, draft, Vec::new())
    }

    /// Parses a scenario from the text of `scenario.toml`; its folder `dir` is not read.
    ///
    /// # Errors
    /// All mistakes in it, in one report.
    pub fn parse(name: &str, dir: &Path, text: &str) -> Result<Scenario, InvalidScenario> {
        let source = Source::new(&dir.join(FILE_NAME), text.to_owned());
        read(name, dir, source, DataCheck::Skip)
    }
}

/// Loads all scenarios below `root`, sorted by name.
///
/// # Errors
/// All mistakes in all scenarios, in one report.
pub fn load_all(root: &Path, data: DataCheck) -> Result<Vec<Scenario>, InvalidScenario> {
    load_wanted(root, data, |_| true)
}

/// Returns the valid scenarios in the folders of `root`, by name, and the mistakes in the others.
#[must_use]
pub fn load_valid(root: &Path, data: DataCheck) -> (Vec<Scenario>, Option<InvalidScenario>) {
    match folders(root) {
        Ok(dirs) => load_folders(root, dirs, data),
        Err(invalid) => (Vec::new(), Some(invalid)),
    }
}

/// Loads the scenarios of these names, each once and in this order; all scenarios if no name is given. Other
/// scenarios are not read, so that their mistakes do not matter.
///
/// # Errors
/// [`SelectError`].
pub fn load_named(
    root: &Path,
    data: DataCheck,
    names: &[String],
) -> Result<Vec<Scenario>, SelectError> {
    if names.is_empty() {
        return Ok(load_all(root, data)?);
    }
    let known = folder_names(root)?;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(UnknownScenario::new(unknown, &known).into());
    }
    let all = load_wanted(root, data, |name| names.iter().any(|one| one == name))?;
    Ok(select(all, names)?)
}

/// Reason why scenarios cannot be selected.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SelectError {
    /// A selected scenario is invalid.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(#[from] InvalidScenario),
    /// A name is unknown.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unknown(#[from] UnknownScenario),
}

/// Returns the names of the scenarios' folders.
fn folder_names(root: &Path) -> Result<Vec<String>, InvalidScenario> {
    let dirs = folders(root)?.into_iter();
    let name = |dir: PathBuf| Some(dir.file_name()?.to_string_lossy().into_owned());
    Ok(dirs.filter_map(name).collect())
}

/// Returns the folders of `root` that contain a scenario, sorted by name.
fn folders(root: &Path) -> Result<Vec<PathBuf>, InvalidScenario> {
    let listed = fs::read_dir(root).map_err(|error| {
        let what = format!("cannot read {}: {error}", root.display());
        let problem = Problem::nowhere(what, "scenarios are expected in this folder");
        InvalidScenario::new(root.display().to_string(), vec![problem])
    })?;
    let mut dirs: Vec<_> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join(FILE_NAME).is_file())
        .collect();
    dirs.sort();
    Ok(dirs)
}

fn load_wanted(
    root: &Path,
    data: DataCheck,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Scenario>, InvalidScenario> {
    let is_wanted = |dir: &PathBuf| {
        let name = dir.file_name().unwrap_or_default();
        wanted(&name.to_string_lossy())
    };
    let dirs = folders(root)?.into_iter().filter(is_wanted).collect();
    match load_folders(root, dirs, data) {
        (scenarios, None) => Ok(scenarios),
        (_, Some(invalid)) => Err(invalid),
    }
}

/// The scenarios that are valid, and everything that is wrong with the others in one report.
fn load_folders(
    root: &Path,
    dirs: Vec<PathBuf>,
    data: DataCheck,
) -> (Vec<Scenario>, Option<InvalidScenario>) {
    let mut scenarios = Vec::new();
    let mut problems = Vec::new();
    for dir in dirs {
        match Scenario::load_with(&dir, data) {
            Ok(scenario) => scenarios.push(scenario),
            Err(mut invalid) => problems.append(&mut invalid.problems),
        }
    }
    let title = root.display().to_string();
    let invalid = (!problems.is_empty()).then(|| InvalidScenario::new(title, problems));
    (scenarios, invalid)
}

/// Unknown scenario name.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("unknown scenario: `{name}`")]
#[diagnostic(code(lab::unknown_scenario))]
pub struct UnknownScenario {
    name: String,
    #[help]
    help: String,
}

impl UnknownScenario {
    fn new(name: &str, known: &[String]) -> UnknownScenario {
        let known = || known.iter().map(String::as_str);
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", one_of(known())),
        };
        UnknownScenario {
            name: name.to_owned(),
            help,
        }
    }
}

/// Returns the scenarios of these names, each once and in the given order; all if no name is given.
///
/// # Errors
/// The first unknown name.
pub fn select(all: Vec<Scenario>, names: &[String]) -> Result<Vec<Scenario>, UnknownScenario> {
    if names.is_empty() {
        return Ok(all);
    }
    let mut selected: Vec<Scenario> = Vec::new();
    for name in names {
        let Some(scenario) = all.iter().find(|scenario| scenario.name == *name) else {
            let known: Vec<String> = all.iter().map(|scenario| scenario.name.clone()).collect();
            return Err(UnknownScenario::new(name, &known));
        };
        if selected.iter().all(|other| other.name != *name) {
            selected.push(scenario.clone());
        }
    }
    Ok(selected)
}

fn title(name: &str) -> String {
    format!("scenario `{name}`")
}

fn read(
    name: &str,
    dir: &Path,
    source: Source,
    data: DataCheck,
) -> Result<Scenario, InvalidScenario> {
    let draft = draft::read(&source);
    let mut elsewhere = Vec::new();
    if draft.was_read {
        check::check(&draft, &source);
        if data == DataCheck::Strict {
            check::files(dir, &draft, &source);
            if draft.has_own_config() {
                elsewhere = data::check(&Scenario::data_dir_of(dir), &draft, &source);
            }
        }
    }
    finished(name, dir, source, draft, elsewhere)
}

/// Returns the scenario, if there are no problems in its own file or `elsewhere`.
fn finished(
    name: &str,
    dir: &Path,
    source: Source,
    draft: Draft,
    mut elsewhere: Vec<Problem>,
) -> Result<Scenario, InvalidScenario> {
    let sound = source.is_sound() && elsewhere.is_empty();
    let scenario = sound.then(|| build(name, dir, draft)).flatten();
    scenario.ok_or_else(|| {
        let mut problems = source.into_problems();
        problems.append(&mut elsewhere);
        InvalidScenario::new(title(name), problems)
    })
}

/// Builds the scenario, if all required parts are present.
fn build(name: &str, dir: &Path, draft: Draft) -> Option<Scenario> {
    let mut networks = draft.networks.iter().map(DraftNetwork::build);
    let first = networks.next()??;
    let network = Networks::with(first, networks.collect::<Option<_>>()?);
    let routers = topology::build_routers(&draft, &network);
    Some(Scenario {
        name: name.to_owned(),
        dir: dir.to_owned(),
        summary: draft.summary,
        runs_first: draft.runs_first,
        firmware: draft
            .firmware
            .into_iter()
            .map(|firmware| firmware.value)
            .collect(),
        firmware_package: draft.firmware_package.map(|package| package.value),
        machines: draft
            .machines
            .map_or(Machines::Virtual, |machines| machines.value),
        network,
        routers,
        services: Services {
            dhcp: draft.dhcp.map_or(DhcpService::None, |dhcp| dhcp.value),
            proxy_dhcp: draft
                .proxy_dhcp
                .map_or(ProxyDhcpService::None, |proxy| proxy.value),
            pixiecore: draft.pixiecore.map_or(PixiecoreService::None, |p| p.value),
            config: draft.config.map(|config| config.value),
            dnsmasq_conf: draft.dnsmasq_conf.map(|path| dir.join(path.value)),
            boot_server_config: draft.boot_server_config.map(|path| dir.join(path.value)),
            https: draft.https.map(|certificate| certificate.value),
        },
        boot: Boot {
            bios: draft
                .bios
                .map_or(boot_server_policy::BiosLoader::Ipxe, |bios| bios.value),
            efi: draft.efi.map_or(EfiLoader::Ipxe, |efi| efi.value),
            chainload_ipxe: draft
                .chainload_ipxe
                .is_some_and(|chainload| chainload.value),
        },
        image: Image { name: draft.image },
        deadline: Deadline {
            boot: draft.boot,
            silence: draft.silence,
        },
        custom_services: draft
            .custom_services
            .into_iter()
            .map(DraftService::build)
            .collect::<Option<_>>()?,
        programs: draft
            .programs
            .into_iter()
            .map(DraftProgram::build)
            .collect::<Option<_>>()?,
        nodes: draft
            .nodes
            .into_iter()
            .map(|node| build_node(node, draft.is_secure))
            .collect::<Option<_>>()?,
    })
}

fn build_node(draft: DraftNode, is_secure: bool) -> Option<Node> {
    let name = draft.name?.value;
    Some(Node {
        expect: build_expect(draft.expect?, &name)?,
        name,
        uuid: draft.uuid?.value,
        mac: draft.mac?.value,
        further_macs: draft
            .further_macs
            .into_iter()
            .map(|mac| mac.value)
            .collect(),
        network: draft.network.map(|name| name.value),
        nics: draft
            .nics
            .into_iter()
            .map(DraftNic::build)
            .collect::<Option<_>>()?,
        serial: draft.serial,
        dhcp_hostname: draft.dhcp_hostname,
        memory_mib: draft.memory_mib,
        disks_mib: draft.disks_mib.into_iter().map(|disk| disk.value).collect(),
        secure_boot: match draft.secure_boot.keys {
            Some(keys) => keys.value,
            None => is_secure.then(SecureBootKeys::default),
        },
        dbx: values(draft.secure_boot.dbx),
        sbat_level: values(draft.secure_boot.sbat_level),
        check_console: draft
            .check_console
            .map_or_else(CheckConsole::default, |port| port.value),
    })
}

fn values<T>(located: Vec<Located<T>>) -> Vec<T> {
    located.into_iter().map(|one| one.value).collect()
}

fn build_expect(draft: DraftExpect, node: &str) -> Option<Expect> {
    Some(Expect {
        // Absent only if no config service of the lab runs, so that nobody reports a group.
        matched_by: draft
            .matched_by
            .map_or(MatchedBy::Labels, |matched_by| matched_by.value),
        group: draft
            .group
            .map_or_else(|| node.to_owned(), |group| group.value),
        boot_group: draft.boot_group.map(|group| group.value),
        kernel: draft.kernel.map(|path| path.value),
        initrd: draft.initrd,
        cloud_config: draft.cloud_config.map(|file| file.value),
        ignition: draft.ignition.map(|file| file.value),
        generic_config: draft.generic_config.map(|file| file.value),
        hostname: draft.hostname.map(|name| name.value),
        kernel_options: draft.kernel_options,
        units_active: draft.units_active,
        preseed: draft
            .preseed
            .map(|answers| answers.value)
            .unwrap_or_default(),
        resets: draft.resets,
        config_may_fail: draft.config_may_fail.is_some_and(|flag| flag.value),
        sha256: draft.sha256.map(|hashes| hashes.value).unwrap_or_default(),
        files: draft.files,
    })
}
