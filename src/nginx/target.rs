//! The request target that nginx wrote, taken apart: which of its bytes are path, which are query,
//! and which of the path's bytes are already decoded.

use percent_encoding::percent_decode;
use smallvec::{SmallVec, smallvec};

use crate::sigv4::uri;
use crate::sigv4::{Out, OutOfMemory, Sink};

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Percent-encoded.
    Encoded(&'a [u8]),
    /// The bytes of the key themselves.
    Literal(&'a [u8]),
}

/// A target in the parts that it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    path: SmallVec<[Piece<'a>; 2]>,
    /// Behind the `?`.
    query: &'a [u8],
}

/// What a request says of its target, for [`Target::pasted`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The decoded path (`r->uri`).
    pub uri: &'a [u8],
    /// The query (`r->args`).
    pub args: &'a [u8],
    /// The target as the client sent it (`r->unparsed_uri`), unless a rewrite or a redirect has made
    /// another of it.
    pub unparsed: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// A target that is percent-encoded, as a client or nginx encodes it.
    pub fn encoded(wire: &'a [u8]) -> Self {
        let (path, query) = split(wire);
        Target { path: smallvec![Piece::Encoded(path)], query }
    }

    /// A decoded path (`r->uri`) and its query (`r->args`).
    pub fn decoded(path: &'a [u8], query: &'a [u8]) -> Self {
        Target { path: smallvec![Piece::Literal(path)], query }
    }

    /// A target that `proxy_pass` put together from variables.
    ///
    /// nginx pastes variables as they are, and captures and `$uri` are decoded: `?` and `%` of a key
    /// then look like the beginning of a query and like an escape. So, where the decoded path has
    /// such bytes, each of the target's is traced to where it comes from.
    pub fn pasted(wire: &'a [u8], origin: Origin<'_>) -> Self {
        let ambiguous = |byte: &u8| matches!(byte, b'?' | b'%');
        if !origin.uri.iter().any(ambiguous) || is_escaped(split(wire).0, origin) {
            return Self::encoded(wire);
        }
        let mut target = Target::default();
        let mut trace = Trace { wire, origin, from: 0, complete: false };
        // where the encoded piece begins that is being looked at
        let mut begin = 0;
        while let Some(at) = wire[trace.from..].iter().position(ambiguous) {
            let at = trace.from + at;
            match trace.source(at) {
                From::Decoded(end) => {
                    target.push(Piece::Encoded(&wire[begin..at]));
                    target.push(Piece::Literal(&wire[at..end]));
                    begin = end;
                }
                From::Encoded => {}
                From::Separator => {
                    target.push(Piece::Encoded(&wire[begin..at]));
                    target.query = &wire[at + 1..];
                    return target;
                }
            }
        }
        target.push(Piece::Encoded(&wire[begin..]));
        target
    }

    /// The same target with the bytes of `lead`, which begins with a slash, in front of its path.
    pub fn led_by(mut self, lead: &'a [u8]) -> Self {
        let slash = match self.path.first() {
            Some(Piece::Encoded(bytes) | Piece::Literal(bytes)) => bytes.starts_with(b"/"),
            None => false,
        };
        if !slash {
            self.path.insert(0, Piece::Literal(b"/"));
        }
        self.path.insert(0, Piece::Literal(lead));
        self
    }

    fn push(&mut self, piece: Piece<'a>) {
        if !matches!(piece, Piece::Encoded(b"")) {
            self.path.push(piece);
        }
    }

    /// An upper bound of the room that [`put`](Self::put) needs.
    pub fn capacity(&self) -> usize {
        let query = if self.query.is_empty() { 0 } else { uri::query_len(self.query) };
        let path = self.path.iter().map(|piece| match piece {
            Piece::Encoded(bytes) | Piece::Literal(bytes) => uri::encoded_len(bytes),
        });
        2 + path.sum::<usize>() + query
    }

    /// Writes the target as it is sent and signed: the canonical path, and the canonical query
    /// behind a `?` where there is one. Returns the two and the rest of `out`.
    ///
    /// To S3 (`s3`), `%2F` is a slash like any other. Parameters whose name `keeps` does not like are
    /// left out.
    pub fn put<'o>(
        &self,
        s3: bool,
        keeps: impl Fn(&[u8]) -> bool,
        mut out: Out<'o>,
    ) -> Result<(&'o [u8], &'o [u8], Out<'o>), OutOfMemory> {
        let first = self.path.first().map(|piece| match piece {
            Piece::Encoded(bytes) | Piece::Literal(bytes) => *bytes,
        });
        if !first.is_some_and(|bytes| bytes.starts_with(b"/")) {
            out.put(b"/");
        }
        for piece in &self.path {
            match piece {
                Piece::Encoded(bytes) if s3 => uri::encode_path(bytes, &mut out),
                Piece::Encoded(bytes) => uri::encode_segments(bytes, &mut out),
                Piece::Literal(bytes) => uri::encode_literal_path(bytes, &mut out),
            }
        }
        let (path, mut out) = out.finish();
        if self.query.is_empty() {
            return Ok((path, &[], out));
        }
        out.push(b'?');
        uri::encode_query_if(self.query, keeps, &mut out)?;
        if out.len() == 1 {
            out.truncate(0);
        }
        let (query, out) = out.finish();
        Ok((path, query.get(1..).unwrap_or_default(), out))
    }
}

