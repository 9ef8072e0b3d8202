//! Runs an EDP image on the software SGX: `run IMAGE.sgxs [ARGUMENTS]`.

use enclave_runner::EnclaveBuilder;

fn main() -> Result<(), anyhow::Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(image) = arguments.next() else {
        anyhow::bail!("usage: run IMAGE.sgxs [ARGUMENTS]");
    };
    let bytes = std::fs::read(&image)?;
    let mut sgx = enclave_runner_sgx::EnclaveBuilder::new_from_memory(&bytes);
    let _ = sgx.signature(std::path::Path::new(&image).with_extension("sig"));
    let mut builder = EnclaveBuilder::new(sgx);
    builder.args(arguments);
    eprintln!("SGX is simulated: nothing here is protected.");
    let command: enclave_runner::Command = builder.build(sgx_sim::Device::new()?)?;
    command.run()
}
