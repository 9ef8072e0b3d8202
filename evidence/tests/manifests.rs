//! A manifest allows what it says and nothing else, and only with its owner's signature.

use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use graviola::signing::eddsa::Ed25519SigningKey;
use minicbor::Encoder;
use twine_evidence::access::{Access, MAX_KEYS, Right};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::cbor;
use twine_evidence::manifest::{
    AllowedImage, Demands, Handover, Identity, Invalid, MAX_FROM, MAX_TERMS_BYTES, Manifest,
    Refusal, Restart,
};
use twine_evidence::owner::PublicKey;
use twine_evidence::platform::{MAX_PLATFORMS, Platform, Root, TcbStatus};
use twine_evidence::signed::{Error, Signed};
use twine_evidence::sockets::{Certificate, MAX_SOCKETS, Peers, Socket, Trust, Way};
use twine_evidence::statement::{Compiler, Engine};
use twine_evidence::terms::{
    Diagnostics, Export, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};

/// Changes a value.
type Change<T> = fn(&mut T);

const HERE: Identity = Identity {
    measurement: Digest([0x22; 32]),
    signer: Digest([0x33; 32]),
    product: 1,
    svn: 2,
    debug: false,
};

fn ed25519(seed: u8) -> (Ed25519SigningKey, Bytes) {
    let key = Ed25519SigningKey::from_bytes(&[seed; 32]).unwrap();
    let mut room = [0; 64];
    let der = key.public_key().to_spki_der(&mut room).unwrap().to_vec();
    (key, Bytes(der))
}

fn volume(guest: &str, key: KeyPolicy) -> Mount {
    Mount {
        guest: guest.into(),
        kind: MountKind::Volume,
        key: Some(key),
        read_only: false,
        size: None,
        main: None,
        former: None,
    }
}

fn manifest(owner: Bytes) -> Manifest {
    Manifest {
        format: 1,
        name: "app".into(),
        version: 3,
        generation: 1,
        owner,
        terms: Terms {
            program: Digest([0x11; 32]),
            arguments: vec!["app".into()],
            environment: vec![Variable { name: "A".into(), value: "1".into() }],
            secrets: vec!["TOKEN".into()],
            export: None,
            streams: Streams { stdin: Stream::None, stdout: Stream::Host, stderr: Stream::Host },
            mounts: vec![volume("/data", KeyPolicy::Deployment)],
            sockets: Vec::new(),
            limits: Limits::default(),
            diagnostics: Diagnostics::default(),
        },
        images: vec![AllowedImage {
            measurement: Some(HERE.measurement),
            ..AllowedImage::default()
        }],
        demands: Demands::default(),
        access: Access::default(),
        restart: Restart::default(),
        platform: Platform::default(),
        handover: Handover::default(),
    }
}

fn socket(name: &str) -> Socket {
    Socket { name: name.into(), ..Socket::default() }
}

#[test]
fn sockets_have_the_parts_of_their_kind_and_no_others() {
    let check = |socket: Socket| {
        let mut manifest = manifest(ed25519(7).1);
        manifest.terms.sockets = vec![socket];
        manifest.check().map(drop)
    };
    let connects =
        Socket { way: Way::Connect, host: Some("db".into()), port: Some(1), ..socket("x") };
    let certificate = Some(Certificate { chain: "TOKEN".into(), key: "TOKEN".into() });
    let trust = Some(Trust { roots: "PEM".into(), name: None });
    let peers = |names: &[&str], stale| {
        let deployments = names.iter().map(|name| (*name).to_owned()).collect();
        Some(Peers { deployments, stale, ..Peers::default() })
    };
    for right in [
        socket("x"),
        Socket { port: Some(1), certificate: certificate.clone(), ..socket("x") },
        Socket { attested: peers(&["a", "b"], true), ..socket("x") },
        connects.clone(),
        Socket { host: Some("::1".into()), trust: trust.clone(), ..connects.clone() },
        Socket { attested: peers(&["a"], false), ..connects.clone() },
    ] {
        assert_eq!(check(right.clone()), Ok(()), "{right:?}");
    }
    let named = Some(Trust { roots: "PEM".into(), name: Some(String::new()) });
    let any_image =
        peers(&["a"], false).map(|peers| Peers { images: vec![AllowedImage::default()], ..peers });
    for wrong in [
        Socket { port: Some(0), ..socket("x") },
        Socket { host: Some("db".into()), ..socket("x") },
        Socket { trust: trust.clone(), ..socket("x") },
        Socket { certificate: certificate.clone(), attested: peers(&["a"], false), ..socket("x") },
        Socket { attested: peers(&[], false), ..socket("x") },
        Socket { attested: peers(&["a/b"], false), ..socket("x") },
        Socket { attested: any_image, ..socket("x") },
        Socket { host: None, ..connects.clone() },
        Socket { host: Some("a b".into()), ..connects.clone() },
        Socket { host: Some("a".repeat(254)), ..connects.clone() },
        Socket { port: None, ..connects.clone() },
        Socket { port: Some(0), ..connects.clone() },
        Socket { certificate, ..connects.clone() },
        Socket { trust: named, ..connects.clone() },
        Socket { trust, attested: peers(&["a"], false), ..connects.clone() },
        Socket { attested: peers(&["a"], true), ..connects },
    ] {
        assert_eq!(check(wrong.clone()), Err(Invalid::Socket("x".into())), "{wrong:?}");
    }
}

