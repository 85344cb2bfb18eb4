//! libvirt: one actor thread that owns the connection, and typed XML for what it is asked to make.
//!
//! `virt` calls block, so they run on a thread of their own; callers await the answers. What a domain
//! or a network should look like is decided in [`domain`] and [`network`]; what may be used to run it,
//! in [`accel`].

pub mod accel;
pub mod domain;
pub mod events;
pub mod mark;
pub mod network;

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

/// Time for a call that starts a machine, in which libvirt waits for QEMU's first answer. QEMU takes seconds for
/// that where more machines than processors start at once.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// Time for one try to connect.
const OPEN_DEADLINE: Duration = Duration::from_secs(20);

/// Time for any other call, calls of other machines before it included.
const CALL_DEADLINE: Duration = Duration::from_secs(60);

/// Time for a call after one that was not answered.
const STUCK_DEADLINE: Duration = Duration::from_secs(5);

/// What libvirt refused or could not do.
#[derive(Debug, Error)]
pub enum HypervisorError {
    /// A call was not answered in time: libvirtd or a QEMU that it waits for hangs.
    #[error(
        "libvirt timed out after {seconds} s: {what} (libvirtd, or the QEMU that it waits for, does not answer; \
         see libvirtd.log and qemu.log)"
    )]
    TimedOut {
        /// What was asked of it.
        what: String,
        /// How long the answer was waited for, in seconds.
        seconds: u64,
    },
    /// The daemon did not answer in time.
    #[error("no libvirt at {uri} within {seconds} s: {message}")]
    Unreachable {
        /// The connection URI.
        uri: String,
        /// How long it was tried, in seconds.
        seconds: u64,
        /// The last answer.
        message: String,
    },
    /// A call failed.
    #[error("libvirt could not {what}: {message}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// Its own words.
        message: String,
    },
    /// The actor thread is gone.
    #[error("the libvirt connection was closed")]
    Closed,
}

/// A picture of a display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// MIME type: QEMU's own format or PNG, by libvirt's version.
    pub kind: String,
    /// The file.
    pub bytes: Vec<u8>,
}

type Job = Box<dyn FnOnce(&Connect) + Send>;

/// A connection to one libvirt; closing it destroys the domains that it started.
#[derive(Debug)]
pub struct Hypervisor {
    jobs: mpsc::Sender<Job>,
    /// The last call was not answered in time.
    is_stuck: AtomicBool,
    events: Mutex<Option<UnboundedReceiver<DomainEvent>>>,
}

impl Hypervisor {
    /// Connects to `uri`, trying again until `within` is over: a daemon that was just started needs a moment.
    ///
    /// # Errors
    /// [`HypervisorError::Unreachable`] with libvirt's last answer.
    pub async fn open(uri: &str, within: Duration) -> Result<Hypervisor, HypervisorError> {
        let deadline = Instant::now() + within;
        loop {
            match Hypervisor::connect(uri.to_owned()).await {
                Ok(hypervisor) => return Ok(hypervisor),
                Err(message) if Instant::now() >= deadline => {
                    return Err(HypervisorError::Unreachable {
                        uri: uri.to_owned(),
                        seconds: within.as_secs(),
                        message,
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn connect(uri: String) -> Result<Hypervisor, String> {
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
                        // Held until the last job is done.
                        let _watch = events::watch(&connect, told)
                            .inspect_err(|error| tracing::warn!(%error, "libvirt's events"));
                        for job in inbox {
                            job(&connect);
                        }
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error.to_string()));
                    }
                }
            })
            .map_err(|error| error.to_string())?;
        // The thread is left behind when it hangs; the process's end takes it along.
        tokio::time::timeout(OPEN_DEADLINE, answer)
            .await
            .map_err(|_| format!("no answer within {} s", OPEN_DEADLINE.as_secs()))?
            .unwrap_or_else(|_| Err("the connection thread ended".into()))?;
        Ok(Hypervisor {
            jobs,
            is_stuck: AtomicBool::new(false),
            events: Mutex::new(Some(events)),
        })
    }

    /// Events of domains from now on, those of other connections included; `None` when it was taken
    /// already.
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

    /// Has the actor thread do `job`. A call cannot be taken back: when its deadline comes, the thread still waits
    /// for libvirt, and so do all calls after it.
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

    /// Makes a transient network; it ends with [`Hypervisor::destroy_network`] or with the daemon.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason.
    pub async fn create_network(&self, xml: String) -> Result<(), HypervisorError> {
        self.call("make the network".into(), move |connect| {
            connect.create_network_xml(&xml).map(|_| ())
        })
        .await
    }

    /// Makes a transient domain, paused, which dies with this connection; returns its full XML.
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

    /// Lets a paused domain run.
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

    /// Whether the domain still exists (a transient domain is gone when it stops).
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

    /// A picture of the domain's display.
    ///
    /// # Errors
    /// [`HypervisorError::Refused`] with libvirt's reason, e.g. that there is no display.
    pub async fn screenshot(&self, name: &str) -> Result<Picture, HypervisorError> {
        let wanted = name.to_owned();
        self.call(format!("take a picture of {name}"), move |connect| {
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

    /// Presses the reset button of a domain.
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

    /// Pulls the plug of a domain; one that is gone already is fine.
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
                // It may go between the two, with the connection that made it.
                Err(error) if is_gone(&error) => Ok(()),
                other => other,
            }
        })
        .await
    }

    /// Names of all domains, those of others included.
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

    /// Names of all networks, those of others included.
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

    /// Machines and networks that have the mark of a run, of whatever host and name.
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

/// Kind of an object of libvirt's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A domain.
    Machine,
    /// A network.
    Network,
}

/// A machine or network with the mark of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Kind of the object.
    pub kind: Kind,
    /// Its name in libvirt.
    pub name: String,
    /// The run's mark.
    pub mark: RunMark,
    /// True for one that libvirt keeps when it stops; those of the lab are transient.
    pub is_persistent: bool,
}

impl Marked {
    /// An object by its name, XML and persistence; none when it has no mark or is gone meanwhile.
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

/// Whether what was to be ended has ended already; of a transient object whose end is under way libvirt says that it is
/// not active.
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
                .starts_with("libvirt could not make the network: "),
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
