//! EGETKEY and EREPORT: the inputs of keys, and who can verify whose report.

mod common;

use cmac::{Cmac, KeyInit, Mac};
use common::{Enclave, Entry, Spec, at, device, other_key};
use sgx_isa::{Attributes, AttributesFlags, ErrorCode, Keyname, Keypolicy, Keyrequest};
use sgx_isa::{Report, Targetinfo};
use sgx_sim::{Device, SIMULATED_CPUSVN};

const EREPORT: u32 = 0;
const EGETKEY: u32 = 1;

/// Changes bytes of a structure for which the `sgx-isa` crate has no fields.
fn with<const N: usize>(structure: &impl AsRef<[u8]>, offset: usize, bytes: &[u8]) -> [u8; N] {
    let mut raw = [0; N];
    raw.copy_from_slice(structure.as_ref());
    raw[offset..offset + bytes.len()].copy_from_slice(bytes);
    raw
}

fn egetkey_raw(enclave: &Enclave, request: [u8; 512]) -> Result<[u8; 16], u64> {
    let data = enclave.data(0);
    enclave.poke(data, request);
    enclave.poke(data + 1024, [0u8; 16]);
    let (rax, zf) = enclave
        .leaf(EGETKEY, data, data + 1024, 0)
        .map_err(|exit| 1000 + u64::from(exit.vector))?;
    assert_eq!(zf, rax != 0);
    match rax {
        0 => Ok(enclave.peek(data + 1024)),
        code => Err(code),
    }
}

fn egetkey(enclave: &Enclave, request: &Keyrequest) -> Result<[u8; 16], u64> {
    egetkey_raw(enclave, with(request, 0, &[]))
}

fn seal(policy: Keypolicy) -> Keyrequest {
    Keyrequest {
        keyname: Keyname::Seal as u16,
        keypolicy: policy,
        attributemask: [!0, !0],
        miscmask: !0,
        ..Default::default()
    }
}

fn ereport(enclave: &Enclave, target: &Targetinfo, reportdata: [u8; 64]) -> Report {
    let data = enclave.data(0);
    enclave.poke(data, with::<512>(target, 0, &[]));
    enclave.poke(data + 512, reportdata);
    enclave.leaf(EREPORT, data, data + 512, data + 1024).unwrap();
    Report::try_copy_from(&enclave.peek::<[u8; Report::UNPADDED_SIZE]>(data + 1024)).unwrap()
}

/// Verifies a report as an enclave does, with its own report key.
fn verifies(enclave: &Enclave, report: &Report) -> bool {
    let request =
        Keyrequest { keyname: Keyname::Report as u16, keyid: report.keyid, ..Default::default() };
    let key = egetkey(enclave, &request).unwrap();
    let mut mac = <Cmac<aes::Aes128> as KeyInit>::new(&key.into());
    mac.update(report.mac_data());
    mac.verify_slice(&report.mac).is_ok()
}

const GP: u64 = 1013;
const PF: u64 = 1014;

#[test]
fn sealing_keys_depend_on_what_the_policy_names() {
    let spec = Spec::new(Entry::Leaf);
    let mut other_image = spec.clone();
    other_image.salt = 1;
    let mut other_signer = spec.clone();
    other_signer.key = other_key;
    let mut other_product = spec.clone();
    other_product.isvprodid = 8;

    let base = spec.load();
    let enclaves = [spec.load(), other_image.load(), other_signer.load(), other_product.load()];
    let same = |policy| {
        let expected = egetkey(&base, &seal(policy)).unwrap();
        enclaves.each_ref().map(|enclave| egetkey(enclave, &seal(policy)).unwrap() == expected)
    };
    assert_eq!(same(Keypolicy::MRENCLAVE), [true, false, true, false]);
    assert_eq!(same(Keypolicy::MRSIGNER), [true, true, false, false]);
    assert_eq!(same(Keypolicy::MRSIGNER | Keypolicy::MRENCLAVE), [true, false, false, false]);
    assert_eq!(same(Keypolicy::empty()), [true, true, true, false]);
}

