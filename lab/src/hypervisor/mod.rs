//! Access to libvirt: one actor thread that owns the connection, and typed XML for its objects.
//!
//! Calls of `virt` block, so they run on a thread of their own and callers await the results. [`domain`] and
//! [`network`] describe domains and networks; [`accel`] chooses the accelerator.

pub mod accel;
pub mod domain;
pub mod events;
pub mod mark;
pub mod network;
pub mod nvram;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::Instant;
use virt::connect::Connect;
use virt::enumutil::Enum;
use virt::error::ErrorNumber;
use virt::stream::Stream;
use virt::sys;

use self::events::DomainEvent;
use self::mark::RunMark;

/// Time limit of a call that starts a machine and waits for QEMU's first answer, which takes seconds if more
/// machines than processors start at once.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// Time limit of one attempt to connect.
const OPEN_DEADLINE: Duration = Duration::from_secs(20);

/// Time limit of any other call, including queued calls of other machines.
const CALL_DEADLINE: Duration = Duration::from_secs(60);

/// Time limit of calls after one that timed out.
const STUCK_DEADLINE: Duration = Duration::from_secs(5);

/// Error of a libvirt call.
#[derive(Debug, Error)]
pub enum HypervisorError {
    /// A call timed out: libvirtd, or a QEMU that it waits for, hangs.
    #[error(
        "libvirt timed out after {seconds} s: {what} (libvirtd, or the QEMU that it waits for, does not answer; \
         see libvirtd.log and qemu.log)"
    )]
    TimedOut {
        what: String,
        /// Time limit, in seconds.
        seconds: u64,
    },
    /// The daemon did not answer in time.
    #[error("cannot connect to libvirt at {uri} within {seconds} s: {message}")]
    Unreachable {
        /// URI of the connection, such as `qemu:///system`.
        uri: String,
        /// Time limit, in seconds.
        seconds: u64,
        /// Last error message.
        message: String,
    },
    /// A call failed.
    #[error("libvirt cannot {what}: {message}")]
    Refused {
        what: String,
        /// Message of libvirt.
        message: String,
    },
    /// The actor thread has ended.
    #[error("the libvirt connection was closed")]
    Closed,
}

/// Error of one attempt to connect.
#[derive(Debug, Error)]
enum ConnectError {
    /// libvirt refused.
    #[error(transparent)]
    Refused(virt::error::Error),
    /// The actor thread cannot be started.
    #[error(transparent)]
    Thread(std::io::Error),
    /// libvirt did not answer.
    #[error("no answer within {} s", OPEN_DEADLINE.as_secs())]
    TimedOut,
    /// The actor thread panicked.
    #[error("the connection thread ended")]
    Ended,
}

/// Screenshot of a display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// MIME type: QEMU's own format or PNG, depending on libvirt's version.
    pub kind: String,
    pub bytes: Vec<u8>,
}

type Job = Box<dyn FnOnce(&Connect) + Send>;

/// Connection to a libvirt; closing it destroys the domains that it started.
#[derive(Debug)]
pub struct Hypervisor {
    jobs: mpsc::Sender<Job>,
    /// True if the last call timed out.
    is_stuck: AtomicBool,
    events: Mutex<Option<UnboundedReceiver<DomainEvent>>>,
}

