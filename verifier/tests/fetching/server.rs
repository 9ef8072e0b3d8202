//! Servers of collateral: the sample's, answered rightly or as a test wants it.

use crate::common::pki::{Key, parameters, pem};
use crate::common::sample;
use rcgen::SanType;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;
use twine_verifier::{Evidence, Fetcher, Platform};

static PARTS: LazyLock<serde_json::Value> =
    LazyLock::new(|| serde_json::from_slice(&sample("sgx_quote_collateral.json")).unwrap());

/// The platform of the sample quote.
pub fn platform() -> Platform {
    Evidence::parse(&sample("sgx_quote")).unwrap().platform().unwrap()
}

fn part(name: &str) -> &'static str {
    PARTS[name].as_str().unwrap()
}

/// An answer with status 200, a body, and a chain in a header.
pub fn answer(header: Option<(&str, &str)>, body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
    if let Some((name, chain)) = header {
        let chain: String = chain.bytes().map(|byte| format!("%{byte:02X}")).collect();
        head += &format!("{name}: {chain}\r\n");
    }
    [format!("{head}Connection: close\r\n\r\n").as_bytes(), body].concat()
}

/// What Intel's service would answer for the platform.
pub fn right(path: &str) -> Vec<u8> {
    let signed = |name: &str, content: &str, signature: &str| {
        format!(r#"{{"{name}":{content},"signature":"{signature}"}}"#).into_bytes()
    };
    let pck_chain = Some(("SGX-PCK-CRL-Issuer-Chain", part("pck_crl_issuer_chain")));
    let tcb_chain = Some(("TCB-Info-Issuer-Chain", part("tcb_info_issuer_chain")));
    let qe_chain = Some(("SGX-Enclave-Identity-Issuer-Chain", part("qe_identity_issuer_chain")));
    let tcb = || signed("tcbInfo", part("tcb_info"), part("tcb_info_signature"));
    let qe = || signed("enclaveIdentity", part("qe_identity"), part("qe_identity_signature"));
    match path.strip_prefix("/sgx/certification/v4") {
        Some("/pckcrl?ca=processor&encoding=der") => {
            answer(pck_chain, &hex::decode(part("pck_crl")).unwrap())
        }
        Some("/tcb?fmspc=00A067110000&update=standard") => answer(tcb_chain, &tcb()),
        Some("/qe/identity?update=standard") => answer(qe_chain, &qe()),
        Some("/rootcacrl") => answer(None, part("root_ca_crl").as_bytes()),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    }
}

/// Reads a question, and returns its path.
fn path_of(stream: &mut impl Read) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    // The question ends with an empty line.
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    Some(first.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// A server that answers each question by a function.
pub struct Server {
    pub address: String,
    /// The paths of all questions.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(reply: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = Server { address, asked: Arc::clone(&asked) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(path) = path_of(&mut stream) else { continue };
                asked.lock().unwrap().push(path.clone());
                reply(&path, &mut stream);
            }
        });
        server
    }

    /// A server with right answers, of which a function changes those whose path has a text.
    pub fn changed(
        which: &'static str,
        change: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static,
    ) -> Server {
        Server::start(move |path, stream| {
            let reply = right(path);
            let reply = if path.contains(which) { change(reply) } else { reply };
            // Whoever asks may have gone before it has everything.
            let _ = stream.write_all(&reply);
        })
    }

    pub fn right() -> Server {
        Server::changed("nothing has this text", |reply| reply)
    }

    pub fn fetcher(&self) -> Fetcher {
        Fetcher::pccs(&self.address).unwrap().timeout(Duration::from_secs(5))
    }

    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Starts a right server with TLS, with a certificate that it signed itself. Returns its address and
/// the certificate in PEM.
pub fn server_with_tls() -> (String, String) {
    let key = Key::new();
    let mut parameters = parameters("PCCS", &key, 1, false);
    parameters.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let pem = pem(&[&certificate]);
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.private())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // Who does not trust the certificate does not ask.
            let Some(path) = path_of(&mut stream) else { continue };
            stream.write_all(&right(&path)).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
    });
    (address, pem)
}
