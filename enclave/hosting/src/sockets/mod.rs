//! The sockets of a deployment's program, as its manifest gives them. The program reads and writes
//! plain bytes; TLS ends here.
//!
//! The host's addresses and numbers say nothing of who is at the other end. With attested TLS, or with
//! certificates, the program gets a connection only after the other end has shown who it is: on a
//! listening socket, connections are accepted and their handshakes are made until one is complete.

mod attested;
mod network;
mod stream;
mod tls;

pub use attested::{Attestation, Expected};
pub use network::{Failure, Network, Polled, Target, Wait};

use crate::pulse::Pulse;
use crate::stdio::Stdio;
use attested::{Attested, Identity};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use stream::Stream;
use tls::Tls;
use twine_channel::message::Secret;
use twine_evidence::bytes::Bytes;
use twine_evidence::sockets::{Certificate, Socket, Way};

/// The number of the first socket. The standard streams have the numbers below it.
const FIRST: u64 = 3;

/// How long a handshake may take, and a connection until it is there.
const PATIENCE: Duration = Duration::from_secs(15);

/// Limit on the connections of one listening socket whose handshakes are not complete. Beyond it the
/// oldest one ends.
const MAX_PENDING: usize = 64;

/// Limit on connections that are complete and not accepted yet.
const MAX_READY: usize = 64;

/// Limit on connections that the program has closed and that still have something to send.
const MAX_LINGERING: usize = 32;

/// How long such a connection may take.
const LINGER: Duration = Duration::from_secs(5);

/// Limit on the lines about other ends that were refused.
const MAX_REPORTS: usize = 100;

/// How often a program looks around that the host gives no waker.
const GLANCE: Duration = Duration::from_millis(50);

/// Why a program can't have its sockets: cause and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSockets {
    /// The cause, in one line.
    pub cause: String,
    /// The remedy, in one line.
    pub remedy: String,
}

/// A request to wait for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The socket's number.
    pub socket: u64,
    /// Whether to wait until it can be written to, or else until it can be read.
    pub write: bool,
}

/// What is around the connections of a program.
struct Around {
    network: Arc<dyn Network>,
    report: Box<dyn Fn(String) + Send>,
    reports: AtomicUsize,
}

impl Around {
    /// Tells the owner why another end was refused.
    fn report(&self, socket: &str, cause: &str) {
        if self.reports.fetch_add(1, Ordering::Relaxed) < MAX_REPORTS {
            (self.report)(format!("socket {socket}: the other end is refused: {cause}"));
        }
    }
}

/// A socket of the manifest.
struct Plan {
    name: Arc<str>,
    tls: Option<Tls>,
    /// The host and port of one that connects.
    target: Option<(String, u16)>,
}

/// A connection.
enum Link {
    /// Without TLS, with the host's number.
    Plain(u64),
    Tls(Box<Stream>),
}

/// An open socket.
enum Open {
    Listener {
        host: u64,
        plan: usize,
        pending: VecDeque<Stream>,
        ready: VecDeque<Stream>,
    },
    /// A connecting socket, with its first connection once that was used.
    Dialer {
        plan: usize,
        first: Option<Link>,
    },
    Link(Link),
}

