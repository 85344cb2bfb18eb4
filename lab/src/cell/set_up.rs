//! Set-up of a cell: everything except the machines.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use boot_server::config::Config;
use lab_model::scenario::{PixiecoreService, Ready, ReadyWhen, Scenario};
use rustix::mount::mount_bind;
use tokio::sync::mpsc;

use super::custom::{CustomServices, Surroundings};
use super::error::AttemptError;
use super::fault::{self, Killer};
use super::https;
use super::message::{Asset, Job};
use super::plan;
use super::programs::{self, Places};
use super::sandbox::cell_dir;
use super::server_change::changed;
use super::services::{Libvirtd, ServiceEvent, start_boot_server};
use super::switch;
use super::topology;
use crate::capture::{self, Capture};
use crate::hosts::attachment::Plug;
use crate::hypervisor::mark::RunMark;
use crate::hypervisor::network::{self, NetworkSpec};

/// Time limit for the start of dnsmasq.
const DNSMASQ_DEADLINE: Duration = Duration::from_secs(10);

/// Start message of dnsmasq, printed after binding its sockets.
const DNSMASQ_STARTED: &str = ": started";

/// Running services of a cell.
pub(super) struct Services {
    pub(super) libvirtd: Arc<Libvirtd>,
    /// Network of the servers.
    pub(super) network: NetworkSpec,
    /// Captures, by the name of their network.
    pub(super) captures: Vec<(String, Capture)>,
    /// Attachment of simulated machines.
    pub(super) plug: Plug,
    pub(super) killer: Killer,
    /// Services of the user, and the programs that are not the lab's own.
    pub(super) custom: CustomServices,
    /// Folder of the scenario's prepared programs, which servers search first.
    programs: Option<PathBuf>,
    /// Folders that TFTP servers search before those of Debian's boot programs.
    pub(super) tftp_roots: Vec<PathBuf>,
}

