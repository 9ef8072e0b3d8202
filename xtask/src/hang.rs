//! Ends commands that hang: if a command prints nothing for long, its last processes are killed and
//! named, and the rest continues.

use crate::process::{Failure, Result, say};
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The patience with a silent command, longer than any compilation or test is silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// Runs a command, and passes on each line that it prints. Whenever it prints nothing for
/// `patience`, this ends the last processes of its family: the program that a test has started, or
/// the test.
pub(crate) fn lines(
    command: &mut Command,
    patience: Duration,
    mut line: impl FnMut(&str),
) -> Result<std::process::ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or_else(|| Failure::new("the command has no output"))?;
    let (told, tell) = channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            if told.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match tell.recv_timeout(patience) {
            Ok(text) => line(&text?),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = patience.as_secs();
                say(format!("nothing was printed for {seconds} s; what hangs is ended"));
                for process in last_of_family(child.id()) {
                    say(format!("ending process {process}: {}", command_line(process)));
                    // The process may have ended by itself.
                    let _ = Command::new("sh")
                        .args(["-c", "kill -KILL \"$0\""])
                        .arg(process.to_string())
                        .status();
                }
            }
        }
    }
    // The reader only passes on lines.
    let _ = reader.join();
    Ok(child.wait()?)
}

/// Returns the processes that a process has started, directly or not, and that have no children.
fn last_of_family(first: u32) -> Vec<u32> {
    let parents = parents();
    let mut family = HashSet::from([first]);
    loop {
        let before = family.len();
        family.extend(
            parents
                .iter()
                .filter(|(_, parent)| family.contains(parent))
                .map(|(process, _)| *process)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    let is_parent = |process: &u32| parents.iter().any(|(_, parent)| parent == process);
    family.into_iter().filter(|process| !is_parent(process)).collect()
}

/// Returns each process of this machine with its parent (proc(5), stat).
fn parents() -> Vec<(u32, u32)> {
    let Ok(folders) = fs::read_dir("/proc") else { return Vec::new() };
    folders
        .filter_map(|folder| {
            let process = folder.ok()?.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // The name, in parentheses, may contain any characters.
            let parent = text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect()
}

fn command_line(process: u32) -> String {
    let bytes = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_hanging_child_is_ended_and_its_parent_continues() {
        let mut seen = Vec::new();
        let script = "echo before; sh -c 'sleep 1000; echo ended with $?'; echo after";
        let status = lines(&mut shell(script), Duration::from_millis(300), |line| {
            seen.push(line.to_owned())
        });
        assert!(status.unwrap().success());
        assert_eq!(seen, ["before", "ended with 137", "after"]);
    }

    #[test]
    fn a_command_that_prints_is_not_ended() {
        let mut count = 0;
        let script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done; exit 3";
        let status = lines(&mut shell(script), Duration::from_secs(60), |_| count += 1).unwrap();
        assert_eq!((status.code(), count), (Some(3), 6));
    }
}
