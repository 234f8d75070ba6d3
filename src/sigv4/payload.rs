//! The hash of a request's body.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Hex, hex};

/// What `X-Amz-Content-Sha256` carries: the SHA-256 of the body in lower-case hexadecimal, or that the
/// body is not signed.
///
/// Source: [Authenticating requests: Using the Authorization header](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html), overview.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PayloadHash {
    /// The hash of the body.
    Signed(Hex),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, headers behind them.
    UnsignedTrailer,
}

impl PayloadHash {
    /// The hash of no body.
    pub const EMPTY: PayloadHash =
        PayloadHash::Signed(*b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    /// The hash of `body`.
    pub fn of(body: &[u8]) -> Self {
        if body.is_empty() {
            return Self::EMPTY;
        }
        PayloadHash::Signed(hex(&Sha256::digest(body).into()))
    }

    /// The header's value.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            PayloadHash::Signed(hex) => hex,
            PayloadHash::Unsigned => b"UNSIGNED-PAYLOAD",
            PayloadHash::UnsignedTrailer => b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }
}

/// The hash of a body that comes in pieces.
#[derive(Clone, Default)]
pub struct PayloadHasher {
    hash: Sha256,
    len: u64,
}

impl PayloadHasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.len += piece.len() as u64;
    }

    /// How many bytes there were.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash of all pieces.
    pub fn finish(self) -> PayloadHash {
        PayloadHash::Signed(hex(&self.hash.finalize().into()))
    }
}

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(self.as_bytes()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_hash_is_the_hash_of_nothing() {
        assert_eq!(hex(&Sha256::digest(b"").into()), PayloadHash::EMPTY.as_bytes());
        assert_eq!(PayloadHasher::default().finish(), PayloadHash::EMPTY);
        let mut hasher = PayloadHasher::default();
        b"some body".chunks(2).for_each(|piece| hasher.update(piece));
        assert_eq!((hasher.len(), hasher.finish()), (9, PayloadHash::of(b"some body")));
    }
}
