//! Kills `twine run` at random moments while a program writes to a database on a volume.
//! Transactions that the program reported as committed must be there at the next start, and SQLite
//! must find the database intact; the program (`guests/commits`) itself checks every row.
//!
//! A few rounds by default; `TWINE_KILL_ROUNDS=400` sets the number.

mod common;

use common::{Folder, built, twine};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 6;

/// The journal modes and sync levels. Each has its own volume and database. A level below `FULL`
/// may lose transactions in a power cut, but not when a process ends.
const WAYS: [(&str, &str); 6] = [
    ("DELETE", "FULL"),
    ("TRUNCATE", "FULL"),
    ("PERSIST", "FULL"),
    ("WAL", "FULL"),
    ("DELETE", "OFF"),
    ("WAL", "NORMAL"),
];

/// Longer than a program takes to begin on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The most milliseconds for which a program may write.
const WRITING: u64 = 1500;

/// A database under test, and what is known about it.
struct Victim {
    journal: &'static str,
    synchronous: &'static str,
    /// The last transaction that the program reported as committed.
    committed: u64,
    /// The time that the program took to begin.
    start: Duration,
}

/// Returns an unpredictable number.
fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    let mut device = std::fs::File::open("/dev/urandom").unwrap();
    device.read_exact(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % below
}

fn start(folder: &Folder, victim: &Victim, more: &[&str]) -> Child {
    let Victim { journal, synchronous, .. } = *victim;
    let mut command = twine();
    command
        .args(["run", "--quiet", "--dir"])
        .arg(folder.path().join(format!("{journal}-{synchronous}")));
    command.arg(built("guests/commits.wasm")).args(["--journal", journal]);
    command.args(["--synchronous", synchronous]).args(more);
    command.arg("commits.db").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns the number in a line of the program.
fn number(line: &str, word: &str) -> Option<u64> {
    line.strip_prefix(word)?.trim().parse().ok()
}

/// Returns all lines, read by another thread: the program must never wait for its reader.
fn lines(out: ChildStdout) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = String::new();
        // A killed process may leave a part of a line, which is ignored.
        while out.read_line(&mut line).is_ok() && line.ends_with('\n') {
            if send.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    receive
}

/// Returns the standard error of the process after its end.
fn ended(mut child: Child) -> String {
    child.wait().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Starts the program, kills it, and compares what it found with what is known.
fn round(folder: &Folder, victim: &mut Victim) {
    let mut child = start(folder, victim, &[]);
    let begun = Instant::now();
    let lines = lines(child.stdout.take().unwrap());
    // Some are killed before they have looked: while the volume is opened, and while SQLite rolls
    // back the last transaction.
    let early = random(8) == 0 && !victim.start.is_zero();
    if early {
        let most = victim.start.as_millis() as u64;
        std::thread::sleep(Duration::from_millis(most / 2 + random(most)));
        child.kill().unwrap();
    }
    match lines.recv_timeout(PATIENCE).ok().as_deref().and_then(|line| number(line, "found")) {
        Some(found) => {
            // The transaction that was being committed may be there or not.
            let expected = victim.committed..=victim.committed + 1;
            assert!(expected.contains(&found), "{}: found {found}", victim.describe());
            victim.committed = found;
            victim.start = begun.elapsed();
        }
        None if early => {
            assert_eq!(ended(child), "");
            return;
        }
        None => {
            child.kill().unwrap();
            panic!("{}: {}", victim.describe(), ended(child));
        }
    }
    std::thread::sleep(Duration::from_millis(random(WRITING)));
    child.kill().unwrap();
    assert_eq!(ended(child), "", "{}", victim.describe());
    for line in lines {
        victim.committed = number(&line, "committed").expect("nothing else is printed");
    }
}

impl Victim {
    fn describe(&self) -> String {
        let Victim { journal, synchronous, committed, .. } = self;
        format!("journal {journal}, {synchronous}: transaction {committed} was committed")
    }
}

#[test]
fn committed_data_survives_a_kill_at_any_moment() {
    let folder = Folder::new();
    let rounds = std::env::var("TWINE_KILL_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut victims = WAYS.map(|(journal, synchronous)| Victim {
        journal,
        synchronous,
        committed: 0,
        start: Duration::ZERO,
    });
    for number in 0..rounds {
        let at = (number % WAYS.len() as u64) as usize;
        round(&folder, &mut victims[at]);
    }
    for mut victim in victims {
        let mut child = start(&folder, &victim, &["--transactions", "3"]);
        let lines = lines(child.stdout.take().unwrap());
        let found = lines.iter().next().and_then(|line| number(&line, "found")).unwrap_or(0);
        let expected = victim.committed..=victim.committed + 1;
        let committed = lines.iter().filter(|line| line.starts_with("committed")).count();
        assert_eq!(ended(child), "", "{}", victim.describe());
        assert!(expected.contains(&found), "{}: found {found}", victim.describe());
        assert_eq!(committed, 3);
        victim.committed = found + 3;
        println!("{}", victim.describe());
    }
}
