//! The results: tables for people, JSON for programs.

use crate::error::{Error, about};
use crate::machine::Machine;
use crate::statistics::Sample;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::{fmt, fs, io};

/// The bar that a result must meet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// The first rival's median is at most this many times the other's.
    AtMost(f64),
    /// The first rival's median is at most `ratio` times the other's, or at most `value`.
    AtMostOr { ratio: f64, value: f64 },
    /// The first rival's median is exactly this.
    Exactly(f64),
}

impl Bar {
    fn met(self, first: f64, other: Option<f64>) -> bool {
        match self {
            Bar::AtMost(ratio) => other.is_some_and(|other| first <= ratio * other),
            Bar::AtMostOr { ratio, value } => {
                first <= value || other.is_some_and(|other| first <= ratio * other)
            }
            Bar::Exactly(value) => first == value,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::AtMost(ratio) => write!(f, "at most {}x", short(*ratio)),
            Bar::AtMostOr { ratio, value } => {
                write!(f, "at most {}x or {}", short(*ratio), short(*value))
            }
            Bar::Exactly(value) => write!(f, "exactly {value}"),
        }
    }
}

/// One rival's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rival {
    pub name: String,
    #[serde(flatten)]
    pub sample: Sample,
}

/// A number in addition to the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detail {
    /// Its name, with its unit if that is not the case's.
    pub name: String,
    pub value: f64,
}

/// The verdict on a bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// The rival that is compared with, if any.
    pub against: Option<String>,
    #[serde(flatten)]
    pub bar: Bar,
    pub met: bool,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub name: String,
    pub unit: String,
    /// Twine first, then its rival, then others for orientation.
    pub rivals: Vec<Rival>,
    /// The first rival's median over the second's.
    pub ratio: Option<f64>,
    pub bars: Vec<Judged>,
    /// Other numbers about the case.
    pub details: Vec<Detail>,
}

impl Case {
    /// Makes a case. The bar applies to the first two rivals, or to the first alone if there is
    /// only one.
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &str,
        rivals: impl IntoIterator<Item = (impl Into<String>, Sample)>,
        bar: Option<Bar>,
    ) -> Self {
        let rivals: Vec<Rival> =
            rivals.into_iter().map(|(name, sample)| Rival { name: name.into(), sample }).collect();
        let mut case = Case {
            name: name.into(),
            unit: unit.into(),
            ratio: None,
            rivals,
            bars: Vec::new(),
            details: Vec::new(),
        };
        case.ratio = case.median(0).zip(case.median(1)).map(|(ours, theirs)| ours / theirs);
        match bar {
            Some(bar) => case.held(1, bar),
            None => case,
        }
    }

    fn median(&self, rival: usize) -> Option<f64> {
        self.rivals.get(rival).map(|rival| rival.sample.median)
    }

    /// Applies a bar to the first rival and the fastest of those in `rivals`.
    pub(crate) fn held_against_fastest(self, rivals: &[usize], bar: Bar) -> Self {
        let there = rivals.iter().copied().filter(|rival| self.median(*rival).is_some());
        let fastest = there.min_by(|one, other| {
            let median = |rival: usize| self.rivals[rival].sample.median;
            median(*one).total_cmp(&median(*other))
        });
        // If none of them has a result, the bar counts as not met, instead of being left out.
        self.held(fastest.unwrap_or(usize::MAX), bar)
    }

    /// Applies a bar to the first rival and that one.
    pub(crate) fn held(mut self, rival: usize, bar: Bar) -> Self {
        let Some(first) = self.median(0) else { return self };
        let against = self.rivals.get(rival).map(|rival| rival.name.clone());
        let met = bar.met(first, self.median(rival));
        self.bars.push(Judged { against, bar, met });
        self
    }

    pub(crate) fn detail(mut self, name: impl Into<String>, value: f64) -> Self {
        self.details.push(Detail { name: name.into(), value });
        self
    }
}

/// One measurement at several points of an axis: a table, or a curve for each rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub name: String,
    /// The name of the axis.
    pub axis: String,
    pub unit: String,
    pub points: Vec<Point>,
}

/// One point of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub name: String,
    /// The position on the axis, if that is one of numbers.
    pub at: Option<f64>,
    pub rivals: Vec<Rival>,
}

/// A case without a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    pub name: String,
    pub reason: String,
}

/// A value that others have measured elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quoted {
    /// What was measured.
    pub name: String,
    pub unit: String,
    pub value: f64,
    /// The place and the method.
    pub conditions: String,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    pub name: String,
    /// The subject and the method of the measurement, in one line.
    pub about: String,
    pub cases: Vec<Case>,
    pub series: Vec<Series>,
    pub skipped: Vec<Skipped>,
    /// The facts that must be known about the values, a sentence or two each. Older results have
    /// none.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Values measured by others. Older results have none.
    #[serde(default)]
    pub quoted: Vec<Quoted>,
}

impl Section {
    pub(crate) fn new(name: &str, about: &str) -> Self {
        Section {
            name: name.into(),
            about: about.into(),
            cases: Vec::new(),
            series: Vec::new(),
            skipped: Vec::new(),
            notes: Vec::new(),
            quoted: Vec::new(),
        }
    }

    /// Adds a case, or the reason why it has no result.
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

/// All results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub machine: Machine,
    /// Whether all cases were made small, to check that the benchmarks work.
    pub quick: bool,
    pub measurements: Vec<Section>,
}

