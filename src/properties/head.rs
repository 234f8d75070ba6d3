//! A head of any bytes is refused, or it comes out signed and says one thing only.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::choice;
use crate::nginx::credential::{Credential, Token};
use crate::nginx::head::{Body, Plan, Rules};
use crate::nginx::methods::Methods;
use crate::nginx::passed::is_token_byte;
use crate::nginx::target::Target;
use crate::sigv4::{AmzDate, Day, Out, PayloadHash, Scope, SigningKey, hex, uri};

const KEY: [u8; 32] = [7; 32];
const DATE: &str = "20150830T123600Z";
const HOST: &[u8] = b"bucket.s3.test:9000";
const TOKEN: &[u8] = b"session-token";

/// The names of which one header at most may come out.
const SINGLE: [&str; 6] = [
    "host",
    "authorization",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "content-length",
];

fn is_single(name: &[u8]) -> bool {
    SINGLE.iter().any(|single| single.as_bytes() == name)
}

/// Signs the request that follows the first byte, and checks what comes out.
pub fn head(data: &[u8]) {
    let Some((choice, wire)) = choice(data) else { return };
    let bit = |n: u8| choice >> n & 1 == 1;
    let service = if bit(0) { "s3" } else { "execute-api" };
    let scope = Scope::new(Day::parse(b"20150830").unwrap(), "us-east-1", service).unwrap();
    let token = bit(1).then(|| Token::new(TOKEN).unwrap().into());
    let credential = Credential::new(b"AKID", scope, SigningKey::new(&KEY).into(), token);
    let methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"].map(str::as_bytes);
    let body = match choice >> 6 {
        0 | 1 => Body::NONE,
        2 => Body::Whole { len: 3, hash: PayloadHash::of(b"abc") },
        _ => Body::Streamed(PayloadHash::Unsigned),
    };
    let rules = Rules {
        credential: &credential,
        date: AmzDate::parse(DATE.as_bytes()).unwrap(),
        host: bit(2).then_some(HOST),
        drop_body: bit(3),
        methods: &Methods::new(methods.into_iter()).unwrap(),
        passed: &[],
        body,
    };
    let find = |what: &[u8]| memchr::memmem::find(wire, what);
    let start = find(b" ").map_or(0, |space| space + 1);
    let end = find(b" HTTP/").unwrap_or(wire.len()).max(start);
    let foreign = |name: &[u8]| bit(4) && name.len() % 2 == 1;
    let target = |wire| match bit(5) {
        true => Target::encoded(wire).led_by(b"/bucket"),
        false => Target::encoded(wire),
    };
    let mut plan = Plan::new(&rules);
    if plan.read(wire, start..end, target, foreign).is_err() {
        return;
    }
    let mut buf = vec![0; plan.capacity()];
    let signed = plan.write(&mut buf, |_, _| ()).expect("there is memory");
    // line ends before this are bytes of a path
    check(&buf[..signed.len], &wire[end..], &rules, service == "s3");
}

fn check(sent: &[u8], came: &[u8], rules: &Rules<'_>, s3: bool) {
    let split = |bytes: &[u8]| memchr::memmem::find(bytes, b"\r\n\r\n").expect("the head ends");
    let (head, body) = sent.split_at(split(sent) + 4);
    let (came, came_body) = came.split_at(split(came) + 4);
    assert_eq!(body, came_body, "the body is the one that came");
    let lines = lines(head);
    let request_line: Vec<&[u8]> = lines[0].split(|byte| *byte == b' ').collect();
    let &[method, target, version] = &request_line[..] else { panic!("no request line") };
    assert!(method.iter().all(u8::is_ascii_uppercase));
    assert!(matches!(version, b"HTTP/1.0" | b"HTTP/1.1"));
    check_target(target);

    let headers: Vec<(Vec<u8>, &[u8])> = lines[1..].iter().map(|line| header(line)).collect();
    let all = |name: &str| {
        let values = headers.iter().filter(move |(other, _)| other == name.as_bytes());
        values.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    for name in SINGLE {
        assert!(all(name).len() <= 1, "{name}");
    }
    assert_eq!(all("x-amz-date"), [DATE.as_bytes()]);
    assert_eq!(all("x-amz-security-token"), rules.credential.token().as_slice());
    assert!(rules.host.is_none_or(|host| all("host") == [host]));
    assert!(all("transfer-encoding").is_empty());
    check_length(&all("content-length"), body, rules);

    // nothing is made up: all else came in
    let came = self::lines(came);
    for (line, (name, _)) in lines[1..].iter().zip(&headers) {
        // but for tabs, of which spaces were made
        let same = |other: &&[u8]| header(other).0 == *name && spaced(other) == spaced(line);
        let known = came.contains(line) || is_signed(name) && came[1..].iter().any(same);
        assert!(is_single(name) || known, "{} was made up", name.escape_ascii());
        assert!(!is_signed(name) || !line.contains(&b'\t'));
    }
    let payload = all("x-amz-content-sha256");
    let expected = match rules.body {
        Body::Whole { len: 1.., hash } => hash,
        Body::Streamed(payload) if body.is_empty() => payload,
        _ => PayloadHash::of(body),
    };
    let of_nothing = all("content-length").first().is_none_or(|length| *length == b"0");
    assert!(payload == [expected.as_bytes()] || of_nothing && body.is_empty());
    let canonical = canonical(method, target, &headers, payload[0], s3);
    check_signature(all("authorization")[0], &canonical, rules);
}

/// A header's value with spaces in the place of tabs.
fn spaced(line: &[u8]) -> Vec<u8> {
    header(line).1.iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect()
}

fn is_signed(name: &[u8]) -> bool {
    name.starts_with(b"x-amz-") || matches!(name, b"host" | b"content-md5")
}

/// The lines of a head, none of which another server could take for two.
fn lines(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let line = &rest[..end];
        if line.is_empty() {
            break;
        }
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')));
        lines.push(line);
        rest = &rest[end + 2..];
    }
    lines
}

