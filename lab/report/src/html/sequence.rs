//! Sequence diagram as markup: a list of rows over an SVG with lanes and arrows.
//!
//! Arrows are placed by percentages and text wraps, so that the diagram adapts to the screen. Screen readers see
//! a list of sentences.

use lab_model::evidence::packet::Frame;
use maud::{Markup, html};

use super::link::row_id;
use super::text::{clean, time};
use super::view::Machine;
use crate::format;
use crate::sequence::{Lane, Message, Role, Row, Shown, Tone, TransferShown};

/// Renders the arrowheads, once per page.
pub(super) fn shapes() -> Markup {
    html! {
        svg.shapes width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                path #to-right d="M1 0-8-4.5v9z" {}
                path #to-left d="M-1 0 8-4.5v9z" {}
                path #to-nobody d="M-5-5 5 5M-5 5 5-5" {}
            }
        }
    }
}

/// Renders the diagram of a machine.
pub(super) fn diagram(machine: &Machine) -> Markup {
    let diagram = &machine.diagram;
    if diagram.rows.iter().all(|row| row.frames.is_empty()) {
        return html! { p.none { "The capture has no packets of this machine." } };
    }
    let lanes = &diagram.lanes;
    html! {
        figure.wire {
            div.heads aria-hidden="true" {
                span.when {}
                div.across {
                    @for (position, lane) in lanes.iter().enumerate() {
                        (head(lane, place(position, lanes.len())))
                    }
                }
            }
            div.body {
                (lines(machine))
                ol {
                    @for (index, what) in diagram.rows.iter().enumerate() {
                        (row(machine, index, what))
                    }
                }
            }
        }
    }
}

fn head(lane: &Lane, place: f64) -> Markup {
    html! {
        span.head style={ "--at:" (format!("{place:.2}")) } {
            b { (lane.role.name()) }
            small {
                @match (&lane.address, lane.role) {
                    (Some(address), _) => (address),
                    (None, Role::Machine) => "",
                    (None, _) => "nobody",
                }
            }
        }
    }
}

/// Renders the lanes behind all rows.
fn lines(machine: &Machine) -> Markup {
    let lanes = &machine.diagram.lanes;
    let (title, desc) = (
        format!("{}-lanes", machine.anchor),
        format!("{}-lanes-text", machine.anchor),
    );
    let parties: Vec<String> = lanes
        .iter()
        .map(|lane| match &lane.address {
            Some(address) => format!("{} {address}", lane.role.name()),
            None => format!("{} (absent)", lane.role.name()),
        })
        .collect();
    html! {
        svg.lanes role="img" aria-labelledby={ (title) " " (desc) } {
            title id=(title) { "Packets of " (machine.name) }
            desc id=(desc) {
                "From left to right: " (parties.join(", ")) ". The list below contains every row."
            }
            @for position in 0..lanes.len() {
                @let x = center(position, lanes.len());
                line x1=(x) x2=(x) y1="0" y2="100%" {}
            }
        }
    }
}

fn row(machine: &Machine, index: usize, row: &Row) -> Markup {
    let zero_us = machine.zero_us();
    let count = machine.diagram.lanes.len();
    match &row.what {
        Shown::Silence(seconds) => html! {
            li.gap { span { (format::seconds(*seconds)) " without a packet" } }
        },
        Shown::LeftOut(rows) => html! {
            li.gap { span { (rows) " rows omitted; see the capture" } }
        },
        Shown::Note { text, tone } => html! {
            li.note.(class(*tone)) {
                (when(zero_us, row))
                p { span { (clean(text)) } }
            }
        },
        Shown::Message(said) => html! {
            li.(class(said.tone)) id=(row_id(machine, index)) {
                (when(zero_us, row))
                div {
                    (who(machine, said.from, said.to))
                    (message(said))
                    (arrow(said.from, said.to, count, said.tone, "thin"))
                }
            }
        },
        Shown::Transfer(sent) => html! {
            li.(class(sent.tone)) id=(row_id(machine, index)) {
                (when(zero_us, row))
                div {
                    (who(machine, sent.from, sent.to))
                    (transfer(sent))
                    (arrow(sent.from, sent.to, count, sent.tone, "thick"))
                }
            }
        },
    }
}

