//! Programs of the services that scenarios bring (`[[service]]`), and the packages that contain them.

use std::collections::BTreeSet;
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use boot_server::policy::{GRUB_X64, SHIM_X64};
use lab_model::scenario::{EfiLoader, Node, Scenario, SecureBootKeys};

use super::host::{AbsentProgram, Host};
use super::packages::Family;
use super::{Finding, Group, Subject};

/// Folders of system programs, which are not in every user's `PATH`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Programs that bundled scenarios and guides use, with the packages of Debian, Fedora and Arch that contain them. Only
/// Debian's column was tested.
const PACKAGES: [(&str, [&str; 3]); 16] = [
    ("atftpd", ["atftpd", "atftp", "atftp"]),
    ("busybox", ["busybox", "busybox", "busybox"]),
    ("dhcpd", ["isc-dhcp-server", "dhcp-server", "dhcp"]),
    ("dhcrelay", ["isc-dhcp-relay", "dhcp-relay", "dhcp"]),
    ("dnsmasq", ["dnsmasq-base", "dnsmasq", "dnsmasq"]),
    ("in.tftpd", ["tftpd-hpa", "tftp-server", "tftp-hpa"]),
    ("kea-ctrl-agent", ["kea-ctrl-agent", "kea", "kea"]),
    ("kea-dhcp4", ["kea-dhcp4-server", "kea", "kea"]),
    ("kea-dhcp6", ["kea-dhcp6-server", "kea", "kea"]),
    ("lighttpd", ["lighttpd", "lighttpd", "lighttpd"]),
    ("nginx", ["nginx-light", "nginx", "nginx"]),
    (OPENSSL, ["openssl", "openssl", "openssl"]),
    (PODMAN, ["podman", "podman", "podman"]),
    ("python3", ["python3", "python3", "python"]),
    (SBSIGN, ["sbsigntool", "sbsigntools", "sbsigntools"]),
    ("setpriv", ["util-linux", "util-linux", "util-linux"]),
];

/// Program that makes keys for prepared boot programs.
const OPENSSL: &str = "openssl";

/// Program that signs prepared boot programs.
const SBSIGN: &str = "sbsign";

/// Program that exports container images.
const PODMAN: &str = "podman";

/// Signed boot programs that scenarios serve, with Debian's packages.
const FILES: [(&str, &str); 3] = [
    (SHIM_X64.file, SHIM_X64.package),
    (GRUB_X64.file, GRUB_X64.package),
    (
        "/usr/lib/syslinux/modules/bios/ldlinux.c32",
        "syslinux-common",
    ),
];

/// Returns the program's file: a name is searched in `PATH`, in the folders of system programs, and beside `lab` itself,
/// where `boot-server` is.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        return is_executable(&path).then_some(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let own = env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent).map(PathBuf::from);
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    folders
        .chain(own)
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Returns the absent programs of the scenarios' services, relays and signed boot chains.
#[must_use]
pub fn absent<'s>(scenarios: impl Iterator<Item = &'s Scenario>) -> Vec<AbsentProgram> {
    let mut absent = BTreeSet::new();
    for scenario in scenarios {
        for router in scenario.routers.iter().filter(|one| one.relay_to.is_some()) {
            if let Some(program) = router.relay.file().filter(|one| find(one).is_none()) {
                absent.insert(AbsentProgram {
                    program: program.to_owned(),
                    needed_by: format!(
                        "relay of router `{}` of scenario `{}`",
                        router.name, scenario.name
                    ),
                });
            }
        }
        if scenario.boot.efi == EfiLoader::Shim {
            let files = [SHIM_X64.file, GRUB_X64.file];
            let missing = files.iter().filter(|file| !Path::new(file).exists());
            absent.extend(missing.map(|file| AbsentProgram {
                program: (*file).to_owned(),
                needed_by: format!("`efi = \"shim\"` of scenario `{}`", scenario.name),
            }));
        }
        for (needed_by, program) in signing(scenario) {
            if find(program).is_none() {
                absent.insert(AbsentProgram {
                    program: program.to_owned(),
                    needed_by: format!("{needed_by} of scenario `{}`", scenario.name),
                });
            }
        }
        for service in &scenario.custom_services {
            let Some((program, arguments)) = service.command.split_first() else {
                continue;
            };
            // A root of its own has the program and its files.
            if service.has_root() {
                let podman = service.image.is_some() && find(PODMAN).is_none();
                absent.extend(podman.then(|| AbsentProgram {
                    program: PODMAN.to_owned(),
                    needed_by: format!(
                        "image of service `{}` of scenario `{}`",
                        service.name, scenario.name
                    ),
                }));
                continue;
            }
            // A file of the scenario's folder; a template is written later.
            let dir = scenario.dir.display().to_string();
            let here = program.replace("{dir}", &dir);
            let is_there = here.contains('{')
                || find(&here).is_some()
                || Path::new(&format!("{here}.in")).is_file();
            let files = arguments.iter().filter(|word| {
                let known = FILES.iter().any(|(path, _)| path == word);
                known && !Path::new(word).exists()
            });
            let needed_by = format!("service `{}` of scenario `{}`", service.name, scenario.name);
            for program in (!is_there).then_some(program).into_iter().chain(files) {
                absent.insert(AbsentProgram {
                    program: program.clone(),
                    needed_by: needed_by.clone(),
                });
            }
        }
    }
    absent.into_iter().collect()
}

