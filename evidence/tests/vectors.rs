//! The bytes of manifests and of their signatures, as `docs/evidence.md` gives them.

use graviola::signing::eddsa::Ed25519SigningKey;
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest, from_hex, to_hex};
use twine_evidence::manifest::{AllowedImage, Demands, Manifest, Restart, VERSION};
use twine_evidence::owner::Algorithm;
use twine_evidence::platform::{Platform, Root, TcbStatus};
use twine_evidence::signed::Signed;
use twine_evidence::terms::{
    Diagnostics, Export, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};

/// The secret key of RFC 8032, section 7.1, test 1.
const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

/// The manifest with an owner of P-256, and the signature that OpenSSL made.
const SIGNED_BY_OPENSSL: &str = "\
    d28443a10126a059015aa8000101636170700203030104585b3059301306072a8648ce3d020106082a8648ce3d\
    03010703420004b9caa2fc871ba0ef9dcc42be387436df5e606c824aa955204166f23fe0a70c8e083e8cf0acb4\
    e022ba65d9587b663a2d9651d3cdbc6170f1b1c877c5e45158f005aa0058201111111111111111111111111111\
    111111111111111111111111111111111111018243617070462d2d666c616702818244484f4d45452f64617461\
    038145544f4b454e04a200636164640181613105a30000010102000682a400652f646174610100020003f4a400\
    642f746d70010203f5041a00100000070108a4001a04000000011903e8021b000000012a05f20003f409a200f4\
    01f50682a10058202222222222222222222222222222222222222222222222222222222222222222a301582033\
    333333333333333333333333333333333333333333333333333333333333330201030207a200f401f558409e4b\
    c472f84f94956987cb99c76ca2807594d6ea4ee95ebeeedcb606b326ec36b4441de204b3f1245ea0e830874be0\
    093dd3b4770010ad8d942d6d34f82f70e3";

/// Returns the bytes of a listing in the document, which starts with `<!-- NAME -->`.
fn listing(name: &str) -> String {
    include_str!("../../docs/evidence.md")
        .split(&format!("<!-- {name} -->"))
        .nth(1)
        .and_then(|rest| rest.split("<!-- -->").next())
        .expect("the document has the listing")
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.split('#').next().unwrap_or_default().replace(' ', ""))
        .collect()
}

fn key() -> Ed25519SigningKey {
    Ed25519SigningKey::from_bytes(&from_hex(SECRET).unwrap()).unwrap()
}

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

/// The manifest of the vectors, owned by a key with this DER.
fn manifest(owner: &[u8]) -> Manifest {
    let volume = Mount {
        guest: "/data".into(),
        kind: MountKind::Volume,
        key: Some(KeyPolicy::Deployment),
        read_only: false,
        size: None,
        main: None,
        former: None,
    };
    let memory = Mount {
        guest: "/tmp".into(),
        kind: MountKind::Memory,
        key: None,
        read_only: true,
        size: Some(1 << 20),
        main: None,
        former: None,
    };
    Manifest {
        format: VERSION,
        name: "app".into(),
        version: 3,
        generation: 1,
        owner: Bytes(owner.to_vec()),
        terms: Terms {
            program: digest(0x11),
            arguments: vec!["app".into(), "--flag".into()],
            environment: vec![Variable { name: "HOME".into(), value: "/data".into() }],
            secrets: vec!["TOKEN".into()],
            export: Some(Export { function: "add".into(), arguments: vec!["1".into()] }),
            streams: Streams { stdin: Stream::None, stdout: Stream::Host, stderr: Stream::None },
            mounts: vec![volume, memory],
            listeners: 1,
            limits: Limits {
                memory: Some(64 << 20),
                fuel: Some(1000),
                timeout: Some(5_000_000_000),
                interrupts: false,
            },
            diagnostics: Diagnostics { backtraces: false, statistics: true },
        },
        images: vec![
            AllowedImage { measurement: Some(digest(0x22)), ..AllowedImage::default() },
            AllowedImage {
                signer: Some(digest(0x33)),
                product: Some(1),
                min_svn: Some(2),
                ..AllowedImage::default()
            },
        ],
        demands: Demands { allow_debug: false, allow_writable_code: true },
        access: Access::default(),
        restart: Restart::Never,
        platform: Platform::default(),
    }
}

/// The manifest with the parts that only a deployment on somebody else's machine needs.
fn manifest_for_hosts() -> Manifest {
    // RFC 8032, section 7.1, test 2.
    let prefix = from_hex("302a300506032b6570032100").unwrap();
    let key = from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
    let key = Bytes([prefix, key].concat());
    Manifest {
        access: Access { deploy: vec![key.clone()], look: Vec::new(), stop: vec![key] },
        restart: Restart::Always,
        platform: Platform {
            root: Root::Simulation,
            statuses: vec![TcbStatus::UpToDate, TcbStatus::ConfigurationNeeded],
            least_evaluation_number: Some(17),
            ppid_hashes: vec![digest(0x55)],
        },
        ..manifest(&owner())
    }
}

/// The DER of the public key in the vectors.
fn owner() -> Vec<u8> {
    let room = &mut [0; 64];
    key().public_key().to_spki_der(room).unwrap().to_vec()
}

#[test]
fn the_document_gives_every_byte_of_this_manifest() {
    let encoded = manifest(&owner()).encode();
    assert_eq!(listing("manifest"), to_hex(&encoded));
    assert_eq!(Manifest::decode(&encoded), Ok(manifest(&owner())));
    let hash = Digest::of(&encoded).to_string();
    assert!(include_str!("../../docs/evidence.md").contains(&format!("`{hash}`")), "{hash}");
}

#[test]
fn the_document_gives_every_byte_of_the_parts_for_hosts() {
    let without = to_hex(&manifest(&owner()).encode());
    // The document lists what follows the other keys of the map, of which there are 8.
    let with = format!("ab{}{}", &without[2..], listing("parts for hosts"));
    assert_eq!(to_hex(&manifest_for_hosts().encode()), with);
    assert_eq!(Manifest::decode(&from_hex(&with).unwrap()), Ok(manifest_for_hosts()));
    assert!(manifest_for_hosts().check().is_ok());
}

#[test]
fn the_document_gives_every_byte_of_this_signed_manifest() {
    let manifest = manifest(&owner());
    let signed = Signed::sign(&manifest, |message| key().sign(message)).unwrap();
    // The listing names the payload, and does not repeat it.
    let listed = listing("signed manifest").replace("....", &to_hex(&manifest.encode()));
    assert_eq!(listed, to_hex(&signed));
    let opened = Signed::open(&signed).unwrap();
    assert_eq!((opened.manifest(), opened.owner().der()), (&manifest, &*owner()));
}

/// A signature that another program made: OpenSSL, of the bytes that the document says are signed.
#[test]
fn a_signature_that_openssl_made_by_the_document_is_valid() {
    let opened = Signed::open(&from_hex(SIGNED_BY_OPENSSL).unwrap()).unwrap();
    assert_eq!(opened.owner().algorithm(), Algorithm::Es256);
    assert_eq!(opened.manifest(), &manifest(opened.owner().der()));
}
