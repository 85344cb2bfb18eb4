//! Signing keys of the tests, made by GnuPG in a home of their own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Keys that sign as publishers do, each made when it is first needed.
#[derive(Debug)]
pub(crate) struct Signer {
    home: tempfile::TempDir,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Key of the publisher.
    Publisher,
    /// Key of another party.
    Other,
    /// The publisher's of 2015, that expired in 2017.
    Expired,
}

impl Key {
    fn user(self) -> &'static str {
        match self {
            Key::Publisher => "publisher@example.org",
            Key::Other => "other@example.org",
            Key::Expired => "expired@example.org",
        }
    }

    /// GnuPG's clock while the key is made and signs.
    fn time(self) -> Option<&'static str> {
        (self == Key::Expired).then_some("20151201T000000!")
    }
}

impl Signer {
    pub(crate) fn new() -> Signer {
        // The agent's socket needs a short path.
        let home = tempfile::Builder::new()
            .prefix("gpg-")
            .tempdir_in("/tmp")
            .unwrap();
        Signer { home }
    }

    fn make(&self, key: Key) -> PathBuf {
        let path = self.home.path().join(format!("{}.asc", key.user()));
        if !path.exists() {
            let expires = if key == Key::Expired { "2y" } else { "never" };
            self.gpg(
                key,
                &[
                    "--quick-generate-key",
                    key.user(),
                    "ed25519",
                    "sign",
                    expires,
                ],
            );
            let file = path.to_str().unwrap();
            self.gpg(key, &["--armor", "--output", file, "--export", key.user()]);
        }
        path
    }

    /// The public key's file.
    pub(crate) fn public(&self, key: Key) -> PathBuf {
        self.make(key)
    }

    /// Returns the fingerprint of a key.
    pub(crate) fn fingerprint(&self, key: Key) -> String {
        self.make(key);
        let listed = self.gpg(key, &["--with-colons", "--list-keys", key.user()]);
        let line = listed
            .lines()
            .find(|line| line.starts_with("fpr:"))
            .unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// A detached signature.
    pub(crate) fn sign(&self, key: Key, bytes: &[u8]) -> Vec<u8> {
        self.make(key);
        let folder = tempfile::tempdir().unwrap();
        let (file, signature) = (folder.path().join("file"), folder.path().join("file.sig"));
        std::fs::write(&file, bytes).unwrap();
        let paths = [&signature, &file].map(|path: &PathBuf| path.to_str().unwrap());
        self.gpg(
            key,
            &[
                "--local-user",
                key.user(),
                "--output",
                paths[0],
                "--detach-sign",
                paths[1],
            ],
        );
        std::fs::read(&signature).unwrap()
    }

    fn gpg(&self, key: Key, arguments: &[&str]) -> String {
        let mut command = Command::new("gpg");
        command.args([
            "--batch",
            "--quiet",
            "--no-tty",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ]);
        if let Some(time) = key.time() {
            command.args(["--faked-system-time", time]);
        }
        let output = command
            .args(arguments)
            .env("GNUPGHOME", self.home.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .expect("gpg (Debian package gnupg)");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // GnuPG has started an agent for this home.
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "gpg-agent"])
            .status();
    }
}
