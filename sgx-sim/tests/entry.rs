//! Entering and leaving: EENTER, EEXIT and the vDSO's ABI.

mod common;

use common::{EENTER, EEXIT, ERESUME, Enclave, Entry, Spec, enter, enter_with};
use sgx_sim::EnclaveRun;

#[test]
fn registers_pass_in_and_out() {
    let enclave = Spec::new(Entry::Echo).load();
    let exit = enclave.enter(0, [41, 0, 0, 0, 0]);
    assert_eq!((exit.result, exit.function), (0, EEXIT));
    assert_eq!(exit.rdi, 42);
    assert_eq!(exit.rsi, 0, "CSSA");
    assert_eq!(exit.rdx, enclave.tcs(0));
    assert_eq!(exit.r8, enclave.data(0), "FS base");
    assert_eq!(exit.r9, enclave.data(0), "GS base");
    assert_eq!(exit.r10, 0x1011);
}

#[test]
fn entering_many_times_leaves_no_trace() {
    let enclave = Spec::new(Entry::Echo).load();
    for i in 0..20_000 {
        assert_eq!(enclave.enter(0, [i, 0, 0, 0, 0]).rdi, i + 1);
    }
}

#[test]
fn bad_leaves_and_reserved_fields_are_invalid_arguments() {
    let enclave = Spec::new(Entry::Echo).load();
    for leaf in [0, 1, EEXIT, 5, u32::MAX] {
        assert_eq!(enter(enclave.tcs(0), leaf, [0; 5]).result, -libc::EINVAL);
    }
    let mut run = EnclaveRun::new(enclave.tcs(0) as *mut _);
    run.reserved[26] = 1;
    assert_eq!(enter_with(&mut run, EENTER, [0; 5]).result, -libc::EINVAL);
}

#[test]
fn addresses_that_are_no_tcs_are_page_faults() {
    let enclave = Spec::new(Entry::Echo).load();
    for address in [enclave.base(), enclave.data(0), 0x1000] {
        let exit = enter(address, EENTER, [0; 5]);
        assert_eq!((exit.result, exit.function, exit.vector), (0, EENTER, 14));
        assert_eq!(exit.address, address);
    }
    let exit = enter(enclave.tcs(0) + 8, EENTER, [0; 5]);
    assert_eq!((exit.function, exit.vector), (EENTER, 13));
}

#[test]
fn resuming_without_a_frame_is_refused() {
    let enclave = Spec::new(Entry::Echo).load();
    let exit = enclave.resume(0);
    assert_eq!((exit.result, exit.function, exit.vector), (0, ERESUME, 13));
    assert_eq!(enclave.enter(0, [1, 0, 0, 0, 0]).rdi, 2);
}

#[test]
fn a_busy_tcs_is_refused() {
    let enclave = Spec::new(Entry::Spin).load();
    let enclave: &Enclave = &enclave;
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| enclave.enter(0, [0, 5, 0, 0, 0]));
        while enclave.peek::<u64>(enclave.data(0) + 16) == 0 {
            std::thread::yield_now();
        }
        let exit = enclave.enter(0, [0; 5]);
        assert_eq!((exit.result, exit.function, exit.vector), (0, EENTER, 13));
        enclave.poke(enclave.data(0), 1u64);
        let exit = inside.join().unwrap();
        assert_eq!((exit.function, exit.rdi), (EEXIT, 0));
    });
}

#[test]
fn threads_and_enclaves_do_not_mix() {
    let mut spec = Spec::new(Entry::Echo);
    spec.threads = 4;
    let enclaves: Vec<Enclave> = (0..3).map(|_| spec.load()).collect();
    std::thread::scope(|scope| {
        for enclave in &enclaves {
            for thread in 0..4 {
                scope.spawn(move || {
                    for i in 0..2_000 {
                        let exit = enclave.enter(thread, [i, 0, 0, 0, 0]);
                        assert_eq!(exit.rdi, i + 1);
                        assert_eq!(exit.rdx, enclave.tcs(thread));
                        assert_eq!(exit.r8, enclave.data(thread));
                    }
                });
            }
        }
    });
}

#[test]
fn tcss_are_told_from_other_addresses() {
    let enclave = Spec::new(Entry::Echo).load();
    let address = enclave.tcs(0);
    assert!(sgx_sim::owns_tcs(address as *const _));
    assert!(!sgx_sim::owns_tcs(std::ptr::null()));
    drop(enclave);
    assert!(!sgx_sim::owns_tcs(address as *const _));
}

extern "C" fn count_exits(
    _rdi: u64,
    _rsi: u64,
    _rdx: u64,
    _rsp: u64,
    _r8: u64,
    _r9: u64,
    run: &mut EnclaveRun,
) -> i32 {
    run.user_data += 1;
    assert_eq!(run.function, EEXIT);
    match run.user_data {
        1..3 => EENTER as i32,
        3 => 0,
        _ => -1,
    }
}

#[test]
fn a_user_handler_can_enter_again() {
    let enclave = Spec::new(Entry::Echo).load();
    let mut run = EnclaveRun::new(enclave.tcs(0) as *mut _);
    run.user_handler = count_exits as *const () as u64;
    let exit = enter_with(&mut run, EENTER, [0; 5]);
    assert_eq!((exit.result, run.user_data), (0, 3));
}

#[test]
fn quick_exits_behave_like_others() {
    let mut spec = Spec::new(Entry::Echo);
    spec.threads = 4;
    let enclave = &spec.load_on(common::device().quick_exits(true));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for i in 0..5_000 {
                    let exit = enclave.enter(thread, [i, 0, 0, 0, 0]);
                    assert_eq!((exit.result, exit.function, exit.rdi), (0, EEXIT, i + 1));
                }
            });
        }
    });
    // An HLT in the enclave's own code is still a fault.
    let enclave = Spec::new(Entry::Trap).load_on(common::device().quick_exits(true));
    for _ in 0..3 {
        assert_eq!(enclave.enter(0, [5, 0, 0, 0, 0]).vector, 13);
        assert_eq!(enclave.skip(0, 1).rdi, 0);
    }
}

#[cfg(feature = "vdso")]
#[test]
fn the_vdso_symbol_enters_simulated_enclaves() {
    unsafe extern "C" {
        fn __vdso_sgx_enter_enclave();
    }
    let enclave = Spec::new(Entry::Echo).load();
    let mut run = EnclaveRun::new(enclave.tcs(0) as *mut _);
    let registers = [1, 2, 3, 4, 5];
    let exit = common::enter_through(__vdso_sgx_enter_enclave, &mut run, EENTER, registers);
    assert_eq!((exit.result, exit.function, exit.rdi), (0, EEXIT, 2));

    // Any other TCS belongs to the kernel; without SGX it has no such function, or refuses.
    let mut page = Box::new([0u64; 1024]);
    let mut run = EnclaveRun::new(page.as_mut_ptr().cast());
    let exit = common::enter_through(__vdso_sgx_enter_enclave, &mut run, 0, registers);
    assert!(exit.result < 0, "{exit:?}");
}
