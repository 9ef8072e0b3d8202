//! Programs call the functions: what they pass is checked, and what they get is whole.

use std::sync::{Arc, Mutex};
use twine_guest::{Failure, Guest, Peer, Proof, Verified, add_to_linker, provides};
use wasmtime::{Engine, Instance, Linker, Module, Store, Val};

/// The length of the evidence, the policy, the nonce and the data of a verification.
type Asking = (usize, String, Option<Vec<u8>>, Vec<u8>);

/// What the enclave's part was asked.
#[derive(Debug, Clone, Default)]
struct Asked {
    evidence: Vec<(Option<Vec<u8>>, Vec<u8>)>,
    verified: Vec<Asking>,
    sealed: usize,
}

/// Answers in a way that the tests know.
struct Answers {
    asked: Arc<Mutex<Asked>>,
    failure: Option<Failure>,
}

impl Answers {
    fn or<T>(&self, answer: T) -> Result<T, Failure> {
        self.failure.clone().map_or(Ok(answer), Err)
    }
}

impl Proof for Answers {
    fn evidence(&mut self, nonce: Option<&[u8]>, data: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut asked = self.asked.lock().unwrap();
        asked.evidence.push((nonce.map(<[u8]>::to_vec), data.to_vec()));
        let number = asked.evidence.len() as u8;
        self.or([b"evidence ", &[b'0' + number][..], b" of ", data].concat())
    }

    fn verify(&mut self, peer: Peer<'_>) -> Result<Verified, Failure> {
        let Peer { evidence, policy, nonce, data } = peer;
        let asked = (evidence.len(), policy.to_owned(), nonce.map(<[u8]>::to_vec), data.to_vec());
        self.asked.lock().unwrap().verified.push(asked);
        self.or(Verified { accepted: evidence == b"good", json: b"{verdict}".to_vec() })
    }

    fn own_policy(&mut self, root: &str) -> Result<String, Failure> {
        self.or(format!("policy under {root}"))
    }

    fn seal(&mut self, context: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        self.asked.lock().unwrap().sealed += bytes.len();
        self.or([context, b"|", bytes].concat())
    }

    fn unseal(&mut self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        let opened = sealed.strip_prefix(context).and_then(|rest| rest.strip_prefix(b"|"));
        opened.map(<[u8]>::to_vec).ok_or(Failure::Damaged)
    }
}

/// The functions, with the number of their parameters.
const FUNCTIONS: [(&str, usize); 5] =
    [("evidence", 7), ("verify", 11), ("own_policy", 5), ("seal", 7), ("unseal", 7)];

/// Where the program has the buffer, and the size.
const BUFFER: i32 = 0x60000;
const SIZE: i32 = 16;

/// A program that passes on what the test calls it with.
struct Program {
    store: Store<Guest>,
    instance: Instance,
    asked: Arc<Mutex<Asked>>,
}

impl Program {
    fn new(failure: Option<Failure>) -> Program {
        let asked = Arc::default();
        let proof = Answers { asked: Arc::clone(&asked), failure };
        Program { asked, ..Program::with(Guest::new(Box::new(proof))) }
    }

    fn with(guest: Guest) -> Program {
        let mut text = String::new();
        for (name, count) in FUNCTIONS {
            let params = "i32 ".repeat(count);
            text += &format!(
                "(import \"twine:attestation\" \"{name}\" (func ${name} (param {params}) (result i32)))"
            );
        }
        text += "(memory (export \"memory\") 16)";
        for (name, count) in FUNCTIONS {
            let params = "i32 ".repeat(count);
            let passed: String = (0..count).map(|at| format!("local.get {at} ")).collect();
            text += &format!(
                "(func (export \"{name}\") (param {params}) (result i32) {passed} call ${name})"
            );
        }
        let engine = Engine::default();
        let module = Module::new(&engine, wat::parse_str(format!("(module {text})")).unwrap());
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker, |guest: &mut Guest| guest).unwrap();
        let mut store = Store::new(&engine, guest);
        let instance = linker.instantiate(&mut store, &module.unwrap()).unwrap();
        Program { store, instance, asked: Arc::default() }
    }

    fn memory(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data_mut(&mut self.store)
    }

    /// Calls a function with these numbers.
    fn raw(&mut self, name: &str, arguments: &[i32]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let arguments: Vec<Val> = arguments.iter().map(|number| Val::I32(*number)).collect();
        let mut results = [Val::I32(-1)];
        function.call(&mut self.store, &arguments, &mut results)?;
        Ok(results[0].unwrap_i32())
    }

    /// Calls a function with these lists, and a buffer of this length. Returns its number, the size, and
    /// what is in the buffer.
    fn call(&mut self, name: &str, lists: &[&[u8]], length: usize) -> (i32, u32, Vec<u8>) {
        let mut at = 1024;
        let mut arguments = Vec::new();
        let memory = self.memory();
        memory[BUFFER as usize..][..length].fill(b'.');
        memory[SIZE as usize..][..4].fill(0xff);
        for list in lists {
            memory[at..][..list.len()].copy_from_slice(list);
            arguments.extend([at as i32, list.len() as i32]);
            at += list.len().next_multiple_of(8);
        }
        assert!(at < BUFFER as usize || length < 1024);
        arguments.extend([BUFFER, length as i32, SIZE]);
        let number = self.raw(name, &arguments).unwrap();
        let memory = self.memory();
        let size = u32::from_le_bytes(memory[SIZE as usize..][..4].try_into().unwrap());
        (number, size, memory[BUFFER as usize..][..length].to_vec())
    }
}

