//! `polybench`: 30 numerical kernels: in the enclave, outside, and compiled for this machine.

use crate::error::{Error, Result, about};
use crate::process::{Workspace, cause};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, geometric_mean, interleaved};
use clap::ValueEnum;
use std::cell::RefCell;
use std::process::{Command, Stdio};

/// The size of the inputs, by PolyBench's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dataset {
    Mini,
    Small,
    Medium,
    Large,
    Extralarge,
}

impl Dataset {
    fn name(self) -> &'static str {
        match self {
            Dataset::Mini => "mini",
            Dataset::Small => "small",
            Dataset::Medium => "medium",
            Dataset::Large => "large",
            Dataset::Extralarge => "extralarge",
        }
    }
}

/// The ways to run the kernels. The first is compared with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Player {
    Twine,
    Wasmtime,
    Gcc,
    Clang,
    /// The program compiled with SIMD, which compilers use only on request.
    TwineSimd,
}

const PLAYERS: [Player; 5] =
    [Player::Twine, Player::Wasmtime, Player::Gcc, Player::Clang, Player::TwineSimd];

/// The bars of the geometric mean: a player, and a factor.
const BARS: [(Player, f64); 2] = [(Player::Wasmtime, 1.03), (Player::Gcc, 1.2)];

impl Player {
    fn name(self) -> &'static str {
        match self {
            Player::Twine => "in the enclave",
            Player::Wasmtime => "outside, wasmtime",
            Player::Gcc => "native, gcc -O3",
            Player::Clang => "native, clang -O3",
            Player::TwineSimd => "in the enclave, with SIMD",
        }
    }

    fn command(self, workspace: &Workspace, dataset: Dataset, kernel: &str) -> Result<Command> {
        let program = format!("polybench-{}", dataset.name());
        let mut command;
        match self {
            Player::Twine => {
                command = workspace.twine();
                command.args(["run", "--quiet"]).arg(workspace.guest(&program)?);
            }
            Player::TwineSimd => {
                command = workspace.twine();
                command.args(["run", "--quiet"]).arg(workspace.guest(&format!("{program}-simd"))?);
            }
            Player::Wasmtime => {
                command = Command::new(workspace.rival("outside")?);
                command
                    .arg("--own-settings")
                    .arg(&workspace.scratch)
                    .arg(workspace.guest(&program)?);
            }
            Player::Gcc => command = Command::new(workspace.rival(&format!("{program}-gcc"))?),
            Player::Clang => command = Command::new(workspace.rival(&format!("{program}-clang"))?),
        }
        command.arg(kernel).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a kernel in its own process.
    fn run(self, workspace: &Workspace, dataset: Dataset, kernel: &str) -> Result<Told> {
        let output = about(self.name(), self.command(workspace, dataset, kernel)?.output())?;
        let failed = |why| Error::Failed { command: format!("{kernel}, {}", self.name()), why };
        if !output.status.success() {
            return Err(failed(cause(&output.stderr, output.status)));
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        parse(kernel, &printed).ok_or_else(|| failed("it does not print what it should".into()))
    }
}

/// The report of a run.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    seconds: f64,
    checksum: String,
}

/// Parses a line such as `gemm 0.698000306 b960acead97fdf26`.
fn parse(kernel: &str, printed: &str) -> Option<Told> {
    let fields: Vec<&str> = printed.split_whitespace().collect();
    let [name, seconds, checksum] = fields[..] else { return None };
    let seconds = seconds.parse().ok().filter(|seconds: &f64| name == kernel && *seconds > 0.0)?;
    Some(Told { seconds, checksum: checksum.to_owned() })
}

/// Returns the kernels. The program lists them when it is called without one.
fn kernels(workspace: &Workspace, dataset: Dataset) -> Result<Vec<String>> {
    let mut program = Command::new(workspace.rival(&format!("polybench-{}-gcc", dataset.name()))?);
    let output = about("polybench", program.output())?;
    let listed = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(listed.lines().filter_map(|line| line.strip_prefix("  ")).map(ToOwned::to_owned).collect())
}

pub(crate) fn measure(workspace: &Workspace, effort: Effort, dataset: Dataset) -> Section {
    let about = format!(
        "30 kernels, data set {}, by the clock of each program around its kernel alone; wasmtime \
         with its own settings (guard pages); all have the same checksums",
        dataset.name().to_uppercase()
    );
    let mut section = Section::new("polybench", &about);
    let kernels = match kernels(workspace, dataset) {
        Ok(kernels) => kernels,
        Err(error) => {
            section.skip("all", error.to_string());
            return section;
        }
    };
    for kernel in &kernels {
        section.add(kernel.clone(), case(workspace, effort, dataset, kernel));
    }
    match means(&section.cases) {
        Some(mean) => section.cases.push(mean),
        None => section.skip("geometric mean", "no kernel has a result"),
    }
    section
}

