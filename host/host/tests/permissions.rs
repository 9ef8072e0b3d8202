//! A machine on which no memory can be made executable. The refusal applies to the whole process
//! and is permanent, so this test has its own program.

#[allow(dead_code, reason = "each test program uses only a part of this module")]
mod common;

use common::{say, suite};
use twine_host::{Error, Resources, Tee, run};
use twine_protocol::launch::Launch;

#[test]
fn the_error_for_refused_executable_memory_names_what_to_allow() {
    let image = &suite().image;
    let deny = libc::PR_MDWE_REFUSE_EXEC_GAIN;
    // SAFETY: no memory changes, and this process makes none of its present memory executable
    // later.
    if unsafe { libc::prctl(libc::PR_SET_MDWE, libc::c_ulong::from(deny), 0, 0, 0) } != 0 {
        say("not tested: PR_SET_MDWE wants Linux 6.3 or later");
        return;
    }
    let platform = Tee::Sim.choose().unwrap();
    let result = run(image, platform, &Launch::default(), Vec::new(), Resources::default());
    let error = result.expect_err("the enclave's code can't be executed");
    assert!(matches!(error, Error::NotPermitted(_)), "{error}");
    assert!(error.to_string().contains("mprotect of enclave pages"), "{error}");
    assert!(error.remedy().contains("executable"), "{}", error.remedy());
}
