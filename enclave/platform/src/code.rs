//! Compiled code that the host keeps, so that later runs of a program compile nothing.
//!
//! It is sealed under a key of this very image and the program's hash, so what comes back
//! is what this enclave compiled from these bytes, or nothing.

use crate::host::host;
use crate::seal::{PARAMETER_BYTES, Purpose, SealingKeys};
use graviola::aead::AesGcm;
use twine_engine::{Compiled, Error, Identified, Platform};
use twine_protocol::launch::{Launch, Limits, Sealing};

const MAGIC: &[u8; 8] = b"TWINECOD";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + PARAMETER_BYTES + NONCE_BYTES + TAG_BYTES;

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
        return program.compile(&launch.limits, platform);
    }
    if let Some(compiled) = kept(program, keys, &launch.limits, platform) {
        return Ok(compiled);
    }
    let compiled = program.compile(&launch.limits, platform)?;
    // Without it the next run compiles again.
    let _ = keep(&compiled, keys, &launch.limits, platform);
    Ok(compiled)
}

/// What the code depends on beside the program and the image.
fn extra(limits: &Limits, platform: &Platform) -> [u8; 11] {
    let mut extra = [0; 11];
    extra[..8].copy_from_slice(MAGIC);
    extra[8] = limits.fuel.is_some().into();
    extra[9] = limits.timeout.is_some().into();
    extra[10] = platform.guarded.is_some().into();
    extra
}

fn kept(
    program: &Identified,
    keys: SealingKeys,
    limits: &Limits,
    platform: &Platform,
) -> Option<Compiled> {
    let mut sealed = host().load_code().ok()?;
    let (head, code) = sealed.split_first_chunk_mut::<HEAD_BYTES>()?;
    let (magic, rest) = head.split_first_chunk::<{ MAGIC.len() }>()?;
    let (parameters, rest) = rest.split_first_chunk::<PARAMETER_BYTES>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let tag = rest.first_chunk::<TAG_BYTES>()?;
    if magic != MAGIC {
        return None;
    }
    let key = keys.key_as(Purpose::Code, SEALING, parameters).ok()?;
    AesGcm::new(&*key).decrypt(nonce, &extra(limits, platform), code, tag).ok()?;
    // SAFETY: the code is authentic under a key that only this image can derive, for the
    // program with this hash; `keep` alone seals with it, what it compiled from this
    // program with these settings.
    unsafe { program.take_up(code, limits, platform) }.ok()
}

fn keep(
    compiled: &Compiled,
    keys: SealingKeys,
    limits: &Limits,
    platform: &Platform,
) -> Option<()> {
    let mut code = compiled.code().ok()?;
    let (parameters, key) = keys.new_key(Purpose::Code, SEALING).ok()?;
    let mut nonce = [0; NONCE_BYTES];
    graviola::random::fill(&mut nonce).ok()?;
    let mut tag = [0; TAG_BYTES];
    AesGcm::new(&*key).encrypt(&nonce, &extra(limits, platform), &mut code, &mut tag);
    let head = [MAGIC, &parameters[..], &nonce, &tag].concat();
    host().store_code(&[&head, &code]).ok()
}
