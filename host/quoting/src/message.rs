//! The messages of AESM, in protocol buffers: those of its interface for ECDSA. Numbers and types are
//! those of Intel's `messages.proto`, which comes with the SGX platform software.

use prost::{Message, Oneof};

/// The time that AESM may take for a request, in microseconds: it may ask a server.
const TIMEOUT: u32 = 30_000_000;

/// The message of a request. AESM takes one on each connection.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestMessage {
    #[prost(oneof = "Request", tags = "15, 16, 17, 21, 22")]
    pub(crate) request: Option<Request>,
}

/// The requests that are made here.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "15")]
    InitQuote(InitQuote),
    #[prost(message, tag = "16")]
    QuoteSize(QuoteSize),
    #[prost(message, tag = "17")]
    Quote(Quote),
    #[prost(message, tag = "21")]
    KeyCount(KeyCount),
    #[prost(message, tag = "22")]
    Keys(Keys),
}

impl Request {
    /// Returns the name of the function of Intel's library that makes this request.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Request::InitQuote(_) => "sgx_init_quote_ex",
            Request::QuoteSize(_) => "sgx_get_quote_size_ex",
            Request::Quote(_) => "sgx_get_quote_ex",
            Request::KeyCount(_) => "sgx_get_supported_att_key_id_num",
            Request::Keys(_) => "sgx_get_supported_att_key_ids",
        }
    }
}

/// Asks for the TARGETINFO of the quoting enclave.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct InitQuote {
    #[prost(bytes = "vec", optional, tag = "1")]
    key: Option<Vec<u8>>,
    /// Whether the identity of the key is asked for too, or its size.
    #[prost(bool, required, tag = "3")]
    with_key_identity: bool,
    #[prost(uint64, optional, tag = "4")]
    key_identity_size: Option<u64>,
    #[prost(uint32, optional, tag = "9")]
    timeout: Option<u32>,
}

/// Asks for the size of a quote.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QuoteSize {
    #[prost(bytes = "vec", optional, tag = "1")]
    key: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "9")]
    timeout: Option<u32>,
}

/// Asks for a quote.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Quote {
    #[prost(bytes = "vec", required, tag = "1")]
    report: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    key: Option<Vec<u8>>,
    /// A nonce of 16 bytes, the TARGETINFO of who verifies the quoting enclave's own report, and the
    /// place for that report.
    #[prost(bytes = "vec", optional, tag = "3")]
    qe_report_info: Option<Vec<u8>>,
    #[prost(uint32, required, tag = "4")]
    size: u32,
    #[prost(uint32, optional, tag = "9")]
    timeout: Option<u32>,
}

/// Asks for the number of attestation keys.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyCount {
    #[prost(uint32, optional, tag = "9")]
    timeout: Option<u32>,
}

/// Asks for the attestation keys.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Keys {
    #[prost(uint32, required, tag = "1")]
    size: u32,
    #[prost(uint32, optional, tag = "9")]
    timeout: Option<u32>,
}

impl Request {
    pub(crate) fn key_count() -> Self {
        Request::KeyCount(KeyCount { timeout: Some(TIMEOUT) })
    }

    /// `size` is that of all keys together, in bytes.
    pub(crate) fn keys(size: u32) -> Self {
        Request::Keys(Keys { size, timeout: Some(TIMEOUT) })
    }

    /// Asks for the size of the identity of a key.
    pub(crate) fn key_identity_size(key: &[u8]) -> Self {
        Request::InitQuote(InitQuote {
            key: Some(key.to_vec()),
            with_key_identity: false,
            key_identity_size: None,
            timeout: Some(TIMEOUT),
        })
    }

    pub(crate) fn target_info(key: &[u8], key_identity_size: u64) -> Self {
        Request::InitQuote(InitQuote {
            key: Some(key.to_vec()),
            with_key_identity: true,
            key_identity_size: Some(key_identity_size),
            // `aesm-client`, which others ran on hardware, gives none here.
            timeout: None,
        })
    }

    pub(crate) fn quote_size(key: &[u8]) -> Self {
        Request::QuoteSize(QuoteSize { key: Some(key.to_vec()), timeout: Some(TIMEOUT) })
    }

    pub(crate) fn quote(key: &[u8], report: &[u8; 432], size: u32) -> Self {
        // Nobody here verifies the quoting enclave's own report, which AESM makes anyway.
        let mut target = [0; 512];
        target[..32].copy_from_slice(&report[64..96]);
        target[32..48].copy_from_slice(&report[48..64]);
        target[52..56].copy_from_slice(&report[16..20]);
        Request::Quote(Quote {
            report: report.to_vec(),
            key: Some(key.to_vec()),
            qe_report_info: Some([&[0; 16][..], &target, &[0; 432]].concat()),
            size,
            timeout: Some(TIMEOUT),
        })
    }
}

/// The message of an answer.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnswerMessage {
    #[prost(oneof = "Answer", tags = "15, 16, 17, 20, 21, 22")]
    pub(crate) answer: Option<Answer>,
}

/// The answers to the requests that are made here.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Answer {
    #[prost(message, tag = "15")]
    InitQuote(Initialized),
    #[prost(message, tag = "16")]
    QuoteSize(Number),
    #[prost(message, tag = "17")]
    Quote(Bytes),
    /// The answer to a request that AESM doesn't know.
    #[prost(message, tag = "20")]
    Unsupported(Number),
    #[prost(message, tag = "21")]
    KeyCount(Number),
    #[prost(message, tag = "22")]
    Keys(Bytes),
}

impl Answer {
    /// Returns AESM's error code. It is 0 if there is none.
    pub(crate) fn error(&self) -> u32 {
        match self {
            Answer::InitQuote(answer) => answer.error,
            Answer::QuoteSize(answer) | Answer::Unsupported(answer) | Answer::KeyCount(answer) => {
                answer.error
            }
            Answer::Quote(answer) | Answer::Keys(answer) => answer.error,
        }
    }
}

/// The answer to [`InitQuote`].
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Initialized {
    #[prost(uint32, required, tag = "1", default = "1")]
    error: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) target_info: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) key_identity_size: Option<u64>,
}

/// An answer with one number.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Number {
    #[prost(uint32, required, tag = "1", default = "1")]
    error: u32,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) value: Option<u32>,
}

/// An answer with bytes.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bytes {
    #[prost(uint32, required, tag = "1", default = "1")]
    error: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) value: Option<Vec<u8>>,
}
