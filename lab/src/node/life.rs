//! Life of a machine in an attempt: created paused, console connected, powered on, watched until its shell
//! answers, checked, destroyed.
//!
//! Nothing is judged here: all observations become records, which `verdict` reads.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab_model::evidence::disturbance::Disturbance;
use lab_model::evidence::domain::Domain;
use lab_model::evidence::{GaveUp, Observation};
use lab_model::scenario::{CheckConsole, Node};
use lab_model::verdict::checks::{Check, checks};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::console::Console;
use super::context::{NodeContext, NodeRecorder};
use super::machine::{self, Sockets};
use super::outlook::hopeless_or_login;
use super::picture::keep_picture;
use super::shell::{Answer, CHECK_SHELL, Shell, ShellError, wait_for_text};
use super::units;
use crate::hypervisor::{Hypervisor, HypervisorError};

/// Interval for asking libvirt whether the machine still runs.
const POWER_POLL: Duration = Duration::from_millis(500);

/// Time limit of one command in the guest.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// Time for which failed checks are repeated after the shell answers, because cloud-config is applied in
/// parallel with the login.
const SETTLE_DEADLINE: Duration = Duration::from_secs(180);

/// Interval for asking a starting system whether it has finished. More checks would only slow it down: without
/// KVM each costs as much as starting a unit.
const START_POLL: Duration = Duration::from_secs(2);

/// Remaining time at which checks are made even if the system is still starting: enough to make them all once
/// more.
const LAST_ROUND: Duration = Duration::from_secs(30);

/// Number of retries of failed checks after systemd has finished its start.
const ROUNDS_AFTER_START: u32 = 2;

/// Number of rounds of checks in an installer, which does not tell when its questions are saved.
const ROUNDS_OF_INSTALLER: u32 = 10;

/// Returns the libvirt name of a run's node.
#[must_use]
pub fn domain_name(run_id: &str, node: &Node) -> String {
    format!("lab-{run_id}-{}", node.name)
}

/// Runs one boot of `node`; returns when its machine has stopped.
///
/// # Errors
/// [`HypervisorError`] if libvirt refuses the machine, which is an error of the set-up, not of the boot.
pub async fn live(
    node: &Node,
    context: &NodeContext,
    hypervisor: &Hypervisor,
    recorder: &NodeRecorder,
    mut stop: watch::Receiver<Option<GaveUp>>,
) -> Result<(), HypervisorError> {
    let name = domain_name(&context.run_id, node);
    let outcome = async {
        // The journal is only saved; its connection ends with the machine.
        let Devices {
            mut console,
            mut checks,
            journal: _journal,
            device,
        } = power_on(&name, node, context, hypervisor, recorder).await?;
        let meter = console.meter();
        let deadline = Instant::now() + context.deadline;
        tokio::select! {
            end = boot_and_check(node, &mut console, checks.as_mut(), deadline, recorder) => match end {
                Ok(()) => {}
                Err(ShellError::Closed) => recorder.saw(Observation::PowerOff { reason: "the machine stopped by itself".into() }),
                Err(ShellError::Silent) => {
                    recorder.gave_up(GaveUp::Deadline { seconds: context.deadline.as_secs() });
                }
                Err(error) => recorder.gave_up(GaveUp::Other(error.to_string())),
            },
            why = recorder.progress.overdue(meter, device) => recorder.gave_up(GaveUp::Other(why)),
            () = powered_off(&name, hypervisor) => {
                recorder.saw(Observation::PowerOff { reason: "the machine stopped by itself".into() });
            }
            Ok(reason) = async { stop.wait_for(Option::is_some).await.map(|reason| reason.clone()) } => {
                recorder.gave_up(reason.unwrap_or(GaveUp::Interrupted));
            }
        }
        if recorder.saw_failure() {
            for line in console.open_rows() {
                recorder.saw(Observation::Console { line });
            }
        }
        if context.depth.display && recorder.saw_failure() {
            keep_picture(&name, &node.name, &context.artifacts, hypervisor, recorder).await;
        }
        if context.hold {
            console.disconnect();
            checks.into_iter().for_each(Console::disconnect);
        }
        Ok(())
    }
    .await;
    if context.hold && outcome.is_ok() {
        return outcome;
    }
    hypervisor.destroy_domain(&name).await?;
    outcome
}

/// Devices of a machine that is on.
struct Devices {
    console: Console,
    /// Second serial port with a shell for the checks.
    checks: Option<Console>,
    journal: Console,
    /// Host's end of the network card.
    device: Option<String>,
}

