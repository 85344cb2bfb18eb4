//! Recorded requests and responses (JSON) as messages, and calls of any method.

use boot_server::net::rpc::client::Channel;
use boot_server_rpc::prost::Message;
use boot_server_rpc::serverpb::*;
use boot_server_rpc::storagepb::{Group, NetBoot, Profile};
use boot_server_rpc::tonic::client::Grpc;
use boot_server_rpc::tonic::codec::{
    BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder,
};
use boot_server_rpc::tonic::codegen::http::Uri;
use boot_server_rpc::tonic::{Request, Status};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::bytes::{Buf, BufMut};

/// Calls a method with these bytes, and returns those of the answer.
pub(crate) async fn call(
    (channel, origin): &(Channel, Uri),
    method: &str,
    message: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut grpc =
        Grpc::with_origin(channel.clone(), origin.clone()).max_decoding_message_size(usize::MAX);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = method.parse().unwrap();
    let response = grpc.unary(Request::new(message), path, Raw).await?;
    Ok(response.into_inner())
}

/// Messages as their bytes.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&bytes);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(bytes.to_vec()))
    }
}

/// Returns recorded content.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(map) => match (map.get("hex"), map.get("repeat")) {
            (Some(hex), _) => Some(hex::decode(hex.as_str().unwrap()).unwrap()),
            (_, Some(text)) => {
                let times = map["times"].as_u64().unwrap();
                Some(
                    text.as_str()
                        .unwrap()
                        .repeat(usize::try_from(times).unwrap())
                        .into_bytes(),
                )
            }
            _ => None,
        },
        _ => None,
    }
}

/// True if this content was recorded.
pub(crate) fn is_content(content: &[u8], recorded: &Value) -> bool {
    match bytes(recorded) {
        Some(bytes) => content == bytes,
        None => {
            recorded["length"] == content.len()
                && recorded["sha256"] == hex::encode(Sha256::digest(content))
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn map(value: &Value) -> std::collections::BTreeMap<String, String> {
    let fields = value.as_object().into_iter().flatten();
    fields
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn group(value: &Value) -> Option<Group> {
    value.is_object().then(|| Group {
        id: text(&value["id"]),
        name: text(&value["name"]),
        profile: text(&value["profile"]),
        selector: map(&value["selector"]),
        metadata: bytes(&value["metadata"]).unwrap(),
    })
}

fn profile(value: &Value) -> Option<Profile> {
    value.is_object().then(|| Profile {
        id: text(&value["id"]),
        name: text(&value["name"]),
        ignition_id: text(&value["ignition_id"]),
        cloud_id: text(&value["cloud_id"]),
        boot: value["boot"].is_object().then(|| NetBoot {
            kernel: text(&value["boot"]["kernel"]),
            initrd: texts(&value["boot"]["initrd"]),
            args: texts(&value["boot"]["args"]),
        }),
        generic_id: text(&value["generic_id"]),
    })
}

/// Returns the bytes of a recorded request.
pub(crate) fn encode(method: &str, request: &Value) -> Vec<u8> {
    if let Some(hex) = request["wire_hex"].as_str() {
        return hex::decode(hex).unwrap();
    }
    let (id, name) = (text(&request["id"]), text(&request["name"]));
    let call = method.rsplit('/').next().unwrap();
    match call {
        "GroupPut" => GroupPutRequest {
            group: group(&request["group"]),
        }
        .encode_to_vec(),
        "ProfilePut" => {
            let profile = profile(&request["profile"]);
            ProfilePutRequest { profile }.encode_to_vec()
        }
        "IgnitionPut" | "GenericPut" => {
            let config = bytes(&request["config"]).unwrap();
            GenericPutRequest { name, config }.encode_to_vec()
        }
        "SelectGroup" | "SelectProfile" => {
            let labels = map(&request["labels"]);
            SelectGroupRequest { labels }.encode_to_vec()
        }
        "IgnitionGet" | "GenericGet" | "IgnitionDelete" | "GenericDelete" => {
            GenericGetRequest { name }.encode_to_vec()
        }
        _ => GroupGetRequest { id }.encode_to_vec(),
    }
}

/// Returns a response as it is recorded: without fields that have their zero value.
pub(crate) fn decode(method: &str, message: &[u8]) -> Value {
    let call = method.rsplit('/').next().unwrap();
    match call {
        "GroupGet" | "SelectGroup" => {
            let group = GroupGetResponse::decode(message).unwrap().group;
            object([(
                "group",
                group.map_or(Value::Null, |group| group_json(&group)),
            )])
        }
        "GroupList" => {
            let groups = GroupListResponse::decode(message).unwrap().groups;
            let groups: Vec<Value> = groups.iter().map(group_json).collect();
            object([("groups", groups.into())])
        }
        "ProfileGet" | "SelectProfile" => {
            let profile = ProfileGetResponse::decode(message).unwrap().profile;
            let profile = profile.map_or(Value::Null, |profile| profile_json(&profile));
            object([("profile", profile)])
        }
        "ProfileList" => {
            let profiles = ProfileListResponse::decode(message).unwrap().profiles;
            let profiles: Vec<Value> = profiles.iter().map(profile_json).collect();
            object([("profiles", profiles.into())])
        }
        "IgnitionGet" | "GenericGet" => {
            let config = GenericGetResponse::decode(message).unwrap().config;
            object([("config", content(config))])
        }
        _ => {
            assert_eq!(message, b"", "{call}");
            json!({})
        }
    }
}

fn content(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => json!({ "hex": hex::encode(error.as_bytes()) }),
    }
}

fn group_json(group: &Group) -> Value {
    object([
        ("id", group.id.as_str().into()),
        ("name", group.name.as_str().into()),
        ("profile", group.profile.as_str().into()),
        ("selector", json!(group.selector)),
        ("metadata", content(group.metadata.clone())),
    ])
}

fn profile_json(profile: &Profile) -> Value {
    let boot = profile.boot.as_ref().map_or(Value::Null, |boot| {
        object([
            ("kernel", boot.kernel.as_str().into()),
            ("initrd", json!(boot.initrd)),
            ("args", json!(boot.args)),
        ])
    });
    let mut value = object([
        ("id", profile.id.as_str().into()),
        ("name", profile.name.as_str().into()),
        ("ignition_id", profile.ignition_id.as_str().into()),
        ("cloud_id", profile.cloud_id.as_str().into()),
        ("generic_id", profile.generic_id.as_str().into()),
    ]);
    if boot.is_object() {
        value["boot"] = boot;
    }
    value
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let is_zero = |value: &Value| {
        *value == Value::Null || *value == "" || *value == json!([]) || *value == json!({})
    };
    let fields = fields.into_iter();
    // A message that is there may be empty.
    let kept = fields.filter(|(key, value)| {
        !is_zero(value) || (matches!(*key, "group" | "profile") && value.is_object())
    });
    kept.map(|(key, value)| (key.to_owned(), value))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