/// Renders the time since power-on and the frame number.
fn when(zero_us: u64, row: &Row) -> Markup {
    html! {
        span.when {
            span.t { (time(zero_us, row.at_us)) }
            @if let Some(frame) = row.frames.first() {
                small title=(captured(frame)) { "#" (frame.number) }
            }
        }
    }
}

/// Describes the number of a frame.
fn captured(frame: &Frame) -> String {
    match &frame.network {
        Some(network) => format!("frame in the capture of {network}"),
        None => "frame in the capture".to_owned(),
    }
}

/// Renders the direction as text, for screen readers.
fn who(machine: &Machine, from: usize, to: usize) -> Markup {
    let role = |at: usize| {
        let lane = machine.diagram.lanes.get(at);
        lane.map_or("", |lane| lane.role.name())
    };
    html! { span.unseen { (role(from)) " to " (role(to)) ": " } }
}

fn message(said: &Message) -> Markup {
    html! {
        p {
            span {
                b { (clean(&said.title)) }
                @if said.times > 1 { " " span.times { "× " (said.times) } }
                @if said.tone == Tone::Unanswered { " " span.verdictlet { "no answer" } }
                @for (name, value) in &said.details {
                    " " span.option { (clean(name)) " " code { (clean(value)) } }
                }
            }
        }
    }
}

fn transfer(sent: &TransferShown) -> Markup {
    let rate = (sent.bytes as f64 / sent.seconds.max(1e-6)) as u64;
    let missing = sent.announced.filter(|announced| *announced > sent.bytes);
    html! {
        p {
            span {
                @if let Some(status) = sent.status { b { (status) } " " }
                b { (clean(&sent.file)) }
                " " span.option {
                    (format::bytes(sent.bytes))
                    @if let Some(announced) = missing { " of " (format::bytes(announced)) }
                    " in " (format::seconds(sent.seconds))
                    // The rate of a single packet is meaningless.
                    @if sent.bytes > 20_000 { " · " (format::bytes(rate)) "/s" }
                }
                @if sent.retransmits > 0 {
                    " " span.option { (format::count(sent.retransmits as usize, "packet", "packets")) " retransmitted" }
                }
                @if sent.longest_silence >= 1.0 {
                    " " span.option { "silent for " (format::seconds(sent.longest_silence)) }
                }
                @if let Some(ending) = sent.ending { " " span.verdictlet { (ending) } }
            }
        }
    }
}

fn arrow(from: usize, to: usize, lanes: usize, tone: Tone, weight: &str) -> Markup {
    let (start, end) = (center(from, lanes), center(to, lanes));
    let head = match (tone, from < to) {
        (Tone::Unanswered, _) => "#to-nobody",
        (_, true) => "#to-right",
        (_, false) => "#to-left",
    };
    html! {
        svg.arrow.(weight) aria-hidden="true" {
            line x1=(start) x2=(end) y1="7" y2="7" {}
            use href=(head) x=(end) y="7" {}
        }
    }
}

/// Returns the position of a lane, in percent from the left. The machine's lane is at the edge, because every
/// message starts or ends there, so that labels can use the full width.
fn place(position: usize, lanes: usize) -> f64 {
    const FIRST: f64 = 1.5;
    const LAST: f64 = 91.0;
    let gaps = lanes.saturating_sub(1).max(1) as f64;
    FIRST + position as f64 / gaps * (LAST - FIRST)
}

fn center(position: usize, lanes: usize) -> String {
    format!("{:.2}%", place(position, lanes))
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Plain => "plain",
        Tone::Bad => "bad",
        Tone::Unanswered => "bad silent",
    }
}
