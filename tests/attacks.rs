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
