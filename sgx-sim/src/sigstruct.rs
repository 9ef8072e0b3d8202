//! EINIT's checks of SIGSTRUCT and SECS (SDM Vol. 3D, EINIT; SIGSTRUCT's table).

use sgx_isa::Sigstruct;
use sgx_isa::{Attributes, AttributesFlags, Miscselect, SIGSTRUCT_HEADER1, SIGSTRUCT_HEADER2};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::rsa;

/// The two valid values of SIGSTRUCT.VENDOR.
const VENDORS: [u32; 2] = [0, 0x8086];

/// EMSA-PKCS1-v1_5 for SHA-256 and 3072 bits, little-endian. The digest (the first 32 bytes) is
/// zero; the SDM calls the rest HARDCODED_PKCS1_5_PADDING.
pub(crate) const PKCS1_PADDING: [u8; rsa::BYTES] = {
    /// DER DigestInfo of SHA-256, up to the digest.
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let mut padding = [0xff; rsa::BYTES];
    let mut i = 0;
    while i < 32 {
        padding[i] = 0;
        i += 1;
    }
    let mut i = 0;
    while i < DIGEST_INFO.len() {
        padding[32 + i] = DIGEST_INFO[DIGEST_INFO.len() - 1 - i];
        i += 1;
    }
    padding[32 + DIGEST_INFO.len()] = 0;
    padding[rsa::BYTES - 2] = 1;
    padding[rsa::BYTES - 1] = 0;
    padding
};

/// Checks SIGSTRUCT's form and signature, and returns MRSIGNER.
pub(crate) fn authenticate(sig: &Sigstruct) -> Result<[u8; 32], Error> {
    if sig.header != SIGSTRUCT_HEADER1 {
        return Err(Error::InvalidSigStruct("HEADER"));
    }
    if sig.header2 != SIGSTRUCT_HEADER2 {
        return Err(Error::InvalidSigStruct("HEADER2"));
    }
    if !VENDORS.contains(&sig.vendor) {
        return Err(Error::InvalidSigStruct("VENDOR is neither 0 nor 8086h"));
    }
    if sig.exponent != 3 {
        return Err(Error::InvalidSigStruct("EXPONENT is not 3"));
    }
    let reserved_clear = sig._reserved1.iter().all(|b| *b == 0)
        && sig._reserved2 == 0
        && sig._reserved3.iter().all(|b| *b == 0)
        && sig._reserved4.iter().all(|b| *b == 0);
    if !reserved_clear {
        return Err(Error::InvalidSigStruct("a reserved field is not zero"));
    }
    if sig.cet_attributes != 0 || sig.cet_attributes_mask != 0 {
        return Err(Error::InvalidSigStruct("CET_ATTRIBUTES on a processor without CET"));
    }

    let (first, second) = sig.signature_data();
    let digest: [u8; 32] = Sha256::new().chain_update(first).chain_update(second).finalize().into();
    rsa::verify(&sig.modulus, &sig.signature, &sig.q1, &sig.q2, &digest)
        .map_err(Error::InvalidSignature)?;
    Ok(Sha256::digest(sig.modulus).into())
}

/// Checks that the enclave that was built is the signed one.
pub(crate) fn match_enclave(
    sig: &Sigstruct,
    measured: &[u8; 32],
    attributes: Attributes,
    miscselect: Miscselect,
) -> Result<(), Error> {
    if *measured != sig.enclavehash {
        return Err(Error::InvalidMeasurement { measured: *measured, signed: sig.enclavehash });
    }
    let [flags_mask, xfrm_mask] = sig.attributemask;
    if (attributes.flags.bits() ^ sig.attributes.flags.bits()) & flags_mask != 0 {
        return Err(Error::InvalidAttribute("ATTRIBUTES.FLAGS differ from those that were signed"));
    }
    if (attributes.xfrm ^ sig.attributes.xfrm) & xfrm_mask != 0 {
        return Err(Error::InvalidAttribute(
            "ATTRIBUTES.XFRM differs from the one that was signed",
        ));
    }
    if sig.attributes.flags.contains(AttributesFlags::INIT) && flags_mask & 1 != 0 {
        return Err(Error::InvalidAttribute("SIGSTRUCT asks for INIT"));
    }
    if (miscselect.bits() ^ sig.miscselect.bits()) & sig.miscmask != 0 {
        return Err(Error::InvalidAttribute("MISCSELECT differs from the one that was signed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_padding_is_that_of_rfc_8017() {
        let mut big_endian = PKCS1_PADDING;
        big_endian.reverse();
        assert_eq!(big_endian[..3], [0x00, 0x01, 0xff]);
        let zero = big_endian.iter().skip(1).position(|b| *b == 0).unwrap() + 1;
        assert_eq!(zero, rsa::BYTES - 32 - 19 - 1);
        assert_eq!(big_endian[zero + 1..zero + 3], [0x30, 0x31]);
        assert_eq!(big_endian[rsa::BYTES - 34..rsa::BYTES - 32], [0x04, 0x20]);
    }
}
