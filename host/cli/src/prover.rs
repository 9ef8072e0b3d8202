//! What an enclave needs of its machine to prove itself to others, and to verify what they prove: quotes,
//! and collateral.

use crate::collateral::Collaterals;
use crate::evidence::quoting_platform;
use crate::failure::Failure;
use crate::verify::now;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use twine_host::Platform;
use twine_protocol::wire::Issuer;
use twine_quoting::Quoting;
use twine_verifier::{Ca, Tee};

/// For how long collateral is taken from memory. Intel's changes once in weeks, but a revocation should
/// not take longer than that to arrive.
const FRESH: Duration = Duration::from_hours(1);

/// For how long nobody is asked again after a failure.
const PAUSE: Duration = Duration::from_secs(30);

/// Limit on the kinds of platforms whose collateral is in memory. There are some hundreds in the world.
const MAX_KEPT: usize = 256;

/// The machine's part in proofs. The enclave's calls come from several threads; quotes are made one
/// after the other, and so is collateral fetched.
pub(crate) struct Prover {
    platform: Platform,
    quoting: Mutex<Option<Quoting>>,
    collaterals: Collaterals,
    kept: Mutex<HashMap<([u8; 6], Issuer), Kept>>,
    fetching: Mutex<()>,
}

/// Collateral that was got, or that nobody gave.
struct Kept {
    json: Option<Vec<u8>>,
    at: Instant,
}

impl Kept {
    fn is_current(&self) -> bool {
        self.at.elapsed() < if self.json.is_some() { FRESH } else { PAUSE }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Prover {
    /// Makes one, which reaches for the quoting enclave when it is first needed.
    pub(crate) fn new(platform: Platform, collaterals: Collaterals) -> Self {
        Prover {
            platform,
            quoting: Mutex::default(),
            collaterals,
            kept: Mutex::default(),
            fetching: Mutex::default(),
        }
    }

    /// Calls `use_it` with the quoting enclave. After a failure it is reached again: it may have been
    /// replaced.
    fn with_quoting<T>(
        &self,
        use_it: impl FnOnce(&Quoting) -> Result<T, twine_quoting::Error>,
    ) -> Result<T, Failure> {
        let mut quoting = lock(&self.quoting);
        let opened = match quoting.take() {
            Some(opened) => opened,
            None => {
                // The quoting enclave of software SGX needs the machine's root secret, as sealing does.
                self.platform.sealing()?;
                Quoting::open(&quoting_platform(self.platform)?)?
            }
        };
        let result = use_it(&opened)?;
        *quoting = Some(opened);
        Ok(result)
    }

    /// Returns the TARGETINFO of the quoting enclave.
    pub(crate) fn target(&self) -> Result<Vec<u8>, Failure> {
        self.with_quoting(|quoting| Ok(quoting.target_info().to_vec()))
    }

    /// Returns the quote of a report, which has the right size in an honest enclave.
    pub(crate) fn quote(&self, report: &[u8]) -> Result<Vec<u8>, Failure> {
        let report = report.try_into().map_err(|_| {
            Failure::new("the enclave's report has another size", "use the image of this release")
        })?;
        self.with_quoting(|quoting| quoting.quote(report))
    }

    /// Returns collateral in JSON. `None` if it could not be had; `warn` then gets the cause, unless it got
    /// it shortly before.
    pub(crate) fn collateral(
        &self,
        fmspc: [u8; 6],
        issuer: Issuer,
        warn: impl FnOnce(Failure),
    ) -> Option<Vec<u8>> {
        let current = || {
            let kept = lock(&self.kept);
            kept.get(&(fmspc, issuer))
                .filter(|kept| kept.is_current())
                .map(|kept| kept.json.clone())
        };
        if let Some(json) = current() {
            return json;
        }
        let _one = lock(&self.fetching);
        // Another thread may have fetched it meanwhile.
        if let Some(json) = current() {
            return json;
        }
        let platform = |ca| twine_verifier::Platform { fmspc, ca, tee: Tee::Sgx };
        let got = match issuer {
            Issuer::Processor => self.collaterals.get(&platform(Ca::Processor), now()),
            Issuer::Platform => self.collaterals.get(&platform(Ca::Platform), now()),
            Issuer::Simulation => self.collaterals.of_simulation(now()),
        };
        let json = got.map_err(warn).ok().map(|collateral| collateral.to_json());
        let mut kept = lock(&self.kept);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, kept| kept.is_current());
        }
        if kept.len() < MAX_KEPT {
            kept.insert((fmspc, issuer), Kept { json: json.clone(), at: Instant::now() });
        }
        json
    }
}
