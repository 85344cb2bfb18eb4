//! The 16 calls: each is one call of the [`Store`], off the threads that answer, and one event.

use std::sync::Arc;
use std::time::Instant;

use boot_server_events::{BootEvent, Who};
use boot_server_rpc::rpcpb::generic_server::{Generic, GenericServer};
use boot_server_rpc::rpcpb::groups_server::{Groups, GroupsServer};
use boot_server_rpc::rpcpb::ignition_server::{Ignition, IgnitionServer};
use boot_server_rpc::rpcpb::profiles_server::{Profiles, ProfilesServer};
use boot_server_rpc::rpcpb::select_server::{Select, SelectServer};
use boot_server_rpc::serverpb::*;
use boot_server_rpc::tonic::service::Routes;
use boot_server_rpc::tonic::{Code, Request, Response, Status, async_trait};
use tokio::sync::Semaphore;

use super::tls::Peer;
use crate::event_sink::EventSink;
use crate::store::name::Kind;
use crate::store::{Store, StoreError};

/// Calls that are made at once; more wait. Each has a thread of its own.
const MAX_CALLS: usize = 64;

/// All services.
#[derive(Debug, Clone)]
pub(super) struct Services {
    store: Store,
    events: EventSink,
    places: Arc<Semaphore>,
}

/// Method and file of a call, for its event.
struct Call {
    method: &'static str,
    kind: Option<Kind>,
    name: String,
}

impl Call {
    fn new(method: &'static str, kind: Kind, name: &str) -> Call {
        Call {
            method,
            kind: Some(kind),
            name: name.to_owned(),
        }
    }

    /// Returns a call about no single file.
    fn of_all(method: &'static str) -> Call {
        Call {
            method,
            kind: None,
            name: String::new(),
        }
    }

    fn file(&self) -> String {
        self.kind.map_or_else(String::new, |kind| {
            let file = kind.file(&self.name);
            file.map_or_else(|_| self.name.clone(), |file| file.to_string())
        })
    }
}

impl Services {
    pub(super) fn new(store: Store, events: EventSink) -> Services {
        Services {
            store,
            events,
            places: Arc::new(Semaphore::new(MAX_CALLS)),
        }
    }

    /// Returns the services by their paths; other paths are answered as unimplemented.
    pub(super) fn routes(self) -> Routes {
        Routes::new(GroupsServer::new(self.clone()))
            .add_service(ProfilesServer::new(self.clone()))
            .add_service(IgnitionServer::new(self.clone()))
            .add_service(GenericServer::new(self.clone()))
            .add_service(SelectServer::new(self))
            .prepare()
    }

    async fn call<Q, R>(
        &self,
        request: Request<Q>,
        about: impl FnOnce(&Q) -> Call,
        work: impl FnOnce(&Store, Q) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<Response<R>, Status>
    where
        Q: Send + 'static,
        R: Send + 'static,
    {
        let start = Instant::now();
        let peer = request.extensions().get::<Peer>().cloned();
        let request = request.into_inner();
        let call = about(&request);
        let place = Arc::clone(&self.places).acquire_owned().await;
        let store = self.store.clone();
        // A change that has begun is made even if its client is gone.
        let made = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&store, request)
        });
        let result = match made.await {
            Ok(Ok(response)) => Ok(Response::new(response)),
            Ok(Err(error)) => Err(Status::new(error.code(), error.to_string())),
            Err(_) => Err(Status::internal("the call was given up")),
        };
        let status = result.as_ref().err();
        self.events.emit(BootEvent::RpcCall {
            who: Who {
                peer: peer.as_ref().map(|peer| peer.address),
                ..Who::default()
            },
            subject: peer.map_or_else(String::new, |peer| peer.subject.to_string()),
            method: call.method.to_owned(),
            file: call.file(),
            code: code_name(status.map_or(Code::Ok, Status::code)).to_owned(),
            detail: status.map_or_else(String::new, |status| status.message().to_owned()),
            millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        result
    }
}

/// Returns the name of a status code, as gRPC's documentation has it.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

type Answer<R> = Result<Response<R>, Status>;

#[async_trait]
impl Groups for Services {
    async fn group_put(&self, request: Request<GroupPutRequest>) -> Answer<GroupPutResponse> {
        let id = |request: &GroupPutRequest| {
            let id = request.group.as_ref().map_or("", |group| &group.id);
            Call::new("GroupPut", Kind::Group, id)
        };
        self.call(request, id, |store, request| {
            store.put_group(request.group)?;
            Ok(GroupPutResponse {})
        })
        .await
    }

    async fn group_get(&self, request: Request<GroupGetRequest>) -> Answer<GroupGetResponse> {
        let about = |request: &GroupGetRequest| Call::new("GroupGet", Kind::Group, &request.id);
        self.call(request, about, |store, request| {
            let group = Some(store.group(&request.id)?);
            Ok(GroupGetResponse { group })
        })
        .await
    }

    async fn group_delete(
        &self,
        request: Request<GroupDeleteRequest>,
    ) -> Answer<GroupDeleteResponse> {
        let about =
            |request: &GroupDeleteRequest| Call::new("GroupDelete", Kind::Group, &request.id);
        self.call(request, about, |store, request| {
            store.delete(Kind::Group, &request.id)?;
            Ok(GroupDeleteResponse {})
        })
        .await
    }

