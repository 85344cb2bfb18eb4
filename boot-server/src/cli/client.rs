//! `boot-server client`: matchbox's `bootcmd`, for servers with matchbox's gRPC API.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use boot_server_rpc::rpcpb::generic_client::GenericClient;
use boot_server_rpc::rpcpb::groups_client::GroupsClient;
use boot_server_rpc::rpcpb::ignition_client::IgnitionClient;
use boot_server_rpc::rpcpb::profiles_client::ProfilesClient;
use boot_server_rpc::serverpb::*;
use boot_server_rpc::storagepb::{Group, Profile};
use boot_server_rpc::tonic::{Code, Status};
use clap::{Args, Subcommand};

use super::ExitCode;
use crate::net::rpc::client::{Channel, ConnectError, Endpoint, connect};
use crate::store::record::{
    self, InvalidRecord, group_from_text, group_to_text, profile_from_text, profile_to_text,
};

/// The server, and the certificates by which both sides trust each other.
#[derive(Debug, Args)]
struct Connection {
    /// Host and port of the server.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8081"
    )]
    endpoints: String,
    /// PEM file with the authorities of the server's certificate.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/matchbox/ca.crt"
    )]
    ca_file: PathBuf,
    /// PEM file with the client's certificate.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/matchbox/client.crt"
    )]
    cert_file: PathBuf,
    /// PEM file with the client's private key.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/matchbox/client.key"
    )]
    key_file: PathBuf,
}

/// Arguments of `boot-server client`.
#[derive(Debug, Args)]
pub(super) struct Client {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    object: Object,
}

#[derive(Debug, Subcommand)]
enum Object {
    /// Groups of machines.
    #[command(subcommand)]
    Group(ListedAction),
    /// Profiles, which say how machines boot.
    #[command(subcommand)]
    Profile(ListedAction),
    /// Ignition configs.
    #[command(subcommand)]
    Ignition(Action),
    /// Templates of any other text.
    #[command(subcommand)]
    Generic(Action),
}

/// Actions on objects that the API lists.
#[derive(Debug, Subcommand)]
enum ListedAction {
    /// Creates or replaces it from a JSON file.
    Create {
        /// The JSON file, as it is in the data directory.
        #[arg(short, long, visible_alias = "file", value_name = "FILE")]
        filename: PathBuf,
    },
    /// Lists all of them.
    List,
    /// Prints one as JSON.
    Describe {
        /// Id of the group or profile, as in its JSON.
        id: String,
    },
    /// Deletes one.
    Delete {
        /// Id of the group or profile, as in its JSON.
        id: String,
    },
}

/// Actions on files, which the API does not list.
#[derive(Debug, Subcommand)]
enum Action {
    /// Creates or replaces it from a file.
    Create {
        /// File to read; its content is stored as it is.
        #[arg(short, long, visible_alias = "file", value_name = "FILE")]
        filename: PathBuf,
        /// Name to create [default: the file's name].
        #[arg(long)]
        name: Option<String>,
    },
    /// Prints its content.
    Describe {
        /// Name of the file in the data directory.
        name: String,
    },
    /// Deletes it.
    Delete {
        /// Name of the file in the data directory.
        name: String,
    },
}

/// Reasons that a command fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Record {
        path: PathBuf,
        source: InvalidRecord,
    },
    #[error("missing name: {0} has none (--name NAME)")]
    NoName(PathBuf),
    #[error("{}", refused(.0))]
    Refused(Box<Status>),
    #[error("cannot show the answer: {0}")]
    Answer(#[from] InvalidRecord),
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl From<Status> for ClientError {
    fn from(status: Status) -> ClientError {
        ClientError::Refused(Box::new(status))
    }
}

fn refused(status: &Status) -> String {
    let mut text = match status.code() {
        // The server says what is wrong with the request; a connection that broke off does not.
        Code::Unknown | Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition => {
            status.message().to_owned()
        }
        code => format!("{code}: {}", status.message()),
    };
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
        source = error.source();
    }
    text
}

