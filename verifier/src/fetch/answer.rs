//! The answers of a service, and the parts of collateral that they hold.

use super::FetchError;
use crate::collateral;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;
use ureq::Agent;
use ureq::http::HeaderMap;

/// How long one answer may be, in bytes.
pub const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// A TCB info and its signature. What is signed are the bytes of the text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedTcbInfo<'a> {
    #[serde(borrow)]
    pub(super) tcb_info: &'a RawValue,
    pub(super) signature: &'a str,
}

/// A QE identity and its signature.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedIdentity<'a> {
    #[serde(borrow)]
    pub(super) enclave_identity: &'a RawValue,
    pub(super) signature: &'a str,
}

/// An answer of a service with status 200.
pub(super) struct Answer {
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Asks for a URL.
    pub(super) fn get(agent: &Agent, url: String) -> Result<Answer, FetchError> {
        let failed = |url: &str, error: ureq::Error| FetchError::Connection {
            url: url.to_owned(),
            reason: error.to_string(),
        };
        let mut response = agent.get(&url).call().map_err(|error| failed(&url, error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status { url, status });
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
        let body = body.read_to_vec().map_err(|error| failed(&url, error))?;
        Ok(Answer { url, headers: response.headers().clone(), body })
    }

    fn problem(&self, problem: impl Into<String>) -> FetchError {
        FetchError::Answer { url: self.url.clone(), problem: problem.into() }
    }

    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, FetchError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.problem(format!("is not what was asked for: {error}")))
    }

    /// Returns a chain in PEM from a header, which has one of these names.
    pub(super) fn chain<const N: usize>(&self, names: [&str; N]) -> Result<String, FetchError> {
        let shown = names.first().copied().unwrap_or_default();
        let value = names.iter().find_map(|name| self.headers.get(*name));
        let value = value.and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| self.problem(format!("has no header {shown}")))?;
        let chain = percent_decode_str(value).decode_utf8();
        let chain =
            chain.map_err(|_| self.problem(format!("has a header {shown} that is no text")))?;
        Ok(chain.into_owned())
    }

    /// Returns a revocation list. Intel sends it in DER, a PCCS in hexadecimal.
    pub(super) fn crl(&self) -> Result<Vec<u8>, FetchError> {
        let der = hex::decode(self.body.trim_ascii()).unwrap_or_else(|_| self.body.clone());
        match collateral::dates_of_crl(&der) {
            Some(_) => Ok(der),
            None => Err(self.problem("is not a revocation list with dates")),
        }
    }

    /// Returns the text of a TCB info or of a QE identity, byte by byte as it came.
    pub(super) fn dated(&self, content: &RawValue) -> Result<String, FetchError> {
        match collateral::dates_of_json(content.get()) {
            Some(_) => Ok(content.get().to_owned()),
            None => Err(self.problem("has no dates of issue and expiry")),
        }
    }

    pub(super) fn signature(&self, signature: &str) -> Result<Vec<u8>, FetchError> {
        hex::decode(signature).map_err(|_| self.problem("has a signature that is not hexadecimal"))
    }
}
