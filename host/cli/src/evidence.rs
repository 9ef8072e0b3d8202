//! `twine run --evidence`: quotes for the enclave, and the file for its evidence.

use crate::collateral;
use crate::failure::Failure;
use crate::mounts::Prepared;
use crate::output::{self, Kind};
use crate::print::print_error;
use crate::prover::Prover;
use clap::{Args, ValueEnum};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_evidence::statement::MAX_NONCE_BYTES;
use twine_host::{Attestation, NoQuote, Platform};
use twine_protocol::launch::{EvidenceForm, EvidenceRequest};
use twine_protocol::wire::Issuer;
use twine_quoting::SOCKET;

/// Options for evidence of a launch.
#[derive(Debug, Default, Args)]
pub(crate) struct EvidenceOptions {
    /// Write evidence of the launch to FILE, before the program starts. `twine verify` verifies it.
    /// Older evidence in FILE is replaced, and nothing else
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,

    /// Put this nonce of whoever asks for the evidence into it: up to 64 bytes in hexadecimal. It
    /// shows that the evidence is new if it is random and has 16 bytes or more
    #[arg(long, value_name = "HEX", requires = "evidence", value_parser = nonce)]
    nonce: Option<Nonce>,

    /// Form of the evidence
    #[arg(long, value_enum, default_value = "cbor", requires = "evidence")]
    evidence_form: Form,
}

/// A nonce.
#[derive(Debug, Clone)]
struct Nonce(Vec<u8>);

fn nonce(text: &str) -> Result<Nonce, String> {
    let wrong = || format!("write 1 to {MAX_NONCE_BYTES} bytes as hexadecimal digits");
    let bytes = twine_evidence::bytes::from_hex(text).ok_or_else(wrong)?;
    if bytes.is_empty() || bytes.len() > MAX_NONCE_BYTES {
        return Err(wrong());
    }
    Ok(Nonce(bytes))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    /// The quote and the claims, in CBOR
    Cbor,
    /// A certificate (X.509, PEM) with the same as an extension, for RA-TLS
    Certificate,
}

/// What a launch asks for of evidence, and what serves it.
#[derive(Debug)]
pub(crate) struct Evidence {
    request: Option<EvidenceRequest>,
    maker: Arc<Maker>,
}

/// Makes quotes, and writes the evidence.
struct Maker {
    prover: Prover,
    output: Option<Output>,
}

/// Where the evidence of the launch is written.
struct Output {
    file: PathBuf,
    form: Form,
    /// Whether the evidence was written, or the cause why there is none.
    result: Mutex<Result<bool, Failure>>,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.output.as_ref().map(|output| &output.file);
        f.debug_struct("Maker").field("file", &file).finish_non_exhaustive()
    }
}

/// Files with evidence. A certificate without evidence is none, and a quote alone is not of a run.
const FILES: Kind = Kind {
    name: "evidence",
    option: "--evidence",
    is_one: |bytes| {
        twine_verifier::Evidence::parse(bytes).is_ok_and(|found| found.claims().is_some())
    },
};

impl EvidenceOptions {
    /// Checks that the evidence would overwrite nothing but older evidence. `prepared` has the files
    /// of the run's volumes, which are empty where they are new.
    ///
    /// # Errors
    /// It would, or the file can't be read.
    pub(crate) fn check_file(&self, prepared: &Prepared) -> Result<(), Failure> {
        prepared.check_output(&FILES, self.evidence.as_deref())
    }

    /// Prepares what the options ask for, and what programs may ask for: without a file for evidence,
    /// nothing is asked of the machine before a program does.
    pub(crate) fn prepare(self, platform: Platform) -> Result<Evidence, Failure> {
        let collaterals = collateral::Options::default().for_peers()?;
        let prover = Prover::new(platform, collaterals);
        let form = match self.evidence_form {
            Form::Cbor => EvidenceForm::Cbor,
            Form::Certificate => EvidenceForm::Certificate,
        };
        let nonce = self.nonce.map(|Nonce(bytes)| bytes);
        let request = match &self.evidence {
            Some(_) => Some(EvidenceRequest { target: prover.target()?, nonce, form }),
            None => None,
        };
        let output = self.evidence.map(|file| Output {
            file,
            form: self.evidence_form,
            result: Mutex::new(Ok(false)),
        });
        Ok(Evidence { request, maker: Arc::new(Maker { prover, output }) })
    }
}

