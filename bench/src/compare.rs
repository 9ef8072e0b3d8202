//! `compare`: the changes between two files of results, case by case.

use crate::error::Result;
use crate::report::{Report, Section, number};
use crate::statistics::{Sample, chance};
use std::fmt;
use std::path::Path;

/// The highest probability of a change by chance that still counts as a change.
const UNLIKELY: f64 = 0.01;

/// The smallest change that anybody would notice, as a part of the whole.
const NOTICED: f64 = 0.02;

/// The result of comparing one value in two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The second takes less, beyond noise.
    Less,
    /// The second takes more, beyond noise.
    More,
    /// The difference is noise, or too small to matter.
    Same,
    /// There are too few values to tell a change from noise, however they lie.
    TooFew,
}

impl Verdict {
    fn of(before: &Sample, after: &Sample) -> Self {
        let ratio = after.median / before.median;
        let all_apart = chance(before.runs.len(), after.runs.len(), 0.0);
        if (ratio - 1.0).abs() < NOTICED {
            Verdict::Same
        } else if all_apart > UNLIKELY {
            Verdict::TooFew
        } else if before.chance_to_differ_so(after) > UNLIKELY {
            Verdict::Same
        } else if ratio < 1.0 {
            Verdict::Less
        } else {
            Verdict::More
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Less => "LESS",
            Verdict::More => "MORE",
            Verdict::Same => "",
            Verdict::TooFew => "too few runs to tell",
        })
    }
}

/// One value in two files.
#[derive(Debug)]
struct Pair<'a> {
    name: String,
    unit: &'a str,
    before: &'a Sample,
    after: &'a Sample,
}

/// Two files of results to compare.
#[derive(Debug)]
struct Comparison<'a> {
    before: &'a Report,
    after: &'a Report,
}

/// Prints how the second file differs from the first.
pub(crate) fn show(before: &Path, after: &Path) -> Result<()> {
    let (before, after) = (Report::read(before)?, Report::read(after)?);
    print!("{}", Comparison { before: &before, after: &after });
    Ok(())
}

/// Returns all values of a section, each under a name that is unique in it.
fn values(section: &Section) -> Vec<(String, &str, &Sample)> {
    let mut values = Vec::new();
    for case in &section.cases {
        for rival in &case.rivals {
            values.push((format!("{}: {}", case.name, rival.name), &*case.unit, &rival.sample));
        }
    }
    for series in &section.series {
        for point in &series.points {
            for rival in &point.rivals {
                let name = format!("{}, {}: {}", series.name, point.name, rival.name);
                values.push((name, &*series.unit, &rival.sample));
            }
        }
    }
    values
}

impl<'a> Comparison<'a> {
    /// Returns the values in both sections, and the names of values in only one.
    fn pairs(before: &'a Section, after: &'a Section) -> (Vec<Pair<'a>>, Vec<String>) {
        let (mut pairs, mut alone) = (Vec::new(), Vec::new());
        let mut rest = values(after);
        for (name, unit, sample) in values(before) {
            match rest.iter().position(|other| (&other.0, other.1) == (&name, unit)) {
                Some(at) => {
                    pairs.push(Pair { name, unit, before: sample, after: rest.remove(at).2 });
                }
                None => alone.push(name),
            }
        }
        alone.extend(rest.into_iter().map(|(name, ..)| name));
        (pairs, alone)
    }

    /// Returns the reasons why the two files are hard to compare.
    fn warnings(&self) -> Vec<String> {
        let (before, after) = (&self.before.machine, &self.after.machine);
        let mut warnings = Vec::new();
        let mut differ = |what: &str, one: String, other: String| {
            if one != other {
                warnings.push(format!("{what} differs: {one}; {other}"));
            }
        };
        differ("the CPU", before.cpu.clone(), after.cpu.clone());
        differ("SGX", before.sgx.to_string(), after.sgx.to_string());
        differ("the kernel", before.kernel.clone(), after.kernel.clone());
        differ("scheduling", before.scheduling.clone(), after.scheduling.clone());
        let size = |quick| if quick { "quick" } else { "full" }.to_owned();
        differ("the size of the measurements", size(self.before.quick), size(self.after.quick));
        for (which, machine) in [("first", before), ("second", after)] {
            if machine.busy() {
                warnings.push(format!("the machine was busy when the {which} began"));
            }
        }
        warnings
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = [self.before, self.after].map(|report| &report.machine.versions);
        for (which, version) in ["before", "after"].into_iter().zip(versions) {
            writeln!(f, "{which:8}twine {}, commit {}", version.twine, version.commit)?;
        }
        for warning in self.warnings() {
            writeln!(f, "beware: {warning}")?;
        }
        let mut verdicts = Vec::new();
        for before in &self.before.measurements {
            let Some(after) = self.after.section(&before.name) else { continue };
            let (pairs, alone) = Self::pairs(before, after);
            writeln!(f, "\n{}", before.name)?;
            show_pairs(f, &pairs)?;
            verdicts.extend(pairs.iter().map(|pair| Verdict::of(pair.before, pair.after)));
            for name in alone {
                writeln!(f, "  {name}: in one of the files only")?;
            }
        }
        let count = |verdict| verdicts.iter().filter(|other| **other == verdict).count();
        writeln!(
            f,
            "\n{} values: {} take less, {} take more, {} have too few runs to tell. That is said \
             of a median that differs by {:.0}% and more where chance would make the runs lie so in \
             less than one of {:.0} cases (Mann-Whitney); spread is that of the middle halves.",
            verdicts.len(),
            count(Verdict::Less),
            count(Verdict::More),
            count(Verdict::TooFew),
            NOTICED * 100.0,
            1.0 / UNLIKELY,
        )
    }
}

