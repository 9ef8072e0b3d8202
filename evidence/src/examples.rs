//! Examples of all messages, for tests and as first inputs of the fuzz targets.

use crate::access::Access;
use crate::bytes::{Bytes, Digest};
use crate::manifest::{AllowedImage, Demands, Handover, Manifest, Restart};
use crate::platform::{Platform, Root, TcbStatus};
use crate::signed::Signed;
use crate::sockets::{Certificate, Peers, Socket, Trust, Way};
use crate::statement::{
    self, Compiler, Deployment, Engine, Image, Program, Run, Said, Statement, Subject,
};
use crate::terms::{
    Diagnostics, Export, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};
use graviola::signing::eddsa::Ed25519SigningKey;

/// The key of the example's owner: Ed25519 with 32 bytes 0x07 as its seed.
pub fn owner() -> Ed25519SigningKey {
    Ed25519SigningKey::from_bytes(&[7; 32]).expect("each seed is a key")
}

/// The public key of [`owner`], as a DER-encoded SubjectPublicKeyInfo.
pub fn owner_der() -> Vec<u8> {
    der(&owner())
}

fn der(key: &Ed25519SigningKey) -> Vec<u8> {
    let mut room = [0; 64];
    key.public_key().to_spki_der(&mut room).expect("44 bytes").to_vec()
}

/// The terms of a small program.
pub fn small_terms() -> Terms {
    Terms {
        program: Digest([0x11; 32]),
        arguments: vec!["hello.wasm".into()],
        environment: Vec::new(),
        secrets: Vec::new(),
        export: None,
        streams: Streams { stdin: Stream::None, stdout: Stream::Host, stderr: Stream::Host },
        mounts: Vec::new(),
        sockets: Vec::new(),
        limits: Limits::default(),
        diagnostics: Diagnostics::default(),
    }
}

/// Terms in which each field has something.
pub fn full_terms() -> Terms {
    let mount = |guest: &str, kind, key, size| Mount {
        guest: guest.into(),
        kind,
        key,
        read_only: kind == MountKind::Folder,
        size,
        main: None,
        former: None,
    };
    Terms {
        arguments: vec!["server.wasm".into(), b"\xff".as_slice().into()],
        environment: vec![Variable { name: "HOME".into(), value: "/".into() }],
        secrets: vec!["TOKEN".into()],
        export: Some(Export { function: "serve".into(), arguments: vec!["8080".into()] }),
        streams: Streams { stdin: Stream::Owner, stdout: Stream::Owner, stderr: Stream::Host },
        mounts: vec![
            mount("/data", MountKind::Volume, Some(KeyPolicy::Deployment), None),
            mount("/plain", MountKind::Folder, None, None),
            mount("/tmp", MountKind::Memory, None, Some(1 << 20)),
        ],
        sockets: sockets(),
        limits: Limits {
            memory: Some(1 << 26),
            fuel: Some(1 << 40),
            timeout: Some(5_000_000_000),
            interrupts: true,
        },
        diagnostics: Diagnostics { backtraces: true, statistics: true },
        ..small_terms()
    }
}

/// Sockets of each kind.
pub fn sockets() -> Vec<Socket> {
    let listen = |name: &str, port| Socket { name: name.into(), port, ..Socket::default() };
    let connect = |name: &str, host: &str| Socket {
        way: Way::Connect,
        host: Some(host.into()),
        ..listen(name, Some(5432))
    };
    let peers = Peers { deployments: vec!["other".into()], ..Peers::default() };
    let exact = Peers {
        owner: Some(Digest([0x66; 32])),
        images: vec![AllowedImage {
            measurement: Some(Digest([0x22; 32])),
            ..AllowedImage::default()
        }],
        least_version: 2,
        ..peers.clone()
    };
    let trust = Trust { roots: "PEM".into(), name: Some("db.example".into()) };
    let certificate = Certificate { chain: "TOKEN".into(), key: "TOKEN".into() };
    vec![
        listen("plain", None),
        Socket { certificate: Some(certificate), ..listen("web", Some(443)) },
        Socket { attested: Some(peers), ..listen("inner", Some(7000)) },
        connect("dns", "::1"),
        Socket { trust: Some(trust), ..connect("db", "10.0.0.1") },
        Socket { attested: Some(exact), ..connect("other", "other.example") },
    ]
}

