//! `wasi:io/poll`: waits for clocks and streams.

use super::command::bindings::wasi::io::poll::{Host, HostPollable};
use crate::Wasi;
use crate::poll::MAX_SUBSCRIPTIONS;
use crate::system::{Clock, Interest, PollRequest, Readiness};
use std::collections::HashMap;
use wasmtime::component::Resource;
use wasmtime::{Result, ensure, format_err};

/// The condition that a pollable waits for.
#[derive(Debug, Clone, Copy)]
pub enum Pollable {
    /// None: files are always ready.
    Ready,
    /// This time of the monotonic clock, in nanoseconds.
    Until(u64),
    /// A stream or socket of the system.
    Request {
        /// Its number.
        stream: u64,
        /// What it must be ready for.
        interest: Interest,
    },
}

/// Pollables, with each request to the system once.
#[derive(Default)]
struct Waits {
    requests: Vec<PollRequest>,
    /// For each pollable, the index of its request.
    indices: Vec<Option<usize>>,
    /// The first of the times.
    first: Option<u64>,
    at_once: bool,
}

impl Waits {
    fn of(pollables: &[Pollable]) -> Self {
        let mut waits = Waits::default();
        let mut known = HashMap::new();
        for pollable in pollables {
            let index = match *pollable {
                Pollable::Ready => {
                    waits.at_once = true;
                    None
                }
                Pollable::Until(time) => {
                    waits.first = Some(waits.first.map_or(time, |first| first.min(time)));
                    None
                }
                Pollable::Request { stream, interest } => {
                    let key = (stream, interest == Interest::Write);
                    Some(*known.entry(key).or_insert_with(|| {
                        waits.requests.push(PollRequest { stream, interest });
                        waits.requests.len() - 1
                    }))
                }
            };
            waits.indices.push(index);
        }
        waits
    }
}

impl Wasi {
    /// Waits until one of the pollables is ready, if `wait` is set, and returns the indices of those
    /// that are.
    fn wait_for(&mut self, pollables: &[Pollable], wait: bool) -> Result<Vec<u32>> {
        let waits = Waits::of(pollables);
        ensure!(
            waits.requests.len() <= MAX_SUBSCRIPTIONS as usize,
            "the component waits for more than {MAX_SUBSCRIPTIONS} streams and sockets at once"
        );
        self.hand_over();
        loop {
            let now = match waits.first {
                Some(_) => self.monotonic()?,
                None => 0,
            };
            let timeout = match waits.first {
                _ if waits.at_once || !wait => Some(0),
                None => None,
                Some(time) => Some(time.saturating_sub(now)),
            };
            let readiness = match waits.requests.is_empty() && timeout == Some(0) {
                true => Vec::new(),
                false => self
                    .system
                    .poll(&waits.requests, timeout)
                    .map_err(|error| format_err!("the host can't wait: {error}"))?,
            };
            let now = match waits.first {
                Some(_) => self.monotonic()?,
                None => 0,
            };
            let is_ready = |pollable: &Pollable, index: Option<usize>| match (*pollable, index) {
                (Pollable::Ready, _) => true,
                (Pollable::Until(time), _) => now >= time,
                (Pollable::Request { .. }, Some(index)) => {
                    readiness.get(index).is_some_and(|ready| *ready != Readiness::Pending)
                }
                (Pollable::Request { .. }, None) => false,
            };
            let ready: Vec<u32> = (0..)
                .zip(pollables.iter().zip(&waits.indices))
                .filter(|(_, (pollable, index))| is_ready(pollable, **index))
                .map(|(at, _)| at)
                .collect();
            // The host may wake early, so continue until something is ready.
            if !ready.is_empty() || !wait {
                return Ok(ready);
            }
        }
    }

    fn monotonic(&mut self) -> Result<u64> {
        self.system
            .time(Clock::Monotonic)
            .map_err(|error| format_err!("the host's clock failed: {error}"))
    }
}

impl Host for Wasi {
    fn poll(&mut self, pollables: Vec<Resource<Pollable>>) -> Result<Vec<u32>> {
        ensure!(!pollables.is_empty(), "the component polls nothing, and would wait for ever");
        let pollables = pollables
            .iter()
            .map(|pollable| Ok(*self.resources.get(pollable)?))
            .collect::<Result<Vec<_>>>()?;
        self.wait_for(&pollables, true)
    }
}

impl HostPollable for Wasi {
    fn ready(&mut self, pollable: Resource<Pollable>) -> Result<bool> {
        let pollable = *self.resources.get(&pollable)?;
        Ok(!self.wait_for(&[pollable], false)?.is_empty())
    }

    fn block(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        let pollable = *self.resources.get(&pollable)?;
        self.wait_for(&[pollable], true)?;
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        self.resources.delete(pollable)?;
        Ok(())
    }
}
