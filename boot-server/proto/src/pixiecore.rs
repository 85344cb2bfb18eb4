//! Pixiecore's API answer and the iPXE script made from it.
//!
//! Source: Pixiecore's `README.api.md`, and what the program was seen to do. One difference: it
//! writes the values of an object command line as `key="value"`, and kernel-side readers of
//! `cloud-config-url` and `coreos.config.url` take the quotes as part of the URL; here they are
//! bare, and quoted only where white space would split them.

use std::collections::BTreeMap;
use std::sync::Arc;

use go_template::{
    Budget, ExecError, Function, FunctionError, Functions, MissingKey, ParseError, Template,
};
use serde::Deserialize;
use serde_json::Value as Json;

use super::json::{self, InvalidJson};

/// Gives the address under which a machine fetches a URL of the API's answer.
pub type Link = Arc<dyn Fn(&str) -> Result<String, LinkError> + Send + Sync>;

/// Reason that a machine cannot fetch a URL: an error of whoever gives the addresses.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LinkError(Box<dyn std::error::Error + Send + Sync>);

impl LinkError {
    /// Wraps the error of whoever gives the addresses.
    pub fn of(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LinkError {
        LinkError(error.into())
    }
}

/// Reasons that no script can be made of an answer.
#[derive(Debug, thiserror::Error)]
pub enum NoScript {
    /// The kernel is missing or empty.
    #[error("the API's answer has no `kernel`")]
    NoKernel,
    /// The name of an initrd is empty.
    #[error("the API's answer has an empty `initrd`")]
    EmptyInitrd,
    /// A URL has no address.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The command line does not parse as a template.
    #[error("the kernel command line as a template: {0}")]
    Parse(#[from] Box<ParseError>),
    /// The command line cannot be executed as a template.
    #[error("the kernel command line as a template: {0}")]
    Exec(#[from] Box<ExecError>),
    /// The rendered command line is not text.
    #[error("the kernel command line as a template: {0}")]
    NotUtf8(#[from] std::string::FromUtf8Error),
    /// The command line has several lines, which iPXE would take as commands.
    #[error("the kernel command line has more than one line")]
    SeveralLines,
}

/// Answer of a Pixiecore API for a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum BootSpec {
    /// A complete iPXE script, handed on as it is.
    Script(String),
    /// Kernel, initrds and kernel options.
    Boot {
        /// Kernel URL, maybe relative.
        kernel: String,
        /// Initrd URLs, maybe relative.
        initrd: Vec<String>,
        /// Kernel command line.
        cmdline: Cmdline,
    },
}

/// Kernel options in one of the API's forms.
#[derive(Debug, Clone, PartialEq)]
pub enum Cmdline {
    /// A Go template with one function, `URL`.
    Text(String),
    /// Option by option.
    Options(BTreeMap<String, CmdlineValue>),
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum CmdlineValue {
    /// No value: the key alone.
    Bare,
    /// Literal option value.
    Text(String),
    /// A URL that the machine fetches by way of us.
    Url(String),
}

/// An answer that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBootSpec {
    /// The JSON is malformed or has the wrong shape.
    #[error("the API's answer is not a boot spec: {0}")]
    Json(#[from] InvalidJson),
    /// The command line has a value of another type.
    #[error(
        "the API's answer has cmdline option `{key}` = {value}; it must be a string, a boolean or \
         {{\"url\": …}}"
    )]
    Value {
        /// Name of the option.
        key: String,
        /// Value of the option, as JSON.
        value: String,
    },
    /// The command line is neither text nor an object.
    #[error("the API's answer has a cmdline that is neither a string nor an object: {0}")]
    Cmdline(String),
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    kernel: Option<String>,
    #[serde(default)]
    initrd: Option<Vec<String>>,
    #[serde(default)]
    cmdline: Json,
    #[serde(default, rename = "ipxe-script")]
    ipxe_script: Option<String>,
    /// Never shown, as with Pixiecore; but of another type it makes the answer invalid.
    #[serde(default, rename = "message")]
    _message: Option<String>,
}

impl BootSpec {
    /// Reads the body of a 200, of which, as with Pixiecore, the first JSON value counts. A script cannot
    /// always be made of it: see [`BootSpec::check`].
    ///
    /// # Errors
    /// See [`InvalidBootSpec`].
    pub fn parse(body: &[u8]) -> Result<BootSpec, InvalidBootSpec> {
        let wire: Wire = json::first_from_slice(body)?;
        if let Some(script) = wire.ipxe_script.filter(|script| !script.is_empty()) {
            return Ok(BootSpec::Script(script));
        }
        let cmdline = match wire.cmdline {
            Json::Null => Cmdline::Text(String::new()),
            Json::String(text) => Cmdline::Text(text),
            Json::Object(options) => Cmdline::Options(
                options
                    .into_iter()
                    .map(|(key, value)| Ok((key.clone(), option_value(key, value)?)))
                    .collect::<Result<_, InvalidBootSpec>>()?,
            ),
            other => return Err(InvalidBootSpec::Cmdline(other.to_string())),
        };
        Ok(BootSpec::Boot {
            kernel: wire.kernel.unwrap_or_default(),
            initrd: wire.initrd.unwrap_or_default(),
            cmdline,
        })
    }
}

impl BootSpec {
    /// Checks that a script can be made of it. A machine that is offered to boot and then gets no script
    /// hangs in iPXE; one that is not offered anything goes to its next boot device.
    ///
    /// # Errors
    /// The kernel is missing, the command line cannot be rendered, or a URL has no address.
    pub fn check(&self, link: &Link) -> Result<(), NoScript> {
        let BootSpec::Boot {
            kernel,
            initrd,
            cmdline,
        } = self
        else {
            return Ok(());
        };
        if kernel.is_empty() {
            return Err(NoScript::NoKernel);
        }
        if initrd.iter().any(String::is_empty) {
            return Err(NoScript::EmptyInitrd);
        }
        for url in std::iter::once(kernel).chain(initrd) {
            link(url)?;
        }
        cmdline.render(link).map(drop)
    }
}

fn option_value(key: String, value: Json) -> Result<CmdlineValue, InvalidBootSpec> {
    let url = value.get("url").and_then(Json::as_str);
    match (&value, url) {
        (Json::Bool(_), _) => Ok(CmdlineValue::Bare),
        (Json::String(text), _) if text.is_empty() => Ok(CmdlineValue::Bare),
        (Json::String(text), _) => Ok(CmdlineValue::Text(text.clone())),
        (Json::Object(_), Some(url)) => Ok(CmdlineValue::Url(url.to_owned())),
        _ => Err(InvalidBootSpec::Value {
            key,
            value: value.to_string(),
        }),
    }
}

impl Cmdline {
    /// Returns the kernel options in one line.
    ///
    /// # Errors
    /// The template does not parse or execute, a URL has no address, or the result is more than one line.
    pub fn render(&self, link: &Link) -> Result<String, NoScript> {
        let line = match self {
            Cmdline::Text(text) => render_template(text, link)?.trim().to_owned(),
            Cmdline::Options(options) => {
                let mut words = Vec::with_capacity(options.len());
                for (key, value) in options {
                    words.push(match value {
                        CmdlineValue::Bare => key.clone(),
                        CmdlineValue::Text(text) => format!("{key}={}", quoted(text)),
                        CmdlineValue::Url(url) => format!("{key}={}", link(url)?),
                    });
                }
                words.join(" ")
            }
        };
        match line.contains(['\n', '\r']) {
            true => Err(NoScript::SeveralLines),
            false => Ok(line),
        }
    }
}

fn quoted(text: &str) -> String {
    match text.contains(char::is_whitespace) {
        true => format!("\"{text}\""),
        false => text.to_owned(),
    }
}

/// The most that the template of a command line may take: it is rendered while a machine waits.
const CMDLINE_BUDGET: Budget = Budget {
    steps: 10_000,
    bytes: 1 << 20,
};

fn render_template(text: &str, link: &Link) -> Result<String, NoScript> {
    let link = Arc::clone(link);
    let url: Function = Arc::new(move |url| link(url).map_err(|error| FunctionError::of(&error)));
    let functions = Functions::from([("URL".to_owned(), url)]);
    let template = Template::parse_with("cmdline", text, MissingKey::Default, functions);
    let template = template.map_err(Box::new)?;
    let line = template.render(None, CMDLINE_BUDGET).map_err(Box::new)?;
    Ok(String::from_utf8(line.bytes)?)
}

/// The addresses that a script names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script<'a> {
    /// URL of the kernel.
    pub kernel: &'a str,
    /// URLs of the initrds, in loading order.
    pub initrd: &'a [String],
    /// URL fetched just before the boot, to report that it begins.
    pub booting: &'a str,
    /// Kernel options in one line.
    pub cmdline: &'a str,
}

impl Script<'_> {
    /// Returns the script's text. The kernel is told its initrds by name, without which an EFI kernel started
    /// by iPXE of before 2021 finds none.
    pub fn render(&self) -> String {
        let mut script = format!("#!ipxe\nkernel --name kernel {}\n", self.kernel);
        for (index, initrd) in self.initrd.iter().enumerate() {
            script.push_str(&format!("initrd --name initrd{index} {initrd}\n"));
        }
        script.push_str(&format!("imgfetch --name ready {} ||\n", self.booting));
        script.push_str("imgfree ready ||\nboot kernel ");
        for index in 0..self.initrd.len() {
            script.push_str(&format!("initrd=initrd{index} "));
        }
        script.push_str(self.cmdline);
        script.push('\n');
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cmdline(json: &str) -> Result<String, String> {
        let link: Link = Arc::new(|url| Ok(format!("<{url}>")));
        let body = format!(r#"{{"kernel": "k", "cmdline": {json}}}"#);
        match BootSpec::parse(body.as_bytes()).map_err(|error| error.to_string())? {
            BootSpec::Boot { cmdline, .. } => {
                cmdline.render(&link).map_err(|error| error.to_string())
            }
            BootSpec::Script(_) => Err("a script".to_owned()),
        }
    }

    #[test]
    fn object_values_reach_the_kernel_without_quotes() {
        let options = r#"{"b": true, "a": "1", "flag": "", "u": "http://x/?uuid=${uuid}&mac=1",
                          "c": {"url": "/c"}, "words": "x y"}"#;
        assert_eq!(
            cmdline(options).unwrap(),
            "a=1 b c=</c> flag u=http://x/?uuid=${uuid}&mac=1 words=\"x y\""
        );
    }

    #[test]
    fn text_is_a_template_with_urls() {
        assert_eq!(
            cmdline(r#"" console=ttyS0 cfg={{ URL \"/c\" }}\n""#).unwrap(),
            "console=ttyS0 cfg=</c>"
        );
        assert_eq!(cmdline("null").unwrap(), "");
    }

    #[test]
    fn more_than_one_line_and_other_types_are_refused() {
        for bad in [
            r#""a\nb""#,
            r#"{"a": "x\ny"}"#,
            r#"{"a": 1}"#,
            "[]",
            r#""{{ URL 1 }}""#,
        ] {
            assert!(cmdline(bad).is_err(), "{bad}");
        }
    }

    fn checked(body: &str) -> Result<(), String> {
        let link: Link = Arc::new(|url| match url.starts_with("file:") {
            true => Err(LinkError::of(format!("`{url}` is refused"))),
            false => Ok(format!("<{url}>")),
        });
        let spec = BootSpec::parse(body.as_bytes()).map_err(|error| error.to_string())?;
        spec.check(&link).map_err(|error| error.to_string())
    }

    #[test]
    fn answer_of_which_no_script_can_be_made_is_refused() {
        for bad in [
            "[]",
            "null",
            "\"k\"",
            "{}",
            "",
            "{\"kernel\":",
            r#"{"kernel":""}"#,
            r#"{"kernel":["k"]}"#,
            r#"{"kernel":"k","initrd":"i"}"#,
            r#"{"kernel":"k","initrd":[1]}"#,
            r#"{"kernel":"k","initrd":[""]}"#,
            r#"{"kernel":"k","initrd":["i",null]}"#,
            r#"{"kernel":"k","cmdline":"a\nb"}"#,
            r#"{"kernel":"k","cmdline":"a\rb"}"#,
            r#"{"kernel":"k","cmdline":{"a\nb":true}}"#,
            r#"{"kernel":"k","cmdline":{"a":"b\nc"}}"#,
            r#"{"kernel":"k","cmdline":{"a":1}}"#,
            r#"{"kernel":"k","cmdline":{"a":null}}"#,
            r#"{"kernel":"k","cmdline":{"a":{"url":1}}}"#,
            r#"{"kernel":"k","cmdline":{"a":{"url":"file:///etc/passwd"}}}"#,
            r#"{"kernel":"k","cmdline":["a"]}"#,
            r#"{"kernel":"k","cmdline":5}"#,
            r#"{"kernel":"k","cmdline":"{{"}"#,
            r#"{"kernel":"k","cmdline":"{{ if }}"}"#,
            r#"{"kernel":"k","cmdline":"{{ nofunction \"x\" }}"}"#,
            r#"{"kernel":"k","cmdline":"{{ URL }}"}"#,
            r#"{"kernel":"k","cmdline":"{{ URL \"file:///x\" }}"}"#,
            r#"{"kernel":"k","cmdline":"{{ URL `a` `b` }}"}"#,
            r#"{"kernel":"file:///k"}"#,
            r#"{"kernel":"k","initrd":["file:///k"]}"#,
            r#"{"kernel":"k","message":1}"#,
            r#"{"ipxe-script":["x"]}"#,
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn answer_with_keys_in_another_case_or_twice_is_read_as_go_reads_it() {
        for good in [
            r##"{"Kernel":"k","INITRD":["i"],"CmdLine":"a {{ URL \"/x\" }}","Message":"m","unknown":1}"##,
            r#"{"kernel":1e400,"kernel":"k"}"#.replace("1e400", "null").as_str(),
            r#"{"kernel":"j","Kernel":"k"} and more"#,
            r##"{"IPXE-Script":"#!ipxe\n"}"##,
            "{\"kernel\":\"k\",\"cmdline\":\"\\ud800\"}",
        ] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
        let spec = BootSpec::parse(br#"{"kernel":"j","Kernel":"k"}"#).unwrap();
        assert!(matches!(spec, BootSpec::Boot { kernel, .. } if kernel == "k"));
    }

    #[test]
    fn a_script_wins_over_everything_else() {
        let body = br##"{"kernel": "k", "ipxe-script": "#!ipxe\nshell\n"}"##;
        assert_eq!(
            BootSpec::parse(body).unwrap(),
            BootSpec::Script("#!ipxe\nshell\n".into())
        );
    }
}
