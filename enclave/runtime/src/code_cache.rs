//! The code cache: compiled code that the host keeps, so that later runs of a program need not
//! compile.
//!
//! The code is sealed under a key of this image and the program's hash, in a context: none for local
//! runs, or the owner of a deployment. So the host can only return
//! code that this image compiled from the same bytes, or nothing. Each entry has a key of its own.
//! It is sealed in pieces with AES-GCM, so that no copy of all the code is needed. The nonce is the
//! number of the piece. The additional data contain the length of the code, so no piece can be
//! missing.

use crate::sealing_keys::{PARAMETER_BYTES, Purpose, SealingKeys};
use graviola::aead::AesGcm;
use std::iter;
use std::thread;
use twine_boundary::HostSlice;
use twine_engine::{Compiled, EngineConfig, Error, Identified, Limits};
use twine_protocol::code::CodeSettings;
use twine_protocol::key::{Scope, Sealing};
use twine_protocol::launch::Compiler;
use twine_sgx::{CodeMemory, host};

const _: () = assert!(HEAD_BYTES.is_multiple_of(8));

const MAGIC: &[u8; 8] = b"TWINECOD";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + ABOUT_BYTES + PARAMETER_BYTES;

/// Size, in bytes, of a piece of code that is sealed at a time. It stays in the processor's cache.
const PIECE: usize = 256 << 10;

/// Only this image may run code that it compiled, and only as this program.
const SEALING: Sealing = Sealing { this_image: true, scope: Scope::Program };

/// How to compile code.
pub(crate) struct Compilation {
    /// The limits to compile it for.
    pub(crate) limits: Limits,
    pub(crate) config: EngineConfig,
    pub(crate) compiler: Compiler,
}

/// Loads the program's cached code, if an earlier run had the host store it. Calls `opened` when
/// the code is loaded, because hashing the program may take longer.
///
/// Cached code that cannot be loaded is no error: the program is compiled again.
pub(crate) fn load(wanted: &Compilation, opened: impl FnOnce()) -> Option<Compiled> {
    let sealed = host().cached_code().ok()??;
    let (compiled, sha256) = thread::scope(|scope| {
        let hashing = thread::Builder::new().spawn_scoped(scope, program_hash);
        let compiled = open(sealed, &[], wanted);
        opened();
        // If no thread can be started, this one computes the hash.
        let sha256 = hashing.map_or_else(|_| program_hash(), |thread| thread.join().ok()?);
        Some((compiled?, sha256?))
    })?;
    // The sealed code names its program, which must be the one to run.
    (compiled.sha256() == sha256).then_some(compiled)
}

fn program_hash() -> Option<[u8; 32]> {
    Identified::hash(|take| host().program_in_pieces(take)).ok()
}

/// Compiles the program with these settings.
///
/// # Errors
/// The program cannot be compiled.
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

/// Size of the settings in bytes: one for each, and zeros. With it the size of the head is a
/// multiple of 8, as `store_code` needs.
const SETTINGS_BYTES: usize = 12;

/// Size, in bytes, of the settings with the program's SHA-256. These are not secret, and are not
/// trusted before the code is authenticated.
const ABOUT_BYTES: usize = SETTINGS_BYTES + 32;

/// Encodes the settings that the code was compiled with.
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

/// Decodes the settings of cached code. `None` if they do not fit those that are wanted.
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

/// Sealed code, wherever it is.
pub(crate) trait Sealed {
    /// Its length in bytes.
    fn length(&self) -> usize;

    /// Copies the bytes from `at` on. `None` if there are too few.
    fn copy(&self, at: usize, bytes: &mut [u8]) -> Option<()>;
}

impl Sealed for HostSlice {
    fn length(&self) -> usize {
        self.len()
    }

    fn copy(&self, at: usize, bytes: &mut [u8]) -> Option<()> {
        self.part(at as u64, bytes.len())?.copy_in(bytes);
        Some(())
    }
}

impl Sealed for &[u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn copy(&self, at: usize, bytes: &mut [u8]) -> Option<()> {
        bytes.copy_from_slice(self.get(at..)?.get(..bytes.len())?);
        Some(())
    }
}

/// Opens code that was sealed in this context. It is opened in the arena, where it will run: this
/// makes its only copy.
pub(crate) fn open(sealed: impl Sealed, context: &[u8], wanted: &Compilation) -> Option<Compiled> {
    let mut head = [0; HEAD_BYTES];
    sealed.copy(0, &mut head)?;
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
    let length = length_sealed(sealed.length().checked_sub(HEAD_BYTES)?)?;
    let mut memory = CodeMemory::new(length)?;
    let (key, additional) = (AesGcm::new(&*key), additional(about, length, context));
    for (number, piece) in memory.bytes().chunks_mut(PIECE).enumerate() {
        let at = HEAD_BYTES + number * (TAG_BYTES + PIECE);
        let mut tag = [0; TAG_BYTES];
        sealed.copy(at, &mut tag)?;
        sealed.copy(at + TAG_BYTES, piece)?;
        key.decrypt(&nonce(number), &additional, piece, &tag).ok()?;
    }
    let (code, memory) = memory.finish();
    // SAFETY: the code is authentic under a key that only this image can derive, for the program
    // with this hash. Only `seal` seals with that key, and it seals code that was compiled from
    // this program with these settings. The code starts at a page boundary, and `memory` owns it.
    unsafe { Compiled::take_up(sha256, code, memory, &wanted.limits, &config) }.ok()
}

/// Returns the length of the code in `sealed` bytes, in which each piece follows its tag.
fn length_sealed(sealed: usize) -> Option<usize> {
    let tags = sealed.div_ceil(TAG_BYTES + PIECE) * TAG_BYTES;
    sealed.checked_sub(tags)
}

fn nonce(number: usize) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
    nonce
}

fn additional(about: &[u8], length: usize, context: &[u8]) -> Vec<u8> {
    [about, &(length as u64).to_le_bytes(), context].concat()
}

/// Has the host store the program's sealed code. Returns whether the host did. If it did not, a
/// later run compiles again.
pub(crate) fn store(compiled: &Compiled, limits: &Limits) -> bool {
    try_store(compiled, limits).is_some()
}

fn try_store(compiled: &Compiled, limits: &Limits) -> Option<()> {
    let (length, pieces) = seal(compiled, &[], limits)?;
    host().store_code(length, pieces).ok()
}

/// Seals the program's code for this context. Returns the length of all of it in bytes, and the
/// pieces, which are sealed one by one.
pub(crate) fn seal(
    compiled: &Compiled,
    context: &[u8],
    limits: &Limits,
) -> Option<(usize, impl Iterator<Item = Vec<u8>>)> {
    let code = compiled.code();
    let about = [&settings(compiled, limits)[..], &compiled.sha256()].concat();
    let keys = SealingKeys::of_program(compiled.sha256());
    let (parameters, key) = keys.new_key(Purpose::Code, SEALING).ok()?;
    let (key, additional) = (AesGcm::new(&*key), additional(&about, code.len(), context));
    let head = [MAGIC, &about[..], &parameters].concat();
    let length = head.len() + code.len().div_ceil(PIECE) * TAG_BYTES + code.len();
    let pieces = code.chunks(PIECE).enumerate().map(move |(number, piece)| {
        let mut sealed = [&[0; TAG_BYTES], piece].concat();
        let (tag, piece) = sealed.split_first_chunk_mut().expect("it begins with room for a tag");
        key.encrypt(&nonce(number), &additional, piece, tag);
        sealed
    });
    Some((length, iter::once(head).chain(pieces)))
}