/// The sockets of a program.
pub struct Sockets {
    around: Around,
    stdio: Arc<Stdio>,
    pulse: Arc<Pulse>,
    waker: Option<u64>,
    plans: Vec<Plan>,
    /// The open sockets, by their numbers.
    open: BTreeMap<u64, Open>,
    next: u64,
    /// Connections that the program has closed, and until when they may take.
    lingering: VecDeque<(Stream, Duration)>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

fn no_sockets(cause: impl Into<String>, remedy: impl Into<String>) -> NoSockets {
    NoSockets { cause: cause.into(), remedy: remedy.into() }
}

/// Returns the TLS of a socket.
fn tls_of(
    socket: &Socket,
    secrets: &[Secret],
    network: &Arc<dyn Network>,
    identity: &mut impl FnMut() -> Option<Arc<Identity>>,
) -> Result<Option<Tls>, NoSockets> {
    let name = &socket.name;
    let value = |wanted: &Bytes| {
        let secret = secrets.iter().find(|secret| secret.name == *wanted);
        secret.map(|secret| &secret.value.0[..]).unwrap_or_default()
    };
    if let Some(Certificate { chain, key }) = &socket.certificate {
        let (names, values) = ((chain.escaped(), key.escaped()), (value(chain), value(key)));
        return tls::server(network, values.0, values.1).map(Some).map_err(|cause| {
            no_sockets(
                format!("the certificate of the socket {name} can't be used: {cause}"),
                format!("give it in PEM: --secret {}=@FILE --secret {}=@FILE", names.0, names.1),
            )
        });
    }
    if let Some(trust) = &socket.trust {
        let host = socket.host.as_deref().unwrap_or_default();
        return tls::client(network, trust, host).map(Some).map_err(|cause| {
            no_sockets(
                format!("the roots of the socket {name} can't be used: {cause}"),
                "have the manifest's owner correct `roots` and `server-name`",
            )
        });
    }
    let Some(peers) = &socket.attested else { return Ok(None) };
    let identity = identity().ok_or_else(|| {
        no_sockets(
            format!("the socket {name} has attested TLS, and this enclave makes no evidence"),
            "deploy it to a `twine host`",
        )
    })?;
    let listens = socket.way == Way::Listen;
    Ok(Some(Tls::Attested(Arc::new(Attested::new(identity, peers.clone(), listens)))))
}

/// Says why the host does not offer a socket.
fn not_offered(socket: &Socket, failure: Failure) -> NoSockets {
    let Socket { name, way, host, port, .. } = socket;
    let wish = port.map_or("a port".to_owned(), |port| format!("port {port}"));
    let option = match way {
        Way::Listen => "--allow-listen",
        Way::Connect => "--allow-connect",
    };
    let what = match host {
        None => format!("to listen on {wish}"),
        Some(host) => format!("to connect to {host}, {wish}"),
    };
    match failure {
        Failure::InUse => no_sockets(
            format!("the socket {name} wants {what}, which is taken on this host"),
            "have the manifest name another port, or stop what listens there",
        ),
        Failure::Denied => no_sockets(
            format!("the socket {name} wants {what}, and this host's operator does not allow it"),
            format!("ask the operator to allow it: `twine host {option}`"),
        ),
        _ => no_sockets(
            format!("the socket {name} wants {what}, and this host can't: {failure:?}"),
            "ask the operator: the log of `twine host` says more",
        ),
    }
}

impl Sockets {
    /// Opens the sockets of a manifest: those that listen first, then those that connect, which connect
    /// at their first use. `secrets` has the certificates. `report` gets lines for the owner.
    ///
    /// # Errors
    /// The host does not offer one, or a certificate can't be used.
    pub fn open(
        network: Arc<dyn Network>,
        stdio: Arc<Stdio>,
        sockets: &[Socket],
        secrets: &[Secret],
        attestation: Option<Arc<dyn Attestation>>,
        report: impl Fn(String) + Send + 'static,
    ) -> Result<Self, NoSockets> {
        let mut shared = None;
        let mut identity = || {
            let attestation = attestation.clone()?;
            Some(shared.get_or_insert_with(|| Arc::new(Identity::new(attestation))).clone())
        };
        // Without one, a wait ends now and then.
        let waker = if sockets.is_empty() { None } else { network.waker().ok() };
        let woken = network.clone();
        let pulse = Arc::new(Pulse::new(move || {
            if let Some(waker) = waker {
                woken.wake(waker);
            }
        }));
        let mut opened = Sockets {
            around: Around {
                network: network.clone(),
                report: Box::new(report),
                reports: AtomicUsize::new(0),
            },
            stdio: stdio.clone(),
            pulse: pulse.clone(),
            waker,
            plans: Vec::new(),
            open: BTreeMap::new(),
            next: FIRST,
            lingering: VecDeque::new(),
        };
        stdio.connect(pulse);
        let of = |way| sockets.iter().filter(move |socket| socket.way == way);
        for socket in of(Way::Listen).chain(of(Way::Connect)) {
            let tls = tls_of(socket, secrets, &network, &mut identity)?;
            opened.add(socket, tls)?;
        }
        Ok(opened)
    }

    fn add(&mut self, socket: &Socket, tls: Option<Tls>) -> Result<(), NoSockets> {
        let refused = |failure| not_offered(socket, failure);
        let plan = self.plans.len();
        let network = &*self.around.network;
        let (target, open) = match (&socket.host, socket.port) {
            (Some(host), Some(port)) => {
                let target = Target { socket: &socket.name, host, port };
                network.may_connect(target).map_err(refused)?;
                (Some((host.clone(), port)), Open::Dialer { plan, first: None })
            }
            (_, port) => {
                let host = network.listen(&socket.name, port).map_err(refused)?;
                let (pending, ready) = (VecDeque::new(), VecDeque::new());
                (None, Open::Listener { host, plan, pending, ready })
            }
        };
        self.plans.push(Plan { name: (&*socket.name).into(), tls, target });
        self.insert(open);
        Ok(())
    }

