//! The enclave holds a launch to its manifest whatever the host asks for: each term of a launch is
//! changed here without the tool, which would refuse it.

mod common;

use common::{Folder, built};
use graviola::signing::eddsa::Ed25519SigningKey;
use twine_evidence::access::Access as Rights;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{AllowedImage, Demands, Handover, Manifest, Restart, VERSION};
use twine_evidence::platform::Platform;
use twine_evidence::signed::Signed;
use twine_evidence::terms::{self, KeyPolicy, MountKind, Terms, Variable};
use twine_host::{Access, Folder as HostFolder, Image, Resources, Storage, Tee, run};
use twine_image::inspect_file;
use twine_protocol::key::{Scope, Sealing, VolumeKey};
use twine_protocol::launch::{
    Diagnostics, End, Invoke, Launch, Limits, MainFile, Mount, Source, Stream, Streams,
    VolumeSource,
};

/// Does nothing, and has a function to call.
const PROGRAM: &str = r#"(module (memory (export "memory") 1)
    (func (export "_start")) (func (export "other")))"#;

fn key() -> Ed25519SigningKey {
    Ed25519SigningKey::from_bytes(&[7; 32]).unwrap()
}

fn image() -> Image {
    Image::open(built("release/twine.sgxs")).unwrap()
}

fn program() -> Vec<u8> {
    wat::parse_str(PROGRAM).unwrap()
}

/// The manifest that all launches here are held to.
fn manifest() -> Manifest {
    let owner = &mut [0; 64];
    let owner = key().public_key().to_spki_der(owner).unwrap().to_vec();
    let measured = inspect_file(image().path()).unwrap();
    let mount = |guest: &str, kind, key, read_only, size| terms::Mount {
        guest: guest.into(),
        kind,
        key,
        read_only,
        size,
        main: None,
        former: None,
    };
    Manifest {
        format: VERSION,
        name: "app".into(),
        version: 1,
        generation: 1,
        owner: Bytes(owner),
        terms: Terms {
            program: Digest::of(&program()),
            arguments: vec!["app".into(), "one".into()],
            environment: vec![Variable { name: "HOME".into(), value: "/".into() }],
            secrets: vec!["TOKEN".into()],
            export: None,
            streams: terms::Streams {
                stdin: terms::Stream::None,
                stdout: terms::Stream::None,
                stderr: terms::Stream::None,
            },
            mounts: vec![
                mount("/data", MountKind::Volume, Some(KeyPolicy::Deployment), false, None),
                mount("/tmp", MountKind::Memory, None, false, Some(1 << 20)),
            ],
            sockets: Vec::new(),
            limits: terms::Limits { fuel: Some(1_000_000), ..terms::Limits::default() },
            diagnostics: terms::Diagnostics::default(),
        },
        images: vec![AllowedImage {
            measurement: Some(Digest(measured.mrenclave.0)),
            ..AllowedImage::default()
        }],
        demands: Demands::default(),
        access: Rights::default(),
        restart: Restart::default(),
        platform: Platform::default(),
        handover: Handover::default(),
    }
}

fn sign(manifest: &Manifest) -> Vec<u8> {
    Signed::sign(manifest, |message| key().sign(message)).unwrap()
}

/// The launch that the manifest allows.
fn launch() -> Launch {
    let key = VolumeKey::Sealed(Sealing::DEPLOYMENT);
    let volume = VolumeSource { storage: 0, key, create: true, cache: None, main: None };
    let mount = |guest: &str, source| Mount { guest: guest.into(), source, read_only: false };
    let none = Stream::None;
    Launch {
        arguments: vec!["app".into(), "one".into()],
        environment: vec![("HOME".into(), "/".into()), ("TOKEN".into(), "x".into())],
        secrets: vec!["TOKEN".into()],
        mounts: vec![
            mount("/data", Source::Volume(volume)),
            mount("/tmp", Source::Memory(1 << 20)),
        ],
        limits: Limits { fuel: Some(1_000_000), ..Limits::default() },
        streams: Streams { stdin: none, stdout: none, stderr: none },
        diagnostics: Diagnostics::default(),
        compile_threads: 1,
        manifest: Some(sign(&manifest())),
        ..Launch::default()
    }
}

/// Returns the volume.
fn volume(launch: &mut Launch) -> &mut VolumeSource {
    match &mut launch.mounts[0].source {
        Source::Volume(volume) => volume,
        other => panic!("{other:?}"),
    }
}

/// Returns the end of a launch by a host that offers a new volume, and a folder.
fn end(launch: &Launch, program: Vec<u8>) -> End {
    let folder = Folder::new();
    let resources = Resources {
        storages: vec![Storage::open(folder.path().join("v"), Access::Create).unwrap()],
        folders: vec![HostFolder::open(folder.path(), false).unwrap()],
        ..Resources::default()
    };
    let platform = Tee::Sim.choose().unwrap();
    run(&image(), platform, launch, program, resources).unwrap().outcome.end
}

/// Checks that a changed launch is refused, with this in the cause.
#[track_caller]
fn refused(launch: &Launch, program: Vec<u8>, why: &str) {
    match end(launch, program) {
        End::Refused { cause, .. } => assert!(cause.contains(why), "{why}: {cause}"),
        other => panic!("{why}: {other:?}"),
    }
}

#[test]
fn the_launch_that_the_manifest_allows_runs() {
    assert_eq!(end(&launch(), program()), End::Exited { code: 0, results: Vec::new() });
}

