//! Older images, whose enclaves hand over what they keep.

use crate::device::Platform;
use crate::error::Error;
use crate::image::Image;
use crate::run::{self, xcr0};
use crate::service::{Former, NoAnswer, Resources};
use sgx_isa::{AttributesFlags, Targetinfo};
use std::sync::{Mutex, PoisonError};
use std::thread;
use twine_protocol::launch::{End, Launch};
use twine_protocol::task::Task;
use twine_protocol::wire::MAX_HANDOVER_ANSWER;

/// Tells the operator why there was no answer, in one line.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// An older image whose enclave is started for each request, and ends with its answer.
pub struct FormerImage {
    image: Image,
    platform: Platform,
    target: [u8; 512],
    tell: Tell,
    /// One request at a time: each enclave takes the memory of a whole image.
    busy: Mutex<()>,
}

impl std::fmt::Debug for FormerImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FormerImage").field("image", &self.image).finish_non_exhaustive()
    }
}

impl FormerImage {
    /// An older image, with a function that tells the operator why its enclave does not answer.
    ///
    /// # Errors
    /// The machine lacks processor state that the image needs.
    pub fn new(
        image: Image,
        platform: Platform,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut attributes =
            twine_image::launch_attributes(&image.sigstruct, xcr0()).map_err(Error::Attributes)?;
        // EINIT sets it.
        attributes.flags.insert(AttributesFlags::INIT);
        let info = Targetinfo {
            measurement: image.sigstruct.enclavehash,
            attributes,
            miscselect: image.sigstruct.miscselect,
            ..Targetinfo::default()
        };
        let mut target = [0; 512];
        target.copy_from_slice(info.as_ref());
        Ok(FormerImage { image, platform, target, tell: Box::new(tell), busy: Mutex::default() })
    }

    fn run(&self, request: Vec<u8>) -> Result<Vec<u8>, String> {
        let launch = Launch { task: Task::Handover, ..Launch::default() };
        let report = run::run(&self.image, self.platform, &launch, request, Resources::default())
            .map_err(|error| error.to_string())?;
        match report.outcome.end {
            End::Exited { .. } if report.outcome.answer.len() as u64 <= MAX_HANDOVER_ANSWER => {
                Ok(report.outcome.answer)
            }
            End::Exited { .. } => Err("its answer is too long".into()),
            End::Trapped { cause, .. } | End::Refused { cause, .. } => Err(cause),
        }
    }
}

impl Former for FormerImage {
    fn target(&self) -> [u8; 512] {
        self.target
    }

    fn answer(&self, request: Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
        let _one = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread that asks serves another enclave, whose runner does not let it start a second one.
        let answer = thread::scope(|scope| {
            let answer = thread::Builder::new().spawn_scoped(scope, || self.run(request));
            match answer.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err("it ended abnormally".into()),
                Err(error) => Err(format!("no thread can be started: {error}")),
            }
        });
        answer.map_err(|cause| {
            (self.tell)(&format!("{} hands nothing over: {cause}", self.image.path().display()));
            NoAnswer
        })
    }
}
