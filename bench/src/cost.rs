//! `cost`: the costs of Twine besides run time: compilation by each compiler, starts, sizes,
//! memory.

use crate::error::{Error, Result, about};
use crate::process::{Job, Runner, Workspace};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Programs from small to large, with arguments with which they end soon.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("hello", &[]),
    ("lua", &["-e", "print(1)"]),
    ("sqlite", &["--version"]),
    ("python", &["-c", "print(1)"]),
];

/// Programs of tens of megabytes. Only their first start is measured, once.
const LARGE: &[(&str, &[&str])] =
    &[("python", &["-c", "print(1)"]), ("esbuild", &["--version"]), ("yosys", &["-V"])];

/// The limit for the first start of a large program, as a multiple of wasmtime's time.
const FIRST: Bar = Bar::AtMost(1.3);

/// The limit for its peak memory, as a multiple of wasmtime's.
const PEAK: Bar = Bar::AtMost(1.5);

/// The limit on the size of programs in quick runs, in bytes.
const QUICK: u64 = 4 << 20;

/// The limit for a later start, as a multiple of wasmtime's time for a precompiled module. A start
/// of up to 40 milliseconds always meets it.
const LATER: f64 = 1.5;

const MIB: f64 = (1 << 20) as f64;

/// The MiB of linear memory that a program has touched when its memory is measured.
const TOUCHED: [u64; 3] = [1, 64, 256];

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "cost",
        "the first start of a program and a later one, by the whole process; code as it is kept, \
         sealed; memory of the process while the program waits",
    );
    let compilers = compilers(workspace);
    for (name, arguments) in PROGRAMS {
        let Ok(program) = workspace.guest(name) else {
            section.skip(*name, "it is missing: `cargo xtask guests` builds it");
            continue;
        };
        if quick && fs::metadata(&program).is_ok_and(|file| file.len() > QUICK) {
            section.skip(*name, "it takes long: without --quick it is measured");
            continue;
        }
        let job = Job::new(&program, arguments);
        let mut usable = Vec::new();
        for compiler in &compilers {
            // Not every compiler takes every program: Winch lacks exceptions.
            match workspace.run_well(Runner::Enclave, &by(&job, compiler), false) {
                Ok(_) => usable.push(compiler.clone()),
                Err(error) => section.skip(format!("{name}, {compiler}"), error.to_string()),
            }
        }
        section.add(format!("{name}, start"), starts(workspace, effort, name, &job, &usable));
        section.add(format!("{name}, size"), sizes(workspace, name, &job));
    }
    for (name, arguments) in LARGE {
        match workspace.guest(name) {
            _ if quick => section.skip(*name, "it takes long: without --quick it is measured"),
            Err(_) => section.skip(*name, "it is missing: `cargo xtask rivals` fetches it"),
            Ok(program) => large(workspace, &mut section, name, &Job::new(program, arguments)),
        }
    }
    section.add("images", images(workspace));
    for touched in TOUCHED {
        section.add(format!("memory, {touched} MiB"), memory(workspace, touched));
    }
    section
}

/// Returns the compilers from which a user of this build can choose; none if there is no choice.
fn compilers(workspace: &Workspace) -> Vec<String> {
    let help = Command::new(&workspace.twine).args(["run", "-h"]).output();
    let help = help.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    choices(&help.unwrap_or_default())
}

/// Parses a help text. Returns the values of `--compiler` except `auto`, which is one of the
/// others.
fn choices(help: &str) -> Vec<String> {
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let listed = words
        .split_once("--compiler ")
        .and_then(|(_, rest)| rest.split(" --").next()?.split_once("[possible values: "))
        .and_then(|(_, rest)| rest.split(']').next());
    let names = listed.unwrap_or_default().split(", ").filter(|name| !name.is_empty());
    names.filter(|name| *name != "auto").map(ToOwned::to_owned).collect()
}

/// Returns the job, compiled anew by that compiler.
fn by(job: &Job, compiler: &str) -> Job {
    Job { anew: true, options: vec!["--compiler".into(), compiler.into()], ..job.clone() }
}

/// Measures the first start by each compiler, a later start, and wasmtime's.
fn starts(
    workspace: &Workspace,
    effort: Effort,
    name: &str,
    job: &Job,
    compilers: &[String],
) -> Result<Case> {
    let wall = |runner: Runner, job: Job| {
        move || -> Result<f64> {
            Ok(workspace.run_well(runner, &job, false)?.wall.as_secs_f64() * 1e3)
        }
    };
    let mut names = vec![
        "twine run, later".to_owned(),
        "wasmtime outside, precompiled".to_owned(),
        "wasmtime outside, compiling".to_owned(),
    ];
    let mut timed: Vec<Box<dyn FnMut() -> Result<f64>>> = vec![
        Box::new(wall(Runner::Enclave, job.clone())),
        Box::new(wall(Runner::Precompiled, job.clone())),
        Box::new(wall(Runner::Wasmtime, job.clone())),
    ];
    if compilers.is_empty() {
        names.push("twine run, first".into());
        timed.push(Box::new(wall(Runner::Enclave, Job { anew: true, ..job.clone() })));
    }
    for compiler in compilers {
        names.push(format!("twine run, first, {compiler}"));
        timed.push(Box::new(wall(Runner::Enclave, by(job, compiler))));
    }
    // This compiles and stores the code, so that the first two rivals make a later start.
    workspace.run_well(Runner::Enclave, job, false)?;
    workspace.run_well(Runner::Precompiled, job, false)?;
    let mut rivals: Vec<_> =
        timed.iter_mut().map(|timed| &mut **timed as &mut dyn FnMut() -> Result<f64>).collect();
    let samples = interleaved(effort, &mut rivals)?;
    let bar = Some(Bar::AtMostOr { ratio: LATER, value: 40.0 });
    Ok(Case::new(format!("{name}, start"), "ms", names.into_iter().zip(samples), bar))
}

