//! A server on a fresh data directory, and the certificates of its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server::catalog::data_dir::{DataDir, Layout, Source};
use boot_server::event_sink::EventSink;
use boot_server::net::http::{HttpServer, Workers, router};
use boot_server::net::neighbours::Neighbours;
use boot_server::net::rpc::client::{Channel, ConnectError, Endpoint, connect};
use boot_server::net::rpc::{MutualTls, RpcFiles, RpcServer};
use boot_server::store::Store;
use boot_server_events::Event;
use boot_server_rpc::tonic::codegen::http::Uri;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Certificates of the recorded calls, by the recorded names.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Certificates {
        let this = Certificates {
            folder: tempfile::tempdir().unwrap(),
        };
        let ca = this.authority("ca", "Quay test CA");
        let other = this.authority("other", "Other CA");
        let server = ExtendedKeyUsagePurpose::ServerAuth;
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        let names = ["boot.quay.example", "localhost", "127.0.0.1"];
        this.issue(
            "server",
            &ca,
            &names,
            std::slice::from_ref(&server),
            (2020, 2045),
        );
        this.issue(
            "client",
            &ca,
            &[],
            std::slice::from_ref(&client),
            (2020, 2045),
        );
        this.issue("client-noeku", &ca, &[], &[], (2020, 2045));
        this.issue("client-serveronly", &ca, &[], &[server], (2020, 2045));
        this.issue(
            "client-expired",
            &ca,
            &[],
            std::slice::from_ref(&client),
            (2020, 2021),
        );
        this.issue(
            "client-future",
            &ca,
            &[],
            std::slice::from_ref(&client),
            (2040, 2045),
        );
        this.issue(
            "client-other",
            &other,
            &[],
            std::slice::from_ref(&client),
            (2020, 2045),
        );
        let key = KeyPair::generate().unwrap();
        let own = params("self", &[], &[client], (2020, 2045));
        this.write("self", &own.self_signed(&key).unwrap().pem(), &key);
        this
    }

    fn authority(&self, file: &str, name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params(name, &[], &[], (2020, 2045));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        std::fs::write(self.certificate(file), authority.pem()).unwrap();
        authority
    }

    fn issue(
        &self,
        name: &str,
        by: &CertifiedIssuer<'static, KeyPair>,
        hosts: &[&str],
        purposes: &[ExtendedKeyUsagePurpose],
        years: (i32, i32),
    ) {
        let key = KeyPair::generate().unwrap();
        let signed = params(name, hosts, purposes, years).signed_by(&key, by);
        self.write(name, &signed.unwrap().pem(), &key);
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) {
        std::fs::write(self.certificate(name), certificate).unwrap();
        std::fs::write(self.key(name), key.serialize_pem()).unwrap();
    }

    /// Folder of the files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.crt"))
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    /// Returns a server's address with the files of this client, which trusts this authority.
    pub(crate) fn endpoint(&self, address: &str, client: &str, ca: &str) -> Endpoint {
        Endpoint {
            address: address.to_owned(),
            ca: self.certificate(ca),
            certificate: self.certificate(client),
            key: self.key(client),
        }
    }
}

fn params(
    name: &str,
    hosts: &[&str],
    purposes: &[ExtendedKeyUsagePurpose],
    (from, to): (i32, i32),
) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = purposes.to_vec();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

/// Server of a data directory that is empty at first.
pub(crate) struct Rig {
    folder: TempDir,
    pub(crate) data_dir: Arc<DataDir>,
    pub(crate) rpc: String,
    pub(crate) http: std::net::SocketAddr,
    pub(crate) events: mpsc::Receiver<Event>,
    _stop: DropGuard,
}

impl Rig {
    /// Starts it, within a tokio runtime.
    pub(crate) fn start(certificates: &Certificates) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let source = Source {
            root: data,
            layout: Some(Layout::Matchbox),
            ..Source::default()
        };
        let (sink, events) = EventSink::channel();
        let (data_dir, _) = DataDir::open(source, None).unwrap();
        let data_dir = Arc::new(data_dir);
        let tls = MutualTls::load(RpcFiles {
            certificate: certificates.certificate("server"),
            key: certificates.key("server"),
            client_ca: certificates.certificate("ca"),
        });
        let loopback = ([127, 0, 0, 1], 0).into();
        let store = Store::new(Arc::clone(&data_dir));
        let workers = Workers::start().unwrap();
        let server = RpcServer::bind(loopback, tls.unwrap(), store, sink.clone(), workers).unwrap();
        let rpc = server.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(stop.clone().cancelled_owned()));
        let (http_sink, _) = EventSink::channel();
        let router = router(
            Arc::clone(&data_dir),
            None::<PathBuf>,
            Neighbours::default(),
            http_sink,
        );
        let server = HttpServer::bind(loopback, router).unwrap();
        let http = server.local_addr().unwrap();
        tokio::spawn(server.serve(stop.clone().cancelled_owned()));
        Rig {
            folder,
            data_dir,
            rpc,
            http,
            events,
            _stop: stop.drop_guard(),
        }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder in which nothing but the data directory may be.
    pub(crate) fn outside(&self) -> &Path {
        self.folder.path()
    }

    /// Connects with a good certificate.
    pub(crate) async fn client(&self, certificates: &Certificates) -> (Channel, Uri) {
        let endpoint = certificates.endpoint(&self.rpc, "client", "ca");
        connect(&endpoint).await.unwrap()
    }

    /// Connects with the certificate of this client, which trusts this authority.
    pub(crate) async fn connect(
        &self,
        certificates: &Certificates,
        client: &str,
        ca: &str,
    ) -> Result<(Channel, Uri), ConnectError> {
        connect(&certificates.endpoint(&self.rpc, client, ca)).await
    }
}
