//! An enclave that is none: real sockets, programs that are functions, and evidence that says
//! plainly what it is for. And owners, who connect to it.
#![allow(dead_code, reason = "not every test uses all of it")]

pub mod raw;

use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use graviola::signing::eddsa::Ed25519SigningKey;
use rcgen::{
    CertificateParams, KeyIdMethod, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
    SignatureAlgorithm,
};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use twine_channel::frame::Kind;
use twine_channel::message::{Answer, Deploy, End, OnVolume, Position, Request, Secret, Which};
use twine_channel::volume::Work;
use twine_client::{Attached, Connection, Error, Fresh, Proven, Streams, TimeLimit};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::examples;
use twine_evidence::manifest::{Identity, Manifest};
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::Signed;
use twine_evidence::terms::{self, KeyPolicy, MountKind, Stream, Terms};
use twine_hosting::{
    Admission, Control, Id, Job, Kept, Level, Lost, Outside, Secrets, Settings, Stdio, TlsIdentity,
    VolumeJob, Waiting, serve,
};

/// The host's number of the listening socket.
pub const LISTENER: u64 = 3;

/// The host's number of the waker.
pub const WAKER: u64 = 2;

/// How long anything in a test may take.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn limit() -> TimeLimit {
    TimeLimit::new(LIMIT)
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

// ------------------------------------------------------------------------------ programs

/// What a program knows while it runs.
pub struct Running<'a> {
    pub job: &'a Job,
    pub stdio: &'a Stdio,
    pub secrets: Secrets,
    pub switch: Arc<Switch>,
}

/// Whether a program was interrupted, or must end.
#[derive(Debug, Default)]
pub struct Switch {
    pub interrupted: AtomicBool,
    /// Whether the program handles no interrupts.
    pub deaf: AtomicBool,
    pub ended: AtomicBool,
}

/// Turns the switch.
struct Hand(Arc<Switch>);

