//! Starts deployments again that ran when an earlier host ended, if their manifests allow it.

use crate::deployment::Kept;
use crate::outside::Level;
use crate::requests::job;
use crate::session::Shared;
use twine_evidence::manifest::Restart;

/// Starts the deployments that were kept. What can't be started is named in the host's log.
pub(crate) fn resume(shared: &Shared) {
    for kept in shared.outside.kept() {
        let Kept { signed, secrets } = match kept {
            Ok(kept) => kept,
            Err(cause) => {
                let line = format!("a deployment is not resumed: {cause}");
                shared.outside.log(Level::Warning, &line);
                continue;
            }
        };
        let started = job(signed, secrets, [false; 3], false, None, shared).and_then(|job| {
            let name = job.id.to_string();
            let allowed = job.manifest.manifest().restart == Restart::Always;
            if allowed {
                shared.deployments.start(job, None, false, false)?;
            }
            Ok((name, allowed))
        });
        let (level, line) = match started {
            Ok((name, true)) => (Level::Info, format!("{name}: resumed")),
            Ok((name, false)) => {
                (Level::Warning, format!("{name}: its manifest allows no restart"))
            }
            Err(reason) => {
                (Level::Warning, format!("a deployment is not resumed: {}", reason.cause))
            }
        };
        shared.outside.log(level, &line);
    }
}
