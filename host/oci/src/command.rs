//! Parses the part of an OCI runtime's command line that this command needs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Options before the command that have a value in the next argument.
const GLOBAL_WITH_VALUE: [&str; 5] = ["--criu", "--log", "--log-format", "--root", "--rootless"];

/// A command line of runc.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The bundle of a container that the command creates.
    pub creates: Option<PathBuf>,
    /// The file for messages.
    pub log: Option<PathBuf>,
    /// Whether messages in the log are JSON.
    pub log_is_json: bool,
}

impl Command {
    /// Parses the arguments, without the command's own name. Arguments that are not valid are
    /// ignored here: runc gets the same arguments and refuses them.
    pub fn parse(arguments: &[OsString]) -> Self {
        let mut command = Command::default();
        let mut rest = arguments.iter();
        let name = loop {
            let Some(argument) = rest.next() else { return command };
            let (option, value) = split(argument);
            if !option.as_bytes().starts_with(b"-") {
                break option;
            }
            let option = with_two_dashes(option);
            let has_value = GLOBAL_WITH_VALUE.contains(&option.as_str());
            let value = match value {
                None if has_value => rest.next().map(OsString::as_os_str),
                value => value,
            };
            match option.as_str() {
                "--log" => command.log = value.map(PathBuf::from),
                "--log-format" => command.log_is_json = value == Some(OsStr::new("json")),
                _ => {}
            }
        };
        if name == "create" || name == "run" {
            command.creates = Some(bundle(rest));
        }
        command
    }
}

/// Returns the bundle among the arguments of `create` and `run`: by default the working directory.
fn bundle<'a>(mut arguments: impl Iterator<Item = &'a OsString>) -> PathBuf {
    while let Some(argument) = arguments.next() {
        let (option, value) = split(argument);
        if option == "-b" || with_two_dashes(option) == "--bundle" {
            let value = value.or_else(|| arguments.next().map(OsString::as_os_str));
            return value.map(PathBuf::from).unwrap_or_default();
        }
    }
    PathBuf::from(".")
}

/// Splits an argument into an option and the value after its equals sign.
fn split(argument: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let bytes = argument.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if bytes.starts_with(b"-") => {
            (OsStr::from_bytes(&bytes[..at]), Some(OsStr::from_bytes(&bytes[at + 1..])))
        }
        _ => (argument, None),
    }
}

/// Returns the option with two dashes: runc also takes long options with one dash.
fn with_two_dashes(option: &OsStr) -> String {
    let text = option.to_string_lossy();
    match text.strip_prefix('-') {
        Some(rest) if !rest.starts_with('-') && rest.len() > 1 => format!("--{rest}"),
        _ => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Command {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Command::parse(&arguments)
    }

    #[test]
    fn a_command_of_containerd_names_its_bundle_and_its_log() {
        let command = parse(
            "--root /run/containerd/runc/default --log /b/log.json --log-format json \
             --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /s c1",
        );
        let log = Some("/b/log.json".into());
        assert_eq!(command, Command { creates: Some("/b".into()), log, log_is_json: true });
    }

    #[test]
    fn a_bundle_is_found_in_each_form_of_the_option() {
        for line in ["create -b /b c", "run --bundle=/b c", "create -bundle /b c", "run -d -b /b c"]
        {
            assert_eq!(parse(line).creates, Some("/b".into()), "{line}");
        }
        assert_eq!(parse("run c").creates, Some(".".into()));
    }

    #[test]
    fn other_commands_make_no_container() {
        for line in
            ["start c", "delete --force c", "kill create 9", "--root create state c", "-v", ""]
        {
            assert_eq!(parse(line).creates, None, "{line}");
        }
    }
}
