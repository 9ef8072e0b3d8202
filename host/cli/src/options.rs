//! Options that several commands share: where to run, and which compiler to use.

use crate::failure::Failure;
use crate::locate;
use crate::print::print_error;
use crate::size;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use twine_host::{Image, Platform, Tee};

/// The SGX and the image to run on.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// SGX to run on: hardware (sgx), software (sim), or hardware if this machine can use it (auto)
    #[arg(long, value_enum, default_value = "auto")]
    tee: TeeName,

    /// Enclave image to run [default: the installed image that fits the program and the machine]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Ignore cached code and compile the program again; `twine run` then stores no code either
    #[arg(long)]
    pub no_code_cache: bool,

    /// Check the bounds of every memory access in code, even if memories can have guard pages
    #[arg(long)]
    pub no_guard_pages: bool,
}

/// Limits that a run and a manifest can set.
#[derive(Debug, Args)]
pub(crate) struct LimitOptions {
    /// Interrupt the program after this time, such as 5s, 100ms or 2m
    #[arg(long, value_name = "TIME", value_parser = size::time)]
    pub timeout: Option<Duration>,

    /// Limit on the total size of the program's linear memories, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    pub max_memory: Option<u64>,

    /// Stop the program after N units of fuel, about one for each instruction
    #[arg(long, value_name = "N")]
    pub fuel: Option<u64>,
}

impl LimitOptions {
    /// The timeout in nanoseconds.
    pub(crate) fn nanoseconds(&self) -> Option<u64> {
        self.timeout.map(size::to_nanoseconds)
    }
}

/// The compiler of a program that has no cached code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompilerName {
    /// Cranelift, which makes fast code
    Optimizing,
    /// Winch, which takes a fraction of the time and makes slower code
    Baseline,
    /// Winch for this run, while another process compiles the program with Cranelift for the next
    Auto,
}

impl Target {
    /// Returns the same target without the code cache.
    pub(crate) fn without_code_cache(self) -> Self {
        Target { no_code_cache: true, ..self }
    }

    /// Returns the command-line options of this target, for another `twine` process.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let tee = self.tee.to_possible_value().map(|value| value.get_name().to_owned());
        let mut options: Vec<OsString> = vec!["--tee".into(), tee.unwrap_or_default().into()];
        if let Some(image) = &self.image {
            options.extend(["--image".into(), image.into()]);
        }
        if self.no_guard_pages {
            options.push("--no-guard-pages".into());
        }
        options
    }

    /// Chooses the image and the SGX for a program of `program` bytes. Unless `quiet`, prints a
    /// note if SGX is simulated.
    pub(crate) fn choose(&self, program: usize, quiet: bool) -> Result<(Image, Platform), Failure> {
        let platform = Tee::from(self.tee).choose()?;
        let image = locate::image(self.image.clone(), program, platform)?;
        if platform == Platform::Simulated && !quiet {
            print_error!("twine: SGX is simulated: it protects nothing from this machine");
        }
        Ok((image, platform))
    }
}

impl Target {
    /// Chooses the image and the SGX for holding deployments.
    pub(crate) fn choose_host(&self) -> Result<(Image, Platform), Failure> {
        let platform = Tee::from(self.tee).choose()?;
        Ok((locate::host_image(self.image.clone())?, platform))
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TeeName {
    Auto,
    Sgx,
    Sim,
}

impl From<TeeName> for Tee {
    fn from(name: TeeName) -> Self {
        match name {
            TeeName::Auto => Tee::Auto,
            TeeName::Sgx => Tee::Sgx,
            TeeName::Sim => Tee::Sim,
        }
    }
}
