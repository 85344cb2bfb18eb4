//! Butane's base → Ignition: the same fields under other names, and sugar that reads local files.
//!
//! Source: `base/v0_*/translate.go` of Butane v0.29.0.

use super::contents;
use super::files::Files;
use super::origins::Origins;
use crate::finding::Report;
use crate::go::dataurl::escape;
use crate::path::Path;
use crate::schema::release::Release;
use crate::schema::{Field, Kind, Minor, Shape};
use crate::value::{Struct, Value};

/// Input and output of a translation.
pub(super) struct Context<'a> {
    pub(super) release: &'static Release,
    pub(super) files: Files<'a>,
    pub(super) may_compress: bool,
    pub(super) report: Report,
    pub(super) origins: Origins,
}

impl Context<'_> {
    pub(super) fn minor(&self) -> Minor {
        self.release.spec
    }

    /// Translates a config without the sugar that makes several things of one.
    pub(super) fn base(&mut self, config: &Struct) -> Struct {
        let root = Path::default();
        let mut ignition = self.fields(config, self.release.shape, &root, &root);
        ignition
            .child_mut("ignition")
            .set("version", self.release.spec_version());
        self.origins
            .add(Path::of(&["version"]), Path::of(&["ignition", "version"]));
        ignition
    }

    fn fields(&mut self, from: &Struct, shape: &'static Shape, at: &Path, to: &Path) -> Struct {
        self.origins.add(at.clone(), to.clone());
        let mut translated = Struct::default();
        for field in shape
            .fields_in(self.minor())
            .filter(|field| !field.is_sugar())
        {
            if let Some(value) = from.get(field.name) {
                let value = self.field(value, field, &at.key(field.name), &to.key(field.name));
                translated.set(field.name, value);
            }
        }
        match shape.name {
            "Resource" => self.resource(from, at, to, &mut translated),
            "PasswdUser" => self.user_keys(from, at, to, &mut translated),
            "Unit" | "Dropin" => self.unit_contents(from, at, to, &mut translated),
            _ => {}
        }
        translated
    }

    fn field(&mut self, value: &Value, field: &Field, at: &Path, to: &Path) -> Value {
        match (value, field.kind) {
            (Value::Struct(inner), Kind::Struct(shape)) => self.fields(inner, shape, at, to).into(),
            (Value::List(items), kind) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let (at, to) = (at.index(index), to.index(index));
                    match (item, kind) {
                        (Value::Struct(inner), Kind::List(shape)) => {
                            self.fields(inner, shape, &at, &to).into()
                        }
                        _ => {
                            self.origins.add(at, to);
                            item.clone()
                        }
                    }
                });
                let items = items.collect();
                self.origins.add(at.clone(), to.clone());
                Value::List(items)
            }
            (value, _) => {
                self.origins.add(at.clone(), to.clone());
                value.clone()
            }
        }
    }

    fn resource(&mut self, from: &Struct, at: &Path, to: &Path, resource: &mut Struct) {
        if let Some(local) = from.opt_text("local") {
            match self.files.read(local) {
                Ok(contents) => self.set_contents(&contents, &at.key("local"), to, resource),
                Err(reason) => return self.report.error(at.key("local"), reason),
            }
        }
        if let Some(inline) = from.get("inline").and_then(Value::as_bytes) {
            self.set_contents(inline, &at.key("inline"), to, resource);
        }
    }

    /// Sets the source of a resource to a data URL.
    pub(super) fn set_contents(
        &mut self,
        contents: &[u8],
        at: &Path,
        to: &Path,
        resource: &mut Struct,
    ) {
        self.origins.add(at.clone(), to.key("source"));
        if self.minor() == 0 {
            resource.set("source", format!("data:,{}", escape(contents)));
            return;
        }
        let encoded = contents::encode(contents, resource.text("compression"), self.may_compress);
        resource.set("source", encoded.url);
        if let Some(compression) = encoded.compression {
            resource.set("compression", compression);
            self.origins.add(at.clone(), to.key("compression"));
        }
    }

    fn user_keys(&mut self, from: &Struct, at: &Path, to: &Path, user: &mut Struct) {
        if from.list("ssh_authorized_keys_local").is_empty() {
            return;
        }
        let (at, to) = (
            at.key("ssh_authorized_keys_local"),
            to.key("ssh_authorized_keys"),
        );
        self.origins.add(at.clone(), to.clone());
        if !self.files.has_dir() {
            return self.report.error(at, crate::finding::Reason::NoFilesDir);
        }
        for (index, file) in from.texts("ssh_authorized_keys_local").enumerate() {
            let contents = match self.files.read(file) {
                Ok(contents) => contents,
                Err(reason) => {
                    self.report.error(at.index(index), reason);
                    continue;
                }
            };
            let keys = user.list_mut("ssh_authorized_keys");
            let mut lines = contents.split(|&byte| byte == b'\n').peekable();
            while let Some(line) = lines.next() {
                // The last line has no line break behind it, and a carriage return there belongs to it.
                let line = match line.strip_suffix(b"\r") {
                    Some(line) if lines.peek().is_some() => line,
                    _ => line,
                };
                if !line.is_empty() {
                    self.origins.add(at.index(index), to.index(keys.len()));
                    keys.push(Value::from_bytes(line.to_vec()));
                }
            }
        }
    }

    fn unit_contents(&mut self, from: &Struct, at: &Path, to: &Path, unit: &mut Struct) {
        let local = from.text("contents_local");
        if local.is_empty() {
            return;
        }
        let at = at.key("contents_local");
        match self.files.read(local) {
            Ok(contents) => {
                self.origins.add(at, to.key("contents"));
                unit.set("contents", Value::from_bytes(contents));
            }
            Err(reason) => self.report.error(at, reason),
        }
    }
}