impl Control for Hand {
    fn interrupt(&self) -> bool {
        self.0.interrupted.store(true, Ordering::SeqCst);
        self.0.deaf.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

pub fn exited(code: u32) -> End {
    End::Exited { code, results: Vec::new() }
}

pub fn trapped() -> End {
    End::Trapped { cause: "it was interrupted".into(), backtrace: Vec::new() }
}

impl Running<'_> {
    /// Reads all input. `None` if the program must end.
    pub fn read_all(&self) -> Option<Vec<u8>> {
        let (mut all, mut piece) = (Vec::new(), vec![0; 10_000]);
        loop {
            match self.stdio.read(&mut piece).ok()? {
                0 => return Some(all),
                count => all.extend_from_slice(&piece[..count]),
            }
        }
    }

    /// Writes all of it. `None` if the program must end.
    pub fn write_all(&self, stream: u64, bytes: &[u8]) -> Option<()> {
        write_all(self.stdio, stream, bytes)
    }

    /// Waits until somebody ends the program.
    pub fn wait(&self) -> End {
        loop {
            if self.switch.ended.load(Ordering::SeqCst) {
                return trapped();
            }
            if self.switch.interrupted.load(Ordering::SeqCst) {
                return exited(130);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Writes all of it. `None` if whoever writes must end.
fn write_all(stdio: &Stdio, stream: u64, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        let count = stdio.write(stream, bytes).ok()?;
        assert!(count > 0 && count <= bytes.len());
        bytes = &bytes[count..];
    }
    Some(())
}

/// Writes so many bytes of [`pattern`] to the standard output.
fn write_pattern(stdio: &Stdio, size: u64) -> Option<()> {
    let mut place = 0;
    while place < size {
        let length = (size - place).min(50_000 + place % 1000);
        write_all(stdio, 1, &pattern(place, length as usize))?;
        place += length;
    }
    Some(())
}

/// Bytes that differ everywhere: those of a stream from the place `from` on.
pub fn pattern(from: u64, length: usize) -> Vec<u8> {
    let byte = |place: u64| {
        let word = (place / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        word.to_le_bytes()[(place % 8) as usize] ^ (place >> 20) as u8
    };
    (from..from + length as u64).map(byte).collect()
}

/// Returns the program that these bytes are: words, of which the first says what it does.
fn run_program(bytes: &[u8], running: &Running<'_>) -> Option<End> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
    match name {
        // Copies its input to its output, in pieces.
        "echo" => {
            let mut piece = vec![0; 10_000];
            loop {
                match running.stdio.read(&mut piece).ok()? {
                    0 => return Some(exited(0)),
                    count => running.write_all(1, &piece[..count])?,
                }
            }
        }
        // Writes so many bytes to its output, and some to its errors.
        "flood" => {
            write_pattern(running.stdio, number)?;
            running.write_all(2, b"that was all")?;
            Some(exited(0))
        }
        // Reads all, slowly or not, and writes its hash.
        "digest" => {
            let all = running.read_all()?;
            running.write_all(1, Digest::of(&all).to_string().as_bytes())?;
            Some(exited(0))
        }
        // Reads all, and writes so many zeros: for measurements.
        "drain" => {
            let mut piece = vec![0; 64 << 10];
            while running.stdio.read(&mut piece).ok()? > 0 {}
            Some(exited(0))
        }
        "zeros" => {
            let (piece, mut left) = (vec![0; 64 << 10], number as usize);
            while left > 0 {
                let length = left.min(piece.len());
                running.write_all(1, &piece[..length])?;
                left -= length;
            }
            Some(exited(0))
        }
        "exit" => Some(exited(number as u32)),
        "trap" => Some(trapped()),
        "hello" => {
            running.write_all(1, b"hello\n")?;
            Some(exited(0))
        }
        "wait" => {
            running.write_all(1, b"waiting\n")?;
            Some(running.wait())
        }
        // Waits for input, handles no interrupts, and would choose its exit code when it is ended.
        "grab" => {
            running.switch.deaf.store(true, Ordering::SeqCst);
            running.write_all(1, b"waiting\n")?;
            let _ = running.stdio.read(&mut [0; 16]);
            if running.switch.interrupted.load(Ordering::SeqCst) {
                return Some(trapped());
            }
            Some(exited(0))
        }
        // Ignores interrupts.
        "stubborn" => {
            running.write_all(1, b"waiting\n")?;
            while !running.switch.ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            Some(trapped())
        }
        // Ends only much later than it should.
        "deaf" => {
            thread::sleep(Duration::from_millis(number));
            Some(exited(0))
        }
        "secrets" => {
            for secret in &running.secrets.0 {
                running
                    .write_all(1, &[&secret.name.0[..], b"=", &secret.value.0, b"\n"].concat())?;
            }
            Some(exited(0))
        }
        _ => Some(End::Refused { cause: "it is no program".into(), remedy: String::new() }),
    }
}

// ------------------------------------------------------------------------------ the enclave

/// Faults of the host.
#[derive(Debug, Default)]
pub struct Faults {
    /// What is added to the clock, in milliseconds.
    pub later: AtomicU64,
    /// Whether the clock stands still.
    pub frozen: AtomicBool,
    /// Whether receiving returns absurd counts.
    pub absurd_receive: AtomicBool,
    /// Whether sending returns absurd counts.
    pub absurd_send: AtomicBool,
    /// Whether accepting fails.
    pub no_accept: AtomicBool,
    /// Whether accepting returns sockets that were returned before.
    pub repeats_accept: AtomicBool,
    /// Whether polling says that everything is ready.
    pub all_ready: AtomicBool,
    /// Whether polling says that nothing is ready, for so many turns.
    pub none_ready: AtomicUsize,
    /// How long evidence takes, in milliseconds.
    pub slow_evidence: AtomicU64,
    /// The least size of evidence, in bytes.
    pub long_evidence: AtomicUsize,
    /// Whether waits are as long as the enclave asks for.
    pub sleeps: AtomicBool,
    /// Whether there is no evidence.
    pub no_evidence: AtomicBool,
    /// How many bytes a send takes at most; 0 for all.
    pub short_sends: AtomicUsize,
}

/// The enclave's surroundings.
pub struct World {
    waker: std::os::fd::OwnedFd,
    listener: TcpListener,
    sockets: Mutex<HashMap<u64, Arc<TcpStream>>>,
    next: AtomicU64,
    asked: UnixStream,
    start: Instant,
    kept: Mutex<HashSet<(Digest, Digest)>>,
    programs: Mutex<HashMap<Digest, Vec<u8>>>,
    /// Deployments that are kept, with their secrets.
    pub records: Mutex<Records>,
    pub log: Mutex<Vec<String>>,
    /// What was written to volumes.
    pub files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub faults: Faults,
    /// How many times the event loop waited.
    pub polls: AtomicUsize,
    pub live: AtomicUsize,
    pub runs: AtomicUsize,
    pub most_live: AtomicUsize,
    pub forgotten: Mutex<Vec<(String, bool)>>,
    pub evidence_made: AtomicUsize,
    frozen_at: Mutex<Option<Duration>>,
    identity: Mutex<Option<TlsIdentity>>,
}

/// A key for TLS.
pub struct Key {
    pub key: Arc<SigningKey<P256>>,
    spki: Vec<u8>,
}

impl Key {
    pub fn new() -> Self {
        let key = SigningKey::<P256>::generate().unwrap();
        let mut room = [0; 128];
        let spki = key.to_spki_der(&mut room).unwrap().to_vec();
        Key { key: Arc::new(key), spki }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.spki[self.spki.len() - 65..]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut room = [0; 128];
        Ok(self.key.sign_asn1::<Sha256>(&[message], &mut room).unwrap().to_vec())
    }
}

/// Makes a key and a certificate that says nothing.
pub fn tls_identity() -> TlsIdentity {
    let key = SigningKey::<P256>::generate().unwrap();
    let mut room = [0; 128];
    let spki = key.to_spki_der(&mut room).unwrap().to_vec();
    let key = Arc::new(key);
    let public = Digest::of(&spki);
    let mut parameters = CertificateParams::default();
    parameters.serial_number = Some(SerialNumber::from_slice(&[1]));
    parameters.key_identifier_method = KeyIdMethod::PreSpecified(vec![1]);
    let certificate =
        parameters.self_signed(&Key { key: key.clone(), spki }).unwrap().der().to_vec();
    TlsIdentity { certificate, key, public }
}

fn copy(identity: &TlsIdentity) -> TlsIdentity {
    let TlsIdentity { certificate, key, public } = identity;
    TlsIdentity { certificate: certificate.clone(), key: key.clone(), public: *public }
}

/// Evidence of this world.
pub fn evidence(key: Digest, nonce: &[u8], channel: Digest) -> Vec<u8> {
    [b"evidence", &key.0[..], nonce, &channel.0].concat()
}

/// Whether evidence is for this connection, as a verifier says.
pub fn is_fresh(fresh: &Fresh) -> bool {
    fresh.evidence == evidence(Digest::of(&fresh.public_key), &fresh.nonce, fresh.channel)
}

impl World {
    /// Works on a volume: `Print` writes so many bytes as the path says, and `Write` keeps all that
    /// comes, if its end comes.
    fn work_on(&self, job: &VolumeJob) -> Option<End> {
        match &job.work {
            Work::Print { paths } => {
                let size = paths[0].parse().unwrap();
                write_pattern(&job.stdio, size)?;
                Some(exited(paths.len() as u32 - 1))
            }
            Work::Write { target } => {
                let mut all = Vec::new();
                let mut piece = vec![0; 10_000];
                loop {
                    match job.stdio.read(&mut piece).ok()? {
                        0 => break,
                        count => all.extend_from_slice(&piece[..count]),
                    }
                }
                self.files.lock().unwrap().insert(format!("{}::{target}", job.mount), all);
                Some(exited(0))
            }
            work => panic!("{work:?}"),
        }
    }

    fn now_or_later(&self, read: io::Result<usize>) -> Result<Option<usize>, Lost> {
        match read {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(_) => Err(Lost),
        }
    }

    fn socket(&self, socket: u64) -> Result<Arc<TcpStream>, Lost> {
        self.sockets.lock().unwrap().get(&socket).cloned().ok_or(Lost)
    }

    /// The present key for TLS, as a thief has it.
    pub fn stolen_identity(&self) -> TlsIdentity {
        until("there is one", || self.identity.lock().unwrap().is_some());
        copy(self.identity.lock().unwrap().as_ref().unwrap())
    }

    /// Whether a program of an owner is kept.
    pub fn keeps_program(&self, owner: Digest, program: &[u8]) -> bool {
        self.kept.lock().unwrap().contains(&(owner, Digest::of(program)))
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.sockets.lock().unwrap().len()
    }
}

impl Outside for World {
    fn accept(&self, listener: u64) -> Result<Option<u64>, Lost> {
        assert_eq!(listener, LISTENER);
        if self.faults.no_accept.load(Ordering::SeqCst) {
            return Err(Lost);
        }
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true).unwrap();
                stream.set_nodelay(true).unwrap();
                let mut number = self.next.fetch_add(1, Ordering::SeqCst);
                let mut sockets = self.sockets.lock().unwrap();
                if self.faults.repeats_accept.load(Ordering::SeqCst) {
                    number = sockets.keys().next().copied().unwrap_or(number);
                }
                sockets.insert(number, Arc::new(stream));
                Ok(Some(number))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(Lost),
        }
    }

    fn receive(&self, socket: u64, bytes: &mut [u8]) -> Result<Option<usize>, Lost> {
        let received = self.now_or_later((&*self.socket(socket)?).read(bytes));
        match received {
            Ok(Some(_)) if self.faults.absurd_receive.load(Ordering::SeqCst) => {
                Ok(Some(usize::MAX))
            }
            received => received,
        }
    }

    fn send(&self, socket: u64, bytes: &[u8]) -> Result<Option<usize>, Lost> {
        let most = match self.faults.short_sends.load(Ordering::SeqCst) {
            0 => bytes.len(),
            most => most.min(bytes.len()),
        };
        let sent = self.now_or_later((&*self.socket(socket)?).write(&bytes[..most]));
        match sent {
            Ok(Some(_)) if self.faults.absurd_send.load(Ordering::SeqCst) => Ok(Some(usize::MAX)),
            sent => sent,
        }
    }

    fn close(&self, socket: u64) {
        self.sockets.lock().unwrap().remove(&socket);
    }

    fn waker(&self) -> Result<u64, Lost> {
        Ok(WAKER)
    }

    fn wake(&self, waker: u64) {
        assert_eq!(waker, WAKER);
        rustix::io::write(&self.waker, &1_u64.to_ne_bytes()).unwrap();
    }

    fn poll(&self, waiting: &mut [Waiting], time: Option<Duration>) -> bool {
        self.polls.fetch_add(1, Ordering::SeqCst);
        // Else a test with another clock would wait for the right one.
        let time = match self.faults.sleeps.load(Ordering::SeqCst) {
            true => time,
            false => time.map(|time| time.min(Duration::from_millis(50))),
        };
        let none = self.faults.none_ready.load(Ordering::SeqCst);
        if none > 0 {
            self.faults.none_ready.store(none - 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
            return false;
        }
        let sockets: Vec<_> = waiting.iter().map(|waiting| self.socket(waiting.socket)).collect();
        let mut descriptors: Vec<PollFd<'_>> = Vec::new();
        for (waiting, socket) in waiting.iter().zip(&sockets) {
            let flags = if waiting.write { PollFlags::OUT } else { PollFlags::IN };
            match socket {
                _ if waiting.socket == WAKER => descriptors.push(PollFd::new(&self.waker, flags)),
                Ok(socket) => descriptors.push(PollFd::new(&**socket, flags)),
                Err(Lost) => descriptors.push(PollFd::new(&self.listener, flags)),
            }
        }
        descriptors.push(PollFd::new(&self.asked, PollFlags::IN));
        let time = time.map(|time| rustix::event::Timespec::try_from(time).unwrap());
        let polled = poll(&mut descriptors, time.as_ref());
        let all = self.faults.all_ready.load(Ordering::SeqCst) || polled.is_err();
        for (waiting, descriptor) in waiting.iter_mut().zip(&descriptors) {
            waiting.ready = all || !descriptor.revents().is_empty();
            if waiting.ready && waiting.socket == WAKER {
                let _ = rustix::io::read(&self.waker, &mut [0; 8]);
            }
        }
        descriptors.last().is_some_and(|asked| !asked.revents().is_empty())
            && (&self.asked).read(&mut [0]).is_ok()
    }

    fn now(&self) -> Duration {
        let later = Duration::from_millis(self.faults.later.load(Ordering::SeqCst));
        let now = self.start.elapsed() + later;
        let mut frozen = self.frozen_at.lock().unwrap();
        match self.faults.frozen.load(Ordering::SeqCst) {
            true => *frozen.get_or_insert(now),
            false => {
                *frozen = None;
                now
            }
        }
    }

    fn log(&self, level: Level, line: &str) {
        self.log.lock().unwrap().push(format!("{level:?} {line}"));
    }

    fn tls_identity(&self) -> Result<TlsIdentity, String> {
        let identity = tls_identity();
        *self.identity.lock().unwrap() = Some(copy(&identity));
        Ok(identity)
    }

    fn evidence(&self, key: Digest, nonce: &[u8], channel: Digest) -> Result<Vec<u8>, String> {
        thread::sleep(Duration::from_millis(self.faults.slow_evidence.load(Ordering::SeqCst)));
        self.evidence_made.fetch_add(1, Ordering::SeqCst);
        match self.faults.no_evidence.load(Ordering::SeqCst) {
            true => Err("nobody makes quotes".into()),
            false => {
                let mut evidence = evidence(key, nonce, channel);
                let least = self.faults.long_evidence.load(Ordering::SeqCst);
                evidence.resize(least.max(evidence.len()), 0);
                Ok(evidence)
            }
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            measurement: Digest([0x22; 32]),
            signer: Digest([0x33; 32]),
            product: 1,
            svn: 2,
            debug: false,
        }
    }

    fn has_program(&self, owner: Digest, program: Digest) -> bool {
        self.kept.lock().unwrap().contains(&(owner, program))
    }

    fn run(&self, job: &Job, started: &mut dyn FnMut(Box<dyn Control>)) -> End {
        let live = self.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_live.fetch_max(live, Ordering::SeqCst);
        self.runs.fetch_add(1, Ordering::SeqCst);
        let program = job.manifest.manifest().terms.program;
        if let Some(bytes) = job.take_program() {
            self.kept.lock().unwrap().insert((job.id.owner, program));
            self.programs.lock().unwrap().insert(program, bytes);
        }
        let bytes = self.programs.lock().unwrap().get(&program).cloned().unwrap_or_default();
        let switch = Arc::new(Switch::default());
        let secrets = job.take_secrets();
        started(Box::new(Hand(switch.clone())));
        let running = Running { job, stdio: &job.stdio, secrets, switch };
        let end = run_program(&bytes, &running).unwrap_or_else(trapped);
        self.live.fetch_sub(1, Ordering::SeqCst);
        end
    }

    fn work(&self, job: &VolumeJob) -> End {
        let live = self.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_live.fetch_max(live, Ordering::SeqCst);
        let end = self.work_on(job).unwrap_or_else(trapped);
        self.live.fetch_sub(1, Ordering::SeqCst);
        end
    }

    fn keep(&self, job: &Job) -> Result<(), String> {
        let secrets = job.with_secrets(<[Secret]>::to_vec);
        self.records.lock().unwrap().insert(job.id.clone(), (job.signed.clone(), secrets));
        Ok(())
    }

    fn kept(&self) -> Vec<Result<Kept, String>> {
        let records = self.records.lock().unwrap().clone();
        let kept = |(signed, secrets)| Ok(Kept { signed, secrets: Secrets(secrets) });
        records.into_values().map(kept).collect()
    }

    fn forget_program(&self, owner: Digest, program: Digest) {
        self.kept.lock().unwrap().remove(&(owner, program));
    }

    fn forget(&self, job: &Job, volumes: bool) -> Result<(), String> {
        self.records.lock().unwrap().remove(&job.id);
        self.forgotten.lock().unwrap().push((job.id.name.clone(), volumes));
        Ok(())
    }
}

/// Signed manifests with secrets, by deployment.
type Records = BTreeMap<Id, (Vec<u8>, Vec<Secret>)>;

/// What a host keeps from one server to the next.
#[derive(Default)]
struct Stored {
    kept: HashSet<(Digest, Digest)>,
    programs: HashMap<Digest, Vec<u8>>,
    records: Records,
}

/// A server.
pub struct Server {
    pub world: Arc<World>,
    pub port: u16,
    ask: UnixStream,
    thread: Option<JoinHandle<Result<(), String>>>,
}

/// What an operator admits who has much.
pub fn plenty() -> Admission {
    Admission {
        owners: Vec::new(),
        deployments: 2000,
        per_owner: 2000,
        running: 300,
        memory: 1 << 40,
        each: 1 << 30,
        each_owner: 1 << 40,
    }
}

impl Server {
    pub fn new() -> Self {
        Server::admitting(plenty())
    }

    pub fn admitting(admission: Admission) -> Self {
        Server::with(admission, Stored::default())
    }

    /// Starts a server with what an earlier one has kept.
    pub fn after(world: &World) -> Self {
        let stored = Stored {
            kept: world.kept.lock().unwrap().clone(),
            programs: world.programs.lock().unwrap().clone(),
            records: world.records.lock().unwrap().clone(),
        };
        Server::with(plenty(), stored)
    }

    fn with(admission: Admission, stored: Stored) -> Self {
        let Stored { kept, programs, records } = stored;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ask, asked) = UnixStream::pair().unwrap();
        asked.set_nonblocking(true).unwrap();
        let flags = rustix::event::EventfdFlags::NONBLOCK;
        let world = Arc::new(World {
            waker: rustix::event::eventfd(0, flags).unwrap(),
            listener,
            sockets: Mutex::default(),
            next: AtomicU64::new(LISTENER + 1),
            asked,
            start: Instant::now(),
            kept: Mutex::new(kept),
            programs: Mutex::new(programs),
            records: Mutex::new(records),
            log: Mutex::default(),
            files: Mutex::default(),
            faults: Faults::default(),
            polls: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            runs: AtomicUsize::new(0),
            most_live: AtomicUsize::new(0),
            forgotten: Mutex::default(),
            evidence_made: AtomicUsize::new(0),
            frozen_at: Mutex::default(),
            identity: Mutex::default(),
        });
        let outside = world.clone();
        let settings = Settings { listener: LISTENER, admission };
        let thread = thread::spawn(move || serve(outside, settings));
        Server { world, port, ask, thread: Some(thread) }
    }

    /// Asks the server to end.
    pub fn ask_to_end(&self) {
        (&self.ask).write_all(&[1]).unwrap();
    }

    /// Waits until it has ended, and sees that it left nothing.
    pub fn ended(mut self) {
        let thread = self.thread.take().unwrap();
        until("the server ends", || thread.is_finished());
        thread.join().expect("it does not panic").unwrap();
        assert_eq!(self.world.open(), 0, "connections that are open");
        until("no program runs", || self.world.live.load(Ordering::SeqCst) == 0);
        until("no thread has it", || Arc::strong_count(&self.world) == 1);
    }

    /// Ends it.
    pub fn end(self) {
        self.ask_to_end();
        self.ended();
    }

    /// Waits until no connection is open.
    pub fn quiet(&self) {
        until("connections end", || self.world.open() == 0);
    }
}

// ------------------------------------------------------------------------------ owners

/// An owner.
pub struct Owner {
    seed: u8,
}

impl Owner {
    pub fn new(seed: u8) -> Self {
        Owner { seed }
    }

    fn key(&self) -> Ed25519SigningKey {
        Ed25519SigningKey::from_bytes(&[self.seed; 32]).unwrap()
    }

    pub fn public(&self) -> PublicKey {
        let mut room = [0; 64];
        PublicKey::from_der(self.key().public_key().to_spki_der(&mut room).unwrap()).unwrap()
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key().sign(message)
    }

    /// A manifest of a program, on terms that are changed as wanted.
    pub fn manifest(
        &self,
        name: &str,
        program: &[u8],
        change: impl FnOnce(&mut Manifest),
    ) -> Vec<u8> {
        let mut manifest = examples::manifest(Terms {
            program: Digest::of(program),
            streams: terms::Streams {
                stdin: Stream::Owner,
                stdout: Stream::Owner,
                stderr: Stream::Owner,
            },
            limits: terms::Limits { memory: Some(1 << 20), ..terms::Limits::default() },
            ..examples::small_terms()
        });
        manifest.name = name.into();
        manifest.owner = Bytes(self.public().der().to_vec());
        change(&mut manifest);
        Signed::sign(&manifest, |message| self.sign(message)).unwrap()
    }

    /// Connects, verifies, and proves who it is.
    pub fn connect(&self, port: u16) -> Result<Proven, Error> {
        let connection = Connection::open("127.0.0.1", port, limit())?;
        let (unproven, fresh) = connection.evidence(limit())?;
        assert!(is_fresh(&fresh), "the evidence is for this connection");
        unproven.prove(&self.public(), |message| Ok(self.sign(message)), limit())
    }

    pub fn ask(&self, port: u16, request: &Request) -> Result<Answer, Error> {
        self.connect(port)?.ask(request, limit())
    }

    pub fn list(&self, port: u16) -> Vec<twine_channel::message::Entry> {
        match self.ask(port, &Request::List).unwrap() {
            Answer::Listing(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    pub fn logs(&self, port: u16, name: &str, follow: bool) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let mut taken = (Vec::new(), Vec::new());
        let write = |kind, bytes: &[u8]| {
            match kind {
                Kind::Output => taken.0.extend_from_slice(bytes),
                _ => taken.1.extend_from_slice(bytes),
            }
            Ok(())
        };
        self.connect(port)?.read_all(
            &Request::Logs { which: which(name), follow },
            write,
            limit(),
        )?;
        Ok(taken)
    }

    pub fn stop(&self, port: u16, name: &str, kill: bool) {
        let request = Request::Stop { which: which(name), kill };
        self.connect(port).unwrap().do_it(&request, limit()).unwrap();
    }

    /// Makes a deployment, and returns the answer. Sends the program if it is wanted.
    pub fn start(
        &self,
        port: u16,
        deploy: &Deploy,
        program: &[u8],
    ) -> Result<(Proven, Answer), Error> {
        let mut proven = self.connect(port)?;
        let answer = proven.ask(&Request::Deploy(deploy.clone()), limit())?;
        let answer = match answer {
            Answer::Wanted => proven.upload(program, |_| (), limit())?,
            answer => answer,
        };
        Ok((proven, answer))
    }

    /// Runs a program to its end, attached.
    pub fn run(
        &self,
        port: u16,
        deploy: &Deploy,
        program: &[u8],
        input: &[u8],
    ) -> Result<Ran, Error> {
        let (proven, answer) = self.start(port, deploy, program)?;
        let mut streams = Streams::new(Some(Box::new(io::Cursor::new(input.to_vec())))).unwrap();
        let mut ran = Ran::default();
        let attached = Attached::new(proven, &answer, &mut streams)?;
        ran.end = Some(attached.run(|kind, bytes| ran.take(kind, bytes))?);
        Ok(ran)
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Ran {
    pub end: Option<End>,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
}

impl Ran {
    pub fn take(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        match kind {
            Kind::Output => self.output.extend_from_slice(bytes),
            _ => self.errors.extend_from_slice(bytes),
        }
        Ok(())
    }
}

pub fn which(name: &str) -> Which {
    Which { owner: None, name: name.into() }
}

/// A mount of a volume.
pub fn volume(guest: &str) -> terms::Mount {
    terms::Mount {
        guest: guest.into(),
        kind: MountKind::Volume,
        key: Some(KeyPolicy::Deployment),
        read_only: false,
        size: None,
        main: None,
        former: None,
    }
}

/// A request to work on a volume.
pub fn on_volume(manifest: &[u8], mount: &str, work: Work) -> Request {
    Request::Volume(OnVolume {
        manifest: Bytes(manifest.to_vec()),
        mount: mount.into(),
        work,
        terminals: [false; 3],
    })
}

/// Work that writes so many bytes.
pub fn print(size: u64) -> Work {
    Work::Print { paths: vec![size.to_string()] }
}

/// A request to deploy, attached, without secrets.
pub fn deploy(manifest: Vec<u8>) -> Deploy {
    Deploy {
        manifest: Bytes(manifest),
        secrets: Vec::new(),
        detach: false,
        replace: false,
        terminals: [false; 3],
    }
}

pub fn detached(manifest: Vec<u8>) -> Deploy {
    Deploy { detach: true, ..deploy(manifest) }
}

pub fn secret(name: &str, value: &str) -> Secret {
    Secret { name: name.into(), value: value.into() }
}

/// The cause of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Refused { cause, .. }) => cause,
        other => panic!("not refused: {other:?}"),
    }
}

// ------------------------------------------------------------------------------ the network

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// What somebody in the middle does with the bytes of one connection. `None` cuts it.
pub type Middle = Box<dyn FnMut(Way, Vec<u8>) -> Option<Vec<u8>> + Send>;

/// Somebody in the middle, at the level of TCP.
pub struct Proxy {
    pub port: u16,
    pub connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// Passes connections on to a port. `middle` makes what is done with each of them.
    pub fn new(to: u16, mut middle: impl FnMut(usize) -> Middle + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let middle = middle(count.fetch_add(1, Ordering::SeqCst));
                pass_both(client, server, middle);
            }
        });
        Proxy { port, connections }
    }
}

fn pass_both(client: TcpStream, server: TcpStream, middle: Middle) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let middle = Arc::new(Mutex::new(middle));
    let other = middle.clone();
    let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || pass(Way::ToServer, client, server, &middle));
    thread::spawn(move || pass(Way::ToClient, server2, client2, &other));
}