#[test]
fn a_launch_that_differs_in_any_term_is_refused_inside_by_its_name() {
    type Change = fn(&mut Launch);
    let changes: [(&str, Change); 28] = [
        ("arguments", |launch| launch.arguments.push(".dump".into())),
        ("arguments", |launch| launch.arguments.clear()),
        ("arguments", |launch| launch.arguments[0] = "other".into()),
        ("environment", |launch| launch.environment.push(("A".into(), "b".into()))),
        ("environment", |launch| launch.environment[0].1 = "/tmp".into()),
        ("environment", |launch| drop(launch.environment.remove(0))),
        ("secrets", |launch| launch.secrets.clear()),
        ("secrets", |launch| launch.secrets.push("HOME".into())),
        ("export", |launch| {
            launch.invoke = Some(Invoke { function: "other".into(), arguments: Vec::new() });
        }),
        ("streams", |launch| launch.streams.stdin = Stream::Host),
        ("streams", |launch| launch.streams.stdout = Stream::Host),
        ("streams", |launch| launch.streams.stderr = Stream::Host),
        ("mounts", |launch| launch.mounts.reverse()),
        ("mounts", |launch| drop(launch.mounts.pop())),
        ("mounts", |launch| launch.mounts[0].read_only = true),
        ("mounts", |launch| launch.mounts[0].guest = "/".into()),
        ("mounts", |launch| launch.mounts[0].source = Source::Folder(0)),
        ("mounts", |launch| launch.mounts[0].source = Source::Memory(1 << 20)),
        ("mounts", |launch| launch.mounts[1].source = Source::Memory(2 << 20)),
        ("mounts", |launch| {
            let former = "other.db".to_owned();
            volume(launch).main = Some(MainFile { name: "app.db".into(), former });
        }),
        ("mounts", |launch| {
            let shadow =
                Mount { guest: "/data/keys".into(), source: Source::Folder(0), read_only: false };
            launch.mounts.push(shadow);
        }),
        ("sockets", |launch| launch.listeners = 1),
        ("limits", |launch| launch.limits.fuel = Some(300)),
        ("limits", |launch| launch.limits.memory = Some(1 << 20)),
        ("limits", |launch| launch.limits.timeout = Some(1_000_000)),
        ("limits", |launch| launch.limits.interrupts = true),
        ("diagnostics", |launch| launch.diagnostics.backtraces = true),
        ("diagnostics", |launch| launch.diagnostics.statistics = true),
    ];
    for (term, change) in changes {
        let mut changed = launch();
        change(&mut changed);
        refused(&changed, program(), &format!("{term}: "));
    }
}

#[test]
fn a_volume_with_any_other_key_is_refused_inside() {
    let sealed = |this_image, scope| VolumeKey::Sealed(Sealing { this_image, scope });
    for other in [
        sealed(true, Scope::Program),
        sealed(false, Scope::Program),
        sealed(true, Scope::AnyProgram),
        sealed(false, Scope::AnyProgram),
        VolumeKey::File(vec![1; 32]),
        VolumeKey::Passphrase("the host's".into()),
    ] {
        let mut changed = launch();
        let Source::Volume(volume) = &mut changed.mounts[0].source else { unreachable!() };
        volume.key = other;
        refused(&changed, program(), "mounts: ");
    }
}

#[test]
fn a_secret_without_a_value_or_with_two_is_refused_inside() {
    let mut changed = launch();
    changed.environment.pop();
    refused(&changed, program(), "the secret TOKEN has no value, or several");
    let mut changed = launch();
    changed.environment.push(("TOKEN".into(), "y".into()));
    refused(&changed, program(), "the secret TOKEN has no value, or several");
}

#[test]
fn another_program_is_refused_inside() {
    let other = wat::parse_str(PROGRAM.replace("other", "more")).unwrap();
    refused(&launch(), other, "program: ");
}

#[test]
fn a_manifest_that_was_changed_or_is_not_signed_is_refused_inside() {
    let signed = sign(&manifest());
    for at in [0, 10, signed.len() / 2, signed.len() - 1] {
        let mut changed = launch();
        let mut bytes = signed.clone();
        bytes[at] ^= 1;
        changed.manifest = Some(bytes);
        refused(&changed, program(), "manifest");
    }
    let mut changed = launch();
    changed.manifest = Some(manifest().encode());
    refused(&changed, program(), "it is not a signed manifest");
}

#[test]
fn an_image_that_the_manifest_does_not_name_refuses_it() {
    let mut other = manifest();
    other.images[0].measurement = Some(Digest([1; 32]));
    let changed = Launch { manifest: Some(sign(&other)), ..launch() };
    refused(&changed, program(), "the manifest does not allow this image");
}

#[test]
fn without_the_manifest_there_is_no_key_of_the_deployment() {
    let changed = Launch { manifest: None, ..launch() };
    refused(&changed, program(), "/data");
}

/// The host can't ask for such a stream: a local launch has none.
#[test]
fn a_manifest_whose_streams_lead_to_its_owner_is_refused_inside() {
    for stream in [Stream::None, Stream::Host] {
        let mut other = manifest();
        other.terms.streams.stdout = terms::Stream::Owner;
        let mut changed = Launch { manifest: Some(sign(&other)), ..launch() };
        changed.streams.stdout = stream;
        let End::Refused { cause, remedy } = end(&changed, program()) else { panic!("it ran") };
        let allowed = "and (stdin none, stdout owner, stderr none) is allowed";
        assert!(cause.ends_with(allowed), "{cause}");
        assert!(remedy.contains("`twine deploy`"), "{remedy}");
    }
}
