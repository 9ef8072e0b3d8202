//! Collateral: from a file, from what was kept, from Intel or a PCCS, or of the simulation.

use crate::failure::Failure;
use crate::input;
use crate::xdg;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use twine_verifier::{
    CheckName, Collateral, CollateralRules, Evidence, FetchError, Fetcher, MAX_COLLATERAL_BYTES,
    Moment, Outcome, Platform, Policy, Root, Roots, Update, Verdict, kept,
};

/// Where to get collateral.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Collateral of the platform, in JSON, or a folder with what was kept of earlier verifications;
    /// nobody is asked then. Simulated evidence needs none
    #[arg(long, value_name = "FILE|FOLDER")]
    collateral: Option<PathBuf>,

    /// Caching service to ask for collateral, such as `https://pccs.example:8081` [default: Intel's
    /// service]
    #[arg(long, value_name = "URL", conflicts_with = "collateral")]
    pccs: Option<String>,

    /// Certificates, in PEM, of the authorities that vouch for the service of --pccs [default: those
    /// that Mozilla trusts]
    #[arg(long, value_name = "FILE", requires = "pccs")]
    pccs_ca: Option<PathBuf>,

    /// TCB info to ask for: the one that platforms have had time to follow, or the newest, which
    /// tells what a platform's status will be
    #[arg(long, value_enum, default_value = "standard")]
    update: UpdateName,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum UpdateName {
    #[default]
    Standard,
    Early,
}

impl From<UpdateName> for Update {
    fn from(name: UpdateName) -> Self {
        match name {
            UpdateName::Standard => Update::Standard,
            UpdateName::Early => Update::Early,
        }
    }
}

/// Collateral for evidence, and that of the newest TCB info if it was asked for too.
pub(crate) struct Found {
    pub now: Fetched,
    pub early: Option<Fetched>,
}

/// Collateral, with what fetched it if it was not given or made.
pub(crate) struct Fetched {
    source: Option<(Fetcher, Platform)>,
    collateral: Collateral,
}

impl Fetched {
    /// The collateral.
    pub(crate) fn collateral(&self) -> &Collateral {
        &self.collateral
    }

    /// Keeps it if it has verified genuine evidence.
    ///
    /// # Errors
    /// The folder can't be written.
    pub(crate) fn keep(&self, verdict: &Verdict) -> Result<(), Failure> {
        if verdict.check(CheckName::Quote).result != Outcome::Passed {
            return Ok(());
        }
        match &self.source {
            Some((fetcher, platform)) => {
                fetcher.keep(platform, &self.collateral).map_err(not_fetched)
            }
            None => Ok(()),
        }
    }
}

impl Options {
    /// Returns where the enclave's peers' collateral comes from.
    ///
    /// # Errors
    /// A file can't be read, or the address is none.
    pub(crate) fn for_peers(&self) -> Result<Collaterals, Failure> {
        Ok(match &self.collateral {
            Some(path) if path.is_dir() => Collaterals::Folder(path.clone(), self.update.into()),
            Some(path) => Collaterals::File(Box::new(parse(&input::whole_or_standard(
                path,
                MAX_COLLATERAL_BYTES,
            )?)?)),
            None => Collaterals::Service(Box::new(self.fetcher(self.update.into())?)),
        })
    }

    /// Returns collateral for evidence, by a policy, at a time. Evidence that no collateral makes good
    /// gets that of the simulation: the verdict says what is wrong with it, and nobody is asked.
    pub(crate) fn find(
        &self,
        evidence: &[u8],
        policy: &Policy,
        roots: &Roots,
        at: Moment,
    ) -> Result<Found, Failure> {
        let only =
            |collateral| Ok(Found { now: Fetched { source: None, collateral }, early: None });
        if let Some(file) = self.collateral.as_ref().filter(|path| !path.is_dir()) {
            return only(parse(&input::whole_or_standard(file, MAX_COLLATERAL_BYTES)?)?);
        }
        let found = Evidence::parse(evidence).ok().filter(|found| !found.is_simulated(roots));
        match (found, &self.collateral) {
            (Some(found), Some(folder)) => {
                only(in_folder(folder, &platform(&found)?, self.update.into())?)
            }
            (Some(found), None) if policy.root != Root::Simulation => {
                self.fetch(&platform(&found)?, policy, at)
            }
            _ => only(self.of_simulation(at)?),
        }
    }