fn pass(way: Way, mut from: TcpStream, mut to: TcpStream, middle: &Mutex<Middle>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let passed = (middle.lock().unwrap())(way, buffer[..count].to_vec());
        let Some(passed) = passed else { break };
        if to.write_all(&passed).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Simple random numbers (SplitMix64), the same in each run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }
}

/// Runs a program to its end, and goes on with another connection where one is lost.
pub fn run_resuming(
    owner: &Owner,
    port: u16,
    name: &str,
    deploy: &Deploy,
    program: &[u8],
    input: Vec<u8>,
) -> (Ran, usize) {
    let mut streams = Streams::new(Some(Box::new(io::Cursor::new(input)))).unwrap();
    let (mut ran, mut tries, mut began) = (Ran::default(), 0, false);
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < 2 * LIMIT, "it does not end: {tries} tries");
        tries += 1;
        let from = Some(streams.received());
        let attach = |request: &Request| {
            let mut proven = owner.connect(port)?;
            let answer = proven.ask(request, limit())?;
            Ok((proven, answer))
        };
        let again = attach(&Request::Attach { which: which(name), from });
        let connected = match again {
            Err(Error::Refused { cause, .. }) if !began => {
                assert!(cause.contains("no deployment"), "{cause}");
                owner.start(port, deploy, program)
            }
            again => again,
        };
        let ended = connected.and_then(|(proven, answer)| {
            let attached = Attached::new(proven, &answer, &mut streams)?;
            began = true;
            assert_eq!(attached.missed(), Position::default());
            attached.run(|kind, bytes| ran.take(kind, bytes))
        });
        match ended {
            Ok(end) => {
                ran.end = Some(end);
                return (ran, tries);
            }
            Err(error) if error.is_lost() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Runs something that must end in time.
pub fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// What is in a map, for comparisons.
pub fn states(owner: &Owner, port: u16) -> BTreeMap<String, twine_channel::message::State> {
    owner.list(port).into_iter().map(|entry| (entry.name, entry.state)).collect()
}
