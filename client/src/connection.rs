//! A connection, from the handshake to its request.

use crate::error::Error;
use crate::tls::{Opened, TimeLimit, Timed, open};
use rustls::ClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use twine_channel::frame::{Decoder, Frame, Kind, MAX_MESSAGE, MAX_PIECE, head};
use twine_channel::message::{Answer, Request};
use twine_channel::{ALPN, NONCE_BYTES, VERSION};
use twine_evidence::bytes::Digest;
use twine_evidence::channel::{self, EVIDENCE_LABEL, OWNER_LABEL, Role};
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::SIGNATURE_BYTES;

/// A connection on which nothing was said yet.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    /// The server's public key, as a DER-encoded SubjectPublicKeyInfo.
    public_key: Vec<u8>,
}

/// What a verifier compares fresh evidence with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// The evidence in CBOR.
    pub evidence: Vec<u8>,
    /// The client's nonce, which must be in it.
    pub nonce: [u8; NONCE_BYTES],
    /// The public key, as a DER-encoded SubjectPublicKeyInfo, which it must be for.
    pub public_key: Vec<u8>,
    /// The value of this connection that must be in its statement.
    pub channel: Digest,
}

/// A connection whose other end has sent evidence, and does not know the client.
#[derive(Debug)]
pub struct Unproven {
    wire: Wire,
    nonce: [u8; NONCE_BYTES],
}

/// A connection whose other end knows the client.
#[derive(Debug)]
pub struct Proven {
    pub(crate) wire: Wire,
}

/// Frames over TLS.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) tls: ClientConnection,
    pub(crate) stream: TcpStream,
    decoder: Decoder,
}

fn unexpected(answer: &Answer) -> Error {
    match answer {
        Answer::Refused { cause, remedy } => {
            Error::Refused { cause: cause.clone(), remedy: remedy.clone() }
        }
        // Nothing of it is shown: it may be long, or of a program.
        _ => Error::Unexpected("an answer to another request".into()),
    }
}

impl Wire {
    /// Sets how long sending may take.
    fn within(&mut self, limit: TimeLimit) -> Result<&mut Self, Error> {
        self.stream.set_write_timeout(Some(limit.left()?))?;
        Ok(self)
    }

    /// Whether something has come, without waiting for it.
    fn has_come(&self) -> Result<bool, Error> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            peeked => Ok(peeked.map(|_| true)?),
        }
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.tls.writer().write_all(bytes)?;
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Result<(), Error> {
        self.send(&request.to_frame())
    }

    /// Takes records that came from the socket.
    pub(crate) fn take(&mut self, mut records: &[u8]) -> Result<(), Error> {
        while !records.is_empty() {
            let read = self.tls.read_tls(&mut records)?;
            // Somebody between the two ends has changed something. Another connection may do.
            let processed = self.tls.process_new_packets();
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            let mut plain = Vec::new();
            match self.tls.reader().read_to_end(&mut plain) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    return Err(error.into());
                }
                _ => {}
            }
            self.decoder.push(&plain);
            // Nothing is read after the end.
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Returns the next frame, if it has come.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Error> {
        self.decoder.take().map_err(|error| Error::Unexpected(error.to_string()))
    }

    /// Waits for a frame.
    fn wait(&mut self, limit: TimeLimit) -> Result<Frame, Error> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
            let mut records = [0; 32 << 10];
            let count = Timed { stream: &self.stream, limit }.read(&mut records)?;
            if count == 0 {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
            self.take(&records[..count])?;
        }
    }

    /// Waits for a message.
    pub(crate) fn answer(&mut self, limit: TimeLimit) -> Result<Answer, Error> {
        match self.wait(limit)? {
            Frame { kind: Kind::Message, body } => {
                Answer::decode(&body).map_err(|error| Error::Unexpected(error.to_string()))
            }
            Frame { kind, .. } => Err(Error::Unexpected(format!("a frame of kind {kind:?}"))),
        }
    }

    fn exporter(&self, label: &[u8], nonce: &[u8]) -> Result<[u8; 32], Error> {
        let exported = self.tls.export_keying_material([0; 32], label, Some(nonce));
        exported.map_err(|error| Error::Unexpected(error.to_string()))
    }
}

impl Connection {
    /// Connects to a `twine host`.
    ///
    /// # Errors
    /// It can't be reached, or makes no handshake.
    pub fn open(host: &str, port: u16, limit: TimeLimit) -> Result<Self, Error> {
        let opened = open(host, port, &[ALPN], limit)?;
        let Opened { tls, stream, certificate } = opened;
        let wrong = |cause: String| Error::Handshake { address: format!("{host}:{port}"), cause };
        if tls.alpn_protocol() != Some(ALPN) {
            return Err(wrong("the server does not speak Twine's protocol".into()));
        }
        let certificate = CertificateDer::from(certificate);
        let parsed = ParsedCertificate::try_from(&certificate);
        let parsed = parsed.map_err(|error| wrong(error.to_string()))?;
        let public_key = parsed.subject_public_key_info().to_vec();
        Ok(Connection {
            wire: Wire { tls, stream, decoder: Decoder::new(MAX_MESSAGE) },
            public_key,
        })
    }

