//! Boot settings: kernel, initrds and options of each spec or profile.

mod assets;
mod image;
mod initrd;
pub(super) mod options;
mod script;
mod seed;
mod url;

use boot_server_catalog::profile::Profile;
use boot_server_catalog::snapshot::{Folder, Layout};

use self::options::{FIRST_BOOT, KernelOption, normal, url_keys};
use super::Network;
use super::context::{Context, Subject};
use super::finding::{Findings, Source};
use super::tree::{At, Node, json};

/// A spec or profile that boots something, and those that boot it.
struct Booted<'a> {
    context: &'a Context<'a>,
    profile: &'a Profile,
    source: Source,
    tree: Node,
    options: Vec<KernelOption>,
    subjects: Vec<&'a Subject<'a>>,
}

/// Looks at every spec or profile.
pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut users: std::collections::HashMap<&str, Vec<&Subject<'_>>> = Default::default();
    for subject in &context.subjects {
        users
            .entry(&subject.group.profile_id)
            .or_default()
            .push(subject);
    }
    let mut assets = assets::Assets::default();
    for profile in context.snapshot.profiles().filter(|p| p.boot.is_some()) {
        let file = context.snapshot.layout.profile_file(&profile.id);
        let Some(source) = context.source(&file) else {
            continue;
        };
        let names = ["boot", "cloud_id", "ignition_id", "generic_id"];
        let Ok(tree) = json::parse(&source.text).map(|tree| tree.as_go(&names)) else {
            continue;
        };
        let booted = Booted {
            context,
            profile,
            options: options::read(&tree),
            source,
            tree,
            subjects: users.remove(&*profile.id).unwrap_or_default(),
        };
        booted.spelling(findings);
        booted.partners(findings);
        booted.variables(findings);
        booted.grub(findings);
        booted.pixiecore(findings);
        initrd::check(&booted, findings);
        url::check(&booted, findings);
        seed::check(&booted, findings);
        assets.check(&booted, findings);
    }
    script::check(context, findings);
}

/// Returns the place of the kernel in a spec or profile.
pub(super) fn kernel_at(context: &Context<'_>, profile: &str) -> Option<(Source, At)> {
    let file = context.snapshot.layout.profile_file(profile);
    let source = context.source(&file)?;
    let names = ["boot", "cloud_id", "ignition_id", "generic_id"];
    let tree = json::parse(&source.text).ok()?.as_go(&names);
    let at = tree.child("boot")?.child("kernel")?.at;
    Some((source, at))
}

