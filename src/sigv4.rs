//! AWS Signature Version 4, the pure part: bytes in, bytes out.
//!
//! The terms are those of [Create a signed AWS API request][aws]: a [`CanonicalRequest`] is hashed
//! into a [`StringToSign`], which a [`SigningKey`] turns into a [`Signature`]. Nothing here reads a
//! clock or touches nginx, and nothing that signing does allocates for requests of usual size.
//!
//! [aws]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#![forbid(unsafe_code)]

mod canonical;
mod date;
mod key;
mod payload;
mod scope;
mod sink;
pub mod uri;

pub use canonical::{CanonicalRequest, Headers, OutOfMemory, StringToSign};
pub use date::{AmzDate, Day};
pub use key::{KeyError, Signature, SigningKey};
pub use payload::{PayloadHash, PayloadHasher};
pub use scope::{Scope, ScopeError};
pub use sink::{Hex, Out, Sink, hex};

/// The algorithm's name, as it stands in `Authorization` and in the string to sign.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whether `byte` may stand in the parts of a credential: printable ASCII but for the characters
/// that delimit it in an `Authorization` header.
pub fn is_credential_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'/' | b',' | b'=')
}