impl Hypervisor {
    /// Connects to `uri`, with retries until `within` has passed, because a new daemon needs a moment.
    ///
    /// # Errors
    /// [`HypervisorError::Unreachable`] with libvirt's last message.
    pub async fn open(uri: &str, within: Duration) -> Result<Hypervisor, HypervisorError> {
        let deadline = Instant::now() + within;
        loop {
            match Hypervisor::connect(uri.to_owned()).await {
                Ok(hypervisor) => return Ok(hypervisor),
                Err(error) if Instant::now() >= deadline => {
                    return Err(HypervisorError::Unreachable {
                        uri: uri.to_owned(),
                        seconds: within.as_secs(),
                        message: error.to_string(),
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn connect(uri: String) -> Result<Hypervisor, ConnectError> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (opened, answer) = oneshot::channel();
        let (told, events) = tokio::sync::mpsc::unbounded_channel();
        thread::Builder::new()
            .name("libvirt".into())
            .spawn(move || {
                virt::error::clear_error_callback();
                events::start_loop();
                match Connect::open(Some(&uri)) {
                    Ok(connect) => {
                        let _ = opened.send(Ok(()));
                        // Kept until the last job is done.
                        let _watch = events::watch(&connect, told)
                            .inspect_err(|error| tracing::warn!(%error, "libvirt's events"));
                        for job in inbox {
                            job(&connect);
                        }
                    }
                    Err(error) => {
                        let _ = opened.send(Err(ConnectError::Refused(error)));
                    }
                }
            })
            .map_err(ConnectError::Thread)?;
        // A thread that hangs is abandoned; it ends with the process.
        tokio::time::timeout(OPEN_DEADLINE, answer)
            .await
            .map_err(|_| ConnectError::TimedOut)?
            .unwrap_or(Err(ConnectError::Ended))?;
        Ok(Hypervisor {
            jobs,
            is_stuck: AtomicBool::new(false),
            events: Mutex::new(Some(events)),
        })
    }

    /// Returns the events of all domains from now on, including those of other connections; `None` on later
    /// calls.
    pub fn take_events(&self) -> Option<UnboundedReceiver<DomainEvent>> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.take()
    }

    async fn call<T: Send + 'static>(
        &self,
        what: String,
        job: impl FnOnce(&Connect) -> Result<T, virt::error::Error> + Send + 'static,
    ) -> Result<T, HypervisorError> {
        self.call_within(CALL_DEADLINE, what, job).await
    }

    /// Runs `job` on the actor thread. Calls cannot be cancelled: after a timeout the thread still waits for
    /// libvirt, and so do all later calls.
    async fn call_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        what: String,
        job: impl FnOnce(&Connect) -> Result<T, virt::error::Error> + Send + 'static,
    ) -> Result<T, HypervisorError> {
        let deadline = match self.is_stuck.load(Ordering::Relaxed) {
            true => deadline.min(STUCK_DEADLINE),
            false => deadline,
        };
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send(Box::new(move |connect| {
                let _ = answer.send(job(connect));
            }))
            .map_err(|_| HypervisorError::Closed)?;
        let answered = tokio::time::timeout(deadline, answered).await;
        self.is_stuck.store(answered.is_err(), Ordering::Relaxed);
        let Ok(answered) = answered else {
            return Err(HypervisorError::TimedOut {
                what,
                seconds: deadline.as_secs(),
            });
        };
        answered
            .map_err(|_| HypervisorError::Closed)?
            .map_err(|error| HypervisorError::Refused {
                what,
                message: error.message().to_owned(),
            })
    }

    /// Creates a transient network; it ends with [`Hypervisor::destroy_network`] or with the daemon.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn create_network(&self, xml: String) -> Result<(), HypervisorError> {
        self.call("create the network".into(), move |connect| {
            connect.create_network_xml(&xml).map(|_| ())
        })
        .await
    }

    /// Creates a paused, transient domain, which ends with this connection; returns its full XML.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn create_domain(&self, name: &str, xml: String) -> Result<String, HypervisorError> {
        self.call_within(START_DEADLINE, format!("start {name}"), move |connect| {
            let domain = connect.create_domain_xml(
                &xml,
                sys::VIR_DOMAIN_START_AUTODESTROY | sys::VIR_DOMAIN_START_PAUSED,
            )?;
            domain.xml_desc(0)
        })
        .await
    }

    /// Resumes a paused domain.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn resume_domain(&self, name: &str) -> Result<(), HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("resume {name}"), move |connect| {
            connect.lookup_domain_by_name(&wanted)?.resume()
        })
        .await
    }

    /// Returns true if the domain still exists; a transient domain disappears when it stops.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn domain_exists(&self, name: &str) -> Result<bool, HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("look for {name}"), move |connect| {
            match connect.lookup_domain_by_name(&wanted) {
                Ok(_) => Ok(true),
                Err(error) if error.code() == Enum::Known(ErrorNumber::NoDomain) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Returns a screenshot of the domain's display.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's message, e.g. if there is no display.
    pub async fn screenshot(&self, name: &str) -> Result<Picture, HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("take a screenshot of {name}"), move |connect| {
            let domain = connect.lookup_domain_by_name(&wanted)?;
            let stream = Stream::new(connect, 0)?;
            let kind = domain.screenshot(&stream, 0, 0)?;
            let mut bytes = Vec::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = usize::try_from(stream.recv(&mut buffer)?).unwrap_or(0);
                let Some(fresh) = buffer.get(..read).filter(|fresh| !fresh.is_empty()) else {
                    break;
                };
                bytes.extend_from_slice(fresh);
            }
            stream.finish()?;
            Ok(Picture { kind, bytes })
        })
        .await
    }

    /// Resets a domain.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn reset_domain(&self, name: &str) -> Result<(), HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("reset {name}"), move |connect| {
            connect.lookup_domain_by_name(&wanted)?.reset().map(|_| ())
        })
        .await
    }

    /// Powers a domain off; a missing domain is not an error.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn destroy_domain(&self, name: &str) -> Result<(), HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("stop {name}"), move |connect| {
            let destroyed = connect
                .lookup_domain_by_name(&wanted)
                .and_then(|domain| domain.destroy());
            match destroyed {
                // The domain may disappear between the two calls, together with its connection.
                Err(error) if is_gone(&error) => Ok(()),
                other => other,
            }
        })
        .await
    }

    /// Returns the names of all domains, including those of others.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn domain_names(&self) -> Result<Vec<String>, HypervisorError> {
        self.call("list machines".into(), |connect| {
            let domains = connect.list_all_domains(0)?;
            domains.iter().map(virt::domain::Domain::name).collect()
        })
        .await
    }

    /// Returns the names of all networks, including those of others.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn network_names(&self) -> Result<Vec<String>, HypervisorError> {
        self.call("list networks".into(), |connect| {
            let networks = connect.list_all_networks(0)?;
            networks.iter().map(virt::network::Network::name).collect()
        })
        .await
    }

    /// Returns machines and networks with the mark of any run.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn marked(&self) -> Result<Vec<Marked>, HypervisorError> {
        self.call("list machines and networks".into(), |connect| {
            let mut marked = Vec::new();
            for domain in connect.list_all_domains(0)? {
                let seen = (domain.name(), domain.xml_desc(0), domain.is_persistent());
                marked.extend(Marked::of(Kind::Machine, seen)?);
            }
            for network in connect.list_all_networks(0)? {
                let seen = (network.name(), network.xml_desc(0), network.is_persistent());
                marked.extend(Marked::of(Kind::Network, seen)?);
            }
            Ok(marked)
        })
        .await
    }

    /// Removes a transient network.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn destroy_network(&self, name: &str) -> Result<(), HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("remove the network {name}"), move |connect| {
            let destroyed = connect
                .lookup_network_by_name(&wanted)
                .and_then(|network| network.destroy());
            match destroyed {
                Err(error) if is_gone(&error) => Ok(()),
                other => other,
            }
        })
        .await
    }
}

