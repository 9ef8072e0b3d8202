//! Asynchronous exits: exceptions inside, SSA frames, ERESUME.

mod common;

use common::{EENTER, EEXIT, ERESUME, Enclave, Entry, PAGE, Spec, at};
use sgx_isa::Miscselect;

const RIP: u64 = 136;
const EXITINFO: u64 = 160;

struct Trap {
    kind: u64,
    vector: u16,
    exitinfo: u64,
    /// The number of bytes to skip before resuming.
    length: u64,
}

const TRAPS: [Trap; 7] = [
    Trap { kind: 1, vector: 6, exitinfo: 0x8000_0306, length: 2 },
    Trap { kind: 0, vector: 0, exitinfo: 0x8000_0300, length: 2 },
    Trap { kind: 2, vector: 3, exitinfo: 0x8000_0603, length: 1 },
    Trap { kind: 5, vector: 13, exitinfo: 0x8000_030d, length: 1 },
    Trap { kind: 6, vector: 19, exitinfo: 0x8000_0313, length: 4 },
    Trap { kind: 7, vector: 16, exitinfo: 0x8000_0310, length: 1 },
    Trap { kind: 9, vector: 3, exitinfo: 0x8000_0603, length: 2 },
];

const PATTERN: u64 = 0x1234_5678_9abc_def0;

fn exitinfo(enclave: &Enclave) -> u64 {
    enclave.gpr(0, EXITINFO) & 0xffff_ffff
}

#[test]
fn every_exception_can_be_handled_inside_and_resumed() {
    let enclave = Spec::new(Entry::Trap).load();
    for trap in &TRAPS {
        let exit = enclave.enter(0, [trap.kind, PATTERN, 0, 0, 0]);
        assert_eq!((exit.result, exit.function), (0, ERESUME), "{}", trap.kind);
        assert_eq!(exit.vector, trap.vector, "kind {}", trap.kind);
        assert_eq!(exitinfo(&enclave), trap.exitinfo, "kind {}", trap.kind);
        let rip = enclave.gpr(0, RIP);
        assert!((enclave.base()..enclave.base() + at::THREADS).contains(&rip));

        let resumed = enclave.skip(0, trap.length);
        assert_eq!((resumed.result, resumed.function), (0, EEXIT), "{resumed:?}");
        assert_eq!(resumed.rdi, 0, "registers after kind {}", trap.kind);
    }
}

#[test]
fn a_page_fault_tells_its_address_inside_and_its_page_outside() {
    let enclave = Spec::new(Entry::Trap).load();
    for (kind, address, write) in [
        (3, enclave.base() + at::SIZE - 0x123, 0),
        (4, enclave.base() + 0x10, 2),
        (3, enclave.tcs(0) + 8, 0),
        (3, 0x18, 0),
    ] {
        let exit = enclave.enter(0, [kind, PATTERN, address, 0, 0]);
        assert_eq!((exit.result, exit.function, exit.vector), (0, ERESUME, 14));
        assert_eq!(exit.address, address & !(PAGE - 1));
        assert_eq!(exit.error_code & 6, 4 | write);
        assert_eq!(exitinfo(&enclave), 0x8000_030e);
        let exinfo = enclave.gpr_address(0) - 16;
        assert_eq!(enclave.peek::<u64>(exinfo), address);
        assert_eq!(enclave.peek::<u32>(exinfo + 8) as u16, exit.error_code);
        assert_eq!(enclave.skip(0, 3).rdi, 0);
    }
}

#[test]
fn without_exinfo_page_faults_are_not_reported_inside() {
    let mut spec = Spec::new(Entry::Trap);
    spec.miscselect = Miscselect::empty();
    let enclave = spec.load();
    let exit = enclave.enter(0, [3, PATTERN, 0x18, 0, 0]);
    assert_eq!(exit.vector, 14);
    assert_eq!(exitinfo(&enclave), 0);
}

#[test]
fn a_frame_holds_the_registers_and_the_outside_stack() {
    let enclave = Spec::new(Entry::Trap).load();
    enclave.enter(0, [1, PATTERN, 0, 0, 0]);
    assert_eq!(enclave.gpr(0, 56), 0, "RDI");
    assert_eq!(enclave.gpr(0, 48), PATTERN, "RSI");
    assert_eq!(enclave.gpr(0, 24), 0x1bb1, "RBX");
    assert_eq!(enclave.gpr(0, 72), PATTERN + 1, "R9");
    assert_eq!(enclave.gpr(0, 168), enclave.data(0), "FSBASE");
    assert_eq!(enclave.gpr(0, 176), enclave.data(0), "GSBASE");
    assert_eq!(enclave.gpr(0, 144), enclave.gpr(0, 32), "URSP: RSP was not changed");
    let xsave = enclave.tcs(0) + at::SSA;
    assert_eq!(enclave.peek::<u64>(xsave + 160), PATTERN, "XMM0");
    assert_eq!(enclave.peek::<u64>(xsave + 512) & !3, 0, "XSTATE_BV is limited to XFRM");
}

