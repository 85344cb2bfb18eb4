//! Command line of a service, with its user and capabilities, and its start.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lab_model::evidence::OutputStream;
use lab_model::scenario::{Placeholder, Service, expand};
use nix::unistd::User;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::CustomServiceError;
use super::host::Host;
use super::output::{self, Lines};
use super::root::{self, RootJob};
use crate::doctor::programs;

/// Environment variable that all processes of a service inherit, by which those that leave its group are found.
pub(super) const MARK: &str = "LAB_SERVICE";

/// Program with arguments, environment and working directory.
#[derive(Debug, Clone)]
pub(super) struct CommandLine {
    words: Vec<String>,
    env: Vec<(String, String)>,
    dir: PathBuf,
}

/// First process of a service, and the tasks that read its output.
pub(super) type Spawned = (Child, Vec<JoinHandle<io::Result<()>>>);

impl CommandLine {
    /// Builds the command line of a program without placeholders, in the lab's own working directory.
    pub(super) fn plain(words: Vec<String>) -> CommandLine {
        CommandLine {
            words,
            env: Vec::new(),
            dir: PathBuf::from("."),
        }
    }

    /// Starts the program; its output goes to logs in the folder `log`, and to `lines`.
    ///
    /// # Errors
    /// [`io::Error`] if the program cannot be started or a log cannot be created.
    pub(super) fn spawn(&self, log: &Path, lines: &Lines) -> io::Result<Spawned> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| io::Error::other("empty command line"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(self.env.iter().cloned())
            .current_dir(&self.dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(reader(stdout, OutputStream::Stdout, log, lines)?);
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(reader(stderr, OutputStream::Stderr, log, lines)?);
        }
        Ok((child, readers))
    }
}

/// Surroundings of a service's program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) host: &'a Host,
    /// Working directory of the program.
    pub(super) dir: &'a Path,
    /// Folder that belongs to the program's user.
    pub(super) state: &'a Path,
    /// Root file system of its own.
    pub(super) root: Option<&'a RootJob>,
}

/// Returns the command line of a service, in its namespace, as its user and with its capabilities.
///
/// # Errors
/// [`CustomServiceError`] if the program is not installed or the user does not exist.
pub(super) fn command(
    service: &Service,
    place: Place<'_>,
    value: impl Fn(Placeholder) -> String,
) -> Result<CommandLine, CustomServiceError> {
    let Place {
        host, dir, state, ..
    } = place;
    let mut words: Vec<String> = Vec::new();
    if let Host::Own { pid, .. } = host {
        words.extend([
            "nsenter".into(),
            format!("--net=/proc/{pid}/ns/net"),
            "--".into(),
        ]);
    }
    if let Some(root) = place.root {
        words.extend(entering(service, root)?);
        words.extend(service.command.iter().map(|word| expand(word, &value)));
        let has_path = service.env.contains_key("PATH");
        let path = (!has_path).then(|| ("PATH".to_owned(), root::PATH.to_owned()));
        return Ok(CommandLine {
            words,
            env: environment(service, &value).chain(path).collect(),
            // The root shows it at the same path.
            dir: dir.to_owned(),
        });
    }
    let mut privileges: Vec<String> = Vec::new();
    if let Some(user) = &service.user {
        let (id, group) = ids(service, user)?;
        let owned = chown(state, Some(id), Some(group));
        owned.map_err(|source| CustomServiceError::Prepare {
            service: service.name.clone(),
            what: "its state folder".into(),
            source,
        })?;
        privileges.extend([
            format!("--reuid={id}"),
            format!("--regid={group}"),
            "--clear-groups".into(),
        ]);
    }
    if let Some(capabilities) = &service.capabilities {
        let kept: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
        privileges.extend(
            ["--inh-caps", "--ambient-caps", "--bounding-set"].map(|set| {
                // The bounding set cannot be raised, only lowered.
                format!("{set}=-all{kept}")
            }),
        );
    }
    if !privileges.is_empty() {
        words.push("setpriv".into());
        words.extend(privileges);
        words.push("--".into());
    }
    let mut own = service.command.iter().map(|word| expand(word, &value));
    let program = own.next().unwrap_or_default();
    let path = programs::find(&program).ok_or_else(|| CustomServiceError::Program {
        service: service.name.clone(),
        program,
    })?;
    words.push(path.display().to_string());
    words.extend(own);
    Ok(CommandLine {
        words,
        env: environment(service, &value).collect(),
        dir: dir.to_owned(),
    })
}

/// Returns the additional environment variables of a service.
fn environment(
    service: &Service,
    value: &impl Fn(Placeholder) -> String,
) -> impl Iterator<Item = (String, String)> {
    let own = service.env.iter();
    let own = own.map(move |(name, text)| (name.clone(), expand(text, value)));
    own.chain([(MARK.to_owned(), service.name.clone())])
}

/// Returns the words that run a program in a root of its own: this program in a new mount namespace.
fn entering(service: &Service, root: &RootJob) -> Result<Vec<String>, CustomServiceError> {
    let failed = |source| CustomServiceError::Start {
        service: service.name.clone(),
        source,
    };
    let lab = std::env::current_exe().map_err(failed)?;
    let job = serde_json::to_string(root).map_err(|error| failed(error.into()))?;
    let words = ["unshare", "--mount", "--propagation", "private", "--"];
    let mut words: Vec<String> = words.map(str::to_owned).into();
    let enter = [lab.display().to_string(), root::ROOT_COMMAND.into(), job];
    words.extend(enter.into_iter().chain(["--".into()]));
    Ok(words)
}

/// Returns the ids of a user and its group, if the cell has them.
fn ids(service: &Service, user: &str) -> Result<(u32, u32), CustomServiceError> {
    let found = User::from_name(user).map_err(|source| CustomServiceError::UserLookup {
        service: service.name.clone(),
        user: user.to_owned(),
        source: source.into(),
    })?;
    let found = found.ok_or_else(|| CustomServiceError::UnknownUser {
        service: service.name.clone(),
        user: user.to_owned(),
    })?;
    let (id, group) = (found.uid.as_raw(), found.gid.as_raw());
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !is_mapped(&map, id) {
        return Err(CustomServiceError::UnmappedUser {
            service: service.name.clone(),
            user: user.to_owned(),
            id,
        });
    }
    Ok((id, group))
}

/// True if a user namespace has this id, by the text of its `uid_map` (user_namespaces(7)).
fn is_mapped(map: &str, id: u32) -> bool {
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
    map.lines().any(|line| {
        let mut words = line.split_whitespace();
        let (first, count) = (number(words.next()), number(words.nth(1)));
        matches!((first, count), (Some(first), Some(count))
            if (first..first.saturating_add(count)).contains(&u64::from(id)))
    })
}

/// Starts a task that copies a stream to its log in the folder `log`, and its lines to `lines`.
fn reader(
    stream: impl AsyncRead + Send + Unpin + 'static,
    kind: OutputStream,
    log: &Path,
    lines: &Lines,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log.join(output::log_name(kind)))?;
    Ok(tokio::spawn(output::follow(
        stream,
        kind,
        log,
        lines.clone(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_mapped_ids_of_the_map_only() {
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert!(is_mapped(rootless, 0) && is_mapped(rootless, 65534));
        assert!(!is_mapped("0 1000 1\n", 65534));
        assert!(is_mapped("0 0 4294967295\n", 65534));
        assert!(!is_mapped("", 0));
    }
}
