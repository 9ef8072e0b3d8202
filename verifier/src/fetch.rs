//! Collateral from Intel's service or from a PCCS, a cache of it that an operator runs.
//!
//! Collateral is signed and dated, so whoever carries it can keep it back but not change it: the
//! verification finds that out. Neither the connection nor the cache's folder needs to be trusted.

mod answer;
mod cache;
mod error;

use crate::bytes::Moment;
use crate::collateral::Collateral;
use crate::evidence::{Ca, Platform, Tee};
use crate::policy::CollateralRules;
pub use answer::MAX_ANSWER_BYTES;
use answer::{Answer, SignedIdentity, SignedTcbInfo};
use cache::Cache;
use dcap_qvl::QuoteCollateralV3;
pub use error::FetchError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Intel's Provisioning Certification Service.
const INTEL: &str = "https://api.trustedservices.intel.com";

/// Where Intel publishes the revocation list of its root; the root's certificate names it.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/// Which of two TCB infos is asked for after Intel has published a new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Update {
    /// The one that platforms have had time to follow.
    #[default]
    Standard,
    /// The new one. It tells what a platform's status will be.
    Early,
}

impl Update {
    fn name(self) -> &'static str {
        match self {
            Update::Standard => "standard",
            Update::Early => "early",
        }
    }
}

/// Returns the collateral for a platform that a fetcher has kept in a folder, without asking anybody.
/// `None` if there is none, or none that can be read.
pub fn kept(folder: &Path, platform: &Platform, update: Update) -> Option<Collateral> {
    Cache::new(folder).read(platform, update)
}

/// Fetches collateral, and keeps what a verification has found good.
#[derive(Debug)]
pub struct Fetcher {
    authorities: RootCerts,
    timeout: Duration,
    service: String,
    root_crl: String,
    update: Update,
    cache: Option<Cache>,
}

impl Fetcher {
    /// Makes a fetcher that asks Intel.
    pub fn intel() -> Fetcher {
        Fetcher::new(INTEL.to_owned(), INTEL_ROOT_CRL.to_owned())
    }

