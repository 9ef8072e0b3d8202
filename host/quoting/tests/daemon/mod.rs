//! A daemon that speaks AESM's protocol at a socket, with the simulated quoting enclave behind it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use sgx_sim_quoting::QuotingEnclave;
use tempfile::TempDir;

/// The numbers of requests, which are also those of their answers.
pub const INIT_QUOTE: u64 = 15;
pub const QUOTE_SIZE: u64 = 16;
pub const QUOTE: u64 = 17;
pub const KEY_COUNT: u64 = 21;
pub const KEYS: u64 = 22;

/// The size of the buffer that the daemon returns a quote in.
pub const QUOTE_BUFFER: usize = 8000;

/// Returns a key's description with this algorithm.
pub fn key(algorithm: u32) -> Vec<u8> {
    let mut key: Vec<u8> = (0..=255).collect();
    key[154..158].copy_from_slice(&algorithm.to_le_bytes());
    key
}

/// A field of a message.
#[derive(Clone)]
pub enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Returns a message with these fields, by their numbers.
pub fn message(fields: &[(u64, Field)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, field) in fields {
        match field {
            Field::Number(value) => {
                varint(&mut message, number << 3);
                varint(&mut message, *value);
            }
            Field::Bytes(bytes) => {
                varint(&mut message, number << 3 | 2);
                varint(&mut message, bytes.len() as u64);
                message.extend(bytes);
            }
        }
    }
    message
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Parses a message. The fields are numbers and bytes only.
fn fields(mut message: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = read_varint(&mut message);
        let value = read_varint(&mut message);
        let field = match tag & 7 {
            0 => Field::Number(value),
            2 => {
                let (bytes, rest) = message.split_at(value as usize);
                message = rest;
                Field::Bytes(bytes.to_vec())
            }
            kind => panic!("a field of kind {kind}"),
        };
        fields.push((tag >> 3, field));
    }
    fields
}

fn read_varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = message.split_first().unwrap();
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn bytes(fields: &[(u64, Field)], number: u64) -> &[u8] {
    let field = fields.iter().find(|(name, _)| *name == number);
    match field {
        Some((_, Field::Bytes(bytes))) => bytes,
        _ => panic!("field {number} is no bytes"),
    }
}

fn number(fields: &[(u64, Field)], number: u64) -> u64 {
    let field = fields.iter().find(|(name, _)| *name == number);
    match field {
        Some((_, Field::Number(value))) => *value,
        _ => panic!("field {number} is no number"),
    }
}

/// What a daemon does wrong: it gets a request's number and its true answer, with the length before it,
/// and returns what it sends.
pub type Fault = fn(u64, Vec<u8>) -> Vec<u8>;

/// Returns an answer of these fields, with the length before it.
pub fn answer(request: u64, fields: &[(u64, Field)]) -> Vec<u8> {
    framed(&message(&[(request, Field::Bytes(message(fields)))]))
}

/// Returns bytes with their length before them.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_ne_bytes(), bytes].concat()
}

/// A running daemon. Its thread ends with the test.
pub struct Daemon {
    pub socket: PathBuf,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    _folder: TempDir,
}

impl Daemon {
    /// Starts a daemon that has these keys.
    pub fn start(enclave: QuotingEnclave, keys: Vec<Vec<u8>>, fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("aesm.socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = receive(&mut stream);
                let (kind, body) = fields(&request).remove(0);
                let Field::Bytes(body) = body else { panic!("a request is a message") };
                let truth = answer(kind, &respond(&enclave, &keys, kind, &fields(&body)));
                log.lock().unwrap().push(request);
                stream.write_all(&fault(kind, truth)).unwrap();
            }
        });
        Daemon { socket, requests, _folder: folder }
    }

    /// Returns all requests until now, without their lengths.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().unwrap().clone()
    }
}

fn receive(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut request = vec![0; u32::from_ne_bytes(length) as usize];
    stream.read_exact(&mut request).unwrap();
    request
}

/// Returns the fields of the true answer.
fn respond(
    enclave: &QuotingEnclave,
    keys: &[Vec<u8>],
    kind: u64,
    request: &[(u64, Field)],
) -> Vec<(u64, Field)> {
    /// `AESM_PARAMETER_ERROR` and `AESM_INVALID_REPORT`
    const PARAMETER: u64 = 3;
    const INVALID_REPORT: u64 = 47;
    let ok = (1, Field::Number(0));
    let refused = |code| vec![(1, Field::Number(code))];
    match kind {
        KEY_COUNT => vec![ok, (2, Field::Number(keys.len() as u64))],
        KEYS if number(request, 1) != 256 * keys.len() as u64 => refused(PARAMETER),
        KEYS => vec![ok, (2, Field::Bytes(keys.concat()))],
        INIT_QUOTE if bytes(request, 1) != key(2) => refused(PARAMETER),
        INIT_QUOTE => {
            let size = (3, Field::Number(32));
            match number(request, 3) {
                0 => vec![ok, size],
                _ if number(request, 4) != 32 => refused(PARAMETER),
                _ => {
                    let target_info = (2, Field::Bytes(enclave.target_info().to_vec()));
                    vec![ok, target_info, size, (4, Field::Bytes(vec![7; 32]))]
                }
            }
        }
        QUOTE_SIZE => vec![ok, (2, Field::Number(QUOTE_BUFFER as u64))],
        QUOTE if bytes(request, 2) != key(2) || number(request, 4) != QUOTE_BUFFER as u64 => {
            refused(PARAMETER)
        }
        QUOTE => match enclave.quote(bytes(request, 1).try_into().unwrap()) {
            Ok(mut quote) => {
                quote.resize(QUOTE_BUFFER, 0);
                vec![ok, (2, Field::Bytes(quote)), (3, Field::Bytes(vec![0; 960]))]
            }
            Err(_) => refused(INVALID_REPORT),
        },
        kind => panic!("request {kind}"),
    }
}
