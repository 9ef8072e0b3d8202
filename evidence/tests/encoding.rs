//! One value has one encoding: whatever else says the same is refused.

use minicbor::Encoder;
use twine_evidence::bytes::{Bytes, Digest, to_hex};
use twine_evidence::cbor::Error;
use twine_evidence::channel::{Role, binder, owner_message};
use twine_evidence::claims::{Claims, evidence, no_key, report_data};
use twine_evidence::statement::{
    Compiler, Deployment, Engine, Image, Kind, MAX_BYTES, MAX_DATA_BYTES, MAX_NONCE_BYTES, Program,
    Run, Said, Statement, Subject, VERSION,
};
use twine_evidence::terms::{
    Diagnostics, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};

/// The terms and the engine of the document's program.
fn program() -> Program {
    let terms = Terms {
        program: Digest([0x11; 32]),
        arguments: vec![Bytes::from("hello.wasm")],
        environment: vec![Variable { name: "HOME".into(), value: "/".into() }],
        secrets: vec!["TOKEN".into()],
        export: None,
        streams: Streams { stdin: Stream::None, stdout: Stream::Host, stderr: Stream::Host },
        mounts: vec![Mount {
            guest: "/tmp".into(),
            kind: MountKind::Memory,
            key: None,
            read_only: false,
            size: Some(1 << 20),
            main: None,
            former: None,
        }],
        sockets: Vec::new(),
        limits: Limits { memory: Some(1 << 26), ..Limits::default() },
        diagnostics: Diagnostics { backtraces: true, statistics: false },
    };
    let engine = Engine { compiler: Compiler::Optimizing, guard_pages: true, writable_code: false };
    Program { terms, engine }
}

fn deployment() -> Deployment {
    Deployment {
        owner: Digest([0x55; 32]),
        name: "app".into(),
        version: 3,
        generation: 1,
        manifest: Digest([0x66; 32]),
    }
}

/// The run of the document's statements.
fn of_run(channel: Option<Digest>) -> Run {
    Run { nonce: Some(Bytes(vec![0xaa; 4])), key: Some(Digest([0x44; 32])), channel }
}

fn of(subject: Subject) -> Statement {
    Statement {
        version: VERSION,
        subject,
        image: Image { runtime: "0.1.0".into(), heap: 1 << 29, code: 1 << 26, guards: 48 << 30 },
        run: of_run(None),
    }
}

fn statement() -> Statement {
    of(Subject::Local(program()))
}

fn host() -> Statement {
    Statement { run: of_run(Some(BINDER)), ..of(Subject::Host) }
}

/// What the document's program says.
fn said() -> Said {
    Said { nonce: Some(Bytes(vec![0xbb; 8])), data: "hello".into() }
}

/// A statement in which the document's program says something.
fn guest(deployment: Option<Deployment>, said: Said) -> Statement {
    let subject = Subject::Guest { program: program(), deployment, said };
    Statement { run: Run::default(), ..of(subject) }
}

/// The binder of a server with the key of [`of_run`], a client without a key, and an exporter of 32
/// bytes 0x88, as `sha256sum` computes it.
const BINDER: Digest = Digest([
    0xbb, 0x85, 0x1c, 0x5a, 0xa5, 0xfe, 0xdd, 0xbc, 0xc9, 0xee, 0x40, 0x77, 0xed, 0x8f, 0x17, 0x33,
    0xd2, 0x88, 0xf7, 0x86, 0xab, 0x03, 0xc6, 0x5f, 0xba, 0xe0, 0xee, 0xad, 0x5f, 0xb5, 0xba, 0x96,
]);

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

#[test]
fn the_document_gives_every_byte_of_these_statements() {
    assert_eq!(listing("statement"), to_hex(&statement().encode()));
    assert_eq!(listing("host statement"), to_hex(&host().encode()));
    // The parts that are those of the local run are not repeated.
    let parts = [program_parts(), image_part()];
    let listed = listing("guest statement");
    let listed = listed.replacen("....", &parts[0], 1).replacen("....", &parts[1], 1);
    assert_eq!(listed, to_hex(&guest(None, said()).encode()));
    assert!(include_str!("../../docs/evidence.md").contains(&format!("`{}`", no_key())));
    assert_eq!(no_key(), Digest::of(b"twine-no-key-v1"));
}

