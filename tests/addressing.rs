//! Where the bucket is named: in front of the host, or in front of the path.

mod support;

use support::{ACCESS_KEY, Answer, Credentials, Nginx, S3Server, SECRET_KEY, Verifier};

#[test]
fn the_bucket_leads_the_path() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        aws_endpoint minio.test:9000;
        aws_s3_addressing path;
        upstream up {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location / {{ proxy_pass http://up; }}
            location /uri/ {{ proxy_pass http://up/; }}
            location ~ ^/captured/(.*)$ {{ proxy_pass http://up/$1$is_args$args; }}
            location /other/ {{ aws_s3_bucket other; proxy_pass http://up; }}
            location /virtual/ {{ aws_s3_addressing virtual; proxy_pass http://up; }}
            location /signed-uri/ {{ proxy_pass http://up$aws_uri; }}
            location /by-hand/ {{
                aws_sign off;
                proxy_pass http://up$aws_uri;
                proxy_set_header Host $aws_host;
                proxy_set_header X-Amz-Date $aws_date;
                proxy_set_header X-Amz-Content-Sha256 $aws_content_sha256;
                proxy_set_header Authorization $aws_authorization;
            }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for (target, host, sent) in [
        ("/a%20b+c?x", "minio.test:9000", "/bucket/a%20b%2Bc?x="),
        ("/", "minio.test:9000", "/bucket/"),
        ("/?list-type=2", "minio.test:9000", "/bucket/?list-type=2"),
        ("//a/../b", "minio.test:9000", "/bucket//a/../b"),
        ("/uri/a%3Fb", "minio.test:9000", "/bucket/a%3Fb"),
        ("/captured/a%3Fb%25?c=d", "minio.test:9000", "/bucket/a%3Fb%25?c=d"),
        ("/other/x", "minio.test:9000", "/other/other/x"),
        ("/virtual/x", "bucket.minio.test:9000", "/virtual/x"),
        ("/signed-uri/x", "minio.test:9000", "/bucket/signed-uri/x"),
        ("/by-hand/x?y", "minio.test:9000", "/bucket/by-hand/x?y="),
    ] {
        let response = support::get(nginx.addr(), target);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let received = s3.take();
        assert_eq!((&received[0].verdict, &received[0].host[..]), (&Ok(()), host), "{target}");
        assert_eq!(String::from_utf8_lossy(&received[0].target), sent);
    }
}

#[test]
fn a_server_takes_either() {
    let objects: &[(&str, &[u8])] = &[("a b", b"one"), ("d//e", b"two")];
    let s3 = S3Server::start_in_memory(ACCESS_KEY, SECRET_KEY, "s3.test", &[("bucket", objects)]);
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        aws_endpoint s3.test;
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location /path/ {{ aws_s3_addressing path; proxy_pass http://{s3}/; }}
            location /virtual/ {{ aws_s3_addressing virtual; proxy_pass http://{s3}/; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for prefix in ["/path/", "/virtual/"] {
        assert_eq!(support::get(nginx.addr(), format!("{prefix}a%20b")).text(), "one");
        let list = support::get(nginx.addr(), format!("{prefix}?list-type=2")).text();
        assert!(list.contains("<Key>d//e</Key>"), "{list}");
    }
}

#[test]
fn what_is_no_style_is_refused() {
    for bad in ["''", "Path", "host"] {
        let (good, stderr) = Nginx::builder().http(&format!("aws_s3_addressing {bad};")).test();
        let line = format!(
            "invalid value \"{}\" in \"aws_s3_addressing\" directive, it must be \"virtual\" or \"path\" in ",
            bad.trim_matches('\'')
        );
        assert!(!good && stderr.contains(&line), "{stderr}");
    }
}

const BY_REQUEST: &str = "
    map $arg_b $bucket { default $arg_b; fixed some-bucket; }
    map $arg_e $endpoint { default $arg_e; '' s3.test:9000; }
    upstream up { server {s3}; }
    server {
        listen 127.0.0.1:{port};
        aws_sign;
        location / { aws_s3_bucket $bucket; aws_endpoint $endpoint; proxy_pass http://up; }
        location /path/ {
            aws_s3_bucket $bucket; aws_endpoint h:1; aws_s3_addressing path; proxy_pass http://up;
        }
        location /endpoint/ { aws_endpoint $arg_e; proxy_pass http://up; }
        location /inner/ {
            aws_s3_bucket pre-$arg_b; aws_endpoint s3.$arg_e;
            location /inner/same/ { proxy_pass http://up; }
            location /inner/other/ { aws_s3_bucket other; proxy_pass http://up; }
        }
        location ~ ^/buckets/(?<name>[^/]+)/(?<key>.*)$ {
            aws_s3_bucket $name; proxy_pass http://up/$key;
        }
        location /signed-uri/ { aws_s3_bucket $bucket; proxy_pass http://up$aws_uri; }
        location /by-hand/ {
            aws_sign off; aws_s3_bucket $bucket; aws_endpoint $endpoint; aws_s3_addressing path;
            proxy_pass http://up$aws_uri;
            proxy_set_header Host $aws_host;
            proxy_set_header X-Amz-Date $aws_date;
            proxy_set_header X-Amz-Content-Sha256 $aws_content_sha256;
            proxy_set_header Authorization $aws_authorization;
        }
    }";

/// An nginx whose buckets depend on the request.
fn by_request(s3: &Verifier) -> Nginx {
    let locations = BY_REQUEST.replace("{s3}", &s3.addr().to_string());
    Nginx::builder()
        .log_level("info")
        .http(&format!("{} {locations}", support::directives()))
        .start()
}

#[test]
fn a_request_chooses_its_bucket() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = by_request(&s3);
    for (target, host, sent) in [
        ("/x?b=one", "one.s3.test:9000", "/x?b=one"),
        ("/x?b=fixed", "some-bucket.s3.test:9000", "/x?b=fixed"),
        ("/x?b=a.b&e=127.0.0.1:9", "a.b.127.0.0.1:9", "/x?b=a.b&e=127.0.0.1%3A9"),
        ("/path/x?b=one", "h:1", "/one/path/x?b=one"),
        ("/endpoint/x?e=h", "h", "/endpoint/x?e=h"),
        ("/inner/same/x?b=1&e=h", "pre-1.s3.h", "/inner/same/x?b=1&e=h"),
        ("/inner/other/x?b=1&e=h", "other.s3.h", "/inner/other/x?b=1&e=h"),
        ("/buckets/b1/a%3Fb%25", "b1.s3.amazonaws.com", "/a%3Fb%25"),
        ("/signed-uri/x?b=one", "one.s3.amazonaws.com", "/signed-uri/x?b=one"),
        ("/by-hand/x?b=one", "s3.test:9000", "/one/by-hand/x?b=one"),
    ] {
        let response = support::get(nginx.addr(), target);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let received = s3.take();
        assert_eq!((&received[0].verdict, &received[0].host[..]), (&Ok(()), host), "{target}");
        assert_eq!(String::from_utf8_lossy(&received[0].target), sent);
    }
    assert!(!nginx.stop().contains("[error]"));
}

#[test]
fn what_names_no_bucket_is_refused() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = by_request(&s3);
    for bad in ["", "a/b", "a_b", "a..b", "-a", "a.", "evil%23", "a:1", "x@y", "%0d%0aX:", "a%20b"]
    {
        for place in ["/", "/path/", "/signed-uri/"] {
            let response = support::get(nginx.addr(), format!("{place}x?b={bad}"));
            assert_eq!(response.status, 400, "{place} {bad}");
        }
        let response = support::get(nginx.addr(), format!("/endpoint/x?e=http://{bad}"));
        assert_eq!(response.status, 400, "{bad}");
    }
    for bad in ["a%3Fb", "..%2Fx", "a%0D%0Ab", "a%00"] {
        assert_eq!(support::get(nginx.addr(), format!("/buckets/{bad}/key")).status, 400, "{bad}");
    }
    assert!(s3.take().is_empty());
    // by hand, nothing is refused, but nothing is signed either
    assert_eq!(support::get(nginx.addr(), "/by-hand/x?b=a_b").status, 403);
    assert_eq!(s3.take()[0].header("Authorization"), None);
    let log = nginx.stop();
    assert!(log.contains("aws_sign: \"a_b\" of \"aws_s3_bucket\" is no bucket name"), "{log}");
    assert!(log.contains("aws_sign: \"http://a_b\" of \"aws_endpoint\" is no host"), "{log}");
    assert!(log.contains("\"a\\r\\nb\" of \"aws_s3_bucket\""), "{log}");
}

#[test]
fn a_bucket_that_is_named_after_itself_is_refused() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys} map $aws_host $mapped {{ default a$aws_host; }}
        server {{
            listen 127.0.0.1:{{port}}; aws_sign;
            location / {{ aws_s3_bucket $aws_host; proxy_pass http://{0}; }}
            location /mapped/ {{ aws_s3_bucket $mapped; proxy_pass http://{0}; }}
            location /endpoint/ {{ aws_endpoint $aws_authorization; proxy_pass http://{0}; }}
        }}",
        s3.addr(),
        keys = support::directives(),
    ));
    // a map of nothing is a bucket's name
    for (target, status) in [("/x", 400), ("/mapped/x", 200), ("/endpoint/x", 400), ("/x", 400)] {
        assert_eq!(support::get(nginx.addr(), target).status, status, "{target}");
    }
    assert_eq!(s3.take().len(), 1);
    let lines = nginx.error_log();
    assert_eq!(lines.matches("is no bucket name").count(), 2);
}

#[test]
fn a_variable_that_is_none_is_refused() {
    for (directive, line) in [
        ("aws_s3_bucket $nothing", "unknown \"nothing\" variable"),
        ("aws_endpoint a$", "invalid variable name in "),
        ("aws_s3_bucket ${a", "the closing bracket in \"a\" variable is missing in "),
    ] {
        let (good, stderr) = Nginx::builder().http(&format!("{directive};")).test();
        let lines: Vec<_> = stderr.lines().filter(|line| line.contains("[emerg]")).collect();
        assert!(!good && lines.len() == 1 && lines[0].contains(line), "{stderr}");
    }
}

#[test]
fn a_bucket_leaves_the_captures_of_its_location_alone() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        map $http_host $bucket {{ ~^([a-z]+)\\.(example)\\.com$ my-$1-$2; }}
        upstream up {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            aws_s3_bucket $bucket;
            aws_endpoint s3.test;
            location ~ ^/files/(.*)$ {{ proxy_set_header X-Key $1; proxy_pass http://up/$1; }}
            location ~ ^/(.)/(.)/(.)/(.*)$ {{ proxy_set_header X-Key $3; proxy_pass http://up/$4$1; }}
            location ~ ^/first/(.*)$ {{ aws_s3_bucket $1; proxy_set_header X-Key $1; proxy_pass http://up/$1; }}
            location ~ ^/cached/(.*)$ {{
                proxy_cache_key $aws_host$1; proxy_set_header X-Key $1; proxy_pass http://up/$1;
            }}
            location /plain/ {{ proxy_set_header X-Key a$1; proxy_pass http://up; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for (target, bucket, sent, key) in [
        ("/files/report.pdf", "my-docs-example", "/report.pdf", "report.pdf"),
        ("/files/a%3Fb", "my-docs-example", "/a%3Fb", "a?b"),
        ("/a/b/c/d", "my-docs-example", "/da", "c"),
        ("/first/x", "x", "/x", "x"),
        ("/cached/x", "my-docs-example", "/x", "x"),
        ("/plain/x", "my-docs-example", "/plain/x", "a"),
    ] {
        let response = support::get_with(nginx.addr(), target, &[("Host", "docs.example.com")]);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let received = &s3.take()[0];
        assert_eq!(received.verdict, Ok(()), "{target}");
        assert_eq!(received.host, format!("{bucket}.s3.test"), "{target}");
        assert_eq!(String::from_utf8_lossy(&received.target), sent, "{target}");
        assert_eq!(received.header("X-Key").as_deref(), Some(key), "{target}");
    }
}

#[test]
fn a_cache_tells_buckets_apart() {
    let s3 = Verifier::with_responder(Credentials::default(), |received| {
        Answer::new(200, format!("{} {}", received.host, received.target.escape_ascii()))
    });
    let nginx = Nginx::start(&format!(
        "{keys}
        map $http_host $bucket {{ one.test one; two.test two; }}
        proxy_cache_path {{prefix}}/cache keys_zone=c:1m; proxy_cache c; proxy_cache_valid 1h;
        proxy_cache_key $aws_host/$aws_s3_bucket$uri$is_args$args;
        aws_endpoint s3.test;
        add_header X-Bucket $aws_s3_bucket;
        upstream up {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            aws_s3_bucket $bucket;
            location / {{ proxy_pass http://up; }}
            location /path/ {{ aws_s3_addressing path; proxy_pass http://up/; }}
            location /endpoint/ {{ aws_s3_bucket fixed; aws_s3_addressing path; proxy_pass http://up; }}
        }}
        server {{
            listen 127.0.0.1:{{port}}; server_name none.test;
            location / {{ aws_sign; proxy_pass http://up; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for _ in 0..2 {
        for (target, name, bucket, answer) in [
            ("/x", "one", Some("one"), "one.s3.test /x"),
            ("/x", "two", Some("two"), "two.s3.test /x"),
            ("/path/x", "one", Some("one"), "s3.test /one/x"),
            ("/path/x", "two", Some("two"), "s3.test /two/x"),
            ("/endpoint/x", "two", Some("fixed"), "s3.test /fixed/endpoint/x"),
            ("/x", "none", None, "s3.test /x"),
        ] {
            let host = format!("{name}.test");
            let response = support::get_with(nginx.addr(), target, &[("Host", &host)]);
            assert_eq!((response.status, &*response.text()), (200, answer), "{name} {target}");
            assert_eq!(response.header("X-Bucket"), bucket, "{name} {target}");
        }
    }
    assert_eq!(s3.take().len(), 6, "the second time, all were hits");
}

#[test]
fn who_has_a_variable_of_that_name_keeps_it() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        map $uri $aws_s3_bucket {{ ~^/m/(.)(.) \"b-$1\"; default mapped-$arg_b; }}
        upstream up {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign; aws_s3_bucket $aws_s3_bucket;
            location / {{ proxy_pass http://up; }}
            location ~ ^/m/(.*)$ {{ proxy_pass http://up/$1?b=$aws_s3_bucket; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for (target, bucket, sent) in
        [("/x?b=1", "mapped-1", "/x?b=1"), ("/m/XYkey", "b-X", "/XYkey?b=b-X")]
    {
        assert_eq!(support::get(nginx.addr(), target).status, 200);
        let received = &s3.take()[0];
        assert_eq!(received.host, format!("{bucket}.s3.amazonaws.com"));
        assert_eq!(String::from_utf8_lossy(&received.target), sent);
    }
}
