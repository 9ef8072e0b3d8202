//! Reports that enclaves made with EREPORT, and what their quotes say.

#[path = "../../tests/common/mod.rs"]
mod common;
mod verifier;

use common::{Enclave, Entry, Spec, device};
use dcap_qvl::TcbStatus;
use dcap_qvl::quote::Report;
use sgx_isa::AttributesFlags;
use sgx_sim::{Device, SIMULATED_CPUSVN};
use sgx_sim_quoting::{Error, QuotingEnclave, Variant, collateral, root_certificate};
use verifier::{verify, verify_strictly, verify_under};

const NOW: u64 = 1_795_834_000;
const EREPORT: u32 = 0;

/// Returns the report of an enclave for a target.
fn ereport(enclave: &Enclave, target: &[u8; 512], reportdata: [u8; 64]) -> [u8; 432] {
    let data = enclave.data(0);
    enclave.poke(data, *target);
    enclave.poke(data + 512, reportdata);
    enclave.leaf(EREPORT, data, data + 512, data + 1024).unwrap();
    enclave.peek(data + 1024)
}

/// Returns an image that is no debug enclave.
fn production() -> Spec {
    let mut spec = Spec::new(Entry::Leaf);
    spec.attributes.flags.remove(AttributesFlags::DEBUG);
    spec
}

#[test]
fn a_report_of_an_enclave_becomes_a_quote_that_a_verifier_accepts() {
    let spec = production();
    let enclave = spec.load();
    let quoting_enclave = QuotingEnclave::new(&device()).unwrap();
    let report = ereport(&enclave, &quoting_enclave.target_info(), [7; 64]);
    let quote = quoting_enclave.quote(&report).unwrap();

    let claims = verify_strictly(&quote, &collateral(NOW).unwrap(), NOW).unwrap();
    assert_eq!(claims.tcb.status, TcbStatus::UpToDate);
    assert!(claims.tcb.advisory_ids.is_empty());
    let Report::SgxEnclave(quoted) = claims.report else { panic!("not a report of SGX") };
    assert_eq!(quoted.mr_enclave, enclave.info.mrenclave());
    assert_eq!(quoted.mr_signer, enclave.info.mrsigner());
    assert_eq!((quoted.isv_prod_id, quoted.isv_svn), (spec.isvprodid, spec.isvsvn));
    assert_eq!(quoted.cpu_svn, SIMULATED_CPUSVN);
    assert_eq!(quoted.report_data, [7; 64]);
    assert_eq!(claims.platform.pck.cpu_svn, SIMULATED_CPUSVN);
}

#[test]
fn the_quote_of_a_debug_enclave_says_so() {
    let quoting_enclave = QuotingEnclave::new(&device()).unwrap();
    let enclave = Spec::new(Entry::Leaf).load();
    let report = ereport(&enclave, &quoting_enclave.target_info(), [0; 64]);
    let quote = quoting_enclave.quote(&report).unwrap();
    let refused = verify(&quote, &collateral(NOW).unwrap(), NOW).unwrap_err();
    assert!(refused.contains("Debug mode is enabled"), "{refused}");
}

#[test]
fn reports_for_others_of_others_and_changed_ones_are_refused() {
    let quoting_enclave = QuotingEnclave::new(&device()).unwrap();
    let enclave = production().load();
    let target = quoting_enclave.target_info();
    let refused =
        |report: &[u8; 432]| assert_eq!(quoting_enclave.quote(report), Err(Error::Report));

    let older = Variant::new().qe_svn(1).start(&device()).unwrap();
    refused(&ereport(&enclave, &older.target_info(), [0; 64]));

    let other_machine = Device::with_root_secret([9; 16]).unwrap();
    refused(&ereport(&production().load_on(other_machine), &target, [0; 64]));
    let older_microcode = device().security_version(0);
    refused(&ereport(&production().load_on(older_microcode), &target, [0; 64]));

    let report = ereport(&enclave, &target, [0; 64]);
    assert!(quoting_enclave.quote(&report).is_ok());
    for at in 0..report.len() {
        let mut changed = report;
        changed[at] ^= 0x80;
        refused(&changed);
    }
}

#[test]
fn no_changed_byte_of_what_a_quote_signs_passes() {
    let quoting_enclave = QuotingEnclave::new(&device()).unwrap();
    let report = ereport(&production().load(), &quoting_enclave.target_info(), [0; 64]);
    let quote = quoting_enclave.quote(&report).unwrap();
    let collateral = collateral(NOW).unwrap();
    // The rest is the length of the chain of certificates, and the chain: a verifier that has the root
    // ignores the end of both.
    const CHAIN: usize = 1048;
    assert_eq!(quote[CHAIN + 4..CHAIN + 9], *b"-----");
    for at in 0..CHAIN {
        let mut changed = quote.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, &collateral, NOW).is_err(), "byte {at}");
    }
}

#[test]
fn quotes_do_not_pass_under_another_root() {
    let quoting_enclave = QuotingEnclave::new(&device()).unwrap();
    let quote = quoting_enclave.forge_quote(&[0; 384]).unwrap();
    let collateral = collateral(NOW).unwrap();
    assert!(verify_under(root_certificate(), &quote, &collateral, NOW).is_ok());
    let other = sgx_sim_quoting::Authority::unknown("other").unwrap();
    let refused = verify_under(other.root_certificate(), &quote, &collateral, NOW).unwrap_err();
    assert!(refused.contains("InvalidCrlSignatureForPublicKey"), "{refused}");
}

#[test]
fn a_machine_keeps_its_identity_and_shares_it_with_no_other() {
    let quoting_enclave = |machine: &Device| QuotingEnclave::new(machine).unwrap();
    let first = quoting_enclave(&device());
    let newer_microcode = quoting_enclave(&device().security_version(2).owner_epoch([1; 16]));
    assert_eq!(newer_microcode.ppid(), first.ppid());
    assert_eq!(newer_microcode.platform_instance(), first.platform_instance());
    let other = quoting_enclave(&Device::with_root_secret([9; 16]).unwrap());
    assert_ne!(other.ppid(), first.ppid());
    assert_ne!(other.platform_instance(), first.platform_instance());

    let quote = first.forge_quote(&[0; 384]).unwrap();
    let pck = verify(&quote, &collateral(NOW).unwrap(), NOW).unwrap().platform.pck;
    assert_eq!(pck.ppid, first.ppid());
    assert_eq!(pck.platform_instance_id, Some(first.platform_instance()));
}
