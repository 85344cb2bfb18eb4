//! The services of `coreos.…` whose options become environment variables: which key stands for
//! which variable, of which type, in the order in which coreos-cloudinit 1.14 writes them.

use super::read::Reader;

/// Type of an option's value. An empty, false or zero value is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in the notation of the file.
    Text,
    /// A boolean value.
    Flag,
    /// A numeric value.
    Number,
}

use Kind::{Flag, Number, Text};

/// A service's options: key, type, variable.
#[derive(Debug, Clone, Copy)]
pub struct Section(&'static [(&'static str, Kind, &'static str)]);

impl Section {
    /// Returns the keys, and the type of each value.
    pub fn keys(self) -> impl Iterator<Item = (&'static str, Kind)> {
        self.0.iter().map(|(key, kind, _)| (*key, *kind))
    }

    /// Returns the variables that `options` sets.
    #[must_use]
    pub fn read(self, options: &mut Reader<'_>) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        for (key, kind, variable) in self.0 {
            let value = match kind {
                Text => options.text(key),
                Flag if options.flag(key) => "true".to_owned(),
                Flag => String::new(),
                Number => options
                    .number(key)
                    .map(|n| n.to_string())
                    .unwrap_or_default(),
            };
            if !value.is_empty() {
                variables.push((*variable, value));
            }
        }
        variables
    }

    /// `coreos.etcd` (etcd 0.4).
    pub const ETCD: Section = Section(&[
        ("addr", Text, "ETCD_ADDR"),
        ("bind_addr", Text, "ETCD_BIND_ADDR"),
        ("ca_file", Text, "ETCD_CA_FILE"),
        ("cert_file", Text, "ETCD_CERT_FILE"),
        ("cluster_active_size", Number, "ETCD_CLUSTER_ACTIVE_SIZE"),
        ("cluster_remove_delay", Number, "ETCD_CLUSTER_REMOVE_DELAY"),
        (
            "cluster_sync_interval",
            Number,
            "ETCD_CLUSTER_SYNC_INTERVAL",
        ),
        ("cors", Text, "ETCD_CORS"),
        ("data_dir", Text, "ETCD_DATA_DIR"),
        ("discovery", Text, "ETCD_DISCOVERY"),
        ("graphite_host", Text, "ETCD_GRAPHITE_HOST"),
        ("http_read_timeout", Number, "ETCD_HTTP_READ_TIMEOUT"),
        ("http_write_timeout", Number, "ETCD_HTTP_WRITE_TIMEOUT"),
        ("key_file", Text, "ETCD_KEY_FILE"),
        ("max_result_buffer", Number, "ETCD_MAX_RESULT_BUFFER"),
        ("max_retry_attempts", Number, "ETCD_MAX_RETRY_ATTEMPTS"),
        ("name", Text, "ETCD_NAME"),
        ("peer_addr", Text, "ETCD_PEER_ADDR"),
        ("peer_bind_addr", Text, "ETCD_PEER_BIND_ADDR"),
        ("peer_ca_file", Text, "ETCD_PEER_CA_FILE"),
        ("peer_cert_file", Text, "ETCD_PEER_CERT_FILE"),
        (
            "peer_election_timeout",
            Number,
            "ETCD_PEER_ELECTION_TIMEOUT",
        ),
        (
            "peer_heartbeat_interval",
            Number,
            "ETCD_PEER_HEARTBEAT_INTERVAL",
        ),
        ("peer_key_file", Text, "ETCD_PEER_KEY_FILE"),
        ("peers", Text, "ETCD_PEERS"),
        ("peers_file", Text, "ETCD_PEERS_FILE"),
        ("retry_interval", Number, "ETCD_RETRY_INTERVAL"),
        ("snapshot", Flag, "ETCD_SNAPSHOT"),
        ("snapshot_count", Number, "ETCD_SNAPSHOTCOUNT"),
        ("trace", Text, "ETCD_TRACE"),
        ("verbose", Flag, "ETCD_VERBOSE"),
        ("very_verbose", Flag, "ETCD_VERY_VERBOSE"),
        ("very_very_verbose", Flag, "ETCD_VERY_VERY_VERBOSE"),
    ]);

    /// `coreos.etcd2`.
    pub const ETCD2: Section = Section(&[
        ("advertise_client_urls", Text, "ETCD_ADVERTISE_CLIENT_URLS"),
        ("ca_file", Text, "ETCD_CA_FILE"),
        ("cert_file", Text, "ETCD_CERT_FILE"),
        ("client_cert_auth", Flag, "ETCD_CLIENT_CERT_AUTH"),
        ("cors", Text, "ETCD_CORS"),
        ("data_dir", Text, "ETCD_DATA_DIR"),
        ("debug", Flag, "ETCD_DEBUG"),
        ("discovery", Text, "ETCD_DISCOVERY"),
        ("discovery_fallback", Text, "ETCD_DISCOVERY_FALLBACK"),
        ("discovery_srv", Text, "ETCD_DISCOVERY_SRV"),
        ("discovery_proxy", Text, "ETCD_DISCOVERY_PROXY"),
        ("election_timeout", Number, "ETCD_ELECTION_TIMEOUT"),
        ("enable_pprof", Flag, "ETCD_ENABLE_PPROF"),
        ("force_new_cluster", Flag, "ETCD_FORCE_NEW_CLUSTER"),
        ("heartbeat_interval", Number, "ETCD_HEARTBEAT_INTERVAL"),
        (
            "initial_advertise_peer_urls",
            Text,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        ),
        ("initial_cluster", Text, "ETCD_INITIAL_CLUSTER"),
        ("initial_cluster_state", Text, "ETCD_INITIAL_CLUSTER_STATE"),
        ("initial_cluster_token", Text, "ETCD_INITIAL_CLUSTER_TOKEN"),
        ("key_file", Text, "ETCD_KEY_FILE"),
        ("listen_client_urls", Text, "ETCD_LISTEN_CLIENT_URLS"),
        ("listen_peer_urls", Text, "ETCD_LISTEN_PEER_URLS"),
        ("log_package_levels", Text, "ETCD_LOG_PACKAGE_LEVELS"),
        ("max_snapshots", Number, "ETCD_MAX_SNAPSHOTS"),
        ("max_wals", Number, "ETCD_MAX_WALS"),
        ("name", Text, "ETCD_NAME"),
        ("peer_ca_file", Text, "ETCD_PEER_CA_FILE"),
        ("peer_cert_file", Text, "ETCD_PEER_CERT_FILE"),
        ("peer_key_file", Text, "ETCD_PEER_KEY_FILE"),
        ("peer_client_cert_auth", Flag, "ETCD_PEER_CLIENT_CERT_AUTH"),
        ("peer_trusted_ca_file", Text, "ETCD_PEER_TRUSTED_CA_FILE"),
        ("proxy", Text, "ETCD_PROXY"),
        ("proxy_dial_timeout", Number, "ETCD_PROXY_DIAL_TIMEOUT"),
        ("proxy_failure_wait", Number, "ETCD_PROXY_FAILURE_WAIT"),
        ("proxy_read_timeout", Number, "ETCD_PROXY_READ_TIMEOUT"),
        (
            "proxy_refresh_interval",
            Number,
            "ETCD_PROXY_REFRESH_INTERVAL",
        ),
        ("proxy_write_timeout", Number, "ETCD_PROXY_WRITE_TIMEOUT"),
        ("snapshot_count", Number, "ETCD_SNAPSHOT_COUNT"),
        ("strict_reconfig_check", Flag, "ETCD_STRICT_RECONFIG_CHECK"),
        ("trusted_ca_file", Text, "ETCD_TRUSTED_CA_FILE"),
        ("wal_dir", Text, "ETCD_WAL_DIR"),
    ]);

    /// `coreos.fleet`.
    pub const FLEET: Section = Section(&[
        ("agent_ttl", Text, "FLEET_AGENT_TTL"),
        ("authorized_keys_file", Text, "FLEET_AUTHORIZED_KEYS_FILE"),
        ("disable_engine", Flag, "FLEET_DISABLE_ENGINE"),
        (
            "engine_reconcile_interval",
            Number,
            "FLEET_ENGINE_RECONCILE_INTERVAL",
        ),
        ("etcd_cafile", Text, "FLEET_ETCD_CAFILE"),
        ("etcd_certfile", Text, "FLEET_ETCD_CERTFILE"),
        ("etcd_keyfile", Text, "FLEET_ETCD_KEYFILE"),
        ("etcd_key_prefix", Text, "FLEET_ETCD_KEY_PREFIX"),
        ("etcd_request_timeout", Number, "FLEET_ETCD_REQUEST_TIMEOUT"),
        ("etcd_servers", Text, "FLEET_ETCD_SERVERS"),
        ("etcd_username", Text, "FLEET_ETCD_USERNAME"),
        ("etcd_password", Text, "FLEET_ETCD_PASSWORD"),
        ("metadata", Text, "FLEET_METADATA"),
        ("public_ip", Text, "FLEET_PUBLIC_IP"),
        ("token_limit", Number, "FLEET_TOKEN_LIMIT"),
        ("verbosity", Number, "FLEET_VERBOSITY"),
        ("verify_units", Flag, "FLEET_VERIFY_UNITS"),
    ]);

    /// `coreos.flannel`.
    pub const FLANNEL: Section = Section(&[
        ("etcd_endpoints", Text, "FLANNELD_ETCD_ENDPOINTS"),
        ("etcd_cafile", Text, "FLANNELD_ETCD_CAFILE"),
        ("etcd_certfile", Text, "FLANNELD_ETCD_CERTFILE"),
        ("etcd_keyfile", Text, "FLANNELD_ETCD_KEYFILE"),
        ("etcd_prefix", Text, "FLANNELD_ETCD_PREFIX"),
        ("etcd_username", Text, "FLANNELD_ETCD_USERNAME"),
        ("etcd_password", Text, "FLANNELD_ETCD_PASSWORD"),
        ("ip_masq", Text, "FLANNELD_IP_MASQ"),
        ("subnet_file", Text, "FLANNELD_SUBNET_FILE"),
        ("interface", Text, "FLANNELD_IFACE"),
        ("public_ip", Text, "FLANNELD_PUBLIC_IP"),
    ]);

    /// `coreos.locksmith`.
    pub const LOCKSMITH: Section = Section(&[
        ("endpoint", Text, "LOCKSMITHD_ENDPOINT"),
        ("etcd_cafile", Text, "LOCKSMITHD_ETCD_CAFILE"),
        ("etcd_certfile", Text, "LOCKSMITHD_ETCD_CERTFILE"),
        ("etcd_keyfile", Text, "LOCKSMITHD_ETCD_KEYFILE"),
        ("etcd_username", Text, "LOCKSMITHD_ETCD_USERNAME"),
        ("etcd_password", Text, "LOCKSMITHD_ETCD_PASSWORD"),
        ("group", Text, "LOCKSMITHD_GROUP"),
        ("window_start", Text, "REBOOT_WINDOW_START"),
        ("window_length", Text, "REBOOT_WINDOW_LENGTH"),
    ]);
}
