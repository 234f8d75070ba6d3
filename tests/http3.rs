//! Clients that speak HTTP/3, with an nginx that was built for them.

mod support;

use std::net::SocketAddr;
use std::process::Command;

use support::http3::Connection;
use support::{Credentials, Nginx, Verifier};

/// Whether the nginx under test speaks it: the one that the module's build makes does.
fn has_http3() -> bool {
    let output = Command::new(support::nginx::binary()).arg("-V").output().unwrap();
    String::from_utf8_lossy(&output.stderr).contains("--with-http_v3_module")
}

#[test]
fn requests_and_bodies_are_signed() {
    if !has_http3() {
        println!("this nginx was built without HTTP/3");
        return;
    }
    let s3 = Verifier::start(Credentials { unsigned_payload: true, ..Credentials::default() });
    let certificates = tempfile::tempdir().unwrap();
    support::certificate(certificates.path(), "localhost");
    let addr = SocketAddr::from(([127, 0, 0, 1], support::free_port()));
    let nginx = Nginx::builder()
        .log_level("info")
        .http(&format!(
            "{keys} aws_s3_bucket bucket; aws_sign_methods GET PUT;
            server {{
                listen 127.0.0.1:{{port}}; listen {addr} quic; aws_sign; client_max_body_size 10m;
                ssl_certificate {dir}/localhost.crt; ssl_certificate_key {dir}/localhost.key;
                location / {{ proxy_pass http://{s3}; }}
                location /file/ {{ client_body_in_file_only clean; proxy_pass http://{s3}; }}
                location /streamed/ {{
                    aws_payload unsigned; proxy_request_buffering off; proxy_pass http://{s3};
                }}
            }}",
            keys = support::directives(),
            dir = certificates.path().display(),
            s3 = s3.addr(),
        ))
        .start();
    let mut client = Connection::open(addr);
    for len in [0_u32, 1, 5000, 3_000_000] {
        let body: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let pieces: Vec<&[u8]> = body.chunks(body.len() / 3 + 1).collect();
        for target in ["/a%20b+c?x", "/file/x"] {
            let response = client.send("PUT", target, &pieces);
            assert_eq!(response.status, 200, "{target}, {len}: {}", response.text());
            let received = s3.take();
            assert_eq!((received.len(), &received[0].verdict), (1, &Ok(())), "{target}, {len}");
            assert!(received[0].body == body, "{target}, {len}");
            let hash = received[0].header("X-Amz-Content-Sha256");
            assert_eq!(hash, Some(support::sha256_hex(&body)));
        }
        let response = client.send("GET", "/Gr%C3%BC%C3%9Fe", &[]);
        assert_eq!((response.status, &s3.take()[0].verdict), (200, &Ok(())));
    }
    // without a length, it cannot be sent on as it comes
    assert_eq!(client.send("PUT", "/streamed/x", &[b"body"]).status, 411);
    assert!(s3.take().is_empty());
    assert!(!nginx.stop().contains("[error]"));
}
