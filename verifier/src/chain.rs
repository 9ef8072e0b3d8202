//! Certificates that lead to a root, and revocation lists.

use crate::bytes::Moment;
use crate::crypto::EcdsaP256Sha256;
use crate::evidence::pck_extension;
use dcap_qvl::config::EcdsaSigEncoder;
use dcap_qvl::intel::PckExtension;
use dcap_qvl::signature::DerSigEncoder;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_cert::der::Decode;

/// How many certificates a chain may have. Intel's have three at most.
const MAX_CERTIFICATES: usize = 5;

/// A certificate and those that may have issued it, up to a root.
pub(crate) struct Chain {
    certificates: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads a chain in PEM, the leaf first.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Chain, String> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| format!("the chain: {error}"))?;
        match certificates.len() {
            0 => Err("the chain is empty".to_owned()),
            1..=MAX_CERTIFICATES => Ok(Chain { certificates }),
            count => {
                Err(format!("the chain has {count} certificates; the limit is {MAX_CERTIFICATES}"))
            }
        }
    }

    /// Returns the leaf's extension of Intel's, which PCK certificates have.
    pub(crate) fn pck_extension(&self) -> Option<PckExtension> {
        pck_extension(self.certificates.first()?)
    }

    /// Returns whether the chain claims to lead to a root: whether it has the root, or a certificate
    /// whose issuer has the root's name. `None` if a certificate can't be read, and no other leads there.
    pub(crate) fn names(&self, root: &[u8]) -> Option<bool> {
        let root = x509_cert::Certificate::from_der(root).ok()?;
        let name = root.tbs_certificate().subject();
        let mut is_readable = true;
        for certificate in &self.certificates {
            match x509_cert::Certificate::from_der(certificate) {
                Ok(certificate) if certificate.tbs_certificate().issuer() == name => {
                    return Some(true);
                }
                Ok(_) => {}
                Err(_) => is_readable = false,
            }
        }
        is_readable.then_some(false)
    }

    /// Checks that the leaf leads to a root, and by lists, where there are any, that none of the
    /// chain is revoked.
    pub(crate) fn verify(
        &self,
        root: &CertificateDer<'_>,
        at: Moment,
        lists: Option<&Lists>,
    ) -> Result<(), String> {
        let [leaf, issuers @ ..] = &self.certificates[..] else {
            return Err("the chain is empty".to_owned());
        };
        let lists: Vec<_> = lists.iter().flat_map(|lists| &lists.lists).collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let verify = || {
            let anchor = webpki::anchor_from_trusted_cert(root)?;
            EndEntityCert::try_from(leaf)?.verify_for_usage(
                &[&EcdsaP256Sha256],
                &[anchor],
                issuers,
                time(at),
                KeyUsage::server_auth(),
                revocation,
                None,
            )?;
            Ok(())
        };
        verify().map_err(describe)
    }

    /// Returns whether the leaf's key signed a message; the signature is `r || s`.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let [leaf, ..] = &self.certificates[..] else { return false };
        let Some((r, s)) = signature.split_at_checked(32) else { return false };
        let Ok(signature) = DerSigEncoder::encode_ecdsa_sig(r, s) else { return false };
        EndEntityCert::try_from(leaf)
            .is_ok_and(|leaf| leaf.verify_signature(&EcdsaP256Sha256, message, &signature).is_ok())
    }
}

/// The revocation lists of the root and of the authority that certifies platforms.
pub(crate) struct Lists {
    lists: [CertRevocationList<'static>; 2],
}

impl Lists {
    /// Reads the lists, in DER, and checks that the root signed its own.
    pub(crate) fn parse(
        root: &CertificateDer<'_>,
        root_crl: &[u8],
        pck_crl: &[u8],
    ) -> Result<Lists, String> {
        let anchor = webpki::anchor_from_trusted_cert(root).map_err(describe)?;
        let key = &anchor.subject_public_key_info;
        let root_crl =
            OwnedCertRevocationList::from_der_verified(root_crl, key, &[&EcdsaP256Sha256])
                .map_err(|error| format!("the root's CRL: {}", describe(error)))?;
        let pck_crl = OwnedCertRevocationList::from_der(pck_crl)
            .map_err(|error| format!("the PCK CRL: {}", describe(error)))?;
        Ok(Lists { lists: [root_crl.into(), pck_crl.into()] })
    }

    /// Checks that the root is not revoked.
    pub(crate) fn check_root(&self, root: &CertificateDer<'_>, at: Moment) -> Result<(), String> {
        let lists = self.lists.each_ref();
        webpki::check_single_cert_revocation(root, &lists, &[&EcdsaP256Sha256], time(at))
            .map_err(|error| format!("the root: {}", describe(error)))
    }
}

fn time(at: Moment) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(at.0))
}

/// Says a fault of a chain or of a list in plain words.
fn describe(error: Error) -> String {
    let moment = |time: UnixTime| Moment(time.as_secs());
    match error {
        Error::UnknownIssuer => "it does not lead to the root that the policy names".to_owned(),
        Error::CertExpired { not_after, .. } => {
            format!("a certificate ran out on {}", moment(not_after))
        }
        Error::CertNotValidYet { not_before, .. } => {
            format!("a certificate is valid only from {}", moment(not_before))
        }
        Error::CertRevoked => "a certificate is revoked".to_owned(),
        Error::CrlExpired { next_update, .. } => {
            format!("a revocation list ran out on {}", moment(next_update))
        }
        Error::UnknownRevocationStatus => {
            "no revocation list is by a certificate's issuer".to_owned()
        }
        Error::InvalidSignatureForPublicKey => "a certificate's signature is wrong".to_owned(),
        Error::InvalidCrlSignatureForPublicKey => {
            "a revocation list is not signed by the key of its issuer".to_owned()
        }
        other => format!("{other}"),
    }
}
