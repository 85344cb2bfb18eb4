//! Normalization of the command line and the environment before the flags are parsed.
//!
//! Variables of the environment become flags before the typed ones, which override them. Flags with one dash,
//! as Go programs accept them, get two. A program called by the name `bootcfg` or `matchbox` gets that
//! program's defaults.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The prefixes of variables, the strongest first: our own, matchbox's, bootcfg's.
pub(super) const PREFIXES: [&str; 3] = ["BOOT_SERVER_", "MATCHBOX_", "BOOTCFG_"];

/// A flag, as far as this module has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: String,
    /// True if the flag takes no value, e.g. `--web-ssl`.
    pub(super) is_switch: bool,
}

/// Name by which the program was invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CalledAs {
    BootServer,
    Bootcfg,
    Matchbox,
}

impl CalledAs {
    pub(super) fn of(program: &OsStr) -> CalledAs {
        match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some("bootcfg") => CalledAs::Bootcfg,
            Some("matchbox") => CalledAs::Matchbox,
            _ => CalledAs::BootServer,
        }
    }

    /// Returns the flags with other defaults than this server's: those of bootcfg 0.2, of matchbox 0.5 and
    /// later.
    fn defaults(self) -> &'static [(&'static str, &'static str)] {
        match self {
            CalledAs::BootServer => &[],
            CalledAs::Bootcfg => &[
                ("address", "127.0.0.1:8080"),
                ("data-path", "./data"),
                ("assets-path", "./assets"),
            ],
            CalledAs::Matchbox => &[
                ("address", "127.0.0.1:8080"),
                ("data-path", "/var/lib/matchbox"),
                ("assets-path", "/var/lib/matchbox/assets"),
            ],
        }
    }
}

/// Arguments to parse, and the origin of those from the environment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) list: Vec<OsString>,
    /// Flag and variable.
    pub(super) from_environment: Vec<(String, String)>,
    /// Words that the replaced program does not read.
    pub(super) unread: Vec<OsString>,
}

/// Words that the command line has.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) flags: Vec<Flag>,
    pub(super) subcommands: Vec<String>,
}

/// bootcfg 0.1 had the first flag instead of the second, whose default is ignored beside it.
const IMAGES: (&str, &str) = ("images-path", "assets-path");

/// Switches that the command line has by itself.
const BUILT_IN: [&str; 2] = ["help", "version"];

/// Switch with a value that is not a boolean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value}: write true or false")]
pub(super) struct InvalidSwitch {
    /// Flag with its dashes, or environment variable.
    name: String,
    value: String,
}

