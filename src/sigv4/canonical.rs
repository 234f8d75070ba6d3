//! The canonical request and the string to sign.
//!
//! Source: [Create a signed AWS API request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html), steps 1 to 3.

use std::cmp::Ordering;
use std::fmt;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::{ALGORITHM, AmzDate, Hex, PayloadHash, Scope, Signature, SigningKey, Sink, hex};

/// A list outgrew the stack, and the heap had no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl std::error::Error for OutOfMemory {}

/// A header that is signed, its value as it is sent, and whether its name is in lower case already,
/// as most are.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a [u8],
    value: &'a [u8],
    lower: bool,
}

impl<'a> Entry<'a> {
    /// The order of the names in lower case.
    fn compare(&self, other: &Entry<'_>) -> Ordering {
        if self.lower && other.lower {
            return self.name.cmp(other.name);
        }
        let lower = |name: &'a [u8]| name.iter().map(u8::to_ascii_lowercase);
        lower(self.name).cmp(other.name.iter().map(u8::to_ascii_lowercase))
    }

    fn put_name(&self, sink: &mut impl Sink) {
        if self.lower { sink.put(self.name) } else { sink.put_lower(self.name) }
    }
}

/// The headers that are signed, sorted by name, those of one name in the order of their arrival.
#[derive(Default)]
pub struct Headers<'a>(SmallVec<[Entry<'a>; 12]>);

impl<'a> Headers<'a> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header behind those of the same name.
    pub fn insert(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), OutOfMemory> {
        let lower = !name.iter().any(u8::is_ascii_uppercase);
        self.place(Entry { name, value, lower })
    }

    /// Adds a header whose name is in lower case.
    pub fn insert_lower(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), OutOfMemory> {
        debug_assert!(!name.iter().any(u8::is_ascii_uppercase));
        self.place(Entry { name, value, lower: true })
    }

    /// Adds the headers of another list.
    pub fn extend<'b: 'a>(&mut self, other: &Headers<'b>) -> Result<(), OutOfMemory> {
        other.0.iter().try_for_each(|entry| self.place(*entry))
    }

    fn place(&mut self, entry: Entry<'a>) -> Result<(), OutOfMemory> {
        self.0.try_reserve(1).map_err(|_| OutOfMemory)?;
        let is_before = |header: &Entry<'_>| header.compare(&entry).is_le();
        // most come in order
        let place = match self.0.last() {
            Some(last) if !is_before(last) => self.0.partition_point(is_before),
            _ => self.0.len(),
        };
        self.0.insert(place, entry);
        Ok(())
    }

    /// The headers of each name.
    fn groups(&self) -> impl Iterator<Item = &[Entry<'a>]> {
        self.0.chunk_by(|a, b| a.name.eq_ignore_ascii_case(b.name))
    }

    /// An upper bound of what [`put_names`](Self::put_names) writes.
    pub fn names_len(&self) -> usize {
        self.0.iter().map(|header| header.name.len() + 1).sum()
    }

    /// Writes the signed headers: the names in lower case with `;` between them.
    pub fn put_names(&self, sink: &mut impl Sink) {
        for (index, group) in self.groups().enumerate() {
            if index > 0 {
                sink.put(b";");
            }
            group[0].put_name(sink);
        }
    }

    /// Writes the canonical headers: a line for each name, its values with `,` between them.
    fn put_canonical(&self, sink: &mut impl Sink) {
        for group in self.groups() {
            group[0].put_name(sink);
            for (index, header) in group.iter().enumerate() {
                sink.put(if index == 0 { b":" } else { b"," });
                put_value(header.value, sink);
            }
            sink.put(b"\n");
        }
    }
}

/// Writes a header's value without the white space around it, and one space for each run of them.
fn put_value(value: &[u8], sink: &mut impl Sink) {
    let mut rest = value.trim_ascii();
    while let Some(space) = memchr::memchr(b' ', rest) {
        let (word, spaces) = rest.split_at(space + 1);
        sink.put(word);
        let run = spaces.iter().position(|byte| *byte != b' ').unwrap_or(spaces.len());
        rest = &spaces[run..];
    }
    sink.put(rest);
}

/// The request in the form that is hashed and signed.
#[derive(Clone, Copy)]
pub struct CanonicalRequest<'a, 'h> {
    /// The method, in upper case.
    pub method: &'a [u8],
    /// The canonical path: for S3 what [`encode_path`](super::uri::encode_path) writes, for other
    /// services what [`normalize_path`](super::uri::normalize_path) makes of it.
    pub path: &'a [u8],
    /// The canonical query, as [`encode_query`](super::uri::encode_query) writes it.
    pub query: &'a [u8],
    /// The headers that are signed.
    pub headers: &'a Headers<'h>,
    /// The hash of the body.
    pub payload: PayloadHash,
}

impl CanonicalRequest<'_, '_> {
    /// Writes the canonical request.
    pub fn write_to(&self, sink: &mut impl Sink) {
        sink.put(self.method);
        sink.put(b"\n");
        sink.put(self.path);
        sink.put(b"\n");
        sink.put(self.query);
        sink.put(b"\n");
        self.headers.put_canonical(sink);
        sink.put(b"\n");
        self.headers.put_names(sink);
        sink.put(b"\n");
        sink.put(self.payload.as_bytes());
    }

    /// The SHA-256 of the canonical request.
    pub fn hash(&self) -> Hex {
        let mut hash = Sha256::new();
        self.write_to(&mut hash);
        hex(&hash.finalize().into())
    }

    /// The string to sign for this request.
    pub fn string_to_sign<'s>(&self, date: AmzDate, scope: &'s Scope) -> StringToSign<'s> {
        StringToSign { date, scope, hash: self.hash() }
    }
}

/// What a signing key signs: the algorithm, the moment, the scope, and the canonical request's hash.
#[derive(Clone, Copy)]
pub struct StringToSign<'a> {
    date: AmzDate,
    scope: &'a Scope,
    hash: Hex,
}

impl StringToSign<'_> {
    /// Writes the string to sign.
    pub fn write_to(&self, sink: &mut impl Sink) {
        sink.put(ALGORITHM.as_bytes());
        sink.put(b"\n");
        sink.put(self.date.as_bytes());
        sink.put(b"\n");
        sink.put(self.scope.as_str().as_bytes());
        sink.put(b"\n");
        sink.put(&self.hash);
    }

    /// The signature that `key` gives it.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        key.sign(|mac| self.write_to(mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_spaces_are_folded_and_nothing_else() {
        for (value, canonical) in [
            ("", ""),
            (" \t a \t ", "a"),
            ("a  b   c", "a b c"),
            ("a \t b", "a \t b"),
            ("a\t\tb", "a\t\tb"),
            ("a  \t", "a"),
            ("\"a   b\"", "\"a b\""),
        ] {
            let mut written = Vec::new();
            put_value(value.as_bytes(), &mut written);
            assert_eq!(String::from_utf8_lossy(&written), canonical, "{value:?}");
        }
    }
}
