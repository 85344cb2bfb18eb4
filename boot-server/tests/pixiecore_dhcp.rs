//! Pixiecore's DHCP answers, recorded from the running program, against ours.
//!
//! `conformance/pixiecore/exchanges.jsonl` holds each request as bytes and Pixiecore's decoded
//! answer, or null for silence. Differences are listed here one by one, and argued in
//! `docs/differences-pixiecore.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use boot_server::config::BootConfig;
use boot_server::policy::{Policy, classify};
use boot_server::respond::{Answer, ProxyStyle, boot_service_ack, proxy_offer};
use boot_server_proto::dhcp::{MIN_MESSAGE_LEN, Message, code};
use boot_server_proto::pixiecore::{BootSpec, Link};
use serde_json::Value;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// Case → why we answer otherwise.
const DIFFERENCES: [(&str, &str); 5] = [
    ("discover mac ..05", NO_KERNEL),
    ("4011 request arch=0 mac ..01", BIOS_ON_4011),
    ("4011 request from port 68 arch=0 mac ..01", BIOS_ON_4011),
    ("4011 request arch=0 mac ..09", BIOS_ON_4011),
    ("4011 request from port 68 arch=0 mac ..09", BIOS_ON_4011),
];
/// Reviewed difference: Pixiecore offers this boot and then has no kernel for it.
const NO_KERNEL: &str = "a boot spec without a kernel is not offered";
const BIOS_ON_4011: &str = "BIOS clients that ask the boot service are answered as UEFI ones are";

fn exchanges() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/conformance/pixiecore/exchanges.jsonl"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let all = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|exchange| exchange.get("request").is_some())
        .collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Returns true if the recorded API answered 200 for a machine, with JSON from which a script can be made.
fn api_knows(mac: &str) -> bool {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/conformance/pixiecore/api-answers.json"
    );
    let answers: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let link: Link = std::sync::Arc::new(|url| Ok(url.to_owned()));
    let spec = answers.get(mac).filter(|spec| spec.is_object());
    spec.is_some_and(|spec| {
        BootSpec::parse(spec.to_string().as_bytes()).is_ok_and(|spec| spec.check(&link).is_ok())
    })
}

/// Returns the server's answer in the form of the record, and its destination.
fn answer(exchange: &Value) -> Option<(Value, SocketAddrV4)> {
    let request = Message::decode(&bytes(exchange["request"].as_str().unwrap())).unwrap();
    let client = classify(&request).unwrap();
    let mut policy = Policy::pixiecore(SERVER, BootConfig::default(), 80);
    let step = policy.decide(&client, request.xid, Instant::now());
    let answer = if exchange["to"] == "4011 unicast" {
        let from_port_68 = exchange["case"].as_str().unwrap().contains("from port 68");
        let from = SocketAddrV4::new(CLIENT, if from_port_68 { 68 } else { 4011 });
        boot_service_ack(&request, &client, &step, SERVER, from)
    } else if api_knows(&client.mac.to_string()) {
        proxy_offer(ProxyStyle::Pixiecore, &request, &client, &step, SERVER)
    } else {
        Answer::Silence("refused".into())
    };
    let Answer::Reply(reply) = answer else {
        return None;
    };
    // What is compared is what comes out of the wire format, not what went in.
    let sent = reply.message.encode(request.max_message_len()).unwrap();
    assert!(sent.len() >= MIN_MESSAGE_LEN);
    let message = Message::decode(&sent).unwrap();
    let options: serde_json::Map<String, Value> = message
        .options
        .iter()
        .map(|(code, bytes)| (code.to_string(), hex::encode(bytes).into()))
        .collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let record = serde_json::json!({
        "chaddr": message.mac().unwrap().to_string(),
        "ciaddr": message.client_address,
        "file": text(&message.boot_file),
        "flags": format!("{:#06x}", message.flags),
        "giaddr": message.relay_agent,
        "hlen": message.hardware_len,
        "htype": message.hardware_type,
        "op": 2,
        "options": options,
        "siaddr": message.next_server,
        "sname": text(&message.server_name),
        "xid": format!("{:08x}", message.xid),
        "yiaddr": message.your_address,
    });
    Some((record, reply.to))
}

#[test]
fn pixiecores_dhcp_answers_are_ours_but_for_the_named_differences() {
    let exchanges = exchanges();
    assert_eq!(exchanges.len(), 62, "the record has all its DHCP exchanges");
    let mut unexpected = Vec::new();
    let mut differences = Vec::new();
    for exchange in &exchanges {
        let case = exchange["case"].as_str().unwrap();
        let mut recorded = exchange["answer"]["reply"].clone();
        // Pixiecore does not pad; a reply shorter than BOOTP's 300 bytes is dropped by old ROMs.
        if let Some(record) = recorded.as_object_mut() {
            record.remove("length");
        }
        let ours = answer(exchange).map_or(Value::Null, |(record, _)| record);
        if recorded == ours {
            continue;
        }
        if DIFFERENCES.iter().any(|(named, _)| *named == case) {
            differences.push(case);
        } else {
            unexpected.push(format!("{case}\n  recorded {recorded}\n  ours     {ours}"));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    let named: Vec<&str> = DIFFERENCES.iter().map(|(case, _)| *case).collect();
    assert_eq!(
        differences, named,
        "a named difference that is none any more"
    );
}

#[test]
fn a_bios_client_on_4011_gets_its_boot_file() {
    for exchange in exchanges() {
        let case = exchange["case"].as_str().unwrap();
        if DIFFERENCES.contains(&(case, BIOS_ON_4011)) {
            let (record, _) = answer(&exchange).unwrap();
            assert!(record["file"].as_str().unwrap().ends_with("/0"), "{case}");
            assert_eq!(record["options"][code::MESSAGE_TYPE.to_string()], "05");
        }
    }
}

#[test]
fn answers_go_where_pixiecores_went() {
    for exchange in exchanges() {
        let Some((_, to)) = answer(&exchange) else {
            continue;
        };
        let case = exchange["case"].as_str().unwrap();
        let expected = match (
            exchange["to"] == "4011 unicast",
            case.contains("from port 68"),
        ) {
            (true, false) => SocketAddrV4::new(CLIENT, 4011),
            (true, true) => SocketAddrV4::new(CLIENT, 68),
            (false, _) => SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
        };
        assert_eq!(to, expected, "{case}");
    }
}