/// Brings everything into one form. `variable` reads the environment.
///
/// # Errors
/// A switch has a value that is not a boolean.
pub(super) fn collect(
    typed: &[OsString],
    known: &Known,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Arguments, InvalidSwitch> {
    let (program, typed) = typed
        .split_first()
        .map_or((OsStr::new("boot-server"), typed), |s| {
            (s.0.as_os_str(), s.1)
        });
    let flags = &known.flags;
    let called_as = CalledAs::of(program);
    let mut typed = go_dashes(typed);
    let unread = match called_as {
        CalledAs::BootServer => Vec::new(),
        CalledAs::Bootcfg | CalledAs::Matchbox => unread(&mut typed, known),
    };
    let typed = go_switches(typed, flags)?;
    let named = named(&typed);
    let mut list = vec![program.to_owned()];
    let mut from_environment = Vec::new();
    let has_subcommand = typed.first().is_some_and(|word| !is_flag(word));
    let of_environment = |flag: &str| {
        PREFIXES.iter().find_map(|prefix| {
            let name = format!("{prefix}{}", flag.to_ascii_uppercase().replace('-', "_"));
            // bootcfg and matchbox (coreos/pkg flagutil) take an empty variable for none.
            let counts = |value: &OsString| *prefix == PREFIXES[0] || !value.is_empty();
            Some((variable(&name).filter(counts)?, name))
        })
    };
    let has_images = named.contains(IMAGES.0) || of_environment(IMAGES.0).is_some();
    for flag in flags.iter().filter(|_| !has_subcommand) {
        if named.contains(&flag.name) {
            continue;
        }
        let found = of_environment(&flag.name);
        let value = match found {
            Some((value, name)) => {
                from_environment.push((flag.name.clone(), name));
                value
            }
            None => match called_as
                .defaults()
                .iter()
                .find(|(name, _)| *name == flag.name && !(has_images && *name == IMAGES.1))
            {
                Some((_, value)) => (*value).into(),
                None => continue,
            },
        };
        if flag.is_switch {
            match value.to_str().map(go_bool) {
                Some(Some(true)) => list.push(format!("--{}", flag.name).into()),
                Some(Some(false)) => {}
                _ if value.is_empty() => {}
                _ => {
                    let (_, name) = from_environment.last().cloned().unwrap_or_default();
                    let value = value.display().to_string();
                    return Err(InvalidSwitch { name, value });
                }
            }
        } else {
            let mut word = OsString::from(format!("--{}=", flag.name));
            word.push(value);
            list.push(word);
        }
    }
    list.extend(typed);
    Ok(Arguments {
        list,
        from_environment,
        unread,
    })
}

/// Takes away what Go's `flag` package leaves unread: the first word that is neither a flag nor the value of one, and
/// everything behind it. A subcommand of this server stays.
fn unread(typed: &mut Vec<OsString>, known: &Known) -> Vec<OsString> {
    let is_switch = |name: &str| {
        let mut switches = known.flags.iter().filter(|flag| flag.is_switch);
        BUILT_IN.contains(&name) || name == "h" || switches.any(|flag| flag.name == name)
    };
    let mut end = 0;
    while let Some(word) = typed.get(end) {
        let text = word.to_str().unwrap_or_default();
        let name = text.trim_start_matches('-');
        if name.is_empty() || !is_flag(word) {
            break;
        }
        end += if name.contains('=') || is_switch(name) {
            1
        } else {
            2
        };
    }
    let is_subcommand =
        |word: &OsString| known.subcommands.iter().any(|known| word == known.as_str());
    if end == 0 && typed.first().is_some_and(is_subcommand) {
        return Vec::new();
    }
    typed.split_off(end.min(typed.len()))
}

/// Returns a boolean as Go's `strconv.ParseBool` reads it.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Some(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Brings `--switch=true` into the form `--switch`, and leaves `--switch=false` out. The last one of a switch
/// counts.
fn go_switches(typed: Vec<OsString>, flags: &[Flag]) -> Result<Vec<OsString>, InvalidSwitch> {
    let mut words: Vec<OsString> = Vec::with_capacity(typed.len());
    for word in typed {
        let written = word.to_str().and_then(|text| text.strip_prefix("--"));
        let Some((name, value)) = written.and_then(|text| text.split_once('=')) else {
            words.push(word);
            continue;
        };
        let mut switches = flags
            .iter()
            .filter(|flag| flag.is_switch)
            .map(|flag| flag.name.as_str());
        if !BUILT_IN.contains(&name) && !switches.any(|switch| switch == name) {
            words.push(word);
            continue;
        }
        let switch = OsString::from(format!("--{name}"));
        let is_on = go_bool(value).ok_or_else(|| InvalidSwitch {
            name: format!("--{name}"),
            value: value.to_owned(),
        })?;
        words.retain(|earlier| *earlier != switch);
        if is_on {
            words.push(switch);
        }
    }
    Ok(words)
}

fn is_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes().first() == Some(&b'-')
}

/// Flags that were typed, by name.
fn named(typed: &[OsString]) -> BTreeSet<String> {
    let flag = |word: &OsString| {
        let name = word.to_str()?.strip_prefix("--")?;
        Some(name.split('=').next().unwrap_or(name).to_owned())
    };
    typed.iter().filter_map(flag).collect()
}

