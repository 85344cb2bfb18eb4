//! Behaviour specific to the DHCP server: leases are stored before they are acknowledged, and addresses are
//! probed before they are offered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use boot_server_events::{BootEvent, Identifier, LeaseFileState, Shortage};
use boot_server_proto::dhcp::MessageType;
use boot_server_proto::mac::MacAddr;

use super::outage::Outages;
use super::probe::{Found, Prober};
use super::request::{Answered, Request};
use crate::event_sink::EventSink;
use crate::lease::{ClockReading, JournalError, LeaseClock, LeaseStore, Usage};
use crate::policy::BootStep;
use crate::respond::{Answer, DhcpServer};

/// Addresses tried for one client before it is left to ask again.
const MAX_ADDRESSES_LOOKED_FOR: usize = 8;

/// Requests of machines whose address is being looked for, by MAC; the last one of each is answered when
/// that is done.
type Probing = HashMap<MacAddr, Option<Request>>;

/// The DHCP server and its work before each answer.
pub(in crate::net) struct ServerRole {
    dhcp: Mutex<DhcpServer<Box<dyn LeaseStore>>>,
    prober: Option<Arc<Prober>>,
    probing: Mutex<Probing>,
    events: EventSink,
    clock: Mutex<LeaseClock>,
    outages: Mutex<Outages>,
    /// Reclaimed offers and declined addresses that have been reported.
    told_taken_back: Mutex<(u64, u64)>,
    /// The lease file was in order when it was last written.
    keeping: AtomicBool,
}

impl ServerRole {
    pub(in crate::net) fn new(
        dhcp: DhcpServer<Box<dyn LeaseStore>>,
        prober: Option<Arc<Prober>>,
        events: EventSink,
    ) -> ServerRole {
        ServerRole {
            dhcp: Mutex::new(dhcp),
            prober,
            probing: Mutex::default(),
            events,
            clock: Mutex::new(LeaseClock::new(ClockReading::now())),
            outages: Mutex::default(),
            told_taken_back: Mutex::default(),
            keeping: AtomicBool::new(true),
        }
    }

    /// Decides about a request; none when its machine's address is being looked for, and it is
    /// answered as soon as that is done.
    pub(super) fn answer(
        &self,
        request: Request,
        decide: impl FnOnce(&Request) -> BootStep,
    ) -> Option<Answered> {
        // A Request too: its address would be acknowledged before the probe has shown that it is free.
        if matches!(
            request.client.message,
            MessageType::Discover | MessageType::Request
        ) && let Some(waiting) = self.probing().get_mut(&request.client.mac)
        {
            *waiting = Some(request);
            return None;
        }
        let step = decide(&request);
        let (message, client) = (&request.message, &request.client);
        let now = self.now();
        let answer = self
            .dhcp()
            .handle(message, client, &step, request.arrival, now);
        if needs_probe(&answer) {
            // Before the next message is read: a pair of relay agents sends two at once.
            self.probing().insert(request.client.mac, None);
        }
        Some(Answered {
            request,
            step,
            answer,
        })
    }

    /// Stores leases; reports a failure once, and the recovery once.
    ///
    /// # Errors
    /// They are not kept.
    fn commit(&self) -> Result<(), JournalError> {
        let result = self.dhcp().commit();
        let before = self.keeping.swap(result.is_ok(), Ordering::Relaxed);
        let told = match (&result, before) {
            (Ok(Some(warning)), _) => Some(LeaseFileState::Kept(warning.to_string())),
            (Ok(None), false) => {
                let text = "the lease file is writable again";
                Some(LeaseFileState::Kept(text.to_owned()))
            }
            (Err(error), true) => Some(LeaseFileState::Failing(error.to_string())),
            _ => None,
        };
        if let Some(result) = told {
            self.events.emit(BootEvent::LeaseFile { result });
        }
        result.map(|_| ())
    }

    /// Maintains the lease file and the gauges of the pools while no client sends anything.
    pub(super) fn keep_up(&self) {
        self.follow_clock(ClockReading::now());
        // Told where it is noticed.
        let _ = self.commit();
        let metrics = self.events.metrics();
        let usage: Vec<_> = self.dhcp().usage(self.now()).collect();
        for (subnet, usage) in &usage {
            metrics.pool(*subnet, *usage);
        }
        self.tell_taken_back(&usage);
        for event in lock(&self.outages).due(Instant::now()) {
            self.events.emit(event);
        }
    }