    /// Asks for evidence that is made for this connection.
    ///
    /// # Errors
    /// The connection is lost, or the host has no evidence.
    pub fn evidence(self, limit: TimeLimit) -> Result<(Unproven, Fresh), Error> {
        let Connection { mut wire, public_key } = self;
        let mut nonce = [0; NONCE_BYTES];
        graviola::random::fill(&mut nonce)
            .map_err(|_| Error::Client("the CPU returns no random bytes".into()))?;
        wire.within(limit)?.ask(&Request::Hello { version: VERSION, nonce: nonce[..].into() })?;
        let evidence = match wire.answer(limit)? {
            Answer::Evidence { evidence } => evidence.0,
            answer => return Err(unexpected(&answer)),
        };
        let exporter = wire.exporter(EVIDENCE_LABEL, &nonce)?;
        let channel = channel::binder(Role::Server, Digest::of(&public_key), None, &exporter);
        Ok((Unproven { wire, nonce }, Fresh { evidence, nonce, public_key, channel }))
    }
}

impl Unproven {
    /// Proves to the enclave who the client is. `sign` signs with the private key of `key`, and says
    /// why it can't.
    ///
    /// # Errors
    /// The connection is lost, or the enclave does not take the proof.
    pub fn prove(
        self,
        key: &PublicKey,
        sign: impl FnOnce(&[u8]) -> Result<[u8; SIGNATURE_BYTES], String>,
        limit: TimeLimit,
    ) -> Result<Proven, Error> {
        let Unproven { mut wire, nonce } = self;
        let exporter = wire.exporter(OWNER_LABEL, &nonce)?;
        let signature = sign(&channel::owner_message(&exporter)).map_err(Error::Client)?;
        wire.within(limit)?
            .ask(&Request::Prove { key: key.der().into(), signature: signature[..].into() })?;
        match wire.answer(limit)? {
            Answer::Welcome => Ok(Proven { wire }),
            answer => Err(unexpected(&answer)),
        }
    }
}

impl Proven {
    /// Makes a request, and returns the first answer. A refusal is an error.
    ///
    /// # Errors
    /// The connection is lost, or the request was refused.
    pub fn ask(&mut self, request: &Request, limit: TimeLimit) -> Result<Answer, Error> {
        self.wire.within(limit)?.ask(request)?;
        match self.wire.answer(limit)? {
            answer @ Answer::Refused { .. } => Err(unexpected(&answer)),
            answer => Ok(answer),
        }
    }

    /// Makes a request that has no answer but that it was done.
    ///
    /// # Errors
    /// The connection is lost, or the request was refused.
    pub fn do_it(mut self, request: &Request, limit: TimeLimit) -> Result<(), Error> {
        match self.ask(request, limit)? {
            Answer::Done => Ok(()),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Sends a program that the enclave wants. Calls `progress` with the number of bytes that were
    /// sent so far. Returns the answer that follows.
    ///
    /// # Errors
    /// The connection is lost, or the program was refused.
    pub fn upload(
        &mut self,
        program: &[u8],
        mut progress: impl FnMut(u64),
        limit: TimeLimit,
    ) -> Result<Answer, Error> {
        self.wire.within(limit)?.ask(&Request::Upload { length: program.len() as u64 })?;
        let mut sent = 0;
        for piece in program.chunks(MAX_PIECE) {
            let frame = [&head(Kind::Program, piece.len())[..], piece].concat();
            let sent_it = match self.wire.has_come() {
                Ok(false) => self.wire.within(limit).and_then(|wire| wire.send(&frame)),
                Ok(true) => Err(Error::Unexpected("an answer before the end".into())),
                Err(error) => Err(error),
            };
            // The enclave may have refused it, and says why.
            if let Err(error) = sent_it {
                return match self.wire.answer(limit) {
                    Ok(answer @ Answer::Refused { .. }) => Err(unexpected(&answer)),
                    _ => Err(error),
                };
            }
            sent += piece.len() as u64;
            progress(sent);
        }
        match self.wire.answer(limit)? {
            answer @ Answer::Refused { .. } => Err(unexpected(&answer)),
            answer => Ok(answer),
        }
    }

    /// Reads what a deployment wrote, until the enclave says that this is all.
    ///
    /// # Errors
    /// The connection is lost, the request was refused, or `write` failed.
    pub fn read_all(
        mut self,
        request: &Request,
        mut write: impl FnMut(Kind, &[u8]) -> io::Result<()>,
        limit: TimeLimit,
    ) -> Result<(), Error> {
        self.wire.within(limit)?.ask(request)?;
        loop {
            let Frame { kind, body } = self.wire.wait(limit)?;
            match kind {
                Kind::Output | Kind::Errors => write(kind, &body).map_err(Error::Stream)?,
                Kind::Message => match Answer::decode(&body) {
                    Ok(Answer::Done) => return Ok(()),
                    Ok(answer) => return Err(unexpected(&answer)),
                    Err(error) => return Err(Error::Unexpected(error.to_string())),
                },
                Kind::Input | Kind::Program | Kind::Contents => {
                    return Err(Error::Unexpected(format!("a frame of kind {kind:?}")));
                }
            }
        }
    }
}
