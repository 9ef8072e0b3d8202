//! Whether a quote is genuine.
//!
//! `dcap-qvl` decides. It stops at the first fault and says it in its own words, so where it refuses,
//! [`explain`] makes its checks one by one, to name all that are at fault. An explanation never turns a
//! refusal into acceptance.

use crate::bytes::Moment;
use crate::chain::{Chain, Lists};
use crate::collateral::Collateral;
use crate::crypto::{EcdsaP256Sha256, Graviola, sha256};
use crate::evidence::{Evidence, Tee};
use crate::verdict::{CheckName, Findings, Outcome};
use dcap_qvl::config::EcdsaSigEncoder;
use dcap_qvl::intel::PckExtension;
use dcap_qvl::quote::{AuthDataV3, EnclaveReport};
use dcap_qvl::signature::DerSigEncoder;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QeIdentity, QuoteClaims, QuotePolicy, TcbInfo};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};

/// Verifies a quote under a root, in DER, and returns what `dcap-qvl` found out about it.
pub(crate) fn verify(
    findings: &mut Findings,
    evidence: &Evidence,
    collateral: &Collateral,
    root: &[u8],
    at: Moment,
) -> Option<QuoteClaims> {
    // Whether debug enclaves are accepted, the policy decides later.
    let verifier = QuoteVerifier::<Graviola>::new_with_config(root.to_vec()).allow_debug(true);
    let everything = QuotePolicy::claims_only(at.0);
    let result =
        verifier.verify_with_policy(evidence.raw_quote(), collateral.parts(), at.0, &everything);
    match result {
        Ok(claims) => {
            let reason = "dcap-qvl accepts quote and collateral";
            findings.set(CheckName::Quote, Outcome::Passed, reason);
            for (name, reason) in [
                (CheckName::Chain, "the platform's certificate leads to the policy's root"),
                (CheckName::Revocation, "no certificate is revoked"),
                (CheckName::TcbInfo, "signed, in force, and of this platform"),
                (CheckName::QeIdentity, "signed, in force, and fits the quoting enclave"),
                (CheckName::Signature, "the platform's key vouches for the quote's signature"),
            ] {
                findings.set(name, Outcome::Passed, reason);
            }
            Some(claims)
        }
        Err(error) => {
            let reason = format!("dcap-qvl refuses: {error:#}");
            findings.set(CheckName::Quote, Outcome::Failed, reason);
            explain(findings, evidence, collateral, root, at);
            None
        }
    }
}

/// Makes the checks of a quote that was refused, each apart from the others.
fn explain(
    findings: &mut Findings,
    evidence: &Evidence,
    collateral: &Collateral,
    root: &[u8],
    at: Moment,
) {
    let parts = collateral.parts();
    let root = CertificateDer::from_slice(root);
    let platform = evidence.pck_chain(collateral);
    let tcb_signer = Chain::from_pem(parts.tcb_info_issuer_chain.as_bytes());
    let qe_signer = Chain::from_pem(parts.qe_identity_issuer_chain.as_bytes());
    let lead = |chain: &Result<Chain, String>| {
        chain.as_ref().map_err(Clone::clone)?.verify(&root, at, None)
    };

    let chain = lead(&platform).map(|()| "leads to the policy's root".to_owned());
    findings.decide(CheckName::Chain, chain);

    let revocation = Lists::parse(&root, &parts.root_ca_crl, &parts.pck_crl)
        .and_then(|lists| revocation(&[&platform, &tcb_signer, &qe_signer], &root, at, &lists));
    findings.decide(CheckName::Revocation, revocation);

    let extension = platform.as_ref().ok().and_then(Chain::pck_extension);
    let tcb_info = lead(&tcb_signer)
        .and_then(|()| signed(&tcb_signer, &parts.tcb_info, &parts.tcb_info_signature))
        .and_then(|()| collateral.tcb_info().ok_or("it can't be read".to_owned()))
        .and_then(|info| check_tcb_info(&info, evidence.tee(), extension.as_ref(), at));
    findings.decide(CheckName::TcbInfo, tcb_info);

    let data = evidence.quote().auth_data.clone().into_v3();
    let report = evidence.qe_report();
    let qe_identity = lead(&qe_signer)
        .and_then(|()| signed(&qe_signer, &parts.qe_identity, &parts.qe_identity_signature))
        .and_then(|()| collateral.qe_identity().ok_or("it can't be read".to_owned()))
        .and_then(|identity| check_qe_identity(&identity, evidence.tee(), &report, at));
    findings.decide(CheckName::QeIdentity, qe_identity);

    let signature = platform
        .and_then(|platform| check_signatures(evidence, &data, &report, &platform))
        .map(|()| "the platform's key vouches for the quote's signature".to_owned());
    findings.decide(CheckName::Signature, signature);
}

