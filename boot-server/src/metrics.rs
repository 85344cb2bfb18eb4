//! Counters of what the server does, made from its events, in Prometheus' text format.
//!
//! Everything that happens is an event, so that a counter can neither be forgotten nor tell another
//! story than the events. Counting is an atomic addition behind a lookup of constant labels.

use std::sync::OnceLock;
use std::time::Duration;

use boot_server_events::{BootEvent, LeaseFileState, Shortage};
use boot_server_proto::dhcp::MessageType;
use ipnet::Ipv4Net;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::lease::Usage;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Message {
    message: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reply {
    role: &'static str,
    message: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Subnet {
    subnet: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    endpoint: &'static str,
    status: u16,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Endpoint {
    endpoint: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Refusal {
    service: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RpcCode {
    code: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RpcRefused {
    reason: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

const OK: Outcome = Outcome { result: "ok" };
const FAILED: Outcome = Outcome { result: "failed" };

/// All counters of a server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    dhcp_requests: Family<Message, Counter>,
    dhcp_replies: Family<Reply, Counter>,
    dhcp_ignored: Counter,
    addresses_in_use: Counter,
    rate_limited: Counter,
    lease_file_broken: Gauge,
    pool_addresses: Family<Subnet, Gauge>,
    leases: Family<Subnet, Gauge>,
    offered: Family<Subnet, Gauge>,
    declined: Family<Subnet, Gauge>,
    free: Family<Subnet, Gauge>,
    shortages: Family<Reason, Counter>,
    clock_jumps: Counter,
    events_collapsed: Counter,
    malformed: Family<Protocol, Counter>,
    tftp_transfers: Family<Outcome, Counter>,
    tftp_sent: Counter,
    tftp_retransmits: Counter,
    tftp_duration: Histogram,
    http_requests: Family<Answered, Counter>,
    http_sent: Counter,
    http_duration: Family<Endpoint, Histogram>,
    http_known: [HttpEndpoint; ENDPOINTS.len()],
    router_advertisements: Counter,
    rpc_calls: Family<RpcCode, Counter>,
    rpc_refused: Family<RpcRefused, Counter>,
    reloads: Family<Outcome, Counter>,
    events_dropped: Counter,
    refused: Family<Refusal, Counter>,
    http_connections: HttpConnections,
}

/// Counters of an endpoint that were looked up already: with many requests a second the lookup shows.
#[derive(Debug, Default)]
struct HttpEndpoint {
    /// Requests answered with 200.
    ok: OnceLock<Counter>,
    duration: OnceLock<Histogram>,
}

/// Open HTTP connections. Clones share the numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpConnections {
    by_state: Family<State, Gauge>,
    open: Gauge,
    answering: Gauge,
}

impl HttpConnections {
    /// Adds connections to the open ones, or takes them away.
    pub(crate) fn opened(&self, change: i64) {
        self.open.inc_by(change);
    }

    /// Adds connections to those whose request is being answered, or takes them away.
    pub(crate) fn answering(&self, change: i64) {
        self.answering.inc_by(change);
    }

    /// Sets the numbers that are told. They are not kept up to date with each request, which would cost time.
    fn sum_up(&self) {
        let answering = self.answering.get();
        let idle = (self.open.get() - answering).max(0);
        for (state, count) in [("answering", answering), ("idle", idle)] {
            self.by_state.get_or_create(&State { state }).set(count);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let duration = || Histogram::new(exponential_buckets(0.001, 4.0, 9));
        let mut metrics = Metrics {
            registry: Registry::with_prefix("boot_server"),
            dhcp_requests: Family::default(),
            dhcp_replies: Family::default(),
            dhcp_ignored: Counter::default(),
            addresses_in_use: Counter::default(),
            rate_limited: Counter::default(),
            lease_file_broken: Gauge::default(),
            pool_addresses: Family::default(),
            leases: Family::default(),
            offered: Family::default(),
            declined: Family::default(),
            free: Family::default(),
            shortages: Family::default(),
            clock_jumps: Counter::default(),
            events_collapsed: Counter::default(),
            malformed: Family::default(),
            tftp_transfers: Family::default(),
            tftp_sent: Counter::default(),
            tftp_retransmits: Counter::default(),
            tftp_duration: duration(),
            http_requests: Family::default(),
            http_sent: Counter::default(),
            http_duration: Family::new_with_constructor(duration),
            http_known: Default::default(),
            router_advertisements: Counter::default(),
            rpc_calls: Family::default(),
            rpc_refused: Family::default(),
            reloads: Family::default(),
            events_dropped: Counter::default(),
            refused: Family::default(),
            http_connections: HttpConnections::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the running program", version);
        let name = "dhcp_requests";
        registry.register(
            name,
            "DHCP messages received from clients",
            self.dhcp_requests.clone(),
        );
        registry.register(
            "dhcp_replies",
            "DHCP messages sent to clients",
            self.dhcp_replies.clone(),
        );
        let help = "DHCP messages deliberately left unanswered";
        registry.register("dhcp_ignored", help, self.dhcp_ignored.clone());
        let help = "Addresses withheld because another host uses them";
        registry.register("addresses_in_use", help, self.addresses_in_use.clone());
        let help = "Bursts of DHCP messages cut off by the rate limit";
        registry.register("rate_limited_bursts", help, self.rate_limited.clone());
        let help = "1 while the lease file cannot be written and no lease is given, otherwise 0";
        registry.register("lease_file_broken", help, self.lease_file_broken.clone());
        let help = "Clients refused by a limit on connections, transfers or request rate";
        registry.register("refused", help, self.refused.clone());
        let help = "Open HTTP connections by state: `answering` a request, or `idle`";
        let connections = self.http_connections.by_state.clone();
        registry.register("http_connections", help, connections);
        let help = "Size of the address pool per subnet";
        registry.register("pool_addresses", help, self.pool_addresses.clone());
        let help = "Active leases per subnet";
        registry.register("leases", help, self.leases.clone());
        let help = "Addresses per subnet that are offered but not yet requested";
        registry.register("pool_offered", help, self.offered.clone());
        let help = "Addresses per subnet set aside because another host uses them";
        registry.register("pool_declined", help, self.declined.clone());
        let help = "Addresses per subnet available for new leases";
        registry.register("pool_free", help, self.free.clone());
        let help = "DHCP messages affected by a shortage of addresses or lease storage";
        registry.register("dhcp_shortages", help, self.shortages.clone());
        let help = "Steps of the wall clock";
        registry.register("clock_jumps", help, self.clock_jumps.clone());
        let help = "Events summarized because too many of one kind occurred in one second";
        registry.register("events_collapsed", help, self.events_collapsed.clone());
        registry.register(
            "malformed",
            "Malformed datagrams received",
            self.malformed.clone(),
        );
        let help = "Finished TFTP transfers";
        registry.register("tftp_transfers", help, self.tftp_transfers.clone());
        let help = "Bytes sent in complete TFTP transfers";
        registry.register_with_unit("tftp_sent", help, Unit::Bytes, self.tftp_sent.clone());
        let help = "Retransmitted TFTP packets";
        registry.register("tftp_retransmits", help, self.tftp_retransmits.clone());
        let help = "Duration of complete TFTP transfers";
        let duration = self.tftp_duration.clone();
        registry.register_with_unit("tftp_duration", help, Unit::Seconds, duration);
        let help = "HTTP requests answered or aborted";
        registry.register("http_requests", help, self.http_requests.clone());
        let help = "Bytes of HTTP response bodies sent";
        registry.register_with_unit("http_sent", help, Unit::Bytes, self.http_sent.clone());
        let help = "Duration of HTTP responses up to their last byte";
        let duration = self.http_duration.clone();
        registry.register_with_unit("http_duration", help, Unit::Seconds, duration);
        let help = "Router advertisements sent";
        registry.register(
            "router_advertisements",
            help,
            self.router_advertisements.clone(),
        );
        registry.register("rpc_calls", "gRPC calls", self.rpc_calls.clone());
        let help = "gRPC clients refused before their first call";
        registry.register("rpc_refused", help, self.rpc_refused.clone());
        registry.register("reloads", "Configuration reloads", self.reloads.clone());
        let help = "Events dropped because their reader is too slow";
        registry.register("events_dropped", help, self.events_dropped.clone());
        // There from the start, so that a rate over them has a beginning.
        for reason in SHORTAGES {
            let reason = shortage(reason);
            let _ = self.shortages.get_or_create(&Reason { reason });
        }
        for outcome in [OK, FAILED] {
            let _ = self.reloads.get_or_create(&outcome);
            let _ = self.tftp_transfers.get_or_create(&outcome);
        }
    }

    /// Counts an event.
    pub fn count(&self, event: &BootEvent) {
        match event {
            BootEvent::DhcpRequest { message, .. } => {
                let message = dhcp_message(*message);
                self.dhcp_requests.get_or_create(&Message { message }).inc();
            }
            BootEvent::DhcpReply { message, role, .. } => {
                let (role, message) = (role.name(), dhcp_message(*message));
                self.dhcp_replies
                    .get_or_create(&Reply { role, message })
                    .inc();
            }
            BootEvent::DhcpIgnored { .. } => {
                self.dhcp_ignored.inc();
            }
            BootEvent::Malformed { protocol, .. } => {
                let protocol = if protocol == "tftp" { "tftp" } else { "dhcp" };
                self.malformed.get_or_create(&Protocol { protocol }).inc();
            }
            BootEvent::TftpDone {
                bytes,
                retransmits,
                millis,
                ..
            } => {
                self.tftp_transfers.get_or_create(&OK).inc();
                self.tftp_sent.inc_by(*bytes);
                self.tftp_retransmits.inc_by(u64::from(*retransmits));
                self.tftp_duration.observe(seconds(*millis));
            }
            BootEvent::TftpFailed { .. } => {
                self.tftp_transfers.get_or_create(&FAILED).inc();
            }
            BootEvent::HttpRequest {
                path,
                status,
                bytes,
                millis,
                ..
            } => {
                self.http_sent.inc_by(*bytes);
                self.count_http(path, *status, seconds(*millis));
            }
            BootEvent::RouterAdvertisement { .. } => {
                self.router_advertisements.inc();
            }
            BootEvent::RpcCall { code, .. } => {
                // One of the names of tonic's codes.
                let code = code.clone();
                self.rpc_calls.get_or_create(&RpcCode { code }).inc();
            }
            BootEvent::RpcRefused { reason, .. } => {
                let reason = reason.code.name();
                self.rpc_refused.get_or_create(&RpcRefused { reason }).inc();
            }
            BootEvent::Reloaded { result } => {
                let outcome = if result.is_in_force() { OK } else { FAILED };
                self.reloads.get_or_create(&outcome).inc();
            }
            BootEvent::AddressInUse { .. } => {
                self.addresses_in_use.inc();
            }
            BootEvent::RateLimited { .. } => {
                self.rate_limited.inc();
            }
            BootEvent::LeaseFile { result } => {
                self.lease_file_broken
                    .set(i64::from(matches!(result, LeaseFileState::Failing(_))));
            }
            BootEvent::ClockJumped { .. } => {
                self.clock_jumps.inc();
            }
            // Counted one by one, where they happen.
            BootEvent::DhcpShortage { .. } => {}
            BootEvent::EventsCollapsed { count, .. } => {
                self.events_collapsed.inc_by(*count);
            }
            BootEvent::TftpRequest { .. }
            | BootEvent::Ready { .. }
            | BootEvent::EventsDropped { .. } => {}
        }
    }

    fn count_http(&self, path: &str, status: u16, seconds: f64) {
        let endpoint = http_endpoint(path);
        let answered = Answered { endpoint, status };
        let requests = || self.http_requests.get_or_create(&answered).clone();
        let duration = || {
            self.http_duration
                .get_or_create(&Endpoint { endpoint })
                .clone()
        };
        let number = ENDPOINTS.iter().position(|known| *known == endpoint);
        let Some(known) = number.and_then(|number| self.http_known.get(number)) else {
            requests().inc();
            duration().observe(seconds);
            return;
        };
        match status {
            200 => known.ok.get_or_init(requests).inc(),
            _ => requests().inc(),
        };
        known.duration.get_or_init(duration).observe(seconds);
    }

    /// Counts a client that was refused: by which service, and why.
    pub(crate) fn refused(&self, service: &'static str, reason: &'static str) {
        self.refused
            .get_or_create(&Refusal { service, reason })
            .inc();
    }

    /// Returns the numbers of HTTP connections.
    pub(crate) fn http_connections(&self) -> HttpConnections {
        self.http_connections.clone()
    }

    /// Sets how much of a pool is in use. Time alone changes it, so that no event tells it.
    pub(crate) fn pool(&self, subnet: Ipv4Net, usage: Usage) {
        let subnet = Subnet {
            subnet: subnet.to_string(),
        };
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let set = |gauges: &Family<Subnet, Gauge>, n| gauges.get_or_create(&subnet).set(number(n));
        set(&self.pool_addresses, usage.addresses);
        set(&self.leases, usage.leases);
        set(&self.offered, usage.offered);
        set(&self.declined, usage.declined);
        set(&self.free, usage.free);
    }

    /// Counts shortages, of which only the first and then a sum is an event.
    pub(crate) fn shortage(&self, reason: Shortage, count: u64) {
        let reason = shortage(reason);
        self.shortages
            .get_or_create(&Reason { reason })
            .inc_by(count);
    }

    /// False while leases cannot be kept, and none is given.
    pub(crate) fn keeps_leases(&self) -> bool {
        self.lease_file_broken.get() == 0
    }

    /// Counts an event that was dropped.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Returns the number of dropped events.
    pub(crate) fn events_dropped(&self) -> u64 {
        self.events_dropped.get()
    }

    /// Returns all counters as text.
    pub fn render(&self) -> String {
        self.http_connections.sum_up();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

const SHORTAGES: [Shortage; 5] = [
    Shortage::PoolExhausted,
    Shortage::TooManyOffers,
    Shortage::OffersTakenBack,
    Shortage::DeclinedReclaimed,
    Shortage::LeaseNotKept,
];

fn shortage(reason: Shortage) -> &'static str {
    match reason {
        Shortage::PoolExhausted => "pool_exhausted",
        Shortage::TooManyOffers => "too_many_offers",
        Shortage::OffersTakenBack => "offers_taken_back",
        Shortage::DeclinedReclaimed => "declined_reclaimed",
        Shortage::LeaseNotKept => "lease_not_kept",
    }
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

/// Constant names, so that hostile input makes no new ones.
fn dhcp_message(message: MessageType) -> &'static str {
    match message {
        MessageType::Discover => "discover",
        MessageType::Offer => "offer",
        MessageType::Request => "request",
        MessageType::Decline => "decline",
        MessageType::Ack => "ack",
        MessageType::Nak => "nak",
        MessageType::Release => "release",
        MessageType::Inform => "inform",
        MessageType::Other(_) => "other",
    }
}

/// Endpoints that are told by their names, with Pixiecore's below `/_`.
const ENDPOINTS: [&str; 18] = [
    "/",
    "/assets",
    "/boot.ipxe",
    "/boot.ipxe.0",
    "/ipxe",
    "/grub",
    "/cloud",
    "/ignition",
    "/generic",
    "/metadata",
    "/nocloud",
    "/spec",
    "/pixiecore",
    "/explain",
    "/nbp",
    "/_/ipxe",
    "/_/file",
    "/_/booting",
];

fn http_endpoint(path: &str) -> &'static str {
    let end = path.bytes().skip(1).position(|byte| byte == b'/');
    let first = end.and_then(|at| path.get(..=at)).unwrap_or(path);
    let without = |text, suffix| str::strip_suffix(text, suffix).unwrap_or(text);
    let name = match first {
        "/_" => path,
        _ => without(without(first, ".asc"), ".sig"),
    };
    let found = ENDPOINTS.iter().find(|known| **known == name);
    found.copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use boot_server_events::Who;

    use super::*;

    fn request(path: &str, status: u16) -> BootEvent {
        BootEvent::HttpRequest {
            who: Who::default(),
            method: "GET".into(),
            path: path.into(),
            query: String::new(),
            status,
            user_agent: String::new(),
            bytes: 10,
            length: None,
            group: None,
            selectors: None,
            sha256: None,
            detail: "".into(),
            millis: 3,
        }
    }

    #[test]
    fn what_happened_is_counted_under_its_name() {
        let metrics = Metrics::default();
        metrics.count(&request("/ipxe", 200));
        metrics.count(&request("/assets/coreos/vmlinuz", 200));
        metrics.count(&request("/assets/none", 404));
        metrics.count(&BootEvent::Reloaded {
            result: boot_server_events::ReloadOutcome::Refused("x".into()),
        });
        let subnet = "10.0.0.0/24".parse().unwrap();
        let usage = Usage {
            addresses: 12,
            leases: 5,
            offered: 3,
            declined: 2,
            free: 2,
            ..Usage::default()
        };
        metrics.pool(subnet, usage);
        metrics.shortage(Shortage::PoolExhausted, 7);
        let text = metrics.render();
        for line in [
            "boot_server_pool_addresses{subnet=\"10.0.0.0/24\"} 12",
            "boot_server_leases{subnet=\"10.0.0.0/24\"} 5",
            "boot_server_pool_offered{subnet=\"10.0.0.0/24\"} 3",
            "boot_server_pool_declined{subnet=\"10.0.0.0/24\"} 2",
            "boot_server_pool_free{subnet=\"10.0.0.0/24\"} 2",
            "boot_server_dhcp_shortages_total{reason=\"pool_exhausted\"} 7",
            "boot_server_dhcp_shortages_total{reason=\"lease_not_kept\"} 0",
            "boot_server_http_requests_total{endpoint=\"/ipxe\",status=\"200\"} 1",
            "boot_server_http_requests_total{endpoint=\"/assets\",status=\"404\"} 1",
            "boot_server_http_sent_bytes_total 30",
            "boot_server_http_duration_seconds_count{endpoint=\"/assets\"} 2",
            "boot_server_reloads_total{result=\"failed\"} 1",
            "boot_server_reloads_total{result=\"ok\"} 0",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is not in:\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn endpoint_is_the_first_part_of_a_path_without_the_ending_of_a_signature() {
        for (path, endpoint) in [
            ("/", "/"),
            ("", "other"),
            ("*", "other"),
            ("/ipxe", "/ipxe"),
            ("/ipxe.asc", "/ipxe"),
            ("/cloud.sig", "/cloud"),
            ("/assets/a/b.sig", "/assets"),
            ("/\u{e9}/ipxe", "other"),
            ("/_/ipxe", "/_/ipxe"),
            ("/_/ipxe/x", "other"),
            ("/_", "other"),
            ("/pixiecore/v1/boot/x", "/pixiecore"),
        ] {
            assert_eq!(http_endpoint(path), endpoint, "{path}");
        }
    }

    #[test]
    fn repeated_answers_of_each_status_are_counted_apart() {
        let metrics = Metrics::default();
        for status in [200, 404, 200, 404, 200] {
            metrics.count(&request("/ipxe", status));
        }
        let text = metrics.render();
        for line in [
            "boot_server_http_requests_total{endpoint=\"/ipxe\",status=\"200\"} 3",
            "boot_server_http_requests_total{endpoint=\"/ipxe\",status=\"404\"} 2",
            "boot_server_http_duration_seconds_count{endpoint=\"/ipxe\"} 5",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn made_up_paths_and_messages_make_no_new_names() {
        let metrics = Metrics::default();
        for number in 0..100 {
            metrics.count(&request(&format!("/x{number}/y"), 404));
            metrics.count(&request(&format!("/_/{number}"), 404));
        }
        let text = metrics.render();
        assert_eq!(
            text.matches("boot_server_http_requests_total{").count(),
            1,
            "{text}"
        );
        assert!(
            text.contains("endpoint=\"other\",status=\"404\"} 200"),
            "{text}"
        );
        assert_eq!(dhcp_message(MessageType::Other(99)), "other");
    }
}