fn split(wire: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', wire) {
        Some(mark) => (&wire[..mark], &wire[mark + 1..]),
        None => (wire, &[]),
    }
}

/// Whether `path` ends with a whole path in escaped form, as nginx and `$aws_uri` escape it.
fn is_escaped(path: &[u8], origin: Origin<'_>) -> bool {
    let count = percent_decode(path).count();
    let ends_with = |other: &mut dyn Iterator<Item = u8>, length: usize| {
        length <= count && percent_decode(path).skip(count - length).eq(other)
    };
    if ends_with(&mut origin.uri.iter().copied(), origin.uri.len()) {
        return true;
    }
    origin.unparsed.is_some_and(|unparsed| {
        let sent = percent_decode(split(unparsed).0);
        ends_with(&mut sent.clone(), sent.count())
    })
}

/// Where an ambiguous byte of a target comes from.
enum From {
    /// From the decoded path, with what follows it up to there.
    Decoded(usize),
    /// It is an escape.
    Encoded,
    /// It is the `?` in front of the query.
    Separator,
}

/// Goes through a target, and takes what it has in common with a source for a paste of it.
struct Trace<'w, 'o> {
    wire: &'w [u8],
    origin: Origin<'o>,
    /// Where the part begins that was not looked at yet.
    from: usize,
    /// Whether the last paste went on to the end of its source's path: then its query may follow.
    complete: bool,
}

impl Trace<'_, '_> {
    /// The source of the ambiguous byte at `at`.
    fn source(&mut self, at: usize) -> From {
        let begins = self.from;
        let decoded = longest(self.wire, at, begins, self.origin.uri);
        let len = |run: &Option<Run>| run.as_ref().map_or(0, Run::len);
        if self.wire[at] == b'?' {
            // the client's query, at once or behind something of the operator's
            let query = self.complete && self.wire[at + 1..] == *self.origin.args;
            if query && (at == begins || len(&decoded) <= self.wire.len() - at) {
                return From::Separator;
            }
            // what a client puts into a path must never become a query: in doubt it is a part of
            // the key, unless the same "?" of the key stands elsewhere, with more around it
            let own = match &decoded {
                Some(run) if run.len() > 1 => true,
                Some(run) => !self.stands_elsewhere(at, run.source),
                None => false,
            };
            return match decoded {
                Some(run) if own => self.decoded(run),
                _ => From::Separator,
            };
        }
        let path = self.origin.unparsed.map_or(&[][..], |unparsed| split(unparsed).0);
        let encoded = longest(self.wire, at, begins, path);
        match decoded {
            Some(run) if run.len() > 1 && run.len() >= len(&encoded) => self.decoded(run),
            _ => {
                let end = encoded.as_ref().map_or(at + 1, |run| run.end);
                self.complete = encoded.is_some_and(|run| run.source_end == path.len());
                self.from = end;
                From::Encoded
            }
        }
    }

    fn decoded(&mut self, run: Run) -> From {
        self.complete = run.source_end == self.origin.uri.len();
        self.from = run.end;
        From::Decoded(run.end)
    }

    /// Whether the byte at `source` of the decoded path is, by what is around it, another `?` of the
    /// target than the one at `at`.
    fn stands_elsewhere(&self, at: usize, source: usize) -> bool {
        let marks = self.wire.iter().enumerate().filter(|(_, byte)| **byte == b'?');
        marks.filter(|(other, _)| *other != at).any(|(other, _)| {
            run(self.wire, other, 0, self.origin.uri, source).is_some_and(|run| run.len() > 1)
        })
    }
}

/// What a target and a source have in common around one byte.
struct Run {
    begin: usize,
    end: usize,
    /// Where the source has the byte, and where it has the end.
    source: usize,
    source_end: usize,
}

impl Run {
    fn len(&self) -> usize {
        self.end - self.begin
    }
}

/// The longest run through the byte at `at` of `wire` that does not begin before `from`.
fn longest(wire: &[u8], at: usize, from: usize, source: &[u8]) -> Option<Run> {
    let runs = (0..source.len()).filter_map(|place| run(wire, at, from, source, place));
    runs.reduce(|best, run| if run.len() > best.len() { run } else { best })
}

/// The run that has the byte at `place` of `source` for the one at `at` of `wire`.
fn run(wire: &[u8], at: usize, from: usize, source: &[u8], place: usize) -> Option<Run> {
    if source[place] != wire[at] {
        return None;
    }
    let alike = |(a, b): &(&u8, &u8)| a == b;
    let before = wire[from..at].iter().rev().zip(source[..place].iter().rev());
    let before = before.take_while(alike).count();
    let after = wire[at..].iter().zip(&source[place..]).take_while(alike).count();
    let (begin, end) = (at - before, at + after);
    Some(Run { begin, end, source: place, source_end: place + after })
}

#[cfg(test)]
mod tests;
