//! The quoting enclave of hardware, through the daemon AESM.

use std::path::{Path, PathBuf};

use crate::connection::ask;
use crate::error::Error;
use crate::message::{Answer, Request};
use crate::{REPORT_SIZE, TARGETINFO_SIZE};

/// The size of an attestation key's description, in bytes (`sgx_att_key_id_ext_t`).
const KEY: usize = 256;

/// The place of the algorithm in it, and the number of ECDSA on P-256 (`sgx_ql_attestation_algorithm_id_t`).
const ALGORITHM: std::ops::Range<usize> = 154..158;
const ECDSA_P256: u32 = 2;

/// The most attestation keys. Intel has defined four algorithms.
const MAX_KEYS: usize = 64;

/// The most bytes of an attestation key's identity. Intel's is a SHA-256.
const MAX_KEY_IDENTITY: u64 = 4096;

/// The parts of a quote: header, body of the report, length of the signature data.
const HEADER: usize = 48;
const BODY: usize = 384;
const SIGNED: usize = HEADER + BODY;

/// The daemon, with an attestation key for ECDSA on P-256.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: PathBuf,
    key: Vec<u8>,
    target_info: [u8; TARGETINFO_SIZE],
}

impl Daemon {
    /// Chooses the attestation key, and gets the TARGETINFO of the quoting enclave that has it.
    pub(crate) fn open(socket: &Path) -> Result<Self, Error> {
        let key = ecdsa_key(socket)?;
        let target_info = target_info(socket, &key)?;
        Ok(Daemon { socket: socket.to_owned(), key, target_info })
    }

    pub(crate) fn target_info(&self) -> &[u8; TARGETINFO_SIZE] {
        &self.target_info
    }

    pub(crate) fn quote(&self, report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, Error> {
        let request = Request::quote_size(&self.key);
        let answer = AnswerTo { request: request.name() };
        let size = match ask(&self.socket, request)? {
            Answer::QuoteSize(size) => size.value.ok_or(answer.is("has no size"))?,
            _ => return Err(answer.is_to_another()),
        };
        let request = Request::quote(&self.key, report, size);
        let answer = AnswerTo { request: request.name() };
        let quote = match ask(&self.socket, request)? {
            Answer::Quote(quote) => quote.value.ok_or(answer.is("has no quote"))?,
            _ => return Err(answer.is_to_another()),
        };
        let quote = without_padding(quote).ok_or(answer.is("has a quote that is cut off"))?;
        if quote[HEADER..SIGNED] != report[..BODY] {
            return Err(answer.is("has the quote of another report"));
        }
        Ok(quote)
    }
}

/// A request whose answer may be wrong.
struct AnswerTo {
    request: &'static str,
}

impl AnswerTo {
    fn is(&self, problem: &'static str) -> Error {
        Error::Answer { request: self.request, problem }
    }

    fn is_to_another(&self) -> Error {
        self.is("is to another request")
    }
}

/// Returns the description of the daemon's key for ECDSA on P-256.
fn ecdsa_key(socket: &Path) -> Result<Vec<u8>, Error> {
    let request = Request::key_count();
    let answer = AnswerTo { request: request.name() };
    let count = match ask(socket, request)? {
        Answer::KeyCount(count) => count.value.ok_or(answer.is("has no number"))? as usize,
        _ => return Err(answer.is_to_another()),
    };
    if count > MAX_KEYS {
        return Err(answer.is("has too large a number"));
    }
    let size = count * KEY;
    let request = Request::keys(u32::try_from(size).expect("64 keys have 16 KB"));
    let answer = AnswerTo { request: request.name() };
    let keys = match ask(socket, request)? {
        Answer::Keys(keys) => keys.value.unwrap_or_default(),
        _ => return Err(answer.is_to_another()),
    };
    if keys.len() != size {
        return Err(answer.is("has keys of the wrong size"));
    }
    let is_ecdsa = |key: &&[u8]| key[ALGORITHM] == ECDSA_P256.to_le_bytes();
    let key = keys.chunks_exact(KEY).find(is_ecdsa);
    key.map(<[u8]>::to_vec).ok_or(Error::NoEcdsaKey)
}

/// Returns the TARGETINFO of the quoting enclave that has this key. The daemon makes the key if there is
/// none yet.
fn target_info(socket: &Path, key: &[u8]) -> Result<[u8; TARGETINFO_SIZE], Error> {
    let request = Request::key_identity_size(key);
    let answer = AnswerTo { request: request.name() };
    let size = match ask(socket, request)? {
        Answer::InitQuote(answer) => answer.key_identity_size.unwrap_or_default(),
        _ => return Err(answer.is_to_another()),
    };
    if size > MAX_KEY_IDENTITY {
        return Err(answer.is("has too large a number"));
    }
    match ask(socket, Request::target_info(key, size))? {
        Answer::InitQuote(initialized) => {
            let target_info = initialized.target_info.unwrap_or_default();
            target_info.try_into().map_err(|_| answer.is("has a TARGETINFO of the wrong size"))
        }
        _ => Err(answer.is_to_another()),
    }
}

/// Returns a quote without the bytes of the daemon's buffer that lie behind it. `None` if it is shorter
/// than its fields say.
fn without_padding(mut quote: Vec<u8>) -> Option<Vec<u8>> {
    let length = quote.get(SIGNED..)?.first_chunk()?;
    let end = usize::try_from(u32::from_le_bytes(*length)).ok()?.checked_add(SIGNED + 4)?;
    if quote.len() < end {
        return None;
    }
    quote.truncate(end);
    Some(quote)
}
