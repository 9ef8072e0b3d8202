//! EGETKEY and key derivation (SDM Vol. 3D, EGETKEY; "Key Derivation").
//!
//! Silicon derives keys from fused secrets with AES-CMAC over KEYDEPENDENCIES. We do the same from
//! a root secret in an ordinary file, and put [`MARKER`] first, so that our keys never equal
//! silicon's, even if the secrets did.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use sgx_isa::{AttributesFlags, ErrorCode, Keyname};

use super::{all_zero, check, field, read, write};
use crate::SIMULATED_CPUSVN;
use crate::enclave::{Enclave, Secs};
use crate::epcm::Permissions;
use crate::exception::{Exception, GP};
use crate::sigstruct::PKCS1_PADDING;

/// The first input of every derivation.
const MARKER: &[u8; 16] = b"SIMULATED SGXKEY";

/// The sizes of KEYREQUEST and of a key, which are also their alignments.
const KEYREQUEST: usize = 512;
const KEY: usize = 16;

/// The key material of the simulated processor.
#[derive(Clone)]
pub(crate) struct Platform {
    /// Represents the fused secrets.
    pub(crate) root_secret: [u8; 16],
    /// CR_REPORT_KEYID: random, chosen at reset.
    pub(crate) report_keyid: [u8; 32],
    /// CR_SGXOWNEREPOCH.
    pub(crate) owner_epoch: [u8; 16],
    /// The only byte of CR_CPUSVN that differs between simulated processors.
    pub(crate) security_version: u8,
}

impl Platform {
    /// Returns CR_CPUSVN.
    pub(crate) fn cpusvn(&self) -> [u8; 16] {
        let mut cpusvn = SIMULATED_CPUSVN;
        cpusvn[15] = self.security_version;
        cpusvn
    }

    /// Whether enclaves may get keys for this CPUSVN: all zeros, or the present one or an older
    /// one.
    fn supports(&self, cpusvn: &[u8; 16]) -> bool {
        let (version, marker) = (cpusvn[15], &cpusvn[..15]);
        all_zero(cpusvn) || marker == &SIMULATED_CPUSVN[..15] && version <= self.security_version
    }
}

/// KEYPOLICY's bits.
mod policy {
    pub(super) const MRENCLAVE: u16 = 1 << 0;
    pub(super) const MRSIGNER: u16 = 1 << 1;
    pub(super) const NOISVPRODID: u16 = 1 << 2;
    pub(super) const CONFIGID: u16 = 1 << 3;
    pub(super) const ISVFAMILYID: u16 = 1 << 4;
    pub(super) const ISVEXTPRODID: u16 = 1 << 5;
    /// The bits that require ATTRIBUTES.KSS.
    pub(super) const KSS: u16 = NOISVPRODID | CONFIGID | ISVFAMILYID | ISVEXTPRODID;
    pub(super) const ALL: u16 = MRENCLAVE | MRSIGNER | KSS;
}

/// The ATTRIBUTES.FLAGS on which sealing keys always depend: INIT and DEBUG.
const REQUIRED_SEALING_MASK: u64 = 0b11;

/// KEYDEPENDENCIES (SDM Vol. 3D, "Key Dependencies"). A field on which a key does not depend is
/// zero.
#[derive(Clone)]
struct Dependencies {
    keyname: Keyname,
    isvprodid: u16,
    isvsvn: u16,
    isvextprodid: [u8; 16],
    isvfamilyid: [u8; 16],
    owner_epoch: [u8; 16],
    attributes: [u64; 2],
    attributes_mask: [u64; 2],
    mrenclave: [u8; 32],
    mrsigner: [u8; 32],
    keyid: [u8; 32],
    /// Whether CR_SEAL_FUSES is an input.
    seal_fuses: bool,
    cpusvn: [u8; 16],
    miscselect: u32,
    miscmask: u32,
    keypolicy: u16,
    configid: [u8; 64],
    configsvn: u16,
}

impl Dependencies {
    fn new(keyname: Keyname) -> Self {
        Dependencies {
            keyname,
            isvprodid: 0,
            isvsvn: 0,
            isvextprodid: [0; 16],
            isvfamilyid: [0; 16],
            owner_epoch: [0; 16],
            attributes: [0; 2],
            attributes_mask: [0; 2],
            mrenclave: [0; 32],
            mrsigner: [0; 32],
            keyid: [0; 32],
            seal_fuses: false,
            cpusvn: [0; 16],
            miscselect: 0,
            miscmask: 0,
            keypolicy: 0,
            configid: [0; 64],
            configsvn: 0,
        }
    }