    /// Keeps the leases of these answers, or takes the acknowledgements back.
    pub(super) fn keep_leases(&self, answered: &mut [Answered]) {
        if !self.dhcp().is_uncommitted() {
            return;
        }
        if let Err(error) = self.commit() {
            for one in answered {
                let is_ack = matches!(
                    &one.answer,
                    Answer::Reply(reply) if reply.address.is_some()
                        && reply.message.message_type() == Ok(Some(MessageType::Ack))
                );
                if is_ack {
                    let reason = format!("cannot save the lease: {error}");
                    one.answer = Answer::Unserved(Shortage::LeaseNotKept, reason);
                }
            }
        }
    }

    /// Probes the offered address, and replaces it by others until one is free.
    pub(super) async fn look(&self, answered: &mut Answered) {
        for number in 0.. {
            let (Answer::Reply(reply), Some(prober)) = (&answered.answer, &self.prober) else {
                return;
            };
            let Some(probe) = reply.probe else { return };
            if number == MAX_ADDRESSES_LOOKED_FOR {
                let why = "all probed addresses are in use";
                answered.answer = Answer::Unserved(Shortage::PoolExhausted, why.into());
                return;
            }
            let found = prober.look(probe, answered.request.client.mac).await;
            let (message, client) = (&answered.request.message, &answered.request.client);
            let address = probe.address();
            let now = self.now();
            let mut dhcp = self.dhcp();
            match found {
                Found::Nobody if dhcp.holds(client, address, now) => return,
                // Taken back for another machine meanwhile.
                Found::Nobody => {}
                Found::Somebody(by) => {
                    self.events.emit(BootEvent::AddressInUse {
                        who: answered.request.who(),
                        address,
                        by: by.map(Identifier::Valid),
                    });
                    dhcp.found_in_use(message, client, address, now);
                }
            }
            let arrival = answered.request.arrival;
            answered.answer = dhcp.handle(message, client, &answered.step, arrival, now);
            drop(dhcp);
            // The address is set aside on a best effort basis; no client is told of it.
            let _ = self.commit();
        }
    }

    /// Returns the last request that a machine sent while its address was probed, and ends the probing.
    pub(super) fn end_probing(&self, mac: MacAddr) -> Option<Request> {
        self.probing().remove(&mac).flatten()
    }

    /// Returns the time base of leases.
    fn now(&self) -> SystemTime {
        self.clock().time(ClockReading::now())
    }

    /// Follows the wall clock when it was stepped.
    fn follow_clock(&self, reading: ClockReading) {
        let jumped = self.clock().adopt(reading);
        if let Some(by_seconds) = jumped {
            self.dhcp().shift(by_seconds);
            self.events.emit(BootEvent::ClockJumped { by_seconds });
        }
    }

    /// Counts a shortage, and tells it when it begins.
    pub(super) fn short_of(&self, reason: Shortage, detail: &str, count: u64) {
        self.events.metrics().shortage(reason, count);
        let told = lock(&self.outages).hit(reason, detail, count, Instant::now());
        if let Some(event) = told {
            self.events.emit(event);
        }
    }

    /// Tells what was taken back of all pools since the last time.
    fn tell_taken_back(&self, usage: &[(ipnet::Ipv4Net, Usage)]) {
        let sum = |count: fn(&Usage) -> u64| usage.iter().map(|(_, usage)| count(usage)).sum();
        let offers: u64 = sum(|usage| usage.offers_taken_back);
        let declined: u64 = sum(|usage| usage.declined_reclaimed);
        let told = std::mem::replace(&mut *lock(&self.told_taken_back), (offers, declined));
        if offers > told.0 {
            let detail =
                "pool exhausted: addresses of unrequested offers are offered to other clients";
            self.short_of(Shortage::OffersTakenBack, detail, offers - told.0);
        }
        if declined > told.1 {
            let detail = "pool exhausted: declined addresses are offered again";
            self.short_of(Shortage::DeclinedReclaimed, detail, declined - told.1);
        }
    }

    fn clock(&self) -> MutexGuard<'_, LeaseClock> {
        lock(&self.clock)
    }

    fn dhcp(&self) -> MutexGuard<'_, DhcpServer<Box<dyn LeaseStore>>> {
        lock(&self.dhcp)
    }

    fn probing(&self) -> MutexGuard<'_, Probing> {
        lock(&self.probing)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True for an offer whose address is to be probed before it is sent.
pub(super) fn needs_probe(answer: &Answer) -> bool {
    matches!(answer, Answer::Reply(reply) if reply.probe.is_some())
}
