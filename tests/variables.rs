//! The variables: by hand, before and after signing.

mod support;

use support::{Credentials, Nginx, Verifier};

const BY_HAND: &str = "
    proxy_set_header Host                 $aws_host;
    proxy_set_header X-Amz-Date           $aws_date;
    proxy_set_header X-Amz-Content-Sha256 $aws_content_sha256;
    proxy_set_header Authorization        $aws_authorization;
";

fn start(s3: &Verifier, server: &str) -> Nginx {
    Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        upstream up {{ server {addr}; }}
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
        log_format signed '$aws_uri $aws_host $aws_date $aws_content_sha256 $aws_signed_headers $aws_authorization';
        server {{ listen 127.0.0.1:{{port}}; {server} }}",
        keys = support::directives(),
        addr = s3.addr(),
    ))
}

#[test]
fn headers_that_are_placed_by_hand() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(
        &s3,
        &format!(
            "{BY_HAND}
            location / {{ proxy_pass http://up$aws_uri; }}
            location /a/ {{ rewrite ^/a/(.*) /b/$1 break; proxy_pass http://up$aws_uri; }}
            location /early/ {{
                set $seen $aws_uri$aws_authorization;
                rewrite ^/early/(.*) /late/$1 break;
                aws_s3_bucket other;
                proxy_pass http://up$aws_uri;
            }}
            location /cached/ {{ proxy_cache_convert_head off; proxy_pass http://up$aws_uri; }}"
        ),
    );
    for (target, path) in [
        ("/x", "/x"),
        ("/a%20b+c//d/../e?z=1&a", "/a b+c//d/../e"),
        ("/a/x%3Fy%25", "/b/x?y%"),
        ("/early/x", "/late/x"),
        ("/cached/x?y", "/cached/x"),
    ] {
        for method in ["GET", "HEAD"] {
            let message = support::http::message(method, target, &[], b"");
            assert_eq!(support::request(nginx.addr(), message).status, 200, "{method} {target}");
            let received = s3.take();
            assert_eq!(received[0].verdict, Ok(()), "{method} {target}");
            assert_eq!(String::from_utf8_lossy(&received[0].path_decoded), path);
            let host = if target.starts_with("/early") { "other" } else { "bucket" };
            assert_eq!(received[0].host, format!("{host}.s3.amazonaws.com"));
        }
    }
    // nothing else is signed by hand either
    assert_eq!(
        support::request(nginx.addr(), support::http::message("PUT", "/x", &[], b"x")).status,
        403
    );
    assert_eq!(s3.take()[0].header("Authorization"), None);
}

#[test]
fn an_access_log_shows_what_was_sent() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(
        &s3,
        "access_log {prefix}/signed.log signed;
        location / { aws_sign; proxy_pass http://up/pre/; }
        location /unsigned/ { return 200 $aws_uri; }",
    );
    assert_eq!(support::get(nginx.addr(), "/a%20b?x").status, 200);
    let sent = s3.take().remove(0);
    assert_eq!(sent.verdict, Ok(()));
    assert_eq!(support::get(nginx.addr(), "/unsigned/a%20b").text(), "/unsigned/a%20b");
    let log = nginx.prefix().join("signed.log");
    assert!(support::wait_until(std::time::Duration::from_secs(5), || {
        std::fs::read_to_string(&log).unwrap_or_default().lines().count() == 2
    }));
    let text = std::fs::read_to_string(&log).unwrap();
    let expected = [
        String::from_utf8_lossy(&sent.target).into_owned(),
        sent.host.clone(),
        sent.header("X-Amz-Date").unwrap(),
        sent.header("X-Amz-Content-Sha256").unwrap(),
        "host;x-amz-content-sha256;x-amz-date".to_owned(),
        sent.header("Authorization").unwrap(),
    ];
    assert_eq!(text.lines().next().unwrap(), expected.join(" "));
}

#[test]
fn they_are_empty_where_nothing_can_be_signed() {
    let nginx = Nginx::start(&format!(
        "server {{
            listen 127.0.0.1:{{port}};
            location /nothing {{ return 200 \"[$aws_uri$aws_host$aws_date$aws_authorization]\"; }}
            location /no-host {{ {keys} return 200 \"[$aws_uri$aws_host$aws_authorization]\"; }}
            location /host {{ aws_s3_bucket b; return 200 \"[$aws_host]\"; }}
            location /all {{ {keys} aws_endpoint e; return 200 \"[$aws_host $aws_uri]\"; }}
        }}",
        keys = support::directives(),
    ));
    assert_eq!(support::get(nginx.addr(), "/nothing").text(), "[]");
    assert_eq!(support::get(nginx.addr(), "/no-host").text(), "[]");
    assert_eq!(support::get(nginx.addr(), "/host").text(), "[b.s3.amazonaws.com]");
    assert_eq!(support::get(nginx.addr(), "/all?b&a").text(), "[e /all?a=&b=]");
    let put = support::http::message("PUT", "/all", &[], b"");
    assert_eq!(support::request(nginx.addr(), put).text(), "[e ]");
}

#[test]
fn a_cache_key_may_name_the_bucket() {
    let s3 = Verifier::with_responder(Credentials::default(), |received| {
        support::Answer::new(200, received.host.clone())
    });
    let nginx = start(
        &s3,
        "aws_sign;
        proxy_cache cache;
        proxy_cache_valid 1h;
        proxy_cache_key $aws_host$request_method;
        location /one/ { aws_s3_bucket one; proxy_pass http://up/; }
        location /two/ { aws_s3_bucket two; proxy_pass http://up/; }",
    );
    for _ in 0..2 {
        for bucket in ["one", "two"] {
            let response = support::get(nginx.addr(), format!("/{bucket}/same"));
            assert_eq!(response.text(), format!("{bucket}.s3.amazonaws.com"));
        }
    }
    assert_eq!(s3.take().len(), 2);
}
