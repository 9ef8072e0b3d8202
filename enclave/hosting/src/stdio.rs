//! The standard streams of a program whose owner is elsewhere.
//!
//! What the program writes is kept until the owner's client has acknowledged it, so that a client
//! that lost its connection goes on where it was. A program whose owner is not attached either
//! waits, if the owner wants all of its output, or the oldest output is dropped.

use crate::kept::Kept;
use crate::link::Link;
use crate::pulse::Pulse;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use twine_channel::WINDOW;
use twine_channel::frame::Kind;
use twine_channel::message::{Answer, End, Position};
use twine_evidence::terms::{Stream, Streams};

/// Limit on clients that look at the output of one program at a time.
const MAX_WATCHERS: usize = 8;

/// The program must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over;

/// What a program can do with its streams at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The number of bytes of standard input that wait.
    pub input: usize,
    /// Whether the standard input ends after them.
    pub input_ends: bool,
    /// Whether standard output, and standard error, take bytes.
    pub takes: [bool; 2],
}

/// The streams of one program.
pub struct Stdio {
    streams: Streams,
    terminals: [bool; 3],
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Wakes the program if it waits for sockets.
    pulse: Mutex<Option<Arc<Pulse>>>,
    interrupted: AtomicBool,
    /// Whether the program must end, for a look at each of its calls.
    over: AtomicBool,
}

impl std::fmt::Debug for Stdio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stdio").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// A client that gets the output.
#[derive(Debug)]
struct Reader {
    link: Arc<Link>,
    /// What was sent to it.
    sent: Position,
    last: Last,
    /// Whether it knows that the program waits for input.
    knows: bool,
    /// Whether it got its last answer.
    told: bool,
}

/// The last answer that a reader gets.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// The end of the program, after all output.
    End,
    /// That it was done, after all output of the program.
    Done,
    /// That it was done, once the output up to this place was sent.
    DoneAt(Position),
}

#[derive(Debug, Default)]
struct Inner {
    input: VecDeque<u8>,
    /// The number of bytes of input that came.
    received: u64,
    input_ended: bool,
    /// The number of bytes that the program has read, and the client does not know of.
    consumed: usize,
    output: Kept,
    errors: Kept,
    /// Whether the program waits for input from a terminal.
    reads: bool,
    /// The client that is attached.
    client: Option<Reader>,
    /// Clients that only look.
    watchers: VecDeque<Reader>,
    /// Whether the program waits for a client that takes its output.
    patient: bool,
    end: Option<End>,
    over: bool,
}

impl Reader {
    fn new(link: Arc<Link>, sent: Position, last: Last) -> Self {
        Reader { link, sent, last, knows: false, told: false }
    }

    fn is(&self, link: &Arc<Link>) -> bool {
        Arc::ptr_eq(&self.link, link)
    }

    /// Tells the client that another one did this, in its place.
    fn displace(&self, did: &str) {
        self.link.answer(&Answer::refused(
            format!("another client has {did}"),
            "try again, if it should be this one",
        ));
        self.link.finish();
    }

    /// Sends what the client has not got, as long as its socket takes it.
    fn pump(&mut self, output: &Kept, errors: &Kept, end: Option<&End>) {
        if self.told {
            return;
        }
        let Position { output: sent_output, errors: sent_errors } = &mut self.sent;
        let streams = [(Kind::Output, output, sent_output), (Kind::Errors, errors, sent_errors)];
        for (kind, kept, sent) in streams {
            while !self.link.is_full() {
                let parts = kept.next_piece(sent);
                if parts.iter().all(|part| part.is_empty()) {
                    break;
                }
                self.link.piece(kind, parts);
            }
        }
        let sent =
            |until: &Position| self.sent.output >= until.output && self.sent.errors >= until.errors;
        let all = sent(&Position { output: output.written, errors: errors.written });
        let answer = match (self.last, end) {
            (Last::End, Some(end)) if all => Answer::Ended(end.clone()),
            (Last::Done, Some(_)) if all => Answer::Done,
            (Last::DoneAt(until), _) if sent(&until) => Answer::Done,
            _ => return,
        };
        self.told = true;
        self.link.answer(&answer);
        if !matches!(self.last, Last::End) {
            self.link.finish();
        }
    }
}

impl Inner {
    /// Sends what clients have not got, as long as their sockets take it.
    fn pump(&mut self) {
        for reader in self.client.iter_mut().chain(&mut self.watchers) {
            reader.pump(&self.output, &self.errors, self.end.as_ref());
        }
        self.watchers.retain(|watcher| !watcher.told);
        self.tell_of_reading();
        self.grant();
    }

