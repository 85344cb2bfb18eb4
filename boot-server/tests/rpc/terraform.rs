//! The calls of Terraform's provider for matchbox (poseidon/matchbox 0.5), in its order.
//!
//! A profile is put before its configs, and deleted before them; groups come last, and go first. A refresh gets
//! everything by its id, compares it with the state, and plans to create again what cannot be got.

use std::collections::BTreeMap;

use boot_server::net::rpc::client::Channel;
use boot_server_rpc::rpcpb::generic_client::GenericClient;
use boot_server_rpc::rpcpb::groups_client::GroupsClient;
use boot_server_rpc::rpcpb::ignition_client::IgnitionClient;
use boot_server_rpc::rpcpb::profiles_client::ProfilesClient;
use boot_server_rpc::serverpb::*;
use boot_server_rpc::storagepb::{Group, NetBoot, Profile};
use boot_server_rpc::tonic::Status;
use boot_server_rpc::tonic::codegen::http::Uri;

use crate::rig::{Certificates, Rig};

/// A configuration of Terraform: profiles with their configs, and groups.
struct Plan {
    profiles: Vec<(Profile, Option<&'static str>, Option<&'static str>)>,
    groups: Vec<Group>,
}

struct Provider {
    profiles: ProfilesClient<Channel>,
    ignition: IgnitionClient<Channel>,
    generic: GenericClient<Channel>,
    groups: GroupsClient<Channel>,
}

