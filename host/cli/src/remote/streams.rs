//! Attaches this process's streams to a deployment, and goes on after a lost connection.

use super::connect::Host;
use crate::failure::Failure;
use crate::manifest::SignedFile;
use crate::print::print_error;
use crate::signals;
use crate::terminal::Lines;
use std::io::{self, IsTerminal, Read, Write};
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use twine_channel::frame::Kind;
use twine_channel::message::{Answer, End, Position, Request, Which};
use twine_client::{Attached, Error, Event, Proven, Streams};
use twine_evidence::terms::{self, Stream};

/// How long a lost connection is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// The wait before the first try, and between later ones at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Writes output of a program.
pub(super) fn write(kind: Kind, bytes: &[u8]) -> io::Result<()> {
    match kind {
        Kind::Output => {
            let mut stdout = io::stdout();
            stdout.write_all(bytes)?;
            stdout.flush()
        }
        _ => io::stderr().write_all(bytes),
    }
}

/// The standard input, as far as the program has one.
fn input(streams: &terms::Streams) -> Option<Box<dyn Read + Send>> {
    (streams.stdin == Stream::Owner).then(|| Box::new(io::stdin()) as Box<dyn Read + Send>)
}

/// Whether standard input, output and error are terminals.
pub(super) fn terminals() -> [bool; 3] {
    [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
}

/// Passes the streams of this process on to a deployment until its program ends, and returns the exit
/// code of this command. `answer` is the answer to the request that started it, or attached to it.
///
/// # Errors
/// The connection is lost, and can't be made again.
pub(super) fn run(
    host: &Host,
    held: &SignedFile,
    proven: Proven,
    answer: Answer,
) -> Result<ExitCode, Failure> {
    let manifest = held.manifest();
    let streams = Streams::new(input(&manifest.terms.streams)).map_err(no_threads)?;
    let end = attach(host, &held.which(), proven, answer, streams, &write)?;
    super::exit_code(&manifest.name, &end)
}

/// Does the same for a program that reads lines, which the user edits on this terminal.
pub(super) fn edit(
    host: &Host,
    held: &SignedFile,
    proven: Proven,
    answer: Answer,
    lines: Lines,
) -> Result<ExitCode, Failure> {
    let prompt = Prompt::default();
    let input = Edited { lines, prompt: prompt.clone() };
    let streams = Streams::on_demand(Box::new(input)).map_err(no_threads)?;
    let write = |kind: Kind, bytes: &[u8]| {
        if kind == Kind::Output {
            prompt.follow(bytes);
        }
        write(kind, bytes)
    };
    let end = attach(host, &held.which(), proven, answer, streams, &write)?;
    super::exit_code(&held.manifest().name, &end)
}

/// The text that a program wrote to its standard output since the last new line.
#[derive(Debug, Clone, Default)]
struct Prompt(Arc<Mutex<Vec<u8>>>);

/// Limit on the length of a prompt, in bytes.
const MAX_PROMPT: usize = 4096;

impl Prompt {
    fn follow(&self, bytes: &[u8]) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = bytes.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
        if start.is_some() {
            line.clear();
        }
        line.extend_from_slice(&bytes[start.unwrap_or_default()..]);
        let excess = line.len().saturating_sub(MAX_PROMPT);
        line.drain(..excess);
    }

    /// Takes the prompt: what the user types follows it.
    fn take(&self) -> String {
        let line = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// The lines of a user, as an input.
struct Edited {
    lines: Lines,
    prompt: Prompt,
}

impl Read for Edited {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.lines.read(&self.prompt.take(), bytes)
    }
}

/// The failure to start a thread.
pub(super) fn no_threads(error: io::Error) -> Failure {
    Failure::system(
        format!("no thread can be started: {error}"),
        &error,
        "raise the limits of processes and of memory: `ulimit -u`, `ulimit -v`",
    )
}

fn attach(
    host: &Host,
    which: &Which,
    proven: Proven,
    answer: Answer,
    mut streams: Streams,
    write: &dyn Fn(Kind, &[u8]) -> io::Result<()>,
) -> Result<End, Failure> {
    let sender = streams.sender();
    let unanswered = signals::hand_over(move || sender.try_send(Event::Interrupt).is_ok());
    let unanswered = unanswered.map_err(no_threads)?;
    let write = |kind: Kind, bytes: &[u8]| {
        unanswered.answered();
        write(kind, bytes)
    };
    let mut connected = (proven, answer);
    loop {
        let (proven, answer) = connected;
        let attached = Attached::new(proven, &answer, &mut streams)?;
        let missed = attached.missed();
        if missed != Position::default() {
            let bytes = missed.output + missed.errors;
            print_error!("twine: {bytes} bytes of output came before, and are not kept any more");
        }
        let lost = match attached.run(write) {
            Ok(end) => return Ok(end),
            Err(error) if error.is_lost() => error,
            Err(Error::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                // As for a program whose output nobody reads any more.
                process::exit(super::UNREAD_EXIT_CODE.into());
            }
            Err(error) => return Err(error.into()),
        };
        if !host.is_quiet() {
            print_error!("twine: {lost}; connecting again");
        }
        connected = again(host, which, &streams)?;
    }
}

/// Connects again, and attaches to the deployment where the streams were.
fn again(host: &Host, which: &Which, streams: &Streams) -> Result<(Proven, Answer), Failure> {
    let end = Instant::now() + RETRY;
    let mut wait = FIRST_WAIT;
    loop {
        thread::sleep(wait);
        wait = (2 * wait).min(LAST_WAIT);
        let request = Request::Attach { which: which.clone(), from: Some(streams.received()) };
        let tried = host.connect(false).and_then(|mut proven| {
            let answer = proven.ask(&request, super::answer_limit())?;
            Ok((proven, answer))
        });
        match tried {
            Ok(connected) => return Ok(connected),
            Err(error) if error.is_lost() && Instant::now() < end => {}
            Err(error) => return Err(error.into()),
        }
    }
}
