// Written for Graviola by Joe Birr-Pixton, 2024.
// SPDX-License-Identifier: Apache-2.0 OR ISC OR MIT-0

#![deny(unsafe_code)]

pub(super) mod aes_gcm;
pub(super) mod chacha20poly1305;
pub(super) mod ed25519;
pub mod mlkem768;
pub(super) mod p256;
pub(super) mod p384;
pub(super) mod rng;
pub(super) mod rsa_priv;
pub(super) mod rsa_pub;
pub mod sha2;
pub mod sha3;
pub(super) mod util;
pub(super) mod x25519;
pub(super) mod xchacha20poly1305;
