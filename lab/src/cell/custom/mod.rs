//! Services of the user (`[[service]]`) in a cell: their hosts, files, processes and output.
//!
//! | file | job |
//! |---|---|
//! | [`files`] | copy of the scenario's folder, with the placeholders of templates replaced |
//! | [`host`] | the host of the lab's services, or one of its own |
//! | [`command`] | command line with user and capabilities, and its start |
//! | [`root`] | root file system of a service's own |
//! | [`image`] | export of container images, in the lab before a cell starts |
//! | [`process`] | processes: start, restart and end |
//! | [`leftover`] | processes and mounts that remain after the end |
//! | [`output`] | standard output and standard error, as logs and as evidence |
//! | [`ready`] | signs that a service is ready |

mod command;
mod files;
mod host;
pub mod image;
mod leftover;
mod output;
mod process;
mod ready;
pub mod root;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab_model::scenario::{
    Placeholder, Ready, Restart, Scenario, Service, ServiceAddress, StopSignal, start_order,
};
use lab_model::untrusted::tree::TreeError;
use tokio::sync::mpsc;

use self::command::{CommandLine, Place};
use self::host::{Host, own_host};
use self::leftover::{Mounts, end_marked};
use self::process::Process;
use self::root::RootJob;
use super::sandbox::cell_dir;
use super::services::ServiceEvent;
use super::topology;
use crate::hosts::attachment::{Plug, Plugged};

/// Reason why a service of the user does not run.
#[derive(Debug, thiserror::Error)]
pub enum CustomServiceError {
    /// Files cannot be prepared, or the service's host cannot be created.
    #[error("cannot prepare service {service}: {what}: {source}")]
    Prepare {
        service: String,
        /// Action that failed.
        what: String,
        source: io::Error,
    },
    /// The scenario's folder cannot be copied.
    #[error("cannot copy the scenario for service {service}: {source}")]
    Copy { service: String, source: TreeError },
    /// The program is not installed.
    #[error("cannot start service {service}: program not found: {program}")]
    Program { service: String, program: String },
    /// The program's user is unknown.
    #[error("cannot start service {service}: unknown user: {user}")]
    UnknownUser { service: String, user: String },
    /// The database of users cannot be read.
    #[error("cannot start service {service}: cannot look up user {user}: {source}")]
    UserLookup {
        service: String,
        user: String,
        source: io::Error,
    },
    /// The program's user does not exist in a cell of an ordinary user.
    #[error(
        "cannot start service {service}: user {user} (id {id}) has no id in this cell; give the user who runs the \
         lab more subordinate ids in /etc/subuid, or remove `user`"
    )]
    UnmappedUser {
        service: String,
        user: String,
        id: u32,
    },
    /// The program cannot be started.
    #[error("cannot start service {service}: {source}")]
    Start { service: String, source: io::Error },
    /// The program ended before it was ready.
    #[error("service {service} ended before it was ready: {detail}")]
    Ended {
        service: String,
        /// Exit status and last lines of output.
        detail: String,
    },
    /// The program did not become ready in time.
    #[error("service {service} timed out after {seconds} s: waiting for {sign}; {detail}")]
    NotReady {
        service: String,
        seconds: u64,
        sign: String,
        /// Last lines of output.
        detail: String,
    },
}

/// Running services of the user.
#[derive(Debug, Default)]
pub struct CustomServices {
    running: Vec<Process>,
    /// Names of the user's services that were started, including those that have done their work.
    names: Vec<String>,
    /// Mounts before the first service started.
    mounts: Mounts,
    /// Processes that hold the network namespaces; killed on drop.
    _hosts: Vec<Plugged>,
}

/// Surroundings of the services.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub scenario: &'a Scenario,
    /// Run id, part of the names of bridges.
    pub run_id: &'a str,
    /// Interface of the host of the lab's own services.
    pub bridge: &'a str,
    /// Attachment of hosts to the network.
    pub plug: &'a Plug,
    /// Files that are served below `/assets/`.
    pub assets: &'a Path,
    /// Folder of the attempt.
    pub artifacts: &'a Path,
    /// Exported images of services, by name.
    pub images: &'a BTreeMap<String, PathBuf>,
}

