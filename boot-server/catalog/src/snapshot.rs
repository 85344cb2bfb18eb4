//! A data directory as it was loaded: groups, profiles, configs, none of which changes any more.
//!
//! A request is answered from one snapshot from beginning to end, and reads no file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use go_template::{Budget, Value};

pub use super::layout::{Folder, Layout};

use super::files::Unreadable;
use super::ignition::{self, Language};
use super::matching::{Group, Groups};
use super::profile::Profile;
use super::template::{ConfigText, InvalidTemplate, Metadata, Why};
use super::translations::Translations;
use super::unavailable::{ConfigError, InvalidConfig, InvalidRendered, NoProfile, ProfileError};
use super::{BootSettings, Labels, Selection, cloud_config};

/// Refusal of a machine: a sentence for events and error bodies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The group that matched, if one did.
    pub group: Option<String>,
    /// Label keys that this group requires, sorted.
    pub selectors: Vec<String>,
    /// Reason in one sentence.
    pub reason: String,
    /// The config takes more to render than it was given: with a larger budget it may be served.
    pub is_over_budget: bool,
}

impl Refusal {
    /// Returns the refusal of a machine that no group is for.
    pub fn without_group(reason: impl Into<String>) -> Refusal {
        Refusal {
            group: None,
            selectors: Vec::new(),
            reason: reason.into(),
            is_over_budget: false,
        }
    }
}

/// Reasons that a config cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Unrendered {
    /// The config is missing or broken.
    #[error(transparent)]
    Absent(#[from] ConfigError),
    /// The template cannot be executed with these values.
    #[error("{file}: {error}")]
    Template {
        /// The file, from the data directory.
        file: String,
        /// Mistake in the template.
        error: InvalidTemplate,
    },
}

impl Unrendered {
    /// Returns the mistake in the template.
    pub fn template(&self) -> Option<&InvalidTemplate> {
        match self {
            Unrendered::Template { error, .. } => Some(error),
            Unrendered::Absent(_) => None,
        }
    }
}

/// A config that is served to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedConfig<T = String> {
    /// The group that matched.
    pub group: String,
    /// Label keys that this group requires, sorted.
    pub selectors: Vec<String>,
    /// Name of the file, as the profile has it.
    pub file: String,
    /// Rendered text of the config.
    pub text: T,
}

/// Everything of a data directory, as it was at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Layout of the directory.
    pub layout: Layout,
    /// Groups in matching order.
    pub groups: Groups,
    /// Profiles by id, or the reason that a referenced profile is missing.
    pub(super) profiles: BTreeMap<Arc<str>, Result<Arc<Profile>, ProfileError>>,
    /// Configs that profiles refer to, or the reason that a config is missing.
    pub(super) configs: BTreeMap<(Folder, Arc<str>), Result<ConfigText, ConfigError>>,
    /// Translated Ignition configs.
    pub(super) translations: Translations,
}

