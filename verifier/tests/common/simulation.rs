//! A root, a platform and a quoting enclave of a test's own, which sign whatever the test wants.

use super::cbor;
use super::pki::{Key, crl, parameters, pck_extension, pem, sha256};
use rcgen::{CertificateParams, CustomExtension, Issuer, PublicKeyData, date_time_ymd};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use twine_verifier::{Collateral, Moment};

/// A moment at which everything is good by default: 2026-01-10.
pub const NOW: Moment = Moment(1_768_003_200);

/// The security version of all components of the platform.
const PLATFORM_SVN: u8 = 5;

/// What a quote says of an enclave.
pub struct Enclave {
    pub measurement: [u8; 32],
    pub signer: [u8; 32],
    pub product_id: u16,
    pub svn: u16,
    pub debug: bool,
    pub report_data: [u8; 64],
}

impl Default for Enclave {
    fn default() -> Self {
        Enclave {
            measurement: [0x11; 32],
            signer: [0x22; 32],
            product_id: 1,
            svn: 3,
            debug: false,
            report_data: [0; 64],
        }
    }
}

impl Enclave {
    /// An enclave whose report data binds claims.
    pub fn with_claims(claims: &[u8]) -> Enclave {
        let mut enclave = Enclave::default();
        enclave.report_data[..32].copy_from_slice(&sha256(claims));
        enclave
    }

    /// The body of its report (Intel SDM, volume 3D, 40.15).
    fn report(&self) -> Vec<u8> {
        let mut report = vec![0; 384];
        report[48] = 0x05 | if self.debug { 0x02 } else { 0 };
        report[64..96].copy_from_slice(&self.measurement);
        report[128..160].copy_from_slice(&self.signer);
        report[256..258].copy_from_slice(&self.product_id.to_le_bytes());
        report[258..260].copy_from_slice(&self.svn.to_le_bytes());
        report[320..384].copy_from_slice(&self.report_data);
        report
    }
}

/// What collateral says.
pub struct State {
    pub issued: &'static str,
    pub next: &'static str,
    /// The levels: the security version of all components, and the status.
    pub levels: Vec<(u8, &'static str)>,
    pub advisories: Vec<&'static str>,
    pub evaluation_number: u32,
    pub fmspc: &'static str,
    /// The status of the quoting enclave.
    pub qe_status: &'static str,
    /// The MRSIGNER that the quoting enclave must have.
    pub qe_signer: [u8; 32],
    /// Whether the platform's certificate is revoked.
    pub revoked: bool,
}

impl Default for State {
    fn default() -> Self {
        State {
            issued: "2026-01-05T00:00:00Z",
            next: "2026-02-04T00:00:00Z",
            levels: vec![(PLATFORM_SVN, "UpToDate")],
            advisories: vec![],
            evaluation_number: 17,
            fmspc: "00606A000000",
            qe_status: "UpToDate",
            qe_signer: [0x33; 32],
            revoked: false,
        }
    }
}

/// A root and all that it vouches for.
pub struct Simulation {
    root_key: Key,
    root: CertificateParams,
    ca_key: Key,
    ca: CertificateParams,
    pck_key: Key,
    quote_key: Key,
    signer_key: Key,
    root_der: CertificateDer<'static>,
    ca_der: CertificateDer<'static>,
    pck_der: CertificateDer<'static>,
    signer_der: CertificateDer<'static>,
}

impl Simulation {
    pub fn new() -> Simulation {
        let [root_key, ca_key, pck_key, quote_key, signer_key] = [(); 5].map(|()| Key::new());
        let root = parameters("Test Root CA", &root_key, 1, true);
        let ca = parameters("Test PCK Platform CA", &ca_key, 2, true);
        let mut pck = parameters("Test PCK Certificate", &pck_key, 3, false);
        let oid = [1, 2, 840, 113741, 1, 13, 1];
        pck.custom_extensions
            .push(CustomExtension::from_oid_content(&oid, pck_extension(PLATFORM_SVN)));
        let signer = parameters("Test TCB Signing", &signer_key, 4, false);
        let root_issuer = Issuer::from_params(&root, &root_key);
        let ca_issuer = Issuer::from_params(&ca, &ca_key);
        let root_der = root.self_signed(&root_key).unwrap().der().clone();
        let ca_der = ca.signed_by(&ca_key, &root_issuer).unwrap().der().clone();
        let pck_der = pck.signed_by(&pck_key, &ca_issuer).unwrap().der().clone();
        let signer_der = signer.signed_by(&signer_key, &root_issuer).unwrap().der().clone();
        Simulation {
            root_key,
            root,
            ca_key,
            ca,
            pck_key,
            quote_key,
            signer_key,
            root_der,
            ca_der,
            pck_der,
            signer_der,
        }
    }

    /// The root's certificate in DER.
    pub fn root(&self) -> Vec<u8> {
        self.root_der.to_vec()
    }

