//! Images that EINIT, EADD or ECREATE refuse, with the reason of each.

mod common;

use common::{Entry, Spec, at, device};
use openssl::hash::Hasher;
use sgx_isa::{AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct};
use sgxs::sgxs::{Meas, MeasEAdd, MeasECreate, MeasEExtend, SecinfoTruncated, SgxsWrite};

fn refusal(spec: &Spec, image: &[u8], sig: &Sigstruct) -> String {
    match spec.try_load(device(), image, sig) {
        Ok(_) => String::from("loaded"),
        Err(error) => format!("{error:#}"),
    }
}

/// Returns the refusal of an image with a correct signature.
fn signed(spec: &Spec, image: &[u8]) -> String {
    refusal(spec, image, &spec.sign(image))
}

fn refusal_of(change: impl FnOnce(&mut Spec)) -> String {
    let mut spec = Spec::new(Entry::Echo);
    change(&mut spec);
    signed(&spec, &spec.image())
}

/// Returns the refusal of a SIGSTRUCT that was changed after signing.
fn tampered(change: impl FnOnce(&mut Sigstruct)) -> String {
    let spec = Spec::new(Entry::Echo);
    let image = spec.image();
    let mut sig = spec.sign(&image);
    change(&mut sig);
    refusal(&spec, &image, &sig)
}

#[track_caller]
fn assert_begins(text: String, expected: &str) {
    assert!(text.starts_with(expected), "{text:?}");
}

#[test]
fn a_good_image_loads() {
    assert_eq!(refusal_of(|_| {}), "loaded");
}

#[test]
fn malformed_sigstructs_are_refused() {
    let expected = "SGX_INVALID_SIG_STRUCT";
    assert_begins(tampered(|sig| sig.header[0] ^= 1), expected);
    assert_begins(tampered(|sig| sig.header2[0] ^= 1), expected);
    assert_begins(tampered(|sig| sig.vendor = 1), expected);
    assert_begins(tampered(|sig| sig.exponent = 65537), expected);
    assert_begins(tampered(|sig| sig._reserved1[83] = 1), expected);
    assert_begins(tampered(|sig| sig._reserved3[0] = 1), expected);
    assert_begins(tampered(|sig| sig._reserved4[11] = 1), expected);
    assert_begins(tampered(|sig| sig.cet_attributes = 1), expected);
}

#[test]
fn bad_signatures_are_refused() {
    let expected = "SGX_INVALID_SIGNATURE";
    assert_begins(tampered(|sig| sig.signature[0] ^= 1), expected);
    assert_begins(tampered(|sig| sig.signature = [0xff; 384]), expected);
    assert_begins(tampered(|sig| sig.q1[0] ^= 1), expected);
    assert_begins(tampered(|sig| sig.q2[383] ^= 1), expected);
    assert_begins(tampered(|sig| sig.modulus[5] ^= 1), expected);
    assert_begins(tampered(|sig| sig.enclavehash[0] ^= 1), expected);
    assert_begins(tampered(|sig| sig.isvsvn ^= 1), expected);
    assert_begins(tampered(|sig| sig.swdefined ^= 1), expected);
    assert_begins(tampered(|sig| sig.isvfamilyid[0] ^= 1), expected);
    assert_begins(
        tampered(|sig| {
            sig.signature = [0; 384];
            sig.q1 = [0; 384];
            sig.q2 = [0; 384];
        }),
        expected,
    );
}

#[test]
fn an_image_other_than_the_signed_one_is_refused() {
    let spec = Spec::new(Entry::Echo);
    let mut image = spec.image();
    let sig = spec.sign(&image);
    // This is a byte of code: it comes after ECREATE, EADD and the EEXTEND header.
    image[3 * 64] ^= 1;
    assert_begins(refusal(&spec, &image, &sig), "SGX_INVALID_MEASUREMENT");
}

#[test]
fn unmeasured_contents_may_differ() {
    let spec = Spec::new(Entry::Echo);
    let mut image = spec.image();
    let sig = spec.sign(&image);
    let tag = sgxs::sgxs::MEAS_UNMEASRD.to_le_bytes();
    let chunk = image.windows(8).position(|window| window == tag).expect("an unmeasured chunk");
    image[chunk + 64] ^= 1;
    assert_eq!(refusal(&spec, &image, &sig), "loaded");
}

#[test]
fn attributes_other_than_the_signed_ones_are_refused() {
    let expected = "SGX_INVALID_ATTRIBUTE";
    let spec = Spec::new(Entry::Echo);
    let image = spec.image();
    let sig = spec.sign(&image);
    let mut production = spec.clone();
    production.attributes.flags.remove(AttributesFlags::DEBUG);
    assert_begins(refusal(&production, &image, &sig), expected);
    let mut misc = spec.clone();
    misc.miscselect = Miscselect::empty();
    assert_begins(refusal(&misc, &image, &sig), expected);
    // Fields that the mask leaves out may differ.
    let lenient = spec
        .signer(&image)
        .attributes_flags(spec.attributes.flags, !AttributesFlags::DEBUG.bits())
        .clone()
        .sign::<_, Hasher>(&**common::key())
        .unwrap();
    assert_eq!(refusal(&production, &image, &lenient), "loaded");
}

