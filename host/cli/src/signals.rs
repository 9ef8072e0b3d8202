//! Signals that arrive while a terminal is not as it was, or a program could take them.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use twine_host::Interrupts;

/// Signals that end a process.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Gives the terminal back as it was, also where a signal ends the process, until it is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    device: Arc<File>,
    before: Termios,
    signals: Handle,
    /// Held by who changes the terminal, and to the end by who ends the process.
    changing: Arc<Mutex<()>>,
}

impl Terminal {
    /// The terminal of this process. `SIGINT` is left to who else `takes_interrupts`.
    ///
    /// # Errors
    /// When there is none, or signals can't be taken.
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
                give_back(&theirs, &was);
                let _ = emulate_default_handler(signal);
            }
        })?;
        Ok(Terminal { device, before, signals: handle, changing })
    }

    /// Asks for a line that the terminal does not show.
    ///
    /// # Errors
    /// When the terminal can't be read or written.
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
        give_back(&self.device, &self.before);
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signals.close();
        give_back(&self.device, &self.before);
    }
}

fn give_back(device: &File, before: &Termios) {
    // Where there is no terminal any more, nobody misses it.
    let _ = tcsetattr(device, OptionalActions::Now, before);
}

/// Interrupts that a program got since it last read a line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unanswered(Arc<AtomicU32>);

/// So many of them end a program that does not answer.
const PATIENCE: u32 = 3;

/// What [`Unanswered`] starts with, so that the first one ends a program that has not begun.
const NOT_BEGUN: u32 = u32::MAX / 2;

impl Unanswered {
    /// The program has read a line.
    pub(crate) fn answered(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Hands Ctrl-C to a program; it ends one that has not yet read anything, or does not answer.
///
/// # Errors
/// When signals can't be taken.
pub(crate) fn hand_on(interrupts: Interrupts) -> io::Result<Unanswered> {
    let unanswered = Unanswered(Arc::new(AtomicU32::new(NOT_BEGUN)));
    let mut signals = Signals::new([SIGINT])?;
    let count = unanswered.clone();
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            if count.0.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
                let _ = emulate_default_handler(signal);
            }
            interrupts.send();
        }
    })?;
    Ok(unanswered)
}
