//! The hash of a request's body.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Hex, hex};

/// What `X-Amz-Content-Sha256` carries: the SHA-256 of the body in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadHash(Hex);

impl PayloadHash {
    /// The hash of no body.
    pub const EMPTY: PayloadHash =
        PayloadHash(*b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    /// The hash of `body`.
    pub fn of(body: &[u8]) -> Self {
        if body.is_empty() { Self::EMPTY } else { PayloadHash(hex(&Sha256::digest(body).into())) }
    }

    /// The 64 hexadecimal digits.
    pub fn as_bytes(&self) -> &Hex {
        &self.0
    }
}

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_hash_is_the_hash_of_nothing() {
        assert_eq!(&hex(&Sha256::digest(b"").into()), PayloadHash::EMPTY.as_bytes());
        assert_ne!(PayloadHash::of(b"x"), PayloadHash::EMPTY);
    }
}
