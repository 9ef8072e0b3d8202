//! Quotes on software SGX.

use sgx_sim::Device;
use sgx_sim_quoting::QuotingEnclave;
use twine_quoting::{Error, Platform, Quoting};

#[test]
fn software_sgx_is_asked_for_quotes_of_its_own_machine() {
    let machine = Device::with_root_secret(*b"a test's machine").unwrap();
    let quoting = Quoting::open(&Platform::Simulated(machine.clone())).unwrap();
    let target = QuotingEnclave::new(&machine).unwrap().target_info();
    assert_eq!(quoting.target_info(), target);
}

#[test]
fn a_report_that_the_machine_did_not_make_is_refused() {
    let quoting = Quoting::open(&Platform::Simulated(Device::throwaway().unwrap())).unwrap();
    let error = quoting.quote(&[0; 432]).unwrap_err();
    assert!(matches!(error, Error::Simulation(sgx_sim_quoting::Error::Report)), "{error}");
    assert!(error.remedy().unwrap().contains("TARGETINFO"));
}
