//! The `twine-oci` command: runc's command line.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use twine_oci::{Command, Installation, become_runc, prepare, report};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let command = Command::parse(&arguments);
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
