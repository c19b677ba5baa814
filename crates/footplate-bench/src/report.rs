//! The table at the end.

use crate::{Result, options::Options};

/// Which side of its floor a figure should be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

struct Line {
    work: String,
    figure: f64,
    floor: f64,
    target: f64,
    better: Better,
    detail: String,
}

/// Figures with their floors.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Report {
    /// Adds a figure; `limits` are floor and target of DESIGN §11.
    pub(crate) fn add(
        &mut self,
        work: impl Into<String>,
        figure: f64,
        better: Better,
        limits: (f64, f64),
        detail: String,
    ) {
        let line = Line {
            work: work.into(),
            figure,
            floor: limits.0,
            target: limits.1,
            better,
            detail,
        };
        eprintln!("  {:<44} {:>9.3}   {}", line.work, line.figure, line.detail);
        self.lines.push(line);
    }

    /// A measure and its yardstick, round by round: the median of each, and of the ratios.
    pub(crate) fn pairs(
        &mut self,
        work: &str,
        pairs: &[(f64, f64)],
        limits: (f64, f64),
        unit: &str,
    ) {
        let ours = median(pairs.iter().map(|pair| pair.0).collect());
        let theirs = median(pairs.iter().map(|pair| pair.1).collect());
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
        let detail = format!("{ours:.0} against {theirs:.0} {unit}");
        self.add(work, ratio, Better::Higher, limits, detail);
    }

    pub(crate) fn finish(&self, options: &Options) -> Result<()> {
        println!(
            "{:<44} {:>9} {:>9} {:>9}  verdict   ({} jobs, median of {} rounds)",
            "work", "figure", "floor", "target", options.jobs, options.rounds
        );
        let mut below = 0;
        for line in &self.lines {
            let reaches = |limit: f64| match line.better {
                Better::Higher => line.figure >= limit,
                Better::Lower => line.figure <= limit,
            };
            let verdict = if reaches(line.target) {
                "target"
            } else if reaches(line.floor) {
                "floor"
            } else {
                below += 1;
                "BELOW"
            };
            println!(
                "{:<44} {:>9.3} {:>9.3} {:>9.3}  {verdict:<8}  {}",
                line.work, line.figure, line.floor, line.target, line.detail
            );
        }
        if self.lines.is_empty() {
            return Err("nothing was measured".into());
        }
        if self.lines.iter().any(|line| !line.figure.is_finite()) {
            return Err("a figure is not a number".into());
        }
        if options.enforce && below > 0 {
            return Err(format!("{below} below the floor").into());
        }
        Ok(())
    }
}
