//! Chart of the stages: one bar each, over time.

use lab_model::timeline::{Outcome, Stage, StageName};
use lab_model::verdict::NodeVerdict;
use maud::{Markup, html};

use super::services;
use super::text::{clean, shorten};
use super::view::Machine;
use crate::format::{self, seconds_between};

/// Height of a stage's row in pixels, as in the style sheet.
const ROW_PX: usize = 26;

/// Minimum duration of a stage shown as a bar, in seconds.
const MOMENT_SECONDS: f64 = 0.001;

/// Maximum number of time lines.
const MOST_TICKS: f64 = 6.0;

/// Bar of one stage.
struct Bar {
    name: StageName,
    /// Begin and end in seconds since power-on.
    from: f64,
    to: f64,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Through,
    Failed,
    Open,
    Missing,
}

impl State {
    fn class(self) -> &'static str {
        match self {
            State::Through => "good",
            State::Failed => "bad",
            State::Open => "open",
            State::Missing => "missing",
        }
    }

    fn words(self) -> &'static str {
        match self {
            State::Through => "through",
            State::Failed => "failed here",
            State::Open => "not completed",
            State::Missing => "never reached",
        }
    }
}

/// Renders the stages of a machine.
pub(super) fn chart(machine: &Machine) -> Markup {
    let bars = bars(machine);
    let total = bars.iter().map(|bar| bar.to).fold(0.0, f64::max).max(0.1);
    let (title, desc) = (
        format!("{}-stages", machine.anchor),
        format!("{}-stages-text", machine.anchor),
    );
    let height = bars.len() * ROW_PX + 22;
    let percent = |seconds: f64| format!("{:.2}%", seconds / total * 100.0);
    html! {
        figure.stages {
            ol.names {
                @for bar in &bars {
                    li.(bar.state.class()) { (bar.name) }
                }
            }
            svg role="img" height=(height) aria-labelledby={ (title) " " (desc) } {
                title id=(title) { "Stages of " (machine.name) }
                desc id=(desc) { (told(&bars)) }
                @for tick in ticks(total) {
                    line.tick x1=(percent(tick)) x2=(percent(tick)) y1="0" y2=(bars.len() * ROW_PX) {}
                    text.(anchor(tick, total)) x=(percent(tick)) y=(height - 5) { (tick) " s" }
                }
                @for (index, bar) in bars.iter().enumerate() {
                    @if bar.state != State::Missing {
                        @let y = index * ROW_PX + ROW_PX / 2;
                        line.(bar.state.class()) x1=(percent(bar.from)) x2=(percent(bar.to)) y1=(y) y2=(y) {}
                    }
                }
            }
            ol.times {
                @for bar in &bars {
                    li.(bar.state.class()) {
                        @match bar.state {
                            // A moment has no duration, so its time is shown instead.
                            State::Through if bar.to - bar.from < MOMENT_SECONDS => { "at " (format::seconds(bar.to)) },
                            State::Through => (format::seconds(bar.to - bar.from)),
                            state => (state.words()),
                        }
                    }
                }
            }
        }
        (stage_events(machine))
    }
}

fn bars(machine: &Machine) -> Vec<Bar> {
    let zero_us = machine.zero_us();
    let failed = match &machine.verdict {
        NodeVerdict::Fail { stage, .. } => Some(*stage),
        _ => None,
    };
    let stages = machine
        .timeline
        .iter()
        .flat_map(|timeline| &timeline.stages);
    let mut bars: Vec<Bar> = stages.map(|stage| bar(stage, zero_us, failed)).collect();
    if let Some(name) = failed
        && !bars.iter().any(|bar| bar.name == name)
    {
        bars.push(Bar {
            name,
            from: 0.0,
            to: 0.0,
            state: State::Missing,
        });
        bars.sort_by_key(|bar| bar.name);
    }
    bars
}

fn bar(stage: &Stage, zero_us: u64, failed: Option<StageName>) -> Bar {
    let last_us = stage.events.last().map(|stage_event| stage_event.at_us);
    let end_us = stage.end_us.or(last_us).unwrap_or(stage.start_us);
    let state = match (failed == Some(stage.name), stage.end_us) {
        (true, _) => State::Failed,
        (_, Some(_)) => State::Through,
        (_, None) => State::Open,
    };
    Bar {
        name: stage.name,
        from: seconds_between(zero_us, stage.start_us).max(0.0),
        to: seconds_between(zero_us, end_us).max(0.0),
        state,
    }
}

/// Describes the chart as text.
fn told(bars: &[Bar]) -> String {
    let lines = bars.iter().map(|bar| match bar.state {
        State::Missing => format!("{}: never reached.", bar.name),
        state => format!(
            "{}: from {:.2} s to {:.2} s, {}.",
            bar.name,
            bar.from,
            bar.to,
            state.words()
        ),
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Returns a few round numbers of seconds.
fn ticks(total: f64) -> Vec<f64> {
    const STEPS: [f64; 13] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| total / step <= MOST_TICKS)
        .unwrap_or(3600.0);
    let count = (total / step).floor() as u32;
    // Rounded, so that three tenths are not shown as 0.30000000000000004.
    (0..=count)
        .map(|number| (f64::from(number) * step * 10.0).round() / 10.0)
        .collect()
}

/// Returns the text anchor that keeps labels at the edges inside.
fn anchor(tick: f64, total: f64) -> &'static str {
    if tick == 0.0 {
        "first"
    } else if tick > total * 0.94 {
        "last"
    } else {
        "middle"
    }
}

/// Maximum number of observations shown per stage.
const MOST_EVENTS: usize = 40;

/// Renders all observations of each stage as text.
fn stage_events(machine: &Machine) -> Markup {
    let Some(timeline) = &machine.timeline else {
        return html! {};
    };
    let zero_us = machine.zero_us();
    html! {
        details.more {
            summary { "Evidence of each stage" }
            @for stage in &timeline.stages {
                h5 {
                    (stage.name)
                    @for (name, id) in services::during(machine, stage) {
                        " " small { a href={ "#" (id) } { "log of " (name) } }
                    }
                }
                ul.seen {
                    @for stage_event in stage.events.iter().take(MOST_EVENTS) {
                        @let (class, mark) = match stage_event.outcome {
                            Outcome::Done => ("good", "✓"),
                            Outcome::Noted => ("plain", "·"),
                            Outcome::Failed => ("bad", "✗"),
                        };
                        li.(class) {
                            span.t { (super::text::time(zero_us, stage_event.at_us)) }
                            span { (mark) " " (shorten(&clean(&stage_event.text), 300)) }
                        }
                    }
                    @if stage.events.len() > MOST_EVENTS {
                        li { "and " (stage.events.len() - MOST_EVENTS) " more, in timeline.json" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.45), [0.0, 0.1, 0.2, 0.3, 0.4]);
        assert_eq!(ticks(58.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(ticks(300.0).len(), 6);
    }
}