impl CustomServices {
    /// Starts the scenario's services in their order, each as soon as those before it are ready.
    ///
    /// # Errors
    /// [`CustomServiceError`] of the first service that does not become ready; the others end with the cell.
    pub async fn start(
        &mut self,
        around: Surroundings<'_>,
        told: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<(), CustomServiceError> {
        self.mounts = Mounts::read();
        for service in start_order(&around.scenario.custom_services) {
            self.names.push(service.name.clone());
            let started = self.start_one(service, around, told).await?;
            self.running.extend(started);
        }
        Ok(())
    }

    /// Starts a service and waits until it is ready; returns `None` for a program that has done its work.
    async fn start_one(
        &mut self,
        service: &Service,
        around: Surroundings<'_>,
        told: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<Option<Process>, CustomServiceError> {
        let preparing = |what: &str| {
            let (service, what) = (service.name.clone(), what.to_owned());
            move |source| CustomServiceError::Prepare {
                service,
                what,
                source,
            }
        };
        let log = around.artifacts.join(&service.name);
        fs::create_dir_all(&log).map_err(preparing("the folder of its logs"))?;
        let host = match service.address {
            ServiceAddress::Shared => Host::Shared,
            ServiceAddress::Own(address) => {
                let (scenario, log) = (around.scenario, log.join("host.log"));
                let network = scenario.network_of_service(service);
                let name = network.name.as_deref();
                let plug = match topology::further_name(scenario, name, around.run_id) {
                    Some(bridge) => around.plug.on(&bridge),
                    None => around.plug.clone(),
                };
                let gateway = scenario.gateway_of(network);
                let plugged = own_host(address, network.subnet, gateway, &plug, &log).await;
                let plugged = plugged.map_err(preparing("its host"))?;
                let pid = plugged.child.id().unwrap_or_default();
                let interface = plugged.interface.clone();
                self._hosts.push(plugged);
                Host::Own { pid, interface }
            }
        };
        let folder = cell_dir().join("services").join(&service.name);
        let values = Values {
            service,
            around,
            interface: match &host {
                Host::Shared => around.bridge,
                Host::Own { interface, .. } => interface,
            },
            folder: &folder,
            log: &log,
        };
        let value = |placeholder| values.of(placeholder);
        fs::create_dir_all(values.state()).map_err(preparing("its state folder"))?;
        let services = around.scenario.custom_services.iter();
        let roots: Vec<PathBuf> = services.filter_map(|one| one.rootfs.clone()).collect();
        files::copy(&around.scenario.dir, &values.dir(), &roots, value).map_err(
            |error| match error {
                files::CopyError::Tree(source) => CustomServiceError::Copy {
                    service: service.name.clone(),
                    source,
                },
                files::CopyError::Template { file, source } => {
                    preparing(&file.display().to_string())(source)
                }
            },
        )?;
        let exported = around.images.get(&service.name).cloned();
        let of_user = service
            .rootfs
            .as_ref()
            .map(|from| around.scenario.dir.join(from));
        let root = match exported.or(of_user) {
            Some(from) => {
                let root = folder.join("root");
                let what = format!("its root {}", from.display());
                root::lay_out(&from, &root).map_err(preparing(&what))?;
                Some(RootJob {
                    root,
                    shown: vec![
                        values.dir(),
                        values.state(),
                        around.assets.to_owned(),
                        log.clone(),
                    ],
                    dir: values.dir(),
                    state: values.state(),
                    user: service.user.clone(),
                })
            }
            None => None,
        };
        let place = Place {
            host: &host,
            dir: &values.dir(),
            state: &values.state(),
            root: root.as_ref(),
        };
        let command = command::command(service, place, value)?;
        let mut process = Process::start(service, host.clone(), command, &log, told.clone())?;
        wait_until_ready(&mut process, service, value).await?;
        Ok((!service.is_one_shot()).then_some(process))
    }

    /// Starts a program of the scenario's own network, such as dnsmasq, and waits until it is ready.
    ///
    /// Output is saved in the folder `log`; the program ends with the services.
    ///
    /// # Errors
    /// [`CustomServiceError`] if it cannot be started or does not become ready, such as with a port in use.
    pub async fn start_program(
        &mut self,
        name: &str,
        command: Vec<String>,
        ready: Option<Ready>,
        log: &Path,
        told: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<(), CustomServiceError> {
        fs::create_dir_all(log).map_err(|source| CustomServiceError::Prepare {
            service: name.to_owned(),
            what: "the folder of its logs".into(),
            source,
        })?;
        let service = Service {
            name: name.to_owned(),
            command,
            rootfs: None,
            image: None,
            plays: Vec::new(),
            address: ServiceAddress::Shared,
            network: None,
            ready,
            user: None,
            env: BTreeMap::new(),
            capabilities: None,
            restart: Restart::default(),
            stop: StopSignal::default(),
            after: Vec::new(),
        };
        let command = CommandLine::plain(service.command.clone());
        let mut process = Process::start(&service, Host::Shared, command, log, told.clone())?;
        wait_until_ready(&mut process, &service, |_| String::new()).await?;
        self.running.push(process);
        Ok(())
    }

    /// Kills a service, as a fault says, and starts it again after `restart`.
    pub fn kill(&self, name: &str, restart: Option<Duration>) {
        // A program that has done its work is not running.
        let process = self.running.iter().find(|process| process.name == name);
        if let Some(process) = process {
            process.kill(restart);
        }
    }

    /// Ends the services in the reverse order of their start and reports what they leave behind.
    pub async fn stop(self, told: &mpsc::UnboundedSender<ServiceEvent>) {
        let left_behind = |service: &str, what| {
            let service = service.to_owned();
            // The receiver is gone once the attempt is over.
            let _ = told.send(ServiceEvent::LeftBehind { service, what });
        };
        let mut ended = BTreeSet::new();
        for process in self.running.into_iter().rev() {
            let service = process.name.clone();
            for (pid, what) in process.stop().await {
                ended.insert(pid);
                left_behind(&service, what);
            }
        }
        for service in &self.names {
            for what in end_marked(service, &ended) {
                left_behind(service, what);
            }
        }
        if !self.names.is_empty() {
            for mount in self.mounts.added() {
                left_behind(&self.names.join(", "), format!("mount at {mount}"));
            }
        }
    }
}

/// Waits for the service's sign.
async fn wait_until_ready(
    process: &mut Process,
    service: &Service,
    value: impl Fn(Placeholder) -> String,
) -> Result<(), CustomServiceError> {
    let outcome = ready::wait(process, service, value).await;
    process.stop_hearing();
    outcome.map_err(|error| match error {
        ready::NotReady::Ended(detail) => CustomServiceError::Ended {
            service: service.name.clone(),
            detail,
        },
        ready::NotReady::TimedOut { seconds, sign } => CustomServiceError::NotReady {
            service: service.name.clone(),
            seconds,
            sign,
            detail: process.last_lines(),
        },
    })
}

/// Values of the placeholders for one service.
#[derive(Clone, Copy)]
struct Values<'a> {
    service: &'a Service,
    around: Surroundings<'a>,
    interface: &'a str,
    folder: &'a Path,
    log: &'a Path,
}

impl Values<'_> {
    fn dir(&self) -> PathBuf {
        self.folder.join("dir")
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn of(&self, placeholder: Placeholder) -> String {
        let scenario = self.around.scenario;
        let subnet = scenario.network_of_service(self.service).subnet;
        let path = |path: &Path| path.display().to_string();
        match placeholder {
            Placeholder::Address => scenario.address_of(self.service).to_string(),
            Placeholder::Assets => path(self.around.assets),
            Placeholder::Data => path(&self.dir().join("data")),
            Placeholder::Dir => path(&self.dir()),
            Placeholder::Host => scenario.network.host().to_string(),
            Placeholder::Interface => self.interface.to_owned(),
            Placeholder::Log => path(self.log),
            Placeholder::Name => self.service.name.clone(),
            Placeholder::Netmask => subnet.netmask().to_string(),
            Placeholder::Network => subnet.network().to_string(),
            Placeholder::State => path(&self.state()),
            Placeholder::Subnet => subnet.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
