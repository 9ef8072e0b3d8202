//! RSA-3072 with public exponent 3, verified as EINIT does: with the quotients Q1 and Q2 in
//! SIGSTRUCT, so that no division is needed (SDM Vol. 3D, EINIT).
//!
//! All values here are public, so nothing needs constant time.

use std::cmp::Ordering;

/// The size of a 3072-bit number, in bytes.
pub(crate) const BYTES: usize = 384;
const LIMBS: usize = BYTES / 8;

type Number = [u64; LIMBS];
type Product = [u64; 2 * LIMBS];

/// Whether `signature` cubed is, modulo `modulus`, the PKCS #1 v1.5 encoding of `digest`, and
/// `q1` and `q2` are the quotients of that computation. All numbers little-endian.
pub(crate) fn verify(
    modulus: &[u8; BYTES],
    signature: &[u8; BYTES],
    q1: &[u8; BYTES],
    q2: &[u8; BYTES],
    digest: &[u8; 32],
) -> Result<(), &'static str> {
    let n = number(modulus);
    let s = number(signature);
    if compare(&s, &n) != Ordering::Less {
        return Err("the signature is not below the modulus");
    }
    let squared = reduce(&multiply(&s, &s), &number(q1), &n)
        .ok_or("Q1 is not the quotient of the signature squared by the modulus")?;
    let cubed = reduce(&multiply(&squared, &s), &number(q2), &n)
        .ok_or("Q2 is not the quotient of the signature cubed by the modulus")?;
    if cubed != number(&pkcs1_v15(digest)) {
        return Err("the signature does not match SIGSTRUCT's contents and modulus");
    }
    Ok(())
}

/// Returns EMSA-PKCS1-v1_5 (RFC 8017 section 9.2) of a SHA-256 digest, little-endian.
fn pkcs1_v15(digest: &[u8; 32]) -> [u8; BYTES] {
    let mut encoded = super::sigstruct::PKCS1_PADDING;
    encoded[..digest.len()].copy_from_slice(digest);
    encoded[..digest.len()].reverse();
    encoded
}

fn number(bytes: &[u8; BYTES]) -> Number {
    let mut limbs = [0; LIMBS];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = bytes.iter().rev().fold(0, |acc, b| acc << 8 | u64::from(*b));
    }
    limbs
}

fn compare(a: &[u64], b: &[u64]) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

fn multiply(a: &Number, b: &Number) -> Product {
    let mut product = [0; 2 * LIMBS];
    for (i, &x) in a.iter().enumerate() {
        let mut carry = 0u128;
        for (j, &y) in b.iter().enumerate() {
            let sum = u128::from(x) * u128::from(y) + u128::from(product[i + j]) + carry;
            product[i + j] = sum as u64;
            carry = sum >> 64;
        }
        product[i + LIMBS] = carry as u64;
    }
    product
}

/// Returns `value - quotient * n` if that is a remainder, i.e. in `0..n`.
fn reduce(value: &Product, quotient: &Number, n: &Number) -> Option<Number> {
    let multiple = multiply(quotient, n);
    let mut difference = [0; 2 * LIMBS];
    let mut borrow = false;
    for (i, limb) in difference.iter_mut().enumerate() {
        let (partial, b1) = value[i].overflowing_sub(multiple[i]);
        let (whole, b2) = partial.overflowing_sub(u64::from(borrow));
        *limb = whole;
        borrow = b1 || b2;
    }
    let (low, high) = difference.split_at(LIMBS);
    if borrow || high.iter().any(|&limb| limb != 0) || compare(low, n) != Ordering::Less {
        return None;
    }
    low.try_into().ok()
}
