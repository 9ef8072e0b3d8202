//! Collects the enclave's standard output in memory.

use std::future::Future;
use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use enclave_runner::stream_router::{AsyncListener, AsyncStream, OsStreamRouter, StreamRouter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Standard output. Standard error is dropped.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub fn router(&self) -> Box<dyn StreamRouter + Send + Sync> {
        Box::new(Router { output: self.clone(), others: OsStreamRouter::new() })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl AsyncRead for Output {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Router {
    output: Output,
    others: Box<dyn StreamRouter + Send + Sync>,
}

type Connected<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn AsyncStream>>> + Send + 'a>>;
type Bound<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn AsyncListener>>> + Send + 'a>>;

impl StreamRouter for Router {
    fn basic_streams(&self) -> Vec<Box<dyn AsyncStream>> {
        let output = || Box::new(self.output.clone());
        vec![output(), output(), Box::new(Output::default())]
    }

    fn connect_stream<'a>(
        &'a self,
        address: &'a str,
        local: Option<&'a mut String>,
        peer: Option<&'a mut String>,
    ) -> Connected<'a> {
        self.others.connect_stream(address, local, peer)
    }

    fn bind_stream<'a>(&'a self, address: &'a str, local: Option<&'a mut String>) -> Bound<'a> {
        self.others.bind_stream(address, local)
    }
}
