//! The levels of a TCB info, by which a verifier judges a machine.

use sgx_sim::SIMULATED_CPUSVN;

use crate::PCE_SVN;

/// Intel's judgement of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcbStatus {
    /// `UpToDate`
    UpToDate,
    /// `SWHardeningNeeded`: enclaves must be compiled with a mitigation.
    SwHardeningNeeded,
    /// `ConfigurationNeeded`: the firmware must be configured otherwise.
    ConfigurationNeeded,
    /// `ConfigurationAndSWHardeningNeeded`
    ConfigurationAndSwHardeningNeeded,
    /// `OutOfDate`: there are updates against known weaknesses.
    OutOfDate,
    /// `OutOfDateConfigurationNeeded`
    OutOfDateConfigurationNeeded,
    /// `Revoked`: attestation keys may be in the hands of others.
    Revoked,
}

impl TcbStatus {
    /// Returns the name that it has in a TCB info.
    pub fn name(self) -> &'static str {
        match self {
            TcbStatus::UpToDate => "UpToDate",
            TcbStatus::SwHardeningNeeded => "SWHardeningNeeded",
            TcbStatus::ConfigurationNeeded => "ConfigurationNeeded",
            TcbStatus::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            TcbStatus::OutOfDate => "OutOfDate",
            TcbStatus::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            TcbStatus::Revoked => "Revoked",
        }
    }
}

/// A level of a TCB info: a machine has the first level of which it reaches every number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcbLevel {
    /// The least value of each byte of CPUSVN.
    pub cpusvn: [u8; 16],
    /// The least ISVSVN of the provisioning certification enclave.
    pub pce_svn: u16,
    /// The judgement of a machine with this level.
    pub status: TcbStatus,
    /// The day after which a machine with this level lacks an update, in seconds since 1970.
    pub date: u64,
    /// The names of the advisories that apply to this level, such as `INTEL-SA-00615`.
    pub advisories: Vec<String>,
}

impl TcbLevel {
    /// 2020-01-01, in seconds since 1970.
    pub(crate) const DATE: u64 = 1_577_836_800;

    /// Returns the level of a machine with the present SVNs: those of `sgx-sim`'s CPUSVN, and
    /// [`PCE_SVN`]. It has no advisories.
    pub fn present(status: TcbStatus) -> Self {
        TcbLevel {
            cpusvn: SIMULATED_CPUSVN,
            pce_svn: PCE_SVN,
            status,
            date: Self::DATE,
            advisories: Vec::new(),
        }
    }

    /// Returns the level that every machine reaches. It has no advisories.
    pub fn any(status: TcbStatus) -> Self {
        TcbLevel { cpusvn: [0; 16], pce_svn: 0, ..Self::present(status) }
    }

    /// Adds an advisory.
    #[must_use]
    pub fn advisory(mut self, name: &str) -> Self {
        self.advisories.push(name.to_owned());
        self
    }
}