fn plan() -> Plan {
    let boot = NetBoot {
        kernel: "/assets/vmlinuz".into(),
        initrd: vec!["--name main /assets/initrd.img".into()],
        args: vec![
            "initrd=main".into(),
            "ignition.config.url=http://h/ignition?uuid=${uuid}".into(),
        ],
    };
    let worker = Profile {
        id: "worker".into(),
        ignition_id: "worker.ign".into(),
        generic_id: "worker".into(),
        boot: Some(boot),
        ..Profile::default()
    };
    let bare = Profile {
        id: "install".into(),
        boot: Some(NetBoot::default()),
        ..Profile::default()
    };
    let group = |id: &str, selector: &[(&str, &str)], metadata: &str| Group {
        id: id.into(),
        name: id.into(),
        profile: "worker".into(),
        selector: selector
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        metadata: metadata.into(),
    };
    let ignition = r#"{"ignition":{"version":"3.4.0"}}"#;
    Plan {
        profiles: vec![
            (worker, Some(ignition), Some("{{.hostname}}")),
            (bare, None, None),
        ],
        groups: vec![
            group(
                "node1",
                &[("mac", "52:54:00:a1:9c:ae")],
                r#"{"hostname":"node1"}"#,
            ),
            group("all", &[], r#"{"hostname":"any"}"#),
        ],
    }
}

impl Provider {
    fn new((channel, origin): (Channel, Uri)) -> Provider {
        Provider {
            profiles: ProfilesClient::with_origin(channel.clone(), origin.clone()),
            ignition: IgnitionClient::with_origin(channel.clone(), origin.clone()),
            generic: GenericClient::with_origin(channel.clone(), origin.clone()),
            groups: GroupsClient::with_origin(channel, origin),
        }
    }

    async fn create_profile(
        &mut self,
        (profile, ignition, generic): &(Profile, Option<&str>, Option<&str>),
    ) -> Result<(), Status> {
        let put = ProfilePutRequest {
            profile: Some(profile.clone()),
        };
        self.profiles.profile_put(put).await?;
        if let Some(config) = ignition {
            let put = IgnitionPutRequest {
                name: profile.ignition_id.clone(),
                config: config.as_bytes().to_vec(),
            };
            self.ignition.ignition_put(put).await?;
        }
        if let Some(config) = generic {
            let put = GenericPutRequest {
                name: profile.generic_id.clone(),
                config: config.as_bytes().to_vec(),
            };
            self.generic.generic_put(put).await?;
        }
        Ok(())
    }

    /// Applies a plan; creates only what a refresh did not find as it is to be. Returns the number of changes.
    async fn apply(&mut self, plan: &Plan) -> Result<usize, Status> {
        let mut changes = 0;
        for profile in &plan.profiles {
            if !self.is_profile(profile).await {
                self.create_profile(profile).await?;
                changes += 1;
            }
        }
        for group in &plan.groups {
            if !self.is_group(group).await {
                let put = GroupPutRequest {
                    group: Some(group.clone()),
                };
                self.groups.group_put(put).await?;
                changes += 1;
            }
        }
        Ok(changes)
    }

    async fn is_profile(
        &mut self,
        (profile, ignition, generic): &(Profile, Option<&str>, Option<&str>),
    ) -> bool {
        let id = profile.id.clone();
        let got = self.profiles.profile_get(ProfileGetRequest { id }).await;
        let mut same = got.is_ok_and(|got| got.into_inner().profile.as_ref() == Some(profile));
        if let Some(config) = ignition {
            let name = profile.ignition_id.clone();
            let got = self
                .ignition
                .ignition_get(IgnitionGetRequest { name })
                .await;
            same &= got.is_ok_and(|got| got.into_inner().config == config.as_bytes());
        }
        if let Some(config) = generic {
            let name = profile.generic_id.clone();
            let got = self.generic.generic_get(GenericGetRequest { name }).await;
            same &= got.is_ok_and(|got| got.into_inner().config == config.as_bytes());
        }
        same
    }

    async fn is_group(&mut self, group: &Group) -> bool {
        let id = group.id.clone();
        let got = self.groups.group_get(GroupGetRequest { id }).await;
        got.is_ok_and(|got| got.into_inner().group.as_ref() == Some(group))
    }

    async fn destroy(&mut self, plan: &Plan) -> Result<(), Status> {
        for group in &plan.groups {
            let id = group.id.clone();
            self.groups.group_delete(GroupDeleteRequest { id }).await?;
        }
        for (profile, ignition, generic) in &plan.profiles {
            let id = profile.id.clone();
            self.profiles
                .profile_delete(ProfileDeleteRequest { id })
                .await?;
            if ignition.is_some() {
                let name = profile.ignition_id.clone();
                self.ignition
                    .ignition_delete(IgnitionDeleteRequest { name })
                    .await?;
            }
            if generic.is_some() {
                let name = profile.generic_id.clone();
                self.generic
                    .generic_delete(GenericDeleteRequest { name })
                    .await?;
            }
        }
        Ok(())
    }
}

fn served(rig: &Rig, query: &str) -> Result<String, String> {
    let labels = boot_server::catalog::Labels::from_query(query);
    let folder = boot_server::catalog::snapshot::Folder::Generic;
    let config = rig.data_dir.snapshot().config(folder, &labels, query);
    config
        .map(|config| config.text)
        .map_err(|refusal| refusal.to_string())
}

#[tokio::test]
async fn terraform_applies_plans_without_changes_destroys_and_repairs() {
    let certificates = Certificates::make();
    let rig = Rig::start(&certificates);
    let mut terraform = Provider::new(rig.client(&certificates).await);
    let plan = plan();
    assert_eq!(terraform.apply(&plan).await.unwrap(), 4);
    assert_eq!(served(&rig, "mac=52-54-00-A1-9C-AE").unwrap(), "node1");
    assert_eq!(served(&rig, "").unwrap(), "any");
    assert_eq!(
        terraform.apply(&plan).await.unwrap(),
        0,
        "a plan without changes"
    );

    // An edit by hand, and files that are gone.
    let data = rig.data();
    std::fs::write(data.join("profiles/worker.json"), r#"{"id": "worker"}"#).unwrap();
    std::fs::write(data.join("generic/worker"), "by hand").unwrap();
    std::fs::remove_file(data.join("groups/all.json")).unwrap();
    rig.data_dir.reload().unwrap();
    assert!(served(&rig, "").is_err());
    assert_eq!(terraform.apply(&plan).await.unwrap(), 2);
    assert_eq!(served(&rig, "").unwrap(), "any");
    assert_eq!(terraform.apply(&plan).await.unwrap(), 0);

    terraform.destroy(&plan).await.unwrap();
    assert!(served(&rig, "").is_err());
    for folder in ["groups", "profiles", "ignition", "generic"] {
        assert_eq!(
            std::fs::read_dir(data.join(folder)).unwrap().count(),
            0,
            "{folder}"
        );
    }
    assert_eq!(
        terraform.apply(&plan).await.unwrap(),
        4,
        "again after all is gone"
    );
    assert_eq!(served(&rig, "mac=52:54:00:a1:9c:ae").unwrap(), "node1");
}

#[tokio::test]
async fn config_that_no_machine_could_be_served_fails_the_apply_and_changes_nothing() {
    let certificates = Certificates::make();
    let rig = Rig::start(&certificates);
    let mut terraform = Provider::new(rig.client(&certificates).await);
    let mut plan = plan();
    terraform.apply(&plan).await.unwrap();
    plan.profiles[0].2 = Some("{{if}}");
    let error = terraform.apply(&plan).await.unwrap_err();
    assert!(error.message().contains("generic/worker"), "{error}");
    assert_eq!(served(&rig, "").unwrap(), "any");
    assert_eq!(
        std::fs::read(rig.data().join("generic/worker")).unwrap(),
        b"{{.hostname}}"
    );
    let mac = BTreeMap::from([("mac".to_owned(), "zz".to_owned())]);
    plan.groups[0].selector = mac;
    let group = Some(plan.groups[0].clone());
    let error = terraform
        .groups
        .group_put(GroupPutRequest { group })
        .await
        .unwrap_err();
    assert!(error.message().contains("invalid MAC"), "{error}");
}

#[tokio::test]
async fn directory_with_broken_files_is_repaired_file_by_file() {
    let certificates = Certificates::make();
    let rig = Rig::start(&certificates);
    let mut terraform = Provider::new(rig.client(&certificates).await);
    let plan = plan();
    terraform.apply(&plan).await.unwrap();
    for file in ["groups/node1.json", "groups/all.json"] {
        std::fs::write(rig.data().join(file), "{").unwrap();
    }
    rig.data_dir.reload().unwrap_err();
    let profile = Some(plan.profiles[1].0.clone());
    let refused = terraform
        .profiles
        .profile_put(ProfilePutRequest { profile })
        .await;
    let status = refused.unwrap_err();
    assert_eq!(
        status.code(),
        boot_server_rpc::tonic::Code::FailedPrecondition,
        "{status}"
    );
    assert_eq!(terraform.apply(&plan).await.unwrap(), 2);
    rig.data_dir.reload().unwrap();
    assert_eq!(rig.data_dir.snapshot().groups.len(), 2);
}
