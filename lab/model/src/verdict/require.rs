//! Required evidence of a node, stage by stage, given the scenario's services.
//!
//! A stage whose service is not the lab's leaves no direct evidence and is not required: an address of libvirt's
//! DHCP shows in later stages.

use boot_server_catalog::nocloud::{Seed, SeedFile};
use boot_server_policy::BiosLoader;
use uuid::Uuid;

use crate::scenario::{
    CheckConsole, DhcpService, EfiLoader, Firmware, Image, MatchedBy, Node, Part, PixiecoreService,
    ProxyDhcpService, Scenario, Sha256Hex,
};
use crate::timeline::{self, StageEvent, StageName, Vantage};

/// Required evidence.
#[derive(Debug, Clone)]
pub(super) struct Requirement {
    pub(super) stage: StageName,
    /// Description of the awaited evidence.
    pub(super) waited_for: String,
    /// Observations that satisfy the requirement.
    pub(super) subject: Subject,
    /// Query string that the machine itself must send, if it is known; a config may bring in others.
    pub(super) query: Option<String>,
    /// Group that must have answered.
    pub(super) group: Option<String>,
    /// Attribute by which that group must have matched.
    pub(super) matched_by: Option<MatchedBy>,
    /// File that must have been served.
    pub(super) file: Option<String>,
    /// SHA-256 that must have arrived; for several files, one of these.
    pub(super) sha256: Vec<Sha256Hex>,
    /// Sender whose requests count.
    pub(super) by: By,
    /// Addresses of the services whose DHCP answers count; empty if the sender of answers is known otherwise.
    pub(super) servers: Vec<String>,
    /// True if the scenario expects a group, and the service does not tell which group answered.
    pub(super) is_group_untold: bool,
}

impl Requirement {
    fn new(stage: StageName, waited_for: String, subject: Subject) -> Requirement {
        Requirement {
            stage,
            waited_for,
            subject,
            query: None,
            group: None,
            matched_by: None,
            file: None,
            sha256: Vec::new(),
            by: By::Machine,
            servers: Vec::new(),
            is_group_untold: false,
        }
    }

    /// Returns the observations of requests by the machine itself.
    pub(super) fn own<'s>(
        &'s self,
        stage_events: &'s [StageEvent],
    ) -> impl DoubleEndedIterator<Item = &'s StageEvent> {
        // Without a group in the answer, the query is the only thing that tells whose config it is.
        let exact = match self.by {
            By::MachineOfService => self.query.as_deref(),
            _ => None,
        };
        let own = timeline::own(stage_events, self.query.as_deref());
        own.filter(move |one| exact.is_none_or(|query| one.fact.query() == Some(query)))
    }

    /// True if the machine itself must have requested a file and received the answer.
    pub(super) fn is_of_a_file(&self) -> bool {
        use StageName::{CloudConfig, Generic, Ignition, Initrd, Kernel, Nbp, Script};
        let loads = [Nbp, Script, Kernel, Initrd, Ignition, Generic, CloudConfig];
        let is_of_service = [By::Machine, By::MachineOfService].contains(&self.by);
        is_of_service && loads.contains(&self.stage)
    }
}

/// Sender whose requests count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The machine's own request, answered by a service of the lab.
    Machine,
    /// The machine's own request, answered by any server.
    MachineOfAnybody,
    /// The machine's own request, answered by a service of the scenario, which may report nothing.
    MachineOfService,
    /// Request of a service about the machine.
    Service,
}

/// Subject of an observation.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// Any observation of the stage.
    Any,
    /// This path.
    Path(String),
    /// One of these paths.
    OneOf(Vec<String>),
    /// Path in this folder.
    Folder(String),
    /// File of this name.
    FileName(&'static str),
    /// File whose path ends with this one.
    FileAt(String),
    /// File with one of these extensions.
    Ending(&'static [&'static str]),
}

impl Subject {
    /// True if the observation has this subject.
    pub(super) fn is_of(&self, stage_event: &StageEvent) -> bool {
        self.is_path(stage_event.subject.as_deref().unwrap_or_default())
    }

