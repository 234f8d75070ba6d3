//! Header lines that a client has put into the head: `proxy_set_header X-Key $uri` writes the decoded
//! path as it is, line ends too, and behind one of them a client may have any header that it likes.
//! On the wire such a line is like an operator's; but the client's path has it.

use percent_encoding::percent_decode;

use super::ffi::Request;

/// What a client has sent that has line ends in it, decoded; nearly always nothing.
pub struct Injection {
    sources: [Vec<u8>; 2],
}

impl Injection {
    /// Looks for line ends in the path of a request, and in what the client has asked for at first.
    pub fn of(request: Request) -> Self {
        Self::new(request.uri(), request.unparsed_uri())
    }

    fn new(uri: &[u8], unparsed: &[u8]) -> Self {
        let mut sources = [Vec::new(), Vec::new()];
        if memchr::memchr2(b'\r', b'\n', uri).is_some() {
            sources[0].extend_from_slice(uri);
        }
        let is_end = |byte| matches!(byte, b'\r' | b'\n');
        if memchr::memchr(b'%', unparsed).is_some() && percent_decode(unparsed).any(is_end) {
            sources[1].extend(percent_decode(unparsed));
        }
        Injection { sources }
    }

    /// Whether any of the header lines at the beginning of `wire` begins as one of the client's lines
    /// does. A body behind them may have what it likes.
    pub fn is_in(&self, wire: &[u8]) -> bool {
        if self.sources.iter().all(Vec::is_empty) {
            return false;
        }
        let mut own: Vec<&[u8]> =
            self.sources.iter().flat_map(|source| split(source).skip(1)).collect();
        own.sort_unstable();
        let head = memchr::memmem::find(wire, b"\r\n\r\n").map_or(wire, |end| &wire[..end]);
        split(head).filter_map(beginning).any(|line| {
            let place = own.partition_point(|own| *own < line);
            own.get(place).is_some_and(|own| own.starts_with(line))
        })
    }
}

fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'\r' | b'\n'))
}

/// What tells whose a header line is: its name and the first byte of its value. What follows may be
/// the operator's in a line of the client's.
fn beginning(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    let value = &line[colon + 1..];
    let len =
        line.len() - value.trim_ascii_start().len() + usize::from(!value.trim_ascii().is_empty());
    Some(&line[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_its_name_and_the_beginning_of_its_value() {
        let head = b"\r\nHost: h\r\nX-Key: /a\r\nX-Amz-Acl: public-read-v\r\nEmpty:\r\n\r\nBody: b";
        for (uri, unparsed, injected) in [
            ("/a", "/a", false),
            ("/a\r\nX-Amz-Acl: public-read/end", "/", true),
            ("/a\nX-Amz-Acl: p", "/", true),
            ("/gone", "/a%0d%0aX-Amz-Acl:%20public-read", true),
            ("/gone", "/?a%0AEmpty:", true),
            ("/a\r\nHost: h2", "/", true),
            ("/a\r\nHost: i", "/", false),
            ("/a\r\nHost:", "/", false),
            ("/a\r\nhost: h", "/", false),
            ("/X-Amz-Acl: public-read\r\n", "/", false),
            ("/a\r\nBody: b", "/", false),
        ] {
            let injection = Injection::new(uri.as_bytes(), unparsed.as_bytes());
            assert_eq!(injection.is_in(head), injected, "{uri:?} {unparsed}");
        }
    }
}
