//! Many clients at once: no change is lost, and each is in force when its call returns.

use std::collections::BTreeMap;

use boot_server::catalog::Labels;
use boot_server_rpc::rpcpb::generic_client::GenericClient;
use boot_server_rpc::rpcpb::groups_client::GroupsClient;
use boot_server_rpc::rpcpb::profiles_client::ProfilesClient;
use boot_server_rpc::rpcpb::select_client::SelectClient;
use boot_server_rpc::serverpb::*;
use boot_server_rpc::storagepb::{Group, Profile};

use crate::rig::{Certificates, Rig};

const CLIENTS: usize = 32;
/// Machines of each client.
const MACHINES: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_32_clients_are_all_in_force_when_their_calls_return() {
    let certificates = std::sync::Arc::new(Certificates::make());
    let rig = std::sync::Arc::new(Rig::start(&certificates));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (rig, certificates) = (rig.clone(), certificates.clone());
        clients.spawn(async move {
            let (channel, origin) = rig.client(&certificates).await;
            let origin = || origin.clone();
            let mut profiles = ProfilesClient::with_origin(channel.clone(), origin());
            let mut groups = GroupsClient::with_origin(channel.clone(), origin());
            let mut generic = GenericClient::with_origin(channel.clone(), origin());
            let mut select = SelectClient::with_origin(channel, origin());
            for machine in 0..MACHINES {
                let id = format!("c{client}-m{machine}");
                let profile = Some(Profile {
                    id: id.clone(),
                    generic_id: id.clone(),
                    ..Profile::default()
                });
                profiles
                    .profile_put(ProfilePutRequest { profile })
                    .await
                    .unwrap();
                let (name, config) = (id.clone(), format!("config of {id}").into_bytes());
                generic
                    .generic_put(GenericPutRequest { name, config })
                    .await
                    .unwrap();
                let labels = BTreeMap::from([("uuid".to_owned(), id.clone())]);
                let group = Some(Group {
                    id: id.clone(),
                    profile: id.clone(),
                    selector: labels.clone(),
                    ..Group::default()
                });
                groups.group_put(GroupPutRequest { group }).await.unwrap();
                let selected = select
                    .select_profile(SelectProfileRequest {
                        labels: labels.clone(),
                    })
                    .await
                    .unwrap();
                assert_eq!(selected.into_inner().profile.unwrap().id, id);
                let snapshot = rig.data_dir.snapshot();
                let folder = boot_server::catalog::snapshot::Folder::Generic;
                let served = snapshot.config(folder, &Labels(labels), "").unwrap();
                assert_eq!(served.text, format!("config of {id}"));
                // Every other machine goes again.
                if machine % 2 == 1 {
                    groups
                        .group_delete(GroupDeleteRequest { id })
                        .await
                        .unwrap();
                }
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let count = |folder: &str| std::fs::read_dir(rig.data().join(folder)).unwrap().count();
    let machines = CLIENTS * MACHINES;
    assert_eq!(count("groups"), machines / 2);
    assert_eq!((count("profiles"), count("generic")), (machines, machines));
    assert_eq!(rig.data_dir.snapshot().groups.len(), machines / 2);
    // What is in force is what is on the disk.
    rig.data_dir.reload().unwrap();
    assert_eq!(rig.data_dir.snapshot().groups.len(), machines / 2);
}
