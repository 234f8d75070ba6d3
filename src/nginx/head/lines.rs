//! The lines of a head, and what they say of the body.

use super::Refusal;

/// The length of the first line of `lines`, which must end with CR LF and hold neither of them, nor
/// a NUL: what some other server takes for a line end is none of our business to sign.
pub fn line_len(lines: &[u8]) -> Result<usize, Refusal> {
    match memchr::memchr3(b'\r', b'\n', b'\0', lines) {
        Some(end) if lines[end..].starts_with(b"\r\n") => Ok(end),
        _ => Err(Refusal::MalformedHeader),
    }
}

/// The name of a header line and its value without the white space around it. Control characters
/// are in neither.
pub fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = memchr::memchr(b':', line).ok_or(Refusal::MalformedHeader)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || name.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(Refusal::MalformedHeader);
    }
    // without a way out early, the compiler makes a loop of it that takes many bytes at a time
    let control = |byte: &u8| (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f);
    if value.iter().fold(false, |any, byte| any | control(byte)) {
        return Err(Refusal::MalformedHeader);
    }
    Ok((name, value.trim_ascii()))
}

/// What the head says of the body's length.
#[derive(Default)]
pub struct Framing<'a> {
    chunked: bool,
    length: Option<&'a [u8]>,
    /// The line that says so.
    line: &'a [u8],
}

impl<'a> Framing<'a> {
    /// Notes a `Content-Length` or `Transfer-Encoding`.
    pub fn add(&mut self, name: &[u8], value: &'a [u8], line: &'a [u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
            return Ok(());
        }
        if self.length.replace(value).is_some() {
            return Err(Refusal::MalformedHeader);
        }
        self.line = line;
        Ok(())
    }

    /// The line to send with a body of `len` bytes; none if the two do not agree, lest the server
    /// takes what follows the head for a request of its own.
    pub fn of(&self, len: u64, drop_body: bool) -> Option<&'a [u8]> {
        let length = self.length.map(|text| str::from_utf8(text).ok()?.parse::<u64>().ok());
        match length {
            _ if self.chunked && !drop_body => None,
            Some(_) if drop_body && len == 0 => Some(&[]),
            Some(length) if length == Some(len) => Some(self.line),
            None if len == 0 => Some(&[]),
            _ => None,
        }
    }

    /// The line to send with a body that nobody has seen whole.
    pub fn unseen(&self) -> Option<&'a [u8]> {
        let length = str::from_utf8(self.length?).ok()?.parse::<u64>();
        (length.is_ok() && !self.chunked).then_some(self.line)
    }
}
