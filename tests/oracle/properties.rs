//! What holds for every request: the tests generate them, and so does the fuzzer.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use ngx_http_aws_auth_module::sigv4::uri::{self, encode_path, encode_query, normalize_path};
use ngx_http_aws_auth_module::sigv4::{
    AmzDate, CanonicalRequest, Headers, Out, PayloadHash, Scope, SigningKey,
};
use percent_encoding::percent_decode;

/// What `write` writes into a buffer that has room for `capacity` bytes and no more.
pub fn written(capacity: usize, write: impl FnOnce(&mut Out<'_>)) -> Vec<u8> {
    let mut buf = vec![0; capacity];
    let mut out = Out::new(&mut buf);
    write(&mut out);
    out.written().to_vec()
}

pub fn encoded(raw: &[u8]) -> Vec<u8> {
    written(uri::encoded_len(raw), |out| encode_path(raw, out))
}

pub fn normalized(path: &[u8]) -> Vec<u8> {
    written(uri::normalized_len(path), |out| normalize_path(path, out))
}

pub fn canonical_query(raw: &[u8]) -> Vec<u8> {
    written(uri::query_len(raw), |out| encode_query(raw, out).unwrap())
}

/// The names of the parameters that authenticate a request, which a query must not keep.
pub const AUTHENTICATING: [&str; 9] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Signature",
];

/// What is signed.
#[derive(Debug, Clone)]
pub struct Request {
    pub s3: bool,
    pub method: &'static str,
    pub host: &'static str,
    pub path: Vec<u8>,
    pub query: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub token: Option<String>,
}

/// Who signs, and when.
#[derive(Debug, Clone)]
pub struct Identity {
    pub access_key: String,
    pub secret: String,
    pub region: String,
    pub service: String,
    pub seconds: u64,
}

/// The `Authorization` that the SDK gives a request which is sent with this path and query.
fn oracle(request: &Request, identity: &Identity, path: &str, query: &str) -> String {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    if request.s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let token = request.token.clone();
    let credentials =
        Credentials::new(&identity.access_key, &identity.secret, token, None, "test").into();
    let params = SigningParams::builder()
        .identity(&credentials)
        .region(&identity.region)
        .name(&identity.service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(identity.seconds))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let separator = if query.is_empty() { "" } else { "?" };
    let request = SignableRequest::new(
        request.method,
        format!("https://{}{path}{separator}{query}", request.host),
        request.headers.iter().map(|(name, value)| (&name[..], &value[..])),
        SignableBody::Bytes(&request.body),
    )
    .unwrap();
    let (instructions, signature) = sign(request, &params).unwrap().into_parts();
    let authorization =
        instructions.headers().find(|(name, _)| *name == "authorization").unwrap().1;
    assert!(authorization.ends_with(&format!("Signature={signature}")));
    authorization.to_owned()
}

/// The same from our side.
fn ours(request: &Request, identity: &Identity, path: &[u8], query: &[u8]) -> String {
    let date = AmzDate::from_unix(identity.seconds.try_into().unwrap()).unwrap();
    let scope = Scope::new(date.day(), &identity.region, &identity.service).unwrap();
    let payload = PayloadHash::of(&request.body);
    let mut headers = Headers::new();
    if let Some(token) = &request.token {
        headers.insert(b"X-Amz-Security-Token", token.as_bytes()).unwrap();
    }
    headers.insert(b"Host", request.host.as_bytes()).unwrap();
    for (name, value) in &request.headers {
        headers.insert(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers.insert(b"X-Amz-Date", date.as_bytes()).unwrap();
    headers.insert(b"X-Amz-Content-Sha256", payload.as_bytes()).unwrap();
    let canonical = if request.s3 { path.to_vec() } else { normalized(path) };
    let signature = CanonicalRequest {
        method: request.method.as_bytes(),
        path: &canonical,
        query,
        headers: &headers,
        payload,
    }
    .string_to_sign(date, &scope)
    .sign(&SigningKey::derive(&identity.secret, &scope));
    let names = written(headers.names_len(), |out| headers.put_names(out));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        identity.access_key,
        String::from_utf8(names).unwrap(),
    )
}

/// The parameters of a query, decoded.
fn parameters(query: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        percent_decode(&spaced).collect::<Vec<u8>>()
    };
    let mut parameters: Vec<_> = query
        .split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            (decode(halves.next().unwrap()), decode(halves.next().unwrap_or_default()))
        })
        .collect();
    parameters.sort();
    parameters
}

/// A path is encoded once, whatever is encoded of it already, and means the same.
pub fn path(raw: &[u8]) {
    let path = encoded(raw);
    assert_eq!(encoded(&path), path);
    assert!(percent_decode(&path).eq(percent_decode(raw)));
    let literal = written(uri::encoded_len(raw), |out| uri::encode_literal_path(raw, out));
    assert!(percent_decode(&literal).eq(raw.iter().copied()));
    // %2F is a slash as soon as it is decoded
    assert!(path.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(b)));
}

/// A query is encoded once and sorted, and means the same, but for what authenticates.
pub fn query(raw: &[u8]) {
    let query = canonical_query(raw);
    assert_eq!(canonical_query(&query), query);
    let mut expected = parameters(raw);
    expected.retain(|(name, _)| {
        !AUTHENTICATING.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    });
    assert_eq!(parameters(&query), expected);
    assert!(query.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~&=%".contains(b)));
}

/// The SDK signs the same.
pub fn signatures(request: &Request, identity: &Identity) {
    let path = encoded(&request.path);
    let query = canonical_query(&request.query);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(
        ours(request, identity, &path, &query),
        oracle(request, identity, &text(&path), &text(&query))
    );
}
