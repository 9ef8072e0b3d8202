//! A connection to a `twine host`, verified by a manifest.

use crate::collateral;
use crate::failure::Failure;
use crate::key_command::read_private;
use crate::manifest::SignedFile;
use crate::owner_key::OwnerKey;
use crate::peer;
use crate::print::{foreign, print_error};
use crate::verify::now;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use twine_client::{Connection, Fresh, Proven, TimeLimit};
use twine_verifier::{CheckName, Outcome, Policy, Request, Root, Roots, Verdict, verify};

/// How long a connection may take until the host knows the client.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// How to get a connection to an enclave, and whose.
#[derive(Debug, Args)]
pub(crate) struct ConnectOptions {
    /// Private key of the owner, or of somebody whom the manifest allows this, in PEM
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,

    #[command(flatten)]
    pub(super) collateral: collateral::Options,

    /// Print no notes
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Whom to connect to, and what to demand of it.
pub(super) struct Host {
    address: String,
    name: String,
    port: u16,
    policy: Policy,
    roots: Roots,
    key: OwnerKey,
    options: ConnectOptions,
}

impl Host {
    /// Prepares connections to the host at `address`, which must be what the manifest demands.
    ///
    /// # Errors
    /// The address is none, or the key can't be read.
    pub(super) fn new(
        address: &str,
        held: &SignedFile,
        options: ConnectOptions,
    ) -> Result<Self, Failure> {
        let (name, port) = peer::address(address).ok_or_else(|| {
            Failure::usage(
                format!("{address:?} is no address of a host"),
                "write HOST:PORT, such as enclaves.example.org:7443",
            )
        })?;
        let key = read_private(&options.key)?;
        Ok(Host {
            address: address.to_owned(),
            name,
            port,
            policy: Policy::for_host(held.manifest()),
            roots: Roots::with_simulation(sgx_sim_quoting::root_certificate().to_vec()),
            key,
            options,
        })
    }

    /// The address, as it was given.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether to print notes.
    pub(super) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Connects, verifies the enclave, and proves to it whose client this is. With `tell`, prints
    /// what was verified.
    ///
    /// # Errors
    /// The host can't be reached, or its enclave is not what the manifest demands.
    pub(super) fn connect(&self, tell: bool) -> Result<Proven, Error> {
        let limit = TimeLimit::new(HANDSHAKE);
        let connection = Connection::open(&self.name, self.port, limit)?;
        let (unproven, fresh) = connection.evidence(limit)?;
        let verdict = self.verify(&fresh)?;
        if !verdict.is_accepted() {
            return Err(self.refused(&verdict).into());
        }
        if tell && !self.options.quiet {
            self.tell(&verdict);
        }
        let sign = |message: &[u8]| self.key.sign(message).map_err(|error| error.to_string());
        Ok(unproven.prove(self.key.public(), sign, limit)?)
    }

    fn verify(&self, fresh: &Fresh) -> Result<Verdict, Failure> {
        let at = now();
        let found = self.options.collateral.find(&fresh.evidence, &self.policy, &self.roots, at)?;
        let request = Request {
            evidence: &fresh.evidence,
            collateral: found.now.collateral(),
            policy: &self.policy,
            roots: &self.roots,
            at,
            nonce: Some(&fresh.nonce),
            data: None,
            public_key: Some(&fresh.public_key),
            report_data: None,
            channel: Some(fresh.channel.0),
        };
        let verdict = verify(&request);
        found.now.keep(&verdict)?;
        Ok(verdict)
    }

    /// Prints what was found out about the host.
    fn tell(&self, verdict: &Verdict) {
        let measurement = verdict.facts().map(|facts| facts.measurement.to_string());
        print_error!(
            "twine: {} is an enclave that the manifest accepts: MRENCLAVE {}",
            self.address,
            measurement.unwrap_or_default()
        );
        for check in verdict.checks().iter().filter(|check| check.result == Outcome::Warning) {
            print_error!("twine: warning: {}: {}", check.name, foreign(&check.reason));
        }
    }

    fn refused(&self, verdict: &Verdict) -> Failure {
        if self.policy.root != Root::Simulation
            && verdict.check(CheckName::Simulated).result == Outcome::Failed
        {
            // The other checks fail because of that.
            return Failure::new(
                format!(
                    "{} is not an enclave that the manifest accepts: its SGX is simulated, which \
                     protects nothing",
                    self.address
                ),
                "nothing was sent to it: name another host. To try Twine out all the same, make the \
                 manifest with --root simulation, or give `twine sqlite` --simulation",
            );
        }
        let reasons: Vec<String> = verdict
            .failed()
            .map(|check| format!("{}: {}", check.name, foreign(&check.reason)))
            .collect();
        Failure::new(
            format!(
                "{} is not an enclave that the manifest accepts: {}",
                self.address,
                reasons.join("; ")
            ),
            "nothing was sent to it: name another host, or have the manifest's owner change what it \
             demands",
        )
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Error {
    /// The client's error.
    Client(twine_client::Error),
    /// Another failure.
    Failure(Failure),
}

impl From<twine_client::Error> for Error {
    fn from(error: twine_client::Error) -> Self {
        Error::Client(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Failure(failure)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Client(error) => error.into(),
            Error::Failure(failure) => failure,
        }
    }
}

impl Error {
    /// Whether another try may succeed.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Error::Client(error) if error.is_lost())
    }
}
