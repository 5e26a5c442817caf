//! The cells and their figures: what is compared, and what a figure may be.

use std::fmt;

use serde_json::{Value, json};

/// What a cell measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A sampler's step outside the network, with one image.
    Step,
    /// The same with a batch.
    BatchedStep,
    /// A network's pass.
    Network,
    /// A training step, whose memory counts too.
    Training,
}

/// Our figure over the peer's.
pub(super) struct Bounds {
    /// What no cell may exceed.
    pub(super) must: f64,
    /// What is wanted.
    pub(super) goal: f64,
}

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "step" => Some(Self::Step),
            "batched-step" => Some(Self::BatchedStep),
            "network" => Some(Self::Network),
            "training" => Some(Self::Training),
            _ => None,
        }
    }

    pub(super) fn bounds(self) -> Bounds {
        let (must, goal) = match self {
            Self::Step => (0.5, 0.5),
            Self::BatchedStep => (1.0, 0.5),
            Self::Network | Self::Training => (1.0, 0.8),
        };
        Bounds { must, goal }
    }

    /// Whether the cell has a network, which both sides describe.
    pub(super) fn has_network(self) -> bool {
        matches!(self, Self::Network | Self::Training)
    }

    /// One figure of a side's times. A step is so short that what other work on the machine delayed least is its cost; a
    /// network's median is what a user waits for.
    pub(super) fn figure(self, mut times: Vec<f64>) -> f64 {
        times.sort_by(f64::total_cmp);
        match self.has_network() {
            true => times[times.len() / 2],
            false => times[0],
        }
    }
}

/// A cell as both sides name it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// Resident memory of one side's training step, in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Of the process.
    pub(super) peak: f64,
    /// Above that before the first step.
    pub(super) growth: f64,
}

/// The figures of one cell, ours first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) cell: Cell,
    pub(super) threads: usize,
    pub(super) ms: [f64; 2],
    /// Of a cell with training.
    pub(super) memory: Option<[Usage; 2]>,
}

impl Row {
    pub(super) fn ratio(&self) -> f64 {
        self.ms[0] / self.ms[1]
    }

    /// Growth over growth.
    pub(super) fn memory_ratio(&self) -> Option<f64> {
        self.memory.map(|[ours, peer]| ours.growth / peer.growth)
    }

    pub(super) fn json(&self) -> Value {
        let Bounds { must, goal } = self.cell.kind.bounds();
        let mut row = json!({
            "cell": self.cell.name, "ours_ms": self.ms[0], "peer_ms": self.ms[1], "ratio": self.ratio(), "must": must,
            "goal": goal, "threads": self.threads,
        });
        if let Some([ours, peer]) = self.memory {
            row["memory"] = json!({
                "ours_peak_mib": ours.peak, "peer_peak_mib": peer.peak, "ours_growth_mib": ours.growth,
                "peer_growth_mib": peer.growth,
            });
        }
        row
    }
}

/// Our figure over the peer's beside its bounds, in words; empty when all is well.
pub(super) fn judged(ratio: f64, bounds: &Bounds) -> &'static str {
    match ratio {
        _ if ratio > bounds.must => "too slow",
        _ if ratio > bounds.goal => "above the goal",
        _ => "",
    }
}

/// The line of a table on a terminal.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, [ours, peer], ratio) = (&self.cell.name, self.ms, self.ratio());
        let bounds = self.cell.kind.bounds();
        let verdict = judged(ratio, &bounds);
        let must = bounds.must;
        let line =
            format!("{name:<22} {ours:>10.3} {peer:>10.3} {ratio:>7.2} {must:>6.1}  {verdict}");
        f.write_str(line.trim_end())?;
        if let Some([ours, peer]) = self.memory {
            write!(
                f,
                "\n  memory, MiB: growth {:.0} and {:.0}, peak {:.0} and {:.0}",
                ours.growth, peer.growth, ours.peak, peer.peak
            )?;
        }
        Ok(())
    }
}

/// Which cells exceed what they may not.
pub(super) fn verdict(rows: &[Row]) -> String {
    let mut over = Vec::new();
    for row in rows {
        let (name, threads) = (&row.cell.name, row.threads);
        if row.ratio() > row.cell.kind.bounds().must {
            over.push(format!("{name} ({threads} thread(s))"));
        }
        if row.memory_ratio().is_some_and(|ratio| ratio > 1.0) {
            over.push(format!("the memory of {name} ({threads} thread(s))"));
        }
    }
    match over.len() {
        0 => "no ratio exceeds its bound".to_owned(),
        count => format!("{count} ratio(s) exceed their bounds: {}", over.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row(name: &str, kind: Kind, ours_ms: f64) -> Row {
        Row {
            cell: Cell {
                name: name.to_owned(),
                kind,
            },
            threads: 2,
            ms: [ours_ms, 2.0],
            memory: None,
        }
    }

    #[test]
    fn the_verdict_names_what_exceeds_its_bound() {
        let mut rows = [
            row("dps", Kind::Step, 1.5),
            row("dps-x8", Kind::BatchedStep, 1.5),
            row("net", Kind::Network, 2.5),
            row("train", Kind::Training, 1.0),
        ];
        let usage = |growth| Usage { peak: 0.0, growth };
        rows[3].memory = Some([usage(3.0), usage(2.0)]);
        assert_eq!(
            verdict(&rows),
            "3 ratio(s) exceed their bounds: dps (2 thread(s)), net (2 thread(s)), the memory of train (2 thread(s))"
        );
        assert_eq!(verdict(&rows[1..2]), "no ratio exceeds its bound");
    }

    #[test]
    fn a_row_holds_our_time_over_the_peers() {
        let mut row = row("train", Kind::Training, 1.0);
        let mut expected = json!({
            "cell": "train", "ours_ms": 1.0, "peer_ms": 2.0, "ratio": 0.5, "must": 1.0, "goal": 0.8, "threads": 2,
        });
        assert_eq!(row.json(), expected);
        row.memory = Some([(5.0, 1.0), (6.0, 4.0)].map(|(peak, growth)| Usage { peak, growth }));
        expected["memory"] = json!({
            "ours_peak_mib": 5.0, "peer_peak_mib": 6.0, "ours_growth_mib": 1.0, "peer_growth_mib": 4.0,
        });
        assert_eq!(row.json(), expected);
        assert_eq!(row.memory_ratio(), Some(0.25));
    }

    #[test]
    fn a_line_says_which_bound_is_exceeded() {
        for (kind, ours, word) in [
            (Kind::Step, 1.1, "too slow"),
            (Kind::BatchedStep, 1.1, "above the goal"),
            (Kind::Network, 1.7, "above the goal"),
            (Kind::Network, 2.1, "too slow"),
            (Kind::Training, 1.6, " 1.0"),
        ] {
            let line = row("a", kind, ours).to_string();
            assert!(line.ends_with(word), "{line}");
        }
    }

    #[test]
    fn steps_take_the_least_time_and_networks_the_median() {
        let times = || vec![3.0, 1.0, 2.0, 9.0, 4.0];
        assert_eq!(Kind::Step.figure(times()), 1.0);
        assert_eq!(Kind::Training.figure(times()), 3.0);
    }
}
