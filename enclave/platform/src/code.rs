//! Compiled code that the host keeps, so that later runs of a program compile nothing.
//!
//! It is sealed under a key of this very image and the program's hash, so what comes back
//! is what this enclave compiled from these bytes, or nothing.

use crate::host::host;
use crate::seal::{PARAMETER_BYTES, Purpose, SealingKeys};
use graviola::aead::AesGcm;
use twine_engine::{Compiled, Error, Identified, Platform};
use twine_protocol::launch::{Compiler, Launch, Limits, Sealing};

const _: () = assert!(HEAD_BYTES.is_multiple_of(8));

const MAGIC: &[u8; 8] = b"TWINECOD";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + SETTINGS_BYTES + PARAMETER_BYTES + NONCE_BYTES + TAG_BYTES;

/// Only this image may run what it compiled, and only as this program.
const SEALING: Sealing = Sealing { this_image: true, any_program: false };

/// The program's code: what an earlier run has kept, if it did and the launch allows it,
/// else newly compiled and kept.
///
/// # Errors
/// When the program can't be compiled. Code that can't be kept or taken up is no error: it
/// only takes longer.
pub fn compile(
    program: &Identified,
    keys: SealingKeys,
    launch: &Launch,
    platform: &Platform,
) -> Result<Compiled, Error> {
    if !launch.keep_code {
        return compile_anew(program, launch, platform);
    }
    // If it is not kept, the next run compiles again.
    take_or_make(program, keys, launch, platform).map(|(compiled, _)| compiled)
}

/// Sees to it that the program's code is kept; whether it is now.
///
/// # Errors
/// When the program can't be compiled.
pub fn precompile(
    program: &Identified,
    keys: SealingKeys,
    launch: &Launch,
    platform: &Platform,
) -> Result<bool, Error> {
    take_or_make(program, keys, launch, platform).map(|(_, kept)| kept)
}

/// The code that is kept, or new code; whether it is kept now.
fn take_or_make(
    program: &Identified,
    keys: SealingKeys,
    launch: &Launch,
    platform: &Platform,
) -> Result<(Compiled, bool), Error> {
    if let Some(compiled) = kept(program, keys, launch, platform) {
        return Ok((compiled, true));
    }
    let compiled = compile_anew(program, launch, platform)?;
    let kept = keep(&compiled, keys, &launch.limits).is_some();
    Ok((compiled, kept))
}

fn compile_anew(
    program: &Identified,
    launch: &Launch,
    platform: &Platform,
) -> Result<Compiled, Error> {
    let optimizing = Platform { baseline: false, ..*platform };
    let baseline = Platform { baseline: true, ..*platform };
    match launch.compiler {
        Compiler::Optimizing => program.compile(&launch.limits, &optimizing),
        Compiler::Baseline => program.compile(&launch.limits, &baseline),
        Compiler::BaselineIfPossible => program
            .compile(&launch.limits, &baseline)
            .or_else(|_| program.compile(&launch.limits, &optimizing)),
    }
}

/// With it the head is a multiple of a word: what follows is written to the host's memory.
const SETTINGS_BYTES: usize = 8;

/// What code depends on beside the program and the image.
fn settings(compiled: &Compiled, limits: &Limits) -> [u8; SETTINGS_BYTES] {
    let platform = compiled.platform();
    [
        limits.fuel.is_some().into(),
        limits.timeout.is_some().into(),
        platform.guarded.is_some().into(),
        platform.baseline.into(),
        0,
        0,
        0,
        0,
    ]
}

/// How code with these settings was compiled, if it is what this launch wants.
fn fitting(
    settings: [u8; SETTINGS_BYTES],
    launch: &Launch,
    platform: &Platform,
) -> Option<Platform> {
    let [fuel, timeout, guarded, baseline, ..] = settings.map(|setting| setting != 0);
    let fits = fuel == launch.limits.fuel.is_some()
        && timeout == launch.limits.timeout.is_some()
        && (!guarded || platform.guarded.is_some())
        && (!baseline || launch.compiler != Compiler::Optimizing);
    let guarded = platform.guarded.filter(|_| guarded);
    fits.then_some(Platform { guarded, baseline, ..*platform })
}

fn kept(
    program: &Identified,
    keys: SealingKeys,
    launch: &Launch,
    platform: &Platform,
) -> Option<Compiled> {
    let mut sealed = host().load_code().ok()?;
    let (head, code) = sealed.split_first_chunk_mut::<HEAD_BYTES>()?;
    let (magic, rest) = head.split_first_chunk::<{ MAGIC.len() }>()?;
    let (settings, rest) = rest.split_first_chunk::<SETTINGS_BYTES>()?;
    let (parameters, rest) = rest.split_first_chunk::<PARAMETER_BYTES>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let tag = rest.first_chunk::<TAG_BYTES>()?;
    if magic != MAGIC {
        return None;
    }
    let platform = fitting(*settings, launch, platform)?;
    let key = keys.key_as(Purpose::Code, SEALING, parameters).ok()?;
    AesGcm::new(&*key).decrypt(nonce, settings, code, tag).ok()?;
    // SAFETY: the code is authentic under a key that only this image can derive, for the
    // program with this hash; `keep` alone seals with it, what it compiled from this
    // program with these settings.
    unsafe { program.take_up(code, &launch.limits, &platform) }.ok()
}

fn keep(compiled: &Compiled, keys: SealingKeys, limits: &Limits) -> Option<()> {
    let mut code = compiled.code().ok()?;
    let settings = settings(compiled, limits);
    let (parameters, key) = keys.new_key(Purpose::Code, SEALING).ok()?;
    let mut nonce = [0; NONCE_BYTES];
    graviola::random::fill(&mut nonce).ok()?;
    let mut tag = [0; TAG_BYTES];
    AesGcm::new(&*key).encrypt(&nonce, &settings, &mut code, &mut tag);
    let head = [MAGIC, &settings[..], &parameters, &nonce, &tag].concat();
    host().store_code(&[&head, &code]).ok()
}