impl Report {
    /// Reads results from JSON.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let json = about(path.display(), fs::read(path))?;
        let report = serde_json::from_slice(&json).map_err(io::Error::from);
        about(path.display(), report)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_string_pretty(self).map_err(io::Error::from);
        about(path.display(), json.and_then(|json| fs::write(path, json + "\n")))
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.measurements.iter().find(|section| section.name == name)
    }
}

/// Formats with two decimal places, without trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats with about three significant digits, and at most three decimal places.
pub(crate) fn number(value: f64) -> String {
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
        for Quoted { name, unit, value, conditions } in &self.quoted {
            writeln!(f, "  quoted: {name}: {} {unit} ({conditions})", number(*value))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
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
            let judged = |judged: &&Judged| match &judged.against {
                Some(against) => against == name,
                None => at == 0,
            };
            for Judged { bar, met, .. } in self.bars.iter().filter(judged) {
                write!(f, "  {bar}: {}", if *met { "met" } else { "NOT MET" })?;
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
        assert_eq!((case.ratio, case.bars[0].met), (Some(3.0), true));
        assert!(!self::case(6.1, 2.0, Bar::AtMost(3.0)).bars[0].met);
    }

    #[test]
    fn a_bar_can_be_a_ratio_or_a_value_whichever_is_more() {
        let bar = Bar::AtMostOr { ratio: 2.0, value: 40.0 };
        let met = |ours, theirs| case(ours, theirs, bar).bars[0].met;
        assert!(met(40.0, 1.0) && met(60.0, 30.0));
        assert!(!met(41.0, 20.0));
    }

    #[test]
    fn other_rivals_can_have_bars_of_their_own() {
        let rivals = [("a", 3.0), ("b", 1.0), ("c", 2.0)].map(|(n, v)| (n, Sample::exact(v)));
        let case = Case::new("c", "s", rivals, Some(Bar::AtMost(3.0))).held(2, Bar::AtMost(1.2));
        let judged = case.bars.iter().map(|bar| (bar.against.as_deref(), bar.met));
        assert_eq!(judged.collect::<Vec<_>>(), [(Some("b"), true), (Some("c"), false)]);
    }

    #[test]
    fn a_bar_against_several_rivals_is_held_against_the_fastest_and_names_it() {
        let held = |b: f64, c: f64, rivals: &[usize]| {
            let values = [("a", 3.0), ("b", b), ("c", c), ("d", 0.1)];
            let values = values.map(|(name, value)| (name, Sample::exact(value)));
            let case = Case::new("c", "s", values, None);
            let judged = case.held_against_fastest(rivals, Bar::AtMost(0.75)).bars.remove(0);
            (judged.against, judged.met)
        };
        assert_eq!(held(4.0, 5.0, &[1, 2]), (Some("b".into()), true));
        assert_eq!(held(5.0, 4.0, &[1, 2]), (Some("c".into()), true));
        assert_eq!(held(5.0, 3.9, &[1, 2]), (Some("c".into()), false));
        assert_eq!(held(5.0, 4.0, &[]), (None, false));
        assert_eq!(held(5.0, 4.0, &[9, 1]), (Some("b".into()), true));
    }

    #[test]
    fn quoted_figures_and_notes_are_shown_with_their_conditions() {
        let mut section = Section::new("s", "about");
        section.notes.push("of a model".into());
        section.quoted.push(Quoted {
            name: "reads".into(),
            unit: "thousand a second".into(),
            value: 23.2,
            conditions: "elsewhere".into(),
        });
        let text = section.to_string();
        assert!(text.contains("quoted: reads: 23.2 thousand a second (elsewhere)"), "{text}");
        assert!(text.contains("note: of a model"), "{text}");
    }

    #[test]
    fn results_from_before_there_were_notes_and_quotes_are_read() {
        let old = r#"{"name":"s","about":"a","cases":[],"series":[],"skipped":[]}"#;
        assert_eq!(serde_json::from_str::<Section>(old).unwrap(), Section::new("s", "a"));
    }

    #[test]
    fn an_exact_bar_is_held_against_the_first_median() {
        assert!(case(1.0, 5.0, Bar::Exactly(1.0)).bars[0].met);
        assert!(!case(1.001, 5.0, Bar::Exactly(1.0)).bars[0].met);
        let alone = Case::new("c", "exits", [("a", Sample::exact(1.0))], Some(Bar::Exactly(1.0)));
        assert_eq!((alone.ratio, alone.bars[0].met), (None, true));
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
    fn the_json_has_every_run_and_is_read_back_as_it_was() {
        let mut section = Section::new("s", "about");
        let exact = Bar::Exactly(6.0);
        section.add("c", Ok(case(6.0, 2.0, Bar::AtMost(3.0)).held(0, exact).detail("d", 0.5)));
        let json = serde_json::to_value(&section).unwrap();
        let case = &json["cases"][0];
        assert_eq!(case["rivals"][1]["runs"][0], 2.0);
        assert_eq!(case["ratio"], 3.0);
        assert_eq!(case["bars"][0]["at_most"], 3.0);
        assert_eq!(case["bars"][0]["against"], "b");
        assert_eq!(case["bars"][0]["met"], true);
        assert_eq!(serde_json::from_value::<Section>(json).unwrap(), section);
    }

    #[test]
    fn numbers_have_about_three_digits() {
        let shown = [1234.5, 56.78, 7.654, 0.02].map(number);
        assert_eq!(shown, ["1234", "56.8", "7.65", "0.020"]);
        let bars = [10.0 / 7.0, 3.0, 0.1].map(|ratio| Bar::AtMost(ratio).to_string());
        assert_eq!(bars, ["at most 1.43x", "at most 3x", "at most 0.1x"]);
    }
}
