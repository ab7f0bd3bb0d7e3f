//! The numbers, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::dialect::Dialect;
use crate::mix::Mix;
use crate::plan::Plan;
use crate::summary::Summary;
use crate::target::Target;
use crate::turn::Turn;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    processor: String,
    cores: usize,
    plan: Plan,
    targets: Vec<Server>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Server {
    name: String,
    dialect: Dialect,
    model: String,
    adapters: usize,
}

/// One server under one load. Times are in seconds; nothing is there of what the server cannot do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    target: String,
    streams: usize,
    mix: Mix,
    rounds: Vec<Round>,
    first: Option<Summary>,
    per_token: Option<Summary>,
    gaps: Option<Summary>,
    disturbed: Option<Summary>,
    resident_bytes: Option<u64>,
}

/// Medians of a turn.
#[derive(Debug, Clone, Serialize)]
struct Round {
    tokens_per_second: f64,
    first: f64,
    per_token: f64,
}

impl Report {
    pub(crate) fn new(plan: &Plan, targets: &[Target]) -> Self {
        let server = |target: &Target| Server {
            name: target.name.clone(),
            dialect: target.dialect,
            model: target.model.clone(),
            adapters: target.adapters.len(),
        };
        Self {
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            plan: plan.clone(),
            targets: targets.iter().map(server).collect(),
            rows: Vec::new(),
        }
    }

    /// How many times better the first server is than that of `row`, under the same load.
    fn ratios(&self, row: &Row) -> Option<[Summary; 3]> {
        let first = &self.targets.first()?.name;
        let same = |other: &&Row| {
            &other.target == first && (other.streams, other.mix) == (row.streams, row.mix)
        };
        let ours = self.rows.iter().find(same).filter(|_| &row.target != first)?;
        let better = |of: fn(&Round, &Round) -> f64| {
            Summary::of(ours.rounds.iter().zip(&row.rounds).map(|(a, b)| of(a, b)).collect())
        };
        Some([
            better(|ours, theirs| ours.tokens_per_second / theirs.tokens_per_second)?,
            better(|ours, theirs| theirs.first / ours.first)?,
            better(|ours, theirs| theirs.per_token / ours.per_token)?,
        ])
    }
}

impl Row {
    pub(crate) fn new(target: &Target, streams: usize, mix: Mix, turns: &[Turn]) -> Self {
        let all = |of: fn(&Turn) -> &Vec<f64>| {
            Summary::of(turns.iter().flat_map(|turn| of(turn).iter().copied()).collect())
        };
        let round = |turn: &Turn| {
            let median = |numbers: &Vec<f64>| Summary::of(numbers.clone()).map(|s| s.p50);
            let (first, per_token) = (median(&turn.first)?, median(&turn.per_token)?);
            Some(Round { tokens_per_second: turn.tokens_per_second, first, per_token })
        };
        Self {
            target: target.name.clone(),
            streams,
            mix,
            rounds: turns.iter().filter_map(round).collect(),
            first: all(|turn| &turn.first),
            per_token: all(|turn| &turn.per_token),
            gaps: all(|turn| &turn.gaps),
            disturbed: all(|turn| &turn.disturbed),
            resident_bytes: turns.iter().filter_map(|turn| turn.resident_bytes).max(),
        }
    }
}

/// As Linux calls it.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { prompt_tokens, shared_tokens, tokens, intruder, .. } = &self.plan;
        writeln!(f, "{}, {} cores", self.processor, self.cores)?;
        write!(
            f,
            "prompts of {prompt_tokens} tokens, {shared_tokens} of them shared; answers of {tokens}"
        )?;
        intruder.map_or(Ok(()), |length| write!(f, "; an intruder of {length}"))?;
        let first = self.targets.first().map_or("", |server| &server.name);
        writeln!(
            f,
            "\n\n| streams | adapters | server | tokens/s | first token, ms: p50, p99 | token, ms: p50 | between pieces, ms: p99 | with the intruder | MB | {first}, times better: tokens/s, first, token |"
        )?;
        writeln!(f, "|{}", " --- |".repeat(10))?;
        self.rows.iter().try_for_each(|row| self.line(f, row))
    }
}

impl Report {
    fn line(&self, f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
        write!(f, "| {} | {} | {} |", row.streams, row.mix, row.target)?;
        let speed = Summary::of(row.rounds.iter().map(|round| round.tokens_per_second).collect());
        let (Some(speed), Some(first), Some(per_token), Some(gaps)) =
            (speed, row.first, row.per_token, row.gaps)
        else {
            return writeln!(f, " not possible |{}", " |".repeat(6));
        };
        write!(f, " {:.1} [{:.1}, {:.1}] |", speed.p50, speed.least, speed.most)?;
        write!(f, " {:.1}, {:.1} |", first.p50 * 1e3, first.p99 * 1e3)?;
        write!(f, " {:.2} | {:.2} |", per_token.p50 * 1e3, gaps.p99 * 1e3)?;
        match row.disturbed {
            Some(disturbed) => {
                write!(f, " {:.2}, {:.2} |", disturbed.p50 * 1e3, disturbed.p99 * 1e3)?;
            }
            None => write!(f, " |")?,
        }
        match row.resident_bytes {
            Some(bytes) => write!(f, " {} |", bytes / 1_000_000)?,
            None => write!(f, " |")?,
        }
        match self.ratios(row) {
            Some(ratios) => {
                let ratios =
                    ratios.map(|r| format!("{:.2} [{:.2}, {:.2}]", r.p50, r.least, r.most));
                writeln!(f, " {} |", ratios.join(", "))
            }
            None => writeln!(f, " |"),
        }
    }
}
