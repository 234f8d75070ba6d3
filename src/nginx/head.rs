//! The head of an upstream request: what nginx wrote, taken apart, and the signed one in its place.
//!
//! No pointer of nginx's gets here: bytes in, bytes out.

mod fate;
mod lines;
mod refusal;
mod rules;

use std::ops::Range;

use smallvec::SmallVec;

use super::methods::is_reading;
use super::passed::is_token_byte;
use super::target::Target;
use crate::sigv4::{
    ALGORITHM, CanonicalRequest, Headers, Out, PayloadHash, Sink, StringToSign, uri,
};
use fate::{Fate, fate};
use lines::{Framing, header, line_len};
pub use refusal::Refusal;
pub use rules::{Body, Rules};

/// A head that will be signed, and all that goes into it.
pub struct Plan<'a> {
    rules: &'a Rules<'a>,
    method: &'a [u8],
    target: Target<'a>,
    /// ` HTTP/1.x` with its line end.
    version: &'a [u8],
    /// The headers that go out as they are, with their line ends, in pieces.
    passed: SmallVec<[&'a [u8]; 8]>,
    /// What is signed of them.
    headers: Headers<'a>,
    /// The headers to sign from the first one on that has a tab.
    tabbed: SmallVec<[(&'a [u8], &'a [u8]); 1]>,
    host: &'a [u8],
    payload: PayloadHash,
    body: &'a [u8],
}

/// Where the parts of a signed request stand in the buffer that it was written to.
#[derive(Clone, Debug, Default)]
pub struct Signed {
    /// The end of the request, body included.
    pub len: usize,
    /// Path and query.
    pub target: Range<usize>,
    /// The value of `Host`.
    pub host: Range<usize>,
    /// The value of `X-Amz-Date`.
    pub date: Range<usize>,
    /// The value of `X-Amz-Content-Sha256`.
    pub content_sha256: Range<usize>,
    /// The value of `Authorization`.
    pub authorization: Range<usize>,
    /// The signed headers within it.
    pub signed_headers: Range<usize>,
    /// The scope within it.
    pub key_scope: Range<usize>,
}

impl<'a> Plan<'a> {
    /// A plan for a request that was not read yet.
    pub fn new(rules: &'a Rules<'a>) -> Self {
        Plan {
            rules,
            method: &[],
            target: Target::default(),
            version: &[],
            passed: SmallVec::new(),
            headers: Headers::new(),
            tabbed: SmallVec::new(),
            host: rules.host.unwrap_or_default(),
            payload: PayloadHash::EMPTY,
            body: &[],
        }
    }