#[test]
fn forbidden_attributes_are_refused() {
    let flags = |flags| refusal_of(|spec| spec.attributes.flags = flags);
    let mode = AttributesFlags::MODE64BIT;
    assert_begins(flags(mode | AttributesFlags::INIT), "#GP in ECREATE");
    assert_begins(flags(AttributesFlags::DEBUG), "#GP in ECREATE");
    assert_begins(flags(mode | AttributesFlags::CET), "#GP in ECREATE");
    // SAFETY: every bit pattern is a value of the bit set's integer.
    let reserved = unsafe { AttributesFlags::from_bits_unchecked(1 << 3) };
    assert_begins(flags(mode | reserved), "#GP in ECREATE");
    for xfrm in [0, 1, 2, 3 | 1 << 5, 3 | 1 << 62] {
        assert_begins(
            refusal_of(|spec| spec.attributes.xfrm = xfrm),
            "#GP in ECREATE: ATTRIBUTES.XFRM",
        );
    }
    // SAFETY: as above.
    let misc = unsafe { Miscselect::from_bits_unchecked(3) };
    assert_begins(refusal_of(|spec| spec.miscselect = misc), "#GP in ECREATE: MISCSELECT");
    assert_begins(refusal_of(|spec| spec.ssaframesize = 0), "#GP in ECREATE: SSAFRAMESIZE");
}

#[test]
fn the_provisioning_key_can_be_withheld() {
    let mut spec = Spec::new(Entry::Echo);
    spec.attributes.flags |= AttributesFlags::PROVISIONKEY;
    let image = spec.image();
    let sig = spec.sign(&image);
    assert!(spec.try_load(device(), &image, &sig).is_ok());
    let error = spec.try_load(device().allow_provision_key(false), &image, &sig).err().unwrap();
    let error = error.downcast::<sgx_sim::Error>().unwrap();
    assert!(matches!(error, sgx_sim::Error::InvalidAttribute(_)), "{error}");
}

#[test]
fn malformed_thread_control_structures_are_refused() {
    let tcs = |tcs| refusal_of(|spec| spec.tcs = tcs);
    let expected = "#GP in EADD at offset 0x4000: TCS";
    assert_begins(tcs(|tcs| tcs._reserved1 = 1), expected);
    assert_begins(tcs(|tcs| tcs._reserved3[4023] = 1), expected);
    assert_begins(tcs(|tcs| tcs.cssa = 1), expected);
    assert_begins(tcs(|tcs| tcs.flags = sgx_isa::TcsFlags::DBGOPTIN), expected);
    assert_begins(tcs(|tcs| tcs.oentry = at::SIZE), expected);
    assert_begins(tcs(|tcs| tcs.ofsbasgx = at::SIZE), expected);
    assert_begins(tcs(|tcs| tcs.ogsbasgx += 8), expected);
    assert_begins(tcs(|tcs| tcs.ossa = at::SIZE), expected);
    assert_begins(tcs(|tcs| tcs.ossa += 8), expected);
    assert_begins(tcs(|tcs| tcs.nssa = u32::MAX), expected);
}

fn create(size: u64) -> Meas {
    Meas::ECreate(MeasECreate { ssaframesize: 1, size })
}

fn add(offset: u64, flags: SecinfoFlags) -> Meas {
    Meas::EAdd(MeasEAdd { offset, secinfo: SecinfoTruncated { flags } })
}

fn stream(records: &[Meas]) -> String {
    let mut image = Vec::new();
    for record in records {
        image.write_meas(record).unwrap();
    }
    let spec = Spec::new(Entry::Echo);
    let sig = spec.sign(&spec.image());
    refusal(&spec, &image, &sig)
}