impl Snapshot {
    /// Returns the profiles that could be read, by id.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.values().flatten()
    }

    /// Returns the number of profiles, including those that a group names and the directory lacks.
    pub fn profile_count(&self) -> usize {
        self.profiles.len()
    }

    /// Returns the configs that profiles name and that could be read.
    pub fn configs(&self) -> impl Iterator<Item = (Folder, &Arc<str>, &ConfigText)> {
        let configs = self.configs.iter();
        configs.filter_map(|((folder, file), text)| Some((*folder, file, text.as_ref().ok()?)))
    }

    /// Returns the best matching group.
    ///
    /// # Errors
    /// No group matches; the reason names the closest ones.
    pub fn group(&self, labels: &Labels) -> Result<&Arc<Group>, Refusal> {
        let why = || Refusal::without_group(self.groups.why_none(labels));
        self.groups.select(labels).ok_or_else(why)
    }

    /// Returns a profile by its id.
    ///
    /// # Errors
    /// It is missing or broken.
    pub fn profile(&self, id: &str) -> Result<&Arc<Profile>, NoProfile> {
        let error = match self.profiles.get(id) {
            Some(Ok(profile)) => return Ok(profile),
            Some(Err(error)) => error.clone(),
            None => Unreadable::Missing(self.layout.profile_file(id)).into(),
        };
        Err(NoProfile {
            word: self.layout.profile_word(),
            id: id.to_owned(),
            error,
        })
    }

    fn group_and_profile(&self, labels: &Labels) -> Result<(&Arc<Group>, &Arc<Profile>), Refusal> {
        let group = self.group(labels)?;
        let profile = self.profile(&group.profile_id);
        Ok((group, profile.map_err(|reason| group.refuse(reason))?))
    }

    /// Returns the group and profile a machine boots by.
    ///
    /// # Errors
    /// No group, no readable profile, or one without `boot`.
    pub fn bootable(&self, labels: &Labels) -> Result<(&Arc<Group>, &Arc<Profile>), Refusal> {
        let (group, profile) = self.group_and_profile(labels)?;
        match profile.boot {
            Some(_) => Ok((group, profile)),
            None => Err(group.refuse(self.lacks(group, "boot"))),
        }
    }

    /// Returns the group a machine boots by, and what it boots.
    ///
    /// # Errors
    /// As [`Snapshot::bootable`].
    pub fn boot(&self, labels: &Labels) -> Result<(&Arc<Group>, Arc<BootSettings>), Refusal> {
        let (group, profile) = self.bootable(labels)?;
        Ok((group, profile.settings.clone().unwrap_or_default()))
    }

    fn lacks(&self, group: &Group, key: &str) -> String {
        format!(
            "{} `{}` has no `{key}`",
            self.layout.profile_word(),
            group.profile_id
        )
    }

    /// Returns the machine's config in a folder, rendered and checked.
    ///
    /// # Errors
    /// The first problem, from the group to the rendered text.
    pub fn config(
        &self,
        folder: Folder,
        labels: &Labels,
        query: &str,
    ) -> Result<ServedConfig, Refusal> {
        self.config_within(folder, labels, query, Budget::default())
    }

    /// Returns the same, within a smaller budget than the default.
    ///
    /// # Errors
    /// As there.
    pub fn config_within(
        &self,
        folder: Folder,
        labels: &Labels,
        query: &str,
        budget: Budget,
    ) -> Result<ServedConfig, Refusal> {
        let finish = |file: &Arc<str>, text| self.finish(folder, file, text);
        self.config_by(folder, labels, query, budget, finish)
    }

    /// Returns the rendered text that a machine's Ignition config is translated from, and its language; none for one
    /// that is not translated.
    pub fn translated_from(
        &self,
        labels: &Labels,
        query: &str,
    ) -> Option<(ignition::ConfigLanguage, String)> {
        let folder = Folder::Ignition;
        let (group, profile) = self.group_and_profile(labels).ok()?;
        let file = folder.file(profile)?;
        if self.layout != Layout::Matchbox || ignition::is_raw(file) {
            return None;
        }
        let text = self.rendered(folder, file, group, labels, query).ok()?;
        let language = ignition::language(&text, self.ignition_mode())?;
        Some((language, text))
    }

    /// Returns the configured treatment of Ignition configs.
    pub fn ignition_mode(&self) -> Option<ignition::IgnitionMode> {
        self.translations.mode()
    }

    /// Returns the response for a rendered config, or the reason for a refusal.
    pub(super) fn finish(
        &self,
        folder: Folder,
        file: &str,
        text: String,
    ) -> Result<String, InvalidRendered> {
        let made = self.finished(folder, file, text);
        made.map_err(|error| InvalidRendered {
            file: format!("{}/{file}", folder.name()),
            error,
        })
    }

    /// Returns the same from a rendered text of the caller.
    pub(super) fn config_by<T>(
        &self,
        folder: Folder,
        labels: &Labels,
        query: &str,
        budget: Budget,
        finish: impl FnOnce(&Arc<str>, String) -> Result<T, InvalidRendered>,
    ) -> Result<ServedConfig<T>, Refusal> {
        let (group, profile) = self.group_and_profile(labels)?;
        let Some(file) = folder.file(profile) else {
            return Err(group.refuse(self.lacks(group, folder.key())));
        };
        let rendered = self.rendered_within(folder, file, group, labels, query, budget);
        let (text, _) = rendered.map_err(|unrendered| Refusal {
            is_over_budget: unrendered
                .template()
                .is_some_and(|error| error.why == Why::OverBudget),
            ..group.refuse(&unrendered)
        })?;
        let text = finish(file, text).map_err(|reason| group.refuse(reason))?;
        Ok(ServedConfig {
            group: group.name.to_string(),
            selectors: group.require.keys(),
            file: file.to_string(),
            text,
        })
    }

    /// Returns a config rendered with the values of this request, before the check that it fits its folder.
    ///
    /// # Errors
    /// It is not there, or its template cannot be executed with these values.
    pub fn rendered(
        &self,
        folder: Folder,
        file: &Arc<str>,
        group: &Group,
        labels: &Labels,
        query: &str,
    ) -> Result<String, Unrendered> {
        let rendered = self.rendered_within(folder, file, group, labels, query, Budget::default());
        rendered.map(|(text, _)| text)
    }

    /// Returns the same within a budget, and the steps taken.
    ///
    /// # Errors
    /// As [`Snapshot::rendered`].
    pub fn rendered_within(
        &self,
        folder: Folder,
        file: &Arc<str>,
        group: &Group,
        labels: &Labels,
        query: &str,
        budget: Budget,
    ) -> Result<(String, u64), Unrendered> {
        let missing = || Unreadable::Missing(format!("{}/{file}", folder.name()));
        let rendered = match self.configs.get(&(folder, Arc::clone(file))) {
            Some(Ok(text @ ConfigText::Plain(_))) => text.render_within(&Value::Nil, budget),
            Some(Ok(text)) => {
                let values = self.values(folder, group, labels, query);
                text.render_within(&Value::Map(Arc::new(values)), budget)
            }
            Some(Err(error)) => return Err(error.clone().into()),
            None => return Err(ConfigError::from(missing()).into()),
        };
        rendered.map_err(|error| Unrendered::Template {
            file: format!("{}/{file}", folder.name()),
            error,
        })
    }

    /// Returns a template with the values that a group's configs see.
    ///
    /// # Errors
    /// It cannot be executed with them.
    pub fn rendered_text(
        &self,
        text: &ConfigText,
        folder: Folder,
        group: &Group,
        labels: &Labels,
        query: &str,
    ) -> Result<String, InvalidTemplate> {
        let values = self.values(folder, group, labels, query);
        text.render(&Value::Map(Arc::new(values)))
    }

    /// Returns the response for a rendered config.
    pub(super) fn finished(
        &self,
        folder: Folder,
        file: &str,
        text: String,
    ) -> Result<String, InvalidConfig> {
        match folder {
            Folder::Generic => Ok(text),
            Folder::Cloud => {
                cloud_config::check(&text)?;
                Ok(text)
            }
            Folder::Ignition => Ok(match self.layout {
                Layout::Bootcfg => ignition::to_json(&text, Language::of_file(file)),
                Layout::Matchbox if ignition::is_raw(file) => ignition::json_only(&text),
                Layout::Matchbox => self.translations.served(text),
            }?),
        }
    }

    /// Returns the values that a template can use.
    ///
    /// bootcfg 0.2: the metadata, and in Ignition configs the raw query as `.query`. matchbox: the
    /// metadata, over it what the group requires (keys in lower case), over it `.request`.
    pub(super) fn values(
        &self,
        folder: Folder,
        group: &Group,
        labels: &Labels,
        query: &str,
    ) -> Metadata {
        let mut values = group.metadata.clone();
        match self.layout {
            Layout::Bootcfg if folder == Folder::Ignition => {
                values.insert("query".into(), Value::from(query));
            }
            Layout::Bootcfg => {}
            Layout::Matchbox => {
                for (key, value) in group.require.iter() {
                    values.insert(key.to_lowercase().into(), Value::from(value));
                }
                let labels = labels.0.iter();
                let labels =
                    labels.map(|(key, value)| (key.as_str().into(), Value::from(value.as_str())));
                let request = Metadata::from([
                    ("query".into(), Value::StringMap(Arc::new(labels.collect()))),
                    ("raw_query".into(), Value::from(query)),
                ]);
                values.insert("request".into(), Value::Map(Arc::new(request)));
            }
        }
        values
    }

    /// Returns the boot settings of a machine, for the services other than HTTP.
    ///
    /// # Errors
    /// No group matches, or its profile is missing or broken.
    pub fn select(&self, labels: &Labels) -> Result<Selection, Refusal> {
        let (group, profile) = self.group_and_profile(labels)?;
        Ok(Selection {
            group: group.name.to_string(),
            require: group.require.clone(),
            spec_id: group.profile_id.to_string(),
            boot: profile.settings.clone(),
        })
    }
}

impl Group {
    pub(super) fn refuse(&self, reason: impl fmt::Display) -> Refusal {
        Refusal {
            group: Some(self.name.to_string()),
            selectors: self.require.keys(),
            reason: format!("group `{}`: {reason}", self.name),
            is_over_budget: false,
        }
    }
}