    /// True if a file at this path is the subject.
    pub(super) fn is_path(&self, path: &str) -> bool {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        match self {
            Subject::Any => true,
            Subject::Path(wanted) => path.eq_ignore_ascii_case(wanted),
            Subject::OneOf(wanted) => wanted.iter().any(|one| path.eq_ignore_ascii_case(one)),
            Subject::Folder(folder) => path
                .split_once('/')
                .is_some_and(|(found, _)| found.eq_ignore_ascii_case(folder)),
            Subject::FileName(wanted) => name == *wanted,
            Subject::FileAt(wanted) => path
                .strip_suffix(wanted.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('/')),
            Subject::Ending(endings) => endings.iter().any(|ending| name.ends_with(ending)),
        }
    }
}

/// Returns all requirements of `node` except the checks inside it, in the order of the stages. A simulated
/// machine executes no kernel, so it has no requirements after the initrd.
pub(super) fn requirements(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    vantage: Vantage,
) -> Vec<Requirement> {
    let mut list = of_whole_boot(scenario, node, firmware, vantage);
    for requirement in &mut list {
        judged(requirement, node);
        by_custom_services(requirement, scenario, node);
    }
    if !scenario.machines.is_virtual() {
        list.retain(|requirement| requirement.stage <= StageName::Initrd);
    }
    list
}

/// Accepts the evidence of the wire where services of the user answer, which report neither requests nor groups. Their
/// requirements hold only with a capture of the machine's own port ([`judge`](super::judge::judge)).
fn by_custom_services(requirement: &mut Requirement, scenario: &Scenario, node: &Node) {
    use StageName::{CloudConfig, Dhcp, Ignition, Initrd, Kernel, Nbp, Proxy, Script};
    let is_custom = match requirement.stage {
        Dhcp => scenario.custom_service(Part::Dhcp).is_some(),
        Proxy => scenario.custom_service(Part::ProxyDhcp).is_some(),
        Nbp => !scenario.has_own_boot_options(),
        Script | CloudConfig | Ignition => !scenario.has_own_config(),
        Kernel | Initrd => !scenario.custom_services.is_empty(),
        _ => false,
    };
    if is_custom && requirement.by == By::Machine {
        requirement.by = By::MachineOfService;
        // Where a scenario states neither, the group is the node's name and matches by labels.
        let expect = &node.expect;
        let is_stated = expect.group != node.name || expect.matched_by != MatchedBy::Labels;
        requirement.is_group_untold = requirement.group.take().is_some() && is_stated;
        requirement.matched_by = None;
        requirement.file = None;
        // A relay may put its own address in the place of the server's (RFC 5107).
        if [Dhcp, Proxy].contains(&requirement.stage) && scenario.routers.is_empty() {
            let own = scenario.custom_services.iter();
            let own = own.map(|service| scenario.address_of(service));
            let all = own.chain([scenario.network.host()]);
            requirement.servers = all.map(|address| address.to_string()).collect();
        }
    }
}

/// Adds the expected group and hashes to a requirement.
fn judged(requirement: &mut Requirement, node: &Node) {
    let expect = &node.expect;
    let is_own_group = requirement.group.as_ref() == Some(&expect.group);
    requirement.matched_by = is_own_group.then_some(expect.matched_by);
    let hashes = &expect.sha256;
    let one = |hash: &Option<Sha256Hex>| hash.iter().cloned().collect();
    requirement.sha256 = match requirement.stage {
        StageName::Nbp => one(&hashes.boot_program),
        StageName::Kernel => one(&hashes.kernel),
        StageName::Initrd => match &requirement.subject {
            // Chosen by its position among the named initrds.
            Subject::FileAt(path) => {
                let place = expect.initrd.iter().position(|named| named == path);
                let hash = place.and_then(|place| hashes.initrd.get(place));
                hash.into_iter().cloned().collect()
            }
            _ => hashes.initrd.clone(),
        },
        StageName::CloudConfig => one(&hashes.cloud_config),
        StageName::Ignition => one(&hashes.ignition),
        _ => Vec::new(),
    };
}

