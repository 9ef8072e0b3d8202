//! Makes and checks SIGSTRUCT, the signature that EINIT requires.

use sgx_isa::{Attributes, AttributesFlags, Miscselect, Sigstruct};
use sgx_isa::{SIGSTRUCT_HEADER1, SIGSTRUCT_HEADER2};
use sgxs::sigstruct::{EnclaveHash, Signer};

use crate::key::{RSA_SIZE, SigningKey, VerifyingKey};
use crate::measure::{Mrenclave, Mrsigner};
use crate::{Date, Error, Manifest};

// Offsets in SIGSTRUCT (SDM Vol. 3D, table "Layout of Enclave Signature Structure"): header, key,
// body, quotients. Header and body are signed.
const MODULUS: usize = 128;
const EXPONENT: usize = MODULUS + RSA_SIZE;
const SIGNATURE: usize = EXPONENT + 4;
const BODY: usize = SIGNATURE + RSA_SIZE;
const RESERVED: usize = BODY + 128;
const Q1: usize = RESERVED + 12;
const Q2: usize = Q1 + RSA_SIZE;

/// Signs a measurement.
///
/// The same measurement, manifest, date and key always give the same bytes.
///
/// # What the signature fixes
/// It fixes ISVPRODID, ISVSVN, MISCSELECT, and every flag of ATTRIBUTES: an image is a debug image
/// or it is not, and can't be launched in another way.
///
/// XFRM is a range. x87 and SSE are fixed at 1, and so is the rest of [`Manifest::xfrm_required`].
/// Bits that are not in [`Manifest::xfrm`] are fixed at 0, so no launcher can put processor state
/// into the enclave that its makers did not consider. Between the two the launcher chooses, with
/// [`launch_attributes`]: so one signature serves machines with AVX-512 and machines without. The
/// host makes that choice. It affects the speed, and whether the enclave runs, but no secrets. The
/// chosen value is in the enclave's report. The signed value is the largest, since a launcher that
/// does not choose uses the signed value: it then works with everything that an Ice Lake or later
/// Xeon has, and fails at once on a lesser machine, not at the first AVX instruction.
pub fn sign(
    mrenclave: Mrenclave,
    manifest: &Manifest,
    date: Date,
    key: &SigningKey,
) -> Result<Sigstruct, Error> {
    let request = SigningRequest::new(mrenclave, manifest, date)?;
    request.complete(&key.sign(request.as_bytes())?, &key.verifying_key()?)
}

/// The bytes to sign, for a key that is kept on another machine.
///
/// ```no_run
/// # use twine_image::*;
/// # fn main() -> Result<(), Error> {
/// # let (mrenclave, manifest) = (Mrenclave([0; 32]), Manifest::default());
/// # let date = Date::choose(None, &manifest)?;
/// let request = SigningRequest::new(mrenclave, &manifest, date)?;
/// std::fs::write("request.bin", request.as_bytes()).unwrap();
/// // On that machine: openssl dgst -sha256 -sign key.pem -out signature.bin request.bin
/// //                  openssl rsa -in key.pem -pubout -out public.pem
/// let signature = std::fs::read("signature.bin").unwrap();
/// let sigstruct = request.complete(&signature, &VerifyingKey::from_file("public.pem")?)?;
/// write_signature("image.sgxs", &sigstruct)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest {
    /// Header and body of SIGSTRUCT.
    bytes: [u8; 256],
}

impl SigningRequest {
    /// Makes the bytes that [`sign`] would sign.
    pub fn new(
        mrenclave: Mrenclave,
        manifest: &Manifest,
        date: Date,
    ) -> Result<SigningRequest, Error> {
        manifest.check()?;
        let mut flags = AttributesFlags::MODE64BIT;
        flags.set(AttributesFlags::DEBUG, manifest.debug);
        let mut miscselect = Miscselect::empty();
        miscselect.set(Miscselect::EXINFO, manifest.exinfo);
        let (year, month, day) = date.parts();
        let mut signer = Signer::new(EnclaveHash::new(mrenclave.0));
        signer
            .date(year, month, day)
            .isvprodid(manifest.prod_id)
            .isvsvn(manifest.svn)
            .miscselect(miscselect, !0)
            .attributes_flags(flags, !0)
            .attributes_xfrm(manifest.xfrm, !(manifest.xfrm & !manifest.xfrm_required));
        SigningRequest::of(&signer.unsigned_sig())
    }

    fn of(sigstruct: &Sigstruct) -> Result<SigningRequest, Error> {
        let (header, body) = sigstruct.signature_data();
        SigningRequest::from_bytes(&[header, body].concat())
    }

    /// Returns the bytes to sign with SHA-256 and PKCS #1 v1.5.
    pub fn as_bytes(&self) -> &[u8; 256] {
        &self.bytes
    }

