//! What an owner does with an enclave on somebody else's machine.

mod connect;
mod deploy;
mod manage;
mod parcel;
pub(crate) mod sqlite;
mod streams;
pub(crate) mod volume;

pub(crate) use deploy::{Deploy, Update, deploy, update};
pub(crate) use manage::{Attach, Logs, Ps, Remove, Stop, attach, logs, ps, remove, stop};

use crate::failure::Failure;
use crate::run::TRAP_EXIT_CODE;
use std::process::ExitCode;
use std::time::Duration;
use twine_channel::message::End;
use twine_client::TimeLimit;

/// The exit code of a program that somebody stopped: 128 + SIGTERM.
const STOPPED_EXIT_CODE: u8 = 143;

/// The exit code of a program that somebody interrupted: 128 + SIGINT.
const INTERRUPTED_EXIT_CODE: u8 = 130;

/// The exit code when nobody reads the output any more: 128 + SIGPIPE.
const UNREAD_EXIT_CODE: u8 = 141;

impl From<twine_client::Error> for Failure {
    fn from(error: twine_client::Error) -> Self {
        // The text may be that of another machine.
        Failure::new(crate::print::foreign(&error.to_string()), error.remedy())
    }
}

/// The limit for one answer of a host, from now on.
fn answer_limit() -> TimeLimit {
    TimeLimit::new(Duration::from_secs(60))
}

/// Prints how a program ended, and returns the exit code of this command.
fn exit_code(name: &str, end: &End) -> Result<ExitCode, Failure> {
    use crate::print::{foreign, print_error, print_line};
    match end {
        End::Exited { code, results } => {
            for result in results {
                print_line!("{}", foreign(result));
            }
            Ok(ExitCode::from(*code as u8))
        }
        End::Trapped { cause, backtrace } => {
            print_error!("error: {name}: {}", foreign(cause));
            for frame in backtrace {
                print_error!("  {}", foreign(frame));
            }
            Ok(ExitCode::from(TRAP_EXIT_CODE))
        }
        End::Refused { cause, remedy } => {
            Err(Failure::new(format!("{name}: {}", foreign(cause)), foreign(remedy)))
        }
        End::Interrupted => {
            print_error!("error: {name} was interrupted");
            Ok(ExitCode::from(INTERRUPTED_EXIT_CODE))
        }
        End::Stopped => {
            print_error!("error: {name} was stopped");
            Ok(ExitCode::from(STOPPED_EXIT_CODE))
        }
    }
}
