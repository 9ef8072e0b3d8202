//! The standard streams of a program whose owner is elsewhere.
//!
//! What the program writes is kept until the owner's client has acknowledged it, so that a client
//! that lost its connection goes on where it was. A program whose owner is not attached either
//! waits, if the owner wants all of its output, or the oldest output is dropped.

use crate::link::Link;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use twine_channel::frame::{Kind, MAX_PIECE};
use twine_channel::message::{Answer, End, Position};
use twine_evidence::terms::{Stream, Streams};

/// How many bytes of each output stream are kept, and how much input waits for the program.
pub const WINDOW: usize = 256 << 10;

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
}

impl std::fmt::Debug for Stdio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stdio").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// Output that is kept: the last bytes of all that was written.
#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// The number of bytes that were written.
    written: u64,
    /// The number of bytes that the attached client has acknowledged.
    acknowledged: u64,
}

/// A client that gets the output.
#[derive(Debug)]
struct Reader {
    link: Arc<Link>,
    /// What was sent to it.
    sent: Position,
    /// Whether it was told of the end.
    told: bool,
}

impl Kept {
    /// The place of the first byte that is kept.
    fn start(&self) -> u64 {
        self.written - self.bytes.len() as u64
    }

    /// How many bytes can be written without a loss.
    fn room(&self) -> usize {
        let waiting = usize::try_from(self.written - self.acknowledged.max(self.start()));
        WINDOW.saturating_sub(waiting.unwrap_or(WINDOW))
    }

    /// Keeps bytes. The oldest are dropped.
    fn push(&mut self, bytes: &[u8]) {
        let last = bytes.get(bytes.len().saturating_sub(WINDOW)..).unwrap_or_default();
        let excess = (self.bytes.len() + last.len()).saturating_sub(WINDOW);
        self.bytes.drain(..excess);
        self.bytes.extend(last);
        self.written += bytes.len() as u64;
    }

    /// Returns the next piece to send after the place `sent`, and moves that on. Empty if everything
    /// was sent.
    fn next_piece(&self, sent: &mut u64) -> Vec<u8> {
        *sent = self.nearest(*sent);
        let from = usize::try_from(*sent - self.start()).unwrap_or(usize::MAX);
        let piece: Vec<u8> = self.bytes.iter().skip(from).take(MAX_PIECE).copied().collect();
        *sent += piece.len() as u64;
        piece
    }

    /// The nearest place that is kept.
    fn nearest(&self, place: u64) -> u64 {
        place.clamp(self.start(), self.written)
    }
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
    /// The client that is attached.
    client: Option<Reader>,
    /// Clients that only look.
    watchers: Vec<Reader>,
    /// Whether the program waits for a client that takes its output.
    patient: bool,
    end: Option<End>,
    over: bool,
}

impl Reader {
    fn new(link: Arc<Link>, sent: Position) -> Self {
        Reader { link, sent, told: false }
    }

    /// Sends what the client has not got, as long as its socket takes it.
    fn pump(&mut self, output: &Kept, errors: &Kept, end: Option<&End>) {
        let Position { output: sent_output, errors: sent_errors } = &mut self.sent;
        let streams = [(Kind::Output, output, sent_output), (Kind::Errors, errors, sent_errors)];
        for (kind, kept, sent) in streams {
            while !self.link.is_full() {
                let piece = kept.next_piece(sent);
                if piece.is_empty() {
                    break;
                }
                self.link.piece(kind, &piece);
            }
        }
        let all = self.sent.output == output.written && self.sent.errors == errors.written;
        if let (true, false, Some(end)) = (all, self.told, end) {
            self.link.answer(&Answer::Ended(end.clone()));
            self.told = true;
        }
    }
}

impl Inner {
    /// Sends what clients have not got, as long as their sockets take it.
    fn pump(&mut self) {
        for reader in self.client.iter_mut().chain(&mut self.watchers) {
            reader.pump(&self.output, &self.errors, self.end.as_ref());
        }
    }

