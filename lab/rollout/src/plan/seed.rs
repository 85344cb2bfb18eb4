//! NoCloud seed of a machine's cloud-init: the kernel option that names it, and its files as they are served.

use boot_server_catalog::nocloud::{Seed, SeedFile, SeedRequest};
use boot_server_catalog::snapshot::{Folder, Refusal, Snapshot};

use super::Document;
use super::machine::target_of;
use crate::inventory::Machine;

/// Path below which boot-server has the seeds of all machines.
const FOLDER: &str = "/nocloud";

/// NoCloud seed that a kernel option names, on this server.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedSeed {
    /// Kernel option, as the machine gets it.
    pub option: String,
    /// URL of the seed, with the DMI values that cloud-init fills in as far as the inventory has them.
    pub url: String,
    /// Files of the seed, in the order of their requests.
    pub files: Vec<PlannedSeedFile>,
}

/// File of a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedSeedFile {
    /// Name of the file.
    pub file: SeedFile,
    /// Path and query by which it is asked for.
    pub request: String,
    /// Served document, or the reason of a 404.
    pub served: Result<Document, Refusal>,
}

impl PlannedSeed {
    /// Returns a file of the seed.
    #[must_use]
    pub fn file(&self, file: SeedFile) -> Option<&PlannedSeedFile> {
        self.files.iter().find(|planned| planned.file == file)
    }

    /// Returns the first file that is refused: cloud-init gives the seed up there.
    #[must_use]
    pub fn refused(&self) -> Option<(SeedFile, &Refusal)> {
        let mut files = self.files.iter();
        files.find_map(|planned| Some((planned.file, planned.served.as_ref().err()?)))
    }
}

/// Returns the seed of a kernel command line; `None` without one, and for a seed that this server does not have.
pub(super) fn plan(
    snapshot: &Snapshot,
    machine: &Machine,
    command_line: &str,
) -> Option<PlannedSeed> {
    let mut options = command_line.split_whitespace().rev();
    let (option, seed) = options.find_map(|option| Some((option, Seed::of_option(option)?)))?;
    let seed = Seed {
        url: with_dmi_values(seed.url, machine),
        ..seed
    };
    let files: Vec<PlannedSeedFile> = SeedFile::ALL
        .into_iter()
        .filter_map(|file| planned(snapshot, &seed, file))
        .collect();
    (!files.is_empty()).then(|| PlannedSeed {
        option: option.to_owned(),
        url: seed.url,
        files,
    })
}

/// Returns the URL with the machine's DMI values, as cloud-init 23 and later fill them in.
fn with_dmi_values(url: String, machine: &Machine) -> String {
    let values = [
        ("__dmi.system-serial-number__", &machine.serial),
        ("__dmi.system-uuid__", &machine.uuid),
    ];
    let known = values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    known.fold(url, |url, (name, value)| url.replace(name, value))
}