    /// Takes `wire` apart, a request as the proxy module wrote it, whose target stands at `range`.
    ///
    /// `target` makes sense of the target's bytes, `foreign` tells by its name whether a header is the
    /// client's.
    pub fn read(
        &mut self,
        wire: &'a [u8],
        range: Range<usize>,
        target: impl FnOnce(&'a [u8]) -> Target<'a>,
        foreign: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Refusal> {
        let method = wire.get(..range.start).and_then(|m| m.strip_suffix(b" "));
        let method = method.filter(|m| !m.is_empty() && m.iter().all(u8::is_ascii_uppercase));
        self.method = method.ok_or(Refusal::NotHttp1)?;
        let rest = wire.get(range.end..).ok_or(Refusal::NotHttp1)?;
        let (version, lines) = rest.split_at_checked(11).ok_or(Refusal::NotHttp1)?;
        if !matches!(version, b" HTTP/1.0\r\n" | b" HTTP/1.1\r\n") {
            return Err(Refusal::NotHttp1);
        }
        self.version = version;
        if !self.rules.methods.contains(self.method) {
            return Err(Refusal::Method);
        }
        self.target = target(&wire[range]);
        self.read_lines(lines, foreign)
    }

    /// Sorts the header lines, up to the empty one and the body behind it.
    fn read_lines(
        &mut self,
        lines: &'a [u8],
        foreign: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Refusal> {
        let rules = self.rules;
        let mut hosts = 0;
        let mut framing = Framing::default();
        // the lines that go out as they are are copied in runs
        let mut run = 0;
        let mut at = 0;
        loop {
            let end = at + line_len(&lines[at..])?;
            let next = end + 2;
            if end == at {
                self.pass(&lines[run..at])?;
                self.body = &lines[next..];
                break;
            }
            let (name, value) = header(&lines[at..end])?;
            let passes = match fate(name) {
                Fate::Pass => true,
                Fate::DropIfForeign if foreign(name) => false,
                Fate::Sign | Fate::DropIfForeign => self.sign(name, value, &lines[at..end])?,
                Fate::Drop => false,
                Fate::Host => {
                    hosts += 1;
                    if rules.host.is_none() {
                        self.host = value;
                    }
                    false
                }
                Fate::Length => {
                    framing.add(name, value, &lines[at..next])?;
                    false
                }
            };
            if !passes {
                self.pass(&lines[run..at])?;
                run = next;
            }
            at = next;
        }
        let is_host = !self.host.is_empty() && !self.host.iter().any(u8::is_ascii_whitespace);
        if rules.host.is_none() && (hosts != 1 || !is_host) {
            return Err(Refusal::Host);
        }
        let line = match rules.body {
            Body::Streamed(payload) if self.body.is_empty() => {
                self.payload = payload;
                framing.unseen()
            }
            Body::Whole { len, hash } if len > 0 && self.body.is_empty() => {
                self.payload = hash;
                framing.of(len, rules.drop_body)
            }
            Body::Whole { len, .. } if len > 0 => None,
            _ => {
                self.payload = PayloadHash::of(self.body);
                framing.of(self.body.len() as u64, rules.drop_body)
            }
        };
        self.pass(line.ok_or(Refusal::Body)?)
    }

    /// Has a header signed, whose name will stand in a list in `Authorization`; whether its line
    /// passes as it is.
    fn sign(&mut self, name: &'a [u8], value: &'a [u8], line: &[u8]) -> Result<bool, Refusal> {
        if !name.iter().all(is_token_byte) {
            return Err(Refusal::MalformedHeader);
        }
        // what follows one with a tab does, too, lest headers of one name change their order
        if !self.tabbed.is_empty() || memchr::memchr(b'\t', line).is_some() {
            self.tabbed.try_reserve(1).map_err(|_| Refusal::Memory)?;
            self.tabbed.push((name, value));
            return Ok(false);
        }
        self.headers.insert(name, value)?;
        Ok(true)
    }

    fn pass(&mut self, lines: &'a [u8]) -> Result<(), Refusal> {
        if !lines.is_empty() {
            self.passed.try_reserve(1).map_err(|_| Refusal::Memory)?;
            self.passed.push(lines);
        }
        Ok(())
    }

    /// An upper bound of the room that [`write`](Self::write) needs.
    pub fn capacity(&self) -> usize {
        let passed: usize = self.passed.iter().map(|lines| lines.len()).sum();
        self.method.len()
            + self.target.capacity()
            + self.version.len()
            + self.host.len()
            + passed
            + self.rules.credential.text().len()
            + self.rules.credential.token().map_or(0, <[u8]>::len)
            + self.headers.names_len()
            // aside, in the head, and their names in the list
            + 3 * self.tabbed_len()
            + self.body.len()
            + self.scratch()
            // the names of our own headers, their values but for the credential, and line ends
            + 352
    }

    /// The room for the lines of headers with tabs.
    fn tabbed_len(&self) -> usize {
        self.tabbed.iter().map(|(name, value)| name.len() + value.len() + 4).sum()
    }

    /// The room to normalise the path in, which other services than S3 want.
    fn scratch(&self) -> usize {
        if self.rules.credential.scope().is_s3() { 0 } else { 3 * self.target.capacity() }
    }

    /// Writes the signed request into `buf`, after `observe` has seen what is signed.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`capacity`](Self::capacity).
    pub fn write(
        &self,
        buf: &mut [u8],
        observe: impl FnOnce(&CanonicalRequest<'_, '_>, &StringToSign<'_>),
    ) -> Result<Signed, Refusal> {
        let &Plan { method, payload, rules: &Rules { credential, date, .. }, .. } = self;
        let mut headers = Headers::new();
        headers.insert_lower(b"host", self.host)?;
        headers.insert_lower(b"x-amz-content-sha256", payload.as_bytes())?;
        headers.insert_lower(b"x-amz-date", date.as_bytes())?;
        if let Some(token) = credential.token() {
            headers.insert_lower(b"x-amz-security-token", token)?;
        }
        headers.extend(&self.headers)?;

        let (buf, scratch) = buf.split_at_mut(buf.len() - self.scratch());
        let (buf, tabbed) = buf.split_at_mut(buf.len() - self.tabbed_len());
        let tabbed = self.put_tabbed(tabbed, &mut headers)?;
        let mut out = Out::new(buf);
        out.put(method);
        out.push(b' ');
        let (line, out) = out.finish();
        let s3 = credential.scope().is_s3();
        let keeps = |name: &[u8]| !s3 || is_reading(method) || self.rules.may_ask(name);
        let (path, query, mut out) = self.target.put(s3, keeps, out)?;
        let target = line.len()..out.position();

        let mut normalized = Out::new(scratch);
        if self.scratch() > 0 {
            uri::normalize_path(path, &mut normalized);
        }
        let path = if self.scratch() > 0 { normalized.written() } else { path };
        let request = CanonicalRequest { method, path, query, headers: &headers, payload };
        let string = request.string_to_sign(date, credential.scope());
        observe(&request, &string);
        let signature = string.sign(credential.key());

        out.put(self.version);
        out.put(b"Host: ");
        let host = put_value(&mut out, self.host);
        for lines in &self.passed {
            out.put(lines);
        }
        out.put(tabbed);
        out.put(b"X-Amz-Date: ");
        let date = put_value(&mut out, date.as_bytes());
        out.put(b"X-Amz-Content-Sha256: ");
        let content_sha256 = put_value(&mut out, payload.as_bytes());
        if let Some(token) = credential.token() {
            out.put(b"X-Amz-Security-Token: ");
            put_value(&mut out, token);
        }
        out.put(b"Authorization: ");
        let authorization = out.position();
        out.put(ALGORITHM.as_bytes());
        out.put(b" Credential=");
        out.put(credential.text());
        let key_scope = out.position() - credential.scope().as_str().len()..out.position();
        out.put(b", SignedHeaders=");
        let names = out.position();
        headers.put_names(&mut out);
        let signed_headers = names..out.position();
        out.put(b", Signature=");
        let authorization = authorization..put_value(&mut out, signature.as_bytes()).end;
        out.put(b"\r\n");
        out.put(self.body);
        let len = out.position();
        Ok(Signed {
            len,
            target,
            host,
            date,
            content_sha256,
            authorization,
            signed_headers,
            key_scope,
        })
    }

    /// Writes the lines of headers with tabs, which become spaces, and adds them to what is signed:
    /// some servers fold tabs as they do spaces, and some do not.
    fn put_tabbed<'b>(
        &self,
        buf: &'b mut [u8],
        headers: &mut Headers<'b>,
    ) -> Result<&'b [u8], Refusal>
    where
        Self: 'b,
    {
        let mut values = SmallVec::<[Range<usize>; 1]>::new();
        let mut out = Out::new(buf);
        for (name, value) in &self.tabbed {
            out.put(name);
            out.put(b": ");
            values.try_reserve(1).map_err(|_| Refusal::Memory)?;
            values.push(out.position()..out.position() + value.len());
            value.iter().for_each(|byte| out.push(if *byte == b'\t' { b' ' } else { *byte }));
            out.put(b"\r\n");
        }
        let (lines, _) = out.finish();
        for ((name, _), value) in self.tabbed.iter().zip(values) {
            headers.insert(name, &lines[value])?;
        }
        Ok(lines)
    }
}

/// Writes a header's value and ends its line; returns where the value stands.
fn put_value(out: &mut Out<'_>, value: &[u8]) -> Range<usize> {
    let start = out.position();
    out.put(value);
    let end = out.position();
    out.put(b"\r\n");
    start..end
}

#[cfg(test)]
mod tests;
