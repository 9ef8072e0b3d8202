//! Environment variables of programs, as options name them.

use crate::failure::Failure;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Names and values.
pub(crate) type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// Returns the variables with their values. A variable without a value gets this command's own
/// value, and is left out if this command does not have it.
pub(crate) fn environment(variables: Vec<OsString>) -> Variables {
    let with_value = |variable: OsString| {
        let bytes = variable.as_bytes();
        match bytes.iter().position(|&byte| byte == b'=') {
            Some(at) => Some((bytes[..at].to_vec(), bytes[at + 1..].to_vec())),
            None => {
                let value = std::env::var_os(&variable)?;
                Some((variable.into_vec(), value.into_vec()))
            }
        }
    };
    let mut environment = Variables::new();
    for (name, value) in variables.into_iter().filter_map(with_value) {
        // The last value counts: a program would find the first.
        match environment.iter_mut().find(|(other, _)| *other == name) {
            Some((_, former)) => *former = value,
            None => environment.push((name, value)),
        }
    }
    environment
}

/// Returns the secrets with their values. A secret without a value gets that of this command's own
/// variable.
///
/// # Errors
/// This command has no such variable. Without the secret, the program would take some default.
pub(crate) fn secrets(given: Vec<OsString>) -> Result<Variables, Failure> {
    let is_missing = |secret: &&OsString| {
        !secret.as_bytes().contains(&b'=') && std::env::var_os(secret).is_none()
    };
    if let Some(missing) = given.iter().find(is_missing) {
        let name = missing.display();
        return Err(Failure::usage(
            format!("--secret {name}: the variable is not set"),
            format!("set it, or write --secret {name}=VALUE"),
        ));
    }
    Ok(environment(given))
}

/// Whether this is the variable `name`, with or without a value.
pub(crate) fn is_named(variable: &OsString, name: &[u8]) -> bool {
    let rest = variable.as_bytes().strip_prefix(name);
    matches!(rest, Some([] | [b'=', ..]))
}
