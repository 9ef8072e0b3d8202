//! This project's implementation of PolyBench's kernels, for WASI and for this machine: one program
//! for each data set, from one source tree.

use super::{Guests, LINK, clang};
use crate::debian::packages;
use crate::process::{Result, command, say, succeed};
use std::fs;
use std::path::Path;

/// The data sets. The source knows them by their position here.
const DATASETS: [&str; 5] = ["mini", "small", "medium", "large", "extralarge"];

/// The flags for all builds. None of them lets a compiler change the results of arithmetic: without
/// contraction, no unrounded product is added, and without `-ffast-math`, no sum is reordered. So
/// all builds have the same checksums.
const FLAGS: &[&str] = &["-O3", "-Wall", "-Wextra", "-ffp-contract=off"];

/// The builds for WASI: with clang's defaults, and with SIMD.
const WASI: [(&str, &[&str]); 2] = [("", &[]), ("-simd", &["-msimd128"])];

/// The builds for this machine. Neither may use more than the baseline of x86-64.
const COMPILERS: [(&str, &str); 2] = [("gcc", "gcc"), ("clang", "clang-22")];

/// Returns the files of the source, and the flag for a data set.
fn sources(guests: &Guests, dataset: usize) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for file in fs::read_dir(guests.source("polybench"))? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "c") {
            files.push(file.display().to_string());
        }
    }
    files.sort();
    files.push(format!("-DDATASET={dataset}"));
    Ok(files)
}

/// Builds the programs for WASI.
pub(super) fn programs(guests: &Guests) -> Result<()> {
    for (number, dataset) in DATASETS.iter().enumerate() {
        for (suffix, simd) in WASI {
            let name = format!("polybench-{dataset}{suffix}");
            let flags = [FLAGS, simd].concat();
            let recipe = flags.join(" ");
            let Some(stale) = guests.stale(&name, &recipe, &["polybench"])? else { continue };
            say(format_args!("building {} with clang", guests.shown(&name)));
            let mut clang = clang(guests)?;
            clang.arg(LINK).args(&flags).args(sources(guests, number)?);
            succeed(clang.arg("-o").arg(guests.out(&name)))?;
            stale.made()?;
        }
    }
    Ok(())
}

/// Builds the programs for this machine, into a folder.
pub(super) fn native(guests: &Guests, folder: &Path) -> Result<()> {
    packages(&["gcc", "clang-22"])?;
    let newest = super::last_change(&guests.source("polybench"))?;
    for (number, dataset) in DATASETS.iter().enumerate() {
        for (suffix, compiler) in COMPILERS {
            let name = format!("polybench-{dataset}-{suffix}");
            let out = folder.join(&name);
            let recipe = FLAGS.join(" ");
            let stale = guests.unless_made(out.exists(), &name, &recipe, newest)?;
            let Some(stale) = stale else { continue };
            say(format_args!("building target/rivals/{name} with {compiler}"));
            let mut compiler = command(compiler, &guests.root);
            compiler.args(FLAGS).args(sources(guests, number)?).arg("-lm");
            succeed(compiler.arg("-o").arg(out))?;
            stale.made()?;
        }
    }
    Ok(())
}
