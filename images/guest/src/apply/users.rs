//! Users and their keys.

use super::{ApplyError, Machine};
use crate::config::{CloudConfig, User};

/// Creates or changes the config's users, and gives `core` its keys.
///
/// # Errors
/// [`ApplyError::System`], [`ApplyError::KeyImport`].
pub fn apply(config: &CloudConfig, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    for user in &config.users {
        if user.name.is_empty() {
            machine.say("passed over: a user without a name");
            continue;
        }
        apply_user(user, machine)?;
    }
    if !config.ssh_authorized_keys.is_empty() {
        authorize("core", &config.ssh_authorized_keys, machine)?;
    }
    Ok(())
}

fn apply_user(user: &User, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    if machine.system.user_exists(&user.name) {
        machine.say(format!(
            "user {} exists: only password and keys are set",
            user.name
        ));
        if !user.passwd.is_empty() {
            machine.system.set_password(&user.name, &user.passwd)?;
            machine.say(format!("password of user {} set", user.name));
        }
    } else {
        machine.system.add_user(&useradd_arguments(user))?;
        machine.say(format!("created user {}", user.name));
    }
    if !user.ssh_authorized_keys.is_empty() {
        authorize(&user.name, &user.ssh_authorized_keys, machine)?;
    }
    match user.ssh_imports.first() {
        Some(from) => Err(ApplyError::KeyImport {
            user: user.name.clone(),
            from: from.clone(),
        }),
        None => Ok(()),
    }
}

fn authorize(user: &str, keys: &[String], machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    machine.system.authorize_keys(user, keys)?;
    machine.say(format!(
        "authorized {} SSH keys for user {user}",
        keys.len()
    ));
    Ok(())
}

/// useradd's arguments in coreos-cloudinit's order. The quotes around the comment are its too:
/// on a real machine the name in `/etc/passwd` has them.
fn useradd_arguments(user: &User) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        arguments.push(name.to_owned());
        arguments.extend(value);
    };
    let password = if user.passwd.is_empty() {
        "*"
    } else {
        &user.passwd
    };
    option("--password", Some(password.to_owned()));
    if !user.gecos.is_empty() {
        option("--comment", Some(format!("{:?}", user.gecos)));
    }
    if !user.homedir.is_empty() {
        option("--home-dir", Some(user.homedir.clone()));
    }
    option(
        if user.no_create_home {
            "--no-create-home"
        } else {
            "--create-home"
        },
        None,
    );
    if !user.primary_group.is_empty() {
        option("--gid", Some(user.primary_group.clone()));
    }
    if !user.groups.is_empty() {
        option("--groups", Some(user.groups.join(",")));
    }
    for (asked, name) in [
        (user.no_user_group, "--no-user-group"),
        (user.system, "--system"),
        (user.no_log_init, "--no-log-init"),
    ] {
        if asked {
            option(name, None);
        }
    }
    if !user.shell.is_empty() {
        option("--shell", Some(user.shell.clone()));
    }
    option(&user.name, None);
    arguments
}
