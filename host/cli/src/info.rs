//! `twine info`.

use crate::failure::Failure;
use crate::locate;
use crate::print::print_line;
use clap::Args;
use std::fs::File;
use std::process::ExitCode;
use twine_host::{Machine, Processor, Tee};
use twine_image::pages_at_start;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let machine = Machine::detect();
    let processor = Processor::detect();
    // Without the images, everything else can still be shown.
    let (images, unknown) = match locate::images() {
        Ok(images) => (images, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let pages: Vec<Option<u64>> = images
        .iter()
        .map(|path| File::open(path).ok().and_then(|image| pages_at_start(image).ok()))
        .collect();
    let images: Vec<String> = images.iter().map(|path| path.display().to_string()).collect();
    let unknown = unknown.as_ref().map(Failure::cause);
    // `auto` chooses software SGX if there is no hardware.
    let simulated = Tee::Auto.choose()? == twine_host::Platform::Simulated;
    if arguments.json {
        let value = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "processor": {
                "name": processor.name,
                "family": processor.family,
                "model": processor.model,
                "stepping": processor.stepping,
                "avx512": processor.avx512,
                "amx": processor.amx,
                "enclu": processor.enclu.map(|exception| exception.to_string()),
            },
            "sgx1": machine.sgx1,
            "sgx2": machine.sgx2,
            "device": machine.device,
            "why_not_hardware": machine.why_not,
            "tee": if simulated { "sim" } else { "sgx" },
            "images": images,
            // The numbers are in the order of the images.
            "pages_at_start": pages,
            "why_no_images": unknown,
        });
        print_line!("{value:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let yes = |is: bool| if is { "yes" } else { "no" };
    print_line!("twine        {}", env!("CARGO_PKG_VERSION"));
    print_line!("processor    {processor}");
    print_line!("CPU has SGX  {}", yes(machine.sgx1));
    print_line!("CPU has SGX2 {}", yes(machine.sgx2));
    print_line!("kernel has a device for it  {}", yes(machine.device));
    match &machine.why_not {
        None => print_line!("programs run on  SGX"),
        Some(why) => print_line!("programs run on  software SGX, which protects nothing: {why}"),
    }
    match (unknown, &images[..]) {
        (Some(why), _) => print_line!("image        not known: {why}"),
        (None, []) => print_line!("image        none; `cargo xtask image` builds it"),
        (None, images) => {
            for (image, pages) in images.iter().zip(&pages) {
                let pages = pages.map(|pages| format!(" ({pages} pages at the start)"));
                print_line!("image        {image}{}", pages.unwrap_or_default());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
