//! The event loop: one thread that serves all connections.

use crate::attester::Attester;
use crate::budget::Budget;
use crate::deployments::{Admission, Deployments};
use crate::link::Link;
use crate::outside::{Level, Lost, Outside, Waiting};
use crate::pulse::Pulse;
use crate::resume::resume;
use crate::session::{MAX_MESSAGES, MAX_PROGRAMS, Session, Shared};
use crate::tls::Tls;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Limit on connections at one time. Each is polled for reading, and some for writing too.
const MAX_SESSIONS: usize = 500;

/// Limit on connections whose clients have asked for nothing yet. Beyond it the oldest one ends.
const MAX_EARLY: usize = 256;

/// How many connections are accepted in one turn, so that the others have theirs.
const MAX_ACCEPTED: usize = 64;

/// How much is received at a time, in bytes.
const BUFFER: usize = 256 << 10;

/// How long programs have to end when the host stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long clients have then to get the ends of their programs.
const FAREWELL: Duration = Duration::from_secs(2);

/// How soon the event loop looks around after something happened, and how often if the host gives no
/// waker.
const GLANCE: Duration = Duration::from_millis(50);

/// How often it looks around although nothing happens: the certificate gets old.
const MINUTE: Duration = Duration::from_secs(60);

/// How many turns the end may take, should the host's clock stand still.
const MAX_TURNS: usize = 10_000;

/// What to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host's number of the listening socket.
    pub listener: u64,
    /// What the operator admits.
    pub admission: Admission,
}

/// What to wait for is for.
#[derive(Debug, Clone, Copy)]
enum For {
    Listener,
    Waker,
    Session(u64),
}

struct Server {
    shared: Shared,
    tls: Tls,
    listener: u64,
    /// What other threads wake this one by, and the host's number for it.
    pulse: Arc<Pulse>,
    waker: Option<u64>,
    /// The connections, by the order in which they came.
    sessions: BTreeMap<u64, Session>,
    count: u64,
    /// What was received last, before it is decrypted.
    buffer: Vec<u8>,
    /// Whether no more connections are accepted.
    closing: bool,
    /// When to look around next, and when what is due by then.
    next_look: Duration,
    due: Option<Duration>,
    /// Whether something happened since the last look.
    restless: bool,
    /// When connections are accepted again, after the host could not.
    next_accept: Duration,
}

/// Serves clients until the host asks for the end.
///
/// # Errors
/// No key or certificate can be made: the cause, in one line.
pub fn serve(outside: Arc<dyn Outside>, settings: Settings) -> Result<(), String> {
    let tls = Tls::new(&*outside)?;
    let waker = outside.waker().ok();
    let woken = outside.clone();
    let pulse = Arc::new(Pulse::new(move || {
        if let Some(waker) = waker {
            woken.wake(waker);
        }
    }));
    let deployments =
        Arc::new(Deployments::new(outside.clone(), settings.admission, pulse.clone()));
    let attester = Attester::new(outside.clone(), MAX_EARLY).map_err(|error| error.to_string())?;
    let mut server = Server {
        shared: Shared {
            outside,
            deployments,
            attester,
            programs: Budget::new(MAX_PROGRAMS),
            messages: Budget::new(MAX_MESSAGES),
        },
        tls,
        listener: settings.listener,
        pulse,
        waker,
        sessions: BTreeMap::new(),
        count: 0,
        buffer: vec![0; BUFFER],
        closing: false,
        next_look: Duration::ZERO,
        due: None,
        restless: true,
        next_accept: Duration::ZERO,
    };
    resume(&server.shared);
    while !server.turn(None) {}
    server.stop();
    Ok(())
}

impl Server {
    fn outside(&self) -> &dyn Outside {
        &*self.shared.outside
    }

    /// Waits for something to happen, at most for `most`, and deals with it. Returns whether the host
    /// asks for the end.
    fn turn(&mut self, most: Option<Duration>) -> bool {
        self.pulse.arm();
        let now = self.outside().now();
        if now >= self.next_look {
            self.look(now);
        }
        let due = self.due.map(|due| due.saturating_sub(now));
        let time = [most, due, Some(self.pause(now))].into_iter().flatten().min();
        let accepts =
            !self.closing && self.sessions.len() < MAX_SESSIONS && now >= self.next_accept;
        let mut waiting = Vec::with_capacity(2 * self.sessions.len() + 2);
        let mut numbers = Vec::with_capacity(2 * self.sessions.len() + 2);
        if accepts {
            waiting.push(Waiting { socket: self.listener, write: false, ready: false });
            numbers.push(For::Listener);
        }
        if let Some(socket) = self.waker {
            waiting.push(Waiting { socket, write: false, ready: false });
            numbers.push(For::Waker);
        }
        for (number, session) in &self.sessions {
            let (socket, full) = (session.link().socket(), session.link().is_full());
            waiting.push(Waiting { socket, write: false, ready: false });
            numbers.push(For::Session(*number));
            if full {
                waiting.push(Waiting { socket, write: true, ready: false });
                numbers.push(For::Session(*number));
            }
        }
        let ends = self.outside().poll(&mut waiting, time);
        self.pulse.disarm();
        for (Waiting { write, ready, .. }, number) in waiting.into_iter().zip(numbers) {
            self.restless |= ready;
            match number {
                _ if !ready => {}
                For::Listener => self.accept(),
                For::Session(number) => self.serve(number, write),
                For::Waker => {}
            }
        }
        ends
    }

