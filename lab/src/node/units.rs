//! The machine's units after the last check, as systemd lists them: after the boot, systemd prints nothing about a
//! failed unit on the console.

use lab_model::evidence::Observation;

/// Maximum number of units that are recorded of each state.
const UNITS_MAX: usize = 100;

/// Exit status of a service whose program does not exist (`systemd.exec(5)`: `EXIT_EXEC`).
const NO_PROGRAM: &str = "203";

/// Line of the stand-in's `/etc/os-release`. It has not all programs of CoreOS.
const IS_STAND_IN: &str = "ID=bootlab-stand-in";

/// Command that prints the units that failed or are starting (`UNIT LOAD ACTIVE SUB DESCRIPTION`), then the exit
/// statuses of the failed services (`KEY=VALUE`), then [`IS_STAND_IN`] on the stand-in.
pub(super) const COMMAND: &str = "systemctl list-units --state=failed,activating --full --plain --no-legend --no-pager \
    && { systemctl show --state=failed --property=Id,ExecMainStatus '*.service'; \
    grep -x ID=bootlab-stand-in /etc/os-release; true; }";

/// Returns the record of the answer to [`COMMAND`].
pub(super) fn seen(output: &str) -> Observation {
    let (mut failed, mut starting) = (Vec::new(), Vec::new());
    let (mut id, mut status) = (None, None);
    let mut programless = Vec::new();
    let mut is_stand_in = false;
    for line in output.lines().map(str::trim) {
        is_stand_in |= line == IS_STAND_IN;
        if let Some(value) = line.strip_prefix("Id=") {
            id = Some(value);
        } else if let Some(value) = line.strip_prefix("ExecMainStatus=") {
            status = Some(value);
        } else if let Some((unit, active)) = unit_and_state(line) {
            match active {
                "failed" => failed.push(unit.to_owned()),
                "activating" => starting.push(unit.to_owned()),
                _ => {}
            }
        }
        if let (Some(unit), Some(value)) = (id, status) {
            programless.extend((value == NO_PROGRAM).then(|| unit.to_owned()));
            (id, status) = (None, None);
        }
    }
    let mut without_program = Vec::new();
    if is_stand_in {
        (without_program, failed) = failed
            .into_iter()
            .partition(|unit| programless.contains(unit));
    }
    for list in [&mut failed, &mut without_program, &mut starting] {
        list.truncate(UNITS_MAX);
    }
    Observation::Units {
        failed,
        without_program,
        starting,
    }
}

/// Reads a line of `systemctl list-units`. Before version 247, it marks a failed unit with a dot also with
/// `--plain`.
fn unit_and_state(line: &str) -> Option<(&str, &str)> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| ["●", "*"].contains(word));
    let (unit, _, active) = (words.next()?, words.next()?, words.next()?);
    Some((unit, active))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "lab-a.service loaded failed     failed        Unit a\r\n\
        ● lab-b.service loaded failed failed Unit b\n\
        slow.service  loaded activating start start Slow\n\
        sudo: unable to resolve host node1\n\
        other.service loaded active running failed\n\
        ExecMainStatus=203\r\nId=lab-a.service\r\n\r\nExecMainStatus=1\nId=lab-b.service\n";

    #[test]
    fn seen_of_a_list_has_the_failed_and_the_starting_units() {
        let wanted = Observation::Units {
            failed: vec!["lab-a.service".into(), "lab-b.service".into()],
            without_program: Vec::new(),
            starting: vec!["slow.service".into()],
        };
        assert_eq!(seen(ANSWER), wanted);
    }

    #[test]
    fn seen_of_the_stand_in_tells_units_without_a_program_apart() {
        let wanted = Observation::Units {
            failed: vec!["lab-b.service".into()],
            without_program: vec!["lab-a.service".into()],
            starting: vec!["slow.service".into()],
        };
        assert_eq!(seen(&format!("{ANSWER}\n{IS_STAND_IN}\n")), wanted);
    }
}
