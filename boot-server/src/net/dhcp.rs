//! The DHCP loops: port 67 as server or proxy, port 4011 as boot service. Decisions are made in
//! `policy`, replies in `respond`; here they are fetched, sent and told to the event stream.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::{Semaphore, mpsc};
use tracing::{Instrument, debug, debug_span, info, warn};

use super::context::Context;
use super::dhcp_socket::DhcpSocket;
use super::pixiecore_api::PixiecoreApi;
use crate::event::{BootEvent, Who};
use crate::lease::LeaseStore;
use crate::policy::{BootStep, Client, classify};
use crate::proto::dhcp::{Message, MessageType};
use crate::proto::mac::MacAddr;
use crate::respond::{Answer, DhcpServer, ProxyStyle, Reply, boot_service_ack, proxy_offer};

/// Largest DHCP message read; longer ones are cut and then fail to decode.
const RECEIVE_BUFFER_LEN: usize = 4096;
/// Questions to a Pixiecore API that may be under way at once; more are dropped, clients ask again.
const MAX_PIXIECORE_QUESTIONS: usize = 256;

/// As what a socket's messages are answered.
pub(super) enum Role<A> {
    /// The DHCP server, which gives addresses.
    Server(Box<Mutex<DhcpServer<Box<dyn LeaseStore>>>>),
    /// A proxy beside another DHCP server.
    Proxy,
    /// Pixiecore's proxy.
    Pixiecore(Arc<A>),
    /// The boot service on port 4011.
    BootService,
}

/// One socket and its role.
pub(super) struct DhcpService<A> {
    pub(super) context: Arc<Context>,
    pub(super) socket: DhcpSocket,
    pub(super) port: u16,
    pub(super) role: Role<A>,
    /// Told of each Discover, for the router advertiser.
    pub(super) discovers: Option<mpsc::Sender<MacAddr>>,
}

/// A request, read.
struct Request {
    message: Message,
    client: Client,
    from: SocketAddrV4,
}

