//! Programs that end before they are ready, and after.

use std::time::Duration;

use lab_model::scenario::ReadyWhen;

use super::*;

async fn started(
    script: &str,
    ready: Option<Ready>,
    folder: &Path,
) -> (
    Result<CustomServices, CustomServiceError>,
    mpsc::UnboundedReceiver<ServiceEvent>,
) {
    let (told, tells) = mpsc::unbounded_channel();
    let command = ["sh", "-c", script].map(str::to_owned).into();
    let mut services = CustomServices::default();
    let started = services.start_program("helper", command, ready, folder, &told);
    let started = started.await;
    (started.map(|()| services), tells)
}

fn line_in_log(pattern: &str) -> Option<Ready> {
    Some(Ready {
        when: ReadyWhen::Log(pattern.into()),
        within: Duration::from_secs(20),
    })
}

#[tokio::test]
async fn program_that_ends_at_once_is_refused_with_its_last_words_on_both_outputs() {
    let script = "echo 'listen udp4 :67: \\033[31mbind: address in use'; echo 'more' >&2; exit 0";
    for ready in [None, line_in_log("never")] {
        let folder = tempfile::tempdir().unwrap();
        let (started, _) = started(script, ready, folder.path()).await;
        let Err(CustomServiceError::Ended { service, detail }) = started else {
            panic!("{started:?}");
        };
        assert_eq!(service, "helper");
        let last_words = "more\nlisten udp4 :67: bind: address in use";
        assert_eq!(detail, format!("exit status: 0; {last_words}"));
    }
}

#[tokio::test]
async fn program_that_ends_after_its_sign_is_told_with_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!(
        "echo helper: started >&2; until test -e {}; do sleep 0.05; done; echo last words",
        go.display()
    );
    let (started, mut tells) = started(&script, line_in_log(": started"), folder.path()).await;
    assert!(started.is_ok(), "{started:?}");
    fs::write(go, "").unwrap();
    let ended = loop {
        match tells.recv().await.expect("the end is told") {
            ServiceEvent::Line { .. } => {}
            other => break other,
        }
    };
    let ServiceEvent::Ended { service, detail } = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(service, "helper");
    assert_eq!(detail, "exit status: 0; helper: started\nlast words");
}
