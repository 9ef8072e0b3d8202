//! The security version of a platform, compared with the levels of the TCB info.

use crate::collateral::Collateral;
use crate::evidence::Evidence;
use crate::facts::TcbFacts;
use crate::platform::PlatformIdentity;
use dcap_qvl::{SvnComponent, SvnShortfall, TcbInfo, TcbLevel, TcbStatus, TcbStatusWithAdvisory};
use serde::Deserialize;

/// The levels of the TCB info, and the security versions that are compared with them.
pub(crate) struct Comparison<'c> {
    json: &'c str,
    info: TcbInfo,
    cpu_svn: [u8; 16],
    pce_svn: u16,
    tee_tcb_svn: Option<[u8; 16]>,
}

impl<'c> Comparison<'c> {
    /// Prepares a comparison; `None` if the TCB info can't be read.
    pub(crate) fn new(
        collateral: &'c Collateral,
        evidence: &Evidence,
        platform: &PlatformIdentity,
    ) -> Option<Comparison<'c>> {
        let mut info = collateral.tcb_info()?;
        // A platform's level is the highest that it reaches, so they go from high to low.
        info.tcb_levels.sort_by(|one, other| {
            let key = |level: &TcbLevel| level.tcb.sgx_components.clone();
            key(other).cmp(&key(one)).then(other.tcb.pce_svn.cmp(&one.tcb.pce_svn))
        });
        Some(Comparison {
            json: &collateral.parts().tcb_info,
            info,
            cpu_svn: platform.cpu_svn,
            pce_svn: platform.pce_svn,
            tee_tcb_svn: evidence.quote().report.as_td10().map(|report| report.tee_tcb_svn),
        })
    }

    /// Returns the level that the platform reaches together with its quoting enclave, as `dcap-qvl`
    /// would find it; `None` if there is none.
    pub(crate) fn level(&self, qe: &TcbStatusWithAdvisory) -> Option<TcbFacts> {
        let level =
            self.info.tcb_levels.iter().find(|level| {
                self.shortfalls(level).is_some_and(|shortfalls| shortfalls.is_empty())
            })?;
        let own = TcbStatusWithAdvisory::new(level.tcb_status, level.advisory_ids.clone());
        let merged = own.merge(qe);
        Some(TcbFacts {
            status: merged.status,
            advisories: merged.advisory_ids,
            level_date: level.tcb_date.clone(),
            evaluation_number: self.info.tcb_evaluation_data_number,
        })
    }

    /// Says what is short for the nearest level whose status is accepted.
    pub(crate) fn what_is_short(&self, accepted: &[TcbStatus]) -> String {
        let candidates = self.info.tcb_levels.iter();
        let nearest = candidates
            .filter(|level| accepted.contains(&level.tcb_status))
            .filter_map(|level| Some((level, self.shortfalls(level)?)))
            .min_by_key(|(_, shortfalls)| shortfalls.len());
        let Some((level, shortfalls)) = nearest else {
            return "no level of the TCB info has an accepted status".to_owned();
        };
        let components = components(self.json);
        let short: Vec<_> = shortfalls.iter().map(|short| describe(short, &components)).collect();
        let date = level.tcb_date.split('T').next().unwrap_or_default();
        match short.is_empty() {
            true => format!("the platform itself reaches {} of {date}", level.tcb_status),
            false => format!("for {} of {date}: {}", level.tcb_status, short.join(", ")),
        }
    }

    fn shortfalls(&self, level: &TcbLevel) -> Option<Vec<SvnShortfall>> {
        level.shortfalls(&self.cpu_svn, self.pce_svn, self.tee_tcb_svn.as_ref()).ok()
    }
}

/// Says which component is short, and by how much.
fn describe(short: &SvnShortfall, components: &[Component]) -> String {
    let name = match short.component {
        SvnComponent::Sgx(number) => {
            let component = components.get(usize::from(number));
            let what = component.map(Component::describe).unwrap_or_default();
            format!("SGX component {}{what}", number + 1)
        }
        SvnComponent::Tdx(number) => format!("TDX component {}", number + 1),
        SvnComponent::PceSvn => "PCE SVN".to_owned(),
        SvnComponent::TdxModuleIsvSvn => "TDX module SVN".to_owned(),
    };
    format!("{name} is {} and must be {}", short.have, short.needs)
}

/// What a component of the TCB is, in Intel's words. `dcap-qvl` does not read them.
#[derive(Deserialize)]
struct Component {
    category: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Component {
    fn describe(&self) -> String {
        match (&self.category, &self.kind) {
            (Some(category), Some(kind)) => format!(" ({category}: {kind})"),
            (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
            (None, None) => String::new(),
        }
    }
}

/// Returns what the components of the first level are. Those of all levels are the same.
fn components(tcb_info: &str) -> Vec<Component> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        tcb_levels: Vec<Level>,
    }
    #[derive(Deserialize)]
    struct Level {
        tcb: Tcb,
    }
    #[derive(Deserialize)]
    struct Tcb {
        sgxtcbcomponents: Vec<Component>,
    }
    let info: Option<Info> = serde_json::from_str(tcb_info).ok();
    let level = info.and_then(|info| info.tcb_levels.into_iter().next());
    level.map(|level| level.tcb.sgxtcbcomponents).unwrap_or_default()
}
