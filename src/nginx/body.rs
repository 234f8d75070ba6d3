//! The body that follows the head of an upstream request: in memory, or in a temporary file.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;
use std::os::unix::fs::FileExt as _;

use ngx::ffi::{ngx_buf_t, ngx_chain_t};

use super::ffi;
use super::head::Body;
use crate::sigv4::PayloadHasher;

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// Hashes the body in a chain; `None` if it cannot be read.
pub fn hash(chain: *const ngx_chain_t) -> Option<Body> {
    let mut hasher = PayloadHasher::default();
    for buf in ffi::buffers(chain) {
        let bytes = ffi::buf_bytes(buf);
        if bytes.is_empty() {
            file(buf, &mut hasher)?;
        } else {
            hasher.update(bytes);
        }
    }
    if hasher.is_empty() {
        return Some(Body::NONE);
    }
    Some(Body::Seen { len: hasher.len(), hash: hasher.finish() })
}

/// Hashes the part of a file that a buffer stands for.
fn file(buf: &ngx_buf_t, hasher: &mut PayloadHasher) -> Option<()> {
    let (mut at, end) = (u64::try_from(buf.file_pos).ok()?, u64::try_from(buf.file_last).ok()?);
    // SAFETY: the file of a buffer outlives it
    let Some(file) = (unsafe { buf.file.as_ref() }).filter(|_| at < end) else { return Some(()) };
    // SAFETY: the descriptor is open, and is not closed here
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
