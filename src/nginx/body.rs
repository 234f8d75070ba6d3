//! The body that follows the head of an upstream request: hashed while it arrives, so that one that
//! went to a temporary file is not read again, or else as it is about to be sent.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;
use std::os::unix::fs::FileExt as _;

use ngx::ffi::{
    NGX_ERROR, NGX_OK, ngx_buf_t, ngx_chain_t, ngx_conf_t, ngx_http_request_body_filter_pt,
    ngx_http_request_t, ngx_http_top_request_body_filter, ngx_int_t,
};

use super::ffi::{self, Request};
use super::head::{Body, Refusal};
use super::location::LocConf;
use super::methods::is_reading;
use super::streaming::Framed;
use crate::sigv4::{PayloadHash, PayloadHasher};

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// The filter that comes after ours.
static mut NEXT: ngx_http_request_body_filter_pt = None;

/// Puts our filter in front of those that see the bodies of requests.
pub(super) unsafe extern "C" fn add_filter(_: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx has one thread while it reads a configuration, and begins the chain anew for
    // each (ngx_http_core_module)
    unsafe {
        NEXT = ngx_http_top_request_body_filter;
        ngx_http_top_request_body_filter = Some(filter);
    }
    NGX_OK as ngx_int_t
}

/// Sees each part of a body as it arrives.
unsafe extern "C" fn filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request
    if let Some(request) = unsafe { Request::new(r) } {
        ffi::guard(request.log(), (), || arrived(request, chain));
    }
    // SAFETY: `add_filter` has set it, and the next filter gets what we got
    unsafe { NEXT.map_or(NGX_ERROR as ngx_int_t, |next| next(r, chain)) }
}

fn arrived(request: Request, chain: *const ngx_chain_t) {
    let Some(conf) = LocConf::of(request) else { return };
    let method = request.method_name();
    let signs = conf.signs() && conf.signs_payload() && conf.handler().is_some();
    if !signs || conf.streams() || is_reading(method) || !conf.methods().contains(method) {
        return;
    }
    if Framed::of(request) == Framed::WithTrailer {
        return;
    }
    // without memory, the body is hashed as it is sent
    let Some(hasher) = hasher(request, true) else { return };
    ffi::buffers(chain).for_each(|buf| hasher.update(ffi::buf_bytes(buf)));
}

/// What was hashed of the main request's body. It outlives redirects, which our context does not.
fn hasher<'a>(request: Request, make: bool) -> Option<&'a mut PayloadHasher> {
    let pool = request.main_pool();
    let mut hasher = ffi::find_value::<PayloadHasher>(pool);
    if hasher.is_null() && make {
        hasher = ffi::pool_value(pool, PayloadHasher::default());
    }
    // SAFETY: null, or what was made above for this request, which lives in its pool; nothing else
    // refers to it now
    unsafe { hasher.as_mut() }
}

/// What follows a head in the buffers of `chain`, or while it arrives, when the client's body is passed
/// on.
pub fn following(
    request: Request,
    conf: &LocConf,
    streams: bool,
    chain: *const ngx_chain_t,
) -> Result<Body, Refusal> {
    let len: u64 = ffi::buffers(chain).map(length).sum();
    let unsigned = match Framed::of(request) {
        Framed::WithTrailer => Some(PayloadHash::UnsignedTrailer),
        _ => Some(PayloadHash::Unsigned).filter(|_| !conf.signs_payload()),
    };
    let awaits = request.awaits_body();
    match unsigned {
        Some(hash) if streams && awaits && len == 0 => Ok(Body::Streamed(hash)),
        // all of it may be there, but whether a body is signed must not depend on the client's speed
        None if streams && (awaits || len > 0) => Err(Refusal::Unbuffered),
        // what another location has begun to read or to send, nginx would send as far as it is there
        _ if awaits || request.body_len() != Some(len) => Err(Refusal::Incomplete),
        // nginx closes a file that was sent once
        _ if !ffi::buffers(chain).all(is_there) => Err(Refusal::Incomplete),
        _ if len == 0 => Ok(Body::NONE),
        Some(hash) => Ok(Body::Whole { len, hash }),
        None => hash(request, chain, len).ok_or(Refusal::Incomplete),
    }
}

/// Hashes the body in a chain; `None` if it cannot be read.
fn hash(request: Request, chain: *const ngx_chain_t, len: u64) -> Option<Body> {
    // a hash of another length began in another location; a subrequest may have a body of its own
    let seen = hasher(request, false).filter(|_| request.has_main_body());
    if let Some(seen) = seen.filter(|seen| seen.len() == len) {
        return Some(Body::Whole { len, hash: seen.clone().finish() });
    }
    let mut hasher = PayloadHasher::default();
    for buf in ffi::buffers(chain) {
        let bytes = ffi::buf_bytes(buf);
        if bytes.is_empty() {
            file(buf, &mut hasher)?;
        } else {
            hasher.update(bytes);
        }
    }
    Some(Body::Whole { len: hasher.len(), hash: hasher.finish() })
}

/// Whether a buffer is in memory, or in a file that is open.
fn is_there(buf: &ngx_buf_t) -> bool {
    // SAFETY: null, or a file that outlives the buffer
    let file = unsafe { buf.file.as_ref() };
    !ffi::buf_bytes(buf).is_empty() || file.is_none_or(|file| file.fd >= 0)
}

/// How much there is in a buffer, or in the part of a file that it stands for.
fn length(buf: &ngx_buf_t) -> u64 {
    match ffi::buf_bytes(buf).len() {
        0 => u64::try_from(buf.file_last - buf.file_pos).unwrap_or(0),
        len => len as u64,
    }
}

/// Hashes the part of a file that a buffer stands for.
fn file(buf: &ngx_buf_t, hasher: &mut PayloadHasher) -> Option<()> {
    let (mut at, end) = (u64::try_from(buf.file_pos).ok()?, u64::try_from(buf.file_last).ok()?);
    // SAFETY: null, or a file that outlives the buffer
    let Some(file) = (unsafe { buf.file.as_ref() }).filter(|_| at < end) else { return Some(()) };
    // SAFETY: the descriptor is open (see `following`), and is not closed here
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(file.fd) });
    let mut piece = vec![0; PIECE];
    while at < end {
        let len = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
        file.read_exact_at(&mut piece[..len], at).ok()?;
        hasher.update(&piece[..len]);
        at += len as u64;
    }
    Some(())
}
