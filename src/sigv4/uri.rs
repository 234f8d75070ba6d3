//! Paths and queries in the one form that is both sent and signed.
//!
//! Source: [Create a signed AWS API request, step 1](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-canonical-request):
//! every byte but `A-Z a-z 0-9 - . _ ~` is `%XX` in upper case, the slashes of a path excepted.

use smallvec::SmallVec;

use super::{Out, OutOfMemory, Sink};

/// What a byte of a path or query means to the encoder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Unreserved,
    Slash,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            classes[byte] = Class::Unreserved;
        } else if b == b'/' {
            classes[byte] = Class::Slash;
        }
        byte += 1;
    }
    classes
};

/// Which bytes stand for others before they are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decode {
    /// None: the bytes are the key itself.
    Nothing,
    /// `%XX` stands for a byte, as in a path.
    Percent,
    /// The same, but `%2F` stays what it is.
    PercentButSlash,
    /// `%XX` stands for a byte and `+` for a space, as in a query.
    PercentAndPlus,
}

/// An upper bound of the length that a path or query part of `raw` can have once it is encoded.
pub fn encoded_len(raw: &[u8]) -> usize {
    raw.len() + 2 * raw.iter().filter(|b| CLASSES[usize::from(**b)] != Class::Unreserved).count()
}

/// Writes a path: each `%XX` is decoded once, then everything is encoded.
///
/// A `%` without two hexadecimal digits is a percent sign, a `+` is a plus. Dot segments and double
/// slashes stay: they are parts of an S3 key.
pub fn encode_path(raw: &[u8], out: &mut Out<'_>) {
    encode(raw, Decode::Percent, true, out);
}

/// [`encode_path`] for services other than S3, to which `%2F` is no slash: it stays encoded.
pub fn encode_segments(raw: &[u8], out: &mut Out<'_>) {
    encode(raw, Decode::PercentButSlash, true, out);
}

/// Writes a path whose bytes are those of the key: a `%` is a percent sign wherever it stands.
pub fn encode_literal_path(raw: &[u8], out: &mut Out<'_>) {
    encode(raw, Decode::Nothing, true, out);
}

fn encode(raw: &[u8], decode: Decode, keep_slash: bool, out: &mut Out<'_>) {
    let kept = |byte: u8| match CLASSES[usize::from(byte)] {
        Class::Unreserved => true,
        Class::Slash => keep_slash,
        Class::Other => false,
    };
    let mut rest = raw;
    loop {
        let run = plain_run(rest, keep_slash);
        let run =
            run + rest[run..].iter().position(|byte| !kept(*byte)).unwrap_or(rest.len() - run);
        out.put(&rest[..run]);
        rest = &rest[run..];
        let Some(&first) = rest.first() else { return };
        let (byte, used) = match (first, hex_pair(rest)) {
            (b'%', Some(b'/')) if decode == Decode::PercentButSlash => {
                out.put(b"%2F");
                rest = &rest[3..];
                continue;
            }
            (b'%', Some(byte)) if decode != Decode::Nothing => (byte, 3),
            (b'+', _) if decode == Decode::PercentAndPlus => (b' ', 1),
            _ => (first, 1),
        };
        if kept(byte) {
            out.push(byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.put(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        rest = &rest[used..];
    }
}

/// A length up to which there is nothing to encode in a part of a query or path; there may be more.
fn plain_run(bytes: &[u8], keep_slash: bool) -> usize {
    const CHUNK: usize = 32;
    // arithmetic in the place of the table, so that the compiler checks many bytes at a time
    let plain = |byte: &u8| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        let mark = (*byte == b'-') | (*byte == b'.') | (*byte == b'_') | (*byte == b'~');
        letter | digit | mark | ((*byte == b'/') & keep_slash)
    };
    let all = |chunk: &&[u8]| chunk.iter().fold(true, |all, byte| all & plain(byte));
    CHUNK * bytes.chunks_exact(CHUNK).take_while(all).count()
}

/// The byte that the two digits behind the first byte of `text` stand for.
fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    Some((digit(text.get(1)?)? * 16 + digit(text.get(2)?)?) as u8)
}

/// Writes the canonical path for services other than S3 from a path as [`encode_path`] writes it:
/// dot segments and empty segments are resolved, then everything is encoded a second time.
///
/// Needs at most [`normalized_len`] bytes.
pub fn normalize_path(path: &[u8], out: &mut Out<'_>) {
    let start = out.len();
    let mut directory = true;
    for segment in path.split(|byte| *byte == b'/') {
        directory = match segment {
            b"" | b"." => true,
            b".." => {
                let parent = out.written()[start..].iter().rposition(|byte| *byte == b'/');
                out.truncate(start + parent.unwrap_or(0));
                true
            }
            _ => {
                out.push(b'/');
                encode(segment, Decode::Nothing, false, out);
                false
            }
        };
    }
    if directory || out.len() == start {
        out.push(b'/');
    }
}

/// An upper bound of what [`normalize_path`] makes of `path`.
pub fn normalized_len(path: &[u8]) -> usize {
    encoded_len(path) + 2
}

/// Query parameters that authenticate a request. S3 refuses a request that does so in two ways.
///
/// Source: [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html),
/// and, for the last two, [Signing and authenticating REST requests](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html).
const AUTHENTICATING: [&str; 10] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-S3session-Token",
    "AWSAccessKeyId",
    "Signature",
];