#[test]
fn frames_nest_until_they_run_out() {
    let enclave = Spec::new(Entry::Trap).load();
    assert_eq!(enclave.enter(0, [1, PATTERN, 0, 0, 0]).function, ERESUME);
    // The handler faults: it adds to SSA[CSSA-1], which the page table makes read-only.
    let ssa = (enclave.tcs(0) + at::SSA) as usize;
    sgx_sim::protect(ssa, PAGE as usize, sgx_sim::Permissions::R).unwrap();
    let exit = enclave.enter(0, [2, 0, 0, 0, 0]);
    assert_eq!((exit.function, exit.vector), (ERESUME, 14));
    let exit = enclave.enter(0, [2, 0, 0, 0, 0]);
    assert_eq!((exit.function, exit.vector), (EENTER, 13), "CSSA = NSSA");
    sgx_sim::protect(ssa, PAGE as usize, sgx_sim::Permissions::RW).unwrap();
    let exit = enclave.resume(0);
    assert_eq!((exit.result, exit.function), (0, EEXIT), "the handler ends");
    let exit = enclave.resume(0);
    assert_eq!((exit.function, exit.rdi), (EEXIT, 0), "and what it handled");
}

#[test]
fn a_forged_frame_is_refused_as_xrstor_would() {
    let enclave = Spec::new(Entry::Trap).load();
    let xsave = enclave.tcs(0) + at::SSA;
    let refused = |address: u64, bad: u64| {
        enclave.enter(0, [1, PATTERN, 0, 0, 0]);
        let good: u64 = enclave.peek(address);
        enclave.poke(address, bad);
        let exit = enclave.resume(0);
        assert_eq!((exit.result, exit.function, exit.vector), (0, ERESUME, 13));
        enclave.poke(address, good);
        assert_eq!(enclave.skip(0, 2).rdi, 0);
    };
    refused(xsave + 512, 7); // XSTATE_BV beyond XFRM
    refused(xsave + 520, 1 << 63); // XCOMP_BV
    refused(xsave + 528, 1); // reserved
    refused(xsave + 24, 0xffff_ffff_0001_0000); // MXCSR
    refused(enclave.gpr_address(0) + RIP, 1 << 60); // not canonical
    refused(enclave.gpr_address(0) + 168, 1 << 47); // FS base not canonical
}

#[test]
fn ten_thousand_faults_in_a_row_are_handled() {
    let enclave = Spec::new(Entry::Trap).load();
    for i in 0..10_000 {
        assert_eq!(enclave.enter(0, [3, i, 0, 0, 0]).vector, 14);
        assert_eq!(enclave.skip(0, 3).rdi, 0);
    }
}

/// AVX and AVX-512 state passes through SSA frames, if this machine has it.
#[test]
fn wide_registers_survive_and_are_saved() {
    const AVX: u64 = 7;
    const AVX512: u64 = 0xe7;
    let has = |avx512| match avx512 {
        true => is_x86_feature_detected!("avx512bw"),
        false => is_x86_feature_detected!("avx"),
    };
    for (wide, xfrm) in [(0, AVX), (1, AVX512)] {
        if !has(wide == 1) {
            continue;
        }
        let mut spec = Spec::new(Entry::Wide);
        spec.attributes.xfrm = xfrm;
        let enclave = spec.load();
        let pattern: [u64; 8] = std::array::from_fn(|i| PATTERN.rotate_left(i as u32));
        enclave.poke(enclave.data(0) + 512, pattern);
        assert_eq!(enclave.enter(0, [wide, 0, 0, 0, 0]).vector, 6);
        let header = enclave.tcs(0) + at::SSA + 512;
        let components = enclave.peek::<u64>(header);
        assert_eq!(components & !xfrm, 0);
        assert_ne!(components & 4, 0, "AVX state is in use");
        let resumed = enclave.skip(0, 2);
        assert_eq!((resumed.function, resumed.rdi), (EEXIT, 0));
        let saved: [u64; 8] = enclave.peek(enclave.data(0) + 1024);
        let lanes = if wide == 1 { 8 } else { 4 };
        assert_eq!(saved[..lanes], pattern[..lanes]);
        if wide == 1 {
            let mask: u16 = enclave.peek(enclave.data(0) + 1088);
            assert_eq!(mask, pattern[0] as u16);
        }
    }
}

#[test]
fn state_beyond_xfrm_is_not_saved() {
    if !is_x86_feature_detected!("avx") {
        return;
    }
    let enclave = Spec::new(Entry::Wide).load();
    assert_eq!(enclave.enter(0, [0; 5]).vector, 6);
    let header = enclave.tcs(0) + at::SSA + 512;
    assert_eq!(enclave.peek::<u64>(header) & !3, 0);
    assert_eq!(enclave.peek::<[u64; 8]>(header + 64), [0; 8]);
}
