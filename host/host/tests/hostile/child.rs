//! Runs cases in child processes, one after the other, so that the parent sees all effects of a
//! case on its process.

use crate::answers::Case;
use crate::program;
use crate::scan::{Found, Search};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use twine_host::Error;
use twine_protocol::launch::{End, Outcome};

/// The end of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Exited(u32),
    Trapped(String),
    Refused(String),
    Failed(String),
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome.end {
            End::Exited { code, .. } => Ending::Exited(code),
            End::Trapped { cause, .. } => Ending::Trapped(cause),
            End::Refused { cause, .. } => Ending::Refused(cause),
        }
    }
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Ending::Failed(error.to_string())
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with {code}"),
            Ending::Trapped(cause) => write!(f, "trapped: {cause}"),
            Ending::Refused(cause) => write!(f, "refused: {cause}"),
            Ending::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

/// The permitted results of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any clean end, unless the program finds its memory or a result broken.
    Clean,
    /// The program must run as if nothing were wrong.
    Good,
    /// The program must not run to its end.
    NotGood,
    /// The secret must be found: the control.
    Found,
}

/// The result of a case.
#[derive(Debug)]
pub struct Result {
    pub ending: Ending,
    /// The program's output, as an honest host would have seen it. `None` if the case makes it
    /// meaningless.
    pub output: Option<Vec<u8>>,
    /// The secrets that were found during the run.
    pub found: Found,
    /// Another problem, if there is one.
    pub problem: Option<String>,
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

const GROUP: &str = "TWINE_HOSTILE_GROUP";
const FROM: &str = "TWINE_HOSTILE_FROM";
const FILES: &str = "TWINE_HOSTILE_FILES";

fn memory_file(name: &std::ffi::CStr) -> File {
    // SAFETY: makes a new descriptor.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), 0) };
    assert!(descriptor >= 0);
    // SAFETY: the descriptor is new, and nothing else owns it.
    unsafe { File::from_raw_fd(descriptor) }
}

/// The standard streams of a child, as files in memory.
struct Streams {
    input: File,
    output: File,
}

impl Streams {
    fn take() -> Self {
        let mut input = memory_file(c"input");
        input.write_all(&program::input()).expect("writing to memory succeeds");
        let streams = Streams { input, output: memory_file(c"output") };
        let null = File::options().write(true).open("/dev/null").expect("/dev/null exists");
        let pairs = [(streams.input.as_raw_fd(), 0), (streams.output.as_raw_fd(), 1)];
        for (file, standard) in pairs.into_iter().chain([(null.as_raw_fd(), 2)]) {
            // SAFETY: both descriptors are open. The panic hook reports what the standard error
            // would show.
            assert!(unsafe { libc::dup2(file, standard) } >= 0);
        }
        streams
    }

    fn reset(&mut self) {
        self.input.seek(SeekFrom::Start(0)).expect("seeking in memory succeeds");
        self.output.set_len(0).expect("truncating memory succeeds");
        self.output.seek(SeekFrom::Start(0)).expect("seeking in memory succeeds");
    }

    fn output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.output.seek(SeekFrom::Start(0)).expect("seeking in memory succeeds");
        self.output.read_to_end(&mut bytes).expect("reading from memory succeeds");
        bytes
    }
}

/// Returns the problem with the result of a case, if there is one.
fn verdict(expect: Expect, result: &Result, after: &Found, panics: &[String]) -> Option<String> {
    let places: Vec<_> = result.found.outside.iter().chain(&after.outside).collect();
    if let Some(problem) = &result.problem {
        return Some(problem.clone());
    }
    if let Some(panic) = panics.first() {
        return Some(format!("the host panicked: {panic}"));
    }
    if expect == Expect::Found {
        return match (result.found.outside.is_empty(), after.outside.is_empty()) {
            (false, false) => None,
            (found, found_after) => {
                Some(format!("the search found nothing: {found} during, {found_after} after"))
            }
        };
    }
    if !places.is_empty() {
        return Some(format!("the secret is outside: {places:?}"));
    }
    let ran = result.ending == Ending::Exited(program::GOOD);
    if let Ending::Exited(code @ program::BROKEN..) = result.ending {
        return Some(format!("the program found a result or its memory broken: {code}"));
    }
    if let Some(output) = &result.output
        && ran
        && *output != program::output()
    {
        return Some(format!("the output differs: {:?}", String::from_utf8_lossy(output)));
    }
    match (expect, ran) {
        (Expect::Good, false) => Some("the program did not run to its end".into()),
        (Expect::NotGood, true) => Some("the program ran as if nothing were wrong".into()),
        _ => None,
    }
}

