//! Makes evidence on a thread of its own. It takes milliseconds, for which other clients would wait.

use crate::link::Link;
use crate::outside::{Level, Outside};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use twine_channel::message::Answer;
use twine_evidence::bytes::Digest;

/// A client's request for evidence.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The client's connection, which gets the evidence.
    pub(crate) link: Arc<Link>,
    /// The SHA-256 of the public key of this end of the connection.
    pub(crate) key: Digest,
    /// The client's nonce.
    pub(crate) nonce: Vec<u8>,
    /// The value of the connection.
    pub(crate) channel: Digest,
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Attester {
    requests: Option<SyncSender<Wanted>>,
    thread: Option<JoinHandle<()>>,
}

impl Attester {
    /// Starts the thread. At most `most` requests wait.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn new(outside: Arc<dyn Outside>, most: usize) -> std::io::Result<Self> {
        let (requests, wanted) = sync_channel(most);
        let thread = thread::Builder::new().spawn(move || work(&*outside, &wanted))?;
        Ok(Attester { requests: Some(requests), thread: Some(thread) })
    }

    /// Asks for evidence. Returns whether the request waits now.
    pub(crate) fn ask(&self, wanted: Wanted) -> bool {
        self.requests.as_ref().is_some_and(|requests| requests.try_send(wanted).is_ok())
    }
}

impl Drop for Attester {
    fn drop(&mut self) {
        self.requests = None;
        // A thread that panicked has ended too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn work(outside: &dyn Outside, wanted: &Receiver<Wanted>) {
    while let Ok(Wanted { link, key, nonce, channel }) = wanted.recv() {
        // Its client may be gone.
        if link.standing().lost {
            continue;
        }
        match outside.evidence(key, &nonce, channel) {
            Ok(evidence) => link.answer(&Answer::Evidence { evidence: evidence[..].into() }),
            Err(cause) => {
                outside.log(Level::Error, &format!("no evidence was made: {cause}"));
                link.answer(&Answer::refused(
                    "this host can make no evidence at the moment",
                    "ask its operator: the log of `twine host` says why",
                ));
                link.finish();
            }
        }
    }
}
