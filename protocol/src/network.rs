//! What a deployment's program asks of the host's network, for the host calls `socket_listen` and
//! `socket_connect`. The operator decides what is allowed. The enclave relies on no answer: who is at
//! the other end of a connection, TLS tells.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Limit on the size of an encoded request, in bytes.
pub const MAX_REQUEST: usize = 4096;

/// Makes a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// The deployment, for the host's log.
    pub deployment: String,
    /// The socket's name in the manifest, for the host's log.
    pub socket: String,
    /// The port that the owner wishes. `None`: the host chooses.
    pub port: Option<u16>,
}

/// Connects to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The deployment, for the host's log.
    pub deployment: String,
    /// The socket's name in the manifest, for the host's log.
    pub socket: String,
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether only to say if the operator allows it.
    pub check: bool,
}

macro_rules! message {
    ($name:ident) => {
        impl $name {
            /// The request as bytes.
            pub fn encode(&self) -> Vec<u8> {
                postcard::to_allocvec(self).expect("writing to a Vec has no error of its own")
            }

            /// Decodes a request, which must be all of `bytes`.
            pub fn decode(bytes: &[u8]) -> Option<Self> {
                match postcard::take_from_bytes(bytes) {
                    Ok((request, [])) if bytes.len() <= MAX_REQUEST => Some(request),
                    _ => None,
                }
            }
        }
    };
}

message!(Listen);
message!(Connect);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_and_nothing_may_follow_them() {
        let text = || "a".into();
        let listen = Listen { deployment: text(), socket: text(), port: Some(443) };
        let mut bytes = listen.encode();
        assert_eq!(Listen::decode(&bytes), Some(listen));
        bytes.push(0);
        assert_eq!(Listen::decode(&bytes), None);
        let connect =
            Connect { deployment: text(), socket: text(), host: text(), port: 1, check: true };
        let bytes = connect.encode();
        assert_eq!(Connect::decode(&bytes), Some(connect));
        assert_eq!(Connect::decode(&bytes[1..]), None);
    }
}
