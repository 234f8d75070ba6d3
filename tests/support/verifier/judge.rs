//! What a strict S3 says to a request.
//!
//! The signature is computed with `aws-sigv4`. Where its signer cannot take the request (a query
//! that is no text, a scope of another day than the request), the canonical request is our own and
//! its primitives sign it; everywhere else the two must agree.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4;
use chrono::NaiveDateTime;

use super::super::{amz_date, day, decode, encode, encode_path, sha256_hex, sign};
use super::{Credentials, Received};

/// How far the clocks may be apart.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Query parameters of other ways to authenticate.
const AUTHENTICATION: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "awsaccesskeyid",
];

macro_rules! ensure {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err(format!($($reason)+));
        }
    };
}

/// Judges a request of good form that came to a server `started` at that time.
pub fn judge(received: &Received, known: &Credentials, started: SystemTime) -> Result<(), String> {
    check_target(received, &known.service)?;
    ensure!(!one(received, "Host")?.is_empty(), "empty Host");
    let claim = Claim::parse(one(received, "Authorization")?)?;
    check_signed_headers(received, &claim)?;

    let sent = one(received, "X-Amz-Date")?;
    let date = parse_date(sent).ok_or_else(|| format!("X-Amz-Date is {sent:?}"))?;
    let now = SystemTime::now();
    let apart = now.duration_since(date).unwrap_or_else(|error| error.duration());
    ensure!(!known.check_clock || apart <= SKEW, "X-Amz-Date is {sent}, it is {}", amz_date(now));

    ensure!(claim.access_key == known.access_key, "access key {:?}", claim.access_key);
    let days = match &known.scope_date {
        Some(date) => [date.clone(), date.clone()],
        None if !known.check_clock => [day(date), day(date)],
        None => [day(started), day(now)],
    };
    ensure!(days.iter().any(|day| day == claim.date), "scope of {:?}, not {days:?}", claim.date);
    ensure!(claim.region == known.region, "region {:?}", claim.region);
    ensure!(claim.service == known.service, "service {:?}", claim.service);

    let hash = one(received, "X-Amz-Content-Sha256")?;
    let actual = sha256_hex(&received.body);
    let unsigned = known.unsigned_payload
        && matches!(hash, "UNSIGNED-PAYLOAD" | "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    ensure!(unsigned || hash == actual, "X-Amz-Content-Sha256 is {hash:?}, of the body {actual}");

    let canonical = canonical_request(received, &claim, hash);
    let shown = String::from_utf8_lossy(&canonical);
    let signature = signature(received, &claim, known, (sent, date), hash, &canonical)?;
    ensure!(
        signature == claim.signature,
        "signature {}, not {signature} of {shown:?}",
        claim.signature
    );
    Ok(())
}

/// What an `Authorization` header claims.
struct Claim<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(header: &'a str) -> Result<Self, String> {
        let claim = || {
            let rest = header.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
            let (credential, rest) = rest.split_once(", SignedHeaders=")?;
            let (signed, signature) = rest.split_once(", Signature=")?;
            let parts: Vec<_> = credential.split('/').collect();
            let &[access_key, date, region, service, "aws4_request"] = &parts[..] else {
                return None;
            };
            let signed = signed.split(';').collect();
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            (signature.len() == 64 && signature.bytes().all(hex)).then_some(Claim {
                access_key,
                date,
                region,
                service,
                signed,
                signature,
            })
        };
        claim().ok_or_else(|| format!("Authorization is {header:?}"))
    }
}

/// The value of a header that must be there once.
fn one<'a>(received: &'a Received, name: &str) -> Result<&'a str, String> {
    let values: Vec<_> = received.all(name).collect();
    ensure!(values.len() == 1, "{} {name} headers", values.len());
    str::from_utf8(values[0]).map_err(|_| format!("{name} is no text"))
}

fn check_target(received: &Received, service: &str) -> Result<(), String> {
    let shown = String::from_utf8_lossy(&received.target);
    let (path, query) = match shown.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*shown, None),
    };
    ensure!(path.starts_with('/'), "path {path:?} does not begin with a slash");
    // to other services an encoded slash is no slash
    let canonical = match service {
        "s3" => encode_path(&decode(path.as_bytes())),
        _ => path
            .split('/')
            .map(|part| encode(&decode(part.as_bytes())))
            .collect::<Vec<_>>()
            .join("/"),
    };
    ensure!(canonical == path, "path {path:?} is not canonical");
    let Some(query) = query else { return Ok(()) };
    let mut pairs = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} in the query"))?;
        for part in [name, value] {
            ensure!(encode(&decode(part.as_bytes())) == part, "{pair:?} is not canonical");
        }
        let plain = String::from_utf8_lossy(&decode(name.as_bytes())).to_ascii_lowercase();
        ensure!(!AUTHENTICATION.contains(&&*plain), "{name:?} in the query");
        pairs.push((name, value));
    }
    ensure!(pairs.is_sorted(), "query {query:?} is not sorted");
    Ok(())
}

