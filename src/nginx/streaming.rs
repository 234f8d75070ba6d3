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
    /// In chunks of which the client does not say what they are: a server would store them as they
    /// come.
    Unknown,
}

impl Framed {
    /// How the body of `request` is framed, which is none of a request without one.
    pub fn of(request: Request) -> Framed {
        if !request.may_have_body() || is_reading(request.method_name()) {
            return Framed::No;
        }
        let headers = request.headers();
        Self::said(headers.map(|header| (header.key.as_bytes(), header.value.as_bytes())))
    }

    /// What headers say. A client that does not sign has no reason to send a hash.
    fn said<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Framed {
        let (mut unsigned, mut chunked, mut trailer) = (false, false, false);
        for (name, value) in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("x-amz-content-sha256") {
                if value == PayloadHash::UnsignedTrailer.as_bytes() {
                    unsigned = true;
                } else if value.starts_with(b"STREAMING-") {
                    return Framed::Signed;
                }
            } else if is("content-encoding") {
                let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                chunked |= codings.any(|coding| coding.eq_ignore_ascii_case(b"aws-chunked"));
            } else if is("x-amz-trailer") {
                trailer = true;
            }
        }
        match (unsigned, chunked) {
            (true, _) => Framed::WithTrailer,
            (false, true) if trailer => Framed::WithTrailer,
            (false, true) => Framed::Unknown,
            (false, false) => Framed::No,
        }
    }
}

/// Whether a header belongs to the framing.
pub fn is_framing(name: &[u8]) -> bool {
    [&b"x-amz-decoded-content-length"[..], b"x-amz-trailer"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_how_a_body_is_framed() {
        const HASH: &str = "X-Amz-Content-Sha256";
        for (headers, framed) in [
            (&[][..], Framed::No),
            (&[("Content-Encoding", "gzip")], Framed::No),
            (&[("x-amz-trailer", "x-amz-checksum-crc32")], Framed::No),
            (&[(HASH, "UNSIGNED-PAYLOAD")], Framed::No),
            (&[(HASH, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")], Framed::WithTrailer),
            (&[("Content-Encoding", "aws-chunked"), ("X-Amz-Trailer", "c")], Framed::WithTrailer),
            (
                &[("x-amz-trailer", "c"), ("content-encoding", "gzip, AWS-Chunked")],
                Framed::WithTrailer,
            ),
            (&[("content-encoding", "aws-chunked")], Framed::Unknown),
            (&[("content-encoding", "aws-chunked"), (HASH, "UNSIGNED-PAYLOAD")], Framed::Unknown),
            (&[("content-encoding", "aws-chunked2")], Framed::No),
            (&[("content-encoding", "aws-chunked"), (HASH, "STREAMING-AWS4-X")], Framed::Signed),
        ] {
            let bytes = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert_eq!(Framed::said(bytes), framed, "{headers:?}");
        }
    }
}
