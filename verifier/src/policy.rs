//! What a relying party accepts.

mod hosts;
mod text;

use crate::bytes::Hex;
use serde::Deserialize;
use twine_evidence::manifest::AllowedImage;
use twine_evidence::statement::Kind;

pub use dcap_qvl::TcbStatus;
pub use text::{MAX_POLICY_BYTES, PolicyError};

/// What a relying party accepts. It is written in TOML, and only what it says is left open:
///
/// ```toml
/// root = "intel"              # or "simulation", or a certificate: its PEM, or its file
///
/// [enclave]                   # what holds for the enclave; each key that is there must
/// measurements = ["00…"]      # MRENCLAVE, any of these
/// signers = ["00…"]           # MRSIGNER, any of these
/// product-id = 1              # ISVPRODID
/// least-svn = 3               # ISVSVN
/// debug = false               # true accepts enclaves whose memory the host can read
/// any = false                 # true: neither measurements nor signers; any enclave passes
///
/// [claims]                    # what the report data must bind
/// required = true             # false accepts a quote alone
///
/// [launch]                    # what Twine's launch statement must say; without it, only warnings
/// kind = "deployment"         # or "local", or "host": an enclave that waits for deployments,
///                             # or "guest": what a program says of itself
/// launches = ["00…"]          # hash of the statement without nonce, key and channel
/// programs = ["00…"]          # SHA-256 of the program, any of these
/// owners = ["00…"]            # SHA-256 of the key of the manifest's owner, any of these
/// name = "app"                # name of the deployment
/// least-version = 3           # of the manifest
/// generation = 1              # of the deployment's sealing keys
/// manifests = ["00…"]         # SHA-256 of the manifest, any of these
/// writable-code = false       # true accepts code that is writable while it runs (no SGX2)
///
/// [tcb]
/// statuses = ["UpToDate", "SWHardeningNeeded"]
/// refused-advisories = ["INTEL-SA-00001"]
/// accepted-advisories = ["INTEL-SA-00615"]  # if it is there, no other may apply
/// least-evaluation-number = 17              # of the TCB info and of the QE identity
///
/// [collateral]
/// most-days = 30              # the greatest age of TCB info, QE identity and PCK CRL
/// warning-days = 7            # how early the end of their validity is announced
///
/// [platform]
/// ppid-hashes = ["00…"]       # SHA-256 of the PPID, any of these
/// instances = ["00…"]         # platform instance, any of these
/// smt = true                  # accepts platforms with hyper-threading
/// dynamic = true              # accepts platforms to which packages can be added
/// cached-keys = true          # accepts platforms whose root keys Intel keeps
/// ```
///
/// All but `root`, and `measurements` or `signers`, may be left out. The values above for `debug`,
/// `any`, `required`, `statuses`, `most-days`, `warning-days`, `smt`, `dynamic` and `cached-keys` are
/// then taken; the other keys then check nothing.
///
/// A list of which one must be there is never empty. The table `[launch]` has one of its lists at least;
/// `name`, `least-version` and `generation` need `launches`, `owners` or `manifests` beside them.
/// `kind = "host"` needs none, and only `"deployment"` and `"guest"` go with what a manifest says. What a
/// program says of itself is accepted only with `kind = "guest"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The root at which the platform's and the collateral's certificates must end.
    pub root: Root,
    /// What must hold for the enclave.
    pub enclave: EnclaveRules,
    /// What must hold for the claims.
    pub claims: ClaimRules,
    /// What must hold for the launch. `None`: evidence need not have a launch statement.
    pub launch: Option<LaunchRules>,
    /// What must hold for the platform's security version.
    pub tcb: TcbRules,
    /// How old collateral may be.
    pub collateral: CollateralRules,
    /// Which platforms may have made the quote.
    pub platform: PlatformRules,
}

/// A root of trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Intel's production root: hardware.
    Intel,
    /// The simulation's root: any quote under it may be made by anybody.
    Simulation,
    /// Another certificate, in DER.
    Certificate(Vec<u8>),
}

/// The table `[enclave]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct EnclaveRules {
    /// MRENCLAVE is one of these. If it is empty, MRENCLAVE is not checked.
    #[serde(deserialize_with = "named")]
    pub measurements: Vec<Hex<32>>,
    /// MRSIGNER is one of these. If it is empty, MRSIGNER is not checked.
    #[serde(deserialize_with = "named")]
    pub signers: Vec<Hex<32>>,
    /// ISVPRODID is this.
    pub product_id: Option<u16>,
    /// ISVSVN is not less than this.
    pub least_svn: Option<u16>,
    /// Whether a debug enclave, whose memory the host can read and write, is accepted.
    pub debug: bool,
    /// Whether any enclave is accepted.
    pub any: bool,
    /// The enclave is one of these, if there are any. Text has no such key: a policy that is made of a
    /// manifest has the manifest's images here, each with its own product and security version.
    #[serde(skip)]
    pub images: Vec<AllowedImage>,
}

/// The table `[claims]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClaimRules {
    /// Whether evidence without claims, a quote alone, is refused.
    pub required: bool,
}

