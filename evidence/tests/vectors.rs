//! The bytes of manifests and of their signatures, as `docs/evidence.md` gives them.

use graviola::signing::eddsa::Ed25519SigningKey;
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest, from_hex, to_hex};
use twine_evidence::manifest::{AllowedImage, Demands, Handover, Manifest, Restart, VERSION};
use twine_evidence::owner::Algorithm;
use twine_evidence::platform::{Platform, Root, TcbStatus};
use twine_evidence::signed::Signed;
use twine_evidence::sockets::{Certificate, Peers, Socket, Way};
use twine_evidence::terms::{
    Diagnostics, Export, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};

/// The secret key of RFC 8032, section 7.1, test 1.
const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

/// The manifest with an owner of P-256, and the signature that OpenSSL made.
const SIGNED_BY_OPENSSL: &str = "\
    d28443a10126a05901bda8000101636170700203030104585b3059301306072a8648ce3d020106082a8648ce3d\
    03010703420004fe144aedbd14df7b27a3d8a1d15ee680d4497ac1dbd42481f82a81be3c86cefe183607626e3c\
    7be1660fef15425820cdc8d98ffccc839050bb1fa800605b29db05aa0058201111111111111111111111111111\
    111111111111111111111111111111111111018243617070462d2d666c616702818244484f4d45452f64617461\
    038145544f4b454e04a200636164640181613105a30000010102000682a400652f646174610100020003f4a400\
    642f746d70010203f5041a001000000782a400637765620100031901bb04a20045544f4b454e0145544f4b454e\
    a5006264620101026a64622e6578616d706c6503191b5806a50058206666666666666666666666666666666666\
    66666666666666666666666666666601816264620280030204f408a4001a04000000011903e8021b000000012a\
    05f20003f409a200f401f50682a100582022222222222222222222222222222222222222222222222222222222\
    22222222a301582033333333333333333333333333333333333333333333333333333333333333330201030207\
    a200f401f55840655c53621bbf6785799eaab39b71e65710542c26e0e83f731aa9a347bdafc888dc5c48a7f48c\
    3e46f9cf6c1307675060c7b7e969d0d0c2140d69669a357519e6";

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
            sockets: sockets(),
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
        handover: Handover::default(),
    }
}

/// A listening socket with a certificate, and a connecting one with attested TLS.
fn sockets() -> Vec<Socket> {
    let certificate = Certificate { chain: "TOKEN".into(), key: "TOKEN".into() };
    let peers = Peers {
        owner: Some(digest(0x66)),
        deployments: vec!["db".into()],
        images: Vec::new(),
        least_version: 2,
        stale: false,
    };
    vec![
        Socket {
            name: "web".into(),
            port: Some(443),
            certificate: Some(certificate),
            ..Socket::default()
        },
        Socket {
            name: "db".into(),
            way: Way::Connect,
            host: Some("db.example".into()),
            port: Some(7000),
            attested: Some(peers),
            ..Socket::default()
        },
    ]
}

/// The manifest with the parts that only a deployment on somebody else's machine needs.
fn manifest_for_hosts() -> Manifest {
    // RFC 8032, section 7.1, test 2.
    let prefix = from_hex("302a300506032b6570032100").unwrap();
    let key = from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
    let key = Bytes([prefix, key].concat());
    Manifest {
        access: Access {
            deploy: vec![key.clone()],
            look: Vec::new(),
            stop: vec![key.clone()],
            files: vec![key],
        },
        restart: Restart::Always,
        platform: Platform {
            root: Root::Simulation,
            statuses: vec![TcbStatus::UpToDate, TcbStatus::ConfigurationNeeded],
            least_evaluation_number: Some(17),
            ppid_hashes: vec![digest(0x55)],
        },
        handover: Handover { from: vec![digest(0x66)] },
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
    let with = format!("ac{}{}", &without[2..], listing("parts for hosts"));
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
