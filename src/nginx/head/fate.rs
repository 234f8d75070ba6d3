//! What becomes of each header.

use crate::nginx::passed::{is_own, strip_prefix};

/// What becomes of a header that nginx wrote.
pub enum Fate {
    /// It goes out as it is, unsigned.
    Pass,
    /// It goes out as it is, signed.
    Sign,
    /// It is signed as `Host`, unless another host is to be.
    Host,
    /// It announces a body.
    Length,
    /// It does not go out: ours alone may.
    Drop,
    /// It does not go out when it is the client's.
    DropIfForeign,
}

/// Decides by its name.
pub fn fate(name: &[u8]) -> Fate {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'h') if is("host") => Fate::Host,
        Some(b'a') if is("authorization") => Fate::Drop,
        Some(b'c') if is("content-md5") => Fate::Sign,
        Some(b'c') if is("content-length") => Fate::Length,
        Some(b't') if is("transfer-encoding") => Fate::Length,
        Some(b'x') if is_own(name) => Fate::Drop,
        Some(b'x') if strip_prefix(name).is_some() => Fate::DropIfForeign,
        _ => Fate::Pass,
    }
}