    /// Reads a request that was written before.
    pub fn from_bytes(bytes: &[u8]) -> Result<SigningRequest, Error> {
        let bytes: [u8; 256] =
            bytes.try_into().map_err(|_| Error::Request { reason: "it is not 256 bytes long" })?;
        if bytes[..16] != SIGSTRUCT_HEADER1 || bytes[24..40] != SIGSTRUCT_HEADER2 {
            return Err(Error::Request { reason: "it does not begin like a SIGSTRUCT" });
        }
        Ok(SigningRequest { bytes })
    }

    /// Returns the SHA-256 of the bytes, for signers that need the digest.
    pub fn digest(&self) -> [u8; 32] {
        openssl::sha::sha256(&self.bytes)
    }

    /// Joins the request and its signature, which is big-endian, as signers return it. Refuses a
    /// signature that does not verify.
    pub fn complete(&self, signature: &[u8], key: &VerifyingKey) -> Result<Sigstruct, Error> {
        if signature.len() != RSA_SIZE {
            return Err(Error::Signature { reason: "an RSA-3072 signature is 384 bytes long" });
        }
        if !key.verifies(&self.bytes, signature)? {
            return Err(Error::Signature {
                reason: "it was not made over this request with this key",
            });
        }
        let (q1, q2) = key.quotients(signature)?;
        let mut bytes = [0; Sigstruct::UNPADDED_SIZE];
        bytes[..MODULUS].copy_from_slice(&self.bytes[..MODULUS]);
        bytes[MODULUS..EXPONENT].copy_from_slice(&key.modulus());
        bytes[EXPONENT] = 3;
        bytes[SIGNATURE..BODY].copy_from_slice(signature);
        bytes[SIGNATURE..BODY].reverse();
        bytes[BODY..RESERVED].copy_from_slice(&self.bytes[MODULUS..]);
        bytes[Q1..Q2].copy_from_slice(&q1);
        bytes[Q2..].copy_from_slice(&q2);
        sigstruct_from_bytes(&bytes)
    }
}

/// Makes all checks of EINIT that do not need the enclave, and returns the key that signed the
/// SIGSTRUCT.
pub fn verify(sigstruct: &Sigstruct) -> Result<VerifyingKey, Error> {
    let not_valid = |reason| Error::Signature { reason };
    let request =
        SigningRequest::of(sigstruct).map_err(|_| not_valid("its header is not a SIGSTRUCT's"))?;
    let bytes: &[u8] = sigstruct.as_ref();
    if sigstruct.exponent != 3 {
        return Err(not_valid("its exponent is not 3"));
    }
    if bytes[RESERVED..Q1].iter().any(|byte| *byte != 0) {
        return Err(not_valid("a reserved field is not zero"));
    }
    let reversed = |range: &[u8]| range.iter().rev().copied().collect::<Vec<u8>>();
    let key = VerifyingKey::from_modulus(&reversed(&sigstruct.modulus))
        .map_err(|_| not_valid("its modulus does not have 3072 bits"))?;
    let signature = reversed(&sigstruct.signature);
    if !key.verifies(request.as_bytes(), &signature)? {
        return Err(not_valid("it was changed after it was signed"));
    }
    if key.quotients(&signature)? != (sigstruct.q1, sigstruct.q2) {
        return Err(not_valid("Q1 or Q2 does not belong to the signature"));
    }
    Ok(key)
}

/// Returns the attributes to launch with on a machine whose XCR0 is `xcr0` (XGETBV with ECX = 0):
/// the part of the signed XFRM that the machine has.
pub fn launch_attributes(sigstruct: &Sigstruct, xcr0: u64) -> Result<Attributes, Error> {
    const AVX: u64 = 0x4;
    const AVX512: u64 = 0xe0;
    let Attributes { flags, xfrm } = sigstruct.attributes;
    // ECREATE requires all of AVX-512 or none of it.
    let has_avx512 = xcr0 & (AVX | AVX512) == AVX | AVX512;
    let available = if has_avx512 { xcr0 } else { xcr0 & !AVX512 };
    let required = xfrm & sigstruct.attributemask[1];
    match required & !available {
        0 => Ok(Attributes { flags, xfrm: xfrm & available }),
        missing => Err(Error::Xfrm { missing }),
    }
}

/// Returns MRSIGNER for the modulus in a SIGSTRUCT, whether the signature is valid or not.
pub(crate) fn claimed_mrsigner(sigstruct: &Sigstruct) -> Mrsigner {
    Mrsigner(openssl::sha::sha256(&sigstruct.modulus))
}

pub(crate) fn sigstruct_from_bytes(bytes: &[u8]) -> Result<Sigstruct, Error> {
    Sigstruct::try_copy_from(bytes)
        .ok_or(Error::Signature { reason: "a SIGSTRUCT is 1808 bytes long" })
}