fn check_signed_headers(received: &Received, claim: &Claim<'_>) -> Result<(), String> {
    let signed = &claim.signed;
    ensure!(signed.is_sorted_by(|a, b| a < b), "{signed:?} are not sorted");
    for name in signed {
        ensure!(!name.bytes().any(|b| b.is_ascii_uppercase()), "{name:?} is not in lower case");
        ensure!(*name != "authorization", "Authorization is signed");
        ensure!(received.all(name).next().is_some(), "{name:?} is signed but not there");
    }
    ensure!(signed.contains(&"host"), "Host is not signed");
    for (name, _) in &received.headers {
        let name = name.to_ascii_lowercase();
        let must = name.starts_with("x-amz-");
        ensure!(!must || signed.contains(&&*name), "{name:?} is not signed");
    }
    Ok(())
}

/// The time that `X-Amz-Date` names.
fn parse_date(text: &str) -> Option<SystemTime> {
    let seconds = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?.and_utc().timestamp();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().ok()?);
    (amz_date(time) == text).then_some(time)
}

fn canonical_request(received: &Received, claim: &Claim<'_>, hash: &str) -> Vec<u8> {
    let path = received.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = String::from_utf8_lossy(path);
    let path = if claim.service == "s3" { path.into_owned() } else { normalize(&path) };
    let mut text = format!("{}\n{path}\n{}\n", received.method, received.query).into_bytes();
    for name in &claim.signed {
        let values: Vec<_> = received.all(name).map(collapse).collect();
        text.extend([name.as_bytes(), b":", &values.join(&b","[..]), b"\n"].concat());
    }
    text.extend(format!("\n{}\n{hash}", claim.signed.join(";")).bytes());
    text
}

/// The value without the white space around it, and one space for each run of them.
fn collapse(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = value.trim_ascii().to_vec();
    out.dedup_by(|a, b| *a == b' ' && *b == b' ');
    out
}

/// The canonical path of services other than S3: no dots, no empty segments, encoded twice.
fn normalize(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            _ => segments.push(segment),
        }
    }
    let end = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let slash = if end && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}", segments.join("/")).replace('%', "%25")
}

/// The signature that the request should have.
fn signature(
    received: &Received,
    claim: &Claim<'_>,
    known: &Credentials,
    (sent, date): (&str, SystemTime),
    hash: &str,
    canonical: &[u8],
) -> Result<String, String> {
    let Claim { date: scope_date, region, service, .. } = claim;
    let scope_time = parse_date(&format!("{scope_date}T000000Z"))
        .ok_or_else(|| format!("scope of {scope_date:?}"))?;
    let key = v4::generate_signing_key(&known.secret_key, scope_time, region, service);
    let string = format!(
        "AWS4-HMAC-SHA256\n{sent}\n{scope_date}/{region}/{service}/aws4_request\n{}",
        sha256_hex(canonical)
    );
    let ours = v4::calculate_signature(key, string.as_bytes());

    let same_day = day(date) == *scope_date;
    let query = received.query_decoded.iter();
    let text = query.flat_map(|(n, v)| [n, v]).all(|part| str::from_utf8(part).is_ok());
    let headers: Option<Vec<_>> = received
        .headers
        .iter()
        .filter(|(name, _)| claim.signed.contains(&&*name.to_ascii_lowercase()))
        .map(|(name, value)| Some((name.as_str(), str::from_utf8(value).ok()?)))
        .collect();
    let headers = headers.filter(|h| h.iter().all(|(_, value)| value.is_ascii()));
    // an `http::Uri` is shorter than 64 KiB
    let fits = same_day && text && received.target.len() < 65_000;
    let Some(headers) = headers.filter(|_| fits) else { return Ok(ours) };
    let target = String::from_utf8_lossy(&received.target);
    let (_, theirs) = sign::sign(known, date, &received.method, &target, &headers, hash)?;
    ensure!(
        ours == theirs,
        "two signatures, {ours} and {theirs}, of {:?}",
        String::from_utf8_lossy(canonical)
    );
    Ok(theirs)
}
