//! Where the core writes: a hash, a growing vector, or a buffer of fixed size.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Receives bytes in pieces.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Appends `bytes` with the ASCII letters in lower case.
    fn put_lower(&mut self, bytes: &[u8]) {
        let mut lower = [0; 32];
        for chunk in bytes.chunks(lower.len()) {
            let lower = &mut lower[..chunk.len()];
            lower.copy_from_slice(chunk);
            lower.make_ascii_lowercase();
            self.put(lower);
        }
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }
}

impl Sink for Hmac<Sha256> {
    fn put(&mut self, bytes: &[u8]) {
        Mac::update(self, bytes);
    }
}

/// A buffer of fixed size that fills from the front.
///
/// Writing past its end panics: whoever makes one sizes it first.
pub struct Out<'a> {
    buf: &'a mut [u8],
    len: usize,
    /// Where `buf` begins in the buffer that the first `Out` was made over.
    base: usize,
}

impl<'a> Out<'a> {
    /// Starts at the beginning of `buf`.
    pub fn new(buf: &'a mut [u8]) -> Self {
        Out { buf, len: 0, base: 0 }
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the next byte goes in the whole buffer, [finished](Self::finish) parts included.
    pub fn position(&self) -> usize {
        self.base + self.len
    }

    /// Appends one byte.
    pub fn push(&mut self, byte: u8) {
        self.buf[self.len] = byte;
        self.len += 1;
    }

    /// Takes back what was written behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    /// What has been written, and the free space behind it.
    pub(super) fn split(&mut self) -> (&mut [u8], &mut [u8]) {
        self.buf.split_at_mut(self.len)
    }

    /// Ends here: what has been written, and an `Out` over the rest of the buffer.
    pub fn finish(self) -> (&'a [u8], Out<'a>) {
        let base = self.position();
        let (written, buf) = self.buf.split_at_mut(self.len);
        (written, Out { buf, len: 0, base })
    }
}

impl Sink for Out<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.buf[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

/// 32 bytes in lower-case hexadecimal.
pub type Hex = [u8; 64];

/// Writes a SHA-256 sized value in lower-case hexadecimal.
pub fn hex(bytes: &[u8; 32]) -> Hex {
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = byte >> 4;
        pair[1] = byte & 15;
    }
    // without a table, the compiler does many digits at a time
    for digit in &mut out {
        *digit += if *digit < 10 { b'0' } else { b'a' - 10 };
    }
    out
}
