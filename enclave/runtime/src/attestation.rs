//! Evidence of a launch: the statement, the claims, the report, and what a quoting enclave makes of
//! it.

use crate::certificate::RunKey;
use twine_boundary::Error as BoundaryError;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::claims::{self, Claims};
use twine_evidence::manifest::Identity;
use twine_evidence::statement::{
    Image, MAX_BYTES, MAX_NONCE_BYTES, Run, Statement, Subject, VERSION,
};
use twine_protocol::launch::{EvidenceForm, EvidenceRequest};
use twine_sgx::{host, regions, report_for};

/// Why no evidence was made.
#[derive(Debug)]
pub(crate) enum Error {
    /// The nonce is empty, or longer than evidence may contain, or the target is none.
    Request,
    /// The statement is too long: its length in bytes.
    TooLong(usize),
    /// No key or certificate was made: the CPU returns no randomness, or the host no time.
    Key,
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
fn statement(subject: Subject, run: Run) -> Statement {
    let twine_sgx::Regions { heap, code, guards } = regions();
    Statement {
        version: VERSION,
        subject,
        image: Image { runtime: env!("CARGO_PKG_VERSION").into(), heap, code, guards },
        run,
    }
}

/// Makes evidence of a launch, and hands it over to the host.
///
/// # Errors
/// The request is not valid, or the host does not take part.
pub(crate) fn hand_over(request: &EvidenceRequest, subject: Subject) -> Result<(), Error> {
    let is_right = |nonce: &Vec<u8>| (1..=MAX_NONCE_BYTES).contains(&nonce.len());
    if !request.nonce.iter().all(is_right) {
        return Err(Error::Request);
    }
    let run_key = RunKey::new().map_err(|_| Error::Key)?;
    let key = run_key.digest();
    let run = Run { nonce: request.nonce.clone().map(Bytes), key: Some(key), channel: None };
    let statement = statement(subject, run).encode();
    if statement.len() > MAX_BYTES {
        return Err(Error::TooLong(statement.len()));
    }
    let claims = Claims { key, nonce: request.nonce.clone(), statement }.encode();
    let report =
        report_for(&request.target, &claims::report_data(&claims)).ok_or(Error::Request)?;
    let quote = host().quote(&report).map_err(Error::Host)?;
    let evidence = claims::evidence(&quote, &claims);
    let evidence = match request.form {
        EvidenceForm::Cbor => evidence,
        EvidenceForm::Certificate => run_key.certificate(evidence).map_err(|_| Error::Key)?,
    };
    host().evidence(&evidence).map_err(Error::Host)
}