fn check_target(target: &[u8]) {
    assert!(target.starts_with(b"/"));
    let mut bytes = target.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let hex = |byte: Option<&u8>| byte.is_some_and(|b| b"0123456789ABCDEF".contains(b));
            assert!(hex(bytes.next()) && hex(bytes.next()));
        } else {
            assert!(byte.is_ascii_alphanumeric() || b"-._~/?&=".contains(byte));
        }
    }
    assert!(target.iter().filter(|byte| **byte == b'?').count() <= 1);
}

/// A header's name in lower case, and its value.
fn header(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let colon = memchr::memchr(b':', line).expect("a colon");
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    assert!(!name.is_empty() && name.iter().all(|byte| *byte > b' ' && *byte != 0x7f));
    assert!(value.iter().all(|byte| *byte >= b' ' && *byte != 0x7f || *byte == b'\t'));
    (name.to_ascii_lowercase(), value)
}

fn check_length(lengths: &[&[u8]], body: &[u8], rules: &Rules<'_>) {
    let announced = lengths.first().map(|length| str::from_utf8(length).unwrap());
    let announced: Option<u64> = announced.map(|length| length.parse().unwrap());
    match rules.body {
        Body::Whole { len: len @ 1.., .. } => {
            assert!(announced == Some(len) && body.is_empty());
        }
        // what nobody has seen may have any length that is known
        Body::Streamed(_) if body.is_empty() => assert!(announced.is_some()),
        _ => assert_eq!(announced.unwrap_or(0), body.len() as u64),
    }
}

/// The canonical request by the book, with no regard to speed.
fn canonical(
    method: &[u8],
    target: &[u8],
    headers: &[(Vec<u8>, &[u8])],
    payload: &[u8],
    s3: bool,
) -> (Vec<u8>, String) {
    let names = headers.iter().map(|(name, _)| &name[..]).filter(|name| is_signed(name));
    let mut names: Vec<&str> = names.map(|name| str::from_utf8(name).unwrap()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| is_token_byte(&byte))));
    names.sort();
    names.dedup();
    let mut parts = target.splitn(2, |byte| *byte == b'?');
    let (path, query) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    let mut normal = vec![0; uri::normalized_len(path)];
    let mut out = Out::new(&mut normal);
    uri::normalize_path(path, &mut out);
    let path = if s3 { path } else { out.written() };
    let mut text = [method, b"\n", path, b"\n", query, b"\n"].concat();
    for name in &names {
        let values =
            headers.iter().filter(|(other, _)| other == name.as_bytes()).map(|(_, value)| {
                let mut folded = Vec::new();
                for byte in *value {
                    if *byte != b' ' || folded.last() != Some(&b' ') {
                        folded.push(*byte);
                    }
                }
                folded
            });
        let values: Vec<_> = values.collect();
        text.extend([name.as_bytes(), b":", &values.join(&b','), b"\n"].concat());
    }
    let names = names.join(";");
    text.extend([b"\n", names.as_bytes(), b"\n", payload].concat());
    (text, names)
}

fn check_signature(authorization: &[u8], canonical: &(Vec<u8>, String), rules: &Rules<'_>) {
    let (text, names) = canonical;
    let scope = rules.credential.scope().as_str();
    let hash = hex(&Sha256::digest(text).into());
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(format!("AWS4-HMAC-SHA256\n{DATE}\n{scope}\n").as_bytes());
    mac.update(&hash);
    let signature = hex(&mac.finalize().into_bytes().into());
    let expected = format!(
        "AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={names}, Signature={}",
        str::from_utf8(&signature).unwrap()
    );
    assert_eq!(str::from_utf8(authorization).unwrap(), expected);
}
