//! `twine run --evidence`: quotes for the enclave, and the file for its evidence.

use crate::failure::Failure;
use crate::mounts::Prepared;
use crate::output::{self, Kind};
use clap::{Args, ValueEnum};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use twine_evidence::statement::MAX_NONCE_BYTES;
use twine_host::{Attestation, NoQuote, Platform};
use twine_protocol::launch::{EvidenceForm, EvidenceRequest};
use twine_quoting::{Quoting, SOCKET};

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

/// Evidence that a launch asks for.
#[derive(Debug)]
pub(crate) struct Evidence {
    request: EvidenceRequest,
    maker: Arc<Maker>,
}

/// Makes quotes, and writes the evidence.
struct Maker {
    quoting: Quoting,
    file: PathBuf,
    form: Form,
    /// The cause why there is no evidence.
    failed: Mutex<Option<Failure>>,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker").field("file", &self.file).finish_non_exhaustive()
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

    /// Prepares what the options ask for. `None` if they ask for no evidence.
    pub(crate) fn prepare(self, platform: Platform) -> Result<Option<Evidence>, Failure> {
        let Some(file) = self.evidence else { return Ok(None) };
        // The quoting enclave of software SGX needs the machine's root secret, as sealing does.
        platform.sealing()?;
        let quoting = Quoting::open(&quoting_platform(platform)?)?;
        let request = EvidenceRequest {
            target: quoting.target_info().to_vec(),
            nonce: self.nonce.map(|Nonce(bytes)| bytes),
            form: match self.evidence_form {
                Form::Cbor => EvidenceForm::Cbor,
                Form::Certificate => EvidenceForm::Certificate,
            },
        };
        let maker = Maker { quoting, file, form: self.evidence_form, failed: Mutex::default() };
        Ok(Some(Evidence { request, maker: Arc::new(maker) }))
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
    pub(crate) fn request(&self) -> EvidenceRequest {
        self.request.clone()
    }

    /// The part that serves the enclave.
    pub(crate) fn attestation(&self) -> Box<dyn Attestation> {
        Box::new(Served(self.maker.clone()))
    }

    /// Returns the cause why there is no evidence, if the enclave asked for it in vain.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.maker.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The part of a [`Maker`] that serves the enclave.
struct Served(Arc<Maker>);

impl Maker {
    fn fail(&self, failure: Failure) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}

impl Attestation for Served {
    fn quote(&self, report: &[u8]) -> Result<Vec<u8>, NoQuote> {
        let Served(maker) = self;
        let report = report.try_into().map_err(|_| NoQuote)?;
        maker.quoting.quote(report).map_err(|error| {
            maker.fail(error.into());
            NoQuote
        })
    }

    fn evidence(&self, evidence: &[u8]) -> io::Result<()> {
        let Served(maker) = self;
        let contents = match maker.form {
            Form::Cbor => evidence.to_vec(),
            Form::Certificate => {
                let block = pem::Pem::new("CERTIFICATE", evidence);
                let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
                pem::encode_config(&block, config).into_bytes()
            }
        };
        output::replace(&maker.file, &contents).inspect_err(|error| {
            maker.fail(Failure::system(
                format!("{} can't be written: {error}", maker.file.display()),
                error,
                "name another file",
            ));
        })
    }
}
