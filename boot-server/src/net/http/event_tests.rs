//! The event of each endpoint: the group that matched, the keys it requires, the hash of the content.

use boot_server_events::{BootEvent, sha256_hex};

use super::testing::{Answered, get, get_from, get_of, get_with};

const NODE1: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

struct Told {
    group: Option<String>,
    selectors: Option<Vec<String>>,
    sha256: Option<String>,
}

fn told(answer: &Answered) -> Told {
    let BootEvent::HttpRequest {
        group,
        selectors,
        sha256,
        ..
    } = answer.event.clone()
    else {
        panic!("another event: {:?}", answer.event)
    };
    Told {
        group,
        selectors,
        sha256,
    }
}

fn check(path: &str, answer: &Answered, group: &str, selectors: &[&str]) {
    let told = told(answer);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!(told.group.as_deref(), Some(group), "{path}");
    let keys: Vec<String> = selectors.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(told.selectors, Some(keys), "{path}");
    assert_eq!(
        told.sha256,
        Some(sha256_hex(answer.body.as_bytes())),
        "{path}"
    );
}

#[tokio::test]
async fn endpoint_that_answers_for_a_group_tells_its_selectors_and_the_hash() {
    let node1 = format!("uuid={NODE1}");
    for (path, group, selectors) in [
        (format!("/ipxe?{node1}"), "node1", &["uuid"][..]),
        (format!("/grub?{node1}"), "node1", &["uuid"]),
        (format!("/cloud?{node1}"), "node1", &["uuid"]),
        (format!("/ignition?{node1}"), "node1", &["uuid"]),
        (format!("/metadata?{node1}"), "node1", &["uuid"]),
        (
            "/pixiecore/v1/boot/52-54-00-89-d8-10".to_owned(),
            "by-mac",
            &["mac"],
        ),
        (
            "/metadata?zone=a1&region=okla".to_owned(),
            "workers",
            &["region", "zone"],
        ),
        ("/ipxe?uuid=nobody".to_owned(), "default", &[]),
    ] {
        check(&path, &get(&path).await, group, selectors);
    }
}

#[tokio::test]
async fn generic_config_tells_its_selectors_and_the_hash() {
    let data = tempfile::tempdir().unwrap();
    for (file, text) in [
        (
            "groups/g.json",
            r#"{"id":"g","profile":"p","selector":{"os":"installed"}}"#,
        ),
        ("profiles/p.json", r#"{"id":"p","generic_id":"g.tmpl"}"#),
        ("generic/g.tmpl", "os={{.os}}\n"),
    ] {
        let file = data.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let path = "/generic?os=installed";
    check(path, &get_of(data.path(), path).await, "g", &["os"]);
}

#[tokio::test]
async fn content_without_a_group_has_a_hash_only() {
    for path in ["/boot.ipxe", "/spec/node1", "/explain"] {
        let answer = get(path).await;
        let told = told(&answer);
        assert_eq!((told.group, told.selectors), (None, None), "{path}");
        let hash = sha256_hex(answer.body.as_bytes());
        assert_eq!(told.sha256, Some(hash), "{path}");
    }
}

#[tokio::test]
async fn range_of_a_config_has_the_hash_of_all_of_it() {
    let path = format!("/cloud?uuid={NODE1}");
    let whole = get(&path).await;
    let part = get_with(&path, &[("range", "bytes=0-3")]).await;
    assert_eq!((part.status, part.body.len()), (206, 4));
    assert_eq!(told(&part).sha256, Some(sha256_hex(whole.body.as_bytes())));
}

#[tokio::test]
async fn refusal_by_a_group_tells_its_selectors_and_no_hash() {
    let answer = get("/cloud?uuid=nocloud").await;
    let told = told(&answer);
    assert_eq!(answer.status, 404);
    assert_eq!(told.group.as_deref(), Some("nocloud"));
    assert_eq!(told.selectors, Some(vec!["uuid".to_owned()]));
    assert_eq!(told.sha256, None);
}

#[tokio::test]
async fn streamed_asset_has_no_hash() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::write(assets.path().join("vmlinuz"), "kernel").unwrap();
    let answer = get_from(assets.path(), "/assets/vmlinuz").await;
    assert_eq!(answer.status, 200);
    assert_eq!(told(&answer).sha256, None);
}