/// Creates the machine, connects to its devices and switches it on.
async fn power_on(
    name: &str,
    node: &Node,
    context: &NodeContext,
    hypervisor: &Hypervisor,
    recorder: &NodeRecorder,
) -> Result<Devices, HypervisorError> {
    let refused = |what: &str, error: std::io::Error| HypervisorError::Refused {
        what: what.to_owned(),
        message: error.to_string(),
    };
    let Sockets {
        console: socket,
        checks: checks_socket,
        journal: journal_socket,
        debug: debug_socket,
        ..
    } = Sockets::of(node, context);
    let xml = machine::xml(name, node, context).map_err(|error| refused("make a disk", error))?;
    fs::create_dir_all(&context.artifacts)
        .map_err(|error| refused("make the artifacts folder", error))?;
    let full_xml = hypervisor.create_domain(name, xml).await?;
    let device = Domain::read(&full_xml).interface;
    if let (Some(ports), Some(device)) = (&context.ports, &device) {
        // The machine is paused, so that no frame has been sent yet.
        ports
            .listen(&node.name, device)
            .map_err(|error| refused("listen on the port", std::io::Error::other(error)))?;
    }
    fs::write(context.artifacts.join("domain.xml"), full_xml)
        .map_err(|error| refused("keep the domain's XML", error))?;
    // QEMU itself logs the console, even without a client.
    let console = watched(&socket, None, recorder, |line| Observation::Console {
        line,
    })
    .await
    .map_err(|error| refused("open the serial console", error))?;
    let checks = match checks_socket {
        None => None,
        Some(socket) => {
            // Only answers of checks are evidence from this port.
            let (lines, _) = mpsc::unbounded_channel();
            let log = context.artifacts.join("checks.log");
            let port = Console::connect(&socket, Some(&log), lines).await;
            Some(port.map_err(|error| refused("open the second serial port", error))?)
        }
    };
    // Saved as received: the guest's journal is for people and is not judged.
    let (lines, _) = mpsc::unbounded_channel();
    let journal_log = context.artifacts.join("journal.log");
    let journal = Console::connect(&journal_socket, Some(&journal_log), lines)
        .await
        .map_err(|error| refused("open the journal's port", error))?;
    if let Some(socket) = debug_socket {
        let log = context.artifacts.join("firmware.log");
        // Nothing is typed there; it is read as long as the machine exists.
        watched(&socket, Some(&log), recorder, |line| {
            Observation::Firmware { line }
        })
        .await
        .map_err(|error| refused("open the firmware's debug console", error))?;
    }
    hypervisor.resume_domain(name).await?;
    recorder.progress.begin();
    recorder.saw(Observation::PowerOn);
    Ok(Devices {
        console,
        checks,
        journal,
        device,
    })
}

/// Connects to a console whose lines are recorded as they arrive.
async fn watched(
    socket: &Path,
    log: Option<&Path>,
    recorder: &NodeRecorder,
    seen: impl Fn(String) -> Observation + Send + 'static,
) -> std::io::Result<Console> {
    let (lines, mut shown) = mpsc::unbounded_channel();
    let console = Console::connect(socket, log, lines).await?;
    let listener = recorder.clone();
    tokio::spawn(async move {
        while let Some(line) = shown.recv().await {
            listener.saw(seen(line));
        }
    });
    Ok(console)
}

/// Waits until the domain has ended. A libvirt that does not answer counts as a running domain; the deadline
/// then decides.
async fn powered_off(name: &str, hypervisor: &Hypervisor) {
    loop {
        tokio::time::sleep(POWER_POLL).await;
        if matches!(hypervisor.domain_exists(name).await, Ok(false)) {
            return;
        }
    }
}

