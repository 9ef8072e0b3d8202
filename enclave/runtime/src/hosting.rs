//! Holds deployments of owners elsewhere, for `twine host`.

use crate::attestation;
use crate::certificate::RunKey;
use crate::hosted;
use crate::hosted_volume;
use crate::launch::bad_host;
use crate::state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use twine_boundary::SocketError;
use twine_channel::message;
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Identity;
use twine_hosting::{
    Admission, Control, Job, Kept, Level, Lost, Outside, Settings, TlsIdentity, VolumeJob, Waiting,
    serve,
};
use twine_protocol::launch::End;
use twine_protocol::task::HostTask;
use twine_protocol::wire::{Clock, FIRST_SOCKET, PollRecord, Status, poll};
use twine_sgx::{host, regions};

/// Memory that is for the enclave itself, in bytes: connections, the compiler, programs that come.
const OWN_MEMORY: u64 = 512 << 20;

/// The enclave and its host, as the hosting sees them.
struct Around {
    target: Vec<u8>,
    state: State,
    /// Whether the standard input is open. Its end is the host's request to end.
    open: AtomicBool,
}

/// Holds deployments until the host asks for the end.
pub(crate) fn run(task: &HostTask) -> End {
    let state = match State::open() {
        Ok(state) => state,
        Err(error) => return bad_host(&error),
    };
    let memory = regions().heap.saturating_sub(OWN_MEMORY);
    let memory = task.memory.unwrap_or(memory).min(memory);
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let admission = Admission {
        owners: task.owners.iter().copied().map(Digest).collect(),
        deployments: count(task.deployments),
        per_owner: count(task.per_owner),
        running: count(task.running),
        memory,
        each: task.each.unwrap_or(memory).min(memory),
        each_owner: task.each_owner.unwrap_or(memory).min(memory),
    };
    let around = Around { target: task.target.clone(), state, open: AtomicBool::new(true) };
    match serve(Arc::new(around), Settings { listener: FIRST_SOCKET, admission }) {
        Ok(()) => End::Exited { code: 0, results: Vec::new() },
        Err(cause) => End::Refused {
            cause: format!("the enclave can't prove itself to clients: {cause}"),
            remedy: "see that the machine can make quotes: `twine info`".into(),
        },
    }
}

/// Converts the answer of a call that does not wait.
fn now_or_later(result: Result<usize, SocketError>) -> Result<Option<usize>, Lost> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(SocketError::Status(Status::WouldBlock | Status::Interrupted)) => Ok(None),
        Err(_) => Err(Lost),
    }
}

impl Outside for Around {
    fn accept(&self, listener: u64) -> Result<Option<u64>, Lost> {
        match host().accept(listener, false) {
            Ok(socket) => Ok(Some(socket)),
            Err(SocketError::Status(Status::WouldBlock | Status::Interrupted)) => Ok(None),
            Err(_) => Err(Lost),
        }
    }

    fn receive(&self, socket: u64, bytes: &mut [u8]) -> Result<Option<usize>, Lost> {
        now_or_later(host().receive(socket, bytes, false, false))
    }

    fn send(&self, socket: u64, bytes: &[u8]) -> Result<Option<usize>, Lost> {
        now_or_later(host().send(socket, bytes, false))
    }

    fn close(&self, socket: u64) {
        host().close(socket);
    }

    fn poll(&self, waiting: &mut [Waiting], time: Option<Duration>) -> bool {
        let record = |waiting: &Waiting| PollRecord {
            stream: waiting.socket,
            events: if waiting.write { poll::WRITE } else { poll::READ },
            bytes: 0,
        };
        let mut records: Vec<PollRecord> = waiting.iter().map(record).collect();
        let open = self.open.load(Ordering::Relaxed);
        if open {
            records.push(PollRecord { stream: 0, events: poll::READ, bytes: 0 });
        }
        let nanoseconds = time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        if records.is_empty() && nanoseconds.is_none() {
            return false;
        }
        // If the host can't wait, the sockets say why.
        let failed = host().poll(&mut records, nanoseconds.unwrap_or(u64::MAX)).is_err();
        for (waiting, record) in waiting.iter_mut().zip(&records) {
            waiting.ready = failed || record.events != 0;
        }
        let asked = open && records.last().is_some_and(|record| !failed && record.events != 0);
        if asked {
            self.open.store(false, Ordering::Relaxed);
        }
        asked
    }

    fn waker(&self) -> Result<u64, Lost> {
        host().waker().map_err(|_| Lost)
    }

    fn wake(&self, waker: u64) {
        host().wake(waker);
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(twine_sgx::time(Clock::Monotonic).unwrap_or_default())
    }

    fn log(&self, level: Level, line: &str) {
        // The numbers of syslog's priorities, which journald takes from the start of a line.
        let priority = match level {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 6,
        };
        let _ = host().write(2, format!("<{priority}>{line}\n").as_bytes());
    }

    fn tls_identity(&self) -> Result<TlsIdentity, String> {
        let failed = || "the CPU returns no random bytes, or the host no time".to_owned();
        let key = RunKey::new().map_err(|_| failed())?;
        let public = key.digest();
        let evidence = attestation::of_host(&self.target, public, None, None)?;
        let certificate = key.certificate(evidence).map_err(|_| failed())?;
        Ok(TlsIdentity { certificate, key: key.into_key(), public })
    }

    fn evidence(&self, key: Digest, nonce: &[u8], channel: Digest) -> Result<Vec<u8>, String> {
        attestation::of_host(&self.target, key, Some(nonce.to_vec()), Some(channel))
    }

    fn identity(&self) -> Identity {
        attestation::identity()
    }

    fn has_program(&self, owner: Digest, program: Digest) -> bool {
        self.state.has_program(owner, program)
    }

    fn run(&self, job: &Job, started: &mut dyn FnMut(Box<dyn Control>)) -> message::End {
        hosted::run(job, &self.state, &self.target, started)
    }

    fn work(&self, job: &VolumeJob) -> message::End {
        hosted_volume::work(job)
    }

    fn keep(&self, job: &Job) -> Result<(), String> {
        match self.state.keep_deployment(job) {
            true => Ok(()),
            false => Err("the host does not keep it".into()),
        }
    }

    fn kept(&self) -> Vec<Result<Kept, String>> {
        self.state.kept_deployments()
    }

    fn forget_program(&self, owner: Digest, program: Digest) {
        self.state.forget_program(owner, program);
    }

    fn forget(&self, job: &Job, volumes: bool) -> Result<(), String> {
        self.state.forget(job, volumes)
    }
}
