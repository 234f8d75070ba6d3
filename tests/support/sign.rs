//! Requests signed by `aws-sigv4`, which shares no code with the module.

use std::time::SystemTime;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;

use super::verifier::Credentials;
use super::{http, sha256_hex};

/// A request to sign.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub host: &'a str,
    /// Path and query, both in canonical form.
    pub target: &'a str,
    /// More headers; all of them are signed.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub time: SystemTime,
}

impl<'a> Request<'a> {
    pub fn get(host: &'a str, target: &'a str) -> Self {
        let time = SystemTime::now();
        Request { method: "GET", host, target, headers: &[], body: b"", time }
    }

    /// All headers of the signed request.
    pub fn signed_headers(&self, credentials: &Credentials) -> Vec<(String, String)> {
        let mut headers = vec![("host", self.host)];
        headers.extend(self.headers);
        let hash = sha256_hex(self.body);
        let (added, _) =
            sign(credentials, self.time, self.method, self.target, &headers, &hash).unwrap();
        let given = headers.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        given.chain(added).collect()
    }

    /// The signed request as it is sent, with `Connection: close`.
    pub fn signed(&self, credentials: &Credentials) -> Vec<u8> {
        let headers = self.signed_headers(credentials);
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        http::message(self.method, self.target, &headers, self.body)
    }
}

/// The headers that `aws-sigv4` adds to a request, and the signature among them.
///
/// Not every request can be signed: its target must be an URI and its query text.
pub fn sign(
    credentials: &Credentials,
    time: SystemTime,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    payload_hash: &str,
) -> Result<(Vec<(String, String)>, String), String> {
    let identity: Identity = AwsCredentials::new(
        &credentials.access_key,
        &credentials.secret_key,
        None,
        None,
        "support",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.excluded_headers = None;
    if credentials.service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&credentials.region)
        .name(&credentials.service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let uri = format!("http://host{target}");
    let body = SignableBody::Precomputed(payload_hash.to_owned());
    let request = SignableRequest::new(method, uri, headers.iter().copied(), body)
        .map_err(|error| error.to_string())?;
    let signed = aws_sigv4::http_request::sign(request, &params);
    let (instructions, signature) = signed.map_err(|error| error.to_string())?.into_parts();
    let added = instructions.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    Ok((added, signature))
}
