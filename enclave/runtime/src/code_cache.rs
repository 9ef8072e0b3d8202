//! Compiled code that the host keeps, so that later runs of a program compile nothing.
//!
//! It is sealed under a key of this very image and the program's hash, so what comes back
//! is what this enclave compiled from these bytes, or nothing. Each kept code has a key of its own.
//! It is sealed in pieces, so that no copy is made of all: AES-GCM with the piece's number for the
//! nonce. The additional data says how many bytes there are, so none can be missing.

use crate::sealing_keys::{PARAMETER_BYTES, Purpose, SealingKeys};
use graviola::aead::AesGcm;
use std::iter;
use std::thread;
use twine_boundary::HostSlice;
use twine_engine::{Compiled, EngineConfig, Error, Identified, Limits};
use twine_protocol::code::CodeSettings;
use twine_protocol::key::Sealing;
use twine_protocol::launch::Compiler;
use twine_sgx::{CodeMemory, host};

const _: () = assert!(HEAD_BYTES.is_multiple_of(8));

const MAGIC: &[u8; 8] = b"TWINECOD";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + ABOUT_BYTES + PARAMETER_BYTES;

/// Bytes of code that are sealed at a time: they stay in the processor's cache meanwhile.
const PIECE: usize = 256 << 10;

/// Only this image may run what it compiled, and only as this program.
const SEALING: Sealing = Sealing { this_image: true, any_program: false };

/// How code is to be compiled.
pub(crate) struct Compilation {
    /// The limits that it is compiled for.
    pub(crate) limits: Limits,
    pub(crate) config: EngineConfig,
    pub(crate) compiler: Compiler,
}

/// The program's code that an earlier run has kept, if it did. Tells `opened` when it is there: the
/// program that the host gives may take longer to be hashed.
///
/// Code that can't be taken up is no error: it is compiled again.
pub(crate) fn load(wanted: &Compilation, opened: impl FnOnce()) -> Option<Compiled> {
    let sealed = host().kept_code().ok()??;
    let (compiled, sha256) = thread::scope(|scope| {
        let hashing = thread::Builder::new().spawn_scoped(scope, program_hash);
        let compiled = open(sealed, wanted);
        opened();
        // Where there is no other thread, this one does it.
        let sha256 = hashing.map_or_else(|_| program_hash(), |thread| thread.join().ok()?);
        Some((compiled?, sha256?))
    })?;
    // What is kept says itself which program it is of; it must be the one that is to run.
    (compiled.sha256() == sha256).then_some(compiled)
}

fn program_hash() -> Option<[u8; 32]> {
    Identified::hash(|take| host().program_in_pieces(take)).ok()
}

/// Compiles the program with these settings.
///
/// # Errors
/// When the program can't be compiled.
pub(crate) fn compile(program: &Identified, wanted: &Compilation) -> Result<Compiled, Error> {
    let Compilation { limits, config, compiler } = wanted;
    let optimizing = EngineConfig { baseline: false, ..*config };
    let baseline = EngineConfig { baseline: true, ..*config };
    match compiler {
        Compiler::Optimizing => program.compile(limits, &optimizing),
        Compiler::Baseline => program.compile(limits, &baseline),
        Compiler::BaselineIfPossible => {
            program.compile(limits, &baseline).or_else(|_| program.compile(limits, &optimizing))
        }
    }
}

/// A byte for each setting, and zeros. With this length the head is a multiple of a word: what
/// follows is written to the host's memory.
const SETTINGS_BYTES: usize = 12;

/// The settings and the program's SHA-256. None of it is secret, and none of it is believed before
/// the code is found authentic.
const ABOUT_BYTES: usize = SETTINGS_BYTES + 32;

/// The settings that the code was compiled with.
fn settings(compiled: &Compiled, limits: &Limits) -> [u8; SETTINGS_BYTES] {
    let config = compiled.config();
    let settings = CodeSettings {
        fuel: limits.fuel.is_some(),
        epochs: limits.interruptible,
        explicit_checks: config.guarded.is_none(),
        baseline: config.baseline,
    };
    let mut bytes = [0; SETTINGS_BYTES];
    bytes.iter_mut().zip(settings.flags()).for_each(|(byte, flag)| *byte = u8::from(flag));
    bytes
}

