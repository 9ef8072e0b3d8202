//! The system of a deployment's program: its streams lead to its owner, and clocks to the host.

use crate::host_system::{system_error, wire_clock};
use std::sync::Arc;
use std::time::Duration;
use twine_hosting::{Over, Ready, Stdio, WINDOW};
use twine_sgx::host;
use twine_wasi::{Clock, Interest, PollRequest, Readiness, StreamKind, System, SystemError};

/// The system of one program.
#[derive(Debug)]
pub(crate) struct HostedSystem(Arc<Stdio>);

impl HostedSystem {
    pub(crate) fn new(stdio: Arc<Stdio>) -> Self {
        HostedSystem(stdio)
    }

    fn readiness(&self, ready: &Ready, request: &PollRequest) -> Readiness {
        let Ready { input, input_ends, takes: [output, errors] } = *ready;
        let of_output = |takes| match takes {
            true => Readiness::Ready { bytes: WINDOW as u64, hangup: false },
            false => Readiness::Pending,
        };
        match (request.stream, request.interest) {
            (0..=2, _) if !self.0.leads_to_owner(request.stream) => {
                Readiness::Ready { bytes: 0, hangup: false }
            }
            (0, Interest::Read) if input > 0 || input_ends => {
                Readiness::Ready { bytes: input as u64, hangup: input_ends }
            }
            (0, Interest::Read) => Readiness::Pending,
            (1, Interest::Write) => of_output(output),
            (2, Interest::Write) => of_output(errors),
            _ => Readiness::Bad,
        }
    }
}

/// A program that must end is interrupted, and traps at its next loop or call.
fn over(Over: Over) -> SystemError {
    SystemError::Interrupted
}

impl System for HostedSystem {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        match stream {
            0 => self.0.read(bytes).map_err(over),
            _ => Err(SystemError::BadStream),
        }
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        if !matches!(stream, 1 | 2) {
            return Err(SystemError::BadStream);
        }
        // All of it, as a pipe that waits takes it: programs rely on that.
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.0.write(stream, rest) {
                Ok(count) => written += count,
                Err(_) if written > 0 => break,
                Err(error) => return Err(over(error)),
            }
        }
        Ok(written)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError> {
        Ok(match stream {
            0..=2 if !self.0.leads_to_owner(stream) => StreamKind::Device,
            0..=2 if self.0.is_terminal(stream) => StreamKind::Terminal,
            0..=2 => StreamKind::Pipe,
            _ => return Err(SystemError::BadStream),
        })
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let is_pending = |readiness: &Readiness| matches!(readiness, Readiness::Pending);
        let enough = |ready: &Ready| {
            let mut all = requests.iter().map(|request| self.readiness(ready, request));
            all.any(|readiness| !is_pending(&readiness))
        };
        let ready = self.0.wait(timeout.map(Duration::from_nanos), enough).map_err(over)?;
        Ok(requests.iter().map(|request| self.readiness(&ready, request)).collect())
    }

    fn time(&mut self, clock: Clock) -> Result<u64, SystemError> {
        twine_sgx::time(wire_clock(clock)).map_err(system_error)
    }

    fn resolution(&mut self, clock: Clock) -> Result<u64, SystemError> {
        host().resolution(wire_clock(clock)).map_err(system_error)
    }

    fn yield_now(&mut self) {
        host().yield_now();
    }
}
