//! Answers of a Pixiecore API: whatever a body says, it is refused, or a script of one kernel line can be made
//! of it; and the letter case of its keys makes no difference.

use std::sync::Arc;

use boot_server_proto::pixiecore::{BootSpec, Link, LinkError};

pub(crate) fn check(data: &[u8]) {
    let link: Link = Arc::new(|url| match url.starts_with("file:") {
        true => Err(LinkError::of("refused")),
        false => Ok(format!("http://s/_/file?name={}", url.len())),
    });
    let Ok(spec) = BootSpec::parse(data) else {
        return;
    };
    let fit = spec.check(&link);
    match &spec {
        BootSpec::Script(script) => assert!(fit.is_ok() && !script.is_empty()),
        BootSpec::Boot {
            kernel,
            initrd,
            cmdline,
        } => {
            let line = cmdline.render(&link);
            if fit.is_ok() {
                assert!(!kernel.is_empty() && initrd.iter().all(|file| !file.is_empty()));
                assert!(line.is_ok_and(|line| !line.contains(['\n', '\r'])));
            }
        }
    }
    let upper = String::from_utf8_lossy(data)
        .replace("\"kernel\"", "\"KERNEL\"")
        .replace("\"initrd\"", "\"Initrd\"")
        .replace("\"ipxe-script\"", "\"IPXE-Script\"");
    // A key within another text would change a value.
    if !upper.contains('\\') && String::from_utf8_lossy(data).matches('"').count() < 40 {
        let same = BootSpec::parse(upper.as_bytes());
        assert!(same.is_ok(), "{upper}");
    }
}
