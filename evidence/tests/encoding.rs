//! One value has one encoding: whatever else says the same is refused.

use minicbor::Encoder;
use twine_evidence::bytes::{Bytes, Digest, to_hex};
use twine_evidence::cbor::Error;
use twine_evidence::claims::{Claims, evidence, report_data};
use twine_evidence::statement::{
    Compiler, Engine, Image, Kind, MAX_BYTES, Run, Statement, VERSION,
};
use twine_evidence::terms::{
    Diagnostics, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};

fn statement() -> Statement {
    Statement {
        version: VERSION,
        kind: Kind::Local,
        terms: Terms {
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
            listeners: 0,
            limits: Limits { memory: Some(1 << 26), ..Limits::default() },
            diagnostics: Diagnostics { backtraces: true, statistics: false },
        },
        deployment: None,
        engine: Engine { compiler: Compiler::Optimizing, guard_pages: true, writable_code: false },
        image: Image { runtime: "0.1.0".into(), heap: 1 << 29, code: 1 << 26, guards: 48 << 30 },
        run: Run { nonce: Some(Bytes(vec![0xaa; 4])), key: Some(Digest([0x44; 32])) },
    }
}

#[test]
fn the_document_gives_every_byte_of_this_statement() {
    let document = include_str!("../../docs/evidence.md");
    let hex: String = document
        .split("<!-- statement -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- -->").next())
        .expect("the document has the vector")
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.split('#').next().unwrap_or_default().replace(' ', ""))
        .collect();
    assert_eq!(hex, to_hex(&statement().encode()));
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
    let bytes = statement().encode();
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        if let Ok(other) = Statement::decode(&changed) {
            assert_ne!(other, statement(), "bit {at}");
            assert_eq!(other.encode(), changed, "bit {at}");
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

/// Writes the map of a statement with `items` of it, in this order.
fn with_items(items: &[u8], head: &[u8]) -> Vec<u8> {
    let statement = statement();
    let mut encoder = Encoder::new(head.to_vec());
    for item in items {
        encoder.u8(*item).unwrap();
        match item {
            0 => encoder.u32(statement.version).map(drop).unwrap(),
            1 => encoder.encode(statement.kind).map(drop).unwrap(),
            2 => encoder.encode(&statement.terms).map(drop).unwrap(),
            4 => encoder.encode(statement.engine).map(drop).unwrap(),
            5 => encoder.encode(&statement.image).map(drop).unwrap(),
            6 => encoder.encode(&statement.run).map(drop).unwrap(),
            _ => encoder.null().map(drop).unwrap(),
        }
    }
    encoder.into_writer()
}

#[test]
fn a_statement_in_another_form_is_refused() {
    let canonical = with_items(&[0, 1, 2, 4, 5, 6], &[0xa6]);
    assert_eq!(Statement::decode(&canonical), Ok(statement()));
    let indefinite = [with_items(&[0, 1, 2, 4, 5, 6], &[0xbf]), vec![0xff]].concat();
    for (what, bytes) in [
        ("a map of indefinite length", indefinite),
        ("a key twice", with_items(&[0, 1, 2, 4, 5, 6, 6], &[0xa7])),
        ("keys in another order", with_items(&[1, 0, 2, 4, 5, 6], &[0xa6])),
        ("a longer form of the map's head", with_items(&[0, 1, 2, 4, 5, 6], &[0xb8, 6])),
        ("an unknown key", with_items(&[0, 1, 2, 4, 5, 6, 9], &[0xa7])),
        ("a null for what is absent", with_items(&[0, 1, 2, 3, 4, 5, 6], &[0xa7])),
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
    let mut other = statement();
    other.terms.arguments.push("--dump".into());
    assert_ne!(other.launch(), statement().launch());
    let engine = Engine { writable_code: true, ..statement().engine };
    assert_ne!(Statement { engine, ..statement() }.launch(), statement().launch());
}

#[test]
fn a_statement_of_another_version_or_of_mixed_kinds_is_refused() {
    let newer = Statement { version: VERSION + 1, ..statement() };
    let Err(Error::Malformed(cause)) = Statement::decode(&newer.encode()) else {
        panic!("it was decoded")
    };
    assert_eq!(cause, "statement version 2 where 1 is known");
    let mixed = Statement { kind: Kind::Deployment, ..statement() };
    assert!(matches!(Statement::decode(&mixed.encode()), Err(Error::Malformed(_))));
}
