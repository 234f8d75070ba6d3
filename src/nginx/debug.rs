//! The debug log: what an S3 error shows of a signature, from our side.

use ngx::ffi::NGX_LOG_DEBUG_HTTP;
use ngx::log::DebugMask;
use zeroize::Zeroize;

use super::ffi::Request;
use crate::sigv4::{CanonicalRequest, StringToSign};

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
    let mut text = Vec::new();
    canonical.write_to(&mut text);
    hide_token(&mut text);
    pieces(request, "canonical request", &text);
    text.clear();
    string.write_to(&mut text);
    pieces(request, "string to sign", &text);
}

/// Puts something else in the place of a session token.
fn hide_token(text: &mut Vec<u8>) {
    const HEADER: &[u8] = b"\nx-amz-security-token:";
    if let Some(at) = memchr::memmem::find(text, HEADER) {
        let value = at + HEADER.len();
        let len = memchr::memchr(b'\n', &text[value..]).unwrap_or(text.len() - value);
        text[value..value + len].zeroize();
        text.splice(value..value + len, *b"(hidden)");
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