#[test]
fn streams_that_build_no_enclave_are_refused() {
    let reg: SecinfoFlags = PageType::Reg.into();
    let (r, w) = (SecinfoFlags::R, SecinfoFlags::W);
    let size = 0x10000;
    assert_begins(stream(&[]), "not a canonical SGXS stream");
    assert_begins(stream(&[add(0, reg | r)]), "not a canonical SGXS stream");
    assert_begins(stream(&[create(0x3000)]), "#GP in ECREATE: SIZE");
    assert_begins(stream(&[create(0x1000)]), "#GP in ECREATE: SIZE");
    assert_begins(stream(&[create(1 << 63)]), "#GP in ECREATE: SIZE");
    assert_begins(stream(&[create(size), create(size)]), "not a canonical SGXS stream");
    let page = |offset, flags| stream(&[create(size), add(offset, flags)]);
    assert_begins(page(0x800, reg | r), "#GP in EADD at offset 0x800");
    assert_begins(page(size, reg | r), "#GP in EADD at offset 0x10000");
    assert_begins(page(0, reg | w), "#GP in EADD at offset 0x0: writable");
    assert_begins(page(0, r), "#GP in EADD");
    assert_begins(page(0, reg | r | SecinfoFlags::PENDING), "#GP in EADD");
    assert_begins(page(0, SecinfoFlags::from(PageType::Trim)), "#GP in EADD");
    assert_begins(page(0, SecinfoFlags::from(PageType::Tcs) | r), "#GP in EADD");
    assert_begins(
        stream(&[create(size), add(0x1000, reg | r), add(0, reg | r)]),
        "not a canonical SGXS stream",
    );
    let chunk = |offset| Meas::EExtend { header: MeasEExtend { offset }, data: [1; 256] };
    for offset in [0x1000, 0x80] {
        assert_begins(
            stream(&[create(size), add(0, reg | r), chunk(offset)]),
            "not a canonical SGXS stream",
        );
    }
    assert_begins(
        stream(&[create(size), add(0, reg | r), chunk(0), chunk(0)]),
        "not a canonical SGXS stream: chunks overlap",
    );
}

#[test]
fn a_truncated_stream_is_an_error() {
    let spec = Spec::new(Entry::Echo);
    let image = spec.image();
    let sig = spec.sign(&image);
    let refused = refusal(&spec, &image[..image.len() - 10], &sig);
    assert_begins(refused, "cannot read the SGXS stream");
    let refused = refusal(&spec, &image[..image.len() - 64], &sig);
    assert_ne!(refused, "loaded");
}

/// Returns the refusal of a stream of bytes.
fn streamed(spec: &Spec, image: impl std::io::Read, sig: &Sigstruct) -> String {
    match device().load_stream(image, sig, spec.attributes, spec.miscselect) {
        Ok(_) => String::from("loaded"),
        Err(error) => error.to_string(),
    }
}

/// A reader that returns a few bytes at a time, as a pipe may.
struct Slow<'a>(&'a [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(100).min(self.0.len());
        let (now, later) = self.0.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

#[test]
fn bytes_load_as_records_do() {
    let spec = Spec::new(Entry::Echo);
    let image = spec.image();
    let sig = spec.sign(&image);
    assert_eq!(streamed(&spec, &image[..], &sig), "loaded");
    assert_eq!(streamed(&spec, Slow(&image), &sig), "loaded");
}

#[test]
fn no_bit_of_a_stream_but_unmeasured_contents_can_be_changed() {
    let spec = Spec::new(Entry::Echo);
    let mut image = spec.image();
    let sig = spec.sign(&image);
    let mut at = 0;
    while at < image.len() {
        let (measured, length) = match &image[at..at + 8] {
            b"EEXTEND\0" => (320, 320),
            b"UNMEASRD" => (64, 320),
            _ => (64, 64),
        };
        // This changes every byte of a header, and some of the bytes that it measures.
        for byte in (at..at + 64).chain((at + 64..at + measured).step_by(101)) {
            image[byte] ^= 0x10;
            assert_ne!(streamed(&spec, &image[..], &sig), "loaded", "byte {byte} of {at}");
            image[byte] ^= 0x10;
        }
        at += length;
    }
    assert_eq!(streamed(&spec, &image[..], &sig), "loaded");
}

#[test]
fn no_truncated_stream_of_bytes_is_loaded() {
    let spec = Spec::new(Entry::Echo);
    let image = spec.image();
    let sig = spec.sign(&image);
    for length in (0..image.len()).step_by(32) {
        assert_ne!(streamed(&spec, &image[..length], &sig), "loaded", "{length} bytes");
    }
    assert_begins(streamed(&spec, &image[..100], &sig), "not a canonical SGXS stream: it ends");
}

#[test]
fn refusals_leave_nothing_mapped() {
    let spec = Spec::new(Entry::Echo);
    let image = spec.image();
    let mut sig = spec.sign(&image);
    sig.enclavehash[0] ^= 1;
    let before = mappings();
    for _ in 0..200 {
        assert_ne!(refusal(&spec, &image, &sig), "loaded");
    }
    assert!(mappings() < before + 50);
}

#[test]
fn enclaves_are_unloaded_when_dropped() {
    let mut spec = Spec::new(Entry::Echo);
    spec.threads = 2;
    let image = spec.image();
    let sig = spec.sign(&image);
    let before = mappings();
    for i in 0..3_000 {
        let mut enclave = spec.try_load(device(), &image, &sig).unwrap();
        assert_eq!(enclave.enter(0, [i, 0, 0, 0, 0]).rdi, i + 1);
        let base = enclave.base();
        let last = enclave.tcss.pop();
        drop(enclave);
        assert!(sgx_sim::owns_tcs(base as *const _), "a TCS keeps it loaded");
        drop(last);
        assert!(!sgx_sim::owns_tcs(base as *const _));
    }
    assert!(mappings() < before + 50);
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}