/// Kind of a libvirt object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Machine,
    Network,
}

/// Machine or network with the mark of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    pub kind: Kind,
    /// Name in libvirt.
    pub name: String,
    pub mark: RunMark,
    /// True for an object that libvirt keeps after it stops; the lab's objects are transient.
    pub is_persistent: bool,
}

impl Marked {
    /// Builds an entry from name, XML and persistence; `None` if the object has no mark or no longer exists.
    fn of(
        kind: Kind,
        seen: (
            Result<String, virt::error::Error>,
            Result<String, virt::error::Error>,
            Result<bool, virt::error::Error>,
        ),
    ) -> Result<Option<Marked>, virt::error::Error> {
        let seen = match seen {
            (Ok(name), Ok(xml), Ok(is_persistent)) => (name, xml, is_persistent),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) if is_gone(&error) => {
                return Ok(None);
            }
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return Err(error),
        };
        let (name, xml, is_persistent) = seen;
        Ok(RunMark::read(&xml).map(|mark| Marked {
            kind,
            name,
            mark,
            is_persistent,
        }))
    }
}

/// True if the object has ended already; libvirt reports a transient object that is ending as inactive.
fn is_gone(error: &virt::error::Error) -> bool {
    let gone = [
        ErrorNumber::NoDomain,
        ErrorNumber::NoNetwork,
        ErrorNumber::OperationInvalid,
    ];
    gone.iter().any(|gone| error.code() == Enum::Known(*gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_domain_that_is_not_there_does_not_exist() {
        let hypervisor = Hypervisor::open("test:///default", Duration::from_secs(5))
            .await
            .unwrap();
        assert!(hypervisor.domain_exists("test").await.unwrap());
        assert!(!hypervisor.domain_exists("nobody").await.unwrap());
        hypervisor.destroy_domain("test").await.unwrap();
        hypervisor.destroy_domain("nobody").await.unwrap();
        hypervisor.destroy_network("nobody").await.unwrap();
    }

    /// V17: QEMU starts and never answers.
    #[tokio::test]
    async fn call_that_hangs_times_out_and_later_ones_soon_after() {
        let hypervisor = Hypervisor::open("test:///default", Duration::from_secs(5))
            .await
            .unwrap();
        let (release, hangs) = mpsc::channel::<()>();
        let hanging =
            hypervisor.call_within(Duration::from_millis(50), "start x".into(), move |_| {
                let _ = hangs.recv();
                Ok(())
            });
        let error = hanging.await.unwrap_err();
        assert!(matches!(&error, HypervisorError::TimedOut { what, .. } if what == "start x"));
        assert!(hypervisor.is_stuck.load(Ordering::Relaxed));
        let later = hypervisor.call_within(Duration::from_millis(50), "stop x".into(), |_| Ok(()));
        assert!(matches!(later.await, Err(HypervisorError::TimedOut { .. })));
        drop(release);
        // A libvirt that answers again is asked as before.
        assert!(hypervisor.domain_exists("test").await.unwrap());
        assert!(!hypervisor.is_stuck.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn libvirts_own_reason_reaches_the_caller() {
        let hypervisor = Hypervisor::open("test:///default", Duration::from_secs(5))
            .await
            .unwrap();
        let error = hypervisor
            .create_network("<network/>".into())
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("libvirt cannot create the network: "),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_display_can_be_looked_at() {
        let hypervisor = Hypervisor::open("test:///default", Duration::from_secs(5))
            .await
            .unwrap();
        // libvirt's test driver shows its logo.
        let picture = hypervisor.screenshot("test").await.unwrap();
        assert_eq!(picture.kind, "image/png");
        assert!(picture.bytes.starts_with(b"\x89PNG"));
        assert!(hypervisor.screenshot("nobody").await.is_err());
    }

    #[tokio::test]
    async fn an_unreachable_daemon_is_named_with_its_uri() {
        let error = Hypervisor::open("nosuch:///driver", Duration::ZERO)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("nosuch:///driver"), "{error}");
    }
}
