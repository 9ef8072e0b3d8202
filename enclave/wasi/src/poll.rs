//! `poll_oneoff`: waits for clocks, streams and sockets. Files are always ready.

use crate::Wasi;
use crate::fd::descriptor::{HeldInode, Kind};
use crate::system::{Clock, Interest, PollRequest, Readiness};
use crate::types::clock;
use crate::types::{
    Clockid, Errno, Error, Event, EventFdReadwrite, Eventrwflags, Eventtype, Rights, Size,
    Subclockflags, Subscription, SubscriptionClock, SubscriptionU,
};
use wiggle::{GuestMemory, GuestPtr};

/// Limit on the subscriptions of one `poll_oneoff`, and so on the requests of one
/// [`System::poll`](crate::System::poll).
pub const MAX_SUBSCRIPTIONS: u32 = 1024;

/// The condition that a subscription waits for.
enum Wait {
    /// This time of the monotonic clock.
    Until(u64),
    /// The request with this index.
    Request(usize),
    /// None: it is ready now, with this many bytes, or at the end.
    Ready { bytes: u64, end: bool },
    /// None: it fails now, with this error as its event.
    Failed(Errno),
}

fn event(subscription: &Subscription, error: Errno, bytes: u64, hangup: bool) -> Event {
    let flags = if hangup { Eventrwflags::FD_READWRITE_HANGUP } else { Eventrwflags::empty() };
    Event {
        userdata: subscription.userdata,
        error,
        type_: match subscription.u {
            SubscriptionU::Clock(_) => Eventtype::Clock,
            SubscriptionU::FdRead(_) => Eventtype::FdRead,
            SubscriptionU::FdWrite(_) => Eventtype::FdWrite,
        },
        fd_readwrite: EventFdReadwrite { nbytes: bytes, flags },
    }
}

impl Wasi {
    pub(crate) fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size, Error> {
        // Without subscriptions it would wait for ever.
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval.into());
        }
        let subscriptions = subscriptions
            .as_array(count)
            .iter()
            .map(|pointer| Ok(memory.read(pointer?)?))
            .collect::<Result<Vec<_>, Error>>()?;
        let mut requests = Vec::new();
        let waits = subscriptions
            .iter()
            .map(|subscription| self.wait(subscription, &mut requests))
            .collect::<Result<Vec<_>, Errno>>()?;

        self.hand_over();
        let happened = self.happen(&subscriptions, &waits, &requests)?;
        for (event, pointer) in happened.iter().zip(events.as_array(count).iter()) {
            memory.write(pointer?, event.clone())?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most `count`")]
        let happened = happened.len() as Size;
        Ok(happened)
    }

    fn wait(
        &mut self,
        subscription: &Subscription,
        requests: &mut Vec<PollRequest>,
    ) -> Result<Wait, Errno> {
        let (fd, right, interest) = match &subscription.u {
            SubscriptionU::Clock(clock) => return self.wait_for_clock(clock),
            SubscriptionU::FdRead(fd) => (fd.file_descriptor, Rights::FD_READ, Interest::Read),
            SubscriptionU::FdWrite(fd) => (fd.file_descriptor, Rights::FD_WRITE, Interest::Write),
        };
        let descriptor = match self.descriptors.get(fd) {
            Ok(open) if open.check(right | Rights::POLL_FD_READWRITE).is_ok() => open,
            _ => return Ok(Wait::Failed(Errno::Badf)),
        };
        let stream = match &descriptor.kind {
            &Kind::Stream(number) | &Kind::Listener(number) | &Kind::Connection(number) => number,
            Kind::File { .. } if right == Rights::FD_WRITE => {
                return Ok(Wait::Ready { bytes: 1, end: false });
            }
            Kind::File { held, position } => {
                let (held, position) = (held.clone(), *position);
                return Ok(self.rest_of(&held, position).unwrap_or_else(Wait::Failed));
            }
            Kind::Directory { .. } => return Ok(Wait::Failed(Errno::Badf)),
        };
        requests.push(PollRequest { stream, interest });
        Ok(Wait::Request(requests.len() - 1))
    }

    /// Returns how many bytes a file has after a position.
    fn rest_of(&mut self, held: &HeldInode, position: u64) -> Result<Wait, Errno> {
        let (files, inode) = self.at(held)?;
        let bytes = files.attributes(inode)?.size.saturating_sub(position);
        Ok(Wait::Ready { bytes, end: bytes == 0 })
    }

    fn wait_for_clock(&mut self, subscription: &SubscriptionClock) -> Result<Wait, Errno> {
        if !matches!(subscription.id, Clockid::Realtime | Clockid::Monotonic) {
            return Ok(Wait::Failed(Errno::Inval));
        }
        let absolute = subscription.flags.contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
        let timeout = match absolute {
            true => subscription.timeout.saturating_sub(self.system.time(clock(subscription.id))?),
            false => subscription.timeout,
        };
        Ok(Wait::Until(self.system.time(Clock::Monotonic)?.saturating_add(timeout)))
    }

    /// Waits until an event happens, and returns the events.
    fn happen(
        &mut self,
        subscriptions: &[Subscription],
        waits: &[Wait],
        requests: &[PollRequest],
    ) -> Result<Vec<Event>, Errno> {
        let at_once = waits.iter().any(|wait| matches!(wait, Wait::Ready { .. } | Wait::Failed(_)));
        let first = waits.iter().filter_map(|wait| match wait {
            Wait::Until(time) => Some(*time),
            _ => None,
        });
        let first = first.min();
        loop {
            let timeout = match first {
                _ if at_once => Some(0),
                None => None,
                Some(time) => Some(time.saturating_sub(self.system.time(Clock::Monotonic)?)),
            };
            let readiness = match requests.is_empty() && timeout == Some(0) {
                true => Vec::new(),
                false => self.system.poll(requests, timeout)?,
            };
            let now = match first {
                Some(_) => self.system.time(Clock::Monotonic)?,
                None => 0,
            };
            let happened: Vec<Event> = subscriptions
                .iter()
                .zip(waits)
                .filter_map(|(subscription, wait)| match *wait {
                    Wait::Failed(error) => Some(event(subscription, error, 0, false)),
                    Wait::Ready { bytes, end } => {
                        Some(event(subscription, Errno::Success, bytes, end))
                    }
                    Wait::Until(time) => {
                        (now >= time).then(|| event(subscription, Errno::Success, 0, false))
                    }
                    Wait::Request(at) => match readiness.get(at) {
                        None | Some(Readiness::Pending) => None,
                        Some(Readiness::Bad) => Some(event(subscription, Errno::Badf, 0, false)),
                        Some(&Readiness::Ready { bytes, hangup }) => {
                            Some(event(subscription, Errno::Success, bytes, hangup))
                        }
                    },
                })
                .collect();
            // The host may wake early, so continue until an event happened.
            if !happened.is_empty() {
                return Ok(happened);
            }
        }
    }
}
