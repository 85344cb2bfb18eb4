//! Kernel option with the URL of a seed, and the URLs of the seed's files.

use std::fmt;

/// File of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeedFile {
    /// Names of the instance and the host, and values for jinja.
    MetaData,
    /// The machine's config.
    UserData,
    /// Config of the provider, applied before the user's.
    VendorData,
    /// Config of network interfaces, requested by cloud-init 23.2 and later.
    NetworkConfig,
}

impl SeedFile {
    /// All files, in the order in which cloud-init 22.4 requests the first three.
    pub const ALL: [SeedFile; 4] = [
        SeedFile::MetaData,
        SeedFile::UserData,
        SeedFile::VendorData,
        SeedFile::NetworkConfig,
    ];

    /// Returns the name that cloud-init appends to the URL of the seed.
    pub fn name(self) -> &'static str {
        match self {
            SeedFile::MetaData => "meta-data",
            SeedFile::UserData => "user-data",
            SeedFile::VendorData => "vendor-data",
            SeedFile::NetworkConfig => "network-config",
        }
    }

    /// Returns the file of a name.
    pub fn of_name(name: &str) -> Option<SeedFile> {
        SeedFile::ALL.into_iter().find(|file| file.name() == name)
    }
}

impl fmt::Display for SeedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Name of the data source in a kernel option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedSource {
    /// `ds=nocloud`. cloud-init 22.4 loads such a seed from a web server, and ignores it.
    Nocloud,
    /// `ds=nocloud-net`.
    NocloudNet,
}

/// URL of a seed, as written in a kernel option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Name of the data source.
    pub source: SeedSource,
    /// The URL, which may name values of the machine's DMI: `__dmi.system-serial-number__`.
    pub url: String,
}

impl Seed {
    /// Returns the seed of a kernel command line's options: the last `ds=nocloud` counts, and its last `s=` or `seedfrom=`.
    pub fn of_options<'o>(options: impl IntoIterator<Item = &'o str>) -> Option<Seed> {
        options.into_iter().filter_map(Seed::of_option).last()
    }

    /// Returns the seed of a kernel option such as `ds=nocloud;s=http://HOST/nocloud/`; `None` for other options and for
    /// seeds that are not on a web server.
    pub fn of_option(option: &str) -> Option<Seed> {
        // PXELINUX and GRUB need quotes around `;` and `&`, or take them.
        let option = option.replace(['"', '\'', '\\'], "");
        let (source, settings) = option.strip_prefix("ds=")?.split_once(';')?;
        let source = match source {
            "nocloud" => SeedSource::Nocloud,
            "nocloud-net" => SeedSource::NocloudNet,
            _ => return None,
        };
        let pairs = settings.split(';').filter_map(|item| item.split_once('='));
        let mut urls = pairs.filter(|(key, _)| ["s", "seedfrom"].contains(key));
        let (_, url) = urls.next_back()?;
        let is_web = url.starts_with("http://") || url.starts_with("https://");
        is_web.then(|| Seed {
            source,
            url: url.to_owned(),
        })
    }

    /// Returns the URL of a file of the seed.
    pub fn url_of(&self, file: SeedFile) -> String {
        match self.url.contains("%s") {
            true => self.url.replace("%s", file.name()),
            false => format!("{}{file}", self.url),
        }
    }

    /// True if the machine puts values of its DMI into the URL, so that nobody else knows it.
    pub fn has_dmi_values(&self) -> bool {
        self.url.contains("__dmi.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_is_read_from_the_last_option_that_names_one() {
        let url = |options: &[&str]| Seed::of_options(options.iter().copied()).map(|seed| seed.url);
        let found = |text: &str| Some(text.to_owned());
        for (option, seed) in [
            ("ds=nocloud;s=http://h/a/", found("http://h/a/")),
            (
                "ds=nocloud-net;seedfrom=https://h/a/",
                found("https://h/a/"),
            ),
            (
                "ds=nocloud-net;i=x;h=y;s=http://h/nc?mac=1&f=",
                found("http://h/nc?mac=1&f="),
            ),
            ("ds=nocloud\\;s=http://h/a/", found("http://h/a/")),
            ("ds=nocloud", None),
            ("ds=NoCloud;s=http://h/a/", None),
            ("ds=nocloud;s=HTTP://h/a/", None),
            ("ds=nocloud;s=file:///seed/", None),
            ("ds=ec2;s=http://h/a/", None),
        ] {
            assert_eq!(url(&["quiet", option]), seed, "{option}");
        }
        let both = ["ds=nocloud;s=http://h/a/", "ds=nocloud;s=http://h/b/"];
        assert_eq!(url(&both), found("http://h/b/"));
        let source = |option: &str| Seed::of_option(option).map(|seed| seed.source);
        let net = source("ds=nocloud-net;s=http://h/a/");
        assert_eq!(net, Some(SeedSource::NocloudNet));
        assert_eq!(source(both[0]), Some(SeedSource::Nocloud));
    }

    #[test]
    fn name_of_a_file_is_appended_or_replaces_percent_s() {
        let url = |url: &str| {
            let seed = Seed {
                source: SeedSource::NocloudNet,
                url: url.into(),
            };
            seed.url_of(SeedFile::UserData)
        };
        assert_eq!(url("http://h/nc?f="), "http://h/nc?f=user-data");
        assert_eq!(url("http://h/%s?mac=1"), "http://h/user-data?mac=1");
    }
}
