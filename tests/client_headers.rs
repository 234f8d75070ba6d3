//! What a client may say of a write: `x-amz-*` headers, and bodies in the framing of S3.

mod support;

use support::http::{chunks, message};
use support::{Credentials, Nginx, Received, Verifier};

const METHODS: &str = "aws_sign_methods GET HEAD PUT POST DELETE;";

fn verifier() -> Verifier {
    Verifier::start(Credentials { unsigned_payload: true, ..Credentials::default() })
}

fn start(s3: &Verifier, locations: &str) -> Nginx {
    Nginx::builder()
        .log_level("info")
        .http(&format!(
            "{keys} aws_s3_bucket bucket; {METHODS}
            upstream s3 {{ server {}; }}
            server {{ listen 127.0.0.1:{{port}}; aws_sign; {locations} }}",
            s3.addr(),
            keys = support::directives(),
        ))
        .start()
}

/// The names of the `x-amz-*` headers that came, but for those that every request has.
fn extra(received: &Received) -> Vec<String> {
    let names = received.headers.iter().map(|(name, _)| name.to_lowercase());
    let mut names: Vec<_> = names
        .filter(|name| name.starts_with("x-amz-"))
        .filter(|name| !matches!(&name[..], "x-amz-date" | "x-amz-content-sha256"))
        .collect();
    names.sort();
    names
}

