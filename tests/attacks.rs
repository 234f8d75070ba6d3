//! Clients that want more than an object of the bucket, and locations that have more than a signature
//! in them.

mod support;

use std::time::Duration;

use support::http::{message, try_request};
use support::{Credentials, Nginx, Verifier};

fn start(s3: &Verifier, locations: &str) -> Nginx {
    Nginx::builder()
        .log_level("info")
        .http(&format!(
            "{keys} aws_s3_bucket bucket; aws_session_token session/token+of/a/test;
            aws_sign_methods GET HEAD PUT POST DELETE;
            upstream s3 {{ server {s3}; }}
            server {{ listen 127.0.0.1:{{port}}; aws_sign; {locations} }}",
            keys = support::directives(),
            s3 = s3.addr(),
        ))
        .start()
}

const HOST: &str = "bucket.s3.amazonaws.com";
const TOKEN: &str = "session/token+of/a/test";

/// Each request that came is signed, for our bucket, with our token, and has no header of an attacker.
fn check(s3: &Verifier, what: &str) -> usize {
    let received = s3.take();
    for received in &received {
        assert_eq!(received.verdict, Ok(()), "{what}");
        assert_eq!(received.host, HOST, "{what}");
        assert_eq!(received.header("X-Amz-Security-Token").as_deref(), Some(TOKEN), "{what}");
        for (name, value) in &received.headers {
            let known = ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
            let name = name.to_lowercase();
            assert!(!name.starts_with("x-amz-") || known.contains(&&name[..]), "{what}: {name}");
            assert!(!value.windows(4).any(|part| part == b"evil"), "{what}: {name}");
        }
    }
    received.len()
}

