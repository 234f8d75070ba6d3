//! Requests off the wire, byte for byte.

use std::io::{self, BufRead, Read as _};

use super::super::decode;
use super::Received;

/// More than any nginx sends.
const MAX_HEAD: usize = 4 << 20;

/// Reads the next request; nothing at the end of the connection.
///
/// What is wrong with its form becomes its verdict. The flag says whether the connection can go on.
pub fn read(stream: &mut impl BufRead) -> io::Result<Option<(Received, bool)>> {
    let mut head = Vec::new();
    let whole = loop {
        let start = head.len();
        stream.read_until(b'\n', &mut head)?;
        match &head[start..] {
            b"\n" | b"\r\n" if start > 0 => break true,
            line if line.ends_with(b"\n") && head.len() < MAX_HEAD => {}
            _ => break false,
        }
    };
    if head.is_empty() {
        return Ok(None);
    }
    let mut received = Received::new(head);
    let form = if whole { parse(&mut received) } else { Err("the head has no end".to_owned()) };
    let mut goes_on = form.is_ok();
    received.verdict = form;
    if goes_on {
        match framing(&received) {
            Ok(Framing::Length(length)) => {
                let read = stream.by_ref().take(length).read_to_end(&mut received.body)?;
                if (read as u64) < length {
                    received.verdict = Err("the body has no end".to_owned());
                    goes_on = false;
                }
            }
            Ok(Framing::Chunked) => {
                received.body = chunks(stream)?;
                received.verdict = Err("Transfer-Encoding: S3 wants a length".to_owned());
            }
            Err(reason) => {
                received.verdict = Err(reason);
                goes_on = false;
            }
        }
    }
    goes_on &= match received.header("Connection").map(|v| v.to_ascii_lowercase()) {
        Some(value) if value.contains("close") => false,
        Some(value) if value.contains("keep-alive") => true,
        _ => received.version == "HTTP/1.1",
    };
    Ok(Some((received, goes_on)))
}

/// Takes the head apart, as far as it goes.
fn parse(received: &mut Received) -> Result<(), String> {
    let head = std::mem::take(&mut received.raw_head);
    let result = parse_lines(&head, received);
    received.raw_head = head;
    result?;
    let head = &received.raw_head;
    if head.contains(&0) {
        return Err("NUL".to_owned());
    }
    for (index, byte) in head.iter().enumerate() {
        match byte {
            b'\r' if head.get(index + 1) != Some(&b'\n') => return Err("bare CR".to_owned()),
            b'\n' if index == 0 || head[index - 1] != b'\r' => return Err("bare LF".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

fn parse_lines(head: &[u8], received: &mut Received) -> Result<(), String> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let line = lines.next().unwrap_or_default();
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let rest = words.next().ok_or("request line of one word")?;
    let mut words = rest.rsplitn(2, |byte| *byte == b' ');
    let version = words.next().unwrap_or_default();
    let target = words.next().ok_or("request line of two words")?;
    received.method = String::from_utf8_lossy(method).into_owned();
    received.version = String::from_utf8_lossy(version).into_owned();
    received.target = target.to_vec();
    let mut parts = target.splitn(2, |byte| *byte == b'?');
    received.path_decoded = decode(parts.next().unwrap_or_default());
    if let Some(query) = parts.next() {
        received.query = String::from_utf8_lossy(query).into_owned();
        received.query_decoded = query
            .split(|byte| *byte == b'&')
            .map(|pair| {
                let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()))
            })
            .collect();
    }
    let mut defect = Ok(());
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.get(1..).unwrap_or_default();
        let shown = String::from_utf8_lossy(line).into_owned();
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            defect = Err(format!("folded header {shown:?}"));
        } else if colon.is_none() || name.is_empty() || !name.iter().all(is_token) {
            defect = Err(format!("malformed header {shown:?}"));
        } else if value.iter().any(|byte| matches!(byte, 0 | b'\r')) {
            // named more exactly by the caller
        } else if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            defect = Err(format!("control character in header {shown:?}"));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        received.headers.push((name, value.trim_ascii().to_vec()));
    }
    received.host = received.header("Host").unwrap_or_default();
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return Err(format!("method {:?}", received.method));
    }
    if !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") {
        return Err(format!("version {:?}", received.version));
    }
    defect
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

enum Framing {
    Length(u64),
    Chunked,
}

fn framing(received: &Received) -> Result<Framing, String> {
    let lengths: Vec<_> = received.all("Content-Length").collect();
    let codings: Vec<_> = received.all("Transfer-Encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let length = String::from_utf8_lossy(length).into_owned();
            let parsed = length.parse().ok().filter(|_| digits);
            parsed.map(Framing::Length).ok_or_else(|| format!("Content-Length {length:?}"))
        }
        ([], [b"chunked"]) if received.version == "HTTP/1.1" => Ok(Framing::Chunked),
        ([_, _, ..], []) => Err("more than one Content-Length".to_owned()),
        ([], _) => Err("Transfer-Encoding is not chunked".to_owned()),
        _ => Err("Content-Length and Transfer-Encoding".to_owned()),
    }
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, line))?;
        stream.by_ref().take(size).read_to_end(&mut body)?;
        stream.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}
