//! Writer of a rehearsal's scenarios: `scenario.toml` and a snapshot of the data directory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lab_model::scenario::{DataCheck, Deadline, FILE_NAME, Image, Machines, Scenario, Silence};
use lab_model::untrusted::tree::{Limits, Tree};

use super::environment::Environment;
use super::{Cast, RehearsalError, Request};

/// Time limit of one machine, from power-on to the last check.
const DEADLINE: Duration = Duration::from_secs(300);

/// Maximum length of a scenario's name, which is part of paths and reports.
const NAME_LIMIT: usize = 24;

/// Returns a name for each scenario: the site's, with a number if its firmware is not unique.
pub(super) fn names(site: &str, casts: &[Cast]) -> Vec<String> {
    let site = word(site);
    casts
        .iter()
        .enumerate()
        .map(|(index, cast)| {
            let before = casts.iter().take(index);
            match before.filter(|one| one.firmware == cast.firmware).count() {
                0 => site.clone(),
                others => format!("{site}-{}", others + 1),
            }
        })
        .collect()
}

/// Converts a text into a valid scenario or node name: lowercase letters, digits and hyphens.
pub(super) fn word(text: &str) -> String {
    let mut word = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => word.push(letter),
            _ if word.is_empty() || word.ends_with('-') => {}
            _ => word.push('-'),
        }
    }
    let word: String = word.chars().take(NAME_LIMIT).collect();
    match word.trim_matches('-') {
        "" => "site".to_owned(),
        word => word.to_owned(),
    }
}

/// Writes a scenario and loads it again, as the cell will.
pub(super) fn scenario(
    folder: &Path,
    name: &str,
    request: &Request<'_>,
    environment: &Environment,
    cast: Cast,
) -> Result<Scenario, RehearsalError> {
    // Two scenarios may share a name if their firmware differs, so each has its own folder.
    let folder = folder.join(cast.firmware.name()).join(name);
    let scenario = Scenario {
        name: name.to_owned(),
        dir: folder.clone(),
        summary: format!(
            "Rehearsal of {} in the network {}",
            request.data.display(),
            environment.name
        ),
        runs_first: false,
        firmware_package: None,
        firmware: vec![cast.firmware],
        machines: Machines::Virtual,
        network: environment.network.clone().into(),
        routers: Vec::new(),
        services: environment.services.clone(),
        boot: environment.boot,
        image: Image { name: cast.image },
        deadline: Deadline {
            boot: DEADLINE,
            silence: Silence::default(),
        },
        custom_services: environment.custom.clone(),
        programs: environment.programs.clone(),
        nodes: cast.nodes,
    };
    // `assets` below a matchbox directory is large and served from elsewhere.
    Tree::survey(request.data, Limits::DATA, |path| {
        path == Path::new("assets")
    })
    .and_then(|tree| tree.copy_to(&scenario.data_dir()))
    .map_err(|error| RehearsalError::file(&error.path)(error.source))?;
    if let Some(from) = &environment.folder {
        let is_replaced = |path: &Path| path == Path::new("data") || path == Path::new(FILE_NAME);
        Tree::survey(from, Limits::DATA, is_replaced)
            .and_then(|tree| tree.copy_to(&folder))
            .map_err(|error| RehearsalError::file(&error.path)(error.source))?;
    }
    for (name, text) in &environment.files {
        let file = folder.join(name);
        fs::write(&file, text).map_err(RehearsalError::file(&file))?;
    }
    let file = folder.join(FILE_NAME);
    let text = scenario
        .to_toml()
        .map_err(|error| RehearsalError::file(&file)(std::io::Error::other(error)))?;
    fs::write(&file, text).map_err(RehearsalError::file(&file))?;
    Ok(Scenario::load_with(&folder, DataCheck::Skip)?)
}
