//! Evidence of a launch: the statement, the claims, the report, and what a quoting enclave makes of
//! it.

use crate::certificate::RunKey;
use twine_boundary::Error as BoundaryError;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::claims::{self, Claims, no_key};
use twine_evidence::manifest::Identity;
use twine_evidence::statement::{
    Deployment, Image, MAX_BYTES, MAX_NONCE_BYTES, Program, Run, Said, Statement, Subject, VERSION,
};
use twine_guest::Turns;
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

/// Quotes are made one after the other. Whoever wants one waits for those who came before, and so for
/// one quote of each other program at most.
static TURNS: Turns = Turns::new();

/// Makes evidence with a public key of the enclave's, in CBOR.
fn evidence(target: &[u8], key: Digest, subject: Subject, run: Run) -> Result<Vec<u8>, Error> {
    let nonce = run.nonce.clone().map(|Bytes(nonce)| nonce);
    let statement = statement(subject, run).encode();
    if statement.len() > MAX_BYTES {
        return Err(Error::TooLong(statement.len()));
    }
    let claims = Claims { key, nonce, statement }.encode();
    let report = report_for(target, &claims::report_data(&claims)).ok_or(Error::Request)?;
    let quote = {
        let _turn = TURNS.wait();
        host().quote(&report).map_err(Error::Host)?
    };
    Ok(claims::evidence(&quote, &claims))
}

/// Makes evidence of an enclave that waits for deployments: with its public key, and for a client
/// with the client's nonce and what binds it to the connection.
///
/// # Errors
/// The cause, in one line.
pub(crate) fn of_host(
    target: &[u8],
    key: Digest,
    nonce: Option<Vec<u8>>,
    channel: Option<Digest>,
) -> Result<Vec<u8>, String> {
    let run = Run { nonce: nonce.map(Bytes), key: Some(key), channel };
    evidence(target, key, Subject::Host, run).map_err(|error| match error {
        Error::Host(error) => error.to_string(),
        _ => "the host's target for reports is not valid".into(),
    })
}

/// Makes evidence of a deployment's launch for its attested connections: with a public key of it, and
/// with the other end's nonce and what binds it to the connection, if they are given.
///
/// # Errors
/// The cause, in one line.
pub(crate) fn of_deployment(
    target: &[u8],
    subject: &Subject,
    key: Digest,
    bound: Option<(Vec<u8>, Digest)>,
) -> Result<Vec<u8>, String> {
    let (nonce, channel) = bound.unzip();
    let run = Run { nonce: nonce.map(Bytes), key: Some(key), channel };
    evidence(target, key, subject.clone(), run).map_err(|error| match error {
        Error::Host(error) => error.to_string(),
        Error::TooLong(length) => format!("the launch statement has {length} bytes, too many"),
        _ => "the host's target for reports is not valid".into(),
    })
}

/// Makes evidence of what a program says. It is for no key, and for no connection.
///
/// # Errors
/// The statement is too long, or the host makes no quote.
pub(crate) fn of_guest(
    program: Program,
    deployment: Option<Deployment>,
    said: Said,
) -> Result<Vec<u8>, Error> {
    let target = host().quoting_target().map_err(Error::Host)?;
    let subject = Subject::Guest { program, deployment, said };
    evidence(&target, no_key(), subject, Run::default())
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
    let run =
        Run { nonce: request.nonce.clone().map(Bytes), key: Some(run_key.digest()), channel: None };
    let evidence = evidence(&request.target, run_key.digest(), subject, run)?;
    let evidence = match request.form {
        EvidenceForm::Cbor => evidence,
        EvidenceForm::Certificate => run_key.certificate(evidence).map_err(|_| Error::Key)?,
    };
    host().evidence(&evidence).map_err(Error::Host)
}