impl Client {
    /// Does what the arguments ask for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(super) fn run(self) -> Result<ExitCode, ClientError> {
        let endpoint = Endpoint {
            address: self.connection.endpoints,
            ca: self.connection.ca_file,
            certificate: self.connection.cert_file,
            key: self.connection.key_file,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let text = runtime.block_on(self.object.run(&endpoint))?;
        let mut out = io::stdout().lock();
        match out.write_all(&text).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(ExitCode::Ok),
        }
    }
}

impl Object {
    async fn run(self, endpoint: &Endpoint) -> Result<Vec<u8>, ClientError> {
        match self {
            Object::Group(action) => groups(action, endpoint).await,
            Object::Profile(action) => profiles(action, endpoint).await,
            Object::Ignition(action) => ignition(action, endpoint).await,
            Object::Generic(action) => generic(action, endpoint).await,
        }
    }
}

async fn groups(action: ListedAction, endpoint: &Endpoint) -> Result<Vec<u8>, ClientError> {
    let open = async || -> Result<GroupsClient<Channel>, ClientError> {
        let (channel, origin) = connect(endpoint).await?;
        Ok(GroupsClient::with_origin(channel, origin).max_decoding_message_size(usize::MAX))
    };
    match action {
        ListedAction::Create { filename } => {
            let group = Some(record_of(&filename, group_from_text)?);
            open().await?.group_put(GroupPutRequest { group }).await?;
            Ok(Vec::new())
        }
        ListedAction::List => {
            let list = open().await?.group_list(GroupListRequest {}).await?;
            let rows = list.into_inner().groups.into_iter().map(|group| {
                let selectors = group.selector.iter();
                let selectors = selectors.map(|(key, value)| format!("{key}={value}"));
                let selectors = selectors.collect::<Vec<_>>().join(",");
                [group.id, group.name, selectors, group.profile]
            });
            Ok(table(["ID", "GROUP NAME", "SELECTORS", "PROFILE"], rows))
        }
        ListedAction::Describe { id } => {
            let got = open().await?.group_get(GroupGetRequest { id }).await?;
            let group: Group = got.into_inner().group.unwrap_or_default();
            Ok(line(group_to_text(&group)?))
        }
        ListedAction::Delete { id } => {
            let request = GroupDeleteRequest { id };
            open().await?.group_delete(request).await?;
            Ok(Vec::new())
        }
    }
}

async fn profiles(action: ListedAction, endpoint: &Endpoint) -> Result<Vec<u8>, ClientError> {
    let open = async || -> Result<ProfilesClient<Channel>, ClientError> {
        let (channel, origin) = connect(endpoint).await?;
        Ok(ProfilesClient::with_origin(channel, origin).max_decoding_message_size(usize::MAX))
    };
    match action {
        ListedAction::Create { filename } => {
            let profile = Some(record_of(&filename, profile_from_text)?);
            let request = ProfilePutRequest { profile };
            open().await?.profile_put(request).await?;
            Ok(Vec::new())
        }
        ListedAction::List => {
            let list = open().await?.profile_list(ProfileListRequest {}).await?;
            let rows = list.into_inner().profiles.into_iter();
            let rows = rows.map(|profile| {
                let Profile {
                    id,
                    name,
                    ignition_id,
                    cloud_id,
                    generic_id,
                    ..
                } = profile;
                [id, name, ignition_id, cloud_id, generic_id]
            });
            let titles = ["ID", "PROFILE NAME", "IGNITION", "CLOUD", "GENERIC"];
            Ok(table(titles, rows))
        }
        ListedAction::Describe { id } => {
            let got = open().await?.profile_get(ProfileGetRequest { id }).await?;
            let profile = got.into_inner().profile.unwrap_or_default();
            Ok(line(profile_to_text(&profile)?))
        }
        ListedAction::Delete { id } => {
            let request = ProfileDeleteRequest { id };
            open().await?.profile_delete(request).await?;
            Ok(Vec::new())
        }
    }
}