    async fn group_list(&self, request: Request<GroupListRequest>) -> Answer<GroupListResponse> {
        let about = |_: &GroupListRequest| Call::of_all("GroupList");
        self.call(request, about, |store, _| {
            let groups = store.groups()?;
            Ok(GroupListResponse { groups })
        })
        .await
    }
}

#[async_trait]
impl Profiles for Services {
    async fn profile_put(&self, request: Request<ProfilePutRequest>) -> Answer<ProfilePutResponse> {
        let id = |request: &ProfilePutRequest| {
            let id = request.profile.as_ref().map_or("", |profile| &profile.id);
            Call::new("ProfilePut", Kind::Profile, id)
        };
        self.call(request, id, |store, request| {
            store.put_profile(request.profile)?;
            Ok(ProfilePutResponse {})
        })
        .await
    }

    async fn profile_get(&self, request: Request<ProfileGetRequest>) -> Answer<ProfileGetResponse> {
        let about =
            |request: &ProfileGetRequest| Call::new("ProfileGet", Kind::Profile, &request.id);
        self.call(request, about, |store, request| {
            let profile = Some(store.profile(&request.id)?);
            Ok(ProfileGetResponse { profile })
        })
        .await
    }

    async fn profile_delete(
        &self,
        request: Request<ProfileDeleteRequest>,
    ) -> Answer<ProfileDeleteResponse> {
        let about =
            |request: &ProfileDeleteRequest| Call::new("ProfileDelete", Kind::Profile, &request.id);
        self.call(request, about, |store, request| {
            store.delete(Kind::Profile, &request.id)?;
            Ok(ProfileDeleteResponse {})
        })
        .await
    }

    async fn profile_list(
        &self,
        request: Request<ProfileListRequest>,
    ) -> Answer<ProfileListResponse> {
        let about = |_: &ProfileListRequest| Call::of_all("ProfileList");
        self.call(request, about, |store, _| {
            let profiles = store.profiles()?;
            Ok(ProfileListResponse { profiles })
        })
        .await
    }
}

#[async_trait]
impl Ignition for Services {
    async fn ignition_put(
        &self,
        request: Request<IgnitionPutRequest>,
    ) -> Answer<IgnitionPutResponse> {
        let about =
            |request: &IgnitionPutRequest| Call::new("IgnitionPut", Kind::Ignition, &request.name);
        self.call(request, about, |store, request| {
            store.put(Kind::Ignition, &request.name, request.config)?;
            Ok(IgnitionPutResponse {})
        })
        .await
    }

    async fn ignition_get(
        &self,
        request: Request<IgnitionGetRequest>,
    ) -> Answer<IgnitionGetResponse> {
        let about =
            |request: &IgnitionGetRequest| Call::new("IgnitionGet", Kind::Ignition, &request.name);
        self.call(request, about, |store, request| {
            let config = store.get(Kind::Ignition, &request.name)?;
            Ok(IgnitionGetResponse { config })
        })
        .await
    }

    async fn ignition_delete(
        &self,
        request: Request<IgnitionDeleteRequest>,
    ) -> Answer<IgnitionDeleteResponse> {
        let about = |request: &IgnitionDeleteRequest| {
            Call::new("IgnitionDelete", Kind::Ignition, &request.name)
        };
        self.call(request, about, |store, request| {
            store.delete(Kind::Ignition, &request.name)?;
            Ok(IgnitionDeleteResponse {})
        })
        .await
    }
}

#[async_trait]
impl Generic for Services {
    async fn generic_put(&self, request: Request<GenericPutRequest>) -> Answer<GenericPutResponse> {
        let about =
            |request: &GenericPutRequest| Call::new("GenericPut", Kind::Generic, &request.name);
        self.call(request, about, |store, request| {
            store.put(Kind::Generic, &request.name, request.config)?;
            Ok(GenericPutResponse {})
        })
        .await
    }

    async fn generic_get(&self, request: Request<GenericGetRequest>) -> Answer<GenericGetResponse> {
        let about =
            |request: &GenericGetRequest| Call::new("GenericGet", Kind::Generic, &request.name);
        self.call(request, about, |store, request| {
            let config = store.get(Kind::Generic, &request.name)?;
            Ok(GenericGetResponse { config })
        })
        .await
    }

    async fn generic_delete(
        &self,
        request: Request<GenericDeleteRequest>,
    ) -> Answer<GenericDeleteResponse> {
        let about = |request: &GenericDeleteRequest| {
            Call::new("GenericDelete", Kind::Generic, &request.name)
        };
        self.call(request, about, |store, request| {
            store.delete(Kind::Generic, &request.name)?;
            Ok(GenericDeleteResponse {})
        })
        .await
    }
}

#[async_trait]
impl Select for Services {
    async fn select_group(
        &self,
        request: Request<SelectGroupRequest>,
    ) -> Answer<SelectGroupResponse> {
        let about = |_: &SelectGroupRequest| Call::of_all("SelectGroup");
        self.call(request, about, |store, request| {
            let group = Some(store.select_group(request.labels)?);
            Ok(SelectGroupResponse { group })
        })
        .await
    }

    async fn select_profile(
        &self,
        request: Request<SelectProfileRequest>,
    ) -> Answer<SelectProfileResponse> {
        let about = |_: &SelectProfileRequest| Call::of_all("SelectProfile");
        self.call(request, about, |store, request| {
            let profile = Some(store.select_profile(request.labels)?);
            Ok(SelectProfileResponse { profile })
        })
        .await
    }
}
