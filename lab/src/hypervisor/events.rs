//! Events of libvirt domains: started, suspended, resumed, stopped, crashed, each with its reason; and resets.
//!
//! Polling the state of a domain is no substitute, because a stopped transient domain disappears together with
//! the reason. `virt` has no safe registration for these events, so libvirt's C functions are called here, and
//! nowhere else in the lab. A comment at each call explains its soundness.
#![expect(
    unsafe_code,
    reason = "virt 0.5 does not wrap virConnectDomainEventRegisterAny"
)]

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::Once;
use std::thread;

use lab_model::evidence::clock::now_us;
use tokio::sync::mpsc::UnboundedSender;
use virt::connect::Connect;
use virt::{event, sys};

/// Event of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEvent {
    /// When the event was received, in microseconds since the Unix epoch.
    pub at_us: u64,
    /// Name of the domain.
    pub domain: String,
    pub change: DomainChange,
}

/// Change of a domain's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainChange {
    /// Lifecycle event.
    Lifecycle {
        /// Name of the event in libvirt, e.g. `stopped`.
        event: &'static str,
        /// Reason in libvirt's words, e.g. `destroyed`.
        detail: &'static str,
    },
    /// Reset by the machine itself or from outside (`VIR_DOMAIN_EVENT_ID_REBOOT`: QEMU's `RESET`).
    Reset,
}

/// Starts libvirt's event loop, once per process. Must be called before the first connection is opened, because
/// connections look for it then.
pub(super) fn start_loop() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Err(error) = event::event_register_default_impl() {
            tracing::warn!(%error, "no events from libvirt");
            return;
        }
        let run = || {
            while event::event_run_default_impl().is_ok() {}
            tracing::warn!("libvirt's event loop ended");
        };
        if let Err(error) = thread::Builder::new()
            .name("libvirt-events".into())
            .spawn(run)
        {
            tracing::warn!(%error, "no events from libvirt");
        }
    });
}

/// Registrations of one connection, ended on drop.
#[derive(Debug)]
pub(super) struct Watch<'c> {
    connect: &'c Connect,
    ids: Vec<c_int>,
}

/// Sends the lifecycle events and resets of all domains of the connection to `events`.
///
/// # Errors
/// Libvirt's message, if the driver has no events.
pub(super) fn watch(
    connect: &Connect,
    events: UnboundedSender<DomainEvent>,
) -> Result<Watch<'_>, virt::error::Error> {
    // SAFETY: libvirt's own `VIR_DOMAIN_EVENT_CALLBACK` is this cast: the registration takes the type that
    // events without arguments have, and libvirt casts back to the event's own before it calls. Function
    // pointers have one size.
    let lifecycle = unsafe {
        std::mem::transmute::<LifecycleCallback, sys::virConnectDomainEventGenericCallback>(Some(
            heard,
        ))
    };
    let mut watch = Watch {
        connect,
        ids: Vec::new(),
    };
    for (event, callback) in [
        (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle),
        (
            sys::VIR_DOMAIN_EVENT_ID_REBOOT,
            Some(heard_reset as ResetCallback),
        ),
    ] {
        let opaque: *mut UnboundedSender<DomainEvent> = Box::into_raw(Box::new(events.clone()));
        // SAFETY: the connection is open as long as `connect` is borrowed. No domain means all. The callback
        // has the type that libvirt calls for this event. `opaque` stays valid until libvirt calls
        // `free_sender`, which it does once, after the last call of the callback.
        let id = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connect.as_ptr(),
                ptr::null_mut(),
                event_id(event),
                callback,
                opaque.cast::<c_void>(),
                Some(free_sender),
            )
        };
        if id < 0 {
            let error = virt::error::Error::last_error();
            // SAFETY: a registration that failed has not taken `opaque` over and does not free it.
            drop(unsafe { Box::from_raw(opaque) });
            return Err(error);
        }
        watch.ids.push(id);
    }
    Ok(watch)
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // A registration holds a reference to the connection: without this, closing it would neither close
        // it nor destroy its domains.
        for id in &self.ids {
            // SAFETY: the connection is still borrowed, and the id came from it.
            let result =
                unsafe { sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), *id) };
            if result < 0 {
                let error = virt::error::Error::last_error();
                tracing::warn!(%error, "libvirt's events");
            }
        }
    }
}

type LifecycleCallback = sys::virConnectDomainEventCallback;

type ResetCallback =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, opaque: *mut c_void);

fn event_id(id: sys::virDomainEventID) -> c_int {
    // An enumeration of libvirt's with small numbers; C passes it as `int`.
    c_int::try_from(id).unwrap_or_default()
}

/// Callback of libvirt for a lifecycle event, called from its event loop's thread.
unsafe extern "C" fn heard(
    _connect: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    let (event, detail) = words(event, detail);
    // SAFETY: libvirt lends the domain for the time of the call, and `opaque` is the sender that `watch` gave.
    unsafe { send(domain, DomainChange::Lifecycle { event, detail }, opaque) };
    0
}

/// Callback of libvirt for a reset, called from its event loop's thread.
unsafe extern "C" fn heard_reset(
    _connect: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt lends the domain for the time of the call, and `opaque` is the sender that `watch` gave.
    unsafe { send(domain, DomainChange::Reset, opaque) };
}

