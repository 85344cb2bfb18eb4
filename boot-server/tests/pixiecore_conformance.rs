//! The HTTP exchanges recorded from Pixiecore, asked of our Pixiecore mode over loopback, with an
//! API server beside it that says what the recorded one said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use boot_server::event_sink::EventSink;
use boot_server::net::http::HttpServer;
use boot_server::net::neighbours::Neighbours;
use boot_server::net::pixiecore::{ApiClient, router};
use serde::Deserialize;
use serde_json::Value;
use support::{Answer, conformance, rows, send};

/// The address that the recorded API and server had.
const RECORDED_API: &str = "10.9.0.1:9000";
/// Placeholder in the vectors for a URL that only the server can read.
const SEALED: &str = "<sealed URL>";

#[derive(Debug, Deserialize)]
struct Row {
    case: String,
    answer: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Recorded {
    body: String,
    status: u16,
    content_type: String,
}

/// The API server: boot specs by MAC, and files that hold their own path.
async fn start_api() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = std::fs::read_to_string(conformance().join("pixiecore/api-answers.json"));
    let answers = answers.unwrap().replace(RECORDED_API, &address.to_string());
    let answers: BTreeMap<String, Value> = serde_json::from_str(&answers).unwrap();
    let api = Router::new()
        .route("/prefix/v1/boot/{mac}", get(boot))
        .fallback(|uri: axum::http::Uri| async move { format!("FILE{}", uri.path()) })
        .with_state(answers);
    tokio::spawn(async { axum::serve(listener, api).await });
    address
}

async fn boot(
    State(answers): State<BTreeMap<String, Value>>,
    Path(mac): Path<String>,
) -> axum::response::Response {
    match answers.get(&mac) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(Value::String(_)) => "{not json".into_response(),
        Some(spec) => spec.to_string().into_response(),
    }
}

async fn start() -> SocketAddr {
    let api = ApiClient::new(
        &format!("http://{}/prefix", start_api().await),
        Duration::from_secs(5),
    )
    .unwrap();
    let (sink, _) = EventSink::channel();
    let router = router(api, Neighbours::default(), sink);
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    address
}

async fn ask(server: SocketAddr, target: &str) -> Answer {
    let headers = [("Host".to_owned(), "10.9.0.1".to_owned())].into();
    send(server, "GET", target, &headers).await
}

/// Replaces what only the server can read; returns the sealed names too.
fn unsealed(body: &str) -> (String, Vec<String>) {
    let mut parts = body.split("/_/file?name=");
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut names = Vec::new();
    for part in parts {
        let end = part.find(['&', '\n', ' ']).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        names.push(name.to_owned());
        text.push_str(&format!("/_/file?name={SEALED}{rest}"));
    }
    (text, names)
}

/// Returns the wanted answer where it differs from the recorded one. Each difference has its reason in
/// `docs/differences-pixiecore.md`.
fn wanted(case: &str, recorded: &Recorded) -> Recorded {
    let (mut status, mut body) = (recorded.status, recorded.body.clone());
    let mut content_type = recorded.content_type.clone();
    let mut add = |reason: &str| body.push_str(&format!("{reason}\n"));
    match case {
        // Option values are not quoted; an empty one is a bare key.
        _ if case.ends_with("mac=52:54:00:00:00:01")
            && case.contains("/_/ipxe")
            && status == 200 =>
        {
            body = body
                .replace("a=\"1\"", "a=1")
                .replace("flag=\"\"", "flag")
                .replace(
                    "\"http://x/cloud?uuid=${uuid}&mac=1\"",
                    "http://x/cloud?uuid=${uuid}&mac=1",
                );
        }
        // A boot spec without a kernel is refused instead of answered with a script that fails.
        _ if case.ends_with("mac=52:54:00:00:00:05") => {
            status = 500;
            content_type = "text/plain; charset=utf-8".into();
            body = "couldn't get a bootspec\nthe API's answer has no `kernel`\n".into();
        }
        // Errors say why.
        _ if case.ends_with("mac=52:54:00:00:00:06") => {
            add(
                "http://<api>/prefix/v1/boot/52:54:00:00:00:06: the API's answer is not a boot \
                 spec: key must be a string at line 1 column 2",
            );
        }
        _ if case.ends_with("mac=52:54:00:00:00:09") => add("the API answered 404 Not Found"),
        "http /_/file?name=bogus" => {
            add("the file name was not issued by this server since its start");
        }
        "http /" => add("unknown endpoint; Pixiecore mode serves /_/ipxe, /_/file and /_/booting"),
        _ => {}
    }
    Recorded {
        status,
        content_type,
        body,
    }
}

#[tokio::test]
async fn pixiecores_http_is_answered_to_the_byte_but_for_the_named_differences() {
    let server = start().await;
    let mut asked = 0;
    for row in rows::<Row>("pixiecore/exchanges.jsonl") {
        let Some(target) = row
            .case
            .strip_prefix("http ")
            .filter(|t| t.starts_with('/'))
        else {
            continue;
        };
        let recorded: Recorded = serde_json::from_value(row.answer.unwrap()).unwrap();
        let wanted = wanted(&row.case, &recorded);
        let answer = ask(server, target).await;
        let (body, _) = unsealed(&answer.body);
        let api = body.find("http://127.0.0.1:").and_then(|at| {
            let host = body.get(at + 7..)?.split('/').next()?;
            Some(host.to_owned())
        });
        let body = api.map_or(body.clone(), |api| body.replace(&api, "<api>"));
        assert_eq!(
            (
                answer.status,
                body.as_str(),
                answer.headers["content-type"].as_str()
            ),
            (
                wanted.status,
                wanted.body.as_str(),
                wanted.content_type.as_str()
            ),
            "{}",
            row.case
        );
        let length = answer.headers["content-length"].as_str();
        assert_eq!(length, answer.body.len().to_string(), "{}", row.case);
        asked += 1;
    }
    assert_eq!(asked, 23);
}

#[tokio::test]
async fn every_file_of_a_script_is_handed_on_with_its_length() {
    let server = start().await;
    let mut files = Vec::new();
    for (mac, arch) in [("01", 0), ("01", 1), ("02", 0)] {
        let script = ask(
            server,
            &format!("/_/ipxe?arch={arch}&mac=52:54:00:00:00:{mac}"),
        )
        .await;
        let (_, names) = unsealed(&script.body);
        for name in names {
            let file = ask(server, &format!("/_/file?name={name}")).await;
            assert_eq!(file.status, 200, "{}", file.body);
            assert_eq!(file.headers["content-type"], "text/plain; charset=utf-8");
            assert_eq!(file.headers["content-length"], file.body.len().to_string());
            files.push(file.body);
        }
    }
    // In the order and with the contents recorded as "http proxied file".
    let recorded: Vec<String> = rows::<Row>("pixiecore/exchanges.jsonl")
        .into_iter()
        .filter(|row| row.case == "http proxied file")
        .map(|row| row.answer.unwrap()["body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, recorded);
}