/// Go's `flag` package takes `-name` for `--name`; switches may be written `-name=true`. Subcommands
/// have flags of their own, which are left alone.
fn go_dashes(typed: &[OsString]) -> Vec<OsString> {
    let mut words = Vec::with_capacity(typed.len());
    let mut subcommand = false;
    let mut value_of_flag = false;
    for word in typed {
        let text = word.to_str().unwrap_or_default();
        if subcommand || (value_of_flag && !text.starts_with('-')) {
            words.push(word.clone());
            value_of_flag = false;
            continue;
        }
        let single = text.strip_prefix('-').filter(|name| {
            name.len() > 1 && name.starts_with(|first: char| first.is_ascii_lowercase())
        });
        match single {
            Some(_) => {
                let mut double = OsString::from("-");
                double.push(word);
                words.push(double);
            }
            None => words.push(word.clone()),
        }
        value_of_flag = text.starts_with('-') && !text.contains('=');
        subcommand = !text.starts_with('-');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let flag = |name: &str, is_switch| Flag {
            name: name.to_owned(),
            is_switch,
        };
        Known {
            flags: vec![
                flag("address", false),
                flag("data-path", false),
                flag("assets-path", false),
                flag("images-path", false),
                flag("web-ssl", true),
            ],
            subcommands: vec!["check".to_owned()],
        }
    }

    fn collected(typed: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        let variable = |name: &str| {
            let found = environment.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let arguments = collect(&typed, &known(), variable).unwrap();
        let words = arguments.list.into_iter().skip(1);
        words.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let typed = [
            "x",
            "-address=0.0.0.0:80",
            "-data-path",
            "/d",
            "-h",
            "--web-ssl",
        ];
        let words = [
            "--address=0.0.0.0:80",
            "--data-path",
            "/d",
            "-h",
            "--web-ssl",
        ];
        assert_eq!(collected(&typed, &[]), words);
    }

    #[test]
    fn the_flags_of_subcommands_are_left_alone() {
        let typed = ["x", "pixiecore", "boot", "vmlinuz", "-cmdline", "-d"];
        assert_eq!(
            collected(&typed, &[("MATCHBOX_ADDRESS", "1.1.1.1:1")]),
            typed[1..]
        );
    }

    #[test]
    fn a_flag_beats_a_variable_and_our_variables_beat_theirs() {
        let environment = [
            ("BOOTCFG_ADDRESS", "b:1"),
            ("MATCHBOX_ADDRESS", "m:1"),
            ("BOOT_SERVER_DATA_PATH", "/ours"),
            ("MATCHBOX_DATA_PATH", "/theirs"),
            ("BOOTCFG_IMAGES_PATH", "/images"),
        ];
        let words = [
            "--address=m:1",
            "--data-path=/ours",
            "--images-path=/images",
        ];
        assert_eq!(collected(&["x"], &environment), words);
        let words = [
            "--address=m:1",
            "--images-path=/images",
            "--data-path",
            "/typed",
        ];
        assert_eq!(
            collected(&["x", "-data-path", "/typed"], &environment),
            words
        );
        let typed = ["x", "-images-path=/i", "-address=a:1", "-data-path=d"];
        assert_eq!(collected(&typed, &environment).len(), 3);
    }

    #[test]
    fn empty_variable_of_bootcfg_or_matchbox_is_none() {
        let environment = [
            ("MATCHBOX_ADDRESS", ""),
            ("BOOTCFG_ADDRESS", "b:1"),
            ("MATCHBOX_WEB_SSL", ""),
            ("MATCHBOX_ASSETS_PATH", ""),
        ];
        assert_eq!(collected(&["x"], &environment), ["--address=b:1"]);
        let ours = [("BOOT_SERVER_ASSETS_PATH", "")];
        assert_eq!(collected(&["x"], &ours), ["--assets-path="]);
    }

    #[test]
    fn images_path_takes_the_place_of_the_default_of_assets_path() {
        let defaults = [
            "--address=127.0.0.1:8080",
            "--data-path=./data",
            "--images-path=/i",
        ];
        assert_eq!(collected(&["bootcfg", "-images-path=/i"], &[]), defaults);
        let environment = [("BOOTCFG_IMAGES_PATH", "/i")];
        assert_eq!(collected(&["bootcfg"], &environment), defaults);
    }

    #[test]
    fn switch_with_a_value_is_read_as_go_reads_it() {
        for on in [
            "-web-ssl",
            "-web-ssl=true",
            "--web-ssl=1",
            "-web-ssl=T",
            "-web-ssl=TRUE",
        ] {
            assert_eq!(collected(&["x", on], &[]), ["--web-ssl"], "{on}");
        }
        let environment = [("MATCHBOX_WEB_SSL", "false")];
        assert_eq!(
            collected(&["x", "-web-ssl=true"], &environment),
            ["--web-ssl"]
        );
        for off in ["-web-ssl=false", "--web-ssl=0", "-web-ssl=F"] {
            assert_eq!(collected(&["x", off], &[]), [""; 0], "{off}");
            assert_eq!(collected(&["x", "-web-ssl", off], &[]), [""; 0], "{off}");
        }
        assert_eq!(collected(&["x", "-version=true"], &[]), ["--version"]);
        let error = collect(&["x".into(), "-web-ssl=maybe".into()], &known(), |_| None);
        assert!(error.is_err());
        // The value of another flag is not a switch.
        assert_eq!(
            collected(&["x", "-address=web-ssl=true"], &[]),
            ["--address=web-ssl=true"]
        );
    }

    #[test]
    fn a_switch_in_the_environment_is_true_or_false() {
        assert_eq!(
            collected(&["x"], &[("MATCHBOX_WEB_SSL", "true")]),
            ["--web-ssl"]
        );
        assert!(collected(&["x"], &[("MATCHBOX_WEB_SSL", "false")]).is_empty());
        let error = collect(&["x".into()], &known(), |name| {
            (name == "MATCHBOX_WEB_SSL").then(|| "yes please".into())
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "MATCHBOX_WEB_SSL=yes please: write true or false"
        );
    }

    #[test]
    fn words_that_go_does_not_read_are_unread_under_the_replaced_names() {
        let read = |typed: &[&str]| {
            let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
            let arguments = collect(&typed, &known(), |_| None).unwrap();
            let text = |words: Vec<OsString>| -> Vec<String> {
                words
                    .into_iter()
                    .map(|word| word.into_string().unwrap())
                    .collect()
            };
            (text(arguments.list), text(arguments.unread))
        };
        for (typed, unread) in [
            (&["-address=a:1", "/data"][..], &["/data"][..]),
            (&["/data", "-address=a:1"], &["/data", "-address=a:1"]),
            (
                &["-web-ssl", "true", "-address=a:1"],
                &["true", "--address=a:1"],
            ),
            (&["-address", "a:1", "--", "-web-ssl"], &["--", "--web-ssl"]),
            (&["-", "x"], &["-", "x"]),
            (&["-data-path", "d", "check"], &["check"]),
            (&["-data-path", "d", "-web-ssl=true"], &[]),
            (&["-data-path"], &[]),
        ] {
            for program in ["matchbox", "/opt/bootcfg"] {
                let typed = [&[program][..], typed].concat();
                let (list, left) = read(&typed);
                assert_eq!(left, unread, "{typed:?}");
                assert!(
                    list.iter().all(|word| !unread.contains(&word.as_str())),
                    "{list:?}"
                );
            }
            let typed = [&["boot-server"][..], typed].concat();
            assert_eq!(read(&typed).1, [""; 0], "{typed:?}");
        }
        let check = ["matchbox", "check", "/data"];
        assert_eq!(
            read(&check),
            (check.map(str::to_owned).to_vec(), Vec::new())
        );
    }

    #[test]
    fn the_name_it_is_called_by_chooses_the_defaults() {
        let words = collected(&["/usr/bin/matchbox", "-assets-path="], &[]);
        let expected = [
            "--address=127.0.0.1:8080",
            "--data-path=/var/lib/matchbox",
            "--assets-path=",
        ];
        assert_eq!(words, expected);
        assert!(collected(&["./bootcfg"], &[]).contains(&"--data-path=./data".to_owned()));
        assert!(collected(&["boot-server"], &[]).is_empty());
    }
}
