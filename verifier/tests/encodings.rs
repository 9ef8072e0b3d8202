//! Bytes that are not evidence, or not in the one form that is allowed.

mod common;

use common::cbor::{bytes, evidence, head, map, pubkey, text};
use common::pki::Key;
use common::simulation::{Carrier, Enclave, Simulation};
use std::sync::LazyLock;
use twine_verifier::{CborError, Evidence, EvidenceError, MAX_EVIDENCE_BYTES};

static QUOTE: LazyLock<Vec<u8>> = LazyLock::new(|| Simulation::new().quote(&Enclave::default()));

#[track_caller]
fn refused(bytes: &[u8]) -> EvidenceError {
    Evidence::parse(bytes).expect_err("these bytes are not evidence")
}

#[track_caller]
fn refused_claims(claims: &[u8]) -> CborError {
    match refused(&evidence(&QUOTE, claims)) {
        EvidenceError::Claims(error) => error,
        other => panic!("{other}"),
    }
}

#[track_caller]
fn refused_item(item: &[u8]) -> CborError {
    match refused(item) {
        EvidenceError::Cbor(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_quote_and_claims_are_read() {
    let key = Key::new();
    let claims = map(&[pubkey(key.info()), ("nonce", bytes(b"n")), ("twine", bytes(b"s"))]);
    let evidence = Evidence::parse(&evidence(&QUOTE, &claims)).unwrap();
    let claims = evidence.claims().unwrap();
    assert!(claims.key_hash().unwrap().is_of(key.info()));
    assert_eq!((claims.nonce(), claims.twine()), (Some(&b"n"[..]), Some(&b"s"[..])));
    assert_eq!(evidence.raw_quote(), &QUOTE[..]);
    let platform = evidence.platform().unwrap();
    assert_eq!(platform.fmspc, [0x00, 0x60, 0x6a, 0, 0, 0]);
}

#[test]
fn bytes_of_no_form_are_refused() {
    for bytes in [&b""[..], b"\x03", b"\x02\x00", b"hello", &[0; 5000], &[0x30, 0x03, 2, 1, 0]] {
        assert_eq!(refused(bytes), EvidenceError::Unknown);
    }
    let long = vec![3; MAX_EVIDENCE_BYTES + 1];
    assert_eq!(refused(&long), EvidenceError::TooLong { length: MAX_EVIDENCE_BYTES + 1 });
}

#[test]
fn a_quote_that_ends_early_is_refused_at_every_length() {
    for length in 2..QUOTE.len() {
        assert!(matches!(refused(&QUOTE[..length]), EvidenceError::Quote(_)), "{length}");
    }
}

#[test]
fn only_zeros_may_follow_a_quote() {
    let followed = |after: &[u8]| [&QUOTE[..], after].concat();
    assert!(Evidence::parse(&followed(&[0; 70])).is_ok());
    assert_eq!(refused(&followed(&[0, 0, 1])), EvidenceError::AfterQuote { length: 3 });
}

#[test]
fn an_absurd_length_in_a_quote_is_refused_before_memory_is_taken() {
    let mut quote = QUOTE.clone();
    quote[432..436].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(refused(&quote), EvidenceError::Quote(_)));
}

#[test]
fn evidence_in_cbor_that_ends_early_is_refused_at_every_length() {
    let whole = evidence(&QUOTE, &map(&[]));
    for length in 3..whole.len() {
        assert!(matches!(refused_item(&whole[..length]), CborError::Syntax { .. }), "{length}");
    }
}

#[test]
fn a_certificate_that_ends_early_is_refused_at_every_length() {
    let key = Key::new();
    let whole = Carrier::new(evidence(&QUOTE, &map(&[pubkey(key.info())]))).sign(&key, &key);
    assert!(Evidence::parse(&whole).is_ok());
    for length in 2..whole.len() {
        assert!(matches!(refused(&whole[..length]), EvidenceError::Certificate(_)), "{length}");
    }
    let followed = [&whole[..], &[0]].concat();
    assert!(matches!(refused(&followed), EvidenceError::Certificate(_)));
}

#[test]
fn a_key_that_occurs_twice_is_refused() {
    let twice = map(&[("nonce", bytes(b"a")), ("nonce", bytes(b"b"))]);
    assert_eq!(refused_claims(&twice), CborError::Duplicate { name: "nonce".into() });
    let twice = map(&[("x", head(0, 1)), ("x", head(0, 1))]);
    assert_eq!(refused_claims(&twice), CborError::Duplicate { name: "x".into() });
}

#[test]
fn the_name_of_a_claim_is_escaped_and_cut_where_an_error_says_it() {
    let long = format!("\u{1b}[2J{}", "x".repeat(1000));
    let twice = map(&[(&long, head(0, 1)), (&long, head(0, 1))]);
    let reason = format!(r#"the claim "\u{{1b}}[2J{}"… occurs twice"#, "x".repeat(124));
    assert_eq!(refused_claims(&twice).to_string(), reason);
}

#[test]
fn claims_of_others_may_come_in_any_order_and_with_longer_heads() {
    // A map of two pairs and a string of one byte, each with a length in one byte more than it takes.
    let nonce = [text("nonce"), vec![2 << 5 | 24, 1, b'n']].concat();
    let other = [text("a"), head(0, 7)].concat();
    for pairs in [[nonce.clone(), other.clone()], [other, nonce]] {
        let claims = [vec![5 << 5 | 24, 2], pairs.concat()].concat();
        let read = Evidence::parse(&evidence(&QUOTE, &claims)).unwrap();
        let read = read.claims().unwrap();
        assert_eq!((read.nonce(), read.others()), (Some(&b"n"[..]), &["a".to_owned()][..]));
    }
}

#[test]
fn indefinite_lengths_are_refused_everywhere() {
    let items: [(&str, &[u8]); 4] = [
        ("array", &[0x9f, 0xff]),
        ("map", &[0xbf, 0xff]),
        ("bytes", &[0x5f, 0x41, 0, 0xff]),
        ("text", &[0x7f, 0x61, b'a', 0xff]),
    ];
    for (kind, item) in items {
        let error = refused_claims(&map(&[("x", item.to_vec())]));
        assert_eq!(error, CborError::Indefinite { at: 3 }, "{kind} as a claim");
        let nested = [head(4, 1), item.to_vec()].concat();
        let error = refused_claims(&map(&[("x", nested)]));
        assert_eq!(error, CborError::Indefinite { at: 4 }, "{kind} in a claim");
    }
    assert_eq!(refused_claims(&[0xbf, 0xff]), CborError::Indefinite { at: 0 });
    let nonce = [0x5f, 0x41, 0, 0xff].to_vec();
    let error = refused_claims(&map(&[("nonce", nonce)]));
    assert_eq!(error, CborError::Indefinite { at: 7 });
    let array = [head(6, 60000), vec![0x9f], bytes(&QUOTE), bytes(&map(&[])), vec![0xff]].concat();
    assert_eq!(refused_item(&array), CborError::Indefinite { at: 3 });
}

#[test]
fn bytes_that_follow_are_refused() {
    let whole = [evidence(&QUOTE, &map(&[])), vec![0]].concat();
    assert_eq!(refused_item(&whole), CborError::Trailing { count: 1 });
    let claims = [map(&[]), vec![0, 0]].concat();
    assert_eq!(refused_claims(&claims), CborError::Trailing { count: 2 });
    let hash = bytes(&[head(4, 2), head(0, 1), bytes(&[0; 32]), vec![0]].concat());
    let error = refused_claims(&map(&[("pubkey-hash", hash)]));
    assert_eq!(error, CborError::Trailing { count: 1 });
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    assert_eq!(refused_claims(&head(5, u64::MAX)), CborError::TooMany { count: u64::MAX });
    assert_eq!(refused_claims(&head(5, 257)), CborError::TooMany { count: 257 });
    for major in [2, 3, 4, 5] {
        let error = refused_claims(&map(&[("x", head(major, u64::MAX))]));
        assert!(matches!(error, CborError::Syntax { .. }), "{error}");
    }
    let item = [head(6, 60000), head(4, 2), head(2, u64::MAX)].concat();
    assert!(matches!(refused_item(&item), CborError::Syntax { at: 4, .. }));
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |levels: usize| [head(4, 1).repeat(levels), head(0, 1)].concat();
    let claims = map(&[("x", nested(16))]);
    assert!(Evidence::parse(&evidence(&QUOTE, &claims)).is_ok());
    let error = refused_claims(&map(&[("x", nested(17))]));
    assert_eq!(error, CborError::TooDeep { at: 20 });
    let error = refused_claims(&map(&[("x", nested(100_000))]));
    assert_eq!(error, CborError::TooDeep { at: 20 });
}

#[test]
fn other_tags_types_and_counts_are_refused() {
    let item = [head(4, 2), bytes(&QUOTE), bytes(&map(&[]))].concat();
    assert_eq!(refused(&item), EvidenceError::Unknown);
    let item = [head(6, 60001), item].concat();
    assert_eq!(refused_item(&item), CborError::Tag { found: 60001 });
    let item = [head(6, 60000), head(4, 1), bytes(&QUOTE)].concat();
    assert_eq!(refused_item(&item), CborError::Items { found: 1 });
    let number = [head(5, 1), head(0, 1), head(0, 1)].concat();
    assert!(matches!(refused_claims(&number), CborError::Syntax { at: 1, .. }));
    let error = refused_claims(&map(&[("nonce", text("a"))]));
    assert!(matches!(error, CborError::Syntax { at: 7, .. }), "{error}");
}