fn show_pairs(f: &mut fmt::Formatter<'_>, pairs: &[Pair<'_>]) -> fmt::Result {
    let names = pairs.iter().map(|pair| pair.name.len() + pair.unit.len() + 2);
    let width = names.max().unwrap_or(0);
    let heads = ["before", "after", "ratio"];
    write!(f, "  {:width$}", "")?;
    heads.iter().try_for_each(|head| write!(f, " {head:>9}"))?;
    writeln!(f, "  {:17} {:>7}", "spread", "runs")?;
    for Pair { name, unit, before, after } in pairs {
        let ratio = after.median / before.median;
        let ((low, high), (new_low, new_high)) = (before.quartiles(), after.quartiles());
        let spread = format!("{}..{}", number(new_low / high), number(new_high / low));
        let runs = format!("{}, {}", before.runs.len(), after.runs.len());
        let title = format!("{name}, {unit}");
        write!(f, "  {title:width$}")?;
        write!(f, " {:>9} {:>9}", number(before.median), number(after.median))?;
        let ratio = format!("{}x", number(ratio));
        let verdict = Verdict::of(before, after).to_string();
        writeln!(f, "{}", format!(" {ratio:>9}  {spread:17} {runs:>7}  {verdict}").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::Case;

    fn sample(values: &[f64]) -> Sample {
        Sample::of(values.to_vec()).unwrap()
    }

    const BEFORE: [f64; 5] = [1.0, 1.01, 1.02, 1.03, 1.04];

    #[test]
    fn a_change_beyond_noise_is_told_from_one_within() {
        let verdict = |after: &[f64]| Verdict::of(&sample(&BEFORE), &sample(after));
        assert_eq!(verdict(&[0.8, 0.81, 0.82, 0.83, 0.84]), Verdict::Less);
        assert_eq!(verdict(&[1.2, 1.21, 1.22, 1.23, 1.24]), Verdict::More);
        assert_eq!(verdict(&[0.9, 1.0, 1.1, 1.2, 1.3]), Verdict::Same, "the runs overlap");
        assert_eq!(verdict(&[1.05, 1.031, 1.032, 1.033, 1.031]), Verdict::Same, "it is too small");
    }

    #[test]
    fn three_runs_are_too_few_for_a_verdict() {
        let verdict = Verdict::of(&sample(&[1.0, 1.0, 1.0]), &sample(&[2.0, 2.0, 2.0]));
        assert_eq!(verdict, Verdict::TooFew);
        assert_eq!(Verdict::of(&Sample::exact(3.0), &Sample::exact(3.0)), Verdict::Same);
    }

    fn report(name: &str, values: &[f64]) -> Report {
        let mut section = Section::new("s", "about");
        let case = Case::new(name, "ms", [("Twine", sample(values))], None);
        section.add(name, Ok(case));
        Report { machine: Machine::unknown(), quick: false, measurements: vec![section] }
    }

    #[test]
    fn each_case_of_both_files_has_a_line_with_its_ratio_and_spread() {
        let before = report("hello", &BEFORE);
        let after = report("hello", &BEFORE.map(|value| value * 2.0));
        let text = Comparison { before: &before, after: &after }.to_string();
        let line = text.lines().find(|line| line.contains("hello: Twine, ms")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = ["1.02", "2.04", "2.00x", "1.96..2.04", "5,", "5", "MORE"];
        assert_eq!(words[3..], expected, "{text}");
        assert!(text.contains("1 values: 0 take less, 1 take more"), "{text}");
    }

    #[test]
    fn cases_in_one_file_only_and_different_machines_are_reported() {
        let (before, mut after) = (report("a", &BEFORE), report("b", &BEFORE));
        after.machine.cpu = "another".into();
        let text = Comparison { before: &before, after: &after }.to_string();
        assert!(text.contains("a: Twine: in one of the files only"), "{text}");
        assert!(text.contains("b: Twine: in one of the files only"), "{text}");
        assert!(text.contains("beware: the CPU differs"), "{text}");
    }
}
