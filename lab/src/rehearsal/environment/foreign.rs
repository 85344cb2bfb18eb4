//! Networks of other programs: a Kea or an ISC dhcpd with the operator's file, and scenarios with `[[service]]`s.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use boot_server::config::BootConfig;
use ipnet::Ipv4Net;
use lab_model::scenario::{
    ConfigService, Network, Part, Ready, ReadyWhen, Restart, Scenario, Service, ServiceAddress,
    Services, StopSignal,
};

use super::{
    Environment, EnvironmentError, absolute, dhcpd, file_name, kea, unreadable, usual_boot,
};

/// Time limit for a DHCP server to start.
const WITHIN: Duration = Duration::from_secs(20);

/// Content of an operator's DHCP configuration.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) subnets: Vec<Ipv4Net>,
    /// Hosts of boot programs.
    pub(super) next_servers: Vec<Ipv4Addr>,
    /// The file as the server of the copy reads it.
    pub(super) text: String,
}

/// Mistake in a file, or a part of it that cannot be copied.
#[derive(Debug)]
pub(super) struct Mistake {
    /// Line number, from 1.
    pub(super) line: usize,
    text: String,
    /// Explanation and remedy.
    pub(super) why: String,
}

impl Mistake {
    pub(super) fn at(file: &str, line: usize, why: impl Into<String>) -> Mistake {
        let text = file.lines().nth(line - 1).unwrap_or_default();
        Mistake {
            line,
            text: text.trim().to_owned(),
            why: why.into(),
        }
    }
}

/// Program that reads a DHCP configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DhcpProgram {
    Dnsmasq,
    Kea,
    /// ISC DHCP.
    Dhcpd,
}

impl DhcpProgram {
    /// Returns the program that reads a file with this content: Kea's is JSON, dhcpd's has blocks of statements.
    fn of(text: &str) -> DhcpProgram {
        let lines = text.lines().map(str::trim);
        let is_comment = |line: &&str| line.starts_with("//") || line.starts_with("/*");
        let first = lines
            .clone()
            .find(|line| !line.is_empty() && !line.starts_with('#') && !is_comment(line));
        let is_block = |line: &str| {
            let line = line.split('#').next().unwrap_or_default().trim_end();
            line.ends_with('{') || line.ends_with(';')
        };
        match first {
            Some(line) if line.starts_with('{') => DhcpProgram::Kea,
            _ if lines.clone().any(is_block) => DhcpProgram::Dhcpd,
            _ => DhcpProgram::Dnsmasq,
        }
    }
}

impl Environment {
    /// Returns the network that a DHCP server's configuration describes, by its content.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the file is unreadable, has a mistake, or has an unsupported line.
    pub fn of_dhcp_file(path: &Path) -> Result<Environment, EnvironmentError> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let program = DhcpProgram::of(&text);
        let (found, server) = match program {
            DhcpProgram::Dnsmasq => return Environment::of_dnsmasq(path),
            DhcpProgram::Kea => (kea::read(&text), kea_service()),
            DhcpProgram::Dhcpd => (dhcpd::read(&text), dhcpd_service()),
        };
        let path = absolute(path)?;
        let found = found.map_err(|mistake| EnvironmentError::Line {
            path: path.display().to_string(),
            line: mistake.line,
            text: mistake.text,
            why: mistake.why,
        })?;
        let files = match program {
            DhcpProgram::Kea => vec![(kea::FILE.to_owned(), found.text)],
            // dhcpd needs a file of leases that exists.
            _ => vec![
                (dhcpd::FILE.to_owned(), found.text),
                (dhcpd::LEASES.to_owned(), String::new()),
            ],
        };
        // Both files name one subnet in most cases; others belong to relays.
        let next = found.next_servers.first().copied();
        let subnet = found
            .subnets
            .iter()
            .find(|net| next.is_some_and(|next| net.contains(&next)));
        let subnet = subnet.or(found.subnets.first()).copied();
        Ok(Environment {
            name: file_name(&path),
            services: Services {
                config: Some(ConfigService::BootServer),
                ..Services::NONE
            },
            boot: usual_boot(&BootConfig::default()),
            network: Network::new(subnet.unwrap_or(super::USUAL_SUBNET)),
            is_fixed: true,
            answers: Vec::new(),
            ignition: None,
            custom: vec![tftp_service(next), server],
            programs: Vec::new(),
            folder: None,
            files,
        })
    }

    /// Returns the network of a scenario whose own services serve the data directory that is rehearsed.
    ///
    /// # Errors
    /// [`EnvironmentError::Lacks`] if no server of the scenario would serve that directory.
    pub(super) fn of_services(scenario: &Scenario) -> Result<Environment, EnvironmentError> {
        if !scenario.has_own_config() && !serves_data(scenario) {
            return Err(EnvironmentError::Lacks {
                path: format!("scenario `{}`", scenario.name),
                why: "has no boot config service that would serve this data directory; write `{data}` into the \
                      command, environment or a template of the service that plays `config` (e.g. \
                      `-data-path={data}`), or add `config = \"boot-server\"` to `[services]`"
                    .into(),
            });
        }
        if !scenario.network.further().is_empty() {
            return Err(EnvironmentError::Lacks {
                path: format!("scenario `{}`", scenario.name),
                why: "has several networks, and a rehearsal copies one; name a scenario with one network".into(),
            });
        }
        let mut own = scenario.custom_services.iter();
        Ok(Environment {
            name: scenario.name.clone(),
            services: scenario.services.clone(),
            boot: scenario.boot,
            network: Network::clone(&scenario.network),
            // Files and commands of services name addresses.
            is_fixed: own.any(|service| service.address.own().is_some()),
            answers: Vec::new(),
            ignition: None,
            custom: scenario.custom_services.clone(),
            programs: scenario.programs.clone(),
            folder: (!scenario.custom_services.is_empty()).then(|| scenario.dir.clone()),
            files: Vec::new(),
        })
    }

    /// Lets the lab's own TFTP server at this address run on the host of the lab's services, which has the address: one
    /// host of a site may serve boot programs and configs.
    pub(super) fn share(&mut self, address: Ipv4Addr) {
        let own = self.custom.iter_mut().filter(|_| self.folder.is_none());
        for service in own.filter(|one| one.address == ServiceAddress::Own(address)) {
            service.address = ServiceAddress::Shared;
        }
    }

    /// True if a service has a host of its own with this address.
    pub(super) fn is_of_own_host(&self, address: Ipv4Addr) -> bool {
        let mut own = self.custom.iter();
        own.any(|service| service.address == ServiceAddress::Own(address))
    }
}

