//! One fault at one place of one upload, and what came of it.

use std::fmt;

use devgcs::SessionRecord;
use gcsd_client::Aborted;
use gcsd_fault::Direction;
use tokio::time::timeout;

use super::conversation::{Part, Segment};
use super::scenario::{Course, NAME, Scenario};
use crate::support::stage::{ENDLESS, Ended, HANGS, Hop, LITTLE, Stage, faulty};

/// What goes wrong: the columns of the table.
pub(super) const KINDS: [&str; 11] = [
    "refuse",
    "hang",
    "short",
    "reset before",
    "reset in",
    "reset after",
    "close before",
    "close in",
    "close after",
    "stall",
    "flip",
];

/// A fault at a place.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) scenario: Scenario,
    /// What of the conversation is hit: a row of the table.
    pub(super) place: String,
    pub(super) kind: &'static str,
    pub(super) plan: String,
}

/// What tells where a failure was, and can be asked for.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.scenario, self.plan, self.place)
    }
}

impl Cell {
    /// The same fault at the same place, in whatever upload.
    pub(super) fn group(&self) -> (Hop, bool, &str, &'static str) {
        (self.scenario.hop, self.scenario.tls, &self.place, self.kind)
    }

    /// Whether something may stand still, so that only a clock ends it: by the fault itself, or because the head of a
    /// record of TLS announces bytes that never come. Where a head lies, is not known to the byte: there are
    /// signatures in the handshake, whose length varies.
    fn needs_clocks(&self) -> bool {
        matches!(self.kind, "hang" | "stall") || self.kind == "flip" && self.scenario.tls
    }

    /// Whether the fault must be met. A clock may end the connection before; a write may be too small to be made
    /// short; and the records of TLS have no fixed lengths.
    fn is_met(&self) -> bool {
        !self.needs_clocks() && self.kind != "short" && !self.scenario.tls
    }

    /// Whether the upload may end in an error: where a body is damaged, the upload begins again from byte 0, and a
    /// producer's byte 0 may be gone.
    pub(super) fn may_fail(&self) -> bool {
        self.kind == "flip"
            && self.place.contains("body of the request")
            && self.scenario.course != Course::Source
            && !self.scenario.tls
    }
}

/// The cells of `scenario`, from what was said in it.
pub(super) fn cells(scenario: &Scenario, base: &str, segments: &[Segment]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut add = |place: &str, kind, fault: String| {
        let plan = if base.is_empty() {
            fault
        } else {
            format!("{base}; {fault}")
        };
        cells.push(Cell {
            scenario: *scenario,
            place: place.to_owned(),
            kind,
            plan,
        });
    };
    let first = usize::from(!base.is_empty());
    let connections = segments.iter().map(|segment| segment.connection + 1).max();
    for connection in first..connections.expect("something was said") {
        let most = (scenario.size / 300).max(7);
        let again = connection + 4;
        add("connect", "refuse", format!("refuse on {connection}"));
        add("connect", "refuse", format!("refuse on {connection}..{again}"));
        add("connect", "hang", format!("hang on {connection}"));
        add(
            "all of it",
            "short",
            format!("short write {most} on {connection}"),
        );
        add("all of it", "short", format!("short read 5 on {connection}"));
    }
    for segment in segments.iter().filter(|segment| segment.connection >= first) {
        for (place, at) in places(segment) {
            let (connection, direction) = (segment.connection, segment.direction);
            // In the clear, a damaged head of HTTP is a request that nobody made, and nothing tells.
            let guarded = !segment.is_http || (segment.part, direction) == (Part::Body, Direction::Write);
            let kinds = KINDS[3..].iter().filter(|kind| guarded || **kind != "flip");
            for kind in kinds {
                add(&place, kind, format!("{kind} {direction} {at} on {connection}"));
            }
        }
    }
    cells
}

