//! Writes the first inputs of the fuzz targets into a folder, as `TARGET/NUMBER`. The inputs follow
//! the format, so write them again when it changes: `cargo xtask fuzz --seeds`.

use sgx_sim_quoting::QuotingEnclave;
use twine_verifier::fuzzing::{AT, EMPTY};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let machine = sgx_sim::Device::with_root_secret(*b"a target's seed!")?;
    // The parts of a report that have values: CPUSVN, and the attributes INIT and MODE64BIT.
    let mut report = [0; 384];
    report[..16].copy_from_slice(&machine.cpusvn());
    report[48] = 5;
    let quote = QuotingEnclave::new(&machine)?.forge_quote(&report)?;
    let evidence = twine_evidence::claims::evidence(&quote, &[0xa0]);
    let collateral = sgx_sim_quoting::collateral(AT.0)?;
    let policy = "root = \"intel\"\n[enclave]\nsigners = [\"00\"]\n[launch]\nkind = \"host\"\n\
                  [tcb]\nstatuses = []\n";
    twine_fuzz_input::write_seeds(vec![
        ("quoted", quote),
        ("quoted", evidence),
        ("collateral", EMPTY.into()),
        ("collateral", collateral.into_bytes()),
        ("policy", policy.into()),
    ])?;
    Ok(())
}