/// Runs the cases of a group, if this process is a child. Each case adds a line to the report:
/// `number`, tab, name; then ending, tab, problem.
pub fn run(cases: impl FnOnce(&str) -> Vec<Case>) {
    let (Ok(group), Some(files)) = (env::var(GROUP), env::var_os(FILES)) else { return };
    let files = PathBuf::from(files);
    let from: usize = env::var(FROM).ok().and_then(|from| from.parse().ok()).unwrap_or(0);
    // Freed memory must stay where it can be searched.
    for (option, value) in [
        (libc::M_MMAP_THRESHOLD, 32 << 20),
        (libc::M_TRIM_THRESHOLD, i32::MAX),
        (libc::M_ARENA_MAX, 1),
    ] {
        // SAFETY: these options have no effect on memory safety.
        unsafe { libc::mallopt(option, value) };
    }
    let words = fs::read(files.join("words")).expect("the parent has written the words");
    let search = Search::new(words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)));
    let search: &'static Search = Box::leak(Box::new(search));
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(info.to_string());
        }
    }));
    let mut report = File::options()
        .append(true)
        .create(true)
        .open(files.join(format!("{group}.report")))
        .expect("the parent has made the folder");
    let mut streams = Streams::take();
    for (number, case) in cases(&group).into_iter().enumerate().skip(from) {
        writeln!(report, "{number}\t{}", case.name).expect("writing the report succeeds");
        streams.reset();
        let expect = case.expect;
        let run = std::panic::AssertUnwindSafe(|| (case.run)(search));
        let mut result = std::panic::catch_unwind(run).unwrap_or_else(|_| Result {
            ending: Ending::Failed("a panic".into()),
            output: None,
            found: Found::default(),
            problem: None,
        });
        if let Some(output) = &mut result.output
            && output.is_empty()
        {
            *output = streams.output();
        }
        let after = search.process(&crate::raw::loaded(), &crate::answers::frames());
        let panics = PANICS.lock().map(|mut panics| std::mem::take(&mut *panics));
        let problem = verdict(expect, &result, &after, &panics.unwrap_or_default());
        let frames = result.found.frames + after.frames;
        let searched = (result.found.searched + after.searched) >> 20;
        let line = format!(
            "{}\t{}\t{frames}\t{searched}\n",
            one_line(&result.ending.to_string()),
            one_line(&problem.unwrap_or_default()),
        );
        report.write_all(line.as_bytes()).expect("writing the report succeeds");
    }
    // Threads of a case may still be in the enclave. This does not wait for them.
    // SAFETY: the report is written, and nothing else needs to be saved.
    unsafe { libc::_exit(0) };
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

/// Returns the text without the words that contain digits, so that endings of one kind are equal.
fn words_without_numbers(text: &str) -> String {
    let words = text.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// The results of a group's cases.
#[derive(Debug, Default)]
pub struct Summary {
    /// The names of cases, and their problems.
    pub problems: Vec<(String, String)>,
    /// The endings, without digits, and how often each occurred.
    pub endings: BTreeMap<String, usize>,
    pub cases: usize,
    /// The number of words of the secret in the frames of software SGX, and of megabytes searched.
    pub frames: usize,
    pub searched: usize,
}

/// The longest time to wait for a case.
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs a group in child processes. After one dies, starts a new one.
pub fn group(name: &str) -> Summary {
    let files = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("hostile-{}-{name}", std::process::id()));
    fs::create_dir_all(&files).expect("the target folder is writable");
    let words: Vec<u8> =
        program::complemented_secret().iter().flat_map(|word| word.to_le_bytes()).collect();
    fs::write(files.join("words"), words).expect("the target folder is writable");
    let report = files.join(format!("{name}.report"));

    let mut summary = Summary::default();
    let mut from = 0;
    loop {
        let death = run_child(name, from, &files, &report);
        let text = fs::read_to_string(&report).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        summary.cases = lines.len().div_ceil(2);
        let Some(death) = death else { break };
        if lines.len().is_multiple_of(2) {
            summary.problems.push((format!("after {} cases", lines.len() / 2), death));
            break;
        }
        // The case that was running has no second line, so this adds it.
        let mut file = File::options().append(true).open(&report).expect("the report was read");
        writeln!(file, "the process ended\t{}\t0\t0", one_line(&death)).expect("it is writable");
        from = lines.len().div_ceil(2);
    }
    let text = fs::read_to_string(&report).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.chunks(2) {
        let [begin, end] = pair else { continue };
        let name = begin.split('\t').nth(1).unwrap_or_default();
        let mut end = end.split('\t');
        let ending = end.next().unwrap_or_default();
        let problem = end.next().unwrap_or_default();
        summary.frames += end.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        summary.searched += end.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        let class: String = if ending.starts_with("exited") {
            ending.into()
        } else {
            words_without_numbers(ending)
        };
        *summary.endings.entry(class).or_default() += 1;
        if !problem.is_empty() {
            summary.problems.push((name.into(), format!("{problem} ({ending})")));
        }
    }
    if summary.problems.is_empty() {
        let _ = fs::remove_dir_all(files);
    }
    summary
}

/// Runs one child. Returns how it died, if it did.
fn run_child(name: &str, from: usize, files: &Path, report: &Path) -> Option<String> {
    let mut child = Command::new(env::current_exe().expect("the path of this binary is known"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(GROUP, name)
        .env(FROM, from.to_string())
        .env(FILES, files)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starting this binary succeeds");
    let mut seen = (0, Instant::now());
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return match (status.success(), status.signal()) {
                (true, _) => None,
                (false, Some(signal)) => Some(format!("killed by signal {signal}")),
                (false, None) => Some(format!("{status}")),
            };
        }
        let length = fs::metadata(report).map(|report| report.len()).unwrap_or(0);
        if length != seen.0 {
            seen = (length, Instant::now());
        } else if seen.1.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Some("hung".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}
