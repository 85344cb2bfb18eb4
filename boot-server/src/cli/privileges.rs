//! From root to an ordinary user: what is kept is the right to low ports and raw sockets.
//!
//! It is done before there is a second thread, since the kernel keeps rights thread by thread, and
//! before anything is read from the network or from data directories. The files that the server
//! writes lie in the user's folder, where the user can plant links: root neither opens nor gives away
//! anything there.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use nix::unistd::{User, initgroups, setresgid, setresuid};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities, set_no_new_privs,
};

/// Capabilities that serving needs: ports below 1024, and packet sockets.
pub(super) const KEPT: CapabilitySet =
    CapabilitySet::NET_BIND_SERVICE.union(CapabilitySet::NET_RAW);

/// Becomes the user for good. `files` are what the user is to write later: their folders must be there.
///
/// # Errors
/// The user does not exist, the server is not root, or a folder is not writable by the user.
pub(super) fn drop_to(name: &str, files: &[&Path]) -> anyhow::Result<()> {
    let user = User::from_name(name)
        .with_context(|| format!("cannot look up the user `{name}`"))?
        .with_context(|| {
            format!("user not found: `{name}`; create it: useradd --system --shell /usr/sbin/nologin {name}")
        })?;
    let own = nix::unistd::geteuid();
    if own == user.uid {
        return Ok(());
    }
    ensure!(
        own.is_root(),
        "cannot switch to the user `{name}`: the server was not started as root; remove `user`"
    );
    let c_name = std::ffi::CString::new(name)?;
    set_keep_capabilities(true).context("cannot keep capabilities")?;
    initgroups(&c_name, user.gid).context("cannot set the user's groups")?;
    setresgid(user.gid, user.gid, user.gid).context("cannot set the user's group")?;
    setresuid(user.uid, user.uid, user.uid).context("cannot switch to the user")?;
    let kept = CapabilitySets {
        effective: KEPT,
        permitted: KEPT,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept).context("cannot drop the other capabilities")?;
    set_keep_capabilities(false).context("cannot stop keeping capabilities")?;
    set_no_new_privs(true).context("cannot disable gaining new privileges")?;
    for folder in files.iter().filter_map(|file| file.parent()) {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let shown = folder.display();
        match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => {}
            Err(Errno::NOENT) => {
                bail!("folder not found: {shown}; create it: install -d -o {name} {shown}")
            }
            Err(_) => bail!("the user `{name}` cannot write to {shown}: chown {name} {shown}"),
        }
    }
    Ok(())
}
