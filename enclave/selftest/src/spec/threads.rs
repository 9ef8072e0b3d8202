//! Runs the commands of a script in order, and its threads.

use super::command::{self, Verdict};
use super::context::Context;
use crate::wire::Result as ScriptResult;
use json_from_wast::Command;
use std::collections::HashMap;
use std::thread;

/// Limit on the text of one failure, in characters: the report must fit into an outcome.
const MAX_TEXT: usize = 400;

/// Limit on the failures of one script that are reported with their text.
const MAX_FAILURES: usize = 20;

fn note(result: &mut ScriptResult, line: u32, failure: &str) {
    let text: String = failure.chars().take(MAX_TEXT).collect();
    if result.failed.len() < MAX_FAILURES {
        result.failed.push(format!("{line}: {text}"));
    } else {
        result.failed.push(format!("{line}"));
    }
}

/// Runs the commands one after the other, and those of threads at the same time.
pub(super) fn run(context: &mut Context, commands: &[Command<'_>], result: &mut ScriptResult) {
    thread::scope(|scope| {
        let mut running = HashMap::new();
        for command in commands {
            let line = command.line();
            match command {
                Command::Thread { name, shared_module, commands, .. } => {
                    match context.fork(shared_module.as_deref()) {
                        Ok(mut forked) => {
                            let thread = scope.spawn(move || {
                                let mut result = ScriptResult::default();
                                run(&mut forked, commands, &mut result);
                                result
                            });
                            running.insert(&**name, thread);
                        }
                        Err(failure) => note(result, line, &failure),
                    }
                }
                Command::Wait { thread, .. } => match running.remove(&**thread) {
                    Some(thread) => match thread.join() {
                        Ok(of_thread) => {
                            result.passed += of_thread.passed;
                            result.superseded.extend(of_thread.superseded);
                            result.failed.extend(of_thread.failed);
                        }
                        Err(_) => note(result, line, "the thread panicked"),
                    },
                    None => note(result, line, "no such thread"),
                },
                _ => one(context, command, result),
            }
        }
        for name in running.keys() {
            note(result, 0, &format!("nobody waits for thread {name}"));
        }
    });
}

fn one(context: &mut Context, command: &Command<'_>, result: &mut ScriptResult) {
    match command::run(context, command) {
        Ok(Verdict::Done) => {}
        Ok(Verdict::Holds) => result.passed += 1,
        Ok(Verdict::Superseded) => result.superseded.push(command.line().to_string()),
        Err(failure) => note(result, command.line(), &failure),
    }
}
