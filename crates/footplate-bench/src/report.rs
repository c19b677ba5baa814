//! The table at the end.

use std::fmt;

use crate::{Result, options::Options};

/// Which side of its floor a figure should be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

struct Line {
    work: String,
    /// `None` = it could not be measured here.
    figure: Option<f64>,
    /// Floor and target; `None` = it is told and not judged.
    limits: Option<(f64, f64)>,
    better: Better,
    detail: String,
}

/// What becomes of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Target,
    Floor,
    Below,
    Missing,
    None,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Floor => "floor",
            Self::Below => "BELOW",
            Self::Missing => "not measured",
            Self::None => "–",
        }
    }
}

impl Line {
    fn verdict(&self) -> Verdict {
        let Some(figure) = self.figure else {
            return Verdict::Missing;
        };
        let Some((floor, target)) = self.limits else {
            return Verdict::None;
        };
        let reaches = |limit: f64| match self.better {
            Better::Higher => figure >= limit,
            Better::Lower => figure <= limit,
        };
        if reaches(target) {
            Verdict::Target
        } else if reaches(floor) {
            Verdict::Floor
        } else {
            Verdict::Below
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), |one| format!("{one:.3}"));
        write!(
            f,
            "{:<48} {:>9} {:>9} {:>9}  {:<12}  {}",
            self.work,
            number(self.figure),
            number(self.limits.map(|limits| limits.0)),
            number(self.limits.map(|limits| limits.1)),
            self.verdict().word(),
            self.detail
        )
    }
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

/// How far apart the rounds were.
fn spread(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("rounds {low:.3} to {high:.3}")
}

/// The ratios of a measure to its yardstick, and the medians of both in words.
fn compared(pairs: &[(f64, f64)], unit: &str) -> (Vec<f64>, String) {
    let ours = median(pairs.iter().map(|pair| pair.0).collect());
    let theirs = median(pairs.iter().map(|pair| pair.1).collect());
    let ratios = pairs.iter().map(|(ours, theirs)| ours / theirs).collect();
    (ratios, format!("{ours:.0} against {theirs:.0} {unit}"))
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
        self.line(work.into(), Some(figure), better, Some(limits), detail);
    }

    fn line(
        &mut self,
        work: String,
        figure: Option<f64>,
        better: Better,
        limits: Option<(f64, f64)>,
        detail: String,
    ) {
        let line = Line {
            work,
            figure,
            limits,
            better,
            detail,
        };
        eprintln!("  {line}");
        self.lines.push(line);
    }

    /// A figure of which each round gives one: their median, and how far they were apart.
    pub(crate) fn rounds(
        &mut self,
        work: &str,
        figures: Vec<f64>,
        better: Better,
        limits: (f64, f64),
        detail: &str,
    ) {
        let apart = spread(&figures);
        let detail = if detail.is_empty() {
            apart
        } else {
            format!("{detail}; {apart}")
        };
        self.add(work, median(figures), better, limits, detail);
    }

    /// A measure and its yardstick, round by round: the median of each, and of the ratios.
    pub(crate) fn pairs(
        &mut self,
        work: &str,
        pairs: &[(f64, f64)],
        limits: (f64, f64),
        unit: &str,
    ) {
        let (ratios, detail) = compared(pairs, unit);
        self.rounds(work, ratios, Better::Higher, limits, &detail);
    }

    /// The same for what DESIGN §11 sets no floor for.
    pub(crate) fn pairs_to_know(&mut self, work: &str, pairs: &[(f64, f64)], unit: &str) {
        let (ratios, detail) = compared(pairs, unit);
        let detail = format!("{detail}; {}", spread(&ratios));
        let figure = Some(median(ratios));
        self.line(work.to_owned(), figure, Better::Higher, None, detail);
    }

    /// A row of DESIGN §11 that cannot be measured here.
    pub(crate) fn missing(&mut self, work: &str, limits: (f64, f64), why: &str) {
        self.line(
            work.to_owned(),
            None,
            Better::Higher,
            Some(limits),
            why.to_owned(),
        );
    }

    /// Prints all figures; an error when one is below its floor and that counts.
    pub(crate) fn finish(&self, options: &Options) -> Result<()> {
        println!(
            "{:<48} {:>9} {:>9} {:>9}  verdict       ({} jobs, median of {} rounds)",
            "work", "figure", "floor", "target", options.jobs, options.rounds
        );
        for line in &self.lines {
            println!("{line}");
        }
        if self.lines.is_empty() {
            return Err("nothing was measured".into());
        }
        let strange = |figure: f64| !figure.is_finite();
        if self
            .lines
            .iter()
            .any(|line| line.figure.is_some_and(strange))
        {
            return Err("a figure is not a number".into());
        }
        let below = self
            .lines
            .iter()
            .filter(|line| line.verdict() == Verdict::Below)
            .count();
        if options.enforce && below > 0 {
            return Err(format!("{below} below the floor").into());
        }
        Ok(())
    }
}
