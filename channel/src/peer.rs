//! What two deployments say to each other at the start of a connection with attested TLS, before the
//! bytes of their programs.
//!
//! ```text
//! client                          server
//!   Hello { nonce }       <-->    Hello { nonce }
//!   Evidence              --->
//!                         <---    Evidence        (or Refused)
//!   Welcome               --->                    (or Refused)
//! ```
//!
//! The nonce of each side is for the evidence of the other one, which is bound to the connection
//! ([`twine_evidence::channel`]). The server makes its evidence after it has verified the client's.

use crate::frame::{Kind, head};
use minicbor::{Decode, Encode};
use twine_evidence::bytes::Bytes;
use twine_evidence::cbor;

/// The application protocol in the TLS handshake (RFC 7301). Each version of the protocol has its
/// own.
pub const ALPN: &[u8] = b"twine-attested/1";

/// Limit on the size of a message, in bytes: evidence with a long launch statement fits.
pub const MAX_MESSAGE: usize = 320 << 10;

/// A message of either side.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// The first message.
    #[n(0)]
    Hello {
        /// [`crate::NONCE_BYTES`] random bytes.
        #[n(0)]
        nonce: Bytes,
    },
    /// Evidence over the other side's nonce and this connection.
    #[n(1)]
    Evidence {
        /// The evidence in CBOR.
        #[n(0)]
        evidence: Bytes,
    },
    /// The client has verified the server's evidence. The bytes of the program follow.
    #[n(2)]
    Welcome,
    /// The other side's evidence does not satisfy this side. Nothing follows.
    #[n(3)]
    Refused,
}

impl Message {
    /// The message as a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        let body = cbor::encode(self);
        [&head(Kind::Message, body.len())[..], &body].concat()
    }

    /// Decodes the body of a frame, which must be a message in its one encoding.
    ///
    /// # Errors
    /// It is something else.
    pub fn decode(body: &[u8]) -> Result<Self, cbor::Error> {
        cbor::decode(body, MAX_MESSAGE)
    }
}
