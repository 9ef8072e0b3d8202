//! The event loop: one thread that serves all connections.

use crate::deployments::{Admission, Deployments};
use crate::link::Link;
use crate::outside::{Level, Lost, Outside, Waiting};
use crate::session::{Session, Shared};
use crate::tls::Tls;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Limit on connections at one time. Each is polled for reading, and some for writing too.
const MAX_SESSIONS: usize = 500;

/// Limit on connections whose clients have not proved who they are. Beyond it the oldest one ends.
const MAX_EARLY: usize = 256;

/// How much is received at a time, in bytes.
const BUFFER: usize = 128 << 10;

/// How long programs have to end when the host stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long clients have then to get the ends of their programs.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often the event loop looks around while programs end.
const GLANCE: Duration = Duration::from_millis(100);

/// What to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host's number of the listening socket.
    pub listener: u64,
    /// What the operator admits.
    pub admission: Admission,
}

struct Server {
    shared: Shared,
    tls: Tls,
    listener: u64,
    /// The connections, by the order in which they came.
    sessions: BTreeMap<u64, Session>,
    count: u64,
    /// What was received last, before it is decrypted.
    buffer: Vec<u8>,
    /// Whether no more connections are accepted.
    closing: bool,
}

/// Serves clients until the host asks for the end.
///
/// # Errors
/// No key or certificate can be made: the cause, in one line.
pub fn serve(outside: Arc<dyn Outside>, settings: Settings) -> Result<(), String> {
    let tls = Tls::new(&*outside)?;
    let deployments = Arc::new(Deployments::new(outside.clone(), settings.admission));
    let mut server = Server {
        shared: Shared { outside, deployments },
        tls,
        listener: settings.listener,
        sessions: BTreeMap::new(),
        count: 0,
        buffer: vec![0; BUFFER],
        closing: false,
    };
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
        let now = self.outside().now();
        let time = [most, self.end_silent(now), self.shared.deployments.check_time(now)];
        let time = time.into_iter().flatten().min();
        let accepts = !self.closing && self.sessions.len() < MAX_SESSIONS;
        let mut waiting = Vec::with_capacity(2 * self.sessions.len() + 1);
        let mut numbers = Vec::with_capacity(2 * self.sessions.len() + 1);
        if accepts {
            waiting.push(Waiting { socket: self.listener, write: false, ready: false });
            numbers.push(None);
        }
        for (number, session) in &self.sessions {
            let (socket, full) = (session.link().socket(), session.link().is_full());
            waiting.push(Waiting { socket, write: false, ready: false });
            numbers.push(Some(*number));
            if full {
                waiting.push(Waiting { socket, write: true, ready: false });
                numbers.push(Some(*number));
            }
        }
        let ends = self.outside().poll(&mut waiting, time);
        for (Waiting { write, ready, .. }, number) in waiting.into_iter().zip(numbers) {
            match number {
                _ if !ready => {}
                None => self.accept(),
                Some(number) => self.serve(number, write),
            }
        }
        if let Err(cause) = self.tls.renew(&*self.shared.outside) {
            self.outside()
                .log(Level::Warning, &format!("the certificate was not renewed: {cause}"));
        }
        ends
    }

    /// Ends connections whose clients say nothing. Returns the time until the next one is due.
    fn end_silent(&mut self, now: Duration) -> Option<Duration> {
        let due = |session: &Session| session.deadline().is_some_and(|deadline| deadline <= now);
        let silent: Vec<u64> = self
            .sessions
            .iter()
            .filter(|(_, session)| due(session))
            .map(|(number, _)| *number)
            .collect();
        for number in silent {
            self.end(number);
        }
        let deadlines = self.sessions.values().filter_map(Session::deadline);
        deadlines.min().map(|deadline| deadline.saturating_sub(now))
    }

    /// Accepts the connections that wait.
    fn accept(&mut self) {
        while self.sessions.len() < MAX_SESSIONS {
            let Ok(Some(socket)) = self.outside().accept(self.listener) else { return };
            let Ok(connection) = self.tls.connection() else {
                self.outside().close(socket);
                return;
            };
            let early = self.sessions.iter().filter(|(_, session)| session.is_early());
            let early: Vec<u64> = early.map(|(number, _)| *number).collect();
            if let (true, Some(oldest)) = (early.len() >= MAX_EARLY, early.first()) {
                self.end(*oldest);
            }
            let now = self.outside().now();
            let link = Arc::new(Link::new(self.shared.outside.clone(), socket, connection));
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
            session.close(&self.shared);
        }
    }

    /// Ends all programs: at first as an interrupt does, then at once. Clients learn of it.
    fn stop(&mut self) {
        self.shared.deployments.close();
        let all = self.shared.deployments.all();
        all.iter().for_each(|deployment| deployment.interrupt());
        self.closing = true;
        let end = self.outside().now().saturating_add(GRACE);
        let mut killed = false;
        while self.shared.deployments.running() > 0 {
            if !killed && self.outside().now() >= end {
                all.iter().for_each(|deployment| deployment.stop());
                killed = true;
            }
            self.turn(Some(GLANCE));
        }
        // Clients get the ends of their programs.
        let end = self.outside().now().saturating_add(FAREWELL);
        while self.sessions.values().any(Session::is_attached) && self.outside().now() < end {
            self.turn(Some(GLANCE));
        }
        let sessions: Vec<u64> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|number| self.end(number));
    }
}
