//! An example of a manifest, and how manifests are read from TOML.

use super::document::Problem;
use super::read::read;
use crate::owner_key;
use std::path::Path;
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{AllowedImage, Demands, Handover, Manifest, Restart, VERSION};
use twine_evidence::platform::{Platform, Root, TcbStatus};
use twine_evidence::sockets::{Certificate, Peers, Socket, Trust, Way};
use twine_evidence::terms::{
    Diagnostics, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};

/// The public half of the Ed25519 key in RFC 8032, section 7.1, test 1.
pub(super) const OWNER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";

/// A manifest that leaves nothing to the host.
pub(super) fn example() -> Manifest {
    let mount = |guest: &str, kind, key, size| Mount {
        guest: guest.into(),
        kind,
        key,
        read_only: false,
        size,
        main: None,
        former: None,
    };
    let owner = owner_key::public_from_pem(OWNER.as_bytes()).unwrap();
    Manifest {
        format: VERSION,
        name: "app".into(),
        version: 3,
        generation: 1,
        owner: Bytes(owner.der().to_vec()),
        terms: Terms {
            program: Digest::of(b"program"),
            arguments: vec!["app".into(), "--flag".into()],
            environment: vec![Variable { name: "HOME".into(), value: "/data".into() }],
            secrets: vec!["TOKEN".into()],
            export: None,
            streams: Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None },
            mounts: vec![
                mount("/data", MountKind::Volume, Some(KeyPolicy::Deployment), None),
                mount("/tmp", MountKind::Memory, None, Some(1 << 20)),
            ],
            sockets: Vec::new(),
            limits: Limits { fuel: Some(1000), ..Limits::default() },
            diagnostics: Diagnostics::default(),
        },
        images: vec![AllowedImage {
            measurement: Some(Digest::of(b"image")),
            ..AllowedImage::default()
        }],
        demands: Demands::default(),
        access: Access::default(),
        restart: Restart::default(),
        platform: Platform::default(),
        handover: Handover::default(),
    }
}

/// The public half of a P-256 key.
const OTHER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDwcsxhzRomdwfn+fYFjexJ2s5lyd\n\
    Omvi2P7QGYvHpF6q2yITzHCkxMCvn3VE0fc90GHs6PegbLl2VHWSijw1ug==\n\
    -----END PUBLIC KEY-----\n";

/// A manifest with what only a deployment on a host has.
pub(super) fn for_hosts() -> Manifest {
    let other = owner_key::public_from_pem(OTHER.as_bytes()).unwrap();
    Manifest {
        access: Access { deploy: vec![Bytes(other.der().to_vec())], ..Access::default() },
        restart: Restart::Always,
        platform: Platform {
            root: Root::Simulation,
            statuses: vec![TcbStatus::UpToDate, TcbStatus::OutOfDate],
            least_evaluation_number: Some(17),
            ppid_hashes: vec![Digest::of(b"platform")],
        },
        handover: Handover { from: vec![Digest::of(b"older image")] },
        ..example()
    }
}

/// A manifest with only what each must have.
fn smallest() -> String {
    format!(
        "name = \"app\"\nversion = 1\ngeneration = 1\nowner = '''\n{OWNER}'''\n\
         program = \"{}\"\n[[images]]\nmeasurement = \"{}\"\n",
        Digest::of(b"program"),
        Digest::of(b"image")
    )
}

#[test]
fn whatever_a_manifest_does_not_name_is_off() {
    let manifest = read(&smallest(), Path::new(".")).unwrap().manifest;
    let off = Terms {
        program: Digest::of(b"program"),
        arguments: Vec::new(),
        environment: Vec::new(),
        secrets: Vec::new(),
        export: None,
        streams: Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None },
        mounts: Vec::new(),
        sockets: Vec::new(),
        limits: Limits::default(),
        diagnostics: Diagnostics::default(),
    };
    assert_eq!(manifest.terms, off);
    assert_eq!(manifest.demands, Demands::default());
    assert_eq!((manifest.access, manifest.restart), (Access::default(), Restart::Never));
    assert_eq!(manifest.platform, Platform::default());
}

