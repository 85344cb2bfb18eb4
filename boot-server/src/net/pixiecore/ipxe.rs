//! `/_/ipxe?arch=&mac=`: the script that boots a machine as the API says.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use boot_server_proto::mac::MacAddr;
use boot_server_proto::pixiecore::{BootSpec, Link, LinkError, NoScript, Script};

use super::client::{ApiAnswer, Unbootable};
use super::{App, encoded_mac, error, first};
use crate::net::http::answer::Answer;

/// Architectures in Pixiecore's own numbering: IA32 (and BIOS), x64.
const ARCHITECTURES: [u32; 2] = [0, 1];

pub(super) async fn handle(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let mac = match machine(&query.unwrap_or_default()) {
        Ok(mac) => mac,
        Err(line) => return error(StatusCode::BAD_REQUEST, line, None),
    };
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let script = match app.api.boot(mac).await {
        Ok(ApiAnswer::Boot(spec)) => script(&app, mac, host, &spec).map_err(Unbootable::from),
        Ok(ApiAnswer::Refused(status)) => Err(Unbootable::Refused(status)),
        Err(error) => Err(error.into()),
    };
    let answer = match script {
        Ok((script, detail)) => Answer::rendered("text/plain", script, detail),
        Err(reason) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "couldn't get a bootspec",
            Some(&reason.to_string()),
        ),
    };
    answer.mac(mac.into())
}

/// Returns the MAC in the query, whose architecture must be known too.
fn machine(query: &str) -> Result<MacAddr, &'static str> {
    let text = first(query, "mac").filter(|mac| !mac.is_empty());
    let text = text.ok_or("missing MAC address parameter")?;
    let mac = text.parse().map_err(|_| "invalid MAC address")?;
    let arch = first(query, "arch").ok_or("missing architecture parameter")?;
    let arch: u32 = arch.parse().map_err(|_| "invalid architecture")?;
    match ARCHITECTURES.contains(&arch) {
        true => Ok(mac),
        false => Err("unknown architecture"),
    }
}

/// Returns the script, and its description for the event.
fn script(
    app: &App,
    mac: MacAddr,
    host: Option<&str>,
    spec: &BootSpec,
) -> Result<(String, String), NoScript> {
    let (kernel, initrd, cmdline) = match spec {
        BootSpec::Script(script) => return Ok((script.clone(), "the API's own script".into())),
        BootSpec::Boot {
            kernel,
            initrd,
            cmdline,
        } => (kernel, initrd, cmdline),
    };
    let base = host.map_or_else(String::new, |host| format!("http://{host}"));
    let link = link(app, &base);
    spec.check(&link)?;
    let mac_text = encoded_mac(mac);
    let file = |url: &str, kind: &str| {
        Ok::<_, LinkError>(format!("{}&type={kind}&mac={mac_text}", link(url)?))
    };
    let initrd_links = initrd
        .iter()
        .map(|url| file(url, "initrd"))
        .collect::<Result<Vec<String>, LinkError>>()?;
    let script = Script {
        kernel: &file(kernel, "kernel")?,
        initrd: &initrd_links,
        booting: &format!("{base}/_/booting?mac={mac_text}"),
        cmdline: &cmdline.render(&link)?,
    };
    let mut text = script.render();
    if let Some(message) = app.api.message() {
        text = text.replacen('\n', &format!("\necho {}\n", one_line(message)), 1);
    }
    Ok((text, format!("script for kernel {kernel}")))
}

/// Returns a message as iPXE's `echo` takes it: no line of it may become a command.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// URL whose sealed form does not fit a link.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is too long")]
struct LongName(String);

/// Links to files by way of us. Without a `Host` they are relative to the script, which iPXE takes.
fn link(app: &App, base: &str) -> Link {
    let (app, base) = (app.clone(), base.to_owned());
    Arc::new(move |url| {
        let url = app.api.resolve(url).map_err(LinkError::of)?;
        let sealed = app.sealer.seal(&url);
        let sealed = sealed.ok_or_else(|| LinkError::of(LongName(url)))?;
        Ok(format!("{base}/_/file?name={}", sealed.replace('=', "%3D")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_is_one_line_of_the_script() {
        assert_eq!(one_line("Hello\nshell\r\n  now"), "Hello shell now");
    }

    #[test]
    fn the_query_is_checked_as_pixiecore_checks_it() {
        let mac = "mac=52:54:00:00:00:01";
        assert!(machine(&format!("arch=1&{mac}")).is_ok());
        for (query, line) in [
            (String::new(), "missing MAC address parameter"),
            ("arch=0&mac=zz".to_owned(), "invalid MAC address"),
            (mac.to_owned(), "missing architecture parameter"),
            (format!("arch=x&{mac}"), "invalid architecture"),
            (format!("arch=9&{mac}"), "unknown architecture"),
        ] {
            assert_eq!(machine(&query), Err(line), "{query}");
        }
    }
}