#[test]
fn a_launch_that_differs_in_any_term_is_refused_by_the_name_of_the_term() {
    let manifest = manifest(ed25519(7).1);
    assert_eq!(manifest.allow(&manifest.terms, &HERE), Ok(()));
    let changes: [(&str, Change<Terms>); 19] = [
        ("program", |terms| terms.program = Digest([0x12; 32])),
        ("arguments", |terms| terms.arguments.push("--dump".into())),
        ("arguments", |terms| terms.arguments.clear()),
        ("environment", |terms| terms.environment.clear()),
        ("environment", |terms| terms.environment[0].value = "2".into()),
        ("secrets", |terms| terms.secrets.clear()),
        ("export", |terms| {
            terms.export = Some(Export { function: "f".into(), arguments: Vec::new() });
        }),
        ("streams", |terms| terms.streams.stdin = Stream::Host),
        ("streams", |terms| terms.streams.stdin = Stream::Owner),
        ("mounts", |terms| terms.mounts.clear()),
        ("mounts", |terms| terms.mounts.push(volume("/data/keys", KeyPolicy::Deployment))),
        ("mounts", |terms| terms.mounts[0].key = Some(KeyPolicy::Program)),
        ("mounts", |terms| {
            terms.mounts[0] = Mount {
                kind: MountKind::Folder,
                key: None,
                ..volume("/data", KeyPolicy::Deployment)
            };
        }),
        ("mounts", |terms| terms.mounts[0].read_only = true),
        ("mounts", |terms| terms.mounts[0].former = Some("other.db".into())),
        ("sockets", |terms| terms.sockets.push(socket("web"))),
        ("limits", |terms| terms.limits.fuel = Some(1)),
        ("diagnostics", |terms| terms.diagnostics.backtraces = true),
        ("diagnostics", |terms| terms.diagnostics.statistics = true),
    ];
    for (at, (term, change)) in changes.into_iter().enumerate() {
        let mut terms = manifest.terms.clone();
        change(&mut terms);
        let Err(Refusal::Terms(differences)) = manifest.allow(&terms, &HERE) else {
            panic!("change {at} is allowed")
        };
        let names: Vec<_> = differences.iter().map(|difference| difference.term).collect();
        assert_eq!(names, [term], "change {at}");
        assert_ne!(differences[0].allowed, differences[0].asked, "change {at}");
    }
}

#[test]
fn only_the_images_that_a_manifest_names_may_hold_it() {
    let base = manifest(ed25519(7).1);
    let allows = |image, enclave| {
        let manifest = Manifest { images: vec![image], ..base.clone() };
        manifest.allow(&manifest.terms, &enclave)
    };
    let signer = AllowedImage { signer: Some(HERE.signer), ..AllowedImage::default() };
    let with_svn = AllowedImage { product: Some(1), min_svn: Some(2), ..signer };
    assert_eq!(allows(signer, HERE), Ok(()));
    assert_eq!(allows(with_svn, HERE), Ok(()));
    assert_eq!(allows(with_svn, Identity { svn: 9, ..HERE }), Ok(()));
    for (image, enclave) in [
        (with_svn, Identity { svn: 1, ..HERE }),
        (with_svn, Identity { product: 2, ..HERE }),
        (signer, Identity { signer: Digest([0; 32]), ..HERE }),
        (AllowedImage { measurement: Some(Digest([0; 32])), ..signer }, HERE),
        (AllowedImage::default(), HERE),
    ] {
        assert_eq!(allows(image, enclave), Err(Refusal::Image(enclave)));
    }
    let debug = Identity { debug: true, ..HERE };
    assert_eq!(allows(signer, debug), Err(Refusal::Debug));
    let demands = Demands { allow_debug: true, ..Demands::default() };
    let lenient = Manifest { demands, ..base.clone() };
    assert_eq!(lenient.allow(&lenient.terms, &debug), Ok(()));
}

