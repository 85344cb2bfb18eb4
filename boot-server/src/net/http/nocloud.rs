//! `/nocloud/labels/FILE`: the files of a machine's NoCloud seed, for cloud-init.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;

use super::App;
use super::answer::{Answer, TEXT};
use crate::catalog::Labels;
use crate::catalog::nocloud::{SeedFile, SeedRequest};
use crate::catalog::raw_text;
use crate::catalog::snapshot::{Folder, Snapshot};

/// Serves meta-data made of the group's metadata, the profile's `cloud_id` file as user-data, and the other files empty.
///
/// cloud-init asks eleven times for a file that is answered with any status but 200, so that a known machine gets an
/// empty file; a machine of no group is answered 404 for each.
pub(crate) async fn handle(State(app): State<Arc<App>>, uri: Uri) -> Answer {
    let request = match SeedRequest::parse(uri.path(), uri.query().unwrap_or_default()) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_found(&invalid.to_string()),
    };
    if request.file == SeedFile::UserData {
        let render = |snapshot: &Snapshot, labels: &Labels, query: &str, budget| {
            snapshot.user_data(labels, query, budget)
        };
        let serve = |text, detail| Answer::rendered(TEXT, text, detail);
        return app
            .rendered(Folder::Cloud, request.query, render, serve)
            .await;
    }
    match app.catalog.snapshot().seed_file(&request) {
        Ok(served) => Answer::rendered(TEXT, raw_text::to_bytes(served.text), served.file)
            .group(served.group, served.selectors),
        Err(refusal) => Answer::refused(&refusal),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use boot_server_events::BootEvent;

    use crate::net::http::testing::{Answered, get, get_of};

    fn matchbox(files: &[(&str, &str)]) -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        let own = [
            (
                "groups/one.json",
                r#"{"id":"one","profile":"p","selector":{"serial":"SN 7"},"metadata":{"hostname":"quay","rack":{"row":3}}}"#,
            ),
            ("profiles/p.json", r#"{"id":"p","cloud_id":"one"}"#),
        ];
        for (file, text) in own.iter().chain(files) {
            let path = data.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        data
    }

    async fn of_one(data: &Path, file: &str) -> Answered {
        get_of(data, &format!("/nocloud/serial=SN%207/{file}")).await
    }

    #[tokio::test]
    async fn seed_of_a_machine_has_all_files_in_both_layouts() {
        let uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b";
        let seed = format!("/nocloud/uuid={uuid}");
        let meta = get(&format!("{seed}/meta-data")).await;
        let meta_data: serde_json::Value = serde_json::from_str(&meta.body).unwrap();
        assert_eq!(meta_data["instance-id"], uuid);
        assert_eq!(meta_data["local-hostname"], "node1");
        let user = get(&format!("{seed}/user-data")).await;
        assert_eq!(user.body, get(&format!("/cloud?uuid={uuid}")).await.body);
        for file in ["vendor-data", "network-config"] {
            let answer = get(&format!("{seed}/{file}")).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{file}");
        }
        let data = matchbox(&[("cloud/one", "#cloud-config\nhostname: {{.hostname}}\n")]);
        let meta = of_one(data.path(), "meta-data").await;
        let meta_data: serde_json::Value = serde_json::from_str(&meta.body).unwrap();
        assert_eq!(meta_data["instance-id"], "SN 7");
        assert_eq!(meta_data["rack"]["row"], 3);
        let user = of_one(data.path(), "user-data").await;
        assert_eq!(user.body, "#cloud-config\nhostname: quay\n");
        assert_eq!(of_one(data.path(), "network-config").await.status, 200);
    }

    #[tokio::test]
    async fn user_data_of_every_kind_passes_through() {
        for text in [
            "#!/bin/sh\necho {{.hostname}}\n",
            "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/cloud-config\n\nruncmd: []\n--b--\n",
            "#include\nhttp://h/x\n",
            "not for cloud-init\n",
        ] {
            let data = matchbox(&[("cloud/one", text)]);
            let answer = of_one(data.path(), "user-data").await;
            let rendered = text.replace("{{.hostname}}", "quay");
            assert_eq!((answer.status, answer.body), (200, rendered));
        }
        // cloud-init renders it: both languages write `{{`.
        let jinja = "## template: jinja\n#cloud-config\nfqdn: {{ ds.meta_data.rack.row }}.x\n{% if 1 %}{% endif %}\n";
        let data = matchbox(&[("cloud/one", jinja)]);
        assert_eq!(of_one(data.path(), "user-data").await.body, jinja);
    }

    #[tokio::test]
    async fn event_names_machine_group_and_file() {
        let mac = "52-54-00-aa-bb-cc";
        let uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b";
        let answer = get(&format!("/nocloud/uuid={uuid}&mac={mac}/user-data")).await;
        let BootEvent::HttpRequest {
            who,
            group,
            selectors,
            sha256,
            detail,
            ..
        } = answer.event
        else {
            panic!("another event")
        };
        assert_eq!(who.mac.unwrap().to_string(), "52:54:00:aa:bb:cc");
        assert_eq!(who.uuid.unwrap().to_string(), uuid);
        assert_eq!(group.as_deref(), Some("node1"));
        assert_eq!(selectors, Some(vec!["uuid".to_owned()]));
        assert_eq!(detail.file.as_deref(), Some("node1.yaml"));
        assert!(sha256.is_some());
    }

    #[tokio::test]
    async fn seed_of_an_unknown_machine_or_a_wrong_url_is_not_found_with_the_reason() {
        let data = matchbox(&[]);
        for file in ["meta-data", "user-data", "vendor-data", "network-config"] {
            let answer = get_of(data.path(), &format!("/nocloud/serial=other/{file}")).await;
            assert_eq!(answer.status, 404, "{file}");
            assert!(
                answer.body.contains("serial=SN 7 (got other)"),
                "{}",
                answer.body
            );
        }
        let answer = get_of(data.path(), "/nocloud/serial=othermeta-data").await;
        assert_eq!(answer.status, 404);
        assert!(
            answer.body.contains("needs a `/` at its end"),
            "{}",
            answer.body
        );
        let data = matchbox(&[("profiles/p.json", r#"{"id":"p"}"#)]);
        let answer = of_one(data.path(), "user-data").await;
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("has no `cloud_id`"), "{}", answer.body);
    }
}
