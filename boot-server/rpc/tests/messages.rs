//! Messages have the bytes that matchbox's clients send.

use boot_server_rpc::prost::Message;
use boot_server_rpc::serverpb::{GroupGetRequest, ProfilePutRequest, SelectGroupRequest};

/// Bytes recorded from matchbox's client.
#[test]
fn messages_have_the_recorded_bytes() {
    let get = GroupGetRequest::decode(&*hex::decode("0a0161fa010378797a").unwrap()).unwrap();
    assert_eq!(get.id, "a");
    // Field 3 of `boot` is no longer used.
    let put = hex::decode("0a0f0a01632a0a0a016b1a050a01611200").unwrap();
    let profile = ProfilePutRequest::decode(&*put).unwrap().profile.unwrap();
    assert_eq!(profile.id, "c");
    assert_eq!(profile.boot.unwrap().kernel, "k");
    let labels = [("mac".to_owned(), "52:54:00:aa:bb:cc".to_owned())];
    let select = SelectGroupRequest {
        labels: labels.clone().into(),
    };
    let again = SelectGroupRequest::decode(&*select.encode_to_vec()).unwrap();
    assert_eq!(again.labels, labels.into());
}