#[test]
fn the_listed_headers_pass_and_are_signed() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /meta/ {
            aws_pass_header x-amz-meta-*; aws_pass_header X-Amz-Tagging;
            proxy_pass http://s3;
            location /meta/inner/ { proxy_pass http://s3; }
            location /meta/other/ { aws_pass_header x-amz-acl; proxy_pass http://s3; }
        }
        location /all/ { aws_pass_header x-amz-* x-amz-acl; proxy_pass http://s3; }",
    );
    let headers = [
        ("X-Amz-Meta-One", "1"),
        ("x-amz-meta-two", "two  words"),
        ("x-amz-meta-one", "another"),
        ("X-Amz-Tagging", "a=b"),
        ("x-amz-acl", "public-read"),
        ("x-amz-date", "20000101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-security-token", "stolen"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
    ];
    let meta = ["x-amz-meta-one", "x-amz-meta-one", "x-amz-meta-two", "x-amz-tagging"];
    let all = ["x-amz-acl", "x-amz-meta-one", "x-amz-meta-one", "x-amz-meta-two", "x-amz-tagging"];
    for (target, passed) in [
        ("/x", &[][..]),
        ("/meta/x", &meta[..]),
        ("/meta/inner/x", &meta),
        ("/meta/other/x", &["x-amz-acl"]),
        ("/all/x", &all),
    ] {
        let put = message("PUT", target, &headers, b"body");
        let response = support::request(nginx.addr(), put);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let received = s3.take();
        assert_eq!(received[0].verdict, Ok(()), "{target}");
        assert_eq!(extra(&received[0]), passed, "{target}");
        let hash = support::sha256_hex(b"body");
        assert_eq!(received[0].header("x-amz-content-sha256"), Some(hash), "{target}");
    }
}

#[test]
fn what_is_no_header_of_a_client_is_refused() {
    for (bad, expected) in [
        ("content-type", "expected the name of an \"x-amz-\" header, or \"x-amz-prefix*\""),
        ("*", "expected the name"),
        ("x-amz-meta-* x-amz-", "expected the name"),
        ("x-amz-meta-", "expected the name"),
        ("x-amz-date", "this header is the module's own"),
        ("X-Amz-Security-Token", "this header is the module's own"),
    ] {
        let (good, stderr) = Nginx::builder().http(&format!("aws_pass_header {bad};")).test();
        let word = bad.split(' ').next_back().unwrap();
        let start = format!("[emerg] invalid value \"{word}\" in \"aws_pass_header\" directive, ");
        assert!(!good && stderr.contains(&start) && stderr.contains(expected), "{stderr}");
    }
}

const TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// A body in the framing of S3, with a checksum behind it.
fn framed(body: &[u8]) -> Vec<u8> {
    [chunks(body, 65536), b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n".to_vec()].concat()
}

#[test]
fn a_body_with_a_trailer_passes() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "client_max_body_size 10m;
        location / { proxy_pass http://s3; }
        location /unsigned/ { aws_payload unsigned; proxy_pass http://s3; }
        location /streamed/ { proxy_request_buffering off; proxy_pass http://s3; }
        location /set/ { proxy_set_body fixed; proxy_pass http://s3; }
        location /without/ {
            proxy_pass_request_body off; proxy_set_header Content-Length 0; proxy_pass http://s3;
        }",
    );
    for len in [0, 10, 1_000_000] {
        let body = framed(&vec![b'x'; len]);
        let decoded = len.to_string();
        let headers = [
            ("X-Amz-Content-Sha256", TRAILER),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-decoded-content-length", &*decoded),
            ("Content-Encoding", "aws-chunked"),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ];
        for target in ["/x", "/unsigned/x", "/streamed/x", "/set/x", "/without/x"] {
            let response = support::request(nginx.addr(), message("PUT", target, &headers, &body));
            assert_eq!(response.status, 200, "{target}: {}", response.text());
            let received = &s3.take()[0];
            assert_eq!(received.verdict, Ok(()), "{target}");
            let hash = received.header("x-amz-content-sha256").unwrap();
            match target {
                "/set/x" => {
                    assert_eq!(
                        (&received.body[..], hash),
                        (&b"fixed"[..], support::sha256_hex(b"fixed"))
                    );
                }
                "/without/x" => {
                    assert_eq!((&received.body[..], hash), (&b""[..], support::sha256_hex(b"")));
                }
                _ => {
                    assert!(received.body == body, "{target}");
                    assert_eq!(hash, TRAILER);
                    assert_eq!(extra(received), ["x-amz-decoded-content-length", "x-amz-trailer"]);
                    assert_eq!(received.header("content-encoding").as_deref(), Some("aws-chunked"));
                }
            }
        }
        // in HTTP's chunks as well, as some clients send it
        let mut both = headers.to_vec();
        both.push(("Transfer-Encoding", "chunked"));
        let twice = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        let response = support::request(nginx.addr(), message("PUT", "/x", &both, &twice));
        assert_eq!(response.status, 200, "{}", response.text());
        let received = &s3.take()[0];
        assert!(received.verdict.is_ok() && received.body == body);
        let response = support::request(nginx.addr(), message("PUT", "/streamed/x", &both, &twice));
        assert_eq!(response.status, 411);
    }
    // without a body, it is nothing special
    let get =
        message("GET", "/x", &[("X-Amz-Content-Sha256", TRAILER), ("x-amz-trailer", "a")], b"");
    assert_eq!(support::request(nginx.addr(), get).status, 200);
    let received = &s3.take()[0];
    assert_eq!((&received.verdict, extra(received).len()), (&Ok(()), 0));
    assert!(!nginx.stop().contains("[error]"));
}

#[test]
fn a_body_signed_in_chunks_is_refused() {
    let s3 = verifier();
    let nginx = start(&s3, "location / { proxy_pass http://s3; }");
    for hash in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    ] {
        for method in ["PUT", "POST"] {
            let headers = [("x-amz-content-sha256", hash)];
            let response =
                support::request(nginx.addr(), message(method, "/x", &headers, b"0\r\n\r\n"));
            assert_eq!(response.status, 501, "{method} {hash}");
        }
    }
    assert!(s3.take().is_empty());
    assert!(nginx.stop().contains("have it send a body that is not signed in chunks"));
}

#[test]
fn a_query_of_a_write_has_no_headers_in_it() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /meta/ { aws_pass_header x-amz-meta-*; proxy_pass http://s3; }
        location /path/ { aws_s3_addressing path; proxy_pass http://s3/; }",
    );
    let query =
        "?x-amz-meta-a=1&X-Amz-Acl=public-read&x%2damz-copy-source=/b/k&partNumber=2&x-id=P";
    for (method, target, sent) in [
        ("PUT", "/x", "/x?partNumber=2&x-id=P"),
        ("POST", "/x", "/x?partNumber=2&x-id=P"),
        ("DELETE", "/path/x", "/bucket/x?partNumber=2&x-id=P"),
        ("PUT", "/meta/x", "/meta/x?partNumber=2&x-amz-meta-a=1&x-id=P"),
        // what only reads is as it was asked
        (
            "GET",
            "/x",
            "/x?X-Amz-Acl=public-read&partNumber=2&x-amz-copy-source=%2Fb%2Fk&x-amz-meta-a=1&x-id=P",
        ),
    ] {
        let request = message(method, format!("{target}{query}"), &[], b"");
        assert_eq!(support::request(nginx.addr(), request).status, 200, "{method} {target}");
        let received = &s3.take()[0];
        assert_eq!(received.verdict, Ok(()), "{method} {target}");
        assert_eq!(String::from_utf8_lossy(&received.target), sent, "{method}");
    }
}

#[test]
fn no_value_of_a_client_takes_a_header_of_the_operator_away() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location / {
            proxy_set_header x-amz-meta-user $http_x_user;
            proxy_set_header X-Amz-Acl private;
            proxy_set_header x-amz-tagging '';
            proxy_pass http://s3;
        }
        location /set/ {
            proxy_set_header X-Amz-Acl private; proxy_set_body $arg_body; proxy_pass http://s3;
        }",
    );
    for value in ["anna", "\"set by the client\"", "\x7fset by the client", "a"] {
        let headers = [
            ("X-User", value),
            ("x-amz-meta-user", value),
            ("x-amz-acl", value),
            ("x-amz-tagging", value),
            ("x-amz-other", value),
        ];
        let response = support::request(nginx.addr(), message("PUT", "/x", &headers, b""));
        let received = s3.take();
        if value.contains('\x7f') {
            assert_eq!((response.status, received.len()), (500, 0));
            continue;
        }
        assert_eq!((response.status, &received[0].verdict), (200, &Ok(())), "{value}");
        assert_eq!(extra(&received[0]), ["x-amz-acl", "x-amz-meta-user"], "{value}");
        assert_eq!(received[0].header("x-amz-acl").as_deref(), Some("private"));
        assert_eq!(received[0].header("x-amz-meta-user").as_deref(), Some(value));
    }
    for body in
        ["x-amz-acl:\"set by the client\"", "x-amz-acl:\x7fset by the client", "\r\nx-amz-acl:a"]
    {
        let headers = [("x-amz-other", "a")];
        let request = message(
            "PUT",
            format!("/set/x?body={body}").replace([' ', '\r', '\n', '\x7f'], "+"),
            &headers,
            b"",
        );
        assert_eq!(support::request(nginx.addr(), request).status, 200, "{body}");
        assert_eq!(extra(&s3.take()[0]), ["x-amz-acl"], "{body}");
    }
}

#[test]
fn many_headers_are_dropped_and_many_pass() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /all/ { aws_pass_header x-amz-*; proxy_pass http://s3; }",
    );
    let names: Vec<String> = (0..900).rev().map(|n| format!("X-Amz-{n:03}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    for (target, passed) in [("/x", 0), ("/all/x", 900)] {
        let response = support::request(nginx.addr(), message("GET", target, &headers, b""));
        assert_eq!(response.status, 200, "{target}");
        let received = &s3.take()[0];
        assert_eq!((&received.verdict, extra(received).len()), (&Ok(()), passed), "{target}");
    }
    let log = nginx.stop();
    let line = "aws_sign: client sent header \"X-Amz-899\", dropped as \"aws_pass_header\" does not list it";
    assert!(log.contains(line), "{log}");
    assert_eq!(log.matches("dropped as").count(), 8, "no more of one request");
}

#[test]
fn a_framed_body_without_a_hash_passes_or_is_refused() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /unsigned/ { aws_payload unsigned; proxy_pass http://s3; }",
    );
    let body = framed(b"hello");
    let encoded = ("Content-Encoding", "aws-chunked");
    let (length, trailer) =
        (("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc32"));
    for target in ["/x", "/unsigned/x"] {
        let headers = [encoded, length, trailer];
        let response = support::request(nginx.addr(), message("PUT", target, &headers, &body));
        assert_eq!(response.status, 200, "{target}");
        let received = &s3.take()[0];
        assert_eq!((&received.verdict, &received.body), (&Ok(()), &body), "{target}");
        assert_eq!(received.header("x-amz-content-sha256").as_deref(), Some(TRAILER));
        assert_eq!(extra(received), ["x-amz-decoded-content-length", "x-amz-trailer"]);

        let headers = [encoded, length];
        let response = support::request(nginx.addr(), message("PUT", target, &headers, &body));
        assert_eq!(response.status, 501, "{target}");
    }
    assert!(s3.take().is_empty());
    assert!(nginx.stop().contains("client sent its body with \"Content-Encoding: aws-chunked\""));
}

#[test]
fn a_tab_in_a_value_is_a_space() {
    let s3 = verifier();
    let nginx = start(&s3, "location / { aws_pass_header x-amz-meta-*; proxy_pass http://s3; }");
    let headers = [("x-amz-meta-a", "one\ttwo"), ("x-amz-meta-b", "x"), ("X-Other", "a\tb")];
    assert_eq!(support::request(nginx.addr(), message("PUT", "/x", &headers, b"")).status, 200);
    let received = &s3.take()[0];
    assert_eq!(received.verdict, Ok(()));
    assert_eq!(received.header("x-amz-meta-a").as_deref(), Some("one two"));
    assert_eq!(received.header("x-other").as_deref(), Some("a\tb"));
}