/// The tables of a manifest that has everything.
const TABLES: &str = r#"
    signer = "0000000000000000000000000000000000000000000000000000000000000001"
    product = 1
    min-svn = 2
    [environment]
    HOME = "/data"
    [export]
    function = "add"
    arguments = ["1", "2"]
    [streams]
    stdin = "host"
    stdout = "none"
    stderr = "owner"
    [[mounts]]
    guest = "/data"
    kind = "volume"
    [[mounts]]
    guest = "/shared"
    kind = "volume"
    key = "sealed:deployment"
    read-only = true
    [[mounts]]
    guest = "/tmp"
    kind = "memory"
    size = 4096
    [[mounts]]
    guest = "/host"
    kind = "folder"
    [limits]
    memory = "64MiB"
    fuel = 1_000
    timeout = "5s"
    interrupts = true
    [diagnostics]
    backtraces = true
    statistics = true
    [demands]
    allow-debug = true
    allow-writable-code = true
    "#;

#[test]
fn every_key_is_read() {
    let smallest = smallest();
    let text = format!(
        "arguments = [\"app\"]\nsecrets = [\"TOKEN\"]\nprogram-file = \"a\"\n\
         {smallest}{TABLES}"
    );
    let read = read(&text, Path::new(".")).unwrap();
    let (manifest, terms) = (&read.manifest, &read.manifest.terms);
    assert_eq!(read.file.as_deref(), Some("a"));
    assert_eq!(terms.arguments, ["app".into()]);
    assert_eq!(terms.environment, [Variable { name: "HOME".into(), value: "/data".into() }]);
    assert_eq!(terms.secrets, ["TOKEN".into()]);
    let export = terms.export.as_ref().unwrap();
    assert_eq!((&*export.function, export.arguments.join(" ")), ("add", "1 2".into()));
    assert_eq!(
        terms.streams,
        Streams { stdin: Stream::Host, stdout: Stream::None, stderr: Stream::Owner }
    );
    let mount = |guest: &str, kind, key, read_only, size| Mount {
        guest: guest.into(),
        kind,
        key,
        read_only,
        size,
        main: None,
        former: None,
    };
    let deployment = Some(KeyPolicy::Deployment);
    assert_eq!(
        terms.mounts,
        [
            mount("/data", MountKind::Volume, deployment, false, None),
            mount("/shared", MountKind::Volume, deployment, true, None),
            mount("/tmp", MountKind::Memory, None, false, Some(4096)),
            mount("/host", MountKind::Folder, None, false, None),
        ]
    );
    let (memory, fuel, timeout) = (Some(64 << 20), Some(1000), Some(5_000_000_000));
    assert_eq!(terms.limits, Limits { memory, fuel, timeout, interrupts: true });
    assert_eq!(terms.diagnostics, Diagnostics { backtraces: true, statistics: true });
    assert_eq!(manifest.demands, Demands { allow_debug: true, allow_writable_code: true });
    let image = &manifest.images[0];
    assert_eq!((image.measurement, image.product), (Some(Digest::of(b"image")), Some(1)));
    assert_eq!((image.min_svn, image.signer.map(|signer| signer.0[31])), (Some(2), Some(1)));
}

/// Writes a list with keys in PEM.
fn keys(keys: &[&str]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("'\'\'\n{key}'\'\'")).collect();
    format!("[{}]", keys.join(", "))
}

#[test]
fn the_parts_for_hosts_are_read() {
    let text = format!(
        "restart = \"always\"\n{}[access]\ndeploy = {}\n[platform]\nroot = \"simulation\"\n\
         statuses = [\"OutOfDate\", \"UpToDate\"]\nleast-evaluation-number = 17\n\
         ppid-hashes = [\"{}\"]\n[handover]\nfrom = [\"{}\"]\n",
        smallest(),
        keys(&[OTHER]),
        Digest::of(b"platform"),
        Digest::of(b"older image")
    );
    let read_text = read(&text, Path::new(".")).unwrap().manifest;
    let Manifest { access, restart, platform, handover, .. } = read_text;
    let wanted = for_hosts();
    assert_eq!((access, restart, platform), (wanted.access, wanted.restart, wanted.platform));
    assert_eq!(handover, wanted.handover);
    let default = format!("restart = \"never\"\n{}[platform]\nroot = \"intel\"\n", smallest());
    let read = read(&default, Path::new(".")).unwrap().manifest;
    assert_eq!((read.restart, read.platform), (Restart::Never, Platform::default()));
}

