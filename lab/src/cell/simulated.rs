//! Life of a simulated machine in an attempt: its process is started, its console is read, its end is recorded.

use std::fs;
use std::io;

use lab_model::evidence::{GaveUp, Observation};
use lab_model::scenario::Node;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::watch;

use crate::hosts::attachment::{Plug, Plugged};
use crate::hosts::simulated::machine::MachineJob;
use crate::hosts::simulated::report::{self, Line};
use crate::hosts::{StationJob, Task};
use crate::node::context::{NodeContext, NodeRecorder};

/// Runs one simulated boot of `node`; returns when its process has stopped.
///
/// # Errors
/// Fails if the process cannot be started, which is an error of the set-up, not of the boot.
pub(super) async fn live(
    node: &Node,
    around: &NodeContext,
    plug: &Plug,
    recorder: &NodeRecorder,
    mut stop: watch::Receiver<Option<GaveUp>>,
) -> io::Result<()> {
    fs::create_dir_all(&around.artifacts)?;
    let job = StationJob {
        interface: None,
        mac: node.mac.to_string(),
        address: None,
        task: Task::Machine(MachineJob {
            mac: node.mac,
            uuid: around.machine.uuid.unwrap_or(node.uuid),
            serial: node.name.clone(),
            firmware: around.firmware,
            vlan: around.vlan,
        }),
    };
    let stderr = around.artifacts.join("simulation.log");
    let listen = |port: &str| match &around.ports {
        Some(ports) => ports.listen(&node.name, port).map_err(io::Error::other),
        None => Ok(()),
    };
    let mut plugged: Plugged = plug.start_with(job, &stderr, listen).await?;
    recorder.saw(Observation::PowerOn);
    let mut log = tokio::fs::File::create(around.artifacts.join("console.log")).await?;
    let mut lines = BufReader::new(plugged.stdout).lines();
    let deadline = tokio::time::sleep(around.deadline);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => {
                    let (line, report) = match report::read(&line) {
                        Line::Console(line) => (line, None),
                        Line::End(report) => (report.line(), Some(report)),
                    };
                    log.write_all(format!("{line}\n").as_bytes()).await?;
                    recorder.saw(Observation::Console { line });
                    if let Some(report) = report {
                        recorder.saw(Observation::WouldStart(report));
                    }
                }
                None => {
                    let reason = "a simulated machine ends here".to_owned();
                    recorder.saw(Observation::PowerOff { reason });
                    break;
                }
            },
            () = &mut deadline => {
                recorder.gave_up(GaveUp::Deadline { seconds: around.deadline.as_secs() });
                break;
            }
            Ok(reason) = async { stop.wait_for(Option::is_some).await.map(|reason| reason.clone()) } => {
                recorder.gave_up(reason.unwrap_or(GaveUp::Interrupted));
                break;
            }
        }
    }
    log.flush().await?;
    plugged.child.kill().await
}