    fn of_simulation(&self, at: Moment) -> Result<Collateral, Failure> {
        // Nobody is asked, but a mistake in the address shows before it matters.
        if let Some(address) = &self.pccs {
            Fetcher::pccs(address).map_err(not_fetched)?;
        }
        of_simulation(at)
    }

    /// Makes the fetchers that the options name, which differ only in the TCB info that they ask for.
    fn fetcher(&self, update: Update) -> Result<Fetcher, Failure> {
        let fetcher = match &self.pccs {
            Some(address) => Fetcher::pccs(address).map_err(not_fetched)?,
            None => Fetcher::intel(),
        };
        let read = |file: &PathBuf| input::whole_or_standard(file, input::MAX_TEXT_BYTES);
        let fetcher = match self.pccs_ca.as_ref().map(read).transpose()? {
            Some(pem) => fetcher.trust(&pem).map_err(not_fetched)?,
            None => fetcher,
        };
        let fetcher = fetcher.update(update);
        // Without a home, nothing is kept.
        Ok(match xdg::folder("XDG_CACHE_HOME", ".cache") {
            Some(cache) => fetcher.cache(&cache.join("twine/collateral")),
            None => fetcher,
        })
    }

    fn fetch(&self, platform: &Platform, policy: &Policy, at: Moment) -> Result<Found, Failure> {
        let asked = self.update.into();
        let get = |update| -> Result<Result<Fetched, FetchError>, Failure> {
            let fetcher = self.fetcher(update)?;
            let collateral = fetcher.collateral(platform, &policy.collateral, at);
            Ok(collateral
                .map(|collateral| Fetched { source: Some((fetcher, *platform)), collateral }))
        };
        let now = get(asked)?.map_err(not_fetched)?;
        // It only tells what is to come, so it may be missing.
        let early = match asked {
            Update::Standard => get(Update::Early)?.ok(),
            Update::Early => None,
        };
        Ok(Found { now, early })
    }
}

/// Returns the simulation's collateral, issued at a time.
fn of_simulation(at: Moment) -> Result<Collateral, Failure> {
    let json = sgx_sim_quoting::collateral(at.0).map_err(|error| {
        Failure::new(
            format!("there is no collateral of the simulation: {error}"),
            "name a time from 2020 to 2048 with --at",
        )
    })?;
    parse(json.as_bytes())
}

/// Collateral for platforms that are not known in advance: those of the peers of an enclave's programs.
#[derive(Debug)]
pub(crate) enum Collaterals {
    /// One for all.
    File(Box<Collateral>),
    /// What was kept in a folder. Nobody is asked.
    Folder(PathBuf, Update),
    /// A service, or what was kept of it. Nothing is kept: the enclave verifies, and not this process.
    Service(Box<Fetcher>),
}

impl Collaterals {
    /// Returns the collateral of a platform at this time.
    pub(crate) fn get(&self, platform: &Platform, at: Moment) -> Result<Collateral, Failure> {
        match self {
            Collaterals::File(collateral) => Ok(Collateral::clone(collateral)),
            Collaterals::Folder(folder, update) => in_folder(folder, platform, *update),
            Collaterals::Service(fetcher) => {
                let rules = CollateralRules::default();
                fetcher.collateral(platform, &rules, at).map_err(not_fetched)
            }
        }
    }

    /// Returns the simulation's.
    pub(crate) fn of_simulation(&self, at: Moment) -> Result<Collateral, Failure> {
        of_simulation(at)
    }
}

fn not_fetched(error: FetchError) -> Failure {
    let remedy = match error {
        FetchError::Tee => "use a verifier for TDX",
        _ => {
            "name a service that can be reached with --pccs URL, or collateral in a file with \
             --collateral FILE"
        }
    };
    Failure::new(error, remedy)
}

/// Returns the platform whose collateral evidence needs.
fn platform(evidence: &Evidence) -> Result<Platform, Failure> {
    evidence.platform().ok_or_else(|| {
        Failure::new(
            "the quote does not carry the certificate of its platform",
            "name its collateral in a file: --collateral FILE",
        )
    })
}

fn in_folder(folder: &Path, platform: &Platform, update: Update) -> Result<Collateral, Failure> {
    kept(folder, platform, update).ok_or_else(|| {
        Failure::new(
            format!("{} has no collateral of this platform", folder.display()),
            "verify once with a network: what is fetched is kept in ~/.cache/twine/collateral",
        )
    })
}

fn parse(json: &[u8]) -> Result<Collateral, Failure> {
    Collateral::from_json(json).map_err(|error| {
        Failure::new(error, "name collateral in the JSON form of dcap-qvl with --collateral")
    })
}
