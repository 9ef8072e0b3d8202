//! The benchmarks: the costs of Twine, each compared with a rival, as tables and as JSON.
//!
//! Run `cargo run --release -p twine-bench -- --help`; `README.md` says how to read the results.
//!
//! Each timed run is a new process: `twine run` or, for rivals outside an enclave, this program in its
//! hidden mode `native-run`.
#![deny(unsafe_code)]

mod breakdown;
mod call;
mod compare;
mod compile;
mod cost;
mod csv;
mod database;
mod error;
mod hosting;
mod html;
mod ipfs;
mod kernel;
mod machine;
mod mapped;
mod micro;
mod native;
mod polybench;
mod process;
mod report;
mod speedtest;
mod start;
mod statistics;
mod volume;

use clap::{Args, Parser, Subcommand, ValueEnum};
use error::Result;
use machine::Machine;
use polybench::Dataset;
use process::Workspace;
use report::{Report, Section};
use statistics::Effort;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures the costs of Twine, each compared with a rival.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    other: Option<Other>,

    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Show the differences between two files of results
    Compare {
        /// First results (JSON)
        before: PathBuf,
        /// Second results (JSON)
        after: PathBuf,
    },
    /// Draw the HTML page again from a file of results
    Draw {
        /// Results (JSON)
        results: PathBuf,
        /// HTML file to write
        page: PathBuf,
    },
    /// Run a program outside an enclave
    #[command(hide = true)]
    NativeRun(native::Arguments),
}

#[derive(Debug, Args)]
struct Arguments {
    /// Benchmarks to run [default: all]
    #[arg(value_enum)]
    names: Vec<Name>,

    /// Number of runs of each rival, if there is time
    #[arg(long, value_name = "N", default_value_t = 11)]
    runs: usize,

    /// Write all values to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a table of each benchmark to FOLDER, as NAME.csv
    #[arg(long, value_name = "FOLDER")]
    csv: Option<PathBuf>,

    /// Write all results, with figures, to FILE as one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Few runs of small cases, to check that the benchmarks work
    #[arg(long)]
    quick: bool,

    /// Size of the inputs of `polybench` [default: large; with --quick: medium]
    #[arg(long, value_enum, value_name = "NAME")]
    dataset: Option<Dataset>,

    /// `twine` command to measure, with its image beside it [default: target/release/twine]
    #[arg(long, value_name = "FILE")]
    twine: Option<PathBuf>,

    /// Folder of the example programs [default: target/guests]
    #[arg(long, value_name = "FOLDER")]
    guests: Option<PathBuf>,

    /// Folder of the rivals [default: target/rivals]
    #[arg(long, value_name = "FOLDER")]
    rivals: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Start of a process, compared with wasmtime outside
    Start,
    /// Compute kernels, inside and outside
    Kernel,
    /// The compiler, inside and outside
    Compile,
    /// Host calls, and their number for a line of output
    Call,
    /// SQLite's speedtest1, in files and in memory
    Speedtest,
    /// Records in SQLite, in files and in memory
    Micro,
    /// The volume alone, compared with plain files
    Volume,
    /// The volume, compared with a model of Intel's library, as published and as the research system
    /// changed it
    Ipfs,
    /// The parts of the time of SQLite on a protected file
    Breakdown,
    /// Start times, sizes and memory
    Cost,
    /// Numerical kernels, compared with wasmtime outside and native compilers
    Polybench,
    /// Deployments on a `twine host`, compared with local runs and plain TLS
    Hosting,
}

impl Arguments {
    /// Returns how often to run: at least three times, or once if quick, even if that takes long.
    fn effort(&self) -> Effort {
        match self.quick {
            true => Effort { runs: self.runs.min(3), least: 1, budget: Duration::from_secs(5) },
            false => Effort { runs: self.runs, least: 3, budget: Duration::from_secs(30) },
        }
    }

    fn dataset(&self) -> Dataset {
        let usual = if self.quick { Dataset::Medium } else { Dataset::Large };
        self.dataset.unwrap_or(usual)
    }

    fn measure(&self, name: Name, workspace: &Workspace) -> Section {
        let (effort, quick) = (self.effort(), self.quick);
        match name {
            Name::Start => start::measure(workspace, effort),
            Name::Kernel => kernel::measure(workspace, effort, quick),
            Name::Compile => compile::measure(workspace, effort, quick),
            Name::Call => call::measure(workspace, effort, quick),
            Name::Speedtest => speedtest::measure(workspace, effort, quick),
            Name::Micro => micro::measure(workspace, effort, quick),
            Name::Volume => volume::measure(workspace, effort, quick),
            Name::Ipfs => ipfs::measure(workspace, effort, quick),
            Name::Breakdown => breakdown::measure(workspace, effort, quick),
            Name::Cost => cost::measure(workspace, effort, quick),
            Name::Polybench => polybench::measure(workspace, effort, self.dataset()),
            Name::Hosting => hosting::measure(workspace, effort, quick),
        }
    }
}

fn main() -> ExitCode {
    let command = Command::parse();
    let result = match &command.other {
        Some(Other::NativeRun(arguments)) => return native::run(arguments),
        Some(Other::Compare { before, after }) => compare::show(before, after),
        Some(Other::Draw { results, page }) => {
            Report::read(results).and_then(|report| html::write(&report, page))
        }
        None => run(&command.arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!(
            "twine-bench: this is not a --release build: the rivals outside the enclave are too slow"
        );
    }
    let Arguments { twine, guests, rivals, .. } = arguments;
    let workspace = Workspace::find(twine.clone(), guests.clone(), rivals.clone())?;
    let machine = Machine::detect(&workspace)?;
    println!("{machine}");
    let names = if arguments.names.is_empty() { Name::value_variants() } else { &arguments.names };
    let mut measurements = Vec::new();
    for &name in names {
        let section = arguments.measure(name, &workspace);
        println!("{section}");
        measurements.push(section);
    }
    let report = Report { machine, quick: arguments.quick, measurements };
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    if let Some(folder) = &arguments.csv {
        csv::write(&report, folder)?;
    }
    if let Some(path) = &arguments.html {
        html::write(&report, path)?;
    }
    Ok(())
}
