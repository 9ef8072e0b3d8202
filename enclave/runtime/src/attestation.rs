//! Evidence of a launch: the statement, the claims, the report, and what a quoting enclave makes of
//! it.

use graviola::signing::ecdsa::{P256, SigningKey};
use twine_boundary::Error as BoundaryError;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::claims::{self, Claims};
use twine_evidence::manifest::Identity;
use twine_evidence::statement::{
    Deployment, Engine, Image, Kind, MAX_BYTES, MAX_NONCE_BYTES, Run, Statement, VERSION,
};
use twine_evidence::terms::Terms;
use twine_protocol::launch::EvidenceRequest;
use twine_sgx::{host, regions, report_for};

/// Room for the SubjectPublicKeyInfo of a P-256 key, which has 91 bytes.
const SPKI_ROOM: usize = 128;

/// Why no evidence was made.
#[derive(Debug)]
pub(crate) enum Error {
    /// The nonce is longer than evidence may contain, or the target is none.
    Request,
    /// The statement is too long: its length in bytes.
    TooLong(usize),
    /// The CPU returns no randomness.
    Randomness,
    /// The host made no quote, or did not take the evidence.
    Host(BoundaryError),
}

/// Returns this enclave's identity.
pub(crate) fn identity() -> Identity {
    let twine_sgx::Identity { measurement, signer, product, svn, debug } =
        twine_sgx::Identity::present();
    Identity { measurement: Digest(measurement), signer: Digest(signer), product, svn, debug }
}

/// Makes the launch statement.
pub(crate) fn statement(
    terms: Terms,
    deployment: Option<Deployment>,
    engine: Engine,
    run: Run,
) -> Statement {
    let twine_sgx::Regions { heap, code, guards } = regions();
    Statement {
        version: VERSION,
        kind: if deployment.is_some() { Kind::Deployment } else { Kind::Local },
        terms,
        deployment,
        engine,
        image: Image { runtime: env!("CARGO_PKG_VERSION").into(), heap, code, guards },
        run,
    }
}

/// Makes evidence of a launch, and hands it over to the host.
///
/// # Errors
/// The request is not valid, or the host does not take part.
pub(crate) fn hand_over(
    request: &EvidenceRequest,
    terms: Terms,
    deployment: Option<Deployment>,
    engine: Engine,
) -> Result<(), Error> {
    if request.nonce.as_ref().is_some_and(|nonce| nonce.len() > MAX_NONCE_BYTES) {
        return Err(Error::Request);
    }
    let key = SigningKey::<P256>::generate().map_err(|_| Error::Randomness)?;
    let mut room = [0; SPKI_ROOM];
    let spki = key.to_spki_der(&mut room).map_err(|_| Error::Randomness)?;
    let key = Digest::of(spki);
    let run = Run { nonce: request.nonce.clone().map(Bytes), key: Some(key) };
    let statement = statement(terms, deployment, engine, run).encode();
    if statement.len() > MAX_BYTES {
        return Err(Error::TooLong(statement.len()));
    }
    let claims = Claims { key, nonce: request.nonce.clone(), statement }.encode();
    let report =
        report_for(&request.target, &claims::report_data(&claims)).ok_or(Error::Request)?;
    let quote = host().quote(&report).map_err(Error::Host)?;
    host().evidence(&claims::evidence(&quote, &claims)).map_err(Error::Host)
}