#[test]
fn writable_code_runs_only_where_the_manifest_allows_it() {
    let strict = manifest(ed25519(7).1);
    let engine = Engine { compiler: Compiler::Optimizing, guard_pages: false, writable_code: true };
    assert_eq!(strict.allow_code(&engine), Err(Refusal::WritableCode));
    assert_eq!(strict.allow_code(&Engine { writable_code: false, ..engine }), Ok(()));
    let demands = Demands { allow_writable_code: true, ..Demands::default() };
    assert_eq!(Manifest { demands, ..strict }.allow_code(&engine), Ok(()));
}

#[test]
fn manifests_that_say_too_little_or_too_much_are_not_valid() {
    let valid = manifest(ed25519(7).1);
    assert!(valid.check().is_ok());
    let changes: [(Invalid, Change<Manifest>); 33] = [
        (Invalid::Format(2), |m| m.format = 2),
        (Invalid::Name, |m| m.name.clear()),
        (Invalid::Name, |m| m.name = "a/b".into()),
        (Invalid::Name, |m| m.name = "n".repeat(129)),
        (Invalid::Owner, |m| m.owner.0.truncate(20)),
        (Invalid::Owner, |m| m.owner.0.push(0)),
        (Invalid::NoImages, |m| m.images.clear()),
        (Invalid::AnyImage, |m| m.images[0] = AllowedImage::default()),
        (Invalid::Twice("/data".into()), |m| m.terms.mounts.push(m.terms.mounts[0].clone())),
        (Invalid::Twice("A".into()), |m| m.terms.secrets.push("A".into())),
        (Invalid::Variable("A=B".into()), |m| m.terms.secrets[0] = "A=B".into()),
        (Invalid::Variable("A\\0".into()), |m| m.terms.secrets[0] = "A\0".into()),
        (Invalid::Variable(String::new()), |m| m.terms.environment[0].name = "".into()),
        (Invalid::Mount("/data".into()), |m| m.terms.mounts[0].key = None),
        (Invalid::Mount("/data".into()), |m| m.terms.mounts[0].main = Some("x".into())),
        (Invalid::Path("/data/".into()), |m| m.terms.mounts[0].guest.push('/')),
        (Invalid::Path("//data".into()), |m| m.terms.mounts[0].guest = "//data".into()),
        (Invalid::Path("/a/../b".into()), |m| m.terms.mounts[0].guest = "/a/../b".into()),
        (Invalid::Path("/a\n".into()), |m| m.terms.mounts[0].guest = "/a\n".into()),
        (Invalid::Path("data".into()), |m| m.terms.mounts[0].guest = "data".into()),
        (Invalid::Key("/data".into()), |m| m.terms.mounts[0].key = Some(KeyPolicy::KeyFile)),
        (Invalid::Key("/data".into()), |m| m.terms.mounts[0].key = Some(KeyPolicy::Program)),
        (Invalid::ManySockets, |m| {
            m.terms.sockets = (0..=MAX_SOCKETS).map(|at| socket(&at.to_string())).collect();
        }),
        (Invalid::Twice("web".into()), |m| m.terms.sockets = vec![socket("web"); 2]),
        (Invalid::Socket(String::new()), |m| m.terms.sockets = vec![socket("")]),
        (Invalid::SocketSecret("web".into(), "KEY".into()), |m| {
            let certificate = Certificate { chain: "TOKEN".into(), key: "KEY".into() };
            let certificate = Some(certificate);
            m.terms.sockets = vec![Socket { certificate, ..socket("web") }];
        }),
        (Invalid::ManyKeys(Right::Look), |m| {
            m.access.look = (0..=MAX_KEYS as u8).map(|seed| ed25519(seed).1).collect();
        }),
        (Invalid::RightKey(Right::Deploy, 1), |m| {
            m.access.deploy = vec![ed25519(1).1, Bytes(vec![0x30; 44])];
        }),
        (Invalid::SameKey(Right::Stop, 1), |m| m.access.stop = vec![ed25519(1).1, ed25519(1).1]),
        (Invalid::SameKey(Right::Look, 0), |m| m.access.look = vec![m.owner.clone()]),
        (Invalid::Statuses, |m| {
            m.platform.statuses = vec![TcbStatus::OutOfDate, TcbStatus::UpToDate];
        }),
        (Invalid::Statuses, |m| m.platform.statuses = vec![TcbStatus::UpToDate; 2]),
        (Invalid::Platforms, |m| m.platform.ppid_hashes = vec![Digest([1; 32]); 2]),
    ];
    for (wrong, change) in changes {
        let mut manifest = valid.clone();
        change(&mut manifest);
        assert_eq!(manifest.check(), Err(wrong));
    }
}