fn of_whole_boot(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    vantage: Vantage,
) -> Vec<Requirement> {
    let mut list = Vec::new();
    let mut add = |stage, waited_for: String, subject| {
        list.push(Requirement::new(stage, waited_for, subject));
    };
    let mac = node.mac;
    let services = &scenario.services;
    if services.dhcp == DhcpService::BootServer {
        let what = format!("a DHCP exchange of {mac}, acknowledged by the lab's server");
        add(StageName::Dhcp, what, Subject::Any);
    }
    if let Some(service) = scenario.custom_service(Part::Dhcp) {
        let what = format!(
            "a DHCP exchange of {mac}, acknowledged by {}",
            service.title()
        );
        add(StageName::Dhcp, what, Subject::Any);
    }
    if let Some(service) = scenario.custom_service(Part::ProxyDhcp) {
        let what = format!(
            "boot options for {mac} from {}, beside the other DHCP server",
            service.title()
        );
        add(StageName::Proxy, what, Subject::Any);
    }
    let own_pixiecore = services.pixiecore == PixiecoreService::BootServer;
    if services.proxy_dhcp == ProxyDhcpService::BootServer || own_pixiecore {
        let what =
            format!("boot options for {mac} from the lab's proxy, beside the other DHCP server");
        add(StageName::Proxy, what, Subject::Any);
    }
    if let Some((what, subject)) = boot_program(scenario, node, firmware) {
        add(StageName::Nbp, format!("{what} loaded by {mac}"), subject);
        if scenario.boot.efi == EfiLoader::Shim && firmware.is_uefi() {
            let what = format!("GRUB (`grubx64.efi`) loaded by {mac}");
            add(StageName::Nbp, what, Subject::Ending(&["grubx64.efi"]));
        }
    }
    let own_loading = !matches!(services.pixiecore, PixiecoreService::Command(_));
    list.extend(script(scenario, node, firmware, vantage));
    let mut add = |stage, waited_for: String, subject, group, file| {
        let query = match &subject {
            Subject::Path(path) => node.config_query(path).map(str::to_owned),
            _ => None,
        };
        list.push(Requirement {
            query,
            group,
            file,
            ..Requirement::new(stage, waited_for, subject)
        });
    };
    if own_loading {
        for (stage, file, subject) in image_files(node) {
            let expect = &node.expect;
            let is_named = match stage {
                StageName::Kernel => expect.kernel.is_some(),
                _ => !expect.initrd.is_empty(),
            };
            // A service of the user has names of its own.
            let is_custom = !scenario.has_own_config() && !is_named;
            // Pixiecore hides the file name from the machine; the stage identifies the file.
            let subject = match own_pixiecore || is_custom {
                true => Subject::Any,
                false => subject,
            };
            let what = match is_custom {
                true => format!("a file of stage {stage} loaded completely by {mac}"),
                false => format!("{file} loaded completely by {mac}"),
            };
            add(stage, what, subject, None, None);
        }
    }
    let console = "on the console".to_owned();
    add(
        StageName::KernelUp,
        format!("the kernel's first line {console}"),
        Subject::Any,
        None,
        None,
    );
    let group = &node.expect.group;
    if let Some(file) = &node.expect.ignition {
        let what = format!("Ignition of {} to fetch {file} of group {group}", node.name);
        let path = config_subject(scenario, node, "ignition", file);
        add(
            StageName::Ignition,
            what,
            path,
            Some(group.clone()),
            Some(file.clone()),
        );
    }
    if let Some(file) = &node.expect.generic_config {
        let what = format!("{} to fetch {file} of group {group}", node.name);
        add(
            StageName::Generic,
            what,
            Subject::Path("generic".into()),
            Some(group.clone()),
            Some(file.clone()),
        );
    }
    let login = match node.check_console {
        CheckConsole::Console => format!("a login {console}"),
        CheckConsole::SecondPort => "a shell on the second serial port".into(),
    };
    add(StageName::UserlandUp, login, Subject::Any, None, None);
    if let Some(file) = &node.expect.cloud_config {
        let what = format!(
            "{} to fetch cloud-config {file} of group {group}",
            node.name
        );
        let path = match node.seed() {
            Some(seed) => user_data_of(&seed),
            None => config_subject(scenario, node, "cloud", file),
        };
        add(
            StageName::CloudConfig,
            what,
            path,
            Some(group.clone()),
            Some(file.clone()),
        );
    }
    list
}