async fn boot_and_check(
    node: &Node,
    console: &mut Console,
    checks_port: Option<&mut Console>,
    deadline: Instant,
    recorder: &NodeRecorder,
) -> Result<(), ShellError> {
    let hopeless = hopeless_or_login(console, deadline, &recorder.progress);
    let why = match &checks_port {
        None => hopeless.await?,
        Some(port) => tokio::select! {
            why = hopeless => why?,
            opened = wait_for_text(port, CHECK_SHELL, deadline) => {
                opened?;
                None
            }
        },
    };
    if let Some(why) = why {
        recorder.gave_up(GaveUp::Other(why));
        return Ok(());
    }
    let mut shell = match checks_port {
        None => Shell::wait_for_login(console, deadline).await?,
        Some(port) => Shell::wait_for_opened(port, deadline).await?,
    };
    recorder.saw(Observation::ShellReady);
    let deadline = deadline.min(Instant::now() + SETTLE_DEADLINE);
    for (check, answer) in settle(&mut shell, node, deadline).await? {
        recorder.saw(match answer {
            Asked::Answered(answer) => check.seen(answer.status, &answer.output),
            Asked::Disturbed { disturbance, tries } => Observation::ConsoleDisturbed {
                check: check.name,
                disturbance,
                tries,
            },
        });
    }
    if node.check_console == CheckConsole::Console
        && let Some(seen) = ask_units(&mut shell, deadline).await?
    {
        recorder.saw(seen);
    }
    shell.leave().await;
    Ok(())
}

/// Asks which units failed or are still starting: after the boot, systemd prints nothing about them on the console.
/// Returns `None` without a clear answer.
async fn ask_units(
    shell: &mut Shell<'_>,
    deadline: Instant,
) -> Result<Option<Observation>, ShellError> {
    let until = deadline.min(Instant::now() + COMMAND_DEADLINE);
    match shell.run(units::COMMAND, until).await {
        Ok(answer) if answer.status == 0 => Ok(Some(units::seen(&answer.output))),
        Ok(_) | Err(ShellError::Silent | ShellError::Disturbed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Result of a check's command.
enum Asked {
    Answered(Answer),
    Disturbed {
        disturbance: Disturbance,
        tries: u32,
    },
}

/// Runs every check until all hold, or until the system has finished starting and some still fail: once at once,
/// then after the start.
async fn settle(
    shell: &mut Shell<'_>,
    node: &Node,
    deadline: Instant,
) -> Result<Vec<(Check, Asked)>, ShellError> {
    let mut settled = Vec::new();
    let mut open = checks(node);
    let has_systemd = node.check_console == CheckConsole::Console;
    let mut rounds_left = match has_systemd {
        true => ROUNDS_AFTER_START,
        false => ROUNDS_OF_INSTALLER,
    };
    let mut is_first = true;
    loop {
        // The first round does not need the answer: if all its checks hold, it is the only round.
        let mut started = !has_systemd || (!is_first && has_started(shell, deadline).await?);
        while !started && !is_first && Instant::now() + LAST_ROUND < deadline {
            tokio::time::sleep(START_POLL).await;
            started = has_started(shell, deadline).await?;
        }
        is_first = false;
        let mut failing = Vec::new();
        // Several checks may read the same file, e.g. one for each kernel option.
        let mut answers: HashMap<String, Answer> = HashMap::new();
        for check in open {
            let until = deadline.min(Instant::now() + COMMAND_DEADLINE);
            let asked = match answers.get(&check.command) {
                Some(answer) => Ok(answer.clone()),
                None => shell.run(&check.command, until).await,
            };
            let answer = match asked {
                Ok(answer) => {
                    answers.insert(check.command.clone(), answer.clone());
                    answer
                }
                Err(ShellError::Disturbed { disturbance, tries }) => {
                    failing.push((check, Asked::Disturbed { disturbance, tries }));
                    continue;
                }
                Err(ShellError::Silent) => Answer {
                    status: -1,
                    output: "no answer".into(),
                },
                Err(error) => return Err(error),
            };
            let holds = check.judge(answer.status, &answer.output).1;
            let answered = (check, Asked::Answered(answer));
            match holds {
                true => settled.push(answered),
                false => failing.push(answered),
            }
        }
        if started {
            rounds_left = rounds_left.saturating_sub(1);
        }
        if failing.is_empty() || rounds_left == 0 || Instant::now() >= deadline {
            settled.extend(failing);
            return Ok(settled);
        }
        open = failing.into_iter().map(|(check, _)| check).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Returns true if systemd has no start jobs left. A shell without a clear answer is asked again in the next
/// round.
async fn has_started(shell: &mut Shell<'_>, deadline: Instant) -> Result<bool, ShellError> {
    let until = deadline.min(Instant::now() + COMMAND_DEADLINE);
    match shell.run("systemctl is-system-running", until).await {
        Ok(answer) => Ok(["running", "degraded", "maintenance"].contains(&answer.output.trim())),
        Err(ShellError::Silent | ShellError::Disturbed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the folder of a node's artifacts.
#[must_use]
pub fn artifacts_of(attempt: &Path, node: &Node) -> PathBuf {
    attempt.join("nodes").join(&node.name)
}
