//! The request target that nginx wrote, taken apart: which of its bytes are path, which are query,
//! and which of the path's bytes are already decoded.

use crate::sigv4::uri;
use crate::sigv4::{Out, OutOfMemory, Sink};

/// A target in the parts that it is made of, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// Path, percent-encoded.
    encoded: &'a [u8],
    /// More path, as the bytes of the key.
    literal: &'a [u8],
    /// Behind the `?`.
    query: &'a [u8],
}

impl<'a> Target<'a> {
    /// A target that is percent-encoded, as a client or nginx encodes it.
    pub fn encoded(wire: &'a [u8]) -> Self {
        let (encoded, query) = split(wire);
        Target { encoded, literal: &[], query }
    }

    /// A decoded path (`r->uri`) and its query (`r->args`).
    pub fn decoded(path: &'a [u8], query: &'a [u8]) -> Self {
        Target { encoded: &[], literal: path, query }
    }

    /// A target that `proxy_pass` put together from variables.
    ///
    /// nginx pastes variables as they are, and captures and `$uri` are decoded: `?` and `%` of a key
    /// then look like the beginning of a query and like an escape. Where `uri` (`r->uri`, decoded)
    /// has such bytes and `wire` ends like it, that end is the key itself. It does not when the
    /// variable was encoded: then `wire` ends like `unparsed_uri`, what the client sent.
    pub fn pasted(wire: &'a [u8], uri: &[u8], unparsed_uri: &[u8], args: &[u8]) -> Self {
        let Some(ambiguous) = uri.iter().position(|byte| matches!(byte, b'?' | b'%')) else {
            return Self::encoded(wire);
        };
        let (path, query) = match wire.len().checked_sub(args.len() + 1) {
            Some(end) if !args.is_empty() && wire[end] == b'?' && wire.ends_with(args) => {
                (&wire[..end], args.len())
            }
            _ => (wire, 0),
        };
        let common = common_end(path, uri);
        if common < uri.len() - ambiguous || common <= common_end(path, split(unparsed_uri).0) {
            return Self::encoded(wire);
        }
        let (encoded, literal) = path.split_at(path.len() - common);
        if encoded.contains(&b'?') {
            return Self::encoded(wire);
        }
        Target { encoded, literal, query: &wire[wire.len() - query..] }
    }

    /// An upper bound of the room that [`put`](Self::put) needs.
    pub fn capacity(&self) -> usize {
        let query = if self.query.is_empty() { 0 } else { uri::query_len(self.query) };
        2 + uri::encoded_len(self.encoded) + uri::encoded_len(self.literal) + query
    }

    /// Writes the target as it is sent and signed: the canonical path, and the canonical query
    /// behind a `?` where there is one. Returns the two and the rest of `out`.
    pub fn put<'o>(&self, mut out: Out<'o>) -> Result<(&'o [u8], &'o [u8], Out<'o>), OutOfMemory> {
        if !self.encoded.starts_with(b"/") && !self.literal.starts_with(b"/") {
            out.put(b"/");
        }
        uri::encode_path(self.encoded, &mut out);
        uri::encode_literal_path(self.literal, &mut out);
        let (path, mut out) = out.finish();
        if self.query.is_empty() {
            return Ok((path, &[], out));
        }
        out.push(b'?');
        uri::encode_query(self.query, &mut out)?;
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

/// How many bytes `a` and `b` end with alike.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(target: Target<'_>) -> String {
        let mut buf = vec![0; target.capacity()];
        let (path, query, _) = target.put(Out::new(&mut buf)).unwrap();
        let mark = if query.is_empty() { "" } else { "?" };
        String::from_utf8([path, mark.as_bytes(), query].concat()).unwrap()
    }

    #[test]
    fn what_is_sent_is_the_canonical_target() {
        for (wire, sent) in [
            ("/a b?y=1&x", "/a%20b?x=&y=1"),
            ("/a?", "/a"),
            ("/a?&&", "/a"),
            ("/a?X-Amz-Signature=0", "/a"),
            ("/a?b?c", "/a?b%3Fc="),
            ("/a#b", "/a%23b"),
            ("", "/"),
            ("?a", "/?a="),
            ("a", "/a"),
        ] {
            assert_eq!(put(Target::encoded(wire.as_bytes())), sent, "{wire}");
        }
        assert_eq!(put(Target::decoded(b"/a?b%41", b"c=%41")), "/a%3Fb%2541?c=A");
    }

    #[test]
    fn decoded_variables_are_known_by_what_they_end_with() {
        // client's path and query, prefix and suffix of the location and proxy_pass
        for (unparsed, uri, args, wire, sent) in [
            // rewrite /myfiles/(.*) /$1 break; proxy_pass http://host/$1;
            ("/m/a%3Fb", "/a?b", "", "/a?b", "/a%3Fb"),
            ("/m/100%2541", "/100%41", "", "/100%41", "/100%2541"),
            ("/m/100%25", "/100%", "", "/100%", "/100%25"),
            ("/m/a%3Fb%2525?v=1", "/a?b%25", "v=1", "/a?b%25", "/a%3Fb%2525"),
            // proxy_pass http://host/bucket$uri$is_args$args;
            ("/m/a%3Fb?v=1", "/m/a?b", "v=1", "/bucket/m/a?b?v=1", "/bucket/m/a%3Fb?v=1"),
            ("/a%3Fb?b", "/a?b", "b", "/a?b?b", "/a%3Fb?b="),
            // proxy_pass http://host$request_uri; and captures of $request_uri
            ("/a%3Fb?v=1", "/a?b", "v=1", "/a%3Fb?v=1", "/a%3Fb?v=1"),
            ("/a%3Fa?a", "/a?a", "a", "/a%3Fa?a", "/a%3Fa?a="),
            ("/x/a%3F/a?/a", "/x/a?/a", "/a", "/x/a%3F/a?/a", "/x/a%3F/a?%2Fa="),
            ("/m/%2525", "/m/%25", "", "/%2525", "/%2525"),
            ("/m/%2541", "/m/%41", "", "/%2541", "/%2541"),
            // nothing ambiguous
            ("/m/a%20b", "/m/a b", "", "/a b", "/a%20b"),
            ("/m/a", "/m/a", "", "/a?list-type=2", "/a?list-type=2"),
            // something else altogether
            ("/m/a%3Fb", "/m/a?b", "", "/index.html", "/index.html"),
        ] {
            let target = Target::pasted(
                wire.as_bytes(),
                uri.as_bytes(),
                unparsed.as_bytes(),
                args.as_bytes(),
            );
            assert_eq!(put(target), sent, "{unparsed} as {wire}");
        }
    }
}
