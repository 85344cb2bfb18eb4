//! Test of the page in a real browser: it fits the screen, is readable in light and dark mode, and runs no
//! scripts.
//!
//! Chromium is controlled over its debugging pipe: JSON messages, each terminated by a zero byte, on file
//! descriptors 3 and 4 (Chrome DevTools Protocol).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::fixture::page;
use super::render;

/// Looks for text that is wider than the page, that can't be read, and for links that lead nowhere.
const LOOK: &str = include_str!("browser.js");

/// A browser without a window.
struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
}

impl Browser {
    /// True if a browser is installed.
    fn is_there() -> bool {
        let mut look = Command::new("chromium");
        look.arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        look.status().is_ok_and(|status| status.success())
    }

    /// Starts it with its profile in `folder`.
    fn start(folder: &Path) -> Browser {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null")
            .args([
                "sh",
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--remote-debugging-pipe",
                "--allow-file-access-from-files",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.join("profile").display()
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let mut browser = Browser {
            child,
            orders: orders.unwrap(),
            answers: BufReader::new(answers.unwrap()),
            session: None,
            number: 0,
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// Sends a command and returns its result.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut order = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut bytes = order.to_string().into_bytes();
        bytes.push(0);
        self.orders.write_all(&bytes).unwrap();
        loop {
            let answer = self.next();
            if answer["id"] == json!(self.number) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens a file and waits until it is shown.
    fn open(&mut self, path: &Path) {
        let url = format!("file://{}", path.display());
        self.call("Page.navigate", &json!({"url": url}));
        let there = json!(format!("complete {url}"));
        for _ in 0..10_000 {
            if self.evaluate("document.readyState + ' ' + location.href") == there {
                return;
            }
        }
        panic!("{url} is not shown");
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let result = self.call("Runtime.evaluate", &params);
        assert!(result["exceptionDetails"].is_null(), "{result}");
        result["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test that failed may have ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_fits_and_can_be_read_on_every_screen() {
    let folder = tempfile::tempdir().unwrap();
    if !Browser::is_there() {
        return test_support::skip("no chromium (package chromium)");
    }
    let mut browser = Browser::start(folder.path());
    let path = folder.path().join("index.html");
    std::fs::write(&path, render(&page())).unwrap();
    for (width, height, phone) in [(1280, 800, false), (390, 844, true)] {
        let mut backgrounds = Vec::new();
        for scheme in ["light", "dark"] {
            let screen =
                json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
            browser.call("Emulation.setDeviceMetricsOverride", &screen);
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            browser.call("Emulation.setEmulatedMedia", &media);
            browser.open(&path);
            let seen = browser.evaluate(LOOK);
            let at = format!("at {width} pixels, {scheme}");
            assert_eq!(
                seen["sideways"],
                json!(0),
                "{at}: the page scrolls sideways"
            );
            assert_eq!(seen["wide"], json!([]), "{at}: wider than the screen");
            assert_eq!(seen["faint"], json!([]), "{at}: too little contrast");
            assert_eq!(seen["scripts"], json!(0), "{at}: something became a script");
            assert!(
                seen["texts"].as_u64().unwrap() > 100,
                "{at}: little was looked at: {seen}"
            );
            backgrounds.push(seen["background"].clone());
        }
        assert_ne!(
            backgrounds.first(),
            backgrounds.last(),
            "dark is like light"
        );
    }
}
