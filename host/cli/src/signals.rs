//! Signals: restores the terminal's settings before a signal ends the process, and hands Ctrl-C to
//! the program.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{process, thread};
use twine_host::Interrupts;

/// The signals that end a process.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The terminals whose settings are to be restored when a signal ends the process, each with its
/// settings. Held while settings are changed. The thread that ends the process never releases it.
static TERMINALS: Mutex<Vec<(u64, Arc<File>, Termios)>> = Mutex::new(Vec::new());

/// Temporary folders, which are removed when a signal ends the process.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether SIGINT is the program's.
static INTERRUPTS: AtomicBool = AtomicBool::new(false);

/// Whether this is the first process of its PID namespace, as in a container.
fn is_first() -> bool {
    process::id() == 1
}

/// Ends this process with the default action of the signal. The first process of a PID namespace
/// gets no default action from the kernel: it exits with the code that a shell shows for the
/// signal.
fn end_process(signal: i32) {
    if is_first() {
        process::exit(128 + signal);
    }
    let _ = emulate_default_handler(signal);
}

fn terminals() -> MutexGuard<'static, Vec<(u64, Arc<File>, Termios)>> {
    TERMINALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it exists, a temporary folder is removed also if a signal ends this process. It is dropped
/// after the folder is gone: another process may make one with the same name then.
#[derive(Debug)]
pub(crate) struct RemovedAtEnd(PathBuf);

impl RemovedAtEnd {
    /// # Errors
    /// If the signal handler can't be installed.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        folders().push(folder.to_owned());
        let removed = RemovedAtEnd(folder.to_owned());
        end_on_signals()?;
        Ok(removed)
    }
}

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        folders().retain(|folder| *folder != self.0);
    }
}

/// Removes the temporary folders, before this process ends at once.
pub(crate) fn remove_folders() {
    for folder in folders().drain(..) {
        // Nobody is told of it any more.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Restores the settings of all terminals, removes the temporary folders, and ends this process.
fn restore_and_end(signal: i32) {
    remove_folders();
    let terminals = terminals();
    terminals.iter().for_each(|(_, device, before)| restore(device, before));
    end_process(signal);
}

/// Returns those of the ending signals that this process does not ignore: `nohup` has SIGHUP
/// ignored, and a shell has SIGINT ignored in background jobs.
fn not_ignored() -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ENDING.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect()
}

/// Handles the ending signals from now on: restores the terminals' settings, and ends the process.
/// There is one handler for all of them, since a handler that is removed does not give back the
/// default action.
///
/// # Errors
/// If the handler can't be installed.
fn end_on_signals() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    let mut signals = Signals::new(not_ignored())?;
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            if signal == SIGINT && INTERRUPTS.load(Ordering::SeqCst) {
                continue;
            }
            restore_and_end(signal);
        }
    })?;
    *installed = true;
    Ok(())
}

/// Lets the ending signals end this process if it is the first of its PID namespace. If the
/// handlers can't be installed, only SIGKILL ends it.
pub(crate) fn end_first_process() {
    if is_first() {
        let _ = end_on_signals();
    }
}

/// Restores the terminal's settings when it is dropped, or when a signal ends the process.
#[derive(Debug)]
pub(crate) struct Terminal {
    number: u64,
    device: Arc<File>,
    before: Termios,
}

impl Terminal {
    /// Opens the terminal of this process.
    ///
    /// # Errors
    /// If the process has no terminal, or signal handlers can't be installed.
    pub(crate) fn keep() -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let device = Arc::new(File::options().read(true).write(true).open("/dev/tty")?);
        let before = tcgetattr(&device)?;
        end_on_signals()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        terminals().push((number, Arc::clone(&device), before.clone()));
        Ok(Terminal { number, device, before })
    }

    /// Reads a line without echo.
    ///
    /// # Errors
    /// If the terminal can't be read or written.
    pub(crate) fn ask_hidden(&self, prompt: &str) -> io::Result<String> {
        let mut hidden = self.before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        {
            let _guard = terminals();
            tcsetattr(&self.device, OptionalActions::Flush, &hidden)?;
        }
        (&*self.device).write_all(prompt.as_bytes())?;
        let mut line = String::new();
        let read = BufReader::new(&*self.device).read_line(&mut line);
        let _guard = terminals();
        restore(&self.device, &self.before);
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut terminals = terminals();
        restore(&self.device, &self.before);
        terminals.retain(|(number, ..)| *number != self.number);
    }
}

fn restore(device: &File, before: &Termios) {
    // This fails only if the terminal is gone.
    let _ = tcsetattr(device, OptionalActions::Now, before);
}

/// The number of interrupts since the program last read a line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unanswered(Arc<AtomicU32>);

/// This many interrupts in a row end a program that does not react.
const MAX_UNANSWERED: u32 = 3;

/// The initial value of [`Unanswered`]: the first interrupt ends a program that has not read
/// anything yet.
const NOT_STARTED: u32 = u32::MAX / 2;

impl Unanswered {
    /// Records that the program has read a line, or written something.
    pub(crate) fn answered(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Hands Ctrl-C to the program. It ends this process if the program has not read anything yet, or
/// does not react.
///
/// # Errors
/// If the signal handler can't be installed.
pub(crate) fn hand_on(interrupts: Interrupts) -> io::Result<Unanswered> {
    pass_on(NOT_STARTED, move || {
        interrupts.send();
        true
    })
}

/// Hands Ctrl-C to a program elsewhere with `send`, which says whether it can. It ends this process if
/// it can't, or if the program does not react.
///
/// # Errors
/// If the signal handler can't be installed.
pub(crate) fn hand_over(send: impl Fn() -> bool + Send + 'static) -> io::Result<Unanswered> {
    pass_on(0, send)
}

fn pass_on(unanswered: u32, send: impl Fn() -> bool + Send + 'static) -> io::Result<Unanswered> {
    let unanswered = Unanswered(Arc::new(AtomicU32::new(unanswered)));
    INTERRUPTS.store(true, Ordering::SeqCst);
    let mut signals = Signals::new([SIGINT])?;
    let count = unanswered.clone();
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            let many = count.0.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_UNANSWERED;
            if many || !send() {
                restore_and_end(signal);
            }
        }
    })?;
    Ok(unanswered)
}