const NONCE: &[u8] = b"a nonce.";

#[test]
fn each_function_passes_its_arguments_and_returns_its_result() {
    let mut program = Program::new(None);
    let (number, size, buffer) = program.call("evidence", &[NONCE, b"data"], 20);
    assert_eq!((number, size, &buffer[..]), (0, 18, &b"evidence 1 of data.."[..]));
    let (number, size, buffer) = program.call("verify", &[b"good", b"rules", NONCE, b"data"], 12);
    assert_eq!((number, size, &buffer[..]), (0, 9, &b"{verdict}..."[..]));
    let (number, _, buffer) = program.call("verify", &[b"bad", b"rules", b"", b""], 9);
    assert_eq!((number, &buffer[..]), (6, &b"{verdict}"[..]));
    let (number, _, buffer) = program.call("own_policy", &[b"intel"], 18);
    assert_eq!((number, &buffer[..]), (0, &b"policy under intel"[..]));
    let (number, _, buffer) = program.call("seal", &[b"what", b"bytes"], 10);
    assert_eq!((number, &buffer[..]), (0, &b"what|bytes"[..]));
    let (number, size, buffer) = program.call("unseal", &[b"what", b"what|bytes"], 5);
    assert_eq!((number, size, &buffer[..]), (0, 5, &b"bytes"[..]));
    let (number, size, _) = program.call("unseal", &[b"else", b"what|bytes"], 5);
    assert_eq!((number, size), (8, u32::MAX));
    let asked = program.asked.lock().unwrap();
    assert_eq!(asked.evidence, [(Some(NONCE.to_vec()), b"data".to_vec())]);
    let rules = "rules".to_owned();
    assert_eq!(asked.verified[0], (4, rules.clone(), Some(NONCE.to_vec()), b"data".to_vec()));
    assert_eq!(asked.verified[1], (3, rules, None, vec![]));
}