    /// Tells the client that the program waits for input, once it has got all output.
    fn tell_of_reading(&mut self) {
        let all = Position { output: self.output.written, errors: self.errors.written };
        if let Some(client) = &mut self.client
            && self.reads
            && !client.knows
            && client.sent == all
        {
            client.knows = true;
            client.link.answer(&Answer::Reads);
        }
    }

    /// Lets the client send as much as the program has read.
    fn grant(&mut self) {
        let is_due = self.consumed >= WINDOW / 4 || self.input.is_empty();
        if !is_due || self.consumed == 0 {
            return;
        }
        match &self.client {
            // It gets one answer for all of it later.
            Some(client) if client.link.is_full() => {}
            Some(client) if self.end.is_none() => {
                client.link.answer(&Answer::Credit { bytes: self.consumed as u64 });
                self.consumed = 0;
            }
            // The next client is told what there is room for.
            _ => self.consumed = 0,
        }
    }

    /// Whether this client is the one that is attached.
    fn has_client(&self, link: &Arc<Link>) -> bool {
        self.client.as_ref().is_some_and(|client| client.is(link))
    }

    fn ready(&self) -> Ready {
        Ready {
            input: self.input.len(),
            input_ends: self.input_ended,
            takes: [&self.output, &self.errors].map(|kept| !self.waits(kept)),
        }
    }

    /// Whether the program must wait before it writes.
    fn waits(&self, kept: &Kept) -> bool {
        kept.room() == 0 && (self.client.is_some() || self.patient)
    }
}