#[test]
fn wrong_parts_for_hosts_are_refused_with_a_remedy() {
    refused("restart = \"daily\"\n", "", "does not say when", "\"always\"");
    let deploy = |list: &[&str]| format!("[access]\ndeploy = {}", keys(list));
    refused("", &deploy(&[OTHER, OTHER]), "given twice", "once");
    refused("", &deploy(&[OWNER]), "the owner's key", "leave it out");
    refused("", &deploy(&[OTHER; 65]), "65 keys are too many", "at most 64");
    let hash = Digest::of(b"platform");
    let twice = format!("[platform]\nppid-hashes = [\"{hash}\", \"{hash}\"]");
    refused("", &twice, "given twice", "once");
    let twice = format!("[handover]\nfrom = [\"{hash}\", \"{hash}\"]");
    refused("", &twice, "this image is given twice", "once");
    for (table, cause, remedy) in [
        ("[handover]", "", "name the older images"),
        ("[handover]\nfrom = []", "names nothing", "leave it out"),
        ("[handover]\nfrom = [\"00\"]", "no SHA-256", "twine image inspect"),
        ("[handover]\nto = []", "`to` is no key of `handover`", "from"),
        ("[access]\ndeploy = \"ci.pub\"", "a list is wanted", "[ and ]"),
        ("[access]\nstop = [\"no such file\"]", "no such file", "twine key public"),
        ("[access]\nupdate = []", "`update` is no key of `access`", "deploy, look, stop, files"),
        ("[platform]\nroot = \"amd\"", "no root of trust", "\"intel\""),
        ("[platform]\nstatuses = []", "names nothing", "leave it out"),
        ("[platform]\nstatuses = [\"Revoked\"]", "can be accepted", "UpToDate, "),
        ("[platform]\nstatuses = [\"OutOfDate\", \"OutOfDate\"]", "named twice", "once"),
        ("[platform]\nleast-evaluation-number = 4294967296", "too large", "4294967295"),
        ("[platform]\nppid-hashes = [\"00\"]", "no SHA-256", "twine verify"),
        ("[platform]\nppid-hashes = []", "names nothing", "leave it out"),
        ("[platform]\nsmt = false", "`smt` is no key of `platform`", "ppid-hashes"),
    ] {
        refused("", table, cause, remedy);
    }
}

/// Reads the smallest manifest with lines before and after it.
fn problems(before: &str, after: &str) -> Vec<Problem> {
    let text = format!("{before}{}{after}", smallest());
    read(&text, Path::new(".")).err().unwrap_or_default()
}

