//! Measures the channel beside plain TLS in the same process:
//! `cargo test --release -p twine-hosting --test throughput -- --ignored --nocapture`.

mod common;

use common::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use twine_client::{Attached, Streams};

const SIZE: usize = 256 << 20;

/// Returns the speed of plain TLS, in MiB for each second.
fn plain() -> f64 {
    let identity = tls_identity();
    let mut room = [0; 256];
    let key = identity.key.to_pkcs8_der(&mut room).unwrap().to_vec();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(identity.certificate)], key)
        .unwrap();
    let mut config = config;
    config.alpn_protocols = vec![twine_channel::ALPN.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reads = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let (mut piece, mut count) = (vec![0; 64 << 10], 0);
        while count < SIZE {
            count += stream.read(&mut piece).unwrap();
        }
        stream.write_all(b"x").unwrap();
        stream.flush().unwrap();
    });
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(raw::client_config(), name).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let piece = vec![7; 64 << 10];
    let start = Instant::now();
    for _ in 0..SIZE / piece.len() {
        stream.write_all(&piece).unwrap();
    }
    stream.flush().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let speed = speed(start);
    reads.join().unwrap();
    speed
}

fn speed(start: Instant) -> f64 {
    (SIZE >> 20) as f64 / start.elapsed().as_secs_f64()
}

/// The time that the process has taken of all CPUs, in seconds: ticks of 10 ms (proc(5)).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Returns the speed of something, and the CPU time that it takes.
fn measured(work: impl FnOnce() -> f64) -> (f64, f64) {
    let before = cpu();
    let speed = work();
    (speed, cpu() - before)
}

/// The speed and the CPU time of plain TLS, of a program's input, and of its output.
type Round = [(f64, f64); 3];

/// Input of zeros.
struct Zeros(usize);

impl Read for Zeros {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        bytes[..count].fill(0);
        Ok(count)
    }
}

/// Returns the speed of a program's input or output.
fn channel(server: &Server, program: &str, input: usize) -> f64 {
    let owner = Owner::new(1);
    let manifest = owner.manifest("speed", program.as_bytes(), |_| ());
    let (proven, answer) = owner.start(server.port, &deploy(manifest), program.as_bytes()).unwrap();
    let mut streams = Streams::new(Some(Box::new(Zeros(input)))).unwrap();
    let mut count = 0;
    let start = Instant::now();
    let attached = Attached::new(proven, &answer, &mut streams).unwrap();
    let end = attached.run(|_, bytes| {
        count += bytes.len();
        Ok(())
    });
    assert_eq!(end.unwrap(), exited(0));
    assert!(input > 0 || count == SIZE);
    speed(start)
}

#[test]
#[ignore = "it measures"]
fn the_channel_is_nearly_as_fast_as_plain_tls() {
    let server = Server::new();
    let rounds: Vec<Round> = (0..9)
        .map(|_| {
            let output = format!("zeros {SIZE}");
            [
                measured(plain),
                measured(|| channel(&server, "drain", SIZE)),
                measured(|| channel(&server, &output, 0)),
            ]
        })
        .collect();
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_unstable_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let [plain, input, output] = [0, 1, 2].map(|column| {
        let (speed, cpu) = (median(&|round| round[column].0), median(&|round| round[column].1));
        let name = ["plain TLS", "to the program", "from the program"][column];
        println!("{name}: {speed:.0} MiB/s, {cpu:.2} s of CPU time");
        speed
    });
    println!("{:.0} % and {:.0} % of plain TLS", 100.0 * input / plain, 100.0 * output / plain);
    assert!(input.min(output) > 0.6 * plain);
    server.end();
}