    fn derive(&self, platform: &Platform) -> [u8; KEY] {
        let mut mac = cmac(&platform.root_secret);
        let mut add = |bytes: &[u8]| mac.update(bytes);
        add(MARKER);
        add(&(self.keyname as u16).to_le_bytes());
        add(&self.isvprodid.to_le_bytes());
        add(&self.isvsvn.to_le_bytes());
        add(&self.isvextprodid);
        add(&self.isvfamilyid);
        add(&self.owner_epoch);
        for word in self.attributes.iter().chain(&self.attributes_mask) {
            add(&word.to_le_bytes());
        }
        add(&self.mrenclave);
        add(&self.mrsigner);
        add(&self.keyid);
        add(&[self.seal_fuses.into()]);
        add(&self.cpusvn);
        add(&PKCS1_PADDING[32..]);
        add(&self.miscselect.to_le_bytes());
        add(&self.miscmask.to_le_bytes());
        add(&self.keypolicy.to_le_bytes());
        add(&self.configid);
        add(&self.configsvn.to_le_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn cmac(key: &[u8; KEY]) -> Cmac<Aes128> {
    <Cmac<Aes128> as KeyInit>::new(key.into())
}

/// The receiver of a report: the fields of TARGETINFO on which its key depends.
pub(super) struct Target {
    pub(super) measurement: [u8; 32],
    pub(super) attributes: [u64; 2],
    pub(super) miscselect: u32,
    pub(super) configid: [u8; 64],
    pub(super) configsvn: u16,
}

/// Returns the MAC of a report's first 384 bytes, under the report key of `target`.
pub(super) fn report_mac(platform: &Platform, target: &Target, body: &[u8]) -> [u8; KEY] {
    let key = report_key(platform, target, platform.report_keyid);
    let mut mac = cmac(&key);
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// Whether `mac` is the MAC of a report's first 384 bytes, under the report key that `target` gets
/// for `keyid`.
pub(super) fn report_mac_verifies(
    platform: &Platform,
    target: &Target,
    keyid: [u8; 32],
    body: &[u8],
    mac: &[u8; KEY],
) -> bool {
    let mut expected = cmac(&report_key(platform, target, keyid));
    expected.update(body);
    expected.verify(mac.into()).is_ok()
}

/// Returns the PROVISION_KEY of a production enclave, for an ISVSVN, a CPUSVN and masks of zeros.
pub(crate) fn oldest_provision_key(
    platform: &Platform,
    mrsigner: [u8; 32],
    isvprodid: u16,
) -> [u8; KEY] {
    Dependencies {
        isvprodid,
        attributes: [AttributesFlags::INIT.bits(), 0],
        mrsigner,
        miscmask: !0,
        ..Dependencies::new(Keyname::Provision)
    }
    .derive(platform)
}

fn report_key(platform: &Platform, target: &Target, keyid: [u8; 32]) -> [u8; KEY] {
    Dependencies {
        owner_epoch: platform.owner_epoch,
        attributes: target.attributes,
        mrenclave: target.measurement,
        keyid,
        seal_fuses: true,
        cpusvn: platform.cpusvn(),
        miscselect: target.miscselect,
        configid: target.configid,
        configsvn: target.configsvn,
        ..Dependencies::new(Keyname::Report)
    }
    .derive(platform)
}

/// A parsed KEYREQUEST.
struct Request {
    keyname: u16,
    keypolicy: u16,
    isvsvn: u16,
    cpusvn: [u8; 16],
    attributemask: [u64; 2],
    keyid: [u8; 32],
    miscmask: u32,
    configsvn: u16,
}

impl Request {
    /// Parses the request. Raises #GP for values that the SDM reserves.
    fn parse(bytes: &[u8; KEYREQUEST], secs: &Secs) -> Result<Self, Exception> {
        let request = Request {
            keyname: u16::from_le_bytes(field(bytes, 0)),
            keypolicy: u16::from_le_bytes(field(bytes, 2)),
            isvsvn: u16::from_le_bytes(field(bytes, 4)),
            cpusvn: field(bytes, 8),
            attributemask: [
                u64::from_le_bytes(field(bytes, 24)),
                u64::from_le_bytes(field(bytes, 32)),
            ],
            keyid: field(bytes, 40),
            miscmask: u32::from_le_bytes(field(bytes, 72)),
            configsvn: u16::from_le_bytes(field(bytes, 76)),
        };
        // CET_ATTRIBUTES_MASK (byte 6) is reserved on a processor without CET.
        let reserved_clear = all_zero(&bytes[6..8]) && all_zero(&bytes[78..]);
        let kss = secs.attributes.flags.contains(AttributesFlags::KSS);
        let policy_allowed = request.keypolicy & !policy::ALL == 0
            && (kss || request.keypolicy & policy::KSS == 0)
            && (kss || request.configsvn == 0);
        if reserved_clear && policy_allowed { Ok(request) } else { Err(GP) }
    }

    fn has(&self, bit: u16) -> bool {
        self.keypolicy & bit != 0
    }

    /// Makes the checks of all keys but the report key.
    fn check_versions(&self, platform: &Platform, secs: &Secs) -> Result<(), ErrorCode> {
        if !platform.supports(&self.cpusvn) {
            return Err(ErrorCode::InvalidCpusvn);
        }
        if self.isvsvn > secs.isvsvn || self.configsvn > secs.configsvn {
            return Err(ErrorCode::InvalidIsvsvn);
        }
        Ok(())
    }
}

/// Executes ENCLU\[EGETKEY\]: RBX points to a KEYREQUEST, RCX to the place for the key.
pub(super) fn egetkey(
    enclave: &Enclave,
    rbx: usize,
    rcx: usize,
) -> Result<Result<(), ErrorCode>, Exception> {
    check(enclave, rcx, KEY, KEY, Permissions::RW)?;
    let request = read::<KEYREQUEST>(enclave, rbx, KEYREQUEST)?;
    let request = Request::parse(&request, &enclave.secs)?;
    match derive(&enclave.platform, &enclave.secs, &request) {
        Ok(key) => write(rcx, &key).map(Ok),
        Err(code) => Ok(Err(code)),
    }
}

fn derive(platform: &Platform, secs: &Secs, request: &Request) -> Result<[u8; KEY], ErrorCode> {
    let flags = secs.attributes.flags;
    let dependencies = match request.keyname {
        name if name == Keyname::Report as u16 => {
            let own = Target {
                measurement: secs.mrenclave,
                attributes: [flags.bits(), secs.attributes.xfrm],
                miscselect: secs.miscselect.bits(),
                configid: secs.configid,
                configsvn: secs.configsvn,
            };
            return Ok(report_key(platform, &own, request.keyid));
        }
        name if name == Keyname::Seal as u16 => {
            request.check_versions(platform, secs)?;
            seal(platform, secs, request)
        }
        name if name == Keyname::Einittoken as u16 => {
            authorised(flags, AttributesFlags::EINITTOKENKEY)?;
            request.check_versions(platform, secs)?;
            Dependencies {
                isvprodid: secs.isvprodid,
                owner_epoch: platform.owner_epoch,
                mrsigner: secs.mrsigner,
                keyid: request.keyid,
                attributes_mask: [0; 2],
                ..masked(Keyname::Einittoken, secs, request)
            }
        }
        name if name == Keyname::Provision as u16 => {
            authorised(flags, AttributesFlags::PROVISIONKEY)?;
            request.check_versions(platform, secs)?;
            Dependencies {
                isvprodid: secs.isvprodid,
                mrsigner: secs.mrsigner,
                seal_fuses: false,
                ..masked(Keyname::Provision, secs, request)
            }
        }
        name if name == Keyname::ProvisionSeal as u16 => {
            authorised(flags, AttributesFlags::PROVISIONKEY)?;
            request.check_versions(platform, secs)?;
            Dependencies {
                mrsigner: secs.mrsigner,
                keypolicy: request.keypolicy,
                ..with_policy(masked(Keyname::ProvisionSeal, secs, request), secs, request)
            }
        }
        _ => return Err(ErrorCode::InvalidKeyname),
    };
    Ok(dependencies.derive(platform))
}

fn authorised(flags: AttributesFlags, needed: AttributesFlags) -> Result<(), ErrorCode> {
    if flags.contains(needed) { Ok(()) } else { Err(ErrorCode::InvalidAttribute) }
}

/// Returns the fields that the request's masks select, for all keys but the report key.
fn masked(keyname: Keyname, secs: &Secs, request: &Request) -> Dependencies {
    let [flags_mask, xfrm_mask] = request.attributemask;
    Dependencies {
        isvsvn: request.isvsvn,
        attributes: [
            (flags_mask | REQUIRED_SEALING_MASK) & secs.attributes.flags.bits(),
            xfrm_mask & secs.attributes.xfrm,
        ],
        attributes_mask: request.attributemask,
        seal_fuses: true,
        cpusvn: request.cpusvn,
        miscselect: request.miscmask & secs.miscselect.bits(),
        miscmask: !request.miscmask,
        ..Dependencies::new(keyname)
    }
}

/// Adds the identities that KEYPOLICY's KSS bits select.
fn with_policy(dependencies: Dependencies, secs: &Secs, request: &Request) -> Dependencies {
    let chosen = |bit| request.has(bit);
    Dependencies {
        isvprodid: if chosen(policy::NOISVPRODID) { 0 } else { secs.isvprodid },
        isvextprodid: select(chosen(policy::ISVEXTPRODID), secs.isvextprodid),
        isvfamilyid: select(chosen(policy::ISVFAMILYID), secs.isvfamilyid),
        configid: select(chosen(policy::CONFIGID), secs.configid),
        configsvn: if chosen(policy::CONFIGID) { request.configsvn } else { 0 },
        ..dependencies
    }
}

fn seal(platform: &Platform, secs: &Secs, request: &Request) -> Dependencies {
    Dependencies {
        owner_epoch: platform.owner_epoch,
        mrenclave: select(request.has(policy::MRENCLAVE), secs.mrenclave),
        mrsigner: select(request.has(policy::MRSIGNER), secs.mrsigner),
        keyid: request.keyid,
        keypolicy: request.keypolicy,
        ..with_policy(masked(Keyname::Seal, secs, request), secs, request)
    }
}

fn select<const SIZE: usize>(chosen: bool, value: [u8; SIZE]) -> [u8; SIZE] {
    if chosen { value } else { [0; SIZE] }
}
