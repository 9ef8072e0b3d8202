//! Environment variables of programs, as options name them.

use crate::failure::Failure;
use crate::input;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Names and values.
pub(crate) type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// Limit on the size of a secret in a file, in bytes.
const MAX_SECRET: usize = 64 << 10;

/// Splits `NAME=VALUE`. Without a value, the whole is a name.
fn split(given: &OsStr) -> (&[u8], Option<&[u8]>) {
    let bytes = given.as_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    }
}

/// Keeps the last value of each name alone: a program would find the first.
fn last_of_each(given: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Variables {
    let mut variables = Variables::new();
    for (name, value) in given {
        match variables.iter_mut().find(|(other, _)| *other == name) {
            Some((_, former)) => *former = value,
            None => variables.push((name, value)),
        }
    }
    variables
}

/// Returns the variables with their values. A variable without a value gets this command's own
/// value, and is left out if this command does not have it. The last value of a name counts.
pub(crate) fn environment(variables: Vec<OsString>) -> Variables {
    let with_value = |variable: &OsString| match split(variable) {
        (name, Some(value)) => Some((name.to_vec(), value.to_vec())),
        (name, None) => Some((name.to_vec(), std::env::var_os(variable)?.into_vec())),
    };
    last_of_each(variables.iter().filter_map(with_value))
}

/// Returns secrets with their values, of which the last of a name counts.
///
/// # Errors
/// As [`each_secret`].
pub(crate) fn secrets(given: &[OsString]) -> Result<Variables, Failure> {
    Ok(last_of_each(each_secret(given)?.into_iter()))
}

/// Returns secrets with their values, as they are given: `NAME=VALUE`; `NAME=@FILE` for the contents
/// of a file; `NAME` for the value of this command's own variable.
///
/// # Errors
/// A file can't be read, or this command has no such variable. Without the secret, the program would
/// take some default.
pub(crate) fn each_secret(given: &[OsString]) -> Result<Variables, Failure> {
    given.iter().map(secret).collect()
}

fn secret(given: &OsString) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (name, value) = split(given);
    let value = match value {
        Some([b'@', file @ ..]) => {
            input::whole_or_standard(Path::new(OsStr::from_bytes(file)), MAX_SECRET)?
        }
        Some(value) => value.to_vec(),
        None => match std::env::var_os(given) {
            Some(value) => value.into_vec(),
            None => {
                let name = given.display();
                return Err(Failure::usage(
                    format!("--secret {name}: the variable is not set"),
                    format!("set it, or write --secret {name}=@FILE"),
                ));
            }
        },
    };
    Ok((name.to_vec(), value))
}

/// Whether this is the variable `name`, with or without a value.
pub(crate) fn is_named(variable: &OsString, name: &[u8]) -> bool {
    let rest = variable.as_bytes().strip_prefix(name);
    matches!(rest, Some([] | [b'=', ..]))
}