    fn insert(&mut self, open: Open) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, open);
        number
    }

    /// The numbers of the sockets of the manifest, in the order of the program's descriptors.
    pub fn numbers(&self) -> Vec<(u64, Way)> {
        let way = |open: &Open| match open {
            Open::Dialer { .. } => Way::Connect,
            _ => Way::Listen,
        };
        self.open.iter().map(|(number, open)| (*number, way(open))).collect()
    }

    /// Whether connections have something to do although the program does not wait for them.
    pub fn is_busy(&self) -> bool {
        !self.lingering.is_empty() || self.streams().any(Stream::is_full)
    }

    /// All connections with TLS that the program has.
    fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.open.values().filter_map(|open| match open {
            Open::Dialer { first: Some(Link::Tls(stream)), .. } | Open::Link(Link::Tls(stream)) => {
                Some(&**stream)
            }
            _ => None,
        })
    }

    /// Whether this is a socket's number.
    pub fn has(&self, number: u64) -> bool {
        self.open.contains_key(&number)
    }

    /// Makes a connection of a connecting socket.
    fn dial(around: &Around, plan: &Plan) -> Result<Link, Failure> {
        let (host, port) = plan.target.as_ref().ok_or(Failure::BadSocket)?;
        let target = Target { socket: &plan.name, host, port: *port };
        let socket = around.network.connect(target)?;
        Self::link(around, plan, socket)
    }

    /// Makes a connection of a socket of the host, which is closed if that fails.
    fn link(around: &Around, plan: &Plan, socket: u64) -> Result<Link, Failure> {
        let Some(tls) = &plan.tls else { return Ok(Link::Plain(socket)) };
        match Stream::new(socket, plan.name.clone(), tls, &around.network) {
            Ok(mut stream) => {
                stream.advance(around);
                Ok(Link::Tls(Box::new(stream)))
            }
            Err(cause) => {
                around.report(&plan.name, &cause);
                around.network.close(socket);
                Err(Failure::Io)
            }
        }
    }

    /// The connection with this number. A connecting socket connects.
    fn link_of(&mut self, number: u64) -> Result<(&mut Link, &Around), Failure> {
        match self.open.get_mut(&number).ok_or(Failure::BadSocket)? {
            Open::Link(link) => Ok((link, &self.around)),
            Open::Listener { .. } => Err(Failure::NotConnected),
            Open::Dialer { plan, first } => {
                if first.is_none() {
                    let plan = self.plans.get(*plan).ok_or(Failure::BadSocket)?;
                    *first = Some(Self::dial(&self.around, plan)?);
                }
                Ok((first.as_mut().ok_or(Failure::BadSocket)?, &self.around))
            }
        }
    }

    /// Repeats `step` until it need not wait any more, if `wait` is set.
    fn until<T>(
        &mut self,
        wait: bool,
        wanted: Request,
        mut step: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            self.pulse.arm();
            if self.stdio.is_over() {
                return Err(Failure::Interrupted);
            }
            match step(self) {
                Err(Failure::WouldBlock) if wait => {}
                done => {
                    self.pulse.disarm();
                    return done;
                }
            }
            if self.stdio.take_interrupt() {
                return Err(Failure::Interrupted);
            }
            self.sleep(&[wanted], None)?;
        }
    }

    /// Adds what to wait for at the host.
    fn waits_of(&self, wanted: Request, waits: &mut Vec<Wait>) {
        let Request { socket, write } = wanted;
        match self.open.get(&socket) {
            Some(Open::Listener { host, pending, .. }) => {
                waits.push(Wait { socket: *host, write: false, ready: None });
                pending.iter().for_each(|stream| stream.waits(false, waits));
            }
            Some(Open::Dialer { first: Some(link), .. } | Open::Link(link)) => match link {
                Link::Plain(host) => waits.push(Wait { socket: *host, write, ready: None }),
                Link::Tls(stream) => stream.waits(write, waits),
            },
            Some(Open::Dialer { first: None, .. }) | None => {}
        }
    }

    /// Waits for sockets, for the waker, and for what connections have to do by themselves.
    fn sleep(&mut self, wanted: &[Request], time: Option<Duration>) -> Result<Vec<Wait>, Failure> {
        let mut waits = Vec::new();
        wanted.iter().for_each(|wanted| self.waits_of(*wanted, &mut waits));
        let waker = self.waker.map(|socket| Wait { socket, write: false, ready: None });
        waits.extend(waker);
        for stream in self.streams().filter(|stream| stream.is_full()) {
            waits.push(Wait { socket: stream.socket(), write: true, ready: None });
        }
        self.lingering.iter().for_each(|(stream, _)| stream.waits(false, &mut waits));
        // The same socket may be wanted twice.
        waits.sort_unstable_by_key(|wait| (wait.socket, wait.write));
        waits.dedup();
        let now = self.around.network.now();
        let deadlines = self.pending().filter_map(Stream::deadline);
        let deadlines = deadlines.chain(self.streams().filter_map(Stream::deadline));
        let deadlines = deadlines.chain(self.lingering.iter().map(|(_, until)| *until));
        let deadline = deadlines.min().map(|deadline| deadline.saturating_sub(now));
        let glance = self.waker.is_none().then_some(GLANCE);
        let time = [time, deadline, glance].into_iter().flatten().min();
        let polled = self.around.network.poll(&mut waits, time);
        self.pulse.disarm();
        polled?;
        self.tidy();
        Ok(waits)
    }

    /// The connections whose handshakes are not complete.
    fn pending(&self) -> impl Iterator<Item = &Stream> {
        let pending = self.open.values().filter_map(|open| match open {
            Open::Listener { pending, .. } => Some(pending),
            _ => None,
        });
        pending.flatten()
    }

    /// Goes on with what connections have to do by themselves.
    fn tidy(&mut self) {
        let around = &self.around;
        for open in self.open.values_mut() {
            if let Open::Dialer { first: Some(Link::Tls(stream)), .. }
            | Open::Link(Link::Tls(stream)) = open
                && stream.is_full()
            {
                stream.advance(around);
            }
        }
        let now = around.network.now();
        self.lingering.retain_mut(|(stream, until)| {
            stream.linger(around);
            let stays = !stream.is_over() && now < *until;
            if !stays {
                around.network.close(stream.socket());
            }
            stays
        });
    }

    /// Accepts a connection on a listening socket, or makes one more of a connecting socket. Returns
    /// its number. If `wait` is set, waits until it is there.
    ///
    /// # Errors
    /// There is none; the program must end; for a connecting socket, what the host or the other end
    /// says.
    pub fn accept(&mut self, number: u64, wait: bool) -> Result<u64, Failure> {
        let wanted = Request { socket: number, write: false };
        if let Some(Open::Dialer { plan, .. }) = self.open.get(&number) {
            let plan = self.plans.get(*plan).ok_or(Failure::BadSocket)?;
            let link = Self::dial(&self.around, plan)?;
            let number = self.insert(Open::Link(link));
            return if wait { self.complete(number) } else { Ok(number) };
        }
        let link = self.until(wait, wanted, |sockets| sockets.accept_now(number))?;
        Ok(self.insert(Open::Link(link)))
    }

    /// Waits until a new connection is there.
    fn complete(&mut self, number: u64) -> Result<u64, Failure> {
        let wanted = Request { socket: number, write: true };
        let done = self.until(true, wanted, |sockets| {
            let (link, around) = sockets.link_of(number)?;
            match link {
                Link::Plain(host) => around.network.send(*host, &[]).map(drop),
                Link::Tls(stream) => {
                    stream.advance(around);
                    match stream.failure() {
                        Some(failure) => Err(failure),
                        None if stream.is_open() => Ok(()),
                        None => Err(Failure::WouldBlock),
                    }
                }
            }
        });
        if let Err(failure) = done {
            self.close(number);
            return Err(failure);
        }
        Ok(number)
    }

    fn accept_now(&mut self, number: u64) -> Result<Link, Failure> {
        let around = &self.around;
        let network = &*around.network;
        let Some(Open::Listener { host, plan, pending, ready }) = self.open.get_mut(&number) else {
            return Err(Failure::BadSocket);
        };
        let plan = self.plans.get(*plan).ok_or(Failure::BadSocket)?;
        if plan.tls.is_none() {
            return network.accept(*host).map(Link::Plain);
        }
        pump(around, plan, *host, pending, ready);
        match ready.pop_front() {
            Some(stream) => Ok(Link::Tls(Box::new(stream))),
            None => Err(Failure::WouldBlock),
        }
    }

    /// Receives bytes from a connection, and returns their number, which is 0 only at the end.
    ///
    /// # Errors
    /// There are none yet; the connection failed; the program must end.
    pub fn receive(
        &mut self,
        number: u64,
        bytes: &mut [u8],
        peek: bool,
        wait: bool,
    ) -> Result<usize, Failure> {
        self.until(wait, Request { socket: number, write: false }, |sockets| {
            let (link, around) = sockets.link_of(number)?;
            match link {
                Link::Plain(host) => around.network.receive(*host, bytes, peek),
                Link::Tls(stream) => stream.receive(bytes, peek, around),
            }
        })
    }

    /// Sends some of `bytes` on a connection, and returns their number.
    ///
    /// # Errors
    /// It takes none yet; the connection failed; the program must end.
    pub fn send(&mut self, number: u64, bytes: &[u8], wait: bool) -> Result<usize, Failure> {
        let wanted = Request { socket: number, write: true };
        let count = self.until(wait, wanted, |sockets| {
            let (link, around) = sockets.link_of(number)?;
            match link {
                Link::Plain(host) => around.network.send(*host, bytes),
                Link::Tls(stream) => stream.send(bytes, around),
            }
        })?;
        if wait {
            // Whoever waits may do something else next, for long. The bytes are taken, so a failure is
            // for the next call.
            let done = self.until(true, wanted, |sockets| match sockets.link_of(number)? {
                (Link::Tls(stream), around) => {
                    stream.flush(&*around.network)?;
                    if stream.is_full() { Err(Failure::WouldBlock) } else { Ok(()) }
                }
                (Link::Plain(_), _) => Ok(()),
            });
            if done == Err(Failure::Interrupted) {
                self.stdio.interrupt();
            }
        }
        Ok(count)
    }

    /// Shuts down receiving, sending or both on a connection.
    ///
    /// # Errors
    /// The connection is not there, or failed.
    pub fn shut_down(
        &mut self,
        number: u64,
        receiving: bool,
        sending: bool,
    ) -> Result<(), Failure> {
        match self.link_of(number)? {
            (Link::Plain(host), around) => around.network.shut_down(*host, receiving, sending),
            (Link::Tls(stream), around) => {
                if receiving {
                    stream.close_receiving();
                }
                if sending {
                    stream.finish(around);
                }
                Ok(())
            }
        }
    }

    /// Closes a socket. A connection with TLS tells the other end first, as far as that goes without a
    /// wait; the rest is done when the program waits the next time.
    pub fn close(&mut self, number: u64) {
        let network = self.around.network.clone();
        match self.open.remove(&number) {
            Some(Open::Listener { host, pending, ready, .. }) => {
                network.close(host);
                pending.iter().chain(&ready).for_each(|stream| network.close(stream.socket()));
            }
            Some(Open::Dialer { first: Some(link), .. } | Open::Link(link)) => self.leave(link),
            Some(Open::Dialer { first: None, .. }) | None => {}
        }
    }

    fn leave(&mut self, link: Link) {
        let network = &*self.around.network;
        let mut stream = match link {
            Link::Plain(host) => return network.close(host),
            Link::Tls(stream) => stream,
        };
        stream.finish(&self.around);
        stream.linger(&self.around);
        if stream.is_over() {
            return network.close(stream.socket());
        }
        if self.lingering.len() >= MAX_LINGERING
            && let Some((oldest, _)) = self.lingering.pop_front()
        {
            network.close(oldest.socket());
        }
        self.lingering.push_back((*stream, network.now().saturating_add(LINGER)));
    }

    /// What a socket is ready for, as far as it is known here.
    fn ready(&self, Request { socket, write }: Request) -> Option<Polled> {
        match self.open.get(&socket)? {
            Open::Listener { ready, .. } => {
                (!ready.is_empty()).then_some(Polled { bytes: 1, hangup: false })
            }
            Open::Dialer { first: Some(Link::Tls(stream)), .. } | Open::Link(Link::Tls(stream)) => {
                stream.ready(write)
            }
            _ => None,
        }
    }

    /// Waits until one of these sockets is ready, `enough` says so, or the time is over; it may return
    /// before that. Returns what each is ready for.
    ///
    /// # Errors
    /// The program was interrupted, or must end; the host can't wait.
    pub fn poll(
        &mut self,
        requests: &[Request],
        time: Option<Duration>,
        enough: impl Fn() -> bool,
    ) -> Result<Vec<Option<Polled>>, Failure> {
        let mut failed = Vec::new();
        for request in requests {
            // One that connects begins to. If it can't, the program sees why at its next call.
            if let Some(Open::Dialer { .. }) = self.open.get(&request.socket)
                && self.link_of(request.socket).is_err()
            {
                failed.push(request.socket);
            }
        }
        self.pulse.arm();
        if self.stdio.is_over() || self.stdio.take_interrupt() {
            self.pulse.disarm();
            return Err(Failure::Interrupted);
        }
        let at_once = !failed.is_empty()
            || enough()
            || requests.iter().any(|request| self.ready(*request).is_some());
        let time = if at_once { Some(Duration::ZERO) } else { time };
        let waits = self.sleep(requests, time)?;
        for wait in waits.iter().filter(|wait| wait.ready.is_some()) {
            self.advance(wait.socket, requests);
        }
        let of_host = |request: &Request, host: u64| {
            let same = |wait: &&Wait| wait.socket == host && wait.write == request.write;
            waits.iter().find(same).and_then(|wait| wait.ready)
        };
        let answer = |request: &Request| {
            if failed.contains(&request.socket) {
                return Some(Polled { bytes: 0, hangup: true });
            }
            match self.open.get(&request.socket) {
                Some(
                    Open::Link(Link::Plain(host))
                    | Open::Dialer { first: Some(Link::Plain(host)), .. },
                ) => of_host(request, *host),
                Some(Open::Listener { host, plan, .. })
                    if self.plans.get(*plan).is_some_and(|plan| plan.tls.is_none()) =>
                {
                    of_host(request, *host)
                }
                _ => self.ready(*request),
            }
        };
        Ok(requests.iter().map(answer).collect())
    }

    /// Goes on with the connections among these to which a socket of the host belongs.
    fn advance(&mut self, socket: u64, requests: &[Request]) {
        let around = &self.around;
        for request in requests {
            match self.open.get_mut(&request.socket) {
                Some(Open::Listener { host, plan, pending, ready }) => {
                    let is_its = |stream: &Stream| stream.socket() == socket;
                    let plan = self.plans.get(*plan).filter(|plan| plan.tls.is_some());
                    if let Some(plan) = plan
                        && (*host == socket || pending.iter().any(is_its))
                    {
                        pump(around, plan, *host, pending, ready);
                    }
                }
                Some(
                    Open::Dialer { first: Some(Link::Tls(stream)), .. }
                    | Open::Link(Link::Tls(stream)),
                ) if stream.socket() == socket => stream.advance(around),
                _ => {}
            }
        }
    }

    /// Ends all connections. Those with TLS have some time to send what they still have.
    fn finish(&mut self) {
        let numbers: Vec<u64> = self.open.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.close(number));
        while !self.lingering.is_empty() && !self.stdio.is_over() {
            self.pulse.arm();
            if self.stdio.is_over() || self.sleep(&[], None).is_err() {
                break;
            }
        }
        for (stream, _) in self.lingering.drain(..) {
            self.around.network.close(stream.socket());
        }
        if let Some(waker) = self.waker.take() {
            self.around.network.close(waker);
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.stdio.disconnect();
        self.finish();
    }
}

/// Accepts connections with TLS and goes on with their handshakes.
fn pump(
    around: &Around,
    plan: &Plan,
    host: u64,
    pending: &mut VecDeque<Stream>,
    ready: &mut VecDeque<Stream>,
) {
    let network = &*around.network;
    // A host could have more without end.
    for _ in ready.len()..MAX_READY {
        let Ok(socket) = network.accept(host) else { break };
        if pending.len() >= MAX_PENDING
            && let Some(oldest) = pending.pop_front()
        {
            network.close(oldest.socket());
        }
        if let Ok(Link::Tls(stream)) = Sockets::link(around, plan, socket) {
            pending.push_back(*stream);
        }
    }
    for mut stream in std::mem::take(pending) {
        stream.advance(around);
        if stream.is_open() {
            // If it was cut off since, the program gets what came, and then the error.
            ready.push_back(stream);
        } else if stream.failure().is_some() {
            network.close(stream.socket());
        } else {
            pending.push_back(stream);
        }
    }
}