/// True if a service that plays `config` reads the scenario's folder `data`.
fn serves_data(scenario: &Scenario) -> bool {
    let names_data = |text: &str| text.contains("{data}") || text.contains("{dir}/data");
    let plays = scenario.custom_service(Part::Config);
    let in_command = plays.is_some_and(|service| {
        let mut words = service.command.iter().chain(service.env.values());
        words.any(|word| names_data(word))
    });
    let templates = std::fs::read_dir(&scenario.dir).into_iter().flatten();
    let mut templates = templates.filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_template = path.extension().is_some_and(|kind| kind == "in");
        is_template.then(|| std::fs::read_to_string(path).ok())?
    });
    plays.is_some() && (in_command || templates.any(|text| names_data(&text)))
}

fn service(name: &str, script: &str, plays: Part, ready: ReadyWhen) -> Service {
    Service {
        name: name.into(),
        command: vec!["sh".into(), "-c".into(), script.into()],
        rootfs: None,
        image: None,
        plays: vec![plays],
        address: ServiceAddress::Shared,
        network: None,
        ready: Some(Ready {
            when: ready,
            within: WITHIN,
        }),
        user: None,
        env: BTreeMap::new(),
        capabilities: None,
        restart: Restart::Never,
        stop: StopSignal::Term,
        after: Vec::new(),
    }
}

fn kea_service() -> Service {
    let state = |name: &str| (name.to_owned(), "{state}".to_owned());
    let ready = ReadyWhen::Log("DHCP4_STARTED".into());
    Service {
        // Named without a shell, so that a missing program is reported with its package.
        command: ["kea-dhcp4", "-c", "{dir}/kea-dhcp4.json"]
            .map(str::to_owned)
            .into(),
        env: BTreeMap::from([state("KEA_PIDFILE_DIR"), state("KEA_LOCKFILE_DIR")]),
        ..service("kea", "", Part::Dhcp, ready)
    }
}

fn dhcpd_service() -> Service {
    let command =
        "dhcpd -4 -f -d -cf {dir}/dhcpd.conf -lf {dir}/dhcpd.leases -pf {state}/pid {interface}";
    Service {
        command: command.split(' ').map(str::to_owned).collect(),
        ..service(
            "dhcpd",
            "",
            Part::Dhcp,
            ReadyWhen::Log("Server starting service".into()),
        )
    }
}

/// Boot programs at the address that the operator's file names, else at the address of the lab's services.
fn tftp_service(address: Option<Ipv4Addr>) -> Service {
    let script = "cp -L /usr/lib/ipxe/*.kpxe /usr/lib/ipxe/*.efi {state}; cp -L /usr/lib/PXELINUX/pxelinux.0 \
                  /usr/lib/syslinux/modules/bios/ldlinux.c32 {state} 2>/dev/null; exec dnsmasq --keep-in-foreground \
                  --conf-file=/dev/null --port=0 --enable-tftp --tftp-root={state} --interface={interface} \
                  --bind-interfaces --user=root --pid-file= --log-facility=-";
    Service {
        address: address.map_or(ServiceAddress::Shared, ServiceAddress::Own),
        ..service("tftp", script, Part::Tftp, ReadyWhen::Udp(69))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_content_is_the_program_that_reads_the_file() {
        let kea = "# a comment\n// another\n\n{ \"Dhcp4\": {} }\n";
        assert_eq!(DhcpProgram::of(kea), DhcpProgram::Kea);
        let dhcpd = "authoritative; # of this network\nsubnet 10.0.0.0 netmask 255.0.0.0 {\n}\n";
        assert_eq!(DhcpProgram::of(dhcpd), DhcpProgram::Dhcpd);
        let dnsmasq = "# subnet {\ndhcp-range=10.0.0.1,10.0.0.9\nenable-tftp\n";
        assert_eq!(DhcpProgram::of(dnsmasq), DhcpProgram::Dnsmasq);
    }
}
