//! Runs a WebAssembly program in an enclave, with limits, and says how it ended.
//!
//! ```sh
//! cargo xtask image
//! cargo run -p twine-host --example sandbox -- target/release/twine.sgxs app.wasm argument
//! ```
//!
//! The program's output goes to this process's standard output.

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;
use twine_host::{Image, Resources, Tee, run};
use twine_protocol::launch::{End, Launch, Limits};

fn sandbox(image: &str, program: &str, arguments: &[String]) -> Result<u8, Box<dyn Error>> {
    let launch = Launch {
        // The program's name comes first, as in `main`.
        arguments: [program]
            .into_iter()
            .map(str::to_owned)
            .chain(arguments.to_vec())
            .map(String::into_bytes)
            .collect(),
        limits: Limits {
            memory: Some(256 << 20),
            timeout: Some(10_000_000_000),
            ..Limits::default()
        },
        ..Launch::default()
    };
    // This chooses hardware if there is any. Software SGX protects nothing.
    let tee = Tee::Auto.choose()?;
    let report = run(&Image::open(image)?, tee, &launch, fs::read(program)?, Resources::default())?;
    for trouble in &report.outcome.troubles {
        eprintln!("sandbox: {trouble}");
    }
    match report.outcome.end {
        End::Exited { code, .. } => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        End::Trapped { cause, backtrace } => {
            backtrace.iter().for_each(|line| eprintln!("  {line}"));
            Err(cause.into())
        }
        End::Refused { cause, remedy } => Err(format!("{cause}; {remedy}").into()),
    }
}

fn main() -> ExitCode {
    // A program calls this once, at its start.
    twine_host::prepare();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match &arguments[..] {
        [image, program, rest @ ..] => sandbox(image, program, rest),
        _ => Err("usage: sandbox IMAGE PROGRAM [ARGUMENT...]".into()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