impl Default for ClaimRules {
    fn default() -> Self {
        ClaimRules { required: true }
    }
}

/// The table `[launch]`. What is empty or absent is not checked. Everybody can sign a manifest with any
/// name, version and generation, so whoever makes a policy without [`Policy::from_toml`] names a launch,
/// an owner or a manifest beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LaunchRules {
    /// The statement is of this kind.
    pub kind: Option<Kind>,
    /// The hash of the statement, without nonce, key and connection, is one of these.
    #[serde(deserialize_with = "named")]
    pub launches: Vec<Hex<32>>,
    /// The SHA-256 of the program is one of these.
    #[serde(deserialize_with = "named")]
    pub programs: Vec<Hex<32>>,
    /// The SHA-256 of the key of the manifest's owner is one of these.
    #[serde(deserialize_with = "named")]
    pub owners: Vec<Hex<32>>,
    /// The name of the deployment is this.
    pub name: Option<String>,
    /// The version of the manifest is not less than this.
    pub least_version: Option<u64>,
    /// The generation of the deployment's sealing keys is this.
    pub generation: Option<u64>,
    /// The SHA-256 of the manifest is one of these.
    #[serde(deserialize_with = "named")]
    pub manifests: Vec<Hex<32>>,
    /// Whether code may be writable while it runs.
    pub writable_code: bool,
}

impl LaunchRules {
    /// Whether the policy names launches, programs, owners or manifests, or an enclave that has none.
    pub(crate) fn names_any(&self) -> bool {
        self.pins_manifest() || !self.programs.is_empty() || self.kind == Some(Kind::Host)
    }

    /// Whether a manifest that anybody signs, with whatever name and version, is refused: the launch, the
    /// owner or the manifest is named.
    pub(crate) fn pins_manifest(&self) -> bool {
        !(self.launches.is_empty() && self.owners.is_empty() && self.manifests.is_empty())
    }

    /// Whether a launch without a manifest is refused.
    pub(crate) fn demands_manifest(&self) -> bool {
        !self.owners.is_empty() || !self.manifests.is_empty() || self.describes_manifest()
    }

    /// Whether the policy demands what everybody can write into a manifest of his own.
    pub(crate) fn describes_manifest(&self) -> bool {
        self.name.is_some() || self.least_version.is_some() || self.generation.is_some()
    }
}

/// The table `[tcb]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct TcbRules {
    /// The TCB status is one of these. `Revoked` can't be accepted.
    #[serde(deserialize_with = "statuses")]
    pub statuses: Vec<TcbStatus>,
    /// None of these advisories applies.
    pub refused_advisories: Vec<String>,
    /// No other advisory than these applies; `None` leaves that open.
    pub accepted_advisories: Option<Vec<String>>,
    /// The `tcbEvaluationDataNumber` of TCB info and QE identity is not less than this.
    pub least_evaluation_number: Option<u32>,
}

impl Default for TcbRules {
    fn default() -> Self {
        TcbRules {
            statuses: vec![TcbStatus::UpToDate, TcbStatus::SWHardeningNeeded],
            refused_advisories: Vec::new(),
            accepted_advisories: None,
            least_evaluation_number: None,
        }
    }
}

/// The table `[collateral]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CollateralRules {
    /// The greatest age in days of the oldest of TCB info, QE identity and the PCK CRL. Intel's are
    /// valid for 30 days.
    pub most_days: u64,
    /// How many days before the end of the collateral's validity a warning is given.
    pub warning_days: u64,
}

impl Default for CollateralRules {
    fn default() -> Self {
        CollateralRules { most_days: 30, warning_days: 7 }
    }
}

/// The table `[platform]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlatformRules {
    /// The SHA-256 of the platform's PPID is one of these. If it is empty, it is not checked.
    #[serde(deserialize_with = "named")]
    pub ppid_hashes: Vec<Hex<32>>,
    /// The platform instance, which platforms with several packages have, is one of these. If it is
    /// empty, it is not checked.
    #[serde(deserialize_with = "named")]
    pub instances: Vec<Hex<16>>,
    /// Whether hyper-threading may be on.
    pub smt: bool,
    /// Whether packages may be added to the platform.
    pub dynamic: bool,
    /// Whether Intel may keep the platform's root keys.
    pub cached_keys: bool,
}

impl Default for PlatformRules {
    fn default() -> Self {
        PlatformRules {
            ppid_hashes: Vec::new(),
            instances: Vec::new(),
            smt: true,
            dynamic: true,
            cached_keys: true,
        }
    }
}

fn statuses<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<TcbStatus>, D::Error> {
    let statuses = Vec::deserialize(from)?;
    match statuses.contains(&TcbStatus::Revoked) {
        false => Ok(statuses),
        true => Err(serde::de::Error::custom("a platform that is `Revoked` can't be accepted")),
    }
}

/// Reads a list of which one must be there. An empty one would be taken for a list that is left out,
/// and accept everything.
fn named<'de, const N: usize, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Vec<Hex<N>>, D::Error> {
    let list = Vec::deserialize(from)?;
    match list.is_empty() {
        false => Ok(list),
        true => Err(serde::de::Error::custom("an empty list names nothing: leave the key out")),
    }
}
