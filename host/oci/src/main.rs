//! The `twine-oci` command: runc's command line, and `install` and `uninstall`.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use twine_oci::{Command, Installation, become_runc, manage, prepare, report};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let command = Command::parse(&arguments);
    match manage(&arguments) {
        None => {}
        Some(Ok(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Some(Err(error)) => {
            report(&command, &error);
            return ExitCode::FAILURE;
        }
    }
    let prepared = match &command.creates {
        Some(bundle) => prepare(bundle, Installation::find).map(drop),
        None => Ok(()),
    };
    let error = match prepared {
        Ok(()) => become_runc(&arguments),
        Err(error) => error,
    };
    report(&command, &error);
    ExitCode::FAILURE
}
