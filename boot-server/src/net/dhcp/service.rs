//! The loop of a DHCP service. Decisions are made in `policy`, replies in `respond`; here they are fetched,
//! sent and told to the event stream.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_server_events::{BootEvent, Identifier, IgnoreCode, Who};
use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::MissedTickBehavior;
use tracing::{Instrument, debug, warn};

use super::limit::{Limiter, Verdict};
use super::request::{Answered, Request};
use super::role::Role;
use super::server::{ServerRole, needs_probe};
use super::socket::{DhcpSocket, Received};
use super::tell;
use crate::net::context::Context;
use crate::net::link::Link;
use crate::net::pixiecore_api::PixiecoreApi;
use crate::policy::{BootStep, classify};
use crate::respond::{Answer, ProxyStyle, boot_service_ack, proxy_offer};

/// Largest DHCP message read; longer ones are cut and then fail to decode.
const RECEIVE_BUFFER_LEN: usize = 4096;
/// Messages answered together: their leases are kept with one write.
const MAX_BATCH: usize = 64;
/// Questions to a Pixiecore API that may be under way at once; more are dropped, clients ask again.
const MAX_PIXIECORE_QUESTIONS: usize = 256;
/// Interval at which the lease file is checked when no client sends anything.
const UPKEEP: Duration = Duration::from_secs(2);

/// Socket and its role.
pub(super) struct DhcpService<A> {
    pub(super) context: Arc<Context>,
    pub(super) socket: DhcpSocket,
    pub(super) port: u16,
    pub(super) role: Role<A>,
    /// Reaches machines that have no address yet; without it they are answered by broadcast.
    pub(super) link: Option<Arc<Link>>,
    /// Told of each Discover, for the router advertiser.
    pub(super) discovers: Option<mpsc::Sender<MacAddr>>,
}