    /// Makes a fetcher that asks a PCCS at an address such as `https://pccs.example:8081`.
    ///
    /// # Errors
    /// [`FetchError::Address`] if it is not the address of a service.
    pub fn pccs(address: &str) -> Result<Fetcher, FetchError> {
        let parsed: Option<Uri> = address.parse().ok();
        let is_service = parsed.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
        });
        if !is_service {
            return Err(FetchError::Address { address: address.to_owned() });
        }
        let service = address.trim_end_matches('/').to_owned();
        let root_crl = format!("{service}/sgx/certification/v4/rootcacrl");
        Ok(Fetcher::new(service, root_crl))
    }

    fn new(service: String, root_crl: String) -> Fetcher {
        Fetcher {
            authorities: RootCerts::WebPki,
            timeout: Duration::from_secs(30),
            service,
            root_crl,
            update: Update::Standard,
            cache: None,
        }
    }

    /// Sets which TCB info is asked for.
    pub fn update(self, update: Update) -> Fetcher {
        Fetcher { update, ..self }
    }

    /// Sets how long one question may take, from the connection to the end of the answer. It is 30
    /// seconds if nothing is set.
    pub fn timeout(self, timeout: Duration) -> Fetcher {
        Fetcher { timeout, ..self }
    }

    /// Trusts the authorities of these certificates, in PEM, for connections over TLS. Without it, those
    /// are trusted that Mozilla trusts; a PCCS often has a certificate that it signed itself.
    ///
    /// # Errors
    /// [`FetchError::Trust`] if there is no certificate.
    pub fn trust(self, certificates: &[u8]) -> Result<Fetcher, FetchError> {
        let trust = |reason: String| FetchError::Trust { reason };
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .map(|certificate| certificate.map(|der| Certificate::from_der(&der).to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|error| trust(error.to_string()))?;
        if certificates.is_empty() {
            return Err(trust("the text has none".to_owned()));
        }
        Ok(Fetcher { authorities: RootCerts::Specific(Arc::new(certificates)), ..self })
    }

    /// Takes collateral from a folder, with one file for each kind of platform, and keeps it there
    /// ([`Fetcher::keep`]).
    pub fn cache(self, folder: &Path) -> Fetcher {
        Fetcher { cache: Some(Cache::new(folder)), ..self }
    }

    /// Returns collateral for a platform that is good by a policy's rules at a time. What the cache has
    /// is taken if it is neither older than the rules allow nor so near its end that a verdict would
    /// warn. It is also taken if there is no newer one to be had, as long as it is valid.
    ///
    /// # Errors
    /// [`FetchError`] if the service does not give collateral and the cache has none.
    pub fn collateral(
        &self,
        platform: &Platform,
        rules: &CollateralRules,
        at: Moment,
    ) -> Result<Collateral, FetchError> {
        let cached = self.cache.as_ref().and_then(|cache| cache.read(platform, self.update));
        let cached = match cached {
            Some(cached) if cached.is_fresh(rules, at) => return Ok(cached),
            Some(cached) if cached.is_valid(rules, at) => Some(cached),
            _ => None,
        };
        match (self.fetch(platform), cached) {
            (Ok(fetched), _) => Ok(fetched),
            (Err(_), Some(cached)) => Ok(cached),
            (Err(error), None) => Err(error),
        }
    }

    /// Keeps collateral for a platform, if there is a folder for it. Keep only what has verified genuine
    /// evidence ([`CheckName::Quote`](crate::CheckName::Quote)): a service could give anything, and it
    /// would be taken from the folder until its dates are over.
    ///
    /// # Errors
    /// [`FetchError::Cache`] if the folder can't be written.
    pub fn keep(&self, platform: &Platform, collateral: &Collateral) -> Result<(), FetchError> {
        match &self.cache {
            Some(cache) if cache.read(platform, self.update).as_ref() != Some(collateral) => {
                cache.write(platform, self.update, collateral)
            }
            _ => Ok(()),
        }
    }

    /// Fetches collateral for a platform, whatever the cache has.
    ///
    /// # Errors
    /// [`FetchError`] if the service does not give it.
    pub fn fetch(&self, platform: &Platform) -> Result<Collateral, FetchError> {
        if platform.tee != Tee::Sgx {
            return Err(FetchError::Tee);
        }
        let base = format!("{}/sgx/certification/v4", self.service);
        let update = self.update.name();
        let fmspc = hex::encode_upper(platform.fmspc);
        let ca = match platform.ca {
            Ca::Processor => "processor",
            Ca::Platform => "platform",
        };
        let agent = self.agent();
        let pck_crl = Answer::get(&agent, format!("{base}/pckcrl?ca={ca}&encoding=der"))?;
        let tcb = Answer::get(&agent, format!("{base}/tcb?fmspc={fmspc}&update={update}"))?;
        let qe = Answer::get(&agent, format!("{base}/qe/identity?update={update}"))?;
        let root_crl = Answer::get(&agent, self.root_crl.clone())?;

        let tcb_info: SignedTcbInfo<'_> = tcb.json()?;
        let qe_identity: SignedIdentity<'_> = qe.json()?;
        Ok(Collateral::from_parts(QuoteCollateralV3 {
            pck_crl_issuer_chain: pck_crl.chain(["SGX-PCK-CRL-Issuer-Chain"])?,
            root_ca_crl: root_crl.crl()?,
            pck_crl: pck_crl.crl()?,
            // Version 3 of the interface had `SGX-` before the name, and caches still answer so.
            tcb_info_issuer_chain: tcb
                .chain(["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"])?,
            tcb_info: tcb.dated(tcb_info.tcb_info)?,
            tcb_info_signature: tcb.signature(tcb_info.signature)?,
            qe_identity_issuer_chain: qe.chain(["SGX-Enclave-Identity-Issuer-Chain"])?,
            qe_identity: qe.dated(qe_identity.enclave_identity)?,
            qe_identity_signature: qe.signature(qe_identity.signature)?,
            pck_certificate_chain: None,
        }))
    }

    /// Makes a client of HTTP. It follows no redirection: that would let the service choose whom this
    /// program asks, and none of the services needs it.
    fn agent(&self) -> Agent {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
            .root_certs(self.authorities.clone())
            .build();
        Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .new_agent()
    }
}
