//! Runs one command of a script.

use super::context::{Context, End};
use super::modules::Refusal;
use super::{Failure, value};
use json_from_wast::{Command, Const, WasmFile};
use wasmtime::{Error, ThrownException, Trap};

/// The result of a command.
pub(super) enum Verdict {
    /// The command asserts nothing, and was done.
    Done,
    /// The assertion holds.
    Holds,
    /// A later version of the specification withdrew the assertion.
    Superseded,
}

/// Runs a command, except those of threads.
pub(super) fn run(context: &mut Context, command: &Command<'_>) -> Result<Verdict, Failure> {
    match command {
        Command::Module { name, file, .. } => {
            let module = context.modules.compile(file)?;
            context
                .instantiate(name.as_deref(), &module)
                .map_err(|error| format!("not instantiated: {error:#}"))?;
            Ok(Verdict::Done)
        }
        Command::ModuleDefinition { name, file, .. } => {
            context.define(name.as_deref(), file)?;
            Ok(Verdict::Done)
        }
        Command::ModuleInstance { instance, module, .. } => {
            let module = context.definition(module.as_deref())?;
            context
                .instantiate(instance.as_deref(), &module)
                .map_err(|error| format!("not instantiated: {error:#}"))?;
            Ok(Verdict::Done)
        }
        Command::Register { name, as_, .. } => {
            context.register(name.as_deref(), as_)?;
            Ok(Verdict::Done)
        }
        Command::Action { action, .. } => match context.perform(action)? {
            Ok(_) => Ok(Verdict::Done),
            Err(error) => Err(format!("{error:#}")),
        },
        Command::AssertReturn { action, expected, .. } => {
            let end = context.perform(action)?;
            returns(context, end, expected)
        }
        Command::AssertTrap { action, text, .. }
        | Command::AssertExhaustion { action, text, .. } => traps(context.perform(action)?, text),
        Command::AssertUninstantiable { file, text, .. } => {
            let module = context.modules.compile(file)?;
            traps(context.instantiate(None, &module).map(|()| Vec::new()), text)
        }
        Command::AssertInvalid { file, .. } | Command::AssertMalformed { file, .. } => {
            match context.modules.refuse(file)? {
                Refusal::Now => Ok(Verdict::Holds),
                Refusal::WithoutLaterProposals => Ok(Verdict::Superseded),
            }
        }
        // Treated like their siblings: a malformed custom section makes the text malformed.
        Command::AssertInvalidCustom { file, .. } | Command::AssertMalformedCustom { file, .. } => {
            context.modules.refuse(file).map(|_| Verdict::Holds)
        }
        Command::AssertUnlinkable { file, .. } => unlinkable(context, file),
        Command::AssertException { action, .. } => {
            let end = context.perform(action)?;
            throws(context, end)
        }
        Command::AssertSuspension { action, .. } => suspends(context.perform(action)?),
        Command::Thread { .. } | Command::Wait { .. } => Err("a thread in a thread".into()),
    }
}

fn returns(context: &mut Context, end: End, expected: &[Const<'_>]) -> Result<Verdict, Failure> {
    let values = end.map_err(|error| format!("no return: {error:#}"))?;
    if values.len() != expected.len() {
        return Err(format!("{} results, not {}", values.len(), expected.len()));
    }
    for (value, expected) in values.iter().zip(expected) {
        match expected {
            Const::Core(expected) => value::compare(&mut context.store, value, expected)?,
            Const::Component(_) => return Err("a component's value".into()),
        }
    }
    Ok(Verdict::Holds)
}

/// Whether the message of a trap is the expected one, or one that wasmtime is known to have in its
/// place.
fn same_trap(actual: &str, expected: &str) -> bool {
    actual.contains(expected)
        // Wasmtime does not tell the number of the element.
        || (expected.contains("uninitialized element") && actual.contains("uninitialized element"))
        || (expected.contains("null function")
            && (actual.contains("uninitialized element") || actual.contains("null reference")))
        || (expected.contains("null")
            && expected.contains("reference")
            && actual.contains("null reference"))
}

fn traps(end: End, expected: &str) -> Result<Verdict, Failure> {
    let error = match end {
        Ok(values) => return Err(format!("no trap: {values:?}")),
        Err(error) => error,
    };
    let actual = format!("{error:#}");
    if same_trap(&actual, expected) {
        Ok(Verdict::Holds)
    } else {
        Err(format!("trap {actual:?}, not {expected:?}"))
    }
}

fn unlinkable(context: &mut Context, file: &WasmFile<'_>) -> Result<Verdict, Failure> {
    let module = context.modules.compile(file)?;
    match context.instantiate(None, &module) {
        Ok(()) => Err("linked".into()),
        Err(error) if error.is::<Trap>() => Err(format!("linked, then a trap: {error:#}")),
        Err(_) => Ok(Verdict::Holds),
    }
}

fn throws(context: &mut Context, end: End) -> Result<Verdict, Failure> {
    match end {
        Ok(values) => Err(format!("no exception: {values:?}")),
        Err(error) if error.is::<ThrownException>() => {
            match context.store.take_pending_exception() {
                Some(_) => Ok(Verdict::Holds),
                None => Err("an exception that the store does not have".into()),
            }
        }
        Err(error) => Err(format!("no exception: {error:#}")),
    }
}

fn suspends(end: End) -> Result<Verdict, Failure> {
    match end {
        Ok(values) => Err(format!("no suspension: {values:?}")),
        Err(error) if unhandled(&error) => Ok(Verdict::Holds),
        Err(error) => Err(format!("no suspension: {error:#}")),
    }
}

fn unhandled(error: &Error) -> bool {
    error.downcast_ref::<Trap>() == Some(&Trap::UnhandledTag)
}
