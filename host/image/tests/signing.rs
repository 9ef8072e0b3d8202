//! Signatures made in one step and in two, checked, and refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use openssl::hash::{Hasher, MessageDigest};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::symm::Cipher;
use sgxs::crypto::SgxRsaOps;
use twine_image::{
    Date, Error, Manifest, Mrenclave, SigningKey, SigningRequest, Sigstruct, VerifyingKey,
};

/// A pair of keys. It is made once, because that takes a moment.
static PEM: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| rsa_pem(3072, 3));
static OTHER_PEM: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| rsa_pem(3072, 3));
const MRENCLAVE: Mrenclave = Mrenclave([0x5a; 32]);

fn rsa_pem(bits: u32, exponent: u32) -> (Vec<u8>, Vec<u8>) {
    let rsa =
        Rsa::generate_with_e(bits, &openssl::bn::BigNum::from_u32(exponent).unwrap()).unwrap();
    (rsa.private_key_to_pem().unwrap(), rsa.public_key_to_pem().unwrap())
}

fn key() -> SigningKey {
    SigningKey::from_pem(&PEM.0).unwrap()
}

fn date() -> Date {
    "2026-01-31".parse().unwrap()
}

fn manifest() -> Manifest {
    Manifest::from_toml_str("prod-id = 258\nsvn = 772\nexinfo = true\nxfrm-required = 0x7").unwrap()
}

fn signed() -> Sigstruct {
    twine_image::sign(MRENCLAVE, &manifest(), date(), &key()).unwrap()
}

/// Signs a request as a signer on another machine would.
fn sign_elsewhere(request: &SigningRequest, pem: &[u8]) -> Vec<u8> {
    let key = PKey::private_key_from_pem(pem).unwrap();
    Signer::new(MessageDigest::sha256(), &key)
        .unwrap()
        .sign_oneshot_to_vec(request.as_bytes())
        .unwrap()
}

#[test]
fn a_signature_says_what_the_manifest_says() {
    let sigstruct = signed();
    assert_eq!(sigstruct.enclavehash, MRENCLAVE.0);
    assert_eq!((sigstruct.isvprodid, sigstruct.isvsvn), (258, 772));
    assert_eq!((sigstruct.date, sigstruct.vendor, sigstruct.swdefined), (0x20260131, 0, 0));
    assert_eq!((sigstruct.miscselect.bits(), sigstruct.miscmask), (1, !0));
    assert_eq!((sigstruct.attributes.flags.bits(), sigstruct.attributemask[0]), (4, !0));
    assert_eq!((sigstruct.attributes.xfrm, sigstruct.attributemask[1]), (0xe7, !0xe0));
}

#[test]
fn a_debug_image_is_fixed_to_be_one() {
    let manifest = Manifest::from_toml_str("debug = true").unwrap();
    let sigstruct = twine_image::sign(MRENCLAVE, &manifest, date(), &key()).unwrap();
    assert_eq!((sigstruct.attributes.flags.bits(), sigstruct.attributemask[0]), (6, !0));
}

#[test]
fn others_verify_the_signature() {
    let rsa = Rsa::public_key_from_pem(&PEM.1).unwrap();
    let sigstruct = signed();
    sgxs::sigstruct::verify::<_, Hasher>(&sigstruct, &*rsa).unwrap();
    // The `sgxs` crate computes the same Q1 and Q2.
    let rsa = Rsa::private_key_from_pem(&PEM.0).unwrap();
    let mut hasher = Hasher::new(MessageDigest::sha256()).unwrap();
    hasher.update(sigstruct.signature_data().0).unwrap();
    hasher.update(sigstruct.signature_data().1).unwrap();
    let (s, q1, q2) = rsa.sign_sha256_pkcs1v1_5_with_q1_q2(hasher.finish().unwrap()).unwrap();
    assert!(
        sigstruct.signature.starts_with(&s)
            && sigstruct.q1.starts_with(&q1)
            && sigstruct.q2.starts_with(&q2)
    );
}

#[test]
fn signing_in_two_steps_gives_the_same_bytes() {
    let request = SigningRequest::new(MRENCLAVE, &manifest(), date()).unwrap();
    // The request is written and read again.
    let request = SigningRequest::from_bytes(request.as_bytes()).unwrap();
    let signature = sign_elsewhere(&request, &PEM.0);
    let sigstruct = request.complete(&signature, &VerifyingKey::from_pem(&PEM.1).unwrap()).unwrap();
    assert_eq!(sigstruct.as_ref() as &[u8], signed().as_ref() as &[u8]);
    assert_eq!(request.digest(), openssl::sha::sha256(request.as_bytes()));
}

#[test]
fn a_signature_by_another_key_or_of_another_request_is_refused() {
    let request = SigningRequest::new(MRENCLAVE, &manifest(), date()).unwrap();
    let public = VerifyingKey::from_pem(&PEM.1).unwrap();
    let by_another = sign_elsewhere(&request, &OTHER_PEM.0);
    assert!(matches!(request.complete(&by_another, &public), Err(Error::Signature { .. })));
    let other = SigningRequest::new(Mrenclave([1; 32]), &manifest(), date()).unwrap();
    let of_another = sign_elsewhere(&other, &PEM.0);
    assert!(matches!(request.complete(&of_another, &public), Err(Error::Signature { .. })));
    for malformed in [vec![], vec![0xff; 384], vec![0; 384], vec![1; 385]] {
        assert!(matches!(request.complete(&malformed, &public), Err(Error::Signature { .. })));
    }
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let request = *SigningRequest::new(MRENCLAVE, &manifest(), date()).unwrap().as_bytes();
    assert!(SigningRequest::from_bytes(&request[..255]).is_err());
    for at in [0, 15, 24, 39] {
        let mut damaged = request;
        damaged[at] ^= 1;
        assert!(matches!(SigningRequest::from_bytes(&damaged), Err(Error::Request { .. })));
    }
}