fn authenticates(name: &[u8]) -> bool {
    if !name.first().is_some_and(|first| b"XxAaSs".contains(first)) {
        return false;
    }
    AUTHENTICATING.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// Where a parameter stands in the buffer: its beginning, the end of its name, its end.
#[derive(Clone, Copy)]
struct Param {
    start: usize,
    name_end: usize,
    end: usize,
}

/// Writes a query in canonical form: parameters decoded once and encoded, each with a `=`, sorted
/// by name and value; those that authenticate are left out.
///
/// Needs at most [`query_len`] bytes of `out`, part of which is only worked in.
pub fn encode_query(raw: &[u8], out: &mut Out<'_>) -> Result<(), OutOfMemory> {
    encode_query_if(raw, |_| true, out)
}

/// [`encode_query`] of those parameters alone whose encoded name `keeps` likes.
pub fn encode_query_if(
    raw: &[u8],
    keeps: impl Fn(&[u8]) -> bool,
    out: &mut Out<'_>,
) -> Result<(), OutOfMemory> {
    let base = out.len();
    let mut params = SmallVec::<[Param; 32]>::new();
    for part in raw.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        let (raw_name, value) = match memchr::memchr(b'=', part) {
            Some(equals) => (&part[..equals], &part[equals + 1..]),
            None => (part, &[][..]),
        };
        let before = out.len();
        if before > base {
            out.push(b'&');
        }
        let start = out.len();
        encode(raw_name, Decode::PercentAndPlus, false, out);
        let name_end = out.len();
        let name = &out.written()[start..];
        if authenticates(name) || !keeps(name) {
            out.truncate(before);
            continue;
        }
        out.push(b'=');
        encode(value, Decode::PercentAndPlus, false, out);
        params.try_reserve(1).map_err(|_| OutOfMemory)?;
        params.push(Param { start, name_end, end: out.len() });
    }
    sort(base, &mut params, out);
    Ok(())
}

/// An upper bound of the room that [`encode_query`] needs.
pub fn query_len(raw: &[u8]) -> usize {
    // each parameter may gain a "=", and sorting works on a copy
    2 * (encoded_len(raw) + raw.iter().filter(|byte| **byte == b'&').count() + 1)
}