/// The bytes of a segment that are hit.
fn places(segment: &Segment) -> Vec<(String, usize)> {
    let Segment {
        direction,
        request,
        part,
        from,
        end,
        ..
    } = segment;
    let (middle, last) = ((from + end) / 2, end - 1);
    let side = match direction {
        Direction::Write => "request",
        Direction::Read => "reply",
    };
    let name = |part: &str| format!("{request}, {part} of the {side}");
    match (part, direction) {
        (Part::Body, Direction::Write) => vec![
            (name("start of the body"), *from),
            (name("middle of the body"), middle),
            (name("end of the body"), last),
        ],
        (part, _) => {
            let part = match part {
                Part::Head => "head",
                Part::Args => "args",
                Part::Body => "body",
            };
            let mut places = vec![*from, middle, last];
            places.dedup();
            places.into_iter().map(|at| (name(part), at)).collect()
        }
    }
}

/// What came of a cell.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) cell: Cell,
    /// `None` where the upload recovered, else the error's name.
    pub(super) error: Option<String>,
    /// What must never be.
    pub(super) wrong: Vec<String>,
    /// The fault happened.
    pub(super) hit: bool,
    /// Sessions that still take bytes, and that the client knew.
    pub(super) known: Vec<SessionRecord>,
    /// Sessions that still take bytes, and that no request has named.
    pub(super) unknown: Vec<SessionRecord>,
    /// Failures that were recovered from.
    pub(super) recovered: u64,
}

impl Outcome {
    /// What must not be.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.wrong.clone();
        let known = |error: &String| error.starts_with("CannotRestart: ") && self.cell.may_fail();
        if let Some(error) = self.error.as_ref().filter(|error| !known(error)) {
            problems.push(format!("it ended in an error: {error}"));
        }
        if !self.hit && self.cell.is_met() {
            problems.push("the fault was not met: the place is not one of the conversation".to_owned());
        }
        for session in &self.known {
            problems.push(format!(
                "a session that the client knew is left open: {session:?}"
            ));
        }
        // A session whose start was answered, and the answer lost, is known to nobody. One fault loses one answer; what
        // it strikes within TLS cannot be seen. A clock can run out on any start, if the machine is slow enough.
        let struck = self.hit && (self.cell.place.starts_with("start") || self.cell.scenario.tls);
        if self.unknown.len() > usize::from(struck) && !self.cell.needs_clocks() {
            let unknown = &self.unknown;
            problems.push(format!("sessions that nobody knows are left open: {unknown:?}"));
        }
        problems
    }
}

/// Lets a cell happen.
pub(super) async fn run(cell: Cell) -> Outcome {
    let connector = faulty(&cell.plan);
    let bytes = cell.scenario.bytes();
    let patience = if cell.needs_clocks() { LITTLE } else { ENDLESS };
    let mut stage = Stage::at(cell.scenario.hop, connector.clone(), cell.scenario.tls, patience).await;
    let mut outcome = Outcome {
        cell,
        error: None,
        wrong: Vec::new(),
        hit: false,
        known: Vec::new(),
        unknown: Vec::new(),
        recovered: 0,
    };
    let Ok(ended) = timeout(HANGS, outcome.cell.scenario.play(&stage, &bytes)).await else {
        outcome.wrong.push("it never ends".to_owned());
        return outcome;
    };
    let verdict = stage.judge(NAME, &bytes, &ended).await;
    outcome.wrong = verdict.wrong;
    (outcome.known, outcome.unknown) = (verdict.known, verdict.unknown);
    outcome.recovered = ended.report.recovered();
    outcome.hit = connector.counts().total() > u64::from(outcome.cell.plan.contains(';'));
    outcome.error = match outcome.cell.scenario.course {
        Course::Abort => (ended.aborted != Some(Aborted::Cancelled)).then(|| format!("{:?}", ended.aborted)),
        _ => named(&ended),
    };
    outcome
}

/// The name of the error with which an upload ended.
fn named(ended: &Ended) -> Option<String> {
    let error = ended.result.as_ref().err()?;
    let shown = format!("{error:?}");
    let kind = shown.strip_prefix("GivenUp(").unwrap_or(&shown);
    let kind = kind
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    let request = error.request().map(|request| request.name());
    Some(request.map_or(kind.to_owned(), |name| format!("{kind}: {name}")))
}