#[test]
fn a_buffer_that_is_too_small_gets_nothing_and_loses_nothing() {
    let mut program = Program::new(None);
    let (number, size, buffer) = program.call("evidence", &[NONCE, b"data"], 17);
    assert_eq!((number, size, &buffer[..]), (2, 18, &b"................."[..]));
    let (number, _, buffer) = program.call("evidence", &[NONCE, b"data"], 18);
    assert_eq!((number, &buffer[..]), (0, &b"evidence 1 of data"[..]));
    // It was given away, so the next is new; and so is that for another nonce or other data.
    let (_, _, buffer) = program.call("evidence", &[NONCE, b"data"], 18);
    assert_eq!(buffer, b"evidence 2 of data");
    assert_eq!(program.call("evidence", &[NONCE, b"data"], 0).0, 2);
    let (_, _, buffer) = program.call("evidence", &[b"a nonce!", b"data"], 18);
    assert_eq!(buffer, b"evidence 4 of data");
    assert_eq!(program.call("evidence", &[NONCE, b"data"], 0).0, 2);
    let (_, _, buffer) = program.call("evidence", &[NONCE, b"dat"], 17);
    assert_eq!(buffer, b"evidence 6 of dat");
    // The answer of `verify` does not depend on the buffer.
    for (evidence, wanted) in [(b"good", 0), (b"evil", 6)] {
        let (number, size, buffer) = program.call("verify", &[evidence, b"", NONCE, b""], 8);
        assert_eq!((number, size, &buffer[..]), (wanted, 9, &b"........"[..]));
    }
    assert_eq!(program.call("seal", &[b"", b"bytes"], 5).0, 2);
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_anybody_is_asked() {
    let mut program = Program::new(None);
    let (long, most) = (vec![b'x'; 65], vec![b'x'; 64]);
    for nonce in [&b"seven ."[..], b"x", &long] {
        assert_eq!(program.call("evidence", &[nonce, b""], 99).0, 1);
        assert_eq!(program.call("verify", &[b"good", b"", nonce, b""], 99).0, 1);
    }
    assert_eq!(program.call("evidence", &[&most, &[1; 1024]], 2000).0, 0);
    assert_eq!(program.call("evidence", &[b"", &[1; 1025]], 2000).0, 1);
    assert_eq!(program.call("verify", &[b"good", b"", b"", &[1; 1025]], 99).0, 1);
    assert_eq!(program.call("verify", &[b"good", &[b' '; 65_537], b"", b""], 99).0, 1);
    assert_eq!(program.call("verify", &[&vec![0; 262_145], b"", b"", b""], 99).0, 1);
    assert_eq!(program.call("verify", &[&vec![0; 262_144], b"", b"", b""], 99).0, 6);
    assert_eq!(program.call("verify", &[b"good", b"\xff", b"", b""], 99).0, 1);
    assert_eq!(program.call("seal", &[&[1; 1025], b""], 99).0, 1);
    assert_eq!(program.call("seal", &[b"", &vec![0; 262_145]], 99).0, 1);
    assert_eq!(program.call("unseal", &[b"", &vec![0; 262_273]], 99).0, 1);
    for root in [&b""[..], b"a \"quote\"", b"a \\", b"\x07", b"\xff", &[b'a'; 16_385]] {
        assert_eq!(program.call("own_policy", &[root], 99).0, 1);
    }
    assert_eq!(program.call("own_policy", &[b"-----BEGIN\nx"], 99).0, 0);
    // A length of nearly all addresses takes no memory.
    assert_eq!(program.raw("seal", &[0, 0, 0, -1, 0, 0, 0]).unwrap(), 1);
    let asked = program.asked.lock().unwrap().clone();
    assert_eq!((asked.evidence.len(), asked.verified.len(), asked.sealed), (1, 1, 0));
}

#[test]
fn pointers_out_of_the_memory_trap() {
    let mut program = Program::new(None);
    let end = 16 * 65536;
    for arguments in [
        [end - 7, 8, 0, 0, BUFFER, 99, SIZE],
        [0, 0, end - 3, 4, BUFFER, 99, SIZE],
        [0, 0, 0, 4, end - 5, 99, SIZE],
        [0, 0, 0, 4, -8, 99, SIZE],
        [0, 0, 0, 4, BUFFER, 99, end - 3],
        [0, 0, 0, 4, BUFFER, 99, 2],
    ] {
        let trapped = program.raw("evidence", &arguments);
        assert!(trapped.is_err(), "{arguments:?}: {trapped:?}");
    }
}

#[test]
fn failures_have_the_numbers_of_the_witx() {
    for (failure, wanted) in [
        (Failure::Invalid, 1),
        (Failure::NotSupported, 3),
        (Failure::Again, 4),
        (Failure::Host, 5),
        (Failure::Damaged, 8),
        (Failure::TooBig, 9),
    ] {
        let mut program = Program::new(Some(failure.clone()));
        let (number, size, _) = program.call("evidence", &[NONCE, b""], 99);
        assert_eq!((number, size), (wanted, u32::MAX), "{failure:?}");
        assert_eq!(program.call("verify", &[b"good", b"", b"", b""], 99).0, wanted);
        assert_eq!(program.call("seal", &[b"", b""], 99).0, wanted);
        assert_eq!(program.call("own_policy", &[b"intel"], 99).0, wanted);
    }
    let mut program = Program::new(Some(Failure::Policy("line 1".into())));
    let (number, size, buffer) = program.call("verify", &[b"good", b"", b"", b""], 6);
    assert_eq!((number, size, &buffer[..]), (7, 6, &b"line 1"[..]));
}

#[test]
fn without_somebody_who_does_the_work_nothing_is_supported() {
    let mut program = Program::with(Guest::default());
    assert_eq!(program.call("evidence", &[NONCE, b""], 99).0, 3);
    assert_eq!(program.call("unseal", &[b"", b""], 99).0, 3);
}

#[test]
fn the_module_has_these_functions_and_no_others() {
    for (name, _) in FUNCTIONS {
        assert!(provides("twine:attestation", name));
        assert!(!provides("wasi_snapshot_preview1", name));
    }
    assert!(!provides("twine:attestation", "prove"));
}

#[test]
fn the_wit_has_the_functions_of_the_witx() {
    let text = include_str!("../wit/attestation.wit");
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_source("attestation.wit", text).unwrap();
    assert_eq!(resolve.packages[package].name.to_string(), "twine:attestation@0.1.0");
    let interface = resolve.packages[package].interfaces["attestation"];
    let names: Vec<_> = resolve.interfaces[interface].functions.keys().collect();
    let expected: Vec<_> = FUNCTIONS.iter().map(|(name, _)| name.replace('_', "-")).collect();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
}