#[test]
fn terms_that_no_evidence_has_room_for_are_not_valid() {
    let mut manifest = manifest(ed25519(7).1);
    manifest.terms.arguments.push(Bytes(vec![b'x'; MAX_TERMS_BYTES]));
    assert!(matches!(manifest.check(), Err(Invalid::TooLong(_))));
}

#[test]
fn a_manifest_signed_with_either_kind_of_key_opens() {
    let (key, owner) = ed25519(7);
    let by_ed25519 = manifest(owner);
    let signed = Signed::sign(&by_ed25519, |message| key.sign(message)).unwrap();
    assert_eq!(*Signed::open(&signed).unwrap().manifest(), by_ed25519);

    let key = SigningKey::<P256>::generate().unwrap();
    let mut room = [0; 128];
    let by_p256 = manifest(Bytes(key.to_spki_der(&mut room).unwrap().to_vec()));
    let signed = Signed::sign(&by_p256, |message| {
        let mut signature = [0; 64];
        key.sign::<Sha256>(&[message], &mut signature).unwrap();
        signature
    });
    let opened = Signed::open(&signed.unwrap()).unwrap();
    assert_eq!(*opened.manifest(), by_p256);
    assert_eq!(opened.owner().id(), Digest::of(&by_p256.owner.0));
}

#[test]
fn a_signature_of_another_key_is_refused_when_signing_and_when_opening() {
    let (other, _) = ed25519(8);
    let (_, owner) = ed25519(7);
    let unsigned = manifest(owner);
    assert_eq!(Signed::sign(&unsigned, |m| other.sign(m)), Err(Error::Signature));
    // The other's own manifest, with the owner put into it.
    let (_, others) = ed25519(8);
    let own = manifest(others.clone());
    let mut signed = Signed::sign(&own, |message| other.sign(message)).unwrap();
    let at = signed.windows(others.0.len()).position(|part| part == others.0).unwrap();
    signed[at..at + others.0.len()].copy_from_slice(&unsigned.owner.0);
    assert_eq!(Signed::open(&signed), Err(Error::Signature));
}

#[test]
fn each_changed_bit_of_a_signed_manifest_is_refused() {
    let (key, owner) = ed25519(7);
    let signed = Signed::sign(&manifest(owner), |message| key.sign(message)).unwrap();
    for at in 0..signed.len() * 8 {
        let mut changed = signed.clone();
        changed[at / 8] ^= 1 << (at % 8);
        assert!(Signed::open(&changed).is_err(), "bit {at}");
    }
    assert!(Signed::open(&[signed.clone(), vec![0]].concat()).is_err());
    assert!(Signed::open(&signed[..signed.len() - 1]).is_err());
}

#[test]
fn only_keys_of_p256_and_ed25519_are_owners() {
    let (_, Bytes(der)) = ed25519(7);
    assert!(PublicKey::from_der(&der).is_ok());
    for wrong in [&der[..43], &[&der[..], &[0]].concat(), &[0; 91], &[]] {
        assert!(PublicKey::from_der(wrong).is_err());
    }
}

#[test]
fn a_manifest_names_no_more_platforms_than_its_limit() {
    let platforms = |count: usize| {
        let hash = |at: usize| Digest::of(&at.to_le_bytes());
        let platform =
            Platform { ppid_hashes: (0..count).map(hash).collect(), ..Platform::default() };
        Manifest { platform, ..manifest(ed25519(7).1) }.check().map(drop)
    };
    assert_eq!(platforms(MAX_PLATFORMS), Ok(()));
    assert_eq!(platforms(MAX_PLATFORMS + 1), Err(Invalid::Platforms));
}

