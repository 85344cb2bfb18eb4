//! Answers of the HTTP services: status, headers and bodies as Go's `net/http` sends them, and a
//! note of what was served for the event.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use boot_server_events::{Identifier, sha256_hex};
use boot_server_proto::mac::MacAddr;

use crate::catalog::snapshot::Refusal;

/// `Content-Type` of plain text.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// Details of a response for the event of its request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// The group that matched.
    pub(crate) group: Option<String>,
    /// Label keys that this group requires, sorted.
    pub(crate) selectors: Option<Vec<String>>,
    /// SHA-256 of a content that the server rendered, in hexadecimal.
    pub(crate) sha256: Option<String>,
    /// Description of the served content, or the reason for a refusal.
    pub(crate) detail: String,
    /// Config file that was rendered.
    pub(crate) file: Option<String>,
    /// MAC in the path, for endpoints where it is not a label.
    pub(crate) mac: Option<Identifier<MacAddr>>,
}

/// The body for those who may know the whole reason.
#[derive(Debug, Clone)]
pub(crate) struct LongBody(pub(crate) String);

/// True for a request from a client that may see the full reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MayKnow(pub(crate) bool);

/// In a request that comes from this host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromThisHost;

/// An answer and its note.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    note: Note,
}

impl Answer {
    /// Returns an answer with a body, served because of `detail`.
    pub(crate) fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Body>,
        detail: impl Into<String>,
    ) -> Answer {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let content_type = HeaderValue::from_static(content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        Answer {
            response,
            note: Note {
                detail: detail.into(),
                ..Note::default()
            },
        }
    }

    /// 200 with a body.
    pub(crate) fn ok(
        content_type: &'static str,
        body: impl Into<Body>,
        detail: impl Into<String>,
    ) -> Answer {
        Answer::new(StatusCode::OK, content_type, body, detail)
    }

    /// 200 with a text that the server rendered, whose hash the event tells.
    pub(crate) fn rendered(
        content_type: &'static str,
        text: impl Into<Bytes>,
        detail: impl Into<String>,
    ) -> Answer {
        let text = text.into();
        let sha256 = sha256_hex(&text);
        Answer::ok(content_type, text, detail).sha256(sha256)
    }

    /// Returns an error: one line of text as Go's `http.Error` writes it, for programs that know it, and the
    /// reason on the next line.
    pub(crate) fn error(
        status: StatusCode,
        line: &str,
        reason: Option<&str>,
        detail: impl Into<String>,
    ) -> Answer {
        let body = match reason {
            Some(reason) => format!("{line}\n{reason}\n"),
            None => format!("{line}\n"),
        };
        Answer::new(status, TEXT, body, detail).header(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        )
    }

    /// Returns an error whose reason names what is inside the server: that is for the log, the event, and for
    /// those who may be [explained](crate::config::Explain) to. Others get the short reason.
    pub(crate) fn explained(status: StatusCode, line: &str, short: &str, reason: &str) -> Answer {
        let mut answer = Answer::error(status, line, Some(short), reason);
        let long = LongBody(format!("{line}\n{reason}\n"));
        answer.response.extensions_mut().insert(long);
        answer
    }

    /// 404 with a reason that anybody may know.
    pub(crate) fn not_found(reason: &str) -> Answer {
        Answer::error(
            StatusCode::NOT_FOUND,
            "404 page not found",
            Some(reason),
            reason,
        )
    }

    /// 404 because the catalog has nothing for this machine.
    pub(crate) fn refused(refusal: &Refusal) -> Answer {
        let short = match refusal.group {
            Some(_) => {
                "this machine's group defines nothing for this endpoint: see the server's log"
            }
            None => "no group matches this machine",
        };
        let line = "404 page not found";
        let answer = Answer::explained(StatusCode::NOT_FOUND, line, short, &refusal.reason);
        match &refusal.group {
            Some(group) => answer.group(group.clone(), refusal.selectors.clone()),
            None => answer,
        }
    }

    /// Names the group that matched, and the label keys that it requires.
    pub(crate) fn group(mut self, name: String, selectors: Vec<String>) -> Answer {
        self.note.group = Some(name);
        self.note.selectors = Some(selectors);
        self
    }

    /// Tells the hash of the whole content.
    pub(crate) fn sha256(mut self, hex: String) -> Answer {
        self.note.sha256 = Some(hex);
        self
    }

    /// Names the config file that was rendered.
    pub(crate) fn file(mut self, file: String) -> Answer {
        self.note.file = Some(file);
        self
    }

    /// Says what was served, or why not, in other words.
    pub(crate) fn detail(mut self, detail: String) -> Answer {
        self.note.detail = detail;
        self
    }

    /// Names the machine by the MAC in the path.
    pub(crate) fn mac(mut self, mac: Identifier<MacAddr>) -> Answer {
        self.note.mac = Some(mac);
        self
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.response.headers_mut().insert(name, value);
        self
    }

    /// Sets the status.
    pub(crate) fn status(mut self, status: StatusCode) -> Answer {
        *self.response.status_mut() = status;
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        self.response.extensions_mut().insert(self.note);
        self.response
    }
}
