//! `twine info`.

use crate::failure::Failure;
use crate::locate;
use clap::Args;
use std::process::ExitCode;
use twine_host::{Machine, Tee};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let machine = Machine::look();
    let image = locate::image(None).ok();
    let image_path = image.as_ref().map(|image| image.path().display().to_string());
    // Without hardware `auto` is software.
    let simulated = Tee::Auto.choose()? == twine_host::Platform::Simulated;
    if arguments.json {
        let value = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "sgx1": machine.sgx1,
            "sgx2": machine.sgx2,
            "device": machine.device,
            "why_not_hardware": machine.why_not,
            "tee": if simulated { "sim" } else { "sgx" },
            "image": image_path,
        });
        println!("{value:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let yes = |is: bool| if is { "yes" } else { "no" };
    println!("twine        {}", env!("CARGO_PKG_VERSION"));
    println!("CPU has SGX  {}", yes(machine.sgx1));
    println!("CPU has SGX2 {}", yes(machine.sgx2));
    println!("kernel has a device for it  {}", yes(machine.device));
    match &machine.why_not {
        None => println!("programs run on  SGX"),
        Some(why) => println!("programs run on  software SGX, which protects nothing: {why}"),
    }
    println!(
        "image        {}",
        image_path.as_deref().unwrap_or("none; `cargo xtask image` builds it")
    );
    Ok(ExitCode::SUCCESS)
}