#[test]
fn every_byte_of_a_signature_counts() {
    let bytes: Vec<u8> = (signed().as_ref() as &[u8]).to_vec();
    twine_image::verify(&Sigstruct::try_copy_from(&bytes).unwrap()).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let sigstruct = Sigstruct::try_copy_from(&damaged).unwrap();
        assert!(
            matches!(twine_image::verify(&sigstruct), Err(Error::Signature { .. })),
            "byte {at}"
        );
    }
}

#[test]
fn mrsigner_is_the_hash_of_the_modulus() {
    let expected = openssl::sha::sha256(&signed().modulus);
    assert_eq!(key().verifying_key().unwrap().mrsigner().0, expected);
    assert_eq!(VerifyingKey::from_pem(&PEM.1).unwrap().mrsigner().0, expected);
    assert_eq!(twine_image::verify(&signed()).unwrap().mrsigner().0, expected);
}

#[test]
fn keys_that_sgx_does_not_take_are_refused_with_a_remedy() {
    let (short, short_public) = rsa_pem(2048, 3);
    let (usual, usual_public) = rsa_pem(3072, 65537);
    let elliptic = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1)
        .and_then(|group| openssl::ec::EcKey::generate(&group))
        .and_then(|key| key.private_key_to_pem())
        .unwrap();
    let encrypted = PKey::private_key_from_pem(&PEM.0)
        .and_then(|key| key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret"))
        .unwrap();
    for (pem, word) in [
        (&short[..], "2048 bits"),
        (&usual, "exponent is 65537"),
        (&elliptic, "not an RSA key"),
        (&encrypted, "encrypted"),
        (&PEM.1, "not a private key"),
        (b"", "not a private key"),
    ] {
        let error = SigningKey::from_pem(pem).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.remedy().is_some());
    }
    for (pem, word) in [
        (&short_public[..], "2048 bits"),
        (&usual_public, "exponent is 65537"),
        (&PEM.0, "not an RSA public key"),
    ] {
        let error = VerifyingKey::from_pem(pem).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn both_forms_of_pem_are_read() {
    let pkcs8 =
        PKey::private_key_from_pem(&PEM.0).and_then(|key| key.private_key_to_pem_pkcs8()).unwrap();
    let key = SigningKey::from_pem(&pkcs8).unwrap();
    let sigstruct = twine_image::sign(MRENCLAVE, &manifest(), date(), &key).unwrap();
    assert_eq!(sigstruct.as_ref() as &[u8], signed().as_ref() as &[u8]);
}

#[test]
fn a_development_key_is_made_once_for_all_who_ask() {
    let folder = Folder::new("development-key");
    let path = folder.0.join("not/there/yet/key.pem");
    let signers = std::thread::scope(|scope| {
        let ask =
            || SigningKey::development_key(&path).unwrap().verifying_key().unwrap().mrsigner();
        let both = [scope.spawn(ask), scope.spawn(ask)];
        both.map(|thread| thread.join().unwrap())
    });
    let again = SigningKey::development_key(&path).unwrap().verifying_key().unwrap().mrsigner();
    assert_eq!(signers, [again; 2]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = Folder::new("open-key");
    let path = folder.0.join("key.pem");
    fs::write(&path, &PEM.0).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = SigningKey::development_key(&path).unwrap_err();
    assert!(error.to_string().contains("mode 640"), "{error}");
    assert!(error.remedy().unwrap().contains("chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    SigningKey::from_file(&path).unwrap();
    // The error names a damaged key, and the key is not replaced.
    for damaged in ["-----BEGIN", ""] {
        fs::write(&path, damaged).unwrap();
        let error = SigningKey::development_key(&path).unwrap_err();
        assert!(matches!(error, Error::DevelopmentKey { .. }), "{error}");
        let path = path.display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
        assert!(error.remedy().unwrap().contains(&path));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn one_signature_launches_with_and_without_avx_512() {
    const ICE_LAKE: u64 = 0x2e7;
    const SAPPHIRE_RAPIDS: u64 = 0x602e7;
    const ZEN_3: u64 = 0x207;
    let sigstruct = signed();
    for (xcr0, xfrm) in [(ICE_LAKE, 0xe7), (SAPPHIRE_RAPIDS, 0xe7), (ZEN_3, 0x7), (0x27, 0x7)] {
        let attributes = twine_image::launch_attributes(&sigstruct, xcr0).unwrap();
        assert_eq!((attributes.xfrm, attributes.flags), (xfrm, sigstruct.attributes.flags));
        // EINIT makes this comparison.
        let mask = sigstruct.attributemask[1];
        assert_eq!(attributes.xfrm & mask, sigstruct.attributes.xfrm & mask);
    }
    let error = twine_image::launch_attributes(&sigstruct, 0x3).unwrap_err();
    assert!(matches!(error, Error::Xfrm { missing: 0x4 }), "{error}");
}

/// A folder that is removed when the test ends.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
