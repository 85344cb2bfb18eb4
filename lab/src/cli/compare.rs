//! `lab compare URL DIR`: asks a running boot config service and boot-server for everything that the machines request,
//! and shows every difference.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use boot_server::catalog::data_dir::DataDir;
use boot_server::event_sink::EventSink;
use boot_server::net::http::{HttpServer, router};
use boot_server::net::neighbours::Neighbours;
use boot_server_catalog::Labels;
use boot_server_catalog::ignition::ConfigLanguage;
use boot_server_catalog::load::Source;
use boot_server_catalog::snapshot::{Layout, Snapshot};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use lab_report::exit_code::ExitCode;
use rollout::compare::{Answer, Version, compare, render, requests};
use rollout::plan::{ClientRequests, Known, Plan, plan_with_requests};

use super::http_get::{Server, client};
use super::ignition_mode::IgnitionName;
use super::inventory::{print, read_or_tell, tell};
use super::plan::{LayoutName, machines_of_groups};

/// Most requests to one server.
const MOST_REQUESTS: usize = 200_000;

/// Arguments of `lab compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// Running boot config service: http://HOST:PORT
    #[arg(value_name = "URL")]
    url: Server,
    /// Data directory that boot-server would serve, in bootcfg or matchbox layout
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Program and version at URL, whose documented differences are counted apart [default: bootcfg-0.2 or matchbox-0.9 by
    /// layout, matchbox-0.11 if a machine has a Butane config]
    #[arg(long, value_name = "VERSION", value_parser = versions())]
    from: Option<Version>,
    /// List of machines: *.toml, *.yaml, *.json or *.csv [default: machines that groups select by UUID or MAC]
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Boot method of the machines; pixiecore asks by MAC only, and compares its API too
    #[arg(long, value_enum, value_name = "NETWORK", default_value = "ipxe")]
    network: Network,
    /// Query string of the /boot.ipxe URL in the DHCP answer
    #[arg(long, value_name = "QUERY", default_value = "")]
    boot_query: String,
    /// Layout of DIR, if it cannot be detected
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutName>,
    /// Translation of Butane and Container Linux Configs, as `[http] ignition` of the server [default: by language]
    #[arg(long, value_name = "MODE")]
    ignition: Option<IgnitionName>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Network {
    /// Machines chainload iPXE
    Ipxe,
    /// Machines boot through Pixiecore
    Pixiecore,
}

fn versions() -> impl TypedValueParser<Value = Version> {
    PossibleValuesParser::new(Version::ALL.map(Version::name)).try_map(|name| name.parse())
}

/// Returns the latest version whose directories look like this one.
fn version_of(snapshot: &Snapshot, plan: &Plan) -> Version {
    let has_butane = || {
        plan.machines.iter().any(|machine| {
            let query = machine
                .request
                .split_once('?')
                .map_or("", |(_, query)| query);
            let source = snapshot.translated_from(&Labels::from_query(query), query);
            source.is_some_and(|(language, _)| language == ConfigLanguage::Butane)
        })
    };
    match plan.layout {
        Layout::Bootcfg => Version::Bootcfg02,
        Layout::Matchbox if has_butane() => Version::Matchbox011,
        Layout::Matchbox => Version::Matchbox09,
    }
}

/// Prints the differences and returns the exit code.
pub(super) fn run(arguments: &CompareArguments) -> ExitCode {
    attempt(arguments).unwrap_or_else(|code| code)
}

fn attempt(arguments: &CompareArguments) -> Result<ExitCode, ExitCode> {
    let source = Source {
        layout: arguments.layout.map(Into::into),
        ignition: arguments.ignition.map(Into::into),
        ..Source::of(&arguments.directory)
    };
    let (data_dir, _) = DataDir::open(source, None).map_err(|problems| tell(&problems))?;
    let snapshot = data_dir.snapshot();
    let inventory = match &arguments.machines {
        Some(list) => read_or_tell(list)?,
        None => machines_of_groups(&snapshot, None)?,
    };
    let is_pixiecore = arguments.network == Network::Pixiecore;
    let machine_requests = ClientRequests {
        boot_query: arguments.boot_query.clone(),
        known: match arguments.network {
            Network::Ipxe => Known::ByIpxe,
            Network::Pixiecore => Known::Mac,
        },
    };
    let plan = plan_with_requests(&snapshot, &inventory, &machine_requests);
    let version = arguments
        .from
        .unwrap_or_else(|| version_of(&snapshot, &plan));
    let requests = requests(&plan, &inventory, is_pixiecore);
    if requests.len() > MOST_REQUESTS {
        eprintln!(
            "lab: too many requests: {} (at most {MOST_REQUESTS}); compare a part of the machines at a time",
            requests.len()
        );
        return Err(ExitCode::InvalidInput);
    }
    let timeout = Duration::from_secs(arguments.timeout);
    let client = client(timeout);
    let ask = |server: &Server, target: &str, whose: &str, code| {
        server.get(&client, target).map_err(|error| {
            eprintln!("lab: cannot reach {whose}: GET {target} ({error})");
            code
        })
    };
    let (_runtime, here) = serve(data_dir)?;
    let mut answers: Vec<(Answer, Answer)> = Vec::with_capacity(requests.len());
    for target in requests.keys() {
        let there = ask(
            &arguments.url,
            target,
            "the server at URL",
            ExitCode::SetUpFailed,
        )?;
        let here = ask(
            &here,
            target,
            "boot-server in this process",
            ExitCode::Internal,
        )?;
        answers.push((there, here));
    }
    let comparison = compare(version, &requests, &answers);
    eprintln!("Compared as {version}, with its documented differences");
    match (
        print(&render(&comparison)),
        comparison.differences.is_empty(),
    ) {
        (ExitCode::Ok, false) => Ok(ExitCode::Failed),
        (code, _) => Ok(code),
    }
}

/// Serves a data directory on loopback until the runtime is dropped.
fn serve(data_dir: DataDir) -> Result<(tokio::runtime::Runtime, Server), ExitCode> {
    let internal = |error: &dyn std::fmt::Display| {
        eprintln!("lab: cannot serve the directory in this process: {error}");
        ExitCode::Internal
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| internal(&error))?;
    let address: SocketAddr = {
        let _inside = runtime.enter();
        let (sink, mut events) = EventSink::channel();
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        let no_assets: Option<&Path> = None;
        let router = router(
            Arc::new(data_dir),
            no_assets.map(Path::to_owned),
            Neighbours::default(),
            sink,
        );
        let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router)
            .map_err(|error| internal(&error))?;
        let address = server.local_addr().map_err(|error| internal(&error))?;
        runtime.spawn(server.serve(std::future::pending()));
        address
    };
    let server = format!("http://{address}")
        .parse()
        .map_err(|error| internal(&error))?;
    Ok((runtime, server))
}