#[test]
fn the_owner_may_do_everything_and_others_what_they_are_named_for() {
    let key = |seed| PublicKey::from_der(&ed25519(seed).1.0).unwrap();
    let list = |seeds: &[u8]| seeds.iter().map(|seed| ed25519(*seed).1).collect();
    let access =
        Access { deploy: list(&[1]), look: list(&[1, 2]), stop: list(&[3]), files: list(&[5]) };
    let manifest = Manifest { access, ..manifest(ed25519(7).1) };
    let rights = |seed| Right::ALL.map(|right| manifest.may(right, &key(seed)));
    assert_eq!(rights(7), [true; 4]);
    assert_eq!(rights(1), [true, true, false, false]);
    assert_eq!(rights(2), [false, true, false, false]);
    assert_eq!(rights(3), [false, false, true, false]);
    assert_eq!(rights(4), [false; 4]);
    assert_eq!(rights(5), [false, false, false, true]);
}

/// A default that is written out would be a second encoding of the same manifest.
#[test]
fn a_default_that_is_written_out_is_refused() {
    let encoded = manifest(ed25519(7).1).encode();
    assert!(Manifest::decode(&encoded).is_ok());
    type Write = fn(&mut Encoder<Vec<u8>>);
    let defaults: [(&str, Write); 5] = [
        ("access", |e| drop(e.u8(8).and_then(|e| e.map(0)))),
        ("an empty list", |e| drop(e.u8(8).and_then(|e| e.map(1)?.u8(1)?.array(0)))),
        ("restart", |e| drop(e.u8(9).and_then(|e| e.u8(0)))),
        ("platform", |e| drop(e.u8(10).and_then(|e| e.map(0)))),
        ("root", |e| drop(e.u8(10).and_then(|e| e.map(1)?.u8(0)?.u8(0)))),
    ];
    for (what, write) in defaults {
        let mut more = Encoder::new([&[0xa9], &encoded[1..]].concat());
        write(&mut more);
        let decoded = Manifest::decode(&more.into_writer());
        assert_eq!(decoded, Err(cbor::Error::NotCanonical), "{what}");
    }
}

#[test]
fn a_part_that_is_not_the_default_is_kept() {
    let base = manifest(ed25519(7).1);
    let changes: [Change<Manifest>; 7] = [
        |m| m.access.stop = vec![ed25519(1).1],
        |m| m.access.files = vec![ed25519(1).1],
        |m| m.restart = Restart::Always,
        |m| m.platform.root = Root::Simulation,
        |m| m.platform.statuses = vec![TcbStatus::UpToDate],
        |m| m.platform.least_evaluation_number = Some(0),
        |m| m.platform.ppid_hashes = vec![Digest([1; 32])],
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = base.clone();
        change(&mut changed);
        assert_eq!(Manifest::decode(&changed.encode()), Ok(changed.clone()), "change {at}");
        assert_ne!(changed, base, "change {at}");
        assert!(changed.check().is_ok(), "change {at}");
    }
}

#[test]
fn a_refusal_names_the_streams_in_the_words_of_a_manifest() {
    let mut manifest = manifest(ed25519(7).1);
    let asked = manifest.terms.clone();
    manifest.terms.streams.stdin = Stream::Owner;
    let refusal = manifest.allow(&asked, &HERE).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "the manifest does not allow this launch: streams: (stdin none, stdout host, stderr host) \
         was asked for, and (stdin owner, stdout host, stderr host) is allowed"
    );
}

#[test]
fn a_manifest_takes_over_from_the_images_that_it_names_and_from_no_debug_enclave() {
    let from = |count: u8| Handover { from: (0..count).map(|at| Digest([at; 32])).collect() };
    let manifest = Manifest { handover: from(2), ..manifest(ed25519(7).1) };
    manifest.check().unwrap();
    assert_eq!(Manifest::decode(&manifest.encode()).as_ref(), Ok(&manifest));
    let former = |at| Identity { measurement: Digest([at; 32]), ..HERE };
    assert_eq!(manifest.allow_former(&former(1)), Ok(()));
    assert_eq!(manifest.allow_former(&former(2)), Err(Refusal::Former(Digest([2; 32]))));
    let debug = Identity { debug: true, ..former(1) };
    assert_eq!(manifest.allow_former(&debug), Err(Refusal::Debug));
    // It does not allow them to hold the deployment.
    assert_eq!(manifest.allow_enclave(&former(1)), Err(Refusal::Image(former(1))));
    assert_eq!(manifest.allow_enclave(&HERE), Ok(()));
    let most = u8::try_from(MAX_FROM).unwrap();
    let with = |handover| Manifest { handover, ..manifest.clone() }.check();
    assert!(with(from(most)).is_ok());
    assert_eq!(with(from(most + 1)), Err(Invalid::From));
    let twice = Handover { from: vec![Digest([1; 32]); 2] };
    assert_eq!(with(twice), Err(Invalid::From));
}
