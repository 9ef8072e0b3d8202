//! PolyBench's kernels in our own words, for WASI and for this machine: one program for each data
//! set, of one source tree.

use super::{Guests, LINK, clang};
use crate::debian::packages;
use crate::process::{Result, command, say, succeed};
use std::fs;
use std::path::Path;

/// The data sets, in the order of the numbers by which the source knows them.
const DATASETS: [&str; 5] = ["mini", "small", "medium", "large", "extralarge"];

/// How all of them are compiled. Nothing here lets a compiler change what arithmetic gives: without
/// contraction no product is added unrounded, and without `-ffast-math` no sum is taken in
/// another order. So the checksums of all builds are the same.
const FLAGS: &[&str] = &["-O3", "-Wall", "-Wextra", "-ffp-contract=off"];

/// For WASI: as clang makes a program that asks for nothing, and with SIMD.
const WASI: [(&str, &[&str]); 2] = [("", &[]), ("-simd", &["-msimd128"])];

/// For this machine; neither is asked to use more than what every x86-64 has.
const COMPILERS: [(&str, &str); 2] = [("gcc", "gcc"), ("clang", "clang-22")];

/// The files of the source, and the flag for a data set.
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

/// The programs for WASI.
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

/// The programs for this machine, in a folder.
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