#[test]
fn sealing_keys_depend_on_the_request_and_the_machine() {
    let enclave = Spec::new(Entry::Leaf).load();
    let base = seal(Keypolicy::MRSIGNER);
    let key = egetkey(&enclave, &base).unwrap();
    assert_eq!(egetkey(&enclave, &base).unwrap(), key, "keys are stable");

    let mut other = base.clone();
    other.keyid[31] = 1;
    assert_ne!(egetkey(&enclave, &other).unwrap(), key, "KEYID");
    let mut other = base.clone();
    other.isvsvn = 2;
    assert_ne!(egetkey(&enclave, &other).unwrap(), key, "ISVSVN");
    let mut other = base.clone();
    other.cpusvn = SIMULATED_CPUSVN;
    assert_ne!(egetkey(&enclave, &other).unwrap(), key, "CPUSVN");
    let mut other = base.clone();
    other.attributemask = [0, 0];
    assert_ne!(egetkey(&enclave, &other).unwrap(), key, "ATTRIBUTEMASK");

    let other_machine = Device::with_root_secret([9; 16]).unwrap();
    let elsewhere = Spec::new(Entry::Leaf).load_on(other_machine);
    assert_ne!(egetkey(&elsewhere, &base).unwrap(), key, "root secret");
    let elsewhere = Spec::new(Entry::Leaf).load_on(device().owner_epoch([1; 16]));
    assert_ne!(egetkey(&elsewhere, &base).unwrap(), key, "OWNEREPOCH");
}

#[test]
fn debug_enclaves_do_not_share_keys_even_when_the_mask_leaves_debug_out() {
    let mut request = seal(Keypolicy::MRSIGNER);
    request.attributemask = [0, 0];
    let debug = Spec::new(Entry::Leaf).load();
    let mut spec = Spec::new(Entry::Leaf);
    spec.attributes.flags.remove(AttributesFlags::DEBUG);
    let production = spec.load();
    assert_ne!(egetkey(&debug, &request).unwrap(), egetkey(&production, &request).unwrap());
}

#[test]
fn newer_versions_are_refused_and_older_ones_reachable() {
    let mut newer = Spec::new(Entry::Leaf);
    newer.isvsvn = 4;
    let (old, new) = (Spec::new(Entry::Leaf).load(), newer.load());
    let at_version = |isvsvn| Keyrequest { isvsvn, ..seal(Keypolicy::MRSIGNER) };
    assert_eq!(
        egetkey(&old, &at_version(3)),
        egetkey(&new, &at_version(3)),
        "an upgraded enclave reaches its data"
    );
    assert!(egetkey(&new, &at_version(4)).is_ok());
    assert_eq!(egetkey(&old, &at_version(4)), Err(ErrorCode::InvalidIsvsvn as u64));

    let mut future = seal(Keypolicy::MRSIGNER);
    future.cpusvn = SIMULATED_CPUSVN;
    future.cpusvn[15] += 1;
    assert_eq!(egetkey(&old, &future), Err(ErrorCode::InvalidCpusvn as u64));
    future.cpusvn = [1; 16];
    assert_eq!(egetkey(&old, &future), Err(ErrorCode::InvalidCpusvn as u64));
}

#[test]
fn a_processor_has_the_keys_of_its_older_microcode_and_none_of_newer() {
    let at = |version: u8| Spec::new(Entry::Leaf).load_on(device().security_version(version));
    let (old, new) = (at(1), at(2));
    let request = |version: u8| {
        let mut request = seal(Keypolicy::MRENCLAVE);
        request.cpusvn = SIMULATED_CPUSVN;
        request.cpusvn[15] = version;
        request
    };
    let of_old = egetkey(&old, &request(1)).unwrap();
    assert_eq!(egetkey(&new, &request(1)).unwrap(), of_old);
    assert_ne!(egetkey(&new, &request(2)).unwrap(), of_old);
    assert_eq!(egetkey(&old, &request(2)), Err(ErrorCode::InvalidCpusvn as u64));
}

#[test]
fn provisioning_and_launch_keys_need_their_attributes() {
    let request = |name: Keyname| Keyrequest { keyname: name as u16, ..seal(Keypolicy::empty()) };
    let names = [Keyname::Provision, Keyname::ProvisionSeal, Keyname::Einittoken];
    let plain = Spec::new(Entry::Leaf).load();
    for name in names {
        assert_eq!(egetkey(&plain, &request(name)), Err(ErrorCode::InvalidAttribute as u64));
    }
    let mut spec = Spec::new(Entry::Leaf);
    spec.attributes.flags |= AttributesFlags::PROVISIONKEY | AttributesFlags::EINITTOKENKEY;
    let privileged = spec.load();
    let keys = names.map(|name| egetkey(&privileged, &request(name)).unwrap());
    assert_ne!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    let owned = spec.load_on(device().owner_epoch([1; 16]));
    assert_eq!(
        egetkey(&owned, &request(Keyname::Provision)).unwrap(),
        keys[0],
        "the provisioning key survives a change of owner"
    );
}

