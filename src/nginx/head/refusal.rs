//! Why a head is not signed, and how that is said.

use std::fmt;

use crate::sigv4::OutOfMemory;

/// Why a head is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no HTTP/1.x request: `aws_sign` stands beside another `*_pass` than `proxy_pass`.
    NotHttp1,
    /// A header line that is none, or that another server might read as two.
    MalformedHeader,
    /// A header line that a client has put there, behind a line end in its path.
    Injected,
    /// A `Host` that is to be signed as nginx wrote it is missing, there twice, or no name.
    Host,
    /// The body is sent in chunks, or has another length than the head says.
    Body,
    /// Not all of the client's body is there, or no more.
    Incomplete,
    /// The body would have to be signed before it is there.
    Unbuffered,
    /// The method is none of those that may be signed.
    Method,
    /// No credential is configured, or the clock is off the calendar.
    Credential,
    /// No memory.
    Memory,
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Refusal::Memory
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotHttp1 => {
                "the upstream request is not HTTP/1.x: \"aws_sign\" works with \"proxy_pass\" \
                 and \"proxy_http_version\" 1.0 or 1.1 only"
            }
            Refusal::MalformedHeader => "the upstream request has a malformed header line",
            Refusal::Injected => {
                "the upstream request has a header line from the client's URI: a decoded variable \
                 stands in \"proxy_set_header\""
            }
            Refusal::Host => "the upstream request has no single \"Host\" header",
            Refusal::Body => {
                "the upstream request has a body in chunks, or of another length than its head says"
            }
            Refusal::Incomplete => "the client's body is not there as a whole",
            Refusal::Unbuffered => {
                "a body cannot be signed with \"proxy_request_buffering off\", unless with \
                 \"aws_payload unsigned\""
            }
            Refusal::Method => "the method of the upstream request is not in \"aws_sign_methods\"",
            Refusal::Credential => "there is no credential to sign with",
            Refusal::Memory => "no memory",
        })
    }
}