impl<A: PixiecoreApi + 'static> DhcpService<A> {
    /// Serves until the task is dropped.
    pub(super) async fn serve(self) -> std::io::Result<()> {
        let service = Arc::new(self);
        let questions = Arc::new(Semaphore::new(MAX_PIXIECORE_QUESTIONS));
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        loop {
            let (len, from) = match service.socket.receive(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    // E.g. the network is down for a moment: not the end of a server.
                    warn!(%error, "receiving a DHCP message");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let datagram = buffer.get(..len).unwrap_or_default();
            let Some(request) = service.read(datagram, from) else {
                continue;
            };
            let span = debug_span!("dhcp", xid = request.message.xid, mac = %request.client.mac);
            match &service.role {
                Role::Pixiecore(api) if request.client.message == MessageType::Discover => {
                    // The one answer that takes time: others are not kept waiting.
                    let Ok(permit) = Arc::clone(&questions).try_acquire_owned() else {
                        service.ignored(&request, "too many questions to the Pixiecore API");
                        continue;
                    };
                    let (service, api) = (Arc::clone(&service), Arc::clone(api));
                    let work = async move {
                        service.answer_pixiecore(&request, &*api).await;
                        drop(permit);
                    };
                    tokio::spawn(work.instrument(span));
                }
                _ => {
                    let answer = service.answer(&request);
                    service.send(&request, answer).instrument(span).await;
                }
            }
        }
    }

    fn read(&self, datagram: &[u8], from: SocketAddrV4) -> Option<Request> {
        let malformed = |who: Who, reason: String| {
            debug!(%from, reason, "a DHCP message that is none");
            let protocol = "dhcp".to_owned();
            self.context.events.emit(BootEvent::Malformed {
                who,
                protocol,
                reason,
            });
        };
        let peer = Who {
            peer: Some(from.into()),
            ..Who::default()
        };
        let message = match Message::decode(datagram) {
            Ok(message) => message,
            Err(error) => {
                malformed(peer, error.to_string());
                return None;
            }
        };
        let client = match classify(&message) {
            Ok(client) => client,
            // A reply of another server on the link, heard because it was broadcast to port 67.
            Err(crate::policy::ClassifyError::Reply) => return None,
            Err(error) => {
                let mac = message.mac().map(|mac| mac.to_string());
                malformed(Who { mac, ..peer }, error.to_string());
                return None;
            }
        };
        let request = Request {
            message,
            client,
            from,
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
        if let Some(address) = address.filter(|_| settled) {
            // A proxy hears the requests to the other server: that is how it knows its clients.
            self.context
                .neighbours
                .learn(address, client.mac, client.uuid);
        }
        if client.message == MessageType::Discover
            && let Some(discovers) = &self.discovers
        {
            // A full queue means that an advertisement is about to be sent anyway.
            let _ = discovers.try_send(client.mac);
        }
        self.context.events.emit(BootEvent::DhcpRequest {
            who: who(request),
            port: self.port,
            xid: message.xid,
            message: client.message.to_string(),
            arch: client.arch.iter().map(|arch| arch.to_wire()).collect(),
            user_class: message.user_class_text(),
            vendor_class: message.vendor_class(),
            address,
        });
    }

    fn decide(&self, request: &Request) -> BootStep {
        self.context
            .policy()
            .decide(&request.client, request.message.xid, Instant::now())
    }

    fn answer(&self, request: &Request) -> (BootStep, Answer) {
        let (message, client) = (&request.message, &request.client);
        let server = self.context.interface.address;
        let is_proxy = matches!(self.role, Role::Proxy | Role::Pixiecore(_));
        if is_proxy && client.message != MessageType::Discover {
            // Not even decided upon: the policy remembers what it sends machines to.
            return (
                BootStep::none(),
                Answer::Silence("a proxy answers a discover only".into()),
            );
        }
        let step = self.decide(request);
        let answer = match &self.role {
            Role::Server(dhcp) => {
                let mut dhcp = dhcp.lock().unwrap_or_else(PoisonError::into_inner);
                dhcp.handle(message, client, &step, SystemTime::now())
            }
            Role::Proxy => proxy_offer(ProxyStyle::Plain, message, client, &step, server),
            Role::Pixiecore(_) => {
                proxy_offer(ProxyStyle::Pixiecore, message, client, &step, server)
            }
            Role::BootService => boot_service_ack(message, client, &step, server, request.from),
        };
        (step, answer)
    }

    async fn answer_pixiecore(&self, request: &Request, api: &A) {
        let mac = request.client.mac;
        match api.knows(mac).await {
            Ok(true) => {
                let answer = self.answer(request);
                self.send(request, answer).await;
            }
            Ok(false) => self.ignored(request, "the Pixiecore API refuses this machine"),
            Err(error) => self.ignored(request, &format!("asking the Pixiecore API: {error}")),
        }
    }

    async fn send(&self, request: &Request, (step, answer): (BootStep, Answer)) {
        let reply = match answer {
            Answer::Reply(reply) => reply,
            Answer::Silence(reason) => return self.ignored(request, &reason),
        };
        let encoded = reply.message.encode(request.message.max_message_len());
        let bytes = match encoded {
            Ok(bytes) => bytes,
            Err(error) => return self.ignored(request, &format!("no answer fits: {error}")),
        };
        if let Some(address) = reply.address {
            self.context
                .neighbours
                .learn(address, request.client.mac, request.client.uuid);
        }
        match self.socket.send(&bytes, reply.to).await {
            Ok(()) => self.answered(request, &step, &reply),
            Err(error) => {
                warn!(to = %reply.to, %error, "sending a DHCP reply");
                self.ignored(
                    request,
                    &format!("the reply to {} failed: {error}", reply.to),
                );
            }
        }
    }

    fn answered(&self, request: &Request, step: &BootStep, reply: &Reply) {
        let kind = reply.message.message_type().ok().flatten();
        let message = kind.map_or_else(String::new, |kind| kind.to_string());
        let boot_file = step.boot_file().filter(|_| kind != Some(MessageType::Nak));
        let next_server =
            Some(reply.message.next_server).filter(|address| !address.is_unspecified());
        info!(
            address = reply.address.map(tracing::field::display),
            boot_file, why = step.why, to = %reply.to, "{message}"
        );
        let why = match kind {
            Some(MessageType::Nak) => "the address is refused",
            _ => step.why,
        };
        self.context.events.emit(BootEvent::DhcpReply {
            who: who(request),
            xid: request.message.xid,
            message,
            role: self.role_name().to_owned(),
            address: reply.address,
            next_server,
            boot_file: boot_file.map(str::to_owned),
            step: why.to_owned(),
        });
    }

    fn ignored(&self, request: &Request, reason: &str) {
        debug!(reason, "no answer");
        let reason = reason.to_owned();
        self.context.events.emit(BootEvent::DhcpIgnored {
            who: who(request),
            reason,
        });
    }

    fn role_name(&self) -> &'static str {
        match self.role {
            Role::Server(_) => "dhcp",
            Role::Proxy => "proxy_dhcp",
            Role::Pixiecore(_) => "pixiecore",
            Role::BootService => "boot_service",
        }
    }
}

fn who(request: &Request) -> Who {
    Who {
        mac: Some(request.client.mac.to_string()),
        uuid: request.client.uuid.map(|uuid| uuid.to_string()),
        peer: Some(request.from.into()),
    }
}