/// A manifest on these terms.
pub fn manifest(terms: Terms) -> Manifest {
    Manifest {
        format: crate::manifest::VERSION,
        name: "example".into(),
        version: 3,
        generation: 1,
        owner: Bytes(owner_der()),
        terms,
        images: vec![
            AllowedImage { measurement: Some(Digest([0x22; 32])), ..AllowedImage::default() },
            AllowedImage {
                measurement: None,
                signer: Some(Digest([0x33; 32])),
                product: Some(1),
                min_svn: Some(2),
            },
        ],
        demands: Demands::default(),
        access: Access::default(),
        restart: Restart::default(),
        platform: Platform::default(),
        handover: Handover::default(),
    }
}

/// A manifest with everything that one for somebody else's host can have.
pub fn full_manifest() -> Manifest {
    let key = |seed| {
        let key = Ed25519SigningKey::from_bytes(&[seed; 32]).expect("each seed is a key");
        Bytes(der(&key))
    };
    Manifest {
        access: Access {
            deploy: vec![key(8)],
            look: vec![key(8), key(9)],
            stop: vec![key(9)],
            files: vec![key(9)],
        },
        restart: Restart::Always,
        platform: Platform {
            root: Root::Simulation,
            statuses: vec![TcbStatus::UpToDate, TcbStatus::OutOfDate],
            least_evaluation_number: Some(17),
            ppid_hashes: vec![Digest([0x55; 32])],
        },
        handover: Handover { from: vec![Digest([0x66; 32])] },
        ..manifest(full_terms())
    }
}

/// A manifest with its owner's signature.
pub fn signed(manifest: &Manifest) -> Vec<u8> {
    Signed::sign(manifest, |message| owner().sign(message)).expect("the example is valid")
}

/// Statements of each kind.
pub fn statements() -> Vec<Statement> {
    let of = |subject| Statement {
        version: statement::VERSION,
        subject,
        image: Image { runtime: "0.1.0".into(), heap: 1 << 29, code: 1 << 26, guards: 48 << 30 },
        run: Run::default(),
    };
    let small = Program {
        terms: small_terms(),
        engine: Engine { compiler: Compiler::Optimizing, guard_pages: true, writable_code: false },
    };
    let local = Subject::Local(small.clone());
    let deployed = Subject::Deployment {
        program: Program {
            terms: full_terms(),
            engine: Engine {
                compiler: Compiler::Baseline,
                guard_pages: false,
                writable_code: true,
            },
        },
        deployment: Deployment {
            owner: Digest::of(&owner_der()),
            name: "example".into(),
            version: 3,
            generation: 1,
            manifest: Digest::of(&manifest(full_terms()).encode()),
        },
    };
    let said = |nonce| Said { nonce, data: "a value of the program's".into() };
    let Subject::Deployment { program, deployment } = deployed.clone() else { unreachable!() };
    let deployment = Some(deployment);
    let guests = [
        Subject::Guest { program, deployment, said: said(Some(Bytes(vec![0xbb; 32]))) },
        Subject::Guest { program: small, deployment: None, said: said(None) },
    ];
    let (nonce, key) = (Some(Bytes(vec![0xaa; 32])), Some(Digest([0x44; 32])));
    let bound = Run { nonce: nonce.clone(), key, channel: Some(Digest([0x77; 32])) };
    vec![
        of(local),
        Statement { run: Run { nonce, key, channel: None }, ..of(deployed) },
        Statement { run: bound, ..of(Subject::Host) },
    ]
    .into_iter()
    .chain(guests.map(of))
    .collect()
}