/// Checks that no certificate of chains is revoked. A chain that does not lead to the root is another
/// check's fault.
fn revocation(
    chains: &[&Result<Chain, String>],
    root: &CertificateDer<'_>,
    at: Moment,
    lists: &Lists,
) -> Result<String, String> {
    lists.check_root(root, at)?;
    for chain in chains.iter().filter_map(|chain| chain.as_ref().ok()) {
        if chain.verify(root, at, None).is_ok() {
            chain.verify(root, at, Some(lists))?;
        }
    }
    Ok("no certificate is revoked".to_owned())
}

/// Checks that the first certificate of a chain signed a text.
fn signed(signer: &Result<Chain, String>, text: &str, signature: &[u8]) -> Result<(), String> {
    let signer = signer.as_ref().map_err(Clone::clone)?;
    match signer.signed(text.as_bytes(), signature) {
        true => Ok(()),
        false => Err("its signature is wrong".to_owned()),
    }
}

/// Checks that a moment lies between two dates of collateral.
fn in_force(issued: &str, next: &str, at: Moment) -> Result<Moment, String> {
    let issued = Moment::parse(issued).ok_or("its date of issue can't be read")?;
    let next = Moment::parse(next).ok_or("its date of expiry can't be read")?;
    if at < issued {
        return Err(format!("it is from the future: issued on {issued}"));
    }
    if at > next {
        return Err(format!("it ran out on {next}"));
    }
    Ok(next)
}

fn check_tcb_info(
    info: &TcbInfo,
    tee: Tee,
    platform: Option<&PckExtension>,
    at: Moment,
) -> Result<String, String> {
    let next = in_force(&info.issue_date, &info.next_update, at)?;
    let id = match tee {
        Tee::Sgx => "SGX",
        Tee::Tdx => "TDX",
    };
    if info.id != id {
        return Err(format!("it is for {}, and the quote is of {id}", info.id));
    }
    let platform = platform.ok_or("the platform's certificate can't be read")?;
    let fmspc = hex::encode_upper(platform.fmspc);
    if !info.fmspc.eq_ignore_ascii_case(&fmspc) {
        return Err(format!("it is for FMSPC {}, and the platform has {fmspc}", info.fmspc));
    }
    Ok(format!("signed, of this platform, in force until {next}"))
}

fn check_qe_identity(
    identity: &QeIdentity,
    tee: Tee,
    report: &EnclaveReport,
    at: Moment,
) -> Result<String, String> {
    let next = in_force(&identity.issue_date, &identity.next_update, at)?;
    let id = match tee {
        Tee::Sgx => "QE",
        Tee::Tdx => "TD_QE",
    };
    if identity.id != id {
        return Err(format!("it is of {}, and the quote needs that of {id}", identity.id));
    }
    let masked = |bytes: &[u8], mask: &[u8]| -> Vec<u8> {
        bytes.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
    };
    let misc = report.misc_select.to_le_bytes();
    let fits = [
        ("MRSIGNER", report.mr_signer == identity.mrsigner),
        ("ISVPRODID", report.isv_prod_id == identity.isvprodid),
        (
            "MISCSELECT",
            masked(&misc, &identity.miscselect_mask)
                == masked(&identity.miscselect, &identity.miscselect_mask),
        ),
        (
            "ATTRIBUTES",
            masked(&report.attributes, &identity.attributes_mask)
                == masked(&identity.attributes, &identity.attributes_mask),
        ),
        ("the debug bit", report.attributes[0] & 2 == 0),
    ];
    if let Some((field, _)) = fits.into_iter().find(|(_, fits)| !fits) {
        return Err(format!("the quoting enclave is another: {field} differs"));
    }
    Ok(format!("signed, fits the quoting enclave, in force until {next}"))
}

/// Checks the two signatures of a quote and the hash between them (Intel, "SGX ECDSA Quote Library
/// Reference", A.4).
fn check_signatures(
    evidence: &Evidence,
    data: &AuthDataV3,
    report: &EnclaveReport,
    platform: &Chain,
) -> Result<(), String> {
    if !platform.signed(&data.qe_report, &data.qe_report_signature) {
        return Err("the platform's key did not sign the quoting enclave's report".to_owned());
    }
    let bound = [&data.ecdsa_attestation_key[..], &data.qe_auth_data.data].concat();
    if report.report_data[..32] != sha256(&bound) {
        return Err("the quoting enclave's report does not bind the quote's key".to_owned());
    }
    let key = [&[4], &data.ecdsa_attestation_key[..]].concat();
    let (r, s) = data.ecdsa_signature.split_at(32);
    let signature = DerSigEncoder::encode_ecdsa_sig(r, s).unwrap_or_default();
    let signed = evidence.raw_quote().get(..evidence.quote().signed_length());
    let signed = signed.ok_or("the quote is shorter than what it signs")?;
    EcdsaP256Sha256
        .verify_signature(&key, signed, &signature)
        .map_err(|_| "the quote's signature is wrong: header or report were changed".to_owned())
}