    /// Lets the client send as much as the program has read.
    fn grant(&mut self) {
        if self.consumed >= WINDOW / 4 || self.input.is_empty() {
            if let (Some(client), true) = (&self.client, self.consumed > 0) {
                client.link.answer(&Answer::Credit { bytes: self.consumed as u64 });
            }
            self.consumed = 0;
        }
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
        Stdio { streams, terminals, inner: Mutex::new(inner), changed: Condvar::new() }
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
        let waited = self.changed.wait_while(self.inner(), waits);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.over {
            return Err(Over);
        }
        let count = bytes.len().min(inner.input.len());
        for (byte, read) in bytes.iter_mut().zip(inner.input.drain(..count)) {
            *byte = read;
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
    /// that was attached before is returned.
    pub(crate) fn attach(&self, link: Arc<Link>, from: Option<Position>) -> Option<Arc<Link>> {
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
        let other = inner.client.replace(Reader::new(link, sent));
        inner.pump();
        drop(inner);
        self.changed.notify_all();
        other.map(|reader| reader.link)
    }

    /// Sends the output that is kept to a client that only looks, and then what follows.
    pub(crate) fn watch(&self, link: Arc<Link>) {
        let mut inner = self.inner();
        let sent = Position { output: inner.output.start(), errors: inner.errors.start() };
        link.answer(&Answer::Started { from: sent, input: inner.received });
        inner.watchers.push(Reader::new(link, sent));
        inner.pump();
    }

    /// Forgets a client.
    pub(crate) fn detach(&self, link: &Arc<Link>) {
        let mut inner = self.inner();
        inner.watchers.retain(|watcher| !Arc::ptr_eq(&watcher.link, link));
        if inner.client.as_ref().is_some_and(|client| Arc::ptr_eq(&client.link, link)) {
            inner.client = None;
            drop(inner);
            self.changed.notify_all();
        }
    }

    /// Whether a client has got the end of the program.
    pub(crate) fn is_told(&self) -> bool {
        self.inner().client.as_ref().is_some_and(|client| client.told)
    }

    /// Whether a client is attached.
    pub(crate) fn is_attached(&self) -> bool {
        self.inner().client.is_some()
    }

    /// Ends the wait for a client. From then on, the oldest output is dropped.
    pub(crate) fn give_up(&self) {
        self.inner().patient = false;
        self.changed.notify_all();
    }

    /// Takes input of the client.
    ///
    /// # Errors
    /// It is more than the client was allowed to send, or the input has ended.
    pub(crate) fn feed(&self, bytes: &[u8]) -> Result<(), Over> {
        let mut inner = self.inner();
        if inner.input_ended || inner.input.len() + bytes.len() > WINDOW {
            return Err(Over);
        }
        inner.input.extend(bytes);
        inner.received += bytes.len() as u64;
        drop(inner);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the input.
    pub(crate) fn end_input(&self) {
        self.inner().input_ended = true;
        self.changed.notify_all();
    }

    /// Takes the attached client's word for what it has got.
    pub(crate) fn acknowledge(&self, position: Position) {
        let mut inner = self.inner();
        let Some(Position { output, errors }) = inner.client.as_ref().map(|client| client.sent)
        else {
            return;
        };
        let kept = &mut inner.output;
        kept.acknowledged = kept.acknowledged.max(position.output.min(output));
        let kept = &mut inner.errors;
        kept.acknowledged = kept.acknowledged.max(position.errors.min(errors));
        inner.pump();
        drop(inner);
        self.changed.notify_all();
    }

    /// Sends more, after the socket has taken what waited.
    pub(crate) fn pump(&self) {
        self.inner().pump();
    }

    /// Makes the program end: its calls fail from now on.
    pub(crate) fn stop(&self) {
        self.inner().over = true;
        self.changed.notify_all();
    }

    /// Records the end of the program, and tells the client.
    pub(crate) fn ended(&self, end: End) {
        let mut inner = self.inner();
        inner.end = Some(end);
        inner.pump();
    }

    /// Sends what is kept of the output to a client that only looks, and nothing that follows.
    pub(crate) fn show(&self, link: &Link) {
        let inner = self.inner();
        for (kind, kept) in [(Kind::Output, &inner.output), (Kind::Errors, &inner.errors)] {
            let mut sent = kept.start();
            loop {
                let piece = kept.next_piece(&mut sent);
                if piece.is_empty() {
                    break;
                }
                link.piece(kind, &piece);
            }
        }
    }
}
