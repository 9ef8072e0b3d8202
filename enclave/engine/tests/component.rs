//! Components: how they start and end, and what they may import.

use std::sync::{Arc, Mutex};
use twine_engine::{Compiled, End, EngineConfig, Error, Identified, Limits, Start};
use twine_wasi::{Clock, PollRequest, Readiness, StreamKind, System, SystemError};

/// A system with an input, and an output that is kept.
#[derive(Debug, Clone, Default)]
struct Streams {
    input: Arc<Mutex<Vec<u8>>>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl System for Streams {
    fn read(&mut self, _: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let mut input = self.input.lock().unwrap();
        let count = input.len().min(bytes.len());
        bytes[..count].copy_from_slice(&input[..count]);
        input.drain(..count);
        Ok(count)
    }

    fn write(&mut self, _: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        self.output.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn kind(&mut self, _: u64) -> Result<StreamKind, SystemError> {
        Ok(StreamKind::Pipe)
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        _: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        Ok(vec![Readiness::Ready { bytes: 1, hangup: false }; requests.len()])
    }

    fn time(&mut self, _: Clock) -> Result<u64, SystemError> {
        Ok(7)
    }

    fn resolution(&mut self, _: Clock) -> Result<u64, SystemError> {
        Ok(1)
    }

    fn yield_now(&mut self) {}
}

fn program(text: &str) -> Identified {
    Identified::new(wat::parse_str(text).unwrap())
}

fn compiled(text: &str) -> Compiled {
    let program = program(text);
    program.check(&Limits::default(), Some("_start")).unwrap();
    program.compile(&Limits::default(), &EngineConfig::default()).unwrap()
}

fn link(text: &str, system: &Streams) -> Result<twine_engine::Linked, Error> {
    compiled(text).link(Box::new(system.clone()), Vec::new(), Start::default())
}

fn end_of(text: &str) -> End {
    link(text, &Streams::default()).unwrap().run(|| ()).end
}

/// A component with these imports, whose core function `run` has this code.
fn command(imports: &str, lowered: &str, core_imports: &str, code: &str) -> String {
    let with = if lowered.is_empty() { "" } else { r#"(with "host" (instance $host))"# };
    let host = if lowered.is_empty() {
        String::new()
    } else {
        format!("{lowered} (core instance $host {core_imports})")
    };
    format!(
        r#"(component {imports}
            {host}
            (core module $main {} (func (export "run") (result i32) {code}))
            (core instance $main (instantiate $main {with}))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $exported (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $exported)))"#,
        if lowered.is_empty() { "" } else { r#"(import "host" "f" (func $f (param i32)))"# },
    )
}

/// A component that calls a function of `wasi:cli/exit` with 1 or 9.
fn exiting(function: &str, ty: &str, code: u32) -> String {
    command(
        &format!(
            r#"(import "wasi:cli/exit@0.2.12" (instance $exit
                (export "{function}" (func (param {ty})))))"#
        ),
        &format!(r#"(core func $lowered (canon lower (func $exit "{function}")))"#),
        r#"(export "f" (func $lowered))"#,
        &format!("i32.const {code} call $f i32.const 0"),
    )
}

#[test]
fn the_result_of_run_and_exits_are_exit_codes() {
    for (text, expected) in [
        (command("", "", "", "i32.const 0"), 0),
        (command("", "", "", "i32.const 1"), 1),
        (exiting("exit", r#""status" (result)"#, 0), 0),
        (exiting("exit", r#""status" (result)"#, 1), 1),
        (exiting("exit-with-code", r#""status-code" u8"#, 9), 9),
    ] {
        match end_of(&text) {
            End::Exited { code, results } => {
                assert_eq!((code, results.len()), (expected, 0), "{text}");
            }
            end => panic!("{end:?}: {text}"),
        }
    }
}

#[test]
fn traps_name_their_cause() {
    let End::Trapped { cause, .. } = end_of(&command("", "", "", "unreachable")) else {
        panic!("it does not trap")
    };
    assert!(cause.contains("unreachable"), "{cause}");
}

#[test]
fn interfaces_that_nobody_provides_are_named_all_at_once_before_compiling() {
    let text = r#"(component
        (import "wasi:cli/environment@0.2.99" (instance))
        (import "wasi:cli/environment@0.2.12" (instance))
        (import "wasi:cli/environment@0.3.0" (instance))
        (import "wasi:http/types@0.2.3" (instance))
        (import "other:thing/here" (instance)))"#;
    let program = program(text);
    let missing = [
        "wasi:cli/environment@0.2.99",
        "wasi:cli/environment@0.3.0",
        "wasi:http/types@0.2.3",
        "other:thing/here",
    ];
    match program.check(&Limits::default(), Some("_start")) {
        Err(Error::UnknownImports(names)) => assert_eq!(names, missing),
        checked => panic!("{checked:?}"),
    }
    // The linker finds the same in compiled code.
    let compiled = program.compile(&Limits::default(), &EngineConfig::default()).unwrap();
    match compiled.link(Box::new(Streams::default()), Vec::new(), Start::default()) {
        Err(Error::UnknownImports(names)) => assert_eq!(names, missing),
        linked => panic!("{linked:?}"),
    }
}

/// Each interface that the check lets pass is one that the linker has, in each version.
#[test]
fn every_interface_that_is_said_to_be_provided_is() {
    let interfaces = twine_wasi::interfaces();
    assert!(interfaces.len() > 20);
    let imports: String = interfaces
        .iter()
        .flat_map(|name| ["0.2.0", "0.2.9", "0.2.12"].map(|version| format!("{name}@{version}")))
        .map(|name| format!("(import \"{name}\" (instance))"))
        .collect();
    let end = end_of(&command(&imports, "", "", "i32.const 0"));
    assert!(matches!(end, End::Exited { code: 0, .. }), "{end:?}");
}

#[test]
fn a_component_without_run_is_refused() {
    let linked = link("(component)", &Streams::default());
    assert!(matches!(linked, Err(Error::NoRun)), "{linked:?}");
}

#[test]
fn functions_with_other_types_are_refused_by_name() {
    let text = r#"(component (import "wasi:cli/exit@0.2.0" (instance
        (export "exit" (func (param "status" string))))))"#;
    match link(text, &Streams::default()) {
        Err(Error::UnknownImports(names)) => {
            assert!(names.len() == 1 && names[0].contains("wasi:cli/exit"), "{names:?}");
        }
        linked => panic!("{linked:?}"),
    }
}
