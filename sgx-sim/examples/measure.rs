//! Measures the cost of the simulation: entering and leaving, asynchronous exits, loading.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{Entry, PAGE, Spec};
use openssl::hash::Hasher;
use sgx_isa::{PageType, SecinfoFlags};
use sgxs::loader::Load;
use sgxs::sgxs::{CanonicalSgxsWriter, MeasECreate, SecinfoTruncated};
use sgxs::sigstruct::EnclaveHash;

fn main() {
    round_trips();
    leaves();
    exceptions();
    load();
}

/// Returns the best time of five, per turn.
fn best(turns: u32, mut run: impl FnMut()) -> Duration {
    (0..5)
        .map(|_| {
            let start = Instant::now();
            (0..turns).for_each(|_| run());
            start.elapsed() / turns
        })
        .min()
        .unwrap_or_default()
}

fn round_trips() {
    let enclave = Spec::new(Entry::Echo).load();
    let time = best(100_000, || {
        enclave.enter(0, [0; 5]);
    });
    println!("EENTER and EEXIT:             {time:?}");
    let enclave = Spec::new(Entry::Echo).load_on(common::device().quick_exits(true));
    let time = best(100_000, || {
        enclave.enter(0, [0; 5]);
    });
    println!("EENTER and EEXIT, quick:      {time:?}");
}

fn leaves() {
    const EREPORT: u32 = 0;
    let enclave = Spec::new(Entry::Leaf).load();
    let data = enclave.data(0);
    enclave.poke(data, [0u8; PAGE as usize]);
    let time = best(50_000, || {
        enclave.leaf(EREPORT, data, data + 1024, data + 2048).unwrap();
    });
    println!("EENTER, EREPORT, EEXIT:       {time:?}");
}

fn exceptions() {
    let enclave = Spec::new(Entry::Trap).load();
    let time = best(20_000, || {
        enclave.enter(0, [3, 0, 0, 0, 0]);
        enclave.skip(0, 3);
    });
    println!("#PF, handled inside, resumed: {time:?} (three entries, three exits)");
}

fn load() {
    const MEASURED: usize = 15 << 20;
    const UNMEASURED_PAGES: usize = 300_000;
    let mut image = Vec::new();
    let create = MeasECreate { ssaframesize: 1, size: 4 << 30 };
    let mut writer = CanonicalSgxsWriter::new(&mut image, create, true).unwrap();
    let secinfo = |flags: SecinfoFlags| SecinfoTruncated { flags: flags | PageType::Reg.into() };
    let code: Vec<u8> = (0..MEASURED as u32).map(|i| i as u8 | 1).collect();
    writer
        .write_pages(
            Some(&mut &code[..]),
            MEASURED / PAGE as usize,
            Some(0),
            secinfo(SecinfoFlags::R | SecinfoFlags::X),
        )
        .unwrap();
    let heap = secinfo(SecinfoFlags::R | SecinfoFlags::W);
    writer.write_pages(None::<&mut &[u8]>, UNMEASURED_PAGES, None, heap).unwrap();

    let spec = Spec::new(Entry::Echo);
    let hash = best(1, || {
        EnclaveHash::from_stream::<_, Hasher>(&mut &image[..]).unwrap();
    });
    let sig = spec.sign(&image);
    let mut device = common::device();
    let time = best(1, || {
        device.load(&mut &image[..], &sig, spec.attributes, spec.miscselect).unwrap();
    });
    println!("load and unload, 15 MiB measured, 300,000 pages not: {time:?}");
    println!("(hashing it with the sgxs crate and OpenSSL: {hash:?})");
    let small = Spec::new(Entry::Echo);
    let (image, mut device) = (small.image(), common::device());
    let sig = small.sign(&image);
    let time = best(1000, || {
        device.load(&mut &image[..], &sig, small.attributes, small.miscselect).unwrap();
    });
    println!("load and unload, 12 pages:    {time:?}");
}
