//! Signals: restores the terminal's settings before a signal ends the process, and hands Ctrl-C to
//! the program.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::{process, thread};
use twine_host::Interrupts;

/// The signals that end a process.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The number of [`Terminal`]s. While one exists, its user handles the ending signals.
static TERMINALS: AtomicU32 = AtomicU32::new(0);

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

/// Lets the ending signals end this process if it is the first of its PID namespace. If the
/// handlers can't be installed, only SIGKILL ends it.
pub(crate) fn end_first_process() {
    if !is_first() {
        return;
    }
    let Ok(mut signals) = Signals::new(ENDING) else { return };
    let _ = thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            if TERMINALS.load(Ordering::SeqCst) == 0 {
                end_process(signal);
            }
        }
    });
}

/// Restores the terminal's settings when it is dropped, or when a signal ends the process.
#[derive(Debug)]
pub(crate) struct Terminal {
    device: Arc<File>,
    before: Termios,
    signals: Handle,
    /// Held while the terminal's settings are changed. The thread that ends the process never
    /// releases it.
    changing: Arc<Mutex<()>>,
}

impl Terminal {
    /// Opens the terminal of this process. If something else `takes_interrupts`, SIGINT is not
    /// handled.
    ///
    /// # Errors
    /// If the process has no terminal, or signal handlers can't be installed.
    pub(crate) fn keep(takes_interrupts: bool) -> io::Result<Self> {
        let device = Arc::new(File::options().read(true).write(true).open("/dev/tty")?);
        let before = tcgetattr(&device)?;
        let ending = ENDING.iter().filter(|&&signal| signal != SIGINT || !takes_interrupts);
        let mut signals = Signals::new(ending)?;
        let handle = signals.handle();
        let (theirs, was) = (Arc::clone(&device), before.clone());
        let changing: Arc<Mutex<()>> = Arc::default();
        let ending = Arc::clone(&changing);
        thread::Builder::new().spawn(move || {
            for signal in signals.forever() {
                let _guard = ending.lock();
                restore(&theirs, &was);
                end_process(signal);
            }
        })?;
        TERMINALS.fetch_add(1, Ordering::SeqCst);
        Ok(Terminal { device, before, signals: handle, changing })
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
            let _guard = self.changing.lock();
            tcsetattr(&self.device, OptionalActions::Flush, &hidden)?;
        }
        (&*self.device).write_all(prompt.as_bytes())?;
        let mut line = String::new();
        let read = BufReader::new(&*self.device).read_line(&mut line);
        let _guard = self.changing.lock();
        restore(&self.device, &self.before);
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signals.close();
        restore(&self.device, &self.before);
        TERMINALS.fetch_sub(1, Ordering::SeqCst);
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
    /// Records that the program has read a line.
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
    let unanswered = Unanswered(Arc::new(AtomicU32::new(NOT_STARTED)));
    let mut signals = Signals::new([SIGINT])?;
    let count = unanswered.clone();
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            if count.0.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_UNANSWERED {
                end_process(signal);
            }
            interrupts.send();
        }
    })?;
    Ok(unanswered)
}