/// Checks that the manifest has a problem with this cause and remedy, and at most one that follows.
#[track_caller]
fn refused(before: &str, after: &str, cause: &str, remedy: &str) {
    let found = problems(before, after);
    let right =
        |problem: &Problem| problem.cause.contains(cause) && problem.remedy.contains(remedy);
    assert!(found.iter().any(right) && found.len() <= 2, "{before}{after}: {found:?}");
    for Problem { cause, remedy, .. } in found {
        assert!(!cause.contains('\n') && !remedy.contains('\n'), "{cause} {remedy}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_a_remedy() {
    for (line, cause, remedy) in [
        ("color = 1", "`color` is no key of a manifest", "arguments"),
        ("arguments = \"a\"", "a list is wanted", "[ and ]"),
        ("arguments = [\"\\u0000\"]", "NUL", "leave"),
        ("listeners = 1", "no key of a manifest", "listen"),
        ("secrets = [\"A\", \"A\"]", "named twice", "once"),
        ("secrets = [\"A=b\"]", "no name of a variable", "HOME"),
    ] {
        refused(&format!("{line}\n"), "", cause, remedy);
    }
    refused("secrets = [\"A\"]\n", "[environment]\nA = \"\"", "A is in `environment`", "no part");
    for (table, cause, remedy) in [
        ("[environment]\n\"A=B\" = \"\"", "no name of a variable", "HOME"),
        ("[environment]\nA = 1", "a text is wanted", "quotes"),
        ("[streams]\nstdout = \"file\"", "no place for a stream", "\"owner\""),
        ("[streams]\nstdlog = \"none\"", "`stdlog` is no key of `streams`", "stderr"),
        ("[export]\narguments = []", "`function` is missing", "add"),
        ("[limits]\nmemory = \"1.5GB\"", "whole number", "64MiB"),
        ("[limits]\ntimeout = \"0s\"", "longer than zero", "5s"),
        ("[limits]\nfuel = 1.5", "a number is wanted", "quotes"),
        ("[diagnostics]\nbacktraces = 1", "true or false", "quotes"),
        ("[[images]]\nproduct = 1", "needs a measurement", "twine measure"),
        ("[[images]]\nsigner = \"abc\"", "no SHA-256", "64 hexadecimal"),
        ("[[images]]\nsigner = \"abc\"\nmin-svn = 65536", "too large", "65535"),
    ] {
        refused("", table, cause, remedy);
    }
}

#[test]
fn a_mount_with_parts_of_another_kind_or_without_its_own_is_refused() {
    for (mount, cause, remedy) in [
        ("kind = \"volume\"", "`guest` is missing", "/data"),
        ("guest = \"/a\"", "`kind` is missing", "volume"),
        ("guest = \"a\"\nkind = \"volume\"", "no absolute path", "/data"),
        ("guest = \"/a/\"\nkind = \"volume\"", "shortest form", "/data"),
        ("guest = \"/a//b\"\nkind = \"volume\"", "shortest form", "/data"),
        ("guest = \"/a/../b\"\nkind = \"volume\"", "shortest form", "/data"),
        ("guest = \"/a\"\nkind = \"disk\"", "no kind of mount", "memory"),
        ("guest = \"/a\"\nkind = \"memory\"", "`size` is missing", "64MiB"),
        ("guest = \"/a\"\nkind = \"volume\"\nsize = 1", "only a file tree", "leave"),
        ("guest = \"/a\"\nkind = \"folder\"\nkey = \"sealed\"", "only a volume", "leave"),
        ("guest = \"/a\"\nkind = \"volume\"\nkey = \"sealed\"", "others could have", "sealed:"),
        (
            "guest = \"/a\"\nkind = \"folder\"\n[[mounts]]\nguest = \"/a\"\nkind = \"folder\"",
            "another mount has the path /a",
            "its own",
        ),
    ] {
        refused("", &format!("[[mounts]]\n{mount}"), cause, remedy);
    }
}

/// A certificate, as far as a manifest looks at it.
const ROOT: &str = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";

/// Sockets of each kind.
pub(super) fn sockets() -> Vec<Socket> {
    let listen = |name: &str, port| Socket { name: name.into(), port, ..Socket::default() };
    let connect = |name: &str, host: &str| Socket {
        way: Way::Connect,
        host: Some(host.into()),
        ..listen(name, Some(5432))
    };
    let peers = Peers { deployments: vec!["a".into(), "b".into()], ..Peers::default() };
    let exact = Peers {
        owner: Some(owner_key::public_from_pem(OTHER.as_bytes()).unwrap().id()),
        images: vec![AllowedImage {
            measurement: Some(Digest::of(b"other image")),
            min_svn: Some(3),
            ..AllowedImage::default()
        }],
        least_version: 2,
        ..peers.clone()
    };
    let trust = Trust { roots: ROOT.into(), name: Some("db.example".into()) };
    let certificate = Certificate { chain: "TOKEN".into(), key: "TOKEN".into() };
    vec![
        listen("plain", None),
        Socket { certificate: Some(certificate), ..listen("web", Some(443)) },
        Socket { attested: Some(Peers { stale: true, ..peers }), ..listen("inner", Some(7000)) },
        connect("dns", "::1"),
        Socket { trust: Some(trust), ..connect("db", "10.0.0.1") },
        Socket { attested: Some(exact), ..connect("other", "other.example") },
    ]
}

#[test]
fn sockets_of_each_kind_are_read() {
    let tables = format!(
        "[[connect]]\nname = \"dns\"\naddress = \"[::1]:5432\"\ntls = \"none\"\n\
         [[connect]]\nname = \"db\"\naddress = \"10.0.0.1:5432\"\ntls = \"certificate\"\n\
         roots = '''\nsubject=x\n{ROOT}'''\nserver-name = \"db.example\"\n\
         [[listen]]\nname = \"plain\"\ntls = \"none\"\n\
         [[listen]]\nname = \"web\"\nport = 443\ntls = \"certificate\"\ncertificate = \"TOKEN\"\n\
         key = \"TOKEN\"\n\
         [[listen]]\nname = \"inner\"\nport = 7000\ntls = \"attested\"\ndeployments = [\"a\", \"b\"]\n\
         fresh = false\n\
         [[connect]]\nname = \"other\"\naddress = \"other.example:5432\"\ntls = \"attested\"\n\
         deployments = [\"a\", \"b\"]\nowner = '''\n{OTHER}'''\nleast-version = 2\n\
         images = [{{ measurement = \"{}\", min-svn = 3 }}]\n",
        Digest::of(b"other image")
    );
    let text = format!("secrets = [\"TOKEN\"]\n{}{tables}", smallest());
    let read = read(&text, Path::new(".")).unwrap();
    assert_eq!(read.manifest.terms.sockets, sockets());
}

#[test]
fn a_socket_with_parts_of_another_kind_or_without_its_own_is_refused() {
    for (socket, cause, remedy) in [
        ("[[listen]]\ntls = \"none\"", "`name` is missing", "web"),
        ("[[listen]]\nname = \"a/b\"\ntls = \"none\"", "no name of a socket", "letters"),
        ("[[listen]]\nname = \"a\"", "`tls` is missing", "attested"),
        ("[[listen]]\nname = \"a\"\ntls = \"yes\"", "no kind of TLS", "certificate"),
        ("[[listen]]\nname = \"a\"\ntls = \"none\"\nport = 0", "0 is no port", "leave"),
        ("[[listen]]\nname = \"a\"\ntls = \"none\"\nport = 65536", "too large", "65535"),
        ("[[listen]]\nname = \"a\"\ntls = \"none\"\nkey = \"K\"", "`key` is no key", "port"),
        ("[[listen]]\nname = \"a\"\ntls = \"certificate\"", "`certificate` is missing", "secret"),
        (
            "[[listen]]\nname = \"a\"\ntls = \"certificate\"\ncertificate = \"C\"\nkey = \"K\"",
            "none of `secrets`",
            "--secret",
        ),
        ("[[listen]]\nname = \"a\"\ntls = \"attested\"", "`deployments` is missing", "at the"),
        (
            "[[listen]]\nname = \"a\"\ntls = \"attested\"\ndeployments = []",
            "names no deployment",
            "at least one",
        ),
        ("[[connect]]\nname = \"a\"\ntls = \"none\"", "`address` is missing", "5432"),
        (
            "[[connect]]\nname = \"a\"\ntls = \"none\"\naddress = \"db\"",
            "no host with a port",
            "[::1]:5432",
        ),
        (
            "[[connect]]\nname = \"a\"\ntls = \"certificate\"\naddress = \"db:1\"\nroots = \"-----BEGIN\"",
            "it has no certificate",
            "PEM",
        ),
        (
            "[[connect]]\nname = \"a\"\ntls = \"attested\"\naddress = \"db:1\"\n\
             deployments = [\"b\"]\nfresh = false",
            "`fresh` is no key",
            "owner",
        ),
        (
            "[[listen]]\nname = \"a\"\ntls = \"none\"\n[[connect]]\nname = \"a\"\ntls = \"none\"\n\
             address = \"db:1\"",
            "another socket has the name a",
            "its own",
        ),
    ] {
        refused("", socket, cause, remedy);
    }
}

#[test]
fn whatever_a_manifest_must_have_is_asked_for_at_once() {
    let found = read("color = 1", Path::new(".")).unwrap_err();
    let causes: Vec<_> = found.into_iter().map(|problem| problem.cause).collect();
    let missing = ["generation", "images", "name", "owner", "program", "version"];
    assert_eq!(causes[1..], missing.map(|key| format!("`{key}` is missing")));
    assert_eq!(causes[0], "`color` is no key of a manifest");
}

#[test]
fn a_private_key_in_place_of_the_owners_public_one_is_refused() {
    let key = owner_key::OwnerKey::generate(twine_evidence::owner::Algorithm::EdDsa).unwrap();
    let text = smallest().replace(OWNER, &key.to_pem());
    let found = read(&text, Path::new(".")).unwrap_err();
    assert!(found[0].cause.contains("it is a private key"), "{found:?}");
    assert_eq!((found[0].place.line, found[0].place.column), (4, 9));
}

/// The example of the document, with the key in it.
fn example_of_the_document() -> String {
    let document = include_str!("../../../../docs/manifest.md");
    let example = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    example.unwrap().replace("\"owner.pub\"", &format!("'''\n{OWNER}'''"))
}

#[test]
fn the_example_of_the_document_is_valid() {
    let manifest = read(&example_of_the_document(), Path::new(".")).unwrap().manifest;
    assert_eq!((&*manifest.name, manifest.terms.mounts.len()), ("notes", 2));
}

#[test]
fn a_manifest_with_any_character_changed_is_read_or_refused_within_its_lines() {
    let text = example_of_the_document();
    for (at, _) in text.char_indices() {
        for new in ["", "\"", "[", "]", "=", "\n", "\0", "ä", "'''", "9"] {
            let changed = format!("{}{new}{}", &text[..at], &text[at + 1..]);
            let lines = changed.lines().count() + 1;
            for problem in read(&changed, Path::new(".")).err().unwrap_or_default() {
                assert!((1..=lines).contains(&problem.place.line), "{at} {new:?} {problem:?}");
                let texts = [&problem.cause, &problem.remedy];
                assert!(!texts.iter().any(|text| text.contains('\n')), "{at} {new:?} {problem:?}");
            }
        }
    }
}