/// Puts the parameters that stand in `out` behind `base` into their order.
fn sort(base: usize, params: &mut [Param], out: &mut Out<'_>) {
    let (written, scratch) = out.split();
    let key = |param: &Param| {
        (&written[param.start..param.name_end], &written[param.name_end + 1..param.end])
    };
    if params.is_sorted_by_key(key) {
        return;
    }
    params.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    let mut sorted = Out::new(scratch);
    for (index, param) in params.iter().enumerate() {
        if index > 0 {
            sorted.push(b'&');
        }
        sorted.put(&written[param.start..param.end]);
    }
    written[base..].copy_from_slice(sorted.written());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(capacity: usize, write: impl FnOnce(&mut Out<'_>)) -> String {
        let mut buf = vec![0; capacity];
        let mut out = Out::new(&mut buf);
        write(&mut out);
        String::from_utf8(out.written().to_vec()).unwrap()
    }

    fn path(raw: &[u8]) -> String {
        written(encoded_len(raw), |out| encode_path(raw, out))
    }

    fn query(raw: &[u8]) -> String {
        written(query_len(raw), |out| encode_query(raw, out).unwrap())
    }

    #[test]
    fn a_path_is_decoded_once_and_encoded() {
        for (raw, encoded) in [
            (&b"/"[..], "/"),
            (b"/a-b._~/Z9", "/a-b._~/Z9"),
            (b"/a b+c", "/a%20b%2Bc"),
            (b"/a%20b%2bc", "/a%20b%2Bc"),
            (b"/%41%2F%2e%7E", "/A/.~"),
            (b"/100%", "/100%25"),
            (b"/100%2", "/100%252"),
            (b"/100%zz", "/100%25zz"),
            (b"/100%2541", "/100%2541"),
            (b"/a//b/../c/./", "/a//b/../c/./"),
            (
                b"/!\"#$&'()*,:;<=>?@[\\]^`{|}",
                "/%21%22%23%24%26%27%28%29%2A%2C%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D",
            ),
            ("/Grüße".as_bytes(), "/Gr%C3%BC%C3%9Fe"),
            (b"/\xff\x00\r\n", "/%FF%00%0D%0A"),
        ] {
            assert_eq!(path(raw), encoded);
            assert_eq!(path(encoded.as_bytes()), encoded, "encoding again changes nothing");
        }
        assert_eq!(written(99, |out| encode_literal_path(b"/a%41?", out)), "/a%2541%3F");
        assert_eq!(written(99, |out| encode_segments(b"/a%2fb%2F%41/", out)), "/a%2Fb%2FA/");
    }

    #[test]
    fn a_query_is_sorted_by_encoded_name_and_value() {
        for (raw, canonical) in [
            ("", ""),
            ("&&", ""),
            ("acl", "acl="),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&a", "a=&a=1&a=2"),
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("\u{e9}=1&~=2&a=3", "%C3%A9=1&a=3&~=2"),
            ("a+b=c+d", "a%20b=c%20d"),
            ("a%2Bb=%2b", "a%2Bb=%2B"),
            ("prefix=a/b&delimiter=/", "delimiter=%2F&prefix=a%2Fb"),
            ("x=a=b==", "x=a%3Db%3D%3D"),
            ("=v&a", "=v&a="),
            ("x=%&y=%4", "x=%25&y=%254"),
            ("B=1&a=1&A=1", "A=1&B=1&a=1"),
        ] {
            assert_eq!(query(raw.as_bytes()), canonical, "{raw}");
            assert_eq!(query(canonical.as_bytes()), canonical);
        }
    }

    #[test]
    fn parameters_that_authenticate_are_dropped() {
        assert_eq!(
            query(b"X-Amz-Signature=1&a=1&x-amz-expires=2&%58-Amz-Credential=k%2F&Signature=z&X-Amz-Meta=3"),
            "X-Amz-Meta=3&a=1"
        );
        assert_eq!(query(b"X-Amz-Date=1"), "");
        let raw = b"b=%2F&a%20b=c&a&X-Amz-Date=1&=";
        let kept = written(query_len(raw), |out| {
            encode_query_if(raw, |name| name != b"a%20b" && name != b"", out).unwrap();
        });
        assert_eq!(kept, "a=&b=%2F");
    }

    #[test]
    fn more_parameters_than_fit_on_the_stack() {
        let raw: Vec<String> = (0..100).rev().map(|n| format!("p{n:03}={n}")).collect();
        let mut sorted = raw.clone();
        sorted.sort();
        assert_eq!(query(raw.join("&").as_bytes()), sorted.join("&"));
    }

    #[test]
    fn other_services_have_their_paths_resolved_and_encoded_twice() {
        for (raw, canonical) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/a/./b/../c", "/a/c"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a//b/", "/a/b/"),
            ("/%20/x", "/%2520/x"),
        ] {
            let written = written(normalized_len(raw.as_bytes()), |out| {
                normalize_path(raw.as_bytes(), out);
            });
            assert_eq!(written, canonical, "{raw}");
        }
    }
}
