//! Event of each request: the client, the request, the response, and the bytes sent.
//!
//! The event is written when the body is done or dropped, so that a transfer which broke off shows
//! with the bytes that were handed to the connection.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use boot_server_events::{BootEvent, Identifier, Served, Who};

use super::answer::{FromThisHost, LongBody, MayKnow, Note};
use crate::catalog::Labels;
use crate::catalog::nocloud::SeedRequest;
use crate::config::Explain;
use crate::event_sink::EventSink;
use crate::net::neighbours::Neighbours;

/// Status of the event when the client was gone before there was an answer (nginx's number).
const CLIENT_GONE: u16 = 499;

/// Sink of request events, and the data that identifies clients.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) neighbours: Neighbours,
    pub(crate) events: EventSink,
    /// Recipients of full reasons.
    pub(crate) explain: Explain,
}

/// Middleware around all endpoints.
pub(crate) async fn observe(
    State(observer): State<Arc<Observer>>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0);
    // Without a connection it is a test.
    let is_this_host = peer.is_none() || request.extensions().get::<FromThisHost>().is_some();
    let may_know = observer.explain.tells(is_this_host);
    let mut exchange = Exchange::begin(&observer, &request, peer);
    let mut request = request;
    request.extensions_mut().insert(MayKnow(may_know));
    let mut response = next.run(request).await;
    if let Some(LongBody(text)) = response.extensions_mut().remove()
        && may_know
    {
        *response.body_mut() = Body::from(text);
    }
    let note = response.extensions_mut().remove().unwrap_or_default();
    exchange.answered(&response, note);
    response.map(|body| Body::new(Observed { body, exchange }))
}

/// A request on its way; its event is emitted when it is dropped.
#[derive(Debug)]
struct Exchange {
    observer: Arc<Observer>,
    since: Instant,
    who: Who,
    method: String,
    path: String,
    query: String,
    user_agent: String,
    status: u16,
    bytes: u64,
    length: Option<u64>,
    note: Note,
}

impl Exchange {
    fn begin(observer: &Arc<Observer>, request: &Request, peer: Option<SocketAddr>) -> Exchange {
        let query = request.uri().query().unwrap_or_default();
        let user_agent = request.headers().get(header::USER_AGENT);
        Exchange {
            observer: Arc::clone(observer),
            since: Instant::now(),
            who: who(
                &observer.neighbours,
                &labels(request.uri().path(), query),
                peer,
            ),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: query.to_owned(),
            user_agent: user_agent.map_or_else(String::new, |agent| {
                String::from_utf8_lossy(agent.as_bytes()).into_owned()
            }),
            status: CLIENT_GONE,
            bytes: 0,
            length: None,
            note: Note::default(),
        }
    }

    fn answered(&mut self, response: &Response, note: Note) {
        self.status = response.status().as_u16();
        let told = response.headers().get(header::CONTENT_LENGTH);
        self.length = told
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .or_else(|| response.body().size_hint().exact());
        if note.mac.is_some() {
            self.who.mac.clone_from(&note.mac);
        }
        self.note = note;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let take = std::mem::take::<String>;
        if self.status == CLIENT_GONE {
            self.note.detail = "the client went away before the answer".into();
        }
        self.observer.events.emit(BootEvent::HttpRequest {
            who: std::mem::take(&mut self.who),
            method: take(&mut self.method),
            path: take(&mut self.path),
            query: take(&mut self.query),
            status: self.status,
            user_agent: take(&mut self.user_agent),
            bytes: self.bytes,
            length: self.length,
            group: self.note.group.take(),
            selectors: self.note.selectors.take(),
            sha256: self.note.sha256.take(),
            detail: Served::new(take(&mut self.note.detail), self.note.file.take()),
            millis: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}

/// Returns the labels of a request as a query; cloud-init's are in the path.
fn labels<'q>(path: &str, query: &'q str) -> Cow<'q, str> {
    match path.starts_with("/nocloud/") {
        true => SeedRequest::parse(path, query).map_or(query.into(), |asked| asked.query.into()),
        false => query.into(),
    }
}

/// Returns the labels of the query first; what they leave open, by the address, unless that is another machine's by
/// now.
fn who(neighbours: &Neighbours, query: &str, peer: Option<SocketAddr>) -> Who {
    let known = peer.map_or_else(Who::default, |peer| neighbours.who(peer));
    let mac = Labels::one_of_query(query, "mac").map(|text| Identifier::parse(&text));
    let uuid = Labels::one_of_query(query, "uuid").filter(|uuid| !uuid.is_empty());
    let uuid = uuid.map(|text| Identifier::parse(&text));
    let same_machine = mac
        .as_ref()
        .is_none_or(|mac| known.mac.as_ref() == Some(mac))
        && uuid
            .as_ref()
            .is_none_or(|uuid| known.uuid.as_ref().is_none_or(|known| known == uuid));
    let known = match same_machine {
        true => known,
        false => Who {
            peer,
            ..Who::default()
        },
    };
    Who {
        mac: mac.or(known.mac),
        uuid: uuid.or(known.uuid),
        peer,
    }
}

/// A body that counts what goes out.
#[derive(Debug)]
struct Observed {
    body: Body,
    exchange: Exchange,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(context);
        match &poll {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.exchange.bytes += length as u64;
            }
            Poll::Ready(Some(Err(error))) => {
                let detail = format!("{}; aborted: {error}", self.exchange.note.detail);
                self.exchange.note.detail = detail;
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use boot_server_proto::mac::MacAddr;
    use uuid::Uuid;

    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
    const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

    fn known() -> (Neighbours, SocketAddr) {
        let neighbours = Neighbours::default();
        neighbours.learn([10, 0, 0, 5].into(), MAC, Uuid::parse_str(UUID).ok());
        (neighbours, SocketAddr::from(([10, 0, 0, 5], 1024)))
    }

    #[test]
    fn an_address_tells_the_machine_when_the_request_does_not() {
        let (neighbours, peer) = known();
        let who = who(&neighbours, "", Some(peer));
        assert_eq!(who.mac, Some(MAC.into()));
        assert_eq!(who.uuid.map(|uuid| uuid.to_string()).as_deref(), Some(UUID));
    }

    #[test]
    fn labels_come_first_and_a_machine_is_not_mixed_with_its_neighbour() {
        let (neighbours, peer) = known();
        let other = who(&neighbours, "mac=52-54-00-00-00-02", Some(peer));
        assert_eq!(other.mac, Some(MacAddr([0x52, 0x54, 0, 0, 0, 2]).into()));
        assert_eq!(other.uuid, None);
        let query = format!("uuid={}", UUID.to_uppercase());
        let same = who(&neighbours, &query, Some(peer));
        assert_eq!(same.mac, Some(MAC.into()));
        assert_eq!(
            same.uuid.map(|uuid| uuid.to_string()).as_deref(),
            Some(UUID)
        );
    }
}