impl Services {
    /// Starts network, capture, servers and the other hosts of a fault.
    ///
    /// # Errors
    /// [`AttemptError`] if one of them cannot be started.
    pub(super) async fn start(
        job: &Job,
        scenario: &Scenario,
        events: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<Services, AttemptError> {
        let libvirtd = match &job.connect {
            None => Libvirtd::start(&job.artifacts.join("libvirtd.log")).await?,
            Some(uri) => Libvirtd::of_host(uri).await?,
        };
        let network = NetworkSpec {
            mark: RunMark::of(&job.run_id),
            ..plan::network(scenario, &job.run_id)
        };
        let is_alone = scenario.network.further().is_empty() && !switch::is_needed(scenario);
        if job.connect.is_some() && !is_alone {
            return Err(AttemptError::NetworksOnHost);
        }
        create_network(job, &network, &libvirtd).await?;
        topology::create_networks(job, scenario, &network, &libvirtd.hypervisor).await?;
        switch::create_trunks(job, scenario, &network, &libvirtd.hypervisor).await?;
        let mut captures = Vec::new();
        for (name, spec) in plan::captures(scenario, &network, job) {
            captures.push((name, capture::start(&spec)?));
        }
        let plug = fault::before_servers(job, &network, &libvirtd.hypervisor).await?;
        switch::start(job, scenario, plug.bridge(), events).await?;
        topology::start_routers(job, scenario, &network, &plug).await?;
        let assets = cell_dir().join("assets");
        let image = plan::image_folder(&assets);
        lay_out(job, &assets, &image)?;
        let programs = programs::prepare(
            scenario,
            &Places {
                assets: &assets,
                kernel: programs::kernel(&image),
                fetched: &job.programs,
                cell: &cell_dir(),
            },
        )?;
        if let Some(certificate) = scenario.services.https {
            https::prepare(certificate, network.host, &assets, &cell_dir())?;
        }
        let mut services = Services {
            libvirtd: Arc::new(libvirtd),
            network,
            captures,
            plug,
            killer: Killer::default(),
            custom: CustomServices::default(),
            programs,
            tftp_roots: Vec::new(),
        };
        services
            .start_boot_servers(job, scenario, &assets, events)
            .await?;
        services.start_programs(job, scenario, events).await?;
        let around = Surroundings {
            scenario,
            run_id: &job.run_id,
            bridge: &services.network.bridge,
            plug: &services.plug.on(&services.network.bridge),
            assets: &assets,
            artifacts: &job.artifacts,
            images: &job.service_images,
        };
        services.custom.start(around, events).await?;
        services.killer.watch_services(job);
        fault::stations(job, scenario, &services.network, &services.plug, &image).await?;
        Ok(services)
    }

    async fn start_boot_servers(
        &mut self,
        job: &Job,
        scenario: &Scenario,
        assets: &Path,
        events: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<(), AttemptError> {
        let site = scenario.services.boot_server_config.as_deref();
        let site = site.map(site_config).transpose()?;
        let bridge = &self.network.bridge;
        for mut server in plan::boot_servers(scenario, bridge, assets, site.as_ref()) {
            if server.name == fault::SERVER {
                let change = &job.injections.server;
                server.config = changed(&server.config, change, &scenario.data_dir())?;
            }
            if let Some(tftp) = &mut server.config.tftp {
                let prepared = self.programs.iter().cloned();
                tftp.roots.splice(0..0, prepared);
                self.tftp_roots.extend(tftp.roots.iter().cloned());
            }
            let folder = job.artifacts.join(server.name);
            let (program, config) = (&job.boot_server, &server.config);
            let pid =
                start_boot_server(server.name, program, config, &folder, events.clone()).await?;
            if server.name == fault::SERVER {
                self.killer = Killer::new(job, server.config, pid);
            }
        }
        Ok(())
    }

    /// Starts the programs that are not the lab's own: a user's Pixiecore, and dnsmasq.
    async fn start_programs(
        &mut self,
        job: &Job,
        scenario: &Scenario,
        events: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<(), AttemptError> {
        if let PixiecoreService::Command(command) = &scenario.services.pixiecore {
            let fill = |word: &String| {
                word.replace("{api}", &plan::pixiecore_api(&scenario.network))
                    .replace("{interface}", &self.network.bridge)
                    .replace("{address}", &self.network.host.to_string())
            };
            let command: Vec<String> = command.iter().map(fill).collect();
            let folder = job.artifacts.join("pixiecore");
            let custom = &mut self.custom;
            let started = custom.start_program("pixiecore", command, None, &folder, events);
            started.await?;
        }
        if let Some(command) = plan::dnsmasq(scenario) {
            let folder = job.artifacts.join("dnsmasq");
            let ready = Some(Ready {
                when: ReadyWhen::Log(DNSMASQ_STARTED.into()),
                within: DNSMASQ_DEADLINE,
            });
            let custom = &mut self.custom;
            let started = custom.start_program("dnsmasq", command, ready, &folder, events);
            started.await?;
        }
        Ok(())
    }
}

async fn create_network(
    job: &Job,
    network: &NetworkSpec,
    libvirtd: &Libvirtd,
) -> Result<(), AttemptError> {
    let xml = network::render(network);
    let nets = job.artifacts.join("nets");
    fs::create_dir_all(&nets)?;
    fs::write(nets.join("network.xml"), &xml)?;
    libvirtd.hypervisor.create_network(xml).await?;
    Ok(())
}

/// Lays out the files that are served below `/assets/`.
fn lay_out(job: &Job, assets: &Path, image: &Path) -> Result<(), AttemptError> {
    let whole_image = Asset {
        at: image
            .strip_prefix(assets)
            .map_or_else(|_| image.to_owned(), Path::to_owned),
        from: job.image.clone(),
    };
    fs::create_dir_all(assets)?;
    let all = match job.assets.as_slice() {
        [] => std::slice::from_ref(&whole_image),
        all => all,
    };
    for Asset { at, from } in all {
        bind(from, &assets.join(at)).map_err(|source| AttemptError::Asset {
            path: from.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Mounts a file or folder at a place that does not exist yet.
fn bind(from: &Path, place: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(place)?;
    } else {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(place)?;
    }
    Ok(mount_bind(from, place)?)
}

/// Returns the boot server's configuration of the site.
fn site_config(file: &Path) -> Result<Config, AttemptError> {
    let text = fs::read_to_string(file).map_err(|source| AttemptError::File {
        path: file.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| AttemptError::SiteConfig {
        path: file.to_owned(),
        source,
    })
}
