//! Being the first process of a container.

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::{process, thread};

/// Ends this process when a signal asks for it, if it is the first process of its PID namespace:
/// the kernel gives the signals of that one no default action. The exit code is the one that a
/// shell shows for the signal. Where signals can't be handled, only SIGKILL ends the process.
pub(crate) fn handle_signals_as_init() {
    if process::id() != 1 {
        return;
    }
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]) else { return };
    let _ = thread::Builder::new().spawn(move || {
        if let Some(signal) = signals.forever().next() {
            process::exit(128 + signal);
        }
    });
}
