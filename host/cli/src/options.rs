//! Options that several commands have: where to run, and what compiles.

use crate::failure::Failure;
use crate::locate;
use crate::print::print_error;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use twine_host::{Image, Platform, Tee};

/// Where to run.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Which SGX to run on: the CPU's, software, or the CPU's where it can be used
    #[arg(long, value_enum, default_value = "auto")]
    tee: TeeName,

    /// The enclave image [default: the one beside this command]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Compile the program anew, and don't keep the code (see `twine cache`)
    #[arg(long)]
    pub no_code_cache: bool,

    /// Compare every address with the size of the memory, where memories can have guard pages
    #[arg(long)]
    pub no_guard_pages: bool,
}

/// What compiles the program, where no code of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompilerName {
    /// Cranelift: takes its time, and makes fast code
    Optimizing,
    /// Winch: takes a fraction of that time, and makes slower code
    Baseline,
    /// Winch for now; meanwhile another process compiles the program with Cranelift, for the
    /// next start
    Auto,
}

impl Target {
    /// The same, and no code is kept.
    pub(crate) fn without_code_cache(self) -> Self {
        Target { no_code_cache: true, ..self }
    }

    /// The options that say it, for another `twine`.
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

    /// The image for a program of so many bytes, and where it runs; says if SGX is simulated,
    /// unless `quiet`.
    pub(crate) fn choose(&self, program: usize, quiet: bool) -> Result<(Image, Platform), Failure> {
        let platform = Tee::from(self.tee).choose()?;
        let image = locate::image(self.image.clone(), program, platform)?;
        if platform == Platform::Simulated && !quiet {
            print_error!("twine: SGX is simulated: nothing is protected from this machine");
        }
        Ok((image, platform))
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