async fn ignition(action: Action, endpoint: &Endpoint) -> Result<Vec<u8>, ClientError> {
    let open = async || -> Result<IgnitionClient<Channel>, ClientError> {
        let (channel, origin) = connect(endpoint).await?;
        Ok(IgnitionClient::with_origin(channel, origin).max_decoding_message_size(usize::MAX))
    };
    match action {
        Action::Create { filename, name } => {
            let (name, config) = (name_of(name, &filename)?, read(&filename)?);
            let request = IgnitionPutRequest { name, config };
            open().await?.ignition_put(request).await?;
            Ok(Vec::new())
        }
        Action::Describe { name } => {
            let request = IgnitionGetRequest { name };
            Ok(open()
                .await?
                .ignition_get(request)
                .await?
                .into_inner()
                .config)
        }
        Action::Delete { name } => {
            let request = IgnitionDeleteRequest { name };
            open().await?.ignition_delete(request).await?;
            Ok(Vec::new())
        }
    }
}

async fn generic(action: Action, endpoint: &Endpoint) -> Result<Vec<u8>, ClientError> {
    let open = async || -> Result<GenericClient<Channel>, ClientError> {
        let (channel, origin) = connect(endpoint).await?;
        Ok(GenericClient::with_origin(channel, origin).max_decoding_message_size(usize::MAX))
    };
    match action {
        Action::Create { filename, name } => {
            let (name, config) = (name_of(name, &filename)?, read(&filename)?);
            let request = GenericPutRequest { name, config };
            open().await?.generic_put(request).await?;
            Ok(Vec::new())
        }
        Action::Describe { name } => {
            let request = GenericGetRequest { name };
            Ok(open()
                .await?
                .generic_get(request)
                .await?
                .into_inner()
                .config)
        }
        Action::Delete { name } => {
            let request = GenericDeleteRequest { name };
            open().await?.generic_delete(request).await?;
            Ok(Vec::new())
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::File {
        path: path.to_owned(),
        source,
    })
}

fn record_of<T>(
    path: &Path,
    parse: fn(&str) -> Result<T, record::InvalidRecord>,
) -> Result<T, ClientError> {
    let bytes = read(path)?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|source| ClientError::Record {
        path: path.to_owned(),
        source,
    })
}

fn name_of(given: Option<String>, path: &Path) -> Result<String, ClientError> {
    let of_file = || Some(path.file_name()?.to_str()?.to_owned());
    given
        .or_else(of_file)
        .ok_or_else(|| ClientError::NoName(path.to_owned()))
}

fn line(mut text: String) -> Vec<u8> {
    text.push('\n');
    text.into_bytes()
}

/// Returns lines of columns of equal width, with two blanks between them.
fn table<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Vec<u8> {
    let mut lines = vec![titles.map(str::to_owned)];
    lines.extend(rows.map(|row| row.map(super::narrate::plain)));
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widths = lines.iter().filter_map(|row| row.get(column));
        widths.map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in lines {
        let cells = row.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_columns_are_as_wide_as_their_longest_cell() {
        let rows = [["a", "Ünï"], ["long\nid", ""]].map(|row| row.map(str::to_owned));
        let text = String::from_utf8(table(["ID", "NAME"], rows.into_iter())).unwrap();
        assert_eq!(text, "ID        NAME\na         Ünï\nlong\\nid\n");
    }

    #[test]
    fn name_is_that_of_the_file_unless_another_is_given() {
        let name = |given: Option<&str>, path: &str| {
            name_of(given.map(str::to_owned), Path::new(path)).ok()
        };
        assert_eq!(name(None, "/tmp/worker.ign").as_deref(), Some("worker.ign"));
        assert_eq!(name(Some("a"), "worker.ign").as_deref(), Some("a"));
        assert_eq!(name(None, "/tmp/.."), None);
    }
}