/// Keys 2 and 4 of the document's local statement.
fn program_parts() -> String {
    to_hex(&of_kind(Kind::Local, &[2, 4], &[]))
}

/// Key 5 of the document's statements.
fn image_part() -> String {
    to_hex(&of_kind(Kind::Local, &[5], &[]))
}

#[test]
fn the_document_gives_the_binder_of_this_connection() {
    let own = Digest([0x44; 32]);
    assert_eq!(binder(Role::Server, own, None, &[0x88; 32]), BINDER);
    let document = include_str!("../../docs/evidence.md");
    assert!(document.contains(&format!("`{BINDER}`")), "{BINDER}");
    // Each part of it counts.
    let peer = Digest([0x45; 32]);
    let others = [
        binder(Role::Client, own, None, &[0x88; 32]),
        binder(Role::Server, Digest([0x43; 32]), None, &[0x88; 32]),
        binder(Role::Server, own, Some(peer), &[0x88; 32]),
        binder(Role::Server, own, None, &[0x89; 32]),
    ];
    assert!(others.iter().all(|other| *other != BINDER));
    // Neither side can show the evidence of the other one as its own.
    let here = binder(Role::Server, own, Some(peer), &[1; 32]);
    assert_ne!(here, binder(Role::Client, peer, Some(own), &[1; 32]));
}

#[test]
fn what_a_client_signs_is_46_bytes() {
    let message = owner_message(&[0x99; 32]);
    assert_eq!(to_hex(&message), "7477696e652d6f776e65722d7631".to_owned() + &"99".repeat(32));
}

#[test]
fn the_document_gives_every_byte_of_these_claims_and_of_this_evidence() {
    let claims =
        Claims { key: Digest([0x44; 32]), nonce: Some(vec![0xaa; 4]), statement: vec![0xa0] };
    let hash = "82015820".to_owned() + &"44".repeat(32);
    let encoded =
        format!("a3656e6f6e636544aaaaaaaa657477696e6541a06b7075626b65792d686173685824{hash}");
    assert_eq!(to_hex(&claims.encode()), encoded);
    let without = Claims { nonce: None, ..claims.clone() };
    assert_eq!(to_hex(&without.encode()), encoded.replacen("a3656e6f6e636544aaaaaaaa", "a2", 1));
    assert_eq!(to_hex(&evidence(b"quote", &[0xa0])), format!("d9ea608245{}41a0", to_hex(b"quote")));
    let data = report_data(&claims.encode());
    assert_eq!(data[..32], Digest::of(&claims.encode()).0);
    assert_eq!(data[32..], [0; 32]);
}

#[test]
fn each_changed_bit_of_a_statement_is_refused_or_makes_another_statement() {
    for statement in [statement(), host(), guest(Some(deployment()), said())] {
        let bytes = statement.encode();
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            if let Ok(other) = Statement::decode(&changed) {
                assert_ne!(other, statement, "bit {at}");
                assert_eq!(other.encode(), changed, "bit {at}");
            }
        }
    }
}

#[test]
fn each_prefix_and_extension_of_a_statement_is_refused() {
    let bytes = statement().encode();
    for length in 0..bytes.len() {
        assert!(Statement::decode(&bytes[..length]).is_err(), "prefix of {length} bytes");
    }
    assert_eq!(Statement::decode(&[bytes, vec![0]].concat()), Err(Error::NotCanonical));
}

