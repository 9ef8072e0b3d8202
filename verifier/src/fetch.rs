//! Collateral from Intel's service or from a PCCS, a cache of it that an operator runs.
//!
//! Collateral is signed and dated, so whoever carries it can keep it back but not change it: the
//! verification finds that out. Neither the connection nor the cache's folder needs to be trusted.

mod cache;

use crate::bytes::Moment;
use crate::collateral::{self, Collateral};
use crate::evidence::{Ca, Platform, Tee};
use crate::policy::CollateralRules;
use cache::Cache;
use dcap_qvl::QuoteCollateralV3;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{TlsConfig, TlsProvider};

/// Intel's Provisioning Certification Service.
const INTEL: &str = "https://api.trustedservices.intel.com";

/// Where Intel publishes the revocation list of its root; the root's certificate names it.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/// How long one answer may be, in bytes.
pub const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Why there is no collateral.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address of the service is not one of HTTP or HTTPS with a host.
    #[error("`{address}` is not the address of a service, such as https://pccs.example:8081")]
    Address {
        /// The address.
        address: String,
    },
    /// The quote is not of an enclave.
    #[error("collateral is fetched for quotes of SGX enclaves only")]
    Tee,
    /// The service can't be reached, is too slow, or does not speak HTTP.
    #[error("{url}: {reason}")]
    Connection {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The service answered with another status than 200. A redirection is one.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer is not what it should be.
    #[error("{url}: the answer {problem}")]
    Answer {
        /// What was asked for.
        url: String,
        /// The defect.
        problem: String,
    },
    /// The cache could not be written.
    #[error("{path}: {source}", path = path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

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

/// Fetches collateral, and keeps it.
#[derive(Debug)]
pub struct Fetcher {
    agent: Agent,
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
        let provider = Arc::new(rustls_graviola::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        Fetcher {
            agent: agent(tls, Duration::from_secs(30)),
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
        let tls = self.agent.config().tls_config().clone();
        Fetcher { agent: agent(tls, timeout), ..self }
    }

    /// Keeps collateral in a folder, one file for each kind of platform.
    pub fn cache(self, folder: &Path) -> Fetcher {
        Fetcher { cache: Some(Cache::new(folder)), ..self }
    }

    /// Returns collateral for a platform that is good by a policy's rules at a time. What the cache has
    /// is taken if it is neither older than the rules allow nor so near its end that a verdict would
    /// warn. It is also taken if there is no newer one to be had, as long as it is valid.
    ///
    /// # Errors
    /// [`FetchError`] if the service does not give collateral and the cache has none, or if new
    /// collateral can't be kept.
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
            (Ok(fetched), _) => {
                if let Some(cache) = &self.cache {
                    cache.write(platform, self.update, &fetched)?;
                }
                Ok(fetched)
            }
            (Err(_), Some(cached)) => Ok(cached),
            (Err(error), None) => Err(error),
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
        let pck_crl = self.get(format!("{base}/pckcrl?ca={ca}&encoding=der"))?;
        let tcb = self.get(format!("{base}/tcb?fmspc={fmspc}&update={update}"))?;
        let qe = self.get(format!("{base}/qe/identity?update={update}"))?;
        let root_crl = self.get(self.root_crl.clone())?;

        let tcb_info: SignedTcbInfo<'_> = tcb.json()?;
        let qe_identity: SignedIdentity<'_> = qe.json()?;
        Ok(Collateral::from_parts(QuoteCollateralV3 {
            pck_crl_issuer_chain: pck_crl.chain(&["SGX-PCK-CRL-Issuer-Chain"])?,
            root_ca_crl: root_crl.crl()?,
            pck_crl: pck_crl.crl()?,
            // Version 3 of the interface had `SGX-` before the name, and caches still answer so.
            tcb_info_issuer_chain: tcb
                .chain(&["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"])?,
            tcb_info: tcb.dated(tcb_info.tcb_info)?,
            tcb_info_signature: tcb.signature(tcb_info.signature)?,
            qe_identity_issuer_chain: qe.chain(&["SGX-Enclave-Identity-Issuer-Chain"])?,
            qe_identity: qe.dated(qe_identity.enclave_identity)?,
            qe_identity_signature: qe.signature(qe_identity.signature)?,
            pck_certificate_chain: None,
        }))
    }

    fn get(&self, url: String) -> Result<Answer, FetchError> {
        let failed = |url: &str, error: ureq::Error| FetchError::Connection {
            url: url.to_owned(),
            reason: error.to_string(),
        };
        let mut response = self.agent.get(&url).call().map_err(|error| failed(&url, error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status { url, status });
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
        let body = body.read_to_vec().map_err(|error| failed(&url, error))?;
        Ok(Answer { url, headers: response.headers().clone(), body })
    }
}

/// A redirection would let the service choose whom this program asks; none of the services needs one.
fn agent(tls: TlsConfig, timeout: Duration) -> Agent {
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .new_agent()
}

/// A TCB info and its signature. What is signed are the bytes of the text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedTcbInfo<'a> {
    #[serde(borrow)]
    tcb_info: &'a RawValue,
    signature: &'a str,
}

/// A QE identity and its signature.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedIdentity<'a> {
    #[serde(borrow)]
    enclave_identity: &'a RawValue,
    signature: &'a str,
}

/// An answer of a service with status 200.
struct Answer {
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn problem(&self, problem: impl Into<String>) -> FetchError {
        FetchError::Answer { url: self.url.clone(), problem: problem.into() }
    }

    fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, FetchError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.problem(format!("is not what was asked for: {error}")))
    }

    /// Returns a chain in PEM from a header, which has one of these names.
    fn chain(&self, names: &[&str]) -> Result<String, FetchError> {
        let value = names.iter().find_map(|name| self.headers.get(*name));
        let value = value.and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| self.problem(format!("has no header {}", names[0])))?;
        let chain = percent_decode_str(value).decode_utf8();
        let chain = chain
            .map_err(|_| self.problem(format!("has a header {} that is no text", names[0])))?;
        Ok(chain.into_owned())
    }

    /// Returns a revocation list. Intel sends it in DER, a PCCS in hexadecimal.
    fn crl(&self) -> Result<Vec<u8>, FetchError> {
        let der = hex::decode(self.body.trim_ascii()).unwrap_or_else(|_| self.body.clone());
        match collateral::dates_of_crl(&der) {
            Some(_) => Ok(der),
            None => Err(self.problem("is not a revocation list with dates")),
        }
    }

    /// Returns the text of a TCB info or of a QE identity, byte by byte as it came.
    fn dated(&self, content: &RawValue) -> Result<String, FetchError> {
        match collateral::dates_of_json(content.get()) {
            Some(_) => Ok(content.get().to_owned()),
            None => Err(self.problem("has no dates of issue and expiry")),
        }
    }

    fn signature(&self, signature: &str) -> Result<Vec<u8>, FetchError> {
        hex::decode(signature).map_err(|_| self.problem("has a signature that is not hexadecimal"))
    }
}