/// Measures the time and the peak memory of the first start of a large program.
fn large(workspace: &Workspace, section: &mut Section, name: &str, job: &Job) {
    let rivals = [
        ("twine run, first", Runner::Enclave, by(job, "optimizing")),
        ("wasmtime outside, compiling", Runner::Wasmtime, job.clone()),
    ];
    let started = rivals.map(|(rival, runner, job)| {
        workspace
            .peak(runner, &job)
            .map(|(wall, peak)| (rival, wall.as_secs_f64() * 1e3, peak / 1024.0))
    });
    let case = |what: &str, unit, bar, of: fn(&(&'static str, f64, f64)) -> f64| {
        let mut samples = Vec::new();
        for started in &started {
            let started = started.as_ref().map_err(|error| Error::Program(error.to_string()))?;
            samples.push((started.0, Sample::exact(of(started))));
        }
        Ok(Case::new(format!("{name}, {what}"), unit, samples, Some(bar)))
    };
    section.add(format!("{name}, first start"), case("first start", "ms", FIRST, |case| case.1));
    section.add(format!("{name}, memory"), case("memory to compile", "MiB", PEAK, |case| case.2));
}

/// Measures the sizes of the program and of its cached code.
fn sizes(workspace: &Workspace, name: &str, job: &Job) -> Result<Case> {
    let anew = Job { anew: true, ..job.clone() };
    workspace.run_well(Runner::Enclave, &anew, false)?;
    let program = about(job.program.display(), fs::metadata(&job.program))?.len();
    let code = folder_size(&workspace.code(true))?;
    let rivals = [
        ("compiled code", Sample::exact(code as f64 / 1024.0)),
        ("program", Sample::exact(program as f64 / 1024.0)),
    ];
    Ok(Case::new(format!("{name}, size"), "KiB", rivals, None))
}

fn folder_size(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in about(folder.display(), fs::read_dir(folder))? {
        let path = about(folder.display(), entry)?.path();
        size += match path.is_dir() {
            true => folder_size(&path)?,
            false => about(path.display(), fs::metadata(&path))?.len(),
        };
    }
    Ok(size)
}

/// Measures the sizes of the image's file, of its measured part, and of the enclave's address
/// range.
fn images(workspace: &Workspace) -> Result<Case> {
    let image = workspace.twine.with_extension("sgxs");
    let size = about(image.display(), fs::metadata(&image))?.len() as f64 / MIB;
    let shown = inspect(workspace, &image)?;
    let missing = || Error::Program("twine image inspect does not say how many pages".into());
    let pages = pages(&shown).ok_or_else(missing)?;
    let [all, measured] = pages.map(|pages| Sample::exact(pages * 4096.0 / MIB));
    let rivals =
        [("file", Sample::exact(size)), ("pages", all), ("with measured content", measured)];
    Ok(Case::new("image", "MiB", rivals, None))
}

fn inspect(workspace: &Workspace, image: &Path) -> Result<String> {
    let mut inspect = Command::new(&workspace.twine);
    let output = about("twine image", inspect.args(["image", "inspect"]).arg(image).output())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Parses the two numbers of `pages 8149 at the start, 2502 of them with measured content`.
fn pages(inspected: &str) -> Option<[f64; 2]> {
    let line = inspected.lines().find_map(|line| line.strip_prefix("pages"))?;
    let (all, measured) = line.split_once(',')?;
    let first = |text: &str| text.split_whitespace().next()?.parse().ok();
    Some([first(all)?, first(measured)?])
}

/// Measures a program that touches this many MiB and waits: its memory in and outside of the
/// enclave.
fn memory(workspace: &Workspace, touched: u64) -> Result<Case> {
    let pages = touched * 16 + 1;
    let text = include_str!("../programs/wait.wat").replace("PAGES", &pages.to_string());
    let text = text.replace("BYTES", &(touched << 20).to_string());
    let program = workspace.own_program("wait", &text)?;
    let range = elrange(&inspect(workspace, &workspace.twine.with_extension("sgxs"))?);
    let look = |runner: Runner| -> Result<[f64; 2]> {
        let mut waiting = Waiting::start(workspace, runner, &program)?;
        let maps = waiting.maps()?;
        Ok(resident(&maps, range.filter(|_| runner == Runner::Enclave)))
    };
    let ([outside, inside], [wasmtime, _]) = (look(Runner::Enclave)?, look(Runner::Wasmtime)?);
    let mib = |kib: f64| Sample::exact(kib / 1024.0);
    let rivals = [
        ("twine run", mib(inside + outside)),
        ("wasmtime outside", mib(wasmtime)),
        ("of it in the enclave", mib(inside)),
        ("of it outside", mib(outside)),
    ];
    Ok(Case::new(format!("memory, {touched} MiB touched"), "MiB", rivals, None))
}

/// A program that waits for its standard input to end.
struct Waiting(Child);

impl Waiting {
    fn start(workspace: &Workspace, runner: Runner, program: &Path) -> Result<Self> {
        let mut command = workspace.command(runner, &Job::new(program, &[]));
        command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Waiting(about(runner.name(), command.spawn())?))
    }

    /// Returns the program's mappings, once it has announced that it waits.
    fn maps(&mut self) -> Result<String> {
        use std::io::Read;
        let mut said = [0; 1];
        let out = self.0.stdout.as_mut().ok_or(Error::Program("no output".into()))?;
        about("the program that waits", out.read_exact(&mut said))?;
        // The program announces it before it waits, so this waits until it sleeps.
        let patience = Instant::now() + Duration::from_secs(10);
        let status = format!("/proc/{}/status", self.0.id());
        while !fs::read_to_string(&status).is_ok_and(|text| text.contains("State:\tS")) {
            if Instant::now() > patience {
                return Err(Error::Program("the program that waits does not".into()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let path = format!("/proc/{}/smaps", self.0.id());
        about(&path, fs::read_to_string(&path))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Parses the size of the address range, in bytes, from a line such as `ELRANGE    1 GiB`.
fn elrange(inspected: &str) -> Option<u64> {
    let line = inspected.lines().find_map(|line| line.strip_prefix("ELRANGE"))?;
    let mut words = line.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    match words.next()? {
        "MiB" => Some(number << 20),
        "GiB" => Some(number << 30),
        "TiB" => Some(number << 40),
        _ => None,
    }
}

/// Returns the KiB that are resident outside and inside of an enclave on software SGX. The
/// enclave's range begins at a multiple of its size, with the image's first pages.
fn resident(smaps: &str, range: Option<u64>) -> [f64; 2] {
    let (mut outside, mut inside) = (0.0, 0.0);
    let (mut is_inside, mut enclave) = (false, None);
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let addresses = words.first().and_then(|word| word.split_once('-'));
        let start = addresses.and_then(|(start, _)| u64::from_str_radix(start, 16).ok());
        if let (Some(start), true) = (start, words.len() >= 5) {
            // An image begins with readable pages; a mere reservation is not readable.
            let first = words.len() == 5 && words[1].starts_with('r');
            if let (None, Some(range), true) = (&enclave, range, first) {
                enclave = start.is_multiple_of(range).then_some(start..start.saturating_add(range));
            }
            is_inside = enclave.as_ref().is_some_and(|enclave| enclave.contains(&start));
        } else if let ["Rss:", kib, ..] = words[..] {
            let kib: f64 = kib.parse().unwrap_or(0.0);
            *(if is_inside { &mut inside } else { &mut outside }) += kib;
        }
    }
    [outside, inside]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_those_that_the_help_lists() {
        let help = "  --compiler <NAME>  Which one\n    [default: auto] [possible values: auto, \
                    optimizing,\n  baseline]\n  --quiet";
        assert_eq!(choices(help), ["optimizing", "baseline"]);
        assert!(choices("--tee <TEE> [possible values: auto, sgx]").is_empty());
        assert!(choices("--compiler <NAME> --tee <TEE> [possible values: auto, sgx]").is_empty());
    }

    #[test]
    fn pages_and_range_are_parsed_from_twine_image_inspect() {
        let shown = "XFRM       0xe7\nELRANGE    1 GiB\npages      8149 at the start, 2502 of them with m\n";
        assert_eq!(pages(shown), Some([8149.0, 2502.0]));
        assert_eq!(elrange(shown), Some(1 << 30));
        assert_eq!((pages(""), elrange("")), (None, None));
    }

    #[test]
    fn memory_in_the_enclaves_range_is_counted_separately() {
        let smaps = "\
5638130f1000-563813412000 r-xp 000f7000 fe:00 123  /usr/bin/twine
Rss:                2884 kB
7fc280000000-7fc2c0000000 ---p 00000000 00:00 0
Rss:                   0 kB
7fc2c0000000-7fc2c00f0000 r--p 00000000 00:00 0
Rss:                 960 kB
Pss:                 960 kB
7fc2c00f0000-7fc2c0981000 r-xp 00000000 00:00 0
Rss:                8772 kB
7fc32b844000-7fc32b99a000 r-xp 00026000 fe:00 456  /usr/lib/libc.so.6
Rss:                1136 kB
";
        assert_eq!(resident(smaps, Some(1 << 30)), [4020.0, 9732.0]);
        assert_eq!(resident(smaps, None), [13752.0, 0.0]);
    }
}
