//! The signing core beside its floor, the bare hashing, and beside AWS's own signer, at three sizes.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ngx_http_aws_auth_module::sigv4::{
    AmzDate, CanonicalRequest, Headers, Out, PayloadHash, PayloadHasher, Scope, Signature,
    SigningKey, StringToSign, uri,
};
use sha2::{Digest as _, Sha256};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const HOST: &str = "examplebucket.s3.amazonaws.com";
const SECONDS: u64 = 1_440_938_160;

struct Request {
    name: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
}

fn requests() -> [Request; 3] {
    let path = "/photos/2015/08/30/some-object-name0.jpg".to_owned();
    assert_eq!(path.len(), 40);
    let name = |n| format!("x-amz-meta-{n:02}");
    [
        Request { name: "GET", path: path.clone(), query: String::new(), headers: vec![] },
        Request {
            name: "GET, 20 more headers",
            path,
            query: String::new(),
            headers: (0..20).map(|n| (name(n), "some value of a header".to_owned())).collect(),
        },
        Request {
            name: "GET, 1 KiB path, 10 parameters",
            path: "/0123456789abcde".repeat(64),
            query: (0..10).rev().map(|n| format!("parameter-{n}=value{n}&")).collect(),
            headers: vec![],
        },
    ]
}

/// Signs as the module does: encodes path and query, and signs them with three headers or more. The
/// date is formatted once a second.
fn sign<T>(
    request: &Request,
    scope: &Scope,
    date: AmzDate,
    buf: &mut [u8],
    end: impl FnOnce(&CanonicalRequest<'_, '_>, &StringToSign<'_>) -> T,
) -> T {
    let mut out = Out::new(buf);
    uri::encode_path(request.path.as_bytes(), &mut out);
    let (path, mut out) = out.finish();
    uri::encode_query(request.query.as_bytes(), &mut out).unwrap();
    let query = out.written();
    let payload = PayloadHash::EMPTY;
    let mut headers = Headers::new();
    headers.insert_lower(b"host", HOST.as_bytes()).unwrap();
    headers.insert_lower(b"x-amz-content-sha256", payload.as_bytes()).unwrap();
    headers.insert_lower(b"x-amz-date", date.as_bytes()).unwrap();
    for (name, value) in &request.headers {
        headers.insert(name.as_bytes(), value.as_bytes()).unwrap();
    }
    let request = CanonicalRequest { method: b"GET", path, query, headers: &headers, payload };
    let string = request.string_to_sign(date, scope);
    end(&request, &string)
}

fn bench_request(group: &mut BenchmarkGroup<'_, WallTime>, request: &Request) {
    let scope = Scope::parse(b"20150830/us-east-1/s3/aws4_request").unwrap();
    let key = SigningKey::derive(SECRET, &scope);
    let date = AmzDate::from_unix(SECONDS as i64).unwrap();
    let mut buf = vec![0; 8192];

    let (mut canonical, mut to_sign) = (Vec::new(), Vec::new());
    sign(request, &scope, date, &mut buf, |request, string| {
        request.write_to(&mut canonical);
        string.write_to(&mut to_sign);
    });
    let mac = Hmac::<Sha256>::new_from_slice(&[1; 32]).unwrap();
    group.bench_function("hash floor", |bencher| {
        bencher.iter(|| {
            let hash = Sha256::digest(black_box(&canonical));
            let mut mac = mac.clone();
            mac.update(black_box(&to_sign));
            (hash, mac.finalize().into_bytes())
        });
    });
    group.bench_function("sign", |bencher| {
        bencher.iter(|| -> Signature {
            sign(black_box(request), &scope, black_box(date), &mut buf, |_, string| {
                string.sign(&key)
            })
        });
    });

    let identity = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "bench").into();
    let target = format!("https://{HOST}{}?{}", request.path, request.query);
    let headers = || request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    group.bench_function("aws-sigv4", |bencher| {
        bencher.iter(|| {
            let mut settings = SigningSettings::default();
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region("us-east-1")
                .name("s3")
                .time(SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS))
                .settings(settings)
                .build()
                .unwrap()
                .into();
            let body = SignableBody::Bytes(b"");
            let request = SignableRequest::new("GET", black_box(&target), headers(), body).unwrap();
            aws_sigv4::http_request::sign(request, &params).unwrap()
        });
    });
}

/// A body as it arrives: in the pieces of nginx's buffers.
fn bench_body(group: &mut BenchmarkGroup<'_, WallTime>) {
    const PIECE: usize = 16 * 1024;
    let body = vec![b'x'; 1 << 20];
    group.bench_function("hash floor", |bencher| {
        bencher.iter(|| Sha256::digest(black_box(&body)));
    });
    group.bench_function("in pieces", |bencher| {
        bencher.iter(|| {
            let mut hasher = PayloadHasher::default();
            body.chunks(PIECE).for_each(|piece| hasher.update(black_box(piece)));
            hasher.finish()
        });
    });
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("body of 1 MiB");
    bench_body(&mut group);
    group.finish();
    for request in &requests() {
        let mut group = criterion.benchmark_group(request.name);
        bench_request(&mut group, request);
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = bench
}
criterion_main!(benches);