#[test]
fn lines_cannot_be_put_into_the_head() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /uri/ { proxy_set_header X-Uri $uri; proxy_pass http://s3; }
        location /document/ { proxy_set_header X-Uri a${document_uri}b; proxy_pass http://s3; }
        location ~ ^/captured/(.*)/end$ { proxy_set_header X-Key \"$1-v\"; proxy_pass http://s3; }
        location /set/ { set $kept $uri; rewrite ^ /gone break; proxy_set_header X-Key $kept; proxy_pass http://s3; }
        location /redirected/ { set $kept $uri; rewrite ^ /other/gone last; }
        location /other/ { proxy_set_header X-Key $kept; proxy_pass http://s3; }
        location /host/ { proxy_set_header Host $uri; proxy_pass http://s3; }
        location /body/ { proxy_set_body $uri; proxy_pass http://s3; }
        location ~ ^/target/(?<key>.*)$ { proxy_pass http://s3/$key; }",
    );
    let lines = [
        "x-amz-acl:%20public-read",
        "X-Amz-Acl:public-read",
        "x-amz-copy-source:%20/evil/key",
        "Host:%20evil.test",
        "Content-Length:%205",
        "Transfer-Encoding:%20chunked",
        "Authorization:%20evil",
        "X-Evil:%20evil",
        "X-Amz-Security-Token:%20evil",
        "X-Amz-Empty:",
        "Expect:%20100-continue",
    ];
    for line in lines {
        for end in ["%0D%0A", "%0d%0a", "%0A", "%0D", "%0D%0A%0D%0A", "%00%0D%0A"] {
            for place in
                ["uri", "document", "captured", "set", "redirected", "host", "body", "target", "x"]
            {
                for suffix in ["", "%0D%0AA:%20b", "%0D%0A%0D%0AGET%20/evil%20HTTP/1.1%0D%0A"] {
                    let target = format!("/{place}/key{end}{line}{suffix}/end");
                    let answer = try_request(nginx.addr(), message("GET", &target, &[], b""));
                    let status = answer.map_or(0, |answer| answer.status);
                    let sent = check(&s3, &target);
                    assert!(sent <= 1, "{target} became {sent} requests");
                    assert!(status != 200 || sent == 1, "{target}: {status}");
                    // in the target, every byte is one of a key
                    if matches!(place, "target" | "x") && !end.starts_with("%00") {
                        assert_eq!((status, sent), (200, 1), "{target}");
                    }
                }
            }
        }
    }
    assert_eq!(support::get(nginx.addr(), "/body/%0D%0A%0D%0AGET%20/evil").status, 200);
    assert_eq!(check(&s3, "a body of the path"), 1);
    // what only looks like it is a key
    for key in ["/uri/a%0D%0Ab", "/uri/%0Aa:b", "/x/%0D%0AHost:%20nothing", "/x/%0D%0Aaccept:%20a"]
    {
        let answer = support::get(nginx.addr(), key);
        assert!(answer.status == 200 || key.starts_with("/uri/"), "{key}");
        check(&s3, key);
    }
    nginx.wait_for_log("aws_sign: the upstream request has a", Duration::from_secs(1));
}

#[test]
fn a_client_chooses_its_object_only() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /path/ { aws_endpoint bucket.s3.amazonaws.com; aws_s3_addressing path; proxy_pass http://s3; }",
    );
    for (name, value) in [
        ("Host", "evil.s3.amazonaws.com"),
        ("X-Forwarded-Host", "bucket"),
        ("X-Amz-Date", "20000101T000000Z"),
        ("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "1"),
        ("X-Amz-Security-Token", "evil"),
        ("x-amz-expected-bucket-owner", "evil"),
        ("X-AMZ-COPY-SOURCE", "/evil/key"),
        ("x-amz-acl", "public-read"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=evil"),
        ("Connection", "close, X-Amz-Date, Authorization"),
        ("Content-MD5", "x\ty"),
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let request = message(method, "/key", &[(name, value)], b"");
            let status = try_request(nginx.addr(), request).unwrap().status;
            assert_eq!((status, check(&s3, name)), (200, 1), "{method} {name}");
        }
    }
    for target in [
        "http://evil.test/key",
        "/key?X-Amz-Security-Token=evil",
        "/key?X-Amz-Credential=evil&X-Amz-Signature=0&X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "/key?x-amz-content-sha256=UNSIGNED-PAYLOAD",
        "/key?AWSAccessKeyId=evil&Signature=x&Expires=1",
        "//evil.test/key",
        "/path/..%2f..%2fevil",
        "/path//../../key",
    ] {
        let response = support::get(nginx.addr(), target);
        let received = s3.received();
        assert_eq!(check(&s3, target), usize::from(response.status == 200), "{target}");
        for received in received {
            let sent = String::from_utf8_lossy(&received.target).to_lowercase();
            assert!(
                !sent.contains("signature") && !sent.contains("credential"),
                "{target}: {sent}"
            );
            assert!(!sent.contains("token") && !sent.contains("accesskey"), "{target}: {sent}");
        }
    }
    for target in
        ["/../evil/key", "/a/../../evil/key", "/%2e%2e/evil/key", "/path/%2e%2e/%2e./%2e%2e/x"]
    {
        assert_eq!(support::get(nginx.addr(), target).status, 400, "{target}");
    }
    assert!(s3.take().is_empty());
}

#[test]
fn variables_split_no_response() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(
        &s3,
        "add_header X-Uri $aws_uri; add_header X-Host $aws_host; add_header X-Names $aws_signed_headers;
        add_header X-Authorization $aws_authorization; add_header X-Scope $aws_key_scope;
        location / { proxy_pass http://s3; }
        location /unsigned/ { aws_sign off; return 200 $aws_uri; }
        location ~ \"(?s)^/bucket/(.*)$\" { aws_s3_bucket $1; aws_sign off; return 200 x$aws_host; }",
    );
    for place in ["/", "/unsigned/", "/bucket/"] {
        for tail in
            ["%0D%0AX-Evil:%20evil", "?%0D%0AX-Evil:%20evil", "%0D%0A%0D%0Aevil", "?a=%0aX-Evil:b"]
        {
            let response = support::get(nginx.addr(), format!("{place}{tail}"));
            assert_eq!(response.status, 200, "{place}{tail}");
            assert_eq!(response.header("X-Evil"), None, "{place}{tail}");
            for (name, value) in &response.headers {
                assert!(!value.contains(['\r', '\n']) && !name.contains("evil"), "{name}: {value}");
            }
            if place != "/" {
                assert!(!response.text().contains(['\r', '\n']), "{}", response.text());
            }
        }
    }
}

/// What may stand beside `aws_sign`, with what comes of a GET: sent and signed, or an error.
const BESIDE: [(&str, bool); 30] = [
    ("", true),
    ("proxy_http_version 1.1; proxy_set_header Connection '';", true),
    ("proxy_set_header Authorization none; proxy_set_header X-Amz-Date 1;", true),
    ("proxy_set_header Host evil; proxy_hide_header Host;", true),
    ("proxy_pass_request_headers off;", true),
    ("proxy_pass_request_body off;", true),
    ("proxy_set_body x;", true),
    ("proxy_method PUT;", true),
    ("proxy_method POST;", true),
    ("proxy_method PATCH;", false),
    ("proxy_buffering off;", true),
    ("proxy_request_buffering off;", true),
    (
        "proxy_cache cache; proxy_cache_valid 1s; proxy_cache_background_update on; proxy_cache_use_stale updating;",
        true,
    ),
    ("proxy_cache cache; proxy_cache_convert_head off; proxy_cache_lock on;", true),
    ("proxy_store {prefix}/store/kept;", true),
    ("proxy_next_upstream error http_503; proxy_next_upstream_tries 3;", true),
    ("proxy_ignore_client_abort on;", true),
    ("proxy_intercept_errors on; error_page 403 500 = @other;", true),
    ("slice 1k; proxy_set_header Range $slice_range;", true),
    ("mirror /mirror;", true),
    ("auth_request /check;", true),
    ("rewrite ^ /else/where?a=b break;", true),
    ("if ($request_method = GET) { set $x 1; }", true),
    ("limit_except GET { deny all; }", true),
    ("add_before_body /mirror;", true),
    ("sub_filter a b;", true),
    ("proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;", true),
    ("gzip on; gunzip on;", true),
    ("post_action /mirror;", true),
    ("proxy_pass_header Authorization; proxy_ignore_headers Expires;", true),
];

#[test]
fn nothing_leaves_unsigned() {
    let s3 = Verifier::start(Credentials::default());
    for (beside, signed) in BESIDE {
        let nginx = start(
            &s3,
            &format!(
                "}}
                proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
                server {{
                    listen 127.0.0.1:{{port}} ; server_name b; aws_sign;
                    location / {{ {beside} proxy_pass http://s3; }}
                    location /mirror {{ internal; proxy_pass http://s3/mirrored; }}
                    location /check {{ internal; proxy_pass http://s3/checked; }}
                    location @other {{ proxy_pass http://s3; }}"
            ),
        );
        for target in ["/a%20b+c?d=%7e", "/", "//x/../y"] {
            let headers = [("Host", "b"), ("Connection", "upgrade"), ("Upgrade", "websocket")];
            let response = support::request(nginx.addr(), message("GET", target, &headers, b""));
            let sent = check(&s3, beside);
            if signed {
                assert!(response.status < 300 && sent >= 1, "{beside}: {}", response.status);
            } else {
                assert!(response.status >= 500 && sent == 0, "{beside}: {}", response.status);
            }
        }
    }
}