#[test]
fn the_machine_gives_its_architectural_enclaves_the_provisioning_key_of_egetkey() {
    let mut spec = Spec::new(Entry::Leaf);
    spec.attributes.flags.remove(AttributesFlags::DEBUG);
    spec.attributes.flags |= AttributesFlags::PROVISIONKEY;
    let enclave = spec.load_on(device().security_version(2).owner_epoch([1; 16]));
    let request = Keyrequest { keyname: Keyname::Provision as u16, ..Default::default() };
    let key = egetkey(&enclave, &request).unwrap();
    let mrsigner = enclave.info.mrsigner();
    assert_eq!(device().provision_key(mrsigner, spec.isvprodid), key);
    assert_ne!(device().provision_key(mrsigner, spec.isvprodid + 1), key);
    let elsewhere = Device::with_root_secret([9; 16]).unwrap();
    assert_ne!(elsewhere.provision_key(mrsigner, spec.isvprodid), key);
}

#[test]
fn malformed_requests_fault() {
    let enclave = Spec::new(Entry::Leaf).load();
    let good = seal(Keypolicy::MRSIGNER);
    let raw = |offset: usize, bytes: &[u8]| egetkey_raw(&enclave, with(&good, offset, bytes));
    assert!(raw(0, &[4, 0]).is_ok());
    assert_eq!(raw(0, &[5, 0]), Err(ErrorCode::InvalidKeyname as u64));
    assert_eq!(raw(2, &[0x40, 0]), Err(GP), "reserved KEYPOLICY");
    assert_eq!(raw(2, &[4, 0]), Err(GP), "NOISVPRODID without KSS");
    assert_eq!(raw(6, &[1]), Err(GP), "CET_ATTRIBUTES_MASK without CET");
    assert_eq!(raw(511, &[1]), Err(GP), "reserved");

    let leaf = |rbx, rcx| match enclave.leaf(EGETKEY, rbx, rcx, 0) {
        Ok((rax, _)) => rax,
        Err(exit) => 1000 + u64::from(exit.vector),
    };
    let data = enclave.data(0);
    enclave.poke(data, with::<512>(&good, 0, &[]));
    assert_eq!(leaf(data, data + 1024), 0);
    assert_eq!(leaf(data + 256, data + 1024), GP, "KEYREQUEST alignment");
    assert_eq!(leaf(data, data + 1025), GP, "output alignment");
    let outside = Box::new([0u128; 64]);
    assert_eq!(leaf(data, outside.as_ptr() as u64), GP, "output outside");
    assert_eq!(leaf(outside.as_ptr() as u64 & !511, data), GP, "input outside");
    assert_eq!(leaf(data, enclave.base()), PF, "output to code");
    assert_eq!(leaf(enclave.tcs(0), data), PF, "input from a TCS");
    assert_eq!(leaf(enclave.base() + at::SIZE - 512, data), PF, "no page");
}

#[test]
fn key_separation_fields_take_part() {
    let mut spec = Spec::new(Entry::Leaf);
    spec.attributes.flags |= AttributesFlags::KSS;
    let mut other = spec.clone();
    other.isvprodid = 8;
    let (a, b) = (spec.load(), other.load());
    const NOISVPRODID: u8 = 4;
    let request = with(&seal(Keypolicy::MRSIGNER), 2, &[2 | NOISVPRODID, 0]);
    assert_eq!(egetkey_raw(&a, request), egetkey_raw(&b, request));
    let configsvn = with(&seal(Keypolicy::MRSIGNER), 76, &[1, 0]);
    assert_eq!(egetkey_raw(&a, configsvn), Err(ErrorCode::InvalidIsvsvn as u64));
}

