//! Reports errors to containerd, in runc's way.

use crate::command::Command;
use crate::error::Error;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;

/// Writes the error to standard error, and to the log that the command line names. containerd shows
/// its user the last error of a JSON log.
pub fn report(command: &Command, error: &Error) {
    let (cause, remedy) = (error.to_string(), error.remedy());
    eprintln!("error: {cause}\n  help: {remedy}");
    let Some(path) = &command.log else { return };
    let message = format!("twine-oci: {cause}; {remedy}");
    let line = match command.log_is_json {
        true => json!({ "level": "error", "msg": message }).to_string(),
        false => format!("level=error msg={message:?}"),
    };
    // If the log can't be written, the error is on standard error.
    if let Ok(mut log) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(log, "{line}");
    }
}
