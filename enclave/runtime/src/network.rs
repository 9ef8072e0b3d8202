//! The host's network, for the sockets of a deployment.

use std::time::Duration;
use twine_boundary::SocketError;
use twine_hosting::{Failure, Network, Polled, Target, Wait};
use twine_protocol::network::{Connect, Listen};
use twine_protocol::wire::{Clock, PollRecord, SocketStatus, Status, poll};
use twine_sgx::host;

/// The network, for one deployment.
#[derive(Debug)]
pub(crate) struct HostNetwork {
    /// The deployment, for the host's log.
    pub(crate) deployment: String,
}

fn failure(error: SocketError) -> Failure {
    match error {
        SocketError::Socket(status) => match status {
            SocketStatus::Reset => Failure::Reset,
            SocketStatus::Aborted => Failure::Aborted,
            SocketStatus::NotConnected => Failure::NotConnected,
            SocketStatus::TooManyOpen => Failure::TooManyOpen,
            SocketStatus::Refused => Failure::Refused,
            SocketStatus::Unreachable => Failure::Unreachable,
            SocketStatus::TimedOut => Failure::TimedOut,
        },
        SocketError::Status(status) => match status {
            Status::WouldBlock | Status::Interrupted => Failure::WouldBlock,
            Status::Denied => Failure::Denied,
            Status::InUse => Failure::InUse,
            Status::BrokenPipe => Failure::BrokenPipe,
            Status::BadStream => Failure::BadSocket,
            _ => Failure::Io,
        },
    }
}

impl HostNetwork {
    fn connect_or_check(&self, target: Target<'_>, check: bool) -> Result<u64, Failure> {
        let Target { socket, host: name, port } = target;
        let request = Connect {
            deployment: self.deployment.clone(),
            socket: socket.into(),
            host: name.into(),
            port,
            check,
        };
        host().connect(&request).map_err(failure)
    }
}

impl Network for HostNetwork {
    fn listen(&self, name: &str, port: Option<u16>) -> Result<u64, Failure> {
        let deployment = self.deployment.clone();
        host().listen(&Listen { deployment, socket: name.into(), port }).map_err(failure)
    }

    fn may_connect(&self, target: Target<'_>) -> Result<(), Failure> {
        self.connect_or_check(target, true).map(drop)
    }

    fn connect(&self, target: Target<'_>) -> Result<u64, Failure> {
        self.connect_or_check(target, false)
    }

    fn accept(&self, listener: u64) -> Result<u64, Failure> {
        host().accept(listener, false).map_err(failure)
    }

    fn receive(&self, socket: u64, bytes: &mut [u8], peek: bool) -> Result<usize, Failure> {
        host().receive(socket, bytes, peek, false).map_err(failure)
    }

    fn send(&self, socket: u64, bytes: &[u8]) -> Result<usize, Failure> {
        host().send(socket, bytes, false).map_err(failure)
    }

    fn shut_down(&self, socket: u64, receiving: bool, sending: bool) -> Result<(), Failure> {
        host().shut_down(socket, receiving, sending).map_err(failure)
    }

    fn close(&self, socket: u64) {
        host().close(socket);
    }

    fn poll(&self, waits: &mut [Wait], time: Option<Duration>) -> Result<(), Failure> {
        let record = |wait: &Wait| PollRecord {
            stream: wait.socket,
            events: if wait.write { poll::WRITE } else { poll::READ },
            bytes: 0,
        };
        let mut records: Vec<PollRecord> = waits.iter().map(record).collect();
        let time = time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        host().poll(&mut records, time.unwrap_or(u64::MAX)).map_err(|status| match status {
            Status::Interrupted => Failure::Interrupted,
            _ => Failure::Io,
        })?;
        for (wait, PollRecord { events, bytes, .. }) in waits.iter_mut().zip(records) {
            let ready = Polled { bytes, hangup: events & (poll::HANGUP | poll::BAD) != 0 };
            wait.ready = (events != 0).then_some(ready);
        }
        Ok(())
    }

    fn waker(&self) -> Result<u64, Failure> {
        host().waker().map_err(failure)
    }

    fn wake(&self, waker: u64) {
        host().wake(waker);
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(twine_sgx::time(Clock::Monotonic).unwrap_or_default())
    }

    fn date(&self) -> Option<Duration> {
        twine_sgx::time(Clock::Realtime).ok().map(Duration::from_nanos)
    }
}