fn planned(snapshot: &Snapshot, seed: &Seed, file: SeedFile) -> Option<PlannedSeedFile> {
    let url = seed.url_of(file);
    let (path, query) = target_of(&url)?;
    if !path.starts_with(FOLDER) {
        return None;
    }
    let request = match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{query}"),
    };
    let served = match SeedRequest::parse(path, query) {
        Ok(request) => snapshot.seed_file(&request),
        Err(invalid) => Err(Refusal::without_group(invalid.to_string())),
    };
    let made_of = |name: String| match file {
        SeedFile::UserData => Some(format!("{}/{name}", Folder::Cloud.name())),
        SeedFile::MetaData | SeedFile::VendorData | SeedFile::NetworkConfig => None,
    };
    let served = served.map(|served| Document {
        request: request.clone(),
        file: made_of(served.file),
        text: served.text.into(),
    });
    Some(PlannedSeedFile {
        file,
        request,
        served,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{directory, inventory, snapshot};
    use crate::plan::{Plan, plan};

    /// Returns the plan of one machine, by a profile with this kernel option.
    fn planned(option: &str, machine: &str) -> Plan {
        let (key, value) = option.split_once('=').unwrap();
        let spec = serde_json::json!({
            "id": "s", "cloud_id": "s.yaml",
            "boot": {"kernel": "/k", "cmdline": {"quiet": "", (key): value}},
        });
        let folder = directory(&[
            (
                "config.yaml",
                "api_version: v1alpha1\ngroups:\n- {name: one, spec: s, require: {serial: 'SN7'}, metadata: {hostname: quay}}\n",
            ),
            ("specs/s/spec.json", &spec.to_string()),
            ("cloud/s.yaml", "#cloud-config\nhostname: {{.hostname}}\n"),
        ]);
        plan(
            &snapshot(folder.path()),
            &inventory(&format!("machines: [{machine}]")),
        )
    }

    const MACHINE: &str = "{name: a, mac: '52:54:00:00:00:01', serial: SN7}";

    fn seed(plan: &Plan) -> Option<&PlannedSeed> {
        plan.machines[0].outcome.as_ref().unwrap().seed.as_ref()
    }

    #[test]
    fn seed_is_planned_with_each_file_as_served() {
        let option =
            "ds=nocloud-net;s=http://h:8080/nocloud/serial=${serial}&mac=${net0/mac:hexhyp}/";
        let plan = planned(option, MACHINE);
        let seed = seed(&plan).unwrap();
        let url = "http://h:8080/nocloud/serial=SN7&mac=52-54-00-00-00-01/";
        assert_eq!(
            (&*seed.url, &*seed.option),
            (url, &*format!("ds=nocloud-net;s={url}"))
        );
        let texts: Vec<(&str, Option<&str>, &str)> = seed
            .files
            .iter()
            .map(|planned| {
                let served = planned.served.as_ref().unwrap();
                assert_eq!(served.request, planned.request);
                let name = planned.file.name();
                let below = "/nocloud/serial=SN7&mac=52-54-00-00-00-01/";
                assert_eq!(planned.request, format!("{below}{name}"));
                (name, served.file.as_deref(), &*served.text)
            })
            .collect();
        let meta_data = "{\n  \"hostname\": \"quay\",\n  \"instance-id\": \"SN7\",\n  \"local-hostname\": \"quay\"\n}\n";
        assert_eq!(
            texts,
            [
                ("meta-data", None, meta_data),
                (
                    "user-data",
                    Some("cloud/s.yaml"),
                    "#cloud-config\nhostname: quay\n"
                ),
                ("vendor-data", None, ""),
                ("network-config", None, ""),
            ]
        );
        assert_eq!(plan.machines[0].problems(), [""; 0]);
        let booted = plan.machines[0].outcome.as_ref().unwrap();
        assert!(booted.config(Folder::Cloud).is_none(), "the seed has it");
    }

    #[test]
    fn seed_that_is_refused_is_a_problem_of_its_first_file() {
        let told = |option: &str, machine: &str| planned(option, machine).machines[0].problems();
        assert_eq!(
            told(
                "ds=nocloud-net;s=http://h/nocloud/serial=${serial}",
                MACHINE
            ),
            [
                "requests meta-data of its NoCloud seed and gets none: no file of a seed: `serial=SN7meta-data` (the URL of \
                 the seed needs a `/` at its end, or `=` after a query)"
            ]
        );
        let none = told("ds=nocloud-net;s=http://h/nocloud/uuid=${uuid}/", MACHINE);
        assert_eq!(none.len(), 1, "{none:?}");
        let start =
            "requests meta-data of its NoCloud seed and gets none: none of 1 groups matches";
        assert!(none[0].starts_with(start), "{none:?}");
    }

    #[test]
    fn dmi_values_are_those_of_the_inventory() {
        let option = "ds=nocloud-net;s=http://h/nocloud/serial=__dmi.system-serial-number__/";
        let plan = planned(option, MACHINE);
        assert_eq!(seed(&plan).unwrap().url, "http://h/nocloud/serial=SN7/");
        let option = "ds=nocloud-net;s=http://h/nocloud/serial=${serial}/u=__dmi.system-uuid__/";
        let problems = planned(option, MACHINE).machines[0].problems();
        assert!(
            problems[0].contains("no value of the machine's DMI in `u=__dmi"),
            "{problems:?}"
        );
    }

    #[test]
    fn seed_of_another_server_is_not_planned() {
        for option in [
            "ds=nocloud-net;s=http://h/seeds/${serial}/",
            "ds=nocloud-net;s=file:///seed/",
            "ds=nocloud",
        ] {
            let plan = planned(option, MACHINE);
            assert_eq!(seed(&plan), None, "{option}");
        }
    }
}