/// Sends an event of `domain` to the sender behind `opaque`.
///
/// # Safety
/// `domain` is a domain that lives as long as the call; `opaque` is a sender that [`watch`] gave to libvirt.
unsafe fn send(domain: sys::virDomainPtr, change: DomainChange, opaque: *mut c_void) {
    // SAFETY: the domain lives as long as the call; its name is a C string that lives as long.
    let name = unsafe {
        let name = sys::virDomainGetName(domain);
        if name.is_null() {
            return;
        }
        CStr::from_ptr(name)
    };
    // SAFETY: `opaque` is the sender that `watch` gave to libvirt, which frees it only after its last use;
    // calls come from one thread, and sending needs no exclusive access.
    let events = unsafe { &*opaque.cast_const().cast::<UnboundedSender<DomainEvent>>() };
    // Nobody listens any more once the attempt is over. Nothing here panics, so nothing unwinds into C.
    let _ = events.send(DomainEvent {
        at_us: now_us(),
        domain: name.to_string_lossy().into_owned(),
        change,
    });
}

unsafe extern "C" fn free_sender(opaque: *mut c_void) {
    // SAFETY: libvirt calls it once for each registration, with what `watch` made by `Box::into_raw`.
    drop(unsafe { Box::from_raw(opaque.cast::<UnboundedSender<DomainEvent>>()) });
}

/// Translates libvirt's numbers into the words of its documentation (`virDomainEventType` and its details).
fn words(event: c_int, detail: c_int) -> (&'static str, &'static str) {
    let (event, details): (_, &[&str]) = match event {
        0 => ("defined", &["added", "updated", "renamed", "from snapshot"]),
        1 => ("undefined", &["removed", "renamed"]),
        2 => (
            "started",
            &[
                "booted",
                "migrated",
                "restored",
                "from snapshot",
                "wakeup",
                "recreated",
            ],
        ),
        3 => (
            "suspended",
            &[
                "paused",
                "migrated",
                "I/O error",
                "watchdog",
                "restored",
                "from snapshot",
                "API error",
                "post-copy",
                "post-copy failed",
                "guest shutdown",
            ],
        ),
        4 => (
            "resumed",
            &[
                "unpaused",
                "migrated",
                "from snapshot",
                "post-copy",
                "post-copy failed",
            ],
        ),
        5 => (
            "stopped",
            &[
                "shutdown",
                "destroyed",
                "crashed",
                "migrated",
                "saved",
                "failed",
                "from snapshot",
                "recreated",
            ],
        ),
        6 => ("shutdown", &["finished", "by the guest", "by the host"]),
        7 => ("pm_suspended", &["memory", "disk"]),
        8 => ("crashed", &["panicked", "crash loaded"]),
        _ => ("unknown", &[]),
    };
    let detail = usize::try_from(detail)
        .ok()
        .and_then(|index| details.get(index));
    (event, detail.copied().unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::Hypervisor;
    use std::time::Duration;

    #[tokio::test]
    async fn what_happens_to_a_domain_is_told_with_its_reason() {
        let hypervisor = Hypervisor::open("test:///default", Duration::from_secs(5))
            .await
            .unwrap();
        let mut events = hypervisor.take_events().unwrap();
        hypervisor.destroy_domain("test").await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(10), events.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard.domain, "test");
        let stopped = DomainChange::Lifecycle {
            event: "stopped",
            detail: "destroyed",
        };
        assert_eq!(heard.change, stopped);
        drop(hypervisor);
        assert_eq!(events.recv().await, None, "the registration has ended");
    }

    /// libvirt's test driver sends no reset events: its registration is made, and the callback called as
    /// libvirt calls it.
    #[test]
    fn reset_of_a_domain_is_sent_with_its_name() {
        start_loop();
        let connect = Connect::open(Some("test:///default")).unwrap();
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let watch = watch(&connect, sender.clone()).unwrap();
        assert_eq!(watch.ids.len(), 2);
        let domain = connect.lookup_domain_by_name("test").unwrap();
        let opaque = ptr::from_ref(&sender).cast_mut().cast::<c_void>();
        // SAFETY: domain, connection and sender outlive the call.
        unsafe { heard_reset(connect.as_ptr(), domain.as_ptr(), opaque) };
        let heard = events.try_recv().unwrap();
        assert_eq!(
            (heard.domain.as_str(), heard.change),
            ("test", DomainChange::Reset)
        );
    }

    #[test]
    fn libvirts_numbers_are_its_words() {
        for (event, detail, words_of_it) in [
            (
                sys::VIR_DOMAIN_EVENT_STARTED,
                sys::VIR_DOMAIN_EVENT_STARTED_BOOTED,
                ("started", "booted"),
            ),
            (
                sys::VIR_DOMAIN_EVENT_RESUMED,
                sys::VIR_DOMAIN_EVENT_RESUMED_UNPAUSED,
                ("resumed", "unpaused"),
            ),
            (
                sys::VIR_DOMAIN_EVENT_STOPPED,
                sys::VIR_DOMAIN_EVENT_STOPPED_CRASHED,
                ("stopped", "crashed"),
            ),
            (
                sys::VIR_DOMAIN_EVENT_STOPPED,
                sys::VIR_DOMAIN_EVENT_STOPPED_FAILED,
                ("stopped", "failed"),
            ),
            (
                sys::VIR_DOMAIN_EVENT_CRASHED,
                sys::VIR_DOMAIN_EVENT_CRASHED_PANICKED,
                ("crashed", "panicked"),
            ),
            (
                sys::VIR_DOMAIN_EVENT_SUSPENDED,
                sys::VIR_DOMAIN_EVENT_SUSPENDED_IOERROR,
                ("suspended", "I/O error"),
            ),
            (99, 0, ("unknown", "unknown")),
        ] {
            let number = |value| c_int::try_from(value).unwrap();
            assert_eq!(words(number(event), number(detail)), words_of_it);
        }
    }
}