/// Writes the map of a statement of this kind with `items` of it, in this order.
fn of_kind(kind: Kind, items: &[u8], head: &[u8]) -> Vec<u8> {
    let (statement, program) = (statement(), program());
    let mut encoder = Encoder::new(head.to_vec());
    for item in items {
        encoder.u8(*item).unwrap();
        match item {
            0 => encoder.u32(statement.version).map(drop).unwrap(),
            1 => encoder.encode(kind).map(drop).unwrap(),
            2 => encoder.encode(&program.terms).map(drop).unwrap(),
            3 => encoder.encode(deployment()).map(drop).unwrap(),
            4 => encoder.encode(program.engine).map(drop).unwrap(),
            5 => encoder.encode(&statement.image).map(drop).unwrap(),
            6 if kind == Kind::Guest => encoder.encode(Run::default()).map(drop).unwrap(),
            6 => encoder.encode(&statement.run).map(drop).unwrap(),
            7 => encoder.encode(said()).map(drop).unwrap(),
            _ => encoder.null().map(drop).unwrap(),
        }
    }
    encoder.into_writer()
}

/// Writes the map of a local statement with `items` of it, in this order.
fn with_items(items: &[u8], head: &[u8]) -> Vec<u8> {
    of_kind(Kind::Local, items, head)
}