impl Booted<'_> {
    fn tell(
        &self,
        findings: &mut Findings,
        rule: &'static str,
        at: At,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        findings.add(self.source.problem(rule, at, message, help));
    }

    /// Returns the boot settings as they are written.
    fn boot(&self) -> Option<&Node> {
        self.tree.child("boot")
    }

    /// Returns the nodes of kernel and initrds.
    fn images(&self) -> impl Iterator<Item = &Node> {
        let kernel = self.boot().and_then(|boot| boot.child("kernel"));
        kernel.into_iter().chain(self.initrds())
    }

    fn initrds(&self) -> &[Node] {
        let initrd = self.boot().and_then(|boot| boot.child("initrd"));
        initrd.map_or(&[][..], Node::items)
    }

    fn spelling(&self, findings: &mut Findings) {
        for option in &self.options {
            if let Some(meant) = option.misspelt {
                let message = format!("unknown kernel option `{}`", option.key);
                let help = format!("did you mean `{meant}`?");
                self.tell(findings, "misspelt-option", option.at, message, help);
            }
        }
        let console = self
            .options
            .iter()
            .any(|option| option.meant() == "console");
        if !console {
            let at = self.tree.entry("boot").map(|entry| entry.at);
            let help = "add console=ttyS0 or console=tty0 to see boot messages";
            let at = at.unwrap_or_default();
            self.tell(
                findings,
                "no-console",
                at,
                "missing kernel option `console`",
                help,
            );
        }
    }

    /// Returns the last option that holds the URL of a config in this folder.
    fn url(&self, folder: Folder) -> Option<&KernelOption> {
        let mut options = self.options.iter().rev();
        options.find(|option| {
            let key = option.meant();
            url_keys(folder).iter().any(|known| normal(known) == key)
        })
    }

    /// Options that are of no use without each other.
    fn partners(&self, findings: &mut Findings) {
        let first = self.options.iter().rev();
        let first = first
            .clone()
            .find(|option| FIRST_BOOT.contains(&&*option.meant()));
        let is_on = first.is_some_and(KernelOption::is_on);
        let elsewhere = self.options.iter().any(|option| {
            let metal = matches!(option.value.as_deref(), None | Some("metal" | "pxe"));
            match option.meant().as_str() {
                "ignition.platform.id" | "coreos.oem.id" | "flatcar.oem.id" => !metal,
                "ignition.config.data" | "coreos.inst.ignition-url" => true,
                _ => false,
            }
        });
        let ignition = self.url(Folder::Ignition);
        match (ignition, first) {
            (Some(url), _) if !is_on => {
                let name = match url.meant().split('.').next() {
                    Some("ignition") => "ignition.firstboot",
                    Some("flatcar") => "flatcar.first_boot=1",
                    _ => "coreos.first_boot=1",
                };
                let message = format!("`{}` without `{name}`: Ignition does not run", url.key);
                let help = format!("add {name}");
                let rule = "config-url-without-first-boot";
                self.tell(findings, rule, url.at, message, help);
            }
            (None, Some(first)) if is_on && !elsewhere => {
                let message = format!(
                    "`{}` without a config URL: Ignition has no config",
                    first.key
                );
                let help = "add coreos.config.url=http://…/ignition?… (ignition.config.url on newer images)";
                let rule = "first-boot-without-config-url";
                self.tell(findings, rule, first.at, message, help);
            }
            (None, _) if !elsewhere => self.never_asked(Folder::Ignition, findings),
            _ => {}
        }
        // The user-data of a seed is the same file.
        if self.url(Folder::Cloud).is_none() && self.profile.seed().is_none() {
            self.never_asked(Folder::Cloud, findings);
        }
    }

    fn never_asked(&self, folder: Folder, findings: &mut Findings) {
        let Some(file) = folder.file(self.profile) else {
            return;
        };
        let at = self.tree.entry(folder.key()).map(|entry| entry.at);
        let option = url_keys(folder).first().unwrap_or(&"");
        let message = format!(
            "unused config: no kernel option requests `{}/{file}`",
            folder.name()
        );
        let help = format!("add {option}=http://…/{}?…", folder.name());
        let at = at.unwrap_or_default();
        self.tell(findings, "config-never-asked", at, message, help);
    }

    /// `${…}` that iPXE makes nothing of.
    fn variables(&self, findings: &mut Findings) {
        let images = self
            .images()
            .filter_map(|node| Some((node.scalar()?.to_owned(), node.at)));
        let options = self.options.iter().map(|option| (option.text(), option.at));
        for (text, at) in images.chain(options) {
            for variable in url::variables(&text) {
                if let Some(meant) = url::misspelt_variable(variable) {
                    let message =
                        format!("unknown iPXE variable `${{{variable}}}` (expands to nothing)");
                    let help = format!("did you mean `${{{meant}}}`?");
                    self.tell(findings, "unknown-variable", at, message, help);
                }
            }
        }
    }

    /// A profile that is written for GRUB: its script takes some characters for its own.
    fn grub(&self, findings: &mut Findings) {
        let mut images = self.images().filter_map(Node::scalar);
        if !images.any(|image| image.trim_start().starts_with('(')) {
            return;
        }
        for option in &self.options {
            let text = option.text();
            let mut escaped = false;
            let found = text.chars().find(|char| match char {
                '\\' => {
                    escaped = !escaped;
                    false
                }
                '&' | ';' | '|' | '<' | '>' | '{' | '}' if !escaped => true,
                _ => {
                    escaped = false;
                    false
                }
            });
            if let Some(char) = found {
                let message = format!("GRUB interprets `{char}` in `{}`", option.key);
                let help = "write a backslash before it (\\\\ in JSON)";
                self.tell(findings, "grub-metacharacter", option.at, message, help);
            }
        }
    }

    /// Reports features that Pixiecore lacks for a machine.
    fn pixiecore(&self, findings: &mut Findings) {
        if self.context.network != Network::Pixiecore {
            return;
        }
        for image in self.images() {
            let written = image.scalar().unwrap_or_default().trim();
            if written.contains(char::is_whitespace) {
                let message = format!("Pixiecore reads all of `{written}` as one URL");
                let file = written.split_whitespace().last().unwrap_or_default();
                let help = format!("write {file} alone: the options before it are for iPXE");
                self.tell(findings, "pixiecore-initrd", image.at, message, help);
            }
        }
        for option in &self.options {
            let text = option.text();
            if let Some(variable) = url::variables(&text).next() {
                let message = format!("Pixiecore before 2016 does not expand `${{{variable}}}`");
                let help = "that Pixiecore boots with PXELINUX: match the group by MAC, and write the MAC into the URL";
                self.tell(findings, "pixiecore-variable", option.at, message, help);
            }
            if option.is_pair && self.context.snapshot.layout == Layout::Bootcfg {
                let message = format!("Pixiecore puts the value of `{}` in quotes", option.key);
                let help = format!("write it as one key: \"{text}\": true");
                self.tell(findings, "pixiecore-quotes", option.at, message, help);
            }
        }
    }
}
