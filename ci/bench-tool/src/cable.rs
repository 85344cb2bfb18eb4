//! Two network namespaces joined by a cable: `cli`, where this program is, and `srv`, where servers run.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// First of the servers' addresses; each server has a separate one.
pub(crate) const SERVERS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 77, 0, 1),
    Ipv4Addr::new(10, 77, 0, 2),
    Ipv4Addr::new(10, 77, 0, 3),
    Ipv4Addr::new(10, 77, 0, 4),
];
/// Address of the client end.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);

/// The cable; its far end's namespace lives as long as this.
pub(crate) struct Cable {
    holder: Child,
}

impl Cable {
    pub(crate) fn new() -> anyhow::Result<Cable> {
        let holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("unshare --net")?;
        let cable = Cable { holder };
        let pid = cable.holder.id().to_string();
        cable.wait_for_namespace()?;
        run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        run(Command::new("ip").args([
            "link", "add", "cli", "type", "veth", "peer", "name", "srv", "netns", &pid,
        ]))?;
        run(Command::new("ip").args(["addr", "add", &format!("{CLIENT}/16"), "dev", "cli"]))?;
        run(Command::new("ip").args(["link", "set", "cli", "up"]))?;
        run(cable.command("ip").args(["link", "set", "lo", "up"]))?;
        for address in SERVERS {
            let address = format!("{address}/16");
            run(cable
                .command("ip")
                .args(["addr", "add", &address, "dev", "srv"]))?;
        }
        run(cable.command("ip").args(["link", "set", "srv", "up"]))?;
        Ok(cable)
    }

    /// Returns a program that runs at the far end.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg("--")
            .arg(program);
        command
    }

    /// `unshare` has made the namespace once it differs from ours.
    fn wait_for_namespace(&self) -> anyhow::Result<()> {
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        let theirs = format!("/proc/{}/ns/net", self.holder.id());
        let start = std::time::Instant::now();
        while start.elapsed().as_secs() < 10 {
            if std::fs::read_link(&theirs)? != ours {
                return Ok(());
            }
            std::thread::yield_now();
        }
        bail!("`unshare --net` created no namespace within 10 s")
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
