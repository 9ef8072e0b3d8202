//! The errors of this crate, with their remedies.

use std::io;
use std::path::PathBuf;

use crate::connection::PATIENCE;
use crate::refusal::Refusal;

/// A quoting enclave can't be reached, or gave no quote.
///
/// The message is one line with the cause; [`Error::remedy`] is one line with the remedy, if there is
/// one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing listens at the daemon's socket.
    #[error("no AESM daemon listens at {path}", path = .socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
    },
    /// This user may not connect to the daemon.
    #[error("this user may not connect to the AESM daemon at {path}", path = .socket.display())]
    NotPermitted {
        /// The socket.
        socket: PathBuf,
    },
    /// The connection to the daemon failed, or ended before the answer.
    #[error("the connection to the AESM daemon at {path} failed: {source}", path = .socket.display())]
    Connection {
        /// The socket.
        socket: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The daemon took the request, and does not answer.
    #[error(
        "the AESM daemon at {path} gave no answer in {seconds} seconds",
        path = .socket.display(),
        seconds = PATIENCE.as_secs()
    )]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon answered with an error code.
    #[error("the AESM daemon refused {request}: {refusal}")]
    Refused {
        /// The function of Intel's library that makes this request.
        request: &'static str,
        /// The code.
        refusal: Refusal,
    },
    /// The daemon's answer breaks its protocol.
    #[error("the AESM daemon's answer to {request} {problem}")]
    Answer {
        /// The function of Intel's library that makes this request.
        request: &'static str,
        /// The defect, as the predicate of the sentence.
        problem: &'static str,
    },
    /// The daemon has no attestation key for ECDSA on P-256.
    #[error("the AESM daemon has no attestation key for ECDSA on P-256")]
    NoEcdsaKey,
    /// The simulated quoting enclave refused.
    #[error(transparent)]
    Simulation(#[from] sgx_sim_quoting::Error),
}

impl Error {
    /// Returns the remedy in one line, if there is one.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Error::NoDaemon { .. } => {
                "install sgx-aesm-service and libsgx-aesm-quote-ex-plugin, and start it: systemctl start aesmd".into()
            }
            Error::NotPermitted { socket } => {
                format!("give this user the right to write to {}", socket.display())
            }
            Error::Silent { .. } | Error::Connection { .. } | Error::Answer { .. } => {
                "restart the daemon: systemctl restart aesmd; its log says more: journalctl --unit aesmd".into()
            }
            Error::Refused { refusal, .. } => refusal.remedy().into(),
            Error::NoEcdsaKey => {
                "install libsgx-aesm-ecdsa-plugin and libsgx-aesm-quote-ex-plugin, and restart aesmd".into()
            }
            Error::Simulation(error) => return error.remedy().map(str::to_owned),
        })
    }
}
