//! Tests of sealing and opening, with the implementation that the library selects in an enclave.

use super::{Verdict, ensure, tests};
use graviola::aead::AesGcm;

tests!(aes_gcm_seals_as_other_implementations_do, aes_gcm_opens_what_was_sealed_and_nothing_else);

const ASSOCIATED: &[u8] = b"twine";

/// Lengths around the size of the library's pieces, with the tags that OpenSSL 3 computes.
const TAGS: [(usize, &str); 6] = [
    (1, "6added16fe7bf9c0862a202e2a52edb8"),
    (255, "c33a2c7df85c2129df19e8a0aee043a0"),
    (256, "95b42e9b4b2c2345d552e2f20c54b0ce"),
    (257, "8a49ea8ed2ed554ac7e52f7f25e81340"),
    (4096, "5975df9a86cb69275edce54d7e38ffeb"),
    (65541, "1ae6957c16ced94907c198b01f0fc856"),
];

fn key() -> AesGcm {
    AesGcm::new(&std::array::from_fn::<u8, 32, _>(|at| at as u8))
}

fn nonce() -> [u8; 12] {
    std::array::from_fn(|at| at as u8 + 100)
}

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(7) + (at >> 8)) as u8).collect()
}

fn seal(length: usize) -> (Vec<u8>, [u8; 16]) {
    let mut bytes = plain(length);
    let mut tag = [0; 16];
    key().encrypt(&nonce(), ASSOCIATED, &mut bytes, &mut tag);
    (bytes, tag)
}

fn aes_gcm_seals_as_other_implementations_do() -> Verdict {
    for (length, expected) in TAGS {
        let (_, tag) = seal(length);
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(tag == expected, "{length} bytes have the tag {tag}");
    }
    Ok(())
}

fn aes_gcm_opens_what_was_sealed_and_nothing_else() -> Verdict {
    for (length, _) in TAGS {
        let (sealed, tag) = seal(length);
        let mut bytes = sealed.clone();
        let opened = key().decrypt(&nonce(), ASSOCIATED, &mut bytes, &tag);
        ensure!(opened.is_ok() && bytes == plain(length), "{length} bytes are not opened");
        for at in [0, length / 2, length - 1] {
            let mut bytes = sealed.clone();
            bytes[at] ^= 0x10;
            let opened = key().decrypt(&nonce(), ASSOCIATED, &mut bytes, &tag);
            ensure!(opened.is_err(), "byte {at} of {length} may differ");
        }
    }
    Ok(())
}
