//! What is shown: tables for people, JSON for programs.

use crate::error::Error;
use crate::machine::Machine;
use crate::statistics::Sample;
use serde::Serialize;
use std::fmt;

/// What the result is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// The first rival's median takes at most so many times the second's.
    AtMost(f64),
    /// The first rival's median is exactly this.
    Exactly(f64),
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::AtMost(ratio) => write!(f, "at most {ratio}x"),
            Bar::Exactly(value) => write!(f, "exactly {value}"),
        }
    }
}

/// One rival's values.
#[derive(Debug, Serialize)]
pub(crate) struct Rival {
    pub name: String,
    #[serde(flatten)]
    pub sample: Sample,
}

/// A number beside the comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    /// What it is, and its unit where that is not the case's.
    pub name: &'static str,
    pub value: f64,
}

/// One thing that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub name: String,
    pub unit: &'static str,
    /// Twine first, then what it is compared with, then what is there for orientation.
    pub rivals: Vec<Rival>,
    /// The first rival's median over the second's.
    pub ratio: Option<f64>,
    pub bar: Option<Bar>,
    pub met: Option<bool>,
    /// Other numbers about it.
    pub details: Vec<Detail>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        rivals: impl IntoIterator<Item = (&'static str, Sample)>,
        bar: Option<Bar>,
    ) -> Self {
        let rivals: Vec<Rival> = rivals
            .into_iter()
            .map(|(name, sample)| Rival { name: name.to_owned(), sample })
            .collect();
        let median = |at: usize| rivals.get(at).map(|rival| rival.sample.median);
        let ratio = median(0).zip(median(1)).map(|(ours, theirs)| ours / theirs);
        let met = bar.and_then(|bar| match bar {
            Bar::AtMost(most) => ratio.map(|ratio| ratio <= most),
            Bar::Exactly(value) => median(0).map(|ours| ours == value),
        });
        Case { name: name.into(), unit, rivals, ratio, bar, met, details: Vec::new() }
    }

    pub(crate) fn detail(mut self, name: &'static str, value: f64) -> Self {
        self.details.push(Detail { name, value });
        self
    }
}

/// A case without a result.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub name: String,
    pub reason: String,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub name: &'static str,
    /// What is measured and how, in a line.
    pub about: &'static str,
    pub cases: Vec<Case>,
    pub skipped: Vec<Skipped>,
}

impl Section {
    pub(crate) fn new(name: &'static str, about: &'static str) -> Self {
        Section { name, about, cases: Vec::new(), skipped: Vec::new() }
    }

    /// Takes in a case, or why there is none.
    pub(crate) fn add(&mut self, name: impl Into<String>, result: Result<Case, Error>) {
        let name = name.into();
        match result {
            Ok(case) => self.cases.push(case),
            Err(error) => self.skip(name, error.to_string()),
        }
    }

    pub(crate) fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push(Skipped { name: name.into(), reason: reason.into() });
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub machine: Machine,
    pub measurements: Vec<Section>,
}

/// Three digits that matter, and no more than three behind the point.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.about)?;
        if !self.cases.is_empty() {
            let names = self.cases.iter().flat_map(|case| &case.rivals);
            let rival = names.map(|rival| rival.name.len()).max().unwrap_or(0);
            let case = self.cases.iter().map(|case| case.name.len() + case.unit.len() + 2);
            let case = case.max().unwrap_or(0);
            let heads = ["min", "median", "max", "runs", "ratio"];
            write!(f, "  {:case$}  {:rival$}", "", "")?;
            heads.iter().try_for_each(|head| write!(f, " {head:>9}"))?;
            writeln!(f)?;
            self.cases.iter().try_for_each(|one| one.show(f, case, rival))?;
        }
        for Skipped { name, reason } in &self.skipped {
            writeln!(f, "  {name}: skipped: {reason}")?;
        }
        Ok(())
    }
}

impl Case {
    fn show(&self, f: &mut fmt::Formatter<'_>, case: usize, rival: usize) -> fmt::Result {
        let first = self.rivals.first().map(|rival| rival.sample.median);
        for (at, Rival { name, sample }) in self.rivals.iter().enumerate() {
            let title = format!("{}, {}", self.name, self.unit);
            write!(f, "  {:case$}  {name:rival$}", if at == 0 { &title } else { "" })?;
            for value in [sample.min, sample.median, sample.max] {
                write!(f, " {:>9}", number(value))?;
            }
            write!(f, " {:>9}", sample.runs.len())?;
            match first {
                Some(first) if at > 0 => {
                    write!(f, " {:>9}", format!("{}x", number(first / sample.median)))?;
                }
                _ => {}
            }
            let judged = at == self.rivals.len().min(2) - 1;
            if let (Some(bar), Some(met), true) = (self.bar, self.met, judged) {
                write!(f, "  {bar}: {}", if met { "met" } else { "NOT MET" })?;
            }
            writeln!(f)?;
        }
        if !self.details.is_empty() {
            let details = self.details.iter();
            let details =
                details.map(|Detail { name, value }| format!("{name} {}", number(*value)));
            writeln!(f, "  {:case$}  {}", "", details.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(ours: f64, theirs: f64, bar: Bar) -> Case {
        Case::new("c", "ms", [("a", Sample::exact(ours)), ("b", Sample::exact(theirs))], Some(bar))
    }

    #[test]
    fn a_bar_is_held_against_the_ratio_of_the_first_two_medians() {
        let case = case(6.0, 2.0, Bar::AtMost(3.0));
        assert_eq!((case.ratio, case.met), (Some(3.0), Some(true)));
        assert_eq!(self::case(6.1, 2.0, Bar::AtMost(3.0)).met, Some(false));
    }

    #[test]
    fn an_exact_bar_is_held_against_the_first_median() {
        assert_eq!(case(1.0, 5.0, Bar::Exactly(1.0)).met, Some(true));
        assert_eq!(case(1.001, 5.0, Bar::Exactly(1.0)).met, Some(false));
        let alone = Case::new("c", "exits", [("a", Sample::exact(1.0))], Some(Bar::Exactly(1.0)));
        assert_eq!((alone.ratio, alone.met), (None, Some(true)));
        assert!(alone_shown(alone).contains("exactly 1: met"));
    }

    fn alone_shown(case: Case) -> String {
        let mut section = Section::new("s", "about");
        section.add("c", Ok(case));
        section.to_string()
    }

    #[test]
    fn a_table_says_whether_the_bar_is_met_once_and_names_what_was_skipped() {
        let mut section = Section::new("s", "about");
        section.add("c", Ok(case(10.0, 2.0, Bar::AtMost(3.0))));
        section.skip("d", "it is missing");
        let text = section.to_string();
        assert_eq!(text.matches("at most 3x: NOT MET").count(), 1, "{text}");
        assert!(text.contains("5.00x"), "{text}");
        assert!(text.contains("d: skipped: it is missing"), "{text}");
    }

    #[test]
    fn the_json_has_every_run() {
        let json = serde_json::to_value(case(6.0, 2.0, Bar::AtMost(3.0))).unwrap();
        assert_eq!(json["rivals"][1]["runs"][0], 2.0);
        assert_eq!(json["ratio"], 3.0);
        assert_eq!(json["bar"]["at_most"], 3.0);
        assert_eq!(json["met"], true);
    }

    #[test]
    fn numbers_are_as_long_as_they_must_be() {
        let shown = [1234.5, 56.78, 7.654, 0.02].map(number);
        assert_eq!(shown, ["1234", "56.8", "7.65", "0.020"]);
    }
}