impl<A: PixiecoreApi + 'static> DhcpService<A> {
    /// Serves until the task is dropped.
    pub(super) async fn serve(self) -> std::io::Result<()> {
        let service = Arc::new(self);
        let questions = Arc::new(Semaphore::new(MAX_PIXIECORE_QUESTIONS));
        let mut limiter = Limiter::new(Instant::now());
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut upkeep = tokio::time::interval(UPKEEP);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let received = tokio::select! {
                received = service.socket.receive(&mut buffer) => received,
                _ = upkeep.tick() => {
                    if let Role::Server(server) = &service.role {
                        server.keep_up();
                    }
                    continue;
                }
            };
            let mut next = match received {
                Ok(received) => Some(received),
                Err(error) => {
                    // E.g. the network is down for a moment: not the end of a server.
                    warn!(%error, "cannot receive DHCP messages");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let now = Instant::now();
            while let Some(received) = next {
                let datagram = buffer.get(..received.len).unwrap_or_default();
                batch.extend(service.read(datagram, received, &mut limiter, now));
                next = match batch.len() < MAX_BATCH {
                    true => service.socket.try_receive(&mut buffer),
                    false => None,
                };
            }
            service.answer_all(&mut batch, &questions).await;
        }
    }

    fn read(
        &self,
        datagram: &[u8],
        Received { from, arrival, .. }: Received,
        limiter: &mut Limiter,
        now: Instant,
    ) -> Option<Request> {
        let peer = Who {
            peer: Some(from.into()),
            ..Who::default()
        };
        let message = match Message::decode(datagram) {
            Ok(message) => message,
            Err(error) => {
                // Of these there may be any number, from anyone: they count as one client.
                if self.admits(limiter, MacAddr([0; 6]), &peer, now) {
                    tell::malformed(&self.context.events, peer, error.to_string());
                }
                return None;
            }
        };
        let client = match classify(&message) {
            Ok(client) => client,
            // A reply of another server on the link, heard because it was broadcast to port 67.
            Err(crate::policy::ClassifyError::Reply) => return None,
            Err(error) => {
                if self.admits(limiter, MacAddr([0; 6]), &peer, now) {
                    let mac = message.mac().map(Identifier::Valid);
                    tell::malformed(&self.context.events, Who { mac, ..peer }, error.to_string());
                }
                return None;
            }
        };
        if !self.admits(limiter, client.mac, &peer, now) {
            return None;
        }
        let request = Request {
            message,
            client,
            from,
            arrival,
        };
        self.heard(&request);
        Some(request)
    }

    /// Tells of a request, and learns what it says about addresses.
    fn heard(&self, request: &Request) {
        let (message, client) = (&request.message, &request.client);
        let address = match message.client_address {
            none if none.is_unspecified() => message.requested_address(),
            own => Some(own),
        };
        let settled = matches!(client.message, MessageType::Request | MessageType::Inform);
        // A server knows from its own answers who has which address; a proxy learns it from the requests to the
        // other server. A request to the boot service does not prove an address outside the subnet, which would
        // receive the answer.
        let is_believed = |address: &Ipv4Addr| match self.role {
            Role::Server(_) => false,
            Role::BootService => self.context.interface.subnet.contains(address),
            Role::Proxy | Role::Pixiecore(_) => true,
        };
        if let Some(address) = address.filter(|address| settled && is_believed(address)) {
            self.context
                .neighbours
                .learn_claimed(address, client.mac, client.uuid);
        }
        if client.message == MessageType::Discover
            && let Some(discovers) = &self.discovers
        {
            // A full queue means that an advertisement is about to be sent anyway.
            let _ = discovers.try_send(client.mac);
        }
        tell::request(&self.context.events, self.port, request, address);
    }

    fn ignored(&self, request: &Request, code: IgnoreCode, reason: impl Into<String>) {
        tell::ignored(&self.context.events, request, code, reason);
    }

    fn admits(&self, limiter: &mut Limiter, mac: MacAddr, peer: &Who, now: Instant) -> bool {
        let reason = match limiter.admit(mac, now) {
            Verdict::Allowed => return true,
            Verdict::Dropped => return false,
            Verdict::FirstDropped => "too many DHCP messages from one client",
            Verdict::FirstOverload => "too many DHCP messages from all clients together",
        };
        let who = Who {
            mac: (mac != MacAddr([0; 6])).then_some(Identifier::Valid(mac)),
            ..peer.clone()
        };
        let reason = reason.to_owned();
        self.context
            .events
            .emit(BootEvent::RateLimited { who, reason });
        false
    }

    /// Answers all messages that were read, in order; leases are stored before they are acknowledged.
    async fn answer_all(self: &Arc<Self>, batch: &mut Vec<Request>, questions: &Arc<Semaphore>) {
        let mut answered = Vec::with_capacity(batch.len());
        for request in batch.drain(..) {
            match &self.role {
                Role::Pixiecore(api) if request.client.message == MessageType::Discover => {
                    self.ask_pixiecore(request, api, questions);
                }
                _ => answered.extend(self.answer(request)),
            }
        }
        if let Role::Server(server) = &self.role {
            server.keep_leases(&mut answered);
        }
        for answered in answered {
            let span = answered.request.span();
            self.dispatch(answered).instrument(span).await;
        }
    }

    fn decide(&self, request: &Request) -> BootStep {
        self.context
            .policy()
            .decide(&request.client, request.message.xid, Instant::now())
    }

    /// Decides about a request; `None` when that happens elsewhere.
    fn answer(&self, request: Request) -> Option<Answered> {
        let (message, client) = (&request.message, &request.client);
        let server = self.context.interface.address;
        let is_proxy = matches!(self.role, Role::Proxy | Role::Pixiecore(_));
        if is_proxy && client.message != MessageType::Discover {
            // Not even decided upon: the policy remembers what it sends machines to.
            return Some(request.unanswered("proxyDHCP answers DISCOVER only"));
        }
        if let Role::BootService = self.role
            && let Err(reason) = self.may_answer_boot_service(&request)
        {
            return Some(request.unanswered(reason));
        }
        if let Role::Server(server) = &self.role {
            if request.is_release_of_another() {
                let reason = "RELEASE from an address other than the leased one";
                return Some(request.unanswered(reason));
            }
            return server.answer(request, |request| self.decide(request));
        }
        let step = self.decide(&request);
        let answer = match &self.role {
            Role::Proxy => proxy_offer(ProxyStyle::Plain, message, client, &step, server),
            Role::Pixiecore(_) => {
                proxy_offer(ProxyStyle::Pixiecore, message, client, &step, server)
            }
            _ => boot_service_ack(message, client, &step, server, request.from),
        };
        Some(Answered {
            request,
            step,
            answer,
        })
    }

    /// The boot service answers to where a request says it is from, which anyone can write there:
    /// only to our subnet and to machines whose own DHCP exchange was heard, and never to a port that
    /// belongs to another service.
    fn may_answer_boot_service(&self, request: &Request) -> Result<(), &'static str> {
        let (address, port) = (*request.from.ip(), request.from.port());
        let known = || {
            let neighbour = self.context.neighbours.lookup(address);
            neighbour.is_some_and(|neighbour| neighbour.mac == request.client.mac)
        };
        let subnet = self.context.interface.subnet;
        let is_group = |a: Ipv4Addr| a.is_broadcast() || a.is_multicast() || a.is_unspecified();
        // The addresses of a /31 are both hosts' (RFC 3021).
        let is_everyone = subnet.prefix_len() < 31
            && (address == subnet.broadcast() || address == subnet.network());
        if is_group(address) || is_everyone {
            return Err("source address is not a host address");
        }
        if !subnet.contains(&address) && !known() {
            return Err(
                "source address outside the subnet, and no DHCP exchange of this machine was seen",
            );
        }
        match port {
            67 | 68 | 1024.. => Ok(()),
            _ => Err("source port belongs to another service"),
        }
    }

    fn ask_pixiecore(self: &Arc<Self>, request: Request, api: &Arc<A>, questions: &Arc<Semaphore>) {
        // The one answer that takes time: others are not kept waiting.
        let Ok(permit) = Arc::clone(questions).try_acquire_owned() else {
            return self.ignored(
                &request,
                IgnoreCode::PixiecoreApi,
                "too many pending requests to the Pixiecore API",
            );
        };
        let (service, api) = (Arc::clone(self), Arc::clone(api));
        let span = request.span();
        let work = async move {
            match api.knows(request.client.mac).await {
                Ok(true) => {
                    if let Some(answered) = service.answer(request) {
                        service.dispatch(answered).await;
                    }
                }
                Ok(false) => {
                    let reason = "the Pixiecore API refuses this machine";
                    service.ignored(&request, IgnoreCode::PixiecoreApi, reason);
                }
                Err(error) => {
                    let reason = format!("Pixiecore API request failed: {error}");
                    service.ignored(&request, IgnoreCode::PixiecoreApi, reason);
                }
            }
            drop(permit);
        };
        tokio::spawn(work.instrument(span));
    }

    /// Sends an answer, after its address was looked for where that is to be done.
    async fn dispatch(self: &Arc<Self>, answered: Answered) {
        match (&self.role, &answered.answer) {
            (Role::Server(_), Answer::Reply(reply)) if reply.probe.is_some() => {
                let service = Arc::clone(self);
                let span = answered.request.span();
                let work = async move {
                    if let Role::Server(server) = &service.role {
                        service.look_then_send(server, answered).await;
                    }
                };
                tokio::spawn(work.instrument(span));
            }
            _ => self.send(answered).await,
        }
    }

    /// Looks for the offered address, and for others when it is in use; then sends the offer, or the answer
    /// to what the machine asked last meanwhile.
    async fn look_then_send(&self, server: &ServerRole, mut answered: Answered) {
        let mac = answered.request.client.mac;
        loop {
            server.look(&mut answered).await;
            let later = server.end_probing(mac);
            let again =
                later.and_then(|later| server.answer(later, |request| self.decide(request)));
            let Some(again) = again else { break };
            answered = again;
            // Asked through a relay agent of another subnet, it is offered another address.
            if !needs_probe(&answered.answer) {
                break;
            }
        }
        let mut last = [answered];
        server.keep_leases(&mut last);
        for answered in last {
            self.send(answered).await;
        }
    }

    async fn send(&self, answered: Answered) {
        let Answered {
            request,
            step,
            answer,
        } = answered;
        let reply = match answer {
            Answer::Reply(reply) => reply,
            Answer::Silence(reason) => return self.ignored(&request, IgnoreCode::Policy, reason),
            Answer::Unserved(shortage, reason) => {
                if let Role::Server(server) = &self.role {
                    server.short_of(shortage, &reason, 1);
                }
                return self.ignored(&request, shortage.into(), reason);
            }
        };
        let limit = request.message.max_message_len();
        let bytes = match reply.message.encode_fitting(limit) {
            Ok((bytes, dropped)) if dropped.is_empty() => bytes,
            Ok((bytes, dropped)) => {
                debug!(?dropped, limit, "omitting options that do not fit");
                bytes
            }
            Err(error) => {
                let reason = format!("the reply does not fit: {error}");
                return self.ignored(&request, IgnoreCode::NotSent, reason);
            }
        };
        if let Some(address) = reply.address {
            let client = &request.client;
            self.context
                .neighbours
                .learn(address, client.mac, client.uuid);
        }
        let sent = match (reply.link, &self.link) {
            (Some(mac), Some(link)) => {
                let source = self.socket.source(self.port);
                link.send_udp(source, (mac, reply.to), &bytes).await
            }
            (Some(_), None) => {
                let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, reply.to.port());
                self.socket.send(&bytes, everyone).await
            }
            (None, _) => self.socket.send(&bytes, reply.to).await,
        };
        match sent {
            Ok(()) => {
                let events = &self.context.events;
                tell::reply(events, self.role.name(), &request, &step, &reply);
            }
            Err(error) => {
                warn!(to = %reply.to, %error, "cannot send a DHCP reply");
                let reason = format!("cannot send the reply to {}: {error}", reply.to);
                self.ignored(&request, IgnoreCode::NotSent, reason);
            }
        }
    }
}
