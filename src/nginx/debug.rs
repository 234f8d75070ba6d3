//! The debug log: what an S3 error shows of a signature, from our side.

use ngx::ffi::NGX_LOG_DEBUG_HTTP;
use ngx::log::DebugMask;
use zeroize::Zeroize;

use super::ffi::Request;
use crate::sigv4::{CanonicalRequest, Sink, StringToSign};

/// What fits into one line of nginx's log, with its prefix and suffix.
const PIECE: usize = 1536;

/// Logs the canonical request and the string to sign, where the request is being debugged.
pub fn log(request: Request, canonical: &CanonicalRequest<'_, '_>, string: &StringToSign<'_>) {
    let log = request.log();
    // SAFETY: a live request has a log
    let level = unsafe { (*log).log_level };
    if !ngx::log::DEBUG || level & NGX_LOG_DEBUG_HTTP as usize == 0 {
        return;
    }
    // a vector that grows would leave a token behind in the memory that it grew out of
    let mut len = Length(HIDDEN.len());
    canonical.write_to(&mut len);
    let mut text = Vec::with_capacity(len.0);
    canonical.write_to(&mut text);
    hide_token(&mut text);
    pieces(request, "canonical request", &text);
    text.clear();
    string.write_to(&mut text);
    pieces(request, "string to sign", &text);
}

/// Only counts.
struct Length(usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// What stands in the place of a session token.
const HIDDEN: &[u8] = b"(hidden)";

/// Puts something else in the place of a session token.
fn hide_token(text: &mut Vec<u8>) {
    const HEADER: &[u8] = b"\nx-amz-security-token:";
    if let Some(at) = memchr::memmem::find(text, HEADER) {
        let value = at + HEADER.len();
        let len = memchr::memchr(b'\n', &text[value..]).unwrap_or(text.len() - value);
        text[value..value + len].zeroize();
        text.splice(value..value + len, HIDDEN.iter().copied());
    }
}

/// Logs `text` in as many lines as it takes.
fn pieces(request: Request, what: &str, text: &[u8]) {
    for (index, piece) in text.chunks(PIECE).enumerate() {
        let more = if index == 0 { "" } else { ", continued" };
        let piece = String::from_utf8_lossy(piece);
        ngx::ngx_log_debug!(mask: DebugMask::Http, request.log(), "aws {what}{more}:\n\"{piece}\"");
    }
}
