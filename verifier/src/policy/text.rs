//! Policies as text: TOML, with errors that point to their place.

use super::{
    ClaimRules, CollateralRules, EnclaveRules, LaunchRules, PlatformRules, Policy, Root, TcbRules,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};
use toml::Spanned;
use twine_evidence::statement::Kind;

/// How long a policy may be, in bytes.
pub const MAX_POLICY_BYTES: usize = 1 << 20;

/// Why a text is not a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The text is not TOML, has an unknown key, or a value that can't be used.
    #[error("line {line}, column {column}: {problem}")]
    At {
        /// The line, counted from 1.
        line: usize,
        /// The column, in characters, counted from 1.
        column: usize,
        /// The defect.
        problem: String,
    },
    /// The text is longer than [`MAX_POLICY_BYTES`].
    #[error("the policy has more than {MAX_POLICY_BYTES} bytes")]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
}

/// The whole text, before its parts are compared with each other.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Text {
    root: Spanned<String>,
    enclave: Spanned<EnclaveRules>,
    #[serde(default)]
    claims: ClaimRules,
    launch: Option<Spanned<LaunchRules>>,
    #[serde(default)]
    tcb: TcbRules,
    #[serde(default)]
    collateral: CollateralRules,
    #[serde(default)]
    platform: PlatformRules,
}

/// Reads the start of a file: one byte more than a policy or a root may have, so that a file that never
/// ends is refused too.
fn start(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_POLICY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Policy {
    /// Reads a policy. Its root is named, or is there in PEM.
    ///
    /// # Errors
    /// [`PolicyError`], with the line and the column of the defect.
    pub fn from_toml(text: &str) -> Result<Policy, PolicyError> {
        Policy::with_files(text, |_| Err("a root in a file takes a policy in a file".to_owned()))
    }

    /// Reads a policy from a file, and the file of its root if it names one. That file holds a
    /// certificate in PEM or DER; its path is relative to the policy's folder.
    ///
    /// # Errors
    /// [`PolicyError`], with the line and the column of the defect.
    pub fn read(path: &Path) -> Result<Policy, PolicyError> {
        let failed = |source| PolicyError::Read { path: path.to_owned(), source };
        let text = String::from_utf8(start(path).map_err(failed)?)
            .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Policy::with_files(&text, |name| {
            let path = folder.join(name);
            start(&path).map_err(|error| format!("root {}: {error}", path.display()))
        })
    }

    fn with_files(
        text: &str,
        read: impl FnOnce(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Policy, PolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLong { length: text.len() });
        }
        let parsed: Text = toml::from_str(text).map_err(|error| {
            at(text, error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        let enclave = parsed.enclave.get_ref();
        let is_named = !(enclave.measurements.is_empty() && enclave.signers.is_empty());
        let problem = match (is_named, enclave.any) {
            (false, false) => Some("name `measurements` or `signers`, or say `any = true`"),
            (true, true) => Some("`any = true` contradicts `measurements` and `signers`"),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(at(text, parsed.enclave.span().start, problem.to_owned()));
        }
        if let Some(launch) = &parsed.launch
            && let Some(problem) = launch.get_ref().problem()
        {
            return Err(at(text, launch.span().start, problem.to_owned()));
        }
        let root = Root::find(parsed.root.get_ref(), read)
            .map_err(|problem| at(text, parsed.root.span().start, problem))?;
        Ok(Policy {
            root,
            enclave: parsed.enclave.into_inner(),
            claims: parsed.claims,
            launch: parsed.launch.map(Spanned::into_inner),
            tcb: parsed.tcb,
            collateral: parsed.collateral,
            platform: parsed.platform,
        })
    }
}

impl LaunchRules {
    /// Says why a table would accept launches on anybody's terms, or none at all, if it would.
    fn problem(&self) -> Option<&'static str> {
        match self.kind {
            Some(Kind::Host) if self.demands_manifest() || !self.programs.is_empty() => {
                return Some(
                    "an enclave that waits for deployments (`kind = \"host\"`) has neither a program \
                     nor a manifest",
                );
            }
            Some(Kind::Local) if self.demands_manifest() => {
                return Some("a local launch (`kind = \"local\"`) has no manifest");
            }
            _ => {}
        }
        if self.describes_manifest() && !self.pins_manifest() {
            return Some(
                "everybody can sign a manifest with this name, version and generation: \
                 name `owners`, `manifests` or `launches`",
            );
        }
        (!self.names_any()).then_some(
            "this table names no launch: name `launches`, `programs`, `owners` or `manifests`, \
             or leave the table out",
        )
    }
}

impl Root {
    fn find(
        name: &str,
        read: impl FnOnce(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Root, String> {
        let bytes = match name {
            "intel" => return Ok(Root::Intel),
            "simulation" => return Ok(Root::Simulation),
            pem if pem.contains("-----BEGIN") => pem.as_bytes().to_vec(),
            path => read(path)?,
        };
        let certificate = match bytes.first() {
            Some(0x30) => CertificateDer::from(bytes),
            _ => CertificateDer::from_pem_slice(&bytes)
                .map_err(|error| format!("the root is not a certificate in PEM: {error}"))?,
        };
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|error| format!("the root is not a certificate: {error}"))?;
        Ok(Root::Certificate(certificate.to_vec()))
    }
}

/// Makes an error at an offset, in bytes, of a text.
fn at(text: &str, offset: usize, problem: String) -> PolicyError {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    PolicyError::At {
        line: 1 + before.matches('\n').count(),
        column: 1 + before.get(line_start..).unwrap_or_default().chars().count(),
        problem: problem.replace('\n', " "),
    }
}