fn case(workspace: &Workspace, effort: Effort, dataset: Dataset, kernel: &str) -> Result<Case> {
    let checksums = RefCell::new(Vec::new());
    let mut timed = PLAYERS.map(|player| {
        let checksums = &checksums;
        move || -> Result<f64> {
            let told = player.run(workspace, dataset, kernel)?;
            checksums.borrow_mut().push(told.checksum);
            Ok(told.seconds * 1e3)
        }
    });
    let mut rivals: Vec<_> =
        timed.iter_mut().map(|timed| timed as &mut dyn FnMut() -> Result<f64>).collect();
    let samples = interleaved(effort, &mut rivals)?;
    if checksums.borrow().windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Error::Differs(kernel.into()));
    }
    let names = PLAYERS.into_iter().map(Player::name);
    Ok(Case::new(kernel, "ms", names.zip(samples), None))
}

/// Returns the geometric mean over all kernels of each player's median, as a multiple of gcc's. The
/// spread comes from one mean for each round, up to the fewest rounds of any kernel.
fn means(cases: &[Case]) -> Option<Case> {
    let base = PLAYERS.iter().position(|player| *player == Player::Gcc)?;
    let rounds = cases.iter().map(|case| case.rivals[base].sample.runs.len()).min()?;
    let mean = |player: usize, time: &dyn Fn(&Sample) -> f64| {
        let relative =
            |case: &Case| time(&case.rivals[player].sample) / case.rivals[base].sample.median;
        geometric_mean(&cases.iter().map(relative).collect::<Vec<_>>())
    };
    let mut rivals = Vec::new();
    for (at, player) in PLAYERS.into_iter().enumerate() {
        let runs: Option<Vec<f64>> =
            (0..rounds).map(|round| mean(at, &|sample| sample.runs[round])).collect();
        let median = mean(at, &|sample| sample.median)?;
        let rounds = Sample::of(runs?)?;
        let (min, max) = (rounds.min.min(median), rounds.max.max(median));
        rivals.push((player.name(), Sample { min, median, max, ..rounds }));
    }
    let case = Case::new("geometric mean", "of gcc -O3", rivals, None);
    Some(BARS.into_iter().fold(case, |case, (player, most)| {
        let at = PLAYERS.iter().position(|other| *other == player).unwrap_or(usize::MAX);
        case.held(at, Bar::AtMost(most))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_kernel_its_seconds_and_its_checksum() {
        let told = parse("2mm", "2mm 0.250000000 b4c651f7d639a613\n").unwrap();
        assert_eq!(told, Told { seconds: 0.25, checksum: "b4c651f7d639a613".into() });
        for wrong in ["", "2mm 0.25", "3mm 0.25 b4", "2mm x b4", "2mm 0 b4", "2mm 1 b4 5"] {
            assert_eq!(parse("2mm", wrong), None, "{wrong}");
        }
    }

    fn kernel(times: [[f64; 2]; 5]) -> Case {
        let samples = times.map(|runs| Sample::of(runs.to_vec()).unwrap());
        Case::new("k", "ms", PLAYERS.map(Player::name).into_iter().zip(samples), None)
    }

    #[test]
    fn the_mean_is_of_ratios_so_that_a_long_kernel_weighs_no_more_than_a_short_one() {
        let short = kernel([[2.0, 2.0], [2.0, 2.0], [1.0, 1.0], [1.0, 1.0], [0.5, 0.5]]);
        let long = kernel([[800.0, 800.0], [400.0, 400.0], [100.0, 100.0], [1e2, 1e2], [5e1, 5e1]]);
        let mean = means(&[short, long]).unwrap();
        let medians: Vec<f64> =
            mean.rivals.iter().map(|rival| (rival.sample.median * 1e9).round() / 1e9).collect();
        assert_eq!(medians, [4.0, 8f64.sqrt(), 1.0, 1.0, 0.5].map(|v| (v * 1e9).round() / 1e9));
        assert_eq!(mean.bars.iter().map(|bar| bar.met).collect::<Vec<_>>(), [false, false]);
        assert_eq!(mean.bars[1].against.as_deref(), Some("native, gcc -O3"));
    }

    #[test]
    fn the_spread_of_the_mean_is_that_of_its_rounds() {
        let case = kernel([[1.0, 4.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]);
        let sample = &means(&[case]).unwrap().rivals[0].sample;
        let shown =
            [sample.min, sample.median, sample.max].map(|value| (value * 1e9).round() / 1e9);
        assert_eq!(shown, [1.0, 2.5, 4.0]);
    }

    #[test]
    fn no_kernels_have_no_mean() {
        assert_eq!(means(&[]), None);
    }
}
