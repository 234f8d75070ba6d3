//! Bodies that a client sends in the framing of S3 (`Content-Encoding: aws-chunked`), as its
//! `X-Amz-Content-Sha256` says.
//!
//! Source: [Signature calculations for the Authorization header: transferring a payload in multiple chunks](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html).

use super::ffi::Request;
use super::methods::is_reading;
use crate::sigv4::PayloadHash;

/// How a client has framed its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// Not at all: what is sent is the object.
    No,
    /// In chunks without signatures, with a checksum behind them: it is sent on as it is.
    WithTrailer,
    /// In chunks of which each has a signature by the client's key, so that no other key will do.
    Signed,
}

impl Framed {
    /// How the body of `request` is framed, which is none of a request without one.
    pub fn of(request: Request) -> Framed {
        if !request.may_have_body() || is_reading(request.method_name()) {
            return Framed::No;
        }
        let mut framed = Framed::No;
        for header in request.headers() {
            if header.key.as_bytes().eq_ignore_ascii_case(b"x-amz-content-sha256") {
                let value = header.value.as_bytes();
                if value == PayloadHash::UnsignedTrailer.as_bytes() {
                    framed = Framed::WithTrailer;
                } else if value.starts_with(b"STREAMING-") {
                    return Framed::Signed;
                }
            }
        }
        framed
    }
}

/// Whether a header belongs to the framing.
pub fn is_framing(name: &[u8]) -> bool {
    [&b"x-amz-decoded-content-length"[..], b"x-amz-trailer"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}
