// Written for Graviola by Joe Birr-Pixton, 2024.
// SPDX-License-Identifier: Apache-2.0 OR ISC OR MIT-0

#![deny(unsafe_code)]

pub(super) mod asn1;
pub(super) mod curve;
pub(super) mod ecdsa;
pub(super) mod ed25519;
pub(super) mod hash;
pub mod hmac;
pub(super) mod hmac_drbg;
pub(super) mod pkcs1;
pub(super) mod pkcs8;
pub(super) mod rsa;
pub(super) mod util;