/// How code with these settings was compiled, if it is what is wanted.
fn fitting(settings: &[u8; SETTINGS_BYTES], wanted: &Compilation) -> Option<EngineConfig> {
    let Compilation { limits, config, compiler } = wanted;
    let flags = settings.first_chunk()?.map(|setting| setting != 0);
    let CodeSettings { fuel, epochs, explicit_checks, baseline } = CodeSettings::from_flags(flags);
    let fits = fuel == limits.fuel.is_some()
        && epochs == limits.interruptible
        && (explicit_checks || config.guarded.is_some())
        && (!baseline || *compiler != Compiler::Optimizing);
    let guarded = config.guarded.filter(|_| !explicit_checks);
    fits.then_some(EngineConfig { guarded, baseline, ..*config })
}

/// Opens sealed code where it is to run: in the arena, in the only copy that is made of it.
fn open(sealed: HostSlice, wanted: &Compilation) -> Option<Compiled> {
    let mut head = [0; HEAD_BYTES];
    sealed.part(0, HEAD_BYTES)?.copy_in(&mut head);
    let (magic, rest) = head.split_first_chunk::<{ MAGIC.len() }>()?;
    let (about, rest) = rest.split_first_chunk::<ABOUT_BYTES>()?;
    let parameters = rest.first_chunk::<PARAMETER_BYTES>()?;
    let (settings, sha256) = about.split_first_chunk::<SETTINGS_BYTES>()?;
    let sha256: [u8; 32] = sha256.try_into().ok()?;
    if magic != MAGIC {
        return None;
    }
    let config = fitting(settings, wanted)?;
    let keys = SealingKeys::of_program(sha256);
    let key = keys.present_key(Purpose::Code, SEALING, parameters).ok()?;
    let sealed = sealed.part(HEAD_BYTES as u64, sealed.len() - HEAD_BYTES)?;
    let length = length_sealed(sealed.len())?;
    let mut memory = CodeMemory::new(length)?;
    let (key, additional) = (AesGcm::new(&*key), additional(about, length));
    for (number, piece) in memory.bytes().chunks_mut(PIECE).enumerate() {
        let at = (number * (TAG_BYTES + PIECE)) as u64;
        let mut tag = [0; TAG_BYTES];
        sealed.part(at, TAG_BYTES)?.copy_in(&mut tag);
        sealed.part(at + TAG_BYTES as u64, piece.len())?.copy_in(piece);
        key.decrypt(&nonce(number), &additional, piece, &tag).ok()?;
    }
    let (code, memory) = memory.finish();
    // SAFETY: the code is authentic under a key that only this image can derive, for the
    // program with this hash; `keep` alone seals with it, what it compiled from this
    // program with these settings. It lies at the start of a page of its own, and `memory` has it.
    unsafe { Compiled::take_up(sha256, code, memory, &wanted.limits, &config) }.ok()
}

/// How many bytes of code there are in so many sealed ones: each piece has its tag before it.
fn length_sealed(sealed: usize) -> Option<usize> {
    let tags = sealed.div_ceil(TAG_BYTES + PIECE) * TAG_BYTES;
    sealed.checked_sub(tags)
}

fn nonce(number: usize) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
    nonce
}

fn additional(about: &[u8], length: usize) -> Vec<u8> {
    [about, &(length as u64).to_le_bytes()].concat()
}

/// Gives the host the program's sealed code to keep. Returns whether the host took it. If it did
/// not, a later run compiles again.
pub(crate) fn keep(compiled: &Compiled, limits: &Limits) -> bool {
    try_keep(compiled, limits).is_some()
}

fn try_keep(compiled: &Compiled, limits: &Limits) -> Option<()> {
    let code = compiled.code();
    let about = [&settings(compiled, limits)[..], &compiled.sha256()].concat();
    let keys = SealingKeys::of_program(compiled.sha256());
    let (parameters, key) = keys.new_key(Purpose::Code, SEALING).ok()?;
    let (key, additional) = (AesGcm::new(&*key), additional(&about, code.len()));
    let head = [MAGIC, &about[..], &parameters].concat();
    let pieces = code.chunks(PIECE).enumerate().map(|(number, piece)| {
        let mut sealed = [&[0; TAG_BYTES], piece].concat();
        let (tag, piece) = sealed.split_first_chunk_mut().expect("it begins with room for a tag");
        key.encrypt(&nonce(number), &additional, piece, tag);
        sealed
    });
    let length = head.len() + code.len().div_ceil(PIECE) * TAG_BYTES + code.len();
    host().store_code(length, iter::once(head).chain(pieces)).ok()
}