    /// How long to wait at most.
    fn pause(&self, now: Duration) -> Duration {
        let restless = self.restless || now < self.next_accept || self.waker.is_none();
        if restless { GLANCE } else { MINUTE }
    }

    /// Ends what is over: connections whose clients do nothing, programs, the certificate.
    fn look(&mut self, now: Duration) {
        let mut over = Vec::new();
        let mut due = self.shared.deployments.look(now).map(|time| now.saturating_add(time));
        for (number, session) in &mut self.sessions {
            match session.look(now) {
                Ok(deadline) => due = due.into_iter().chain(deadline).min(),
                Err(Lost) => over.push(*number),
            }
        }
        over.into_iter().for_each(|number| self.end(number));
        if let Err(cause) = self.tls.renew(&*self.shared.outside) {
            self.outside()
                .log(Level::Warning, &format!("the certificate was not renewed: {cause}"));
        }
        self.due = due;
        self.restless = false;
        self.next_look = now.saturating_add(GLANCE);
    }

    /// Accepts connections that wait.
    fn accept(&mut self) {
        for _ in 0..MAX_ACCEPTED {
            if self.sessions.len() >= MAX_SESSIONS {
                return;
            }
            let now = self.outside().now();
            let socket = match self.outside().accept(self.listener) {
                Ok(Some(socket)) => socket,
                Ok(None) => return,
                Err(Lost) => {
                    self.next_accept = now.saturating_add(GLANCE);
                    return;
                }
            };
            let Ok(connection) = self.tls.connection() else {
                self.outside().close(socket);
                return;
            };
            let early = self.sessions.iter().filter(|(_, session)| session.is_early());
            let early: Vec<u64> = early.map(|(number, _)| *number).collect();
            if let (true, Some(oldest)) = (early.len() >= MAX_EARLY, early.first()) {
                self.end(*oldest);
            }
            let (outside, pulse) = (self.shared.outside.clone(), self.pulse.clone());
            let link = Arc::new(Link::new(outside, socket, connection, pulse));
            self.count += 1;
            self.sessions.insert(self.count, Session::new(link, self.tls.public(), now));
        }
    }

    /// Serves a connection that is ready.
    fn serve(&mut self, number: u64, write: bool) {
        // It may have ended in this turn.
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let served = match write {
            true => session.link().flush().map(|_| session.pump()),
            false => session.receive(&self.shared, &mut self.buffer),
        };
        if served == Err(Lost) {
            self.end(number);
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(session) = self.sessions.remove(&number) {
            session.close();
        }
    }

    /// Ends all programs: at first as an interrupt does, then at once. Clients learn of it.
    fn stop(&mut self) {
        self.closing = true;
        let deployments = self.shared.deployments.clone();
        deployments.close();
        let all = deployments.all();
        let runs = |_: &Self| deployments.running() > 0;
        all.iter().for_each(|deployment| deployment.interrupt());
        self.turns_while(GRACE, runs);
        all.iter().filter(|deployment| !deployment.has_ended()).for_each(|it| it.stop());
        if !self.turns_while(GRACE, runs) {
            self.outside().log(Level::Warning, "a program does not end");
        }
        // Clients get the ends of their programs.
        self.turns_while(FAREWELL, |server| server.sessions.values().any(Session::is_attached));
        let sessions: Vec<u64> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|number| self.end(number));
    }

    /// Serves clients as long as `goes_on` says so, for at most `time`. Returns whether it no longer
    /// does.
    fn turns_while(&mut self, time: Duration, goes_on: impl Fn(&Self) -> bool) -> bool {
        let end = self.outside().now().saturating_add(time);
        for _ in 0..MAX_TURNS {
            if !goes_on(self) {
                return true;
            }
            if self.outside().now() >= end {
                break;
            }
            self.turn(Some(GLANCE));
        }
        false
    }
}