/// Returns the quoting enclave for a platform.
pub(crate) fn quoting_platform(platform: Platform) -> Result<twine_quoting::Platform, Failure> {
    Ok(match platform {
        Platform::Hardware => twine_quoting::Platform::Hardware { socket: SOCKET.into() },
        Platform::Simulated | Platform::Throwaway => {
            let machine = sgx_sim::Device::new().map_err(|error| {
                Failure::new(
                    format!("software SGX can't be used: {error}"),
                    "see `twine info` for this machine's SGX",
                )
            })?;
            twine_quoting::Platform::Simulated(machine)
        }
    })
}

impl From<twine_quoting::Error> for Failure {
    fn from(error: twine_quoting::Error) -> Self {
        Failure::new(
            &error,
            error.remedy().unwrap_or_else(|| "see `twine info` for this machine's SGX".into()),
        )
    }
}

impl Evidence {
    /// The part for the launch request.
    pub(crate) fn request(&self) -> Option<EvidenceRequest> {
        self.request.clone()
    }

    /// The part that serves the enclave.
    pub(crate) fn attestation(&self) -> Box<dyn Attestation> {
        Box::new(Served(self.maker.clone()))
    }

    /// Returns the cause why there is no evidence, if the enclave asked for it in vain.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let output = self.maker.output.as_ref()?;
        std::mem::replace(&mut *output.result(), Ok(true)).err()
    }
}

impl Output {
    fn result(&self) -> MutexGuard<'_, Result<bool, Failure>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, evidence: &[u8]) -> io::Result<()> {
        let contents = match self.form {
            Form::Cbor => evidence.to_vec(),
            Form::Certificate => {
                let block = pem::Pem::new("CERTIFICATE", evidence);
                let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
                pem::encode_config(&block, config).into_bytes()
            }
        };
        let written = output::replace(&self.file, &contents);
        *self.result() = match &written {
            Ok(()) => Ok(true),
            Err(error) => Err(Failure::system(
                format!("{} can't be written: {error}", self.file.display()),
                error,
                "name another file",
            )),
        };
        written
    }
}

/// The part of a [`Maker`] that serves the enclave.
struct Served(Arc<Maker>);

impl Maker {
    /// Keeps the cause for the end of the run, if the launch waits for its evidence. What a program asked
    /// for in vain, it deals with itself; its user is told why.
    fn fail(&self, failure: Failure) {
        match self.output.as_ref().map(Output::result) {
            Some(mut result) if matches!(*result, Ok(false)) => *result = Err(failure),
            _ => warn(&failure),
        }
    }
}

fn warn(failure: &Failure) {
    print_error!("warning: {}", failure.cause());
}

impl Attestation for Served {
    fn quote(&self, report: &[u8]) -> Result<Vec<u8>, NoQuote> {
        let Served(maker) = self;
        maker.prover.quote(report).map_err(|failure| {
            maker.fail(failure);
            NoQuote
        })
    }

    fn evidence(&self, evidence: &[u8]) -> io::Result<()> {
        let output = self.0.output.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        output.write(evidence)
    }

    fn target(&self) -> Result<Vec<u8>, NoQuote> {
        self.0.prover.target().map_err(|failure| {
            warn(&failure);
            NoQuote
        })
    }

    fn collateral(&self, fmspc: [u8; 6], issuer: Issuer) -> Option<Vec<u8>> {
        self.0.prover.collateral(fmspc, issuer, |failure| warn(&failure))
    }
}