/// Returns the programs that make keys and signatures for a scenario, and what needs them.
fn signing(scenario: &Scenario) -> Vec<(&'static str, &'static str)> {
    let has_own = |node: &Node| node.secure_boot == Some(SecureBootKeys::Own);
    let mut programs = Vec::new();
    if scenario.nodes.iter().any(has_own) {
        programs.push(("`secure_boot = \"own\"`", OPENSSL));
    }
    if scenario
        .programs
        .iter()
        .any(|program| program.sign.is_some())
    {
        programs.extend([("`sign`", OPENSSL), ("`sign`", SBSIGN)]);
    }
    programs
}

/// Returns a finding for each absent program.
pub(crate) fn examine(host: &Host) -> Vec<Finding> {
    let subject = Subject(Group::Cells, "service-program", "program of a service");
    host.absent_programs
        .iter()
        .map(|absent| {
            let what = format!("not found: {} ({})", absent.program, absent.needed_by);
            subject.missing(what, remedy(&absent.program, Family::of(&host.os_release)))
        })
        .collect()
}

fn remedy(program: &str, family: Family) -> String {
    let name = program.rsplit_once('/').map_or(program, |(_, name)| name);
    let file = FILES.iter().find(|(path, _)| *path == program);
    let known = PACKAGES.iter().find(|(known, _)| *known == name);
    match (file, known) {
        (Some((_, package)), _) => family.install(package),
        (None, Some((_, [debian, fedora, arch]))) => family.install(match family {
            Family::Debian | Family::Other => debian,
            Family::Fedora => fedora,
            Family::Arch => arch,
        }),
        (None, None) => format!("install `{name}`, or correct the service's `command`"),
    }
}

#[cfg(test)]
mod tests {
    use lab_model::scenario::Scenario;

    use super::*;

    fn scenario(command: &str) -> Scenario {
        let text = format!(
            "summary = \"One machine\"\nfirmware = [\"bios\"]\n[network]\nsubnet = \"192.168.90.0/24\"\n\
             [[service]]\nname = \"own\"\ncommand = [{command}]\nplays = [\"dhcp\"]\n\
             [[node]]\nname = \"node1\"\nuuid = \"16e7d8a7-bfa9-428b-9117-363341bb330b\"\n\
             mac = \"52:54:00:a1:9c:ae\"\nexpect = {{ hostname = \"node1\" }}\n"
        );
        Scenario::parse("mine", Path::new("/nowhere"), &text).unwrap()
    }

    fn findings(command: &str, os: &str) -> Vec<(String, Option<String>)> {
        let scenario = scenario(command);
        let host = Host {
            os_release: format!("ID={os}\n"),
            absent_programs: absent([&scenario].into_iter()),
            ..Host::default()
        };
        let findings = examine(&host).into_iter();
        findings.map(|one| (one.what, one.remedy)).collect()
    }

    #[test]
    fn program_not_on_this_host_is_named_with_its_service_and_a_remedy() {
        let [(what, remedy)] = &findings("\"no-such-program\"", "debian")[..] else {
            panic!("one finding expected");
        };
        assert_eq!(
            what,
            "not found: no-such-program (service `own` of scenario `mine`)"
        );
        assert!(remedy.as_ref().unwrap().contains("`command`"));
        assert_eq!(findings("\"/bin/sh\"", "debian"), []);
        assert_eq!(findings("\"sh\", \"-c\", \"true\"", "debian"), []);
        assert_eq!(findings("\"{dir}/own\"", "debian").len(), 1);
    }

    #[test]
    fn remedy_is_the_package_of_the_family() {
        assert_eq!(
            remedy("/opt/sbin/kea-dhcp4", Family::Debian),
            "sudo apt-get install kea-dhcp4-server"
        );
        assert_eq!(
            remedy("in.tftpd", Family::Fedora),
            "sudo dnf install tftp-server"
        );
        assert_eq!(
            remedy(GRUB_X64.file, Family::Debian),
            "sudo apt-get install grub-efi-amd64-signed"
        );
    }
}