impl Stdio {
    /// Makes the streams of a program. `terminals` says which of them are terminals of the client.
    /// If `patient` is set, the program waits for a client that takes its output.
    pub fn new(streams: Streams, terminals: [bool; 3], patient: bool) -> Self {
        let inner =
            Inner { input_ended: streams.stdin != Stream::Owner, patient, ..Inner::default() };
        Stdio {
            streams,
            terminals,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            pulse: Mutex::default(),
            interrupted: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Wakes a program that waits, after a change.
    fn has_changed(&self) {
        self.changed.notify_all();
        if let Some(pulse) = &*self.pulse.lock().unwrap_or_else(PoisonError::into_inner) {
            pulse.wake();
        }
    }

    /// From now on, changes also end a wait for sockets.
    pub(crate) fn connect(&self, pulse: Arc<Pulse>) {
        *self.pulse.lock().unwrap_or_else(PoisonError::into_inner) = Some(pulse);
    }

    /// Ends that.
    pub(crate) fn disconnect(&self) {
        *self.pulse.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Ends a wait for sockets, so that the program can be interrupted.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        self.has_changed();
    }

    /// Whether the program was interrupted since the last call.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::SeqCst)
    }

    /// What the program can do with its streams at the moment.
    pub fn ready(&self) -> Ready {
        self.inner().ready()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether standard stream 0, 1 or 2 leads to the owner. Else it leads nowhere.
    pub fn leads_to_owner(&self, stream: u64) -> bool {
        let Streams { stdin, stdout, stderr } = self.streams;
        let streams = [stdin, stdout, stderr];
        let stream = usize::try_from(stream).ok().and_then(|stream| streams.get(stream));
        stream.is_some_and(|stream| *stream == Stream::Owner)
    }

    /// Whether standard stream 0, 1 or 2 is a terminal of the owner's client.
    pub fn is_terminal(&self, stream: u64) -> bool {
        let terminal = usize::try_from(stream).ok().and_then(|stream| self.terminals.get(stream));
        self.leads_to_owner(stream) && terminal.is_some_and(|terminal| *terminal)
    }

    /// Reads standard input into `bytes`, and returns the number of bytes, which is 0 only at the
    /// end. Waits for some.
    ///
    /// # Errors
    /// The program must end.
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Over> {
        let waits = |inner: &mut Inner| inner.input.is_empty() && !inner.input_ended && !inner.over;
        let mut inner = self.inner();
        if self.is_terminal(0) && waits(&mut inner) {
            inner.reads = true;
            inner.tell_of_reading();
        }
        let waited = self.changed.wait_while(inner, waits);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        inner.reads = false;
        if let Some(client) = &mut inner.client {
            client.knows = false;
        }
        if inner.over {
            return Err(Over);
        }
        let mut count = 0;
        // What is in a queue is in two parts.
        while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match inner.input.read(rest) {
                Ok(read @ 1..) => count += read,
                _ => break,
            }
        }
        inner.consumed += count;
        inner.grant();
        Ok(count)
    }

    /// Writes some of `bytes` to standard output (`stream` 1) or standard error, and returns their
    /// number. Waits until it takes some.
    ///
    /// # Errors
    /// The program must end.
    pub fn write(&self, stream: u64, bytes: &[u8]) -> Result<usize, Over> {
        let errors = stream != 1;
        if !self.leads_to_owner(stream) {
            return Ok(bytes.len());
        }
        let which = |inner: &Inner| inner.waits(if errors { &inner.errors } else { &inner.output });
        let waited = self.changed.wait_while(self.inner(), |inner| which(inner) && !inner.over);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.over {
            return Err(Over);
        }
        let keeps = inner.client.is_some() || inner.patient;
        let kept = if errors { &mut inner.errors } else { &mut inner.output };
        let count = if keeps { bytes.len().min(kept.room()) } else { bytes.len() };
        kept.push(bytes.get(..count).unwrap_or_default());
        inner.pump();
        Ok(count)
    }

    /// Waits until `enough` says so of the state of the streams, or the time is over. Returns the
    /// state.
    ///
    /// # Errors
    /// The program must end.
    pub fn wait(
        &self,
        time: Option<Duration>,
        enough: impl Fn(&Ready) -> bool,
    ) -> Result<Ready, Over> {
        let waits = |inner: &mut Inner| !inner.over && !enough(&inner.ready());
        let inner = match time {
            Some(time) => {
                let waited = self.changed.wait_timeout_while(self.inner(), time, waits);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.changed.wait_while(self.inner(), waits);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        if inner.over { Err(Over) } else { Ok(inner.ready()) }
    }

    /// Attaches a client, which has got the output up to `from`, or wants all that is kept. A client
    /// that was attached before is told.
    pub(crate) fn attach(&self, link: Arc<Link>, from: Option<Position>) {
        let mut inner = self.inner();
        let from = from.unwrap_or_default();
        let sent = Position {
            output: inner.output.nearest(from.output),
            errors: inner.errors.nearest(from.errors),
        };
        inner.output.acknowledged = sent.output;
        inner.errors.acknowledged = sent.errors;
        link.answer(&Answer::Started { from: sent, input: inner.received });
        inner.consumed = 0;
        let room = WINDOW.saturating_sub(inner.input.len());
        if !inner.input_ended && room > 0 {
            link.answer(&Answer::Credit { bytes: room as u64 });
        }
        if let Some(other) = inner.client.replace(Reader::new(link, sent, Last::End)) {
            other.displace("attached to this deployment");
        }
        inner.pump();
        drop(inner);
        self.has_changed();
    }

    /// Sends the output that is kept to a client that only looks, and with `follow` what the program
    /// writes later. Then the connection is finished. If too many look, the one that came first does
    /// so no longer.
    pub(crate) fn watch(&self, link: Arc<Link>, follow: bool) {
        let mut inner = self.inner();
        let sent = Position { output: inner.output.start(), errors: inner.errors.start() };
        let all = Position { output: inner.output.written, errors: inner.errors.written };
        let last = if follow { Last::Done } else { Last::DoneAt(all) };
        inner.watchers.push_back(Reader::new(link, sent, last));
        if inner.watchers.len() > MAX_WATCHERS
            && let Some(oldest) = inner.watchers.pop_front()
        {
            oldest.displace("asked for the log of this deployment, as many do");
        }
        inner.pump();
    }

    /// Forgets a client. Returns whether it was attached, and has got the end of the program.
    pub(crate) fn detach(&self, link: &Arc<Link>) -> bool {
        let mut inner = self.inner();
        inner.watchers.retain(|watcher| !watcher.is(link));
        if !inner.has_client(link) {
            return false;
        }
        let told = inner.client.take().is_some_and(|client| client.told);
        drop(inner);
        self.has_changed();
        told
    }

    /// Whether a client is attached.
    pub(crate) fn is_attached(&self) -> bool {
        self.inner().client.is_some()
    }

    /// Ends the wait for a client. From then on, the oldest output is dropped.
    pub(crate) fn give_up(&self) {
        self.inner().patient = false;
        self.has_changed();
    }

    /// Takes input of a client.
    ///
    /// # Errors
    /// The client is not the one that is attached, it is more than the client was allowed to send,
    /// or the input has ended.
    pub(crate) fn feed(&self, link: &Arc<Link>, bytes: &[u8]) -> Result<(), Over> {
        let mut inner = self.inner();
        let fits = inner.input.len() + bytes.len() <= WINDOW;
        if inner.input_ended || !fits || !inner.has_client(link) {
            return Err(Over);
        }
        inner.input.extend(bytes);
        inner.received += bytes.len() as u64;
        drop(inner);
        self.has_changed();
        Ok(())
    }

    /// Ends the input, if the client is the one that is attached.
    pub(crate) fn end_input(&self, link: &Arc<Link>) {
        let mut inner = self.inner();
        inner.input_ended |= inner.has_client(link);
        drop(inner);
        self.has_changed();
    }

    /// Takes the attached client's word for what it has got.
    pub(crate) fn acknowledge(&self, link: &Arc<Link>, position: Position) {
        let mut inner = self.inner();
        let client = inner.client.as_ref().filter(|client| client.is(link));
        let Some(Position { output, errors }) = client.map(|client| client.sent) else { return };
        let kept = &mut inner.output;
        kept.acknowledged = kept.acknowledged.max(position.output.min(output));
        let kept = &mut inner.errors;
        kept.acknowledged = kept.acknowledged.max(position.errors.min(errors));
        inner.pump();
        drop(inner);
        self.has_changed();
    }

    /// Sends more, after a socket has taken what waited.
    pub(crate) fn pump(&self) {
        self.inner().pump();
    }

    /// Makes the program end: its calls fail from now on.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.inner().over = true;
        self.has_changed();
    }

    /// Whether the program must end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Whether nothing goes on until the client sends something: input, or what it has got.
    pub(crate) fn waits_for_client(&self) -> bool {
        let inner = self.inner();
        let starved = inner.input.is_empty() && !inner.input_ended;
        starved || inner.waits(&inner.output) || inner.waits(&inner.errors) || inner.end.is_some()
    }

    /// Records the end of the program, and tells the client.
    pub(crate) fn ended(&self, end: End) {
        let mut inner = self.inner();
        inner.end = Some(end);
        inner.pump();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn streams(patient: bool) -> Stdio {
        let streams = Streams { stdin: Stream::Owner, stdout: Stream::Owner, stderr: Stream::None };
        Stdio::new(streams, [true, false, true], patient)
    }

    /// Bytes that tell their place.
    fn bytes(from: usize, length: usize) -> Vec<u8> {
        (from..from + length).map(|place| (place % 251) as u8).collect()
    }

    #[test]
    fn a_program_without_a_client_waits_only_if_it_is_patient() {
        let stdio = streams(false);
        assert_eq!(stdio.write(1, &vec![1; 5 * WINDOW]), Ok(5 * WINDOW));
        assert_eq!(stdio.wait(Some(Duration::ZERO), |_| true).unwrap().takes, [true; 2]);

        let stdio = Arc::new(streams(true));
        assert_eq!(stdio.write(1, &vec![1; 5 * WINDOW]), Ok(WINDOW));
        assert_eq!(stdio.wait(Some(Duration::ZERO), |_| false).unwrap().takes, [false, true]);
        let writes = stdio.clone();
        let thread = thread::spawn(move || writes.write(1, &[2; 10]));
        thread::sleep(Duration::from_millis(50));
        assert!(!thread.is_finished());
        stdio.give_up();
        assert_eq!(thread.join().unwrap(), Ok(10));
    }

    #[test]
    fn streams_that_lead_nowhere_take_everything_and_are_no_terminals() {
        let stdio = streams(true);
        assert_eq!(stdio.write(2, &vec![1; 5 * WINDOW]), Ok(5 * WINDOW));
        assert_eq!(stdio.inner().errors.written, 0);
        assert!(stdio.is_terminal(0) && !stdio.is_terminal(1) && !stdio.is_terminal(2));
        assert!(!stdio.leads_to_owner(3) && !stdio.is_terminal(u64::MAX));
        let none = Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None };
        assert_eq!(Stdio::new(none, [true; 3], true).read(&mut [0; 4]), Ok(0));
    }

    #[test]
    fn a_program_that_must_end_waits_for_nothing() {
        let stdio = Arc::new(streams(true));
        stdio.write(1, &vec![1; WINDOW]).unwrap();
        let waits: [fn(&Stdio) -> bool; 3] = [
            |stdio| stdio.read(&mut [0; 4]) == Err(Over),
            |stdio| stdio.write(1, &[1]) == Err(Over),
            |stdio| stdio.wait(None, |_| false) == Err(Over),
        ];
        let threads = waits.map(|waits| {
            let stdio = stdio.clone();
            thread::spawn(move || waits(&stdio))
        });
        thread::sleep(Duration::from_millis(50));
        stdio.stop();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    }

    #[test]
    fn input_is_read_in_order_across_the_turn_of_its_queue() {
        let stdio = streams(true);
        let (mut fed, mut read) = (0, 0);
        for length in [1, 1000, 70_000, 3, 99_999, 50_000, 8] {
            let mut inner = stdio.inner();
            inner.input.extend(bytes(fed, length));
            fed += length;
            drop(inner);
            let mut room = vec![0; length / 2 + 1];
            let count = stdio.read(&mut room).unwrap();
            assert_eq!(count, room.len());
            assert!(room == bytes(read, count));
            read += count;
        }
        stdio.inner().input_ended = true;
        let mut room = vec![0; fed];
        assert_eq!(stdio.read(&mut room), Ok(fed - read));
        assert!(room.starts_with(&bytes(read, fed - read)));
        assert_eq!(stdio.read(&mut room), Ok(0));
    }
}
