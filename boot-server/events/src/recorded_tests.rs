//! Events as they were recorded before reasons had codes, and as they are recorded now.

use super::*;
use boot_server_proto::dhcp::MessageType;

fn event(fields: &str) -> BootEvent {
    let line = format!("{{\"at_us\":5,{fields}}}");
    let event: Event = serde_json::from_str(&line).unwrap();
    let again: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
    assert_eq!(again, event, "{line}");
    event.what
}

#[test]
fn ignored_recorded_without_code_has_the_kind_of_its_text() {
    for (text, code) in [
        (
            "no free address from 10.0.0.1 to 10.0.0.9",
            IgnoreCode::NoFreeAddress,
        ),
        ("a proxy answers a discover only", IgnoreCode::Other),
    ] {
        let what = event(&format!("\"event\":\"dhcp_ignored\",\"reason\":\"{text}\""));
        let BootEvent::DhcpIgnored { reason, .. } = what else {
            panic!("{what:?}");
        };
        assert_eq!((reason.text(), reason.code), (text, code));
    }
}

#[test]
fn tftp_failed_recorded_without_code_has_the_kind_of_its_text() {
    use TftpFailureCode::{ClientAborted, NotFound, Other, SizeOnly};
    for (text, code) in [
        (
            "the client only asked for the size: User aborted the transfer",
            SizeOnly,
        ),
        ("the client broke off: error 0 TFTP Aborted", ClientAborted),
        ("undionly.kpxe: No such file or directory", NotFound),
        ("the client fell silent", Other),
    ] {
        let what = event(&format!(
            "\"event\":\"tftp_failed\",\"file\":\"f\",\"reason\":\"{text}\""
        ));
        let BootEvent::TftpFailed { reason, .. } = what else {
            panic!("{what:?}");
        };
        assert_eq!((reason.text(), reason.code), (text, code));
    }
}

#[test]
fn reasons_with_codes_keep_their_text_and_unknown_codes_are_other() {
    let reason = IgnoreReason::new(IgnoreCode::Policy, "no free address for you");
    let ignored = BootEvent::DhcpIgnored {
        who: Who::default(),
        reason,
    };
    let line = serde_json::to_string(&ignored).unwrap();
    assert_eq!(
        line,
        "{\"event\":\"dhcp_ignored\",\"reason_code\":\"policy\",\"reason\":\"no free address for you\"}"
    );
    let fields = line.trim_start_matches('{').trim_end_matches('}');
    assert_eq!(event(fields), ignored);
    let newer = event(&fields.replace("policy", "of_a_later_version"));
    assert!(
        matches!(newer, BootEvent::DhcpIgnored { reason, .. } if reason.code == IgnoreCode::Other)
    );
}

#[test]
fn http_request_recorded_without_file_names_that_of_its_detail() {
    for (detail, file) in [
        ("cloud/node1.yaml", Some("node1.yaml")),
        ("node1.yaml", Some("node1.yaml")),
        ("spec etcd", None),
        ("", None),
    ] {
        let what = event(&format!(
            "\"event\":\"http_request\",\"method\":\"GET\",\"path\":\"/cloud\",\"query\":\"\",\
             \"status\":200,\"user_agent\":\"\",\"bytes\":1,\"detail\":\"{detail}\",\"millis\":1"
        ));
        let BootEvent::HttpRequest { detail: served, .. } = what else {
            panic!("{what:?}");
        };
        assert_eq!((served.text(), served.file.as_deref()), (detail, file));
    }
}

#[test]
fn dhcp_messages_and_roles_have_the_names_that_they_had() {
    let what = event(
        "\"event\":\"dhcp_reply\",\"xid\":7,\"message\":\"offer\",\"role\":\"proxy_dhcp\",\"step\":\"s\"",
    );
    assert!(matches!(
        what,
        BootEvent::DhcpReply {
            message: MessageType::Offer,
            role: DhcpRole::ProxyDhcp,
            ..
        }
    ));
    for number in 0..=u8::MAX {
        let message = MessageType::from_wire(number);
        assert_eq!(message.to_string().parse(), Ok(message));
    }
}
