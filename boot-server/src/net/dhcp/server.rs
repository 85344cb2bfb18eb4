//! What only the DHCP server does: leases are kept before they are told, and addresses are looked for
//! before they are offered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::probe::{Found, Prober};
use super::{Answered, DhcpService, Probing, Request, Role, tell};
use crate::event::{BootEvent, EventSink};
use crate::lease::LeaseStore;
use crate::net::pixiecore_api::PixiecoreApi;
use crate::policy::BootStep;
use crate::proto::dhcp::MessageType;
use crate::proto::mac::MacAddr;
use crate::respond::{Answer, DhcpServer};

/// Addresses tried for one client before it is left to ask again.
const MAX_ADDRESSES_LOOKED_FOR: usize = 8;

/// The DHCP server and what it is to do before it answers.
pub(in crate::net) struct ServerRole {
    dhcp: Mutex<DhcpServer<Box<dyn LeaseStore>>>,
    prober: Option<Arc<Prober>>,
    probing: Probing,
    events: EventSink,
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
        if request.client.message == MessageType::Discover
            && let Some(waiting) = self.probing().get_mut(&request.client.mac)
        {
            *waiting = Some(request);
            return None;
        }
        let step = decide(&request);
        let (message, client) = (&request.message, &request.client);
        let answer = self
            .dhcp()
            .handle(message, client, &step, request.arrival, SystemTime::now());
        Some(Answered {
            request,
            step,
            answer,
        })
    }

    /// Keeps leases; what went wrong is told once, and once when it is right again.
    ///
    /// # Errors
    /// They are not kept.
    fn commit(&self) -> Result<(), String> {
        let result = self.dhcp().commit();
        let before = self.keeping.swap(result.is_ok(), Ordering::Relaxed);
        let told = match (&result, before) {
            (Ok(Some(warning)), _) => Some(Ok(warning.clone())),
            (Ok(None), false) => Some(Ok("leases are kept again".to_owned())),
            (Err(error), true) => Some(Err(error.clone())),
            _ => None,
        };
        if let Some(result) = told {
            self.events.emit(BootEvent::LeaseFile { result });
        }
        result.map(|_| ())
    }

    fn dhcp(&self) -> MutexGuard<'_, DhcpServer<Box<dyn LeaseStore>>> {
        self.dhcp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probing(&self) -> MutexGuard<'_, std::collections::HashMap<MacAddr, Option<Request>>> {
        self.probing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: PixiecoreApi + 'static> DhcpService<A> {
    /// Looks after the lease file and the gauges of the pools while nobody asks for anything.
    pub(super) fn keep_up(&self) {
        if let Role::Server(server) = &self.role {
            // Told where it is noticed.
            let _ = server.commit();
            let metrics = self.context.events.metrics();
            for (subnet, usage) in server.dhcp().usage(SystemTime::now()) {
                metrics.pool(subnet, usage);
            }
        }
    }

    /// Keeps the leases of these answers, or takes the acknowledgements back.
    pub(super) fn keep_leases(&self, answered: &mut [Answered]) {
        let Role::Server(server) = &self.role else {
            return;
        };
        if !server.dhcp().is_uncommitted() {
            return;
        }
        if let Err(error) = server.commit() {
            for one in answered {
                let is_ack = matches!(
                    &one.answer,
                    Answer::Reply(reply) if reply.address.is_some()
                        && reply.message.message_type() == Ok(Some(MessageType::Ack))
                );
                if is_ack {
                    one.answer = Answer::Silence(format!("the lease could not be kept: {error}"));
                }
            }
        }
    }

    /// Looks for the offered address, and for others when it is in use; then sends the offer.
    pub(super) async fn look_then_send(&self, mut answered: Answered) {
        let Role::Server(server) = &self.role else {
            return;
        };
        let mac = answered.request.client.mac;
        for number in 0.. {
            let (Answer::Reply(reply), Some(prober)) = (&answered.answer, &server.prober) else {
                break;
            };
            let Some(probe) = reply.probe else { break };
            if number == MAX_ADDRESSES_LOOKED_FOR {
                let why = "all addresses that were looked for are in use";
                answered.answer = Answer::Silence(why.into());
                break;
            }
            let Found::Somebody(by) = prober.look(probe, mac).await else {
                break;
            };
            let address = probe.address();
            server.events.emit(BootEvent::AddressInUse {
                who: tell::who(&answered.request),
                address,
                by: by.map(|mac| mac.to_string()),
            });
            let (message, client) = (&answered.request.message, &answered.request.client);
            let now = SystemTime::now();
            let mut dhcp = server.dhcp();
            dhcp.found_in_use(message, client, address, now);
            let arrival = answered.request.arrival;
            answered.answer = dhcp.handle(message, client, &answered.step, arrival, now);
            drop(dhcp);
            // That it rests is remembered as well as can be; nobody is told of it.
            let _ = server.commit();
        }
        // Whoever asked again meanwhile is answered what it asked last.
        let later = server.probing().remove(&mac).flatten();
        let again = later.and_then(|later| server.answer(later, |request| self.decide(request)));
        let mut last = [again.unwrap_or(answered)];
        self.keep_leases(&mut last);
        for answered in last {
            self.send(answered).await;
        }
    }
}