    pub fn collateral(&self, state: &State) -> Collateral {
        let zeros: Vec<_> = (0..16).map(|_| json!({ "svn": 0 })).collect();
        let level = |(svn, status): &(u8, &str)| {
            let mut components = zeros.clone();
            components[0] = json!({ "svn": svn, "category": "BIOS", "type": "Microcode" });
            json!({
                "tcb": { "sgxtcbcomponents": components, "pcesvn": 11 },
                "tcbDate": "2025-03-01T00:00:00Z",
                "tcbStatus": status,
                "advisoryIDs": state.advisories,
            })
        };
        let tcb_info = json!({
            "id": "SGX",
            "version": 3,
            "issueDate": state.issued,
            "nextUpdate": state.next,
            "fmspc": state.fmspc,
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": state.evaluation_number,
            "tcbLevels": state.levels.iter().map(level).collect::<Vec<_>>(),
        })
        .to_string();
        let qe_identity = json!({
            "id": "QE",
            "version": 2,
            "issueDate": state.issued,
            "nextUpdate": state.next,
            "tcbEvaluationDataNumber": state.evaluation_number,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "05000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": hex::encode(state.qe_signer),
            "isvprodid": 1,
            "tcbLevels": [{
                "tcb": { "isvsvn": 3 },
                "tcbDate": "2025-03-01T00:00:00Z",
                "tcbStatus": state.qe_status,
            }],
        })
        .to_string();
        let signers = pem(&[&self.signer_der, &self.root_der]);
        let revoked = if state.revoked { vec![3] } else { vec![] };
        let json = json!({
            "pck_crl_issuer_chain": pem(&[&self.ca_der, &self.root_der]),
            "root_ca_crl": hex::encode(crl(&self.root, &self.root_key, vec![])),
            "pck_crl": hex::encode(crl(&self.ca, &self.ca_key, revoked)),
            "tcb_info_issuer_chain": signers,
            "tcb_info_signature": hex::encode(self.signer_key.raw(tcb_info.as_bytes())),
            "tcb_info": tcb_info,
            "qe_identity_issuer_chain": signers,
            "qe_identity_signature": hex::encode(self.signer_key.raw(qe_identity.as_bytes())),
            "qe_identity": qe_identity,
        });
        Collateral::from_json(json.to_string().as_bytes()).unwrap()
    }

    /// A quote of version 3 (Intel, "SGX ECDSA Quote Library Reference", A.4).
    pub fn quote(&self, enclave: &Enclave) -> Vec<u8> {
        let mut quote = vec![3, 0, 2, 0, 0, 0, 0, 0, 3, 0, 11, 0];
        quote.extend(hex::decode("939a7233f79c4ca9940a0db3957f0607").unwrap());
        quote.extend([0; 20]);
        quote.extend(enclave.report());
        let authentication = [7; 32];
        let key = &self.quote_key.der_bytes()[1..];
        let mut qe = Enclave { signer: [0x33; 32], ..Enclave::default() };
        qe.report_data[..32].copy_from_slice(&sha256(&[key, &authentication].concat()));
        let qe_report = qe.report();
        let chain = pem(&[&self.pck_der, &self.ca_der, &self.root_der]);
        let data = [
            &self.quote_key.raw(&quote)[..],
            key,
            &qe_report,
            &self.pck_key.raw(&qe_report),
            &32_u16.to_le_bytes(),
            &authentication,
            &5_u16.to_le_bytes(),
            &u32::try_from(chain.len()).unwrap().to_le_bytes(),
            chain.as_bytes(),
        ]
        .concat();
        quote.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        quote.extend(data);
        quote
    }

    /// Evidence in CBOR: a quote that binds claims, and the claims.
    pub fn evidence(&self, claims: &[u8]) -> Vec<u8> {
        cbor::evidence(&self.quote(&Enclave::with_claims(claims)), claims)
    }
}

/// A certificate for a key with an extension 2.23.133.5.4.9.
pub struct Carrier {
    pub evidence: Vec<u8>,
    pub critical: bool,
    /// The first and the last day.
    pub years: (i32, i32),
}

impl Carrier {
    pub fn new(evidence: Vec<u8>) -> Carrier {
        Carrier { evidence, critical: false, years: (2025, 2027) }
    }

    /// The certificate in DER, for one key and signed by another.
    pub fn sign(&self, key: &Key, by: &Key) -> Vec<u8> {
        let mut parameters = parameters("Test", key, 9, false);
        parameters.not_before = date_time_ymd(self.years.0, 1, 1);
        parameters.not_after = date_time_ymd(self.years.1, 1, 1);
        let oid = [2, 23, 133, 5, 4, 9];
        let mut extension = CustomExtension::from_oid_content(&oid, self.evidence.clone());
        extension.set_criticality(self.critical);
        parameters.custom_extensions.push(extension);
        let issuer = Issuer::from_params(&parameters, by);
        parameters.signed_by(key, &issuer).unwrap().der().to_vec()
    }
}
