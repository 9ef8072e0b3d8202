//! `twine measure`.

use crate::failure::Failure;
use crate::locate;
use crate::print::print_line;
use crate::program::Program;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use twine_evidence::bytes::to_hex;
use twine_host::Tee;
use twine_image::inspect_file;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Program to measure: a .wasm or .wat file, or - for the standard input
    program: PathBuf,

    /// Enclave image to measure [default: the one that the program would run in]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let program = Program::read(&arguments.program)?;
    let image = locate::image(arguments.image.clone(), program.len(), Tee::Auto.choose()?)?;
    let program =
        program.sha256().map_err(|error| Failure::unreadable(&arguments.program, &error))?;
    let program = to_hex(&program);
    let image = inspect_file(image.path())?;
    let mrsigner = image.signature.as_ref().map(|signature| signature.mrsigner.to_string());
    if arguments.json {
        print_line!(
            "{:#}",
            serde_json::json!({
                "program_sha256": program,
                "mrenclave": image.mrenclave.to_string(),
                "mrsigner": mrsigner,
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    print_line!("program SHA-256  {program}");
    print_line!("MRENCLAVE        {}", image.mrenclave);
    print_line!("MRSIGNER         {}", mrsigner.as_deref().unwrap_or("not signed"));
    Ok(ExitCode::SUCCESS)
}