#[test]
fn a_statement_in_another_form_is_refused() {
    let canonical = with_items(&[0, 1, 2, 4, 5, 6], &[0xa6]);
    assert_eq!(Statement::decode(&canonical), Ok(statement()));
    let indefinite = [with_items(&[0, 1, 2, 4, 5, 6], &[0xbf]), vec![0xff]].concat();
    let head = with_items(&[0, 1, 2], &[0xa7]);
    let null = [head, vec![3, 0xf6], with_items(&[4, 5, 6], &[])].concat();
    for (what, bytes) in [
        ("a map of indefinite length", indefinite),
        ("a key twice", with_items(&[0, 1, 2, 4, 5, 6, 6], &[0xa7])),
        ("keys in another order", with_items(&[1, 0, 2, 4, 5, 6], &[0xa6])),
        ("a longer form of the map's head", with_items(&[0, 1, 2, 4, 5, 6], &[0xb8, 6])),
        ("an unknown key", with_items(&[0, 1, 2, 4, 5, 6, 9], &[0xa7])),
        ("a null for what is absent", null),
    ] {
        assert_eq!(Statement::decode(&bytes), Err(Error::NotCanonical), "{what}");
    }
    for (what, bytes) in [
        ("a missing key", with_items(&[0, 1, 2, 4, 5], &[0xa5])),
        ("an array", with_items(&[0, 1, 2, 4, 5, 6], &[0x8c])),
        (
            "a map of absurd size",
            with_items(&[0], &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ),
        (
            "a text of absurd size",
            vec![0xa1, 0x00, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
    ] {
        assert!(matches!(Statement::decode(&bytes), Err(Error::Malformed(_))), "{what}");
    }
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let mut bytes = vec![0xa1, 0x09];
    bytes.resize(MAX_BYTES, 0x81);
    assert!(matches!(Statement::decode(&bytes), Err(Error::Malformed(_))));
    bytes.push(0x81);
    assert!(matches!(Statement::decode(&bytes), Err(Error::TooLong { .. })));
}

#[test]
fn a_launch_is_the_same_for_each_run_and_another_for_each_other_term() {
    let again = Statement { run: Run::default(), ..statement() };
    assert_eq!(again.launch(), statement().launch());
    assert_eq!(again.launch(), Digest::of(&again.encode()));
    let bound = Statement { run: of_run(Some(BINDER)), ..statement() };
    assert_eq!(bound.launch(), statement().launch());
    let mut other = program();
    other.terms.arguments.push("--dump".into());
    assert_ne!(of(Subject::Local(other)).launch(), statement().launch());
    let engine = Engine { writable_code: true, ..program().engine };
    let other = Program { engine, ..program() };
    assert_ne!(of(Subject::Local(other)).launch(), statement().launch());
    assert_ne!(host().launch(), statement().launch());
}

#[test]
fn a_statement_of_another_version_is_refused() {
    let newer = Statement { version: VERSION + 1, ..statement() };
    let Err(Error::Malformed(cause)) = Statement::decode(&newer.encode()) else {
        panic!("it was decoded")
    };
    assert_eq!(cause, "statement version 2 where 1 is known");
}

#[test]
fn a_statement_has_the_parts_of_its_kind_and_no_others() {
    let whole: [(Kind, &[u8], Statement); 5] = [
        (Kind::Guest, &[0, 1, 2, 4, 5, 6, 7], guest(None, said())),
        (Kind::Guest, &[0, 1, 2, 3, 4, 5, 6, 7], guest(Some(deployment()), said())),
        (Kind::Local, &[0, 1, 2, 4, 5, 6], statement()),
        (
            Kind::Deployment,
            &[0, 1, 2, 3, 4, 5, 6],
            of(Subject::Deployment { program: program(), deployment: deployment() }),
        ),
        (Kind::Host, &[0, 1, 5, 6], of(Subject::Host)),
    ];
    for (kind, _, statement) in &whole {
        assert_eq!(statement.subject.kind(), *kind);
        // Each combination of terms, deployment, engine and what a program says.
        for chosen in 0..16 {
            let optional = [2, 3, 4, 7].into_iter().enumerate();
            let optional = optional.filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, part)| part);
            let mut items: Vec<u8> = [0, 1].into_iter().chain(optional).chain([5, 6]).collect();
            items.sort_unstable();
            let head = [0xa0 | items.len() as u8];
            let decoded = Statement::decode(&of_kind(*kind, &items, &head));
            let found = whole.iter().find(|(other, parts, _)| other == kind && items == *parts);
            match found {
                Some((_, _, statement)) => assert_eq!(decoded.as_ref(), Ok(statement), "{kind:?}"),
                None => {
                    let mixed = "a statement of one kind with the parts of another".to_owned();
                    assert_eq!(decoded, Err(Error::Malformed(mixed)), "{kind:?} {items:?}");
                }
            }
        }
    }
}

#[test]
fn what_a_program_says_has_bounds_and_comes_without_a_key_or_a_connection() {
    let refused = |statement: &Statement| {
        let decoded = Statement::decode(&statement.encode());
        assert!(matches!(decoded, Err(Error::Malformed(_))), "{decoded:?}");
    };
    let nonce = |length| Said { nonce: Some(Bytes(vec![1; length])), ..said() };
    let data = |length| Said { data: Bytes(vec![1; length]), ..said() };
    for said in [nonce(1), nonce(MAX_NONCE_BYTES), data(0), data(MAX_DATA_BYTES)] {
        let statement = guest(None, said);
        assert_eq!(Statement::decode(&statement.encode()), Ok(statement));
    }
    for said in [nonce(0), nonce(MAX_NONCE_BYTES + 1), data(MAX_DATA_BYTES + 1)] {
        refused(&guest(None, said));
    }
    let key = Run { key: Some(Digest([0x44; 32])), ..Run::default() };
    let nonce = Run { nonce: Some(Bytes(vec![1; 8])), ..Run::default() };
    let channel = Run { channel: Some(BINDER), ..Run::default() };
    for run in [key, nonce, channel] {
        refused(&Statement { run, ..guest(Some(deployment()), said()) });
    }
    let mut program = program();
    program.terms.streams.stderr = Stream::Owner;
    let of = |deployment| {
        let subject = Subject::Guest { program: program.clone(), deployment, said: said() };
        Statement { run: Run::default(), ..of(subject) }
    };
    refused(&of(None));
    let deployed = of(Some(deployment()));
    assert_eq!(Statement::decode(&deployed.encode()), Ok(deployed));
}

#[test]
fn what_a_program_says_has_the_launch_of_its_program() {
    assert_eq!(guest(None, said()).launch(), statement().launch());
    let deployed = of(Subject::Deployment { program: program(), deployment: deployment() });
    assert_eq!(guest(Some(deployment()), said()).launch(), deployed.launch());
    assert_ne!(deployed.launch(), statement().launch());
}

#[test]
fn only_a_deployment_has_streams_that_lead_to_its_owner() {
    let mut program = program();
    program.terms.streams.stderr = Stream::Owner;
    let local = of(Subject::Local(program.clone()));
    assert!(matches!(Statement::decode(&local.encode()), Err(Error::Malformed(_))));
    let deployed = of(Subject::Deployment { program, deployment: deployment() });
    assert_eq!(Statement::decode(&deployed.encode()), Ok(deployed));
}