/// The kernel and the initrds that the machine must have loaded: those that are named, else the image's.
fn image_files(node: &Node) -> Vec<(StageName, &str, Subject)> {
    let expect = &node.expect;
    let kernel = expect.kernel.as_slice();
    let mut files = image_files_of(StageName::Kernel, kernel, Image::KERNEL);
    files.extend(image_files_of(
        StageName::Initrd,
        &expect.initrd,
        Image::INITRD,
    ));
    files
}

fn image_files_of<'n>(
    stage: StageName,
    named: &'n [String],
    usual: &'static str,
) -> Vec<(StageName, &'n str, Subject)> {
    if named.is_empty() {
        return vec![(stage, usual, Subject::FileName(usual))];
    }
    named
        .iter()
        .map(|path| (stage, path.as_str(), Subject::FileAt(path.clone())))
        .collect()
}

/// Returns the config that the machine must have loaded: the service's path, or with a service of the user the path
/// of the kernel option's URL, else a file of the config's name.
fn config_subject(scenario: &Scenario, node: &Node, path: &str, file: &str) -> Subject {
    if scenario.has_own_config() {
        return Subject::Path(path.into());
    }
    let options = match path {
        "cloud" => CLOUD_CONFIG_OPTIONS,
        _ => IGNITION_OPTIONS,
    };
    let url = node.expect.kernel_options.iter().find_map(|option| {
        let (name, url) = option.split_once('=')?;
        let (_, path) = url.split_once("://")?.1.split_once('/')?;
        options.contains(&name).then_some(path)
    });
    match url {
        Some(path) => {
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            Subject::Path(path.to_owned())
        }
        None => Subject::FileAt(file.to_owned()),
    }
}

/// Returns the user-data of a NoCloud seed: its path, unless only the machine knows the whole URL.
fn user_data_of(seed: &Seed) -> Subject {
    let url = seed.url_of(SeedFile::UserData);
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'));
    match path {
        Some((_, path)) if !seed.has_dmi_values() => {
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            Subject::Path(path.to_owned())
        }
        _ => Subject::Ending(&["user-data"]),
    }
}

/// Kernel options with the URL of a cloud-config.
const CLOUD_CONFIG_OPTIONS: &[&str] = &["cloud-config-url", "cc_url"];

/// Kernel options with the URL of an Ignition config.
const IGNITION_OPTIONS: &[&str] = &[
    "coreos.config.url",
    "flatcar.config.url",
    "ignition.config.url",
];

/// Returns the network boot program that the machine must have loaded from a service of the scenario, if any.
fn boot_program(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
) -> Option<(&'static str, Subject)> {
    const IPXE_BIOS: (&str, Subject) = ("iPXE (`*.kpxe`)", Subject::Ending(&[".kpxe", ".pxe"]));
    const IPXE_UEFI: (&str, Subject) = ("iPXE (`*.efi`)", Subject::Ending(&[".efi"]));
    const SHIM: &[&str] = &["bootx64.efi", "shimx64.efi", "shimx64.efi.signed"];
    const IPXE_BY_HTTP: &str = "iPXE (`nbp/ipxe.efi`, by HTTP)";
    let boot = &scenario.boot;
    if !scenario.has_own_boot_options() {
        // BIOS machines have iPXE in their ROM and may need no other.
        return firmware
            .is_uefi()
            .then_some(("a boot program", Subject::Any));
    }
    if scenario.services.dhcp == DhcpService::Dnsmasq {
        // dnsmasq serves files too, and reports nothing.
        return None;
    }
    match (&scenario.services.pixiecore, firmware) {
        (PixiecoreService::Command(_), _) => None,
        // Also sent to a ROM that is iPXE already, so that every machine runs the same version.
        (PixiecoreService::BootServer, _) => Some((
            "Pixiecore's boot program",
            Subject::Folder(node.mac.to_string()),
        )),
        (PixiecoreService::None, Firmware::Uefi | Firmware::UefiHttp)
            if boot.efi == EfiLoader::Shim =>
        {
            Some(("shim", Subject::Ending(SHIM)))
        }
        (PixiecoreService::None, Firmware::Uefi) => Some(IPXE_UEFI),
        (PixiecoreService::None, Firmware::UefiHttp) => {
            Some((IPXE_BY_HTTP, Subject::Path("nbp/ipxe.efi".into())))
        }
        (PixiecoreService::None, Firmware::Bios) => match boot.bios {
            BiosLoader::Pxelinux => Some(("PXELINUX", Subject::FileName("pxelinux.0"))),
            BiosLoader::Ipxe if boot.chainload_ipxe => Some(IPXE_BIOS),
            // The ROM already is iPXE.
            BiosLoader::Ipxe => None,
        },
    }
}