#[test]
fn a_report_says_who_made_it() {
    let spec = Spec::new(Entry::Leaf);
    let enclave = spec.load();
    let report = ereport(&enclave, &Targetinfo::default(), [7; 64]);
    assert_eq!(report.cpusvn, SIMULATED_CPUSVN);
    assert_eq!(report.mrenclave, enclave.info.mrenclave());
    assert_eq!(report.mrsigner, enclave.info.mrsigner());
    assert_eq!((report.isvprodid, report.isvsvn), (7, 3));
    assert_eq!(report.miscselect, spec.miscselect);
    let initialised = Attributes {
        flags: spec.attributes.flags | AttributesFlags::INIT,
        xfrm: spec.attributes.xfrm,
    };
    assert_eq!(report.attributes, initialised);
    assert_eq!(report.reportdata, [7; 64]);
}

#[test]
fn only_the_target_verifies_a_report() {
    let mut spec = Spec::new(Entry::Leaf);
    let prover = spec.load();
    spec.salt = 1;
    let target = spec.load();
    spec.salt = 2;
    let other = spec.load();

    let targetinfo = Targetinfo::from(ereport(&target, &Targetinfo::default(), [0; 64]));
    let mut report = ereport(&prover, &targetinfo, [1; 64]);
    assert!(verifies(&target, &report));
    assert!(!verifies(&other, &report));
    assert!(!verifies(&prover, &report));

    let elsewhere = Device::with_root_secret([3; 16]).unwrap();
    spec.salt = 1;
    assert!(!verifies(&spec.load_on(elsewhere), &report), "other machine");
    assert!(verifies(&spec.load(), &report), "same image, loaded again");
    report.reportdata[0] ^= 1;
    assert!(!verifies(&target, &report), "changed");
}

#[test]
fn the_machine_verifies_reports_as_their_target_does() {
    let mut spec = Spec::new(Entry::Leaf);
    let prover = spec.load();
    spec.salt = 1;
    let target = Targetinfo::from(ereport(&spec.load(), &Targetinfo::default(), [0; 64]));
    let other = Targetinfo::from(ereport(&prover, &Targetinfo::default(), [0; 64]));
    let report = with(&ereport(&prover, &target, [1; 64]), 0, &[]);
    let on = |device: Device, target: &Targetinfo, report: &[u8; 432]| {
        device.verifies_report(&with(target, 0, &[]), report)
    };
    assert!(on(device(), &target, &report));
    assert!(!on(device(), &other, &report), "other target");
    assert!(!on(Device::with_root_secret([3; 16]).unwrap(), &target, &report), "other machine");
    assert!(!on(device().security_version(2), &target, &report), "other CPUSVN");
    assert!(!on(device().owner_epoch([1; 16]), &target, &report), "other owner epoch");
    for at in [0, 383, 384, 415, 416, 431] {
        let mut changed = report;
        changed[at] ^= 1;
        assert!(!on(device(), &target, &changed), "byte {at}");
    }
    let reserved: [u8; 512] = with(&target, 511, &[1]);
    assert!(!device().verifies_report(&reserved, &report), "reserved bits");
}

#[test]
fn malformed_targets_fault() {
    let enclave = Spec::new(Entry::Leaf).load();
    let data = enclave.data(0);
    let leaf = |rbx, rcx, rdx| match enclave.leaf(EREPORT, rbx, rcx, rdx) {
        Ok(_) => 0,
        Err(exit) => 1000 + u64::from(exit.vector),
    };
    enclave.poke(data, [0u8; 512]);
    assert_eq!(leaf(data, data + 512, data + 1024), 0);
    assert_eq!(leaf(data + 64, data + 512, data + 1024), GP);
    assert_eq!(leaf(data, data + 520, data + 1024), GP);
    assert_eq!(leaf(data, data + 512, data + 1040), GP);
    assert_eq!(leaf(data, data + 512, enclave.base()), PF);
    for reserved in [48, 56, 128, 511] {
        enclave.poke(data + reserved, 1u8);
        assert_eq!(leaf(data, data + 512, data + 1024), GP, "{reserved}");
        enclave.poke(data + reserved, 0u8);
    }
}

#[test]
fn leaves_that_do_not_exist_fault() {
    let enclave = Spec::new(Entry::Leaf).load();
    for leaf in [2, 3, 8, 9, 0x4000_0000] {
        assert_eq!(enclave.leaf(leaf, 0, 0, 0).unwrap_err().vector, 13);
    }
}