/// Boot options that the machine must have received.
fn script(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    vantage: Vantage,
) -> Vec<Requirement> {
    let group = node.expect.boot_group();
    let of = |waited_for: String, subject: Subject, group: Option<&str>| Requirement {
        group: group.map(str::to_owned),
        ..Requirement::new(StageName::Script, waited_for, subject)
    };
    let requirement = |waited_for, path, group| of(waited_for, Subject::Path(path), group);
    let mac = node.mac;
    if !scenario.has_own_config() {
        let what = format!("a boot script loaded by {mac}");
        return vec![of(what, Subject::Any, Some(group))];
    }
    let api = || {
        let what = format!("the boot config service to answer for {mac} with group {group}");
        Requirement {
            by: By::Service,
            ..requirement(what, format!("pixiecore/v1/boot/{mac}"), Some(group))
        }
    };
    match scenario.services.pixiecore {
        PixiecoreService::Command(_) => {
            let mut list = vec![api()];
            // Only the machine's port shows the answers of this server.
            if vantage == Vantage::OwnPort {
                let what = format!("an iPXE script loaded by {mac}");
                let script = of(what, Subject::Any, None);
                list.push(Requirement {
                    by: By::MachineOfAnybody,
                    ..script
                });
            }
            list
        }
        PixiecoreService::BootServer => {
            let what = format!("Pixiecore's iPXE script loaded by {mac}");
            vec![api(), requirement(what, "_/ipxe".into(), None)]
        }
        PixiecoreService::None => {
            if firmware == Firmware::Bios && scenario.boot.bios == BiosLoader::Pxelinux {
                let (files, subject) = pxelinux_config(node);
                let what = format!("{files} of group {group} loaded by {mac}");
                vec![of(what, subject, Some(group))]
            } else if firmware.is_uefi() && scenario.boot.efi == EfiLoader::Shim {
                let what = format!("GRUB's menu (`grub.cfg`) of group {group} loaded by {mac}");
                vec![of(what, Subject::FileName("grub.cfg"), Some(group))]
            } else {
                let what = format!("the iPXE script of group {group} loaded by {}", node.name);
                vec![requirement(what, "ipxe".into(), Some(group))]
            }
        }
    }
}

/// Returns the names under which PXELINUX finds its configuration. It tries UUID, MAC (with the hardware type,
/// 01 for Ethernet), address and `default` in this order.
///
/// It writes the UUID in the byte order of SMBIOS, whose first three fields are little-endian; firmware that
/// swaps them itself (not observed here; SMBIOS before 2.6 left the order open) produces the usual form.
fn pxelinux_config(node: &Node) -> (String, Subject) {
    let files = match node.expect.matched_by {
        MatchedBy::Uuid => {
            let swapped = Uuid::from_bytes(node.uuid.to_bytes_le());
            vec![
                format!("pxelinux.cfg/{}", node.uuid),
                format!("pxelinux.cfg/{swapped}"),
            ]
        }
        MatchedBy::Mac => vec![format!("pxelinux.cfg/01-{}", node.mac.hyphenated())],
        MatchedBy::Default => vec!["pxelinux.cfg/default".into()],
        // Under its address, which is unknown beforehand.
        MatchedBy::Labels => {
            let folder = "pxelinux.cfg";
            return (
                format!("a file in {folder}"),
                Subject::Folder(folder.into()),
            );
        }
    };
    (files.join(" or "), Subject::OneOf(files))
}
